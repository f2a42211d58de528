"""From seeds and scenes to one record: means, spreads, rates, and figures of others with their sources."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from detectors.evaluation.datasets import SET_NAMES
from detectors.evaluation.protocol import EvaluationSet
from detectors.evaluation.published import published_figures
from detectors.evaluation.record import AS_FITTED, SeedResult, mean_of, results_document, spread_of
from streamer.sinks.json_text import json_bytes

SEED = SeedResult(
    seed=3,
    pooled={"frame_auc": 0.7},
    per_scene={"one": {"frame_auc": 0.9, "frame_eer": 0.1}, "two": {"frame_auc": 0.6}},
    per_clip={"one/a": {"events": 2, "frame_auc": None}},
    variants={"one": {AS_FITTED: 0.9, "30 fps": 0.88}, "two": {AS_FITTED: 0.6, "30 fps": 0.65}},
    training_seconds={"one": 10.0, "two": 20.0},
    frames=60,
    scoring_seconds=3.0,
)


def document(name: str, *seeds: SeedResult) -> dict:
    written = results_document(
        EvaluationSet(name, name, ()), seeds, detector="avid", score="joint", settings={}, machine={}
    )
    return json.loads(json_bytes(written))


def test_a_mean_is_of_the_figures_that_all_have():
    assert mean_of([{"a": 1.0, "b": 2.0}, {"a": 3.0}]) == {"a": 2.0}
    assert mean_of([]) == {}


def test_a_spread_is_the_largest_less_the_smallest():
    assert spread_of([{"a": 0.5}, {"a": 0.75}, {"a": 0.25}]) == {"a": 0.5}
    assert spread_of([{"a": 0.5}]) == {}


def test_the_frames_of_all_scenes_make_one_curve_but_on_umn():
    assert document("shanghaitech", SEED)["metrics"] == {"frame_auc": 0.7}
    umn = document("umn", SEED)
    assert umn["metrics"] == {"frame_auc": 0.75}
    assert umn["pooled"] == {"frame_auc": 0.7}


def test_figures_are_means_over_seeds():
    other = replace(SEED, seed=4, pooled={"frame_auc": 0.8}, per_clip={"one/a": {"events": 3, "frame_auc": 0.5}})
    written = document("avenue", SEED, other)
    assert written["metrics"] == {"frame_auc": pytest.approx(0.75)}
    assert written["spread"] == {"frame_auc": pytest.approx(0.1)}
    assert [row["seed"] for row in written["per_seed"]] == [3, 4]
    assert written["per_clip"] == {"one/a": {"events": 2.5, "frame_auc": None}}
    assert written["training_seconds"] == 30
    assert written["scoring_frames_per_second"] == 20


def test_rates_are_compared_within_each_scene():
    variants = document("umn", SEED)["variants"]
    assert variants["frame_auc"] == {AS_FITTED: 0.75, "30 fps": pytest.approx(0.765)}
    assert variants["largest_difference"] == pytest.approx(0.05)
    assert "variants" not in document("umn", replace(SEED, variants={}))


def test_where_nothing_was_fitted_there_is_no_training_time():
    given = replace(SEED, training_seconds={"one": None})
    assert document("custom", given)["training_seconds"] is None


def test_a_record_has_at_least_one_seed():
    with pytest.raises(ValueError, match="at least one seed"):
        document("umn")


def test_every_published_figure_is_a_fraction_with_its_source():
    figures = [figure for name in SET_NAMES for figure in published_figures(name)]
    assert figures
    for figure in figures:
        assert 0 < figure.value < 1
        assert figure.source
        assert figure.metric in ("frame_auc", "frame_eer")
    assert published_figures("custom") == ()


def test_the_best_published_frame_figure_comes_first():
    values = [figure.value for figure in published_figures("ucsd-ped2") if figure.metric == "frame_auc"]
    assert values == sorted(values, reverse=True)
    assert published_figures("ucsd-ped2")[0].method.startswith("SMAMS")

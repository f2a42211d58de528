"""Watching is causal, does not hang on how windows are batched, and forgets at every new segment."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detectors import scorer as scorer_module
from detectors.base import Scores
from detectors.calibration import TailPrior, calibrate
from detectors.evidence import Fusion, Places
from detectors.learning import learn_scene
from detectors.scorer import EvidenceStream
from preprocess.geometry import CellGrid
from preprocess.temporal import WindowBuilder
from tests.scenes import Body, Recorded, Scene, tiny_base, walkers

if TYPE_CHECKING:
    from detectors.base import Verdict
    from detectors.scene_model import SceneModel
    from preprocess.pictures import Picture, Window

GRID = CellGrid(stride=8.0, offset=0.0, receptive_field=43, rows=2, columns=3)
PLAIN = Places(*(np.full((2, 3), value, np.float32) for value in (0, 1, 0, 1)))


def flat(values: list[float]) -> Scores:
    """Scores of as many windows as values, I and D alike and even over the picture."""
    maps = torch.tensor(values)[:, None, None].expand(-1, 2, 3).clone()
    return Scores(torch.zeros(len(values), 16, 24), maps, maps, torch.ones_like(maps), GRID)


def times(*tenths: int) -> list[Fraction]:
    return [Fraction(tenth, 10) for tenth in tenths]


def stream(memory: float) -> EvidenceStream:
    return EvidenceStream(PLAIN, Fusion(1.0, 0.0), "joint", memory)


def test_smoothing_is_exponential_in_time() -> None:
    keep = np.exp(-0.1 / 0.2)
    statistic = stream(0.2).push(flat([0.0, 4.0, 4.0]), times(0, 1, 2), [0, 0, 0]).statistic[:, 0, 0]
    first = 4 * (1 - keep)
    assert statistic.tolist() == pytest.approx([0, first, 4 + keep * (first - 4)], rel=1e-5)


def test_a_longer_step_forgets_more() -> None:
    statistic = stream(0.2).push(flat([4.0, 0.0]), times(0, 4), [0, 0]).statistic[:, 0, 0]
    assert statistic[1] == pytest.approx(4 * np.exp(-2), rel=1e-5)


def test_without_memory_every_frame_stands_alone() -> None:
    assert stream(0.0).push(flat([1.0, 5.0, 2.0]), times(0, 1, 2), [0, 0, 0]).statistic[:, 0, 0].tolist() == [1, 5, 2]


def test_a_new_segment_forgets_what_was_before_within_and_between_batches() -> None:
    within = stream(0.2)
    assert within.push(flat([9.0, 1.0]), times(0, 1), [0, 1]).statistic[1, 0, 0] == 1
    assert within.push(flat([3.0]), times(2), [2]).statistic[0, 0, 0] == 3
    assert within.push(flat([1.0]), times(3), [2]).statistic[0, 0, 0] > 1


def test_the_parts_of_the_evidence_are_not_smoothed() -> None:
    evidence = stream(5.0).push(flat([0.0, 4.0]), times(0, 1), [0, 0])
    assert evidence.inpainter[:, 0, 0].tolist() == [0, 4]
    assert evidence.detector[:, 0, 0].tolist() == [0, 4]


def test_smoothing_in_one_batch_or_in_many_is_the_same() -> None:
    values = np.random.default_rng(0).normal(size=12).tolist()
    whole = stream(0.3).push(flat(values), times(*range(12)), [0] * 7 + [1] * 5).statistic
    pieces = stream(0.3)
    parts = [
        pieces.push(flat(values[i : i + 5]), times(*range(12))[i : i + 5], ([0] * 7 + [1] * 5)[i : i + 5]).statistic
        for i in range(0, 12, 5)
    ]
    assert np.array_equal(whole, np.concatenate(parts))


@pytest.fixture(scope="module")
def model() -> SceneModel:
    """A scene of walkers, learned; the clock of the tests decides nothing here."""
    return learn_scene(Recorded(walkers().film(10, 6)), tiny_base(), budget_seconds=600)


def windows_of(model: SceneModel, pictures: list[Picture]) -> list[Window]:
    builder = WindowBuilder(model.windows)
    return [window for picture in pictures if (window := builder.push(picture)) is not None]


def watched(model: SceneModel, windows: list[Window], batch: int, **options: object) -> list[Verdict]:
    scorer = model.scorer((96, 64), **options)
    return [verdict for i in range(0, len(windows), batch) for verdict in scorer.verdicts(windows[i : i + batch])]


def assert_same(one: list[Verdict], two: list[Verdict]) -> None:
    assert len(one) == len(two)
    for first, second in zip(one, two, strict=True):
        assert np.allclose(first.levels, second.levels, atol=1e-4)
        assert first.score == pytest.approx(second.score, abs=1e-4)
        assert first.inpainter_part == pytest.approx(second.inpainter_part, abs=1e-3)
        assert first.detector_part == pytest.approx(second.detector_part, abs=1e-3)
        assert first.alarm == second.alarm


SCENE = walkers()


def test_every_window_has_its_verdict_on_one_scale(model: SceneModel) -> None:
    windows = windows_of(model, SCENE.film(10, 3, start=10))
    scorer = model.scorer((192, 128))
    verdicts = scorer.verdicts(windows)
    assert len(verdicts) == len(windows) == 25
    for verdict in verdicts:
        assert verdict.levels.shape == (model.grid.rows, model.grid.columns)
        assert verdict.score == pytest.approx(float(verdict.levels.max()))
        assert verdict.p_value == pytest.approx(10**-verdict.score)
        assert verdict.alarm == (verdict.score >= scorer.threshold)
        assert all(0 <= region.x < region.x + region.width <= 192 for region in verdict.regions)
    assert scorer.verdicts([]) == []


def test_batches_of_one_and_of_eight_give_the_same_verdicts(model: SceneModel) -> None:
    windows = windows_of(model, SCENE.film(10, 3, start=10) + SCENE.film(10, 2, start=20, segment=1))
    assert_same(watched(model, windows, 1), watched(model, windows, 8))


def test_pictures_too_large_for_one_run_of_the_networks_are_scored_in_parts(
    model: SceneModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = windows_of(model, SCENE.film(10, 3, start=10))
    whole = watched(model, windows, 25)
    monkeypatch.setattr(scorer_module, "LARGEST_SCORED_AREA", 1)
    sizes: list[int] = []
    score = model.detector.score_jointly
    monkeypatch.setattr(
        model.detector, "score_jointly", lambda parts, inputs: sizes.append(len(inputs)) or score(parts, inputs)
    )
    assert_same(whole, watched(model, windows, 25))
    assert sizes == [1] * 25


def test_what_comes_later_changes_no_earlier_verdict(model: SceneModel) -> None:
    calm = SCENE.film(10, 2, start=10)
    wild = Scene(bodies=(Body(20, 90, 0, 5, brightness=100),), seed=7).film(10, 2, start=12)
    alone = watched(model, windows_of(model, calm), 8)
    followed = watched(model, windows_of(model, calm + wild), 8)
    assert_same(alone, followed[: len(alone)])


def test_a_new_segment_is_judged_as_if_nothing_had_been_before(model: SceneModel) -> None:
    before = SCENE.film(10, 2, start=10)
    after = SCENE.film(10, 2, start=30, segment=1)
    both = watched(model, windows_of(model, before + after), 8)
    alone = watched(model, windows_of(model, after), 8)
    assert_same(both[-len(alone) :], alone)


def test_scoring_twice_gives_the_same(model: SceneModel) -> None:
    windows = windows_of(model, SCENE.film(10, 2, start=10))
    assert_same(watched(model, windows, 8), watched(model, windows, 8))


def test_what_is_brighter_larger_and_faster_than_all_that_was_learned_scores_higher(model: SceneModel) -> None:
    calm = watched(model, windows_of(model, SCENE.film(10, 3, start=10)), 8)
    intruder = Scene(bodies=(*SCENE.bodies, Body(20, 90, 0, 5, brightness=110)))
    wild = watched(model, windows_of(model, intruder.film(10, 3, start=10)), 8)
    assert np.median([v.score for v in wild]) > 1.3 * np.median([v.score for v in calm])


def test_the_paper_s_decision_has_its_own_calibration(model: SceneModel) -> None:
    joint, paper = (model.scorer((96, 64), decision=decision) for decision in ("joint", "paper"))
    assert joint.threshold != paper.threshold
    windows = windows_of(model, SCENE.film(10, 2, start=10))
    assert any(
        not np.allclose(one.levels, two.levels)
        for one, two in zip(joint.verdicts(windows), paper.verdicts(windows), strict=True)
    )


def test_accepting_fewer_false_alarms_raises_the_threshold(model: SceneModel) -> None:
    thresholds = [model.scorer((96, 64), false_alarms_per_day=rate).threshold for rate in (1000, 10, 0.1)]
    assert thresholds == sorted(thresholds)


def test_a_scene_whose_every_frame_is_alike_still_has_a_usable_threshold(model: SceneModel) -> None:
    even = calibrate([np.zeros(60)], 10, TailPrior())
    calibrations = {"joint": even, "paper": even}
    same = replace(model, knowledge=replace(model.knowledge, calibrations=calibrations))
    windows = windows_of(model, SCENE.film(10, 1, start=10))
    for rate in (1e-3, 1.0, 1e6):
        assert len(same.scorer((96, 64), false_alarms_per_day=rate).verdicts(windows)) == len(windows)

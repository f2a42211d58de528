"""A clip fed frame by frame, and the table of a whole set."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from detectors.evaluation.metrics import Alarm, AlarmBox, ClipResult, PixelResult, PixelTally, summarise
from preprocess.errors import InputError

ALL = {
    "frame_auc",
    "frame_auc_macro",
    "frame_eer",
    "pixel_auc",
    "pixel_eer",
    "dual_pixel_auc",
    "dual_pixel_eer",
    "rbdc",
    "tbdc",
    "event_recall",
    "false_events_per_hour",
    "event_delay_seconds",
}


def square(level, left=10, size=(40, 60)):
    levels = np.zeros(size, np.float32)
    levels[10:20, left : left + 10] = level
    return levels


def clip(name="one", unscored=2):
    """Ten frames, the last five with a square that the map shows; the first ones without a score."""
    tally = PixelTally(name)
    scores = np.full(10, np.nan)
    for frame in range(10):
        mask = square(1) > 0 if frame >= 5 else np.zeros((40, 60), bool)
        levels = square(9 if frame >= 5 else 1)
        if frame >= unscored:
            scores[frame] = levels.max()
        tally.add(levels if frame >= unscored else None, mask)
    alarms = (Alarm(0.6, 0.9, (AlarmBox(0.6, 12, 12, 4, 4),)),)
    return ClipResult(name, np.arange(10) >= 5, scores, tally.result(), alarms, np.arange(10) / 10)


def test_a_perfect_scorer_has_a_perfect_table() -> None:
    summary = summarise([clip("one"), clip("two")])
    assert set(summary.metrics) == ALL
    perfect = dict.fromkeys(ALL, 1.0) | {"frame_eer": 0, "pixel_eer": 0, "dual_pixel_eer": 0}
    perfect |= {"false_events_per_hour": 0, "event_delay_seconds": 0.1}
    assert summary.metrics == pytest.approx(perfect)
    assert summary.counts == {
        "frames": 20,
        "irregular_frames": 10,
        "unscored_frames": 4,
        "unlocated_frames": 0,
        "truth_regions": 10,
        "tracks": 2,
        "truth_stretches": 2,
        "found_stretches": 2,
        "events": 2,
        "false_events": 0,
    }


def test_figures_the_truth_does_not_allow_are_absent() -> None:
    whole = clip()
    frames_only = ClipResult("frames", whole.irregular, whole.scores)
    assert set(summarise([frames_only]).metrics) == {"frame_auc", "frame_auc_macro", "frame_eer"}
    irregular_only = ClipResult("irregular", np.ones(10, bool), whole.scores)
    assert summarise([irregular_only]).metrics == {}
    # Pooled with a normal clip, micro figures exist; no clip has both kinds, so macro does not.
    normal_only = ClipResult("normal", np.zeros(10, bool), np.zeros(10))
    assert set(summarise([irregular_only, normal_only]).metrics) == {"frame_auc", "frame_eer"}
    assert summarise([]).metrics == {}


def test_scores_are_pooled_as_they_are() -> None:
    """No per-clip normalisation: a clip on another scale costs micro AUC and no macro AUC."""
    truth = np.array([False, True])
    clips = [ClipResult("low", truth, np.array([0.0, 1.0])), ClipResult("high", truth, np.array([2.0, 3.0]))]
    metrics = summarise(clips).metrics
    assert metrics["frame_auc_macro"] == 1
    assert metrics["frame_auc"] == pytest.approx(3 / 4)


def test_frames_before_the_first_map_are_judged_by_it_and_later_ones_by_the_last() -> None:
    shown, nothing, mask = square(9), square(2), square(1) > 0
    empty = np.zeros_like(mask)
    gaps, whole = PixelTally(), PixelTally()
    for levels, seen, truth in (
        (None, shown, mask),
        (None, shown, empty),
        (shown, shown, mask),
        (nothing, nothing, empty),
        (None, nothing, mask),
    ):
        gaps.add(levels, truth)
        whole.add(seen, truth)
    one, other = gaps.result(), whole.result()
    assert int(one.unscored) == 3
    assert int(other.unscored) == 0
    for name, values in other.arrays().items():
        if name != "unscored":
            np.testing.assert_array_equal(one.arrays()[name], values, err_msg=name)


def test_the_map_given_may_be_written_over_afterwards() -> None:
    levels, mask = square(9), square(1) > 0
    tally = PixelTally()
    tally.add(levels, mask)
    levels[:] = 0
    tally.add(None, mask)
    assert tally.result().covered.tolist() == [9, 9]


def test_frames_that_are_irregular_nobody_says_where_are_left_out_and_counted() -> None:
    tally = PixelTally()
    tally.add(square(9), np.zeros((40, 60), bool), irregular=True)
    tally.add(square(3), np.zeros((40, 60), bool), irregular=False)
    tally.add(square(5), square(1) > 0, irregular=False)  # the mask is the pixel truth
    result = tally.result()
    assert (int(result.frames), int(result.unlocated)) == (2, 1)
    assert result.normal.tolist() == [3]
    assert result.covered.tolist() == [5]


def test_a_result_survives_a_file() -> None:
    result = clip().pixels
    assert result is not None
    file = io.BytesIO()
    np.savez(file, other=np.zeros(3), **result.arrays())
    file.seek(0)
    with np.load(file) as stored:
        again = PixelResult.from_arrays(stored)
    for name, values in result.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], values)
        assert again.arrays()[name].dtype == values.dtype


def test_regions_can_be_left_out() -> None:
    tally = PixelTally(regions=False)
    for level, mask in ((9, square(1) > 0), (1, np.zeros((40, 60), bool))):
        tally.add(square(level), mask)
    metrics = summarise([ClipResult("x", np.array([True, False]), np.array([9.0, 1.0]), tally.result())]).metrics
    assert "pixel_auc" in metrics
    assert "rbdc" not in metrics


def test_clips_without_a_score_maps_of_other_sizes_and_missing_times_are_errors() -> None:
    with pytest.raises(InputError, match="Test001"):
        summarise([ClipResult("Test001", np.array([True]), np.array([np.nan]))])
    tally = PixelTally("Test002")
    tally.add(None, np.zeros((4, 4), bool))
    with pytest.raises(InputError, match="Test002"):
        tally.result()
    with pytest.raises(ValueError, match="not of one picture"):
        tally.add(np.zeros((4, 5), np.float32), np.zeros((4, 5), bool))
    with pytest.raises(ValueError, match="not of one picture"):
        tally.add(np.zeros((4, 5), np.float32), np.zeros((4, 4), bool))
    with pytest.raises(ValueError, match="Test003"):
        summarise([ClipResult("Test003", np.array([True]), np.zeros(2))])
    with pytest.raises(ValueError, match="times"):
        summarise([ClipResult("Test003", np.array([True]), np.zeros(1), alarms=())])


def test_a_recording_in_two_files_is_one_with_one_curve_and_one_run_of_truth() -> None:
    first = replace(clip("first", unscored=0), alarms=())
    second = clip("second", unscored=0)
    second = replace(second, irregular=~second.irregular, times=second.times + 50, before=9.0)
    second = replace(
        second, alarms=(Alarm(50.1, 50.3, (AlarmBox(50.1, 12, 12, 4, 4),)), Alarm(50.8, 50.8)), pixels=None
    )
    summary = summarise([replace(first, pixels=None), second])
    apart = summarise([replace(first, pixels=None), replace(second, before=None)])
    # One escape from 0.5 s to 1.5 s, found at 1.1 s; half of its frames lie in the second file.
    assert (summary.counts["truth_stretches"], summary.counts["found_stretches"]) == (1, 1)
    assert (apart.counts["truth_stretches"], apart.counts["found_stretches"]) == (2, 1)
    assert summary.metrics["event_delay_seconds"] == pytest.approx(0.6)
    assert summary.counts["false_events"] == apart.counts["false_events"] == 1
    assert summary.metrics["false_events_per_hour"] == pytest.approx(apart.metrics["false_events_per_hour"])
    assert summary.metrics["frame_auc_macro"] == pytest.approx(summary.metrics["frame_auc"])
    assert summary.metrics["frame_auc"] == pytest.approx(apart.metrics["frame_auc"])


def test_where_events_were_is_kept_when_files_are_joined() -> None:
    first, second = clip("first", unscored=0), replace(clip("second", unscored=0), before=9.0)
    elsewhere = replace(second, alarms=(Alarm(0.6, 0.9, (AlarmBox(0.6, 40, 30, 4, 4),)),))
    assert summarise([first, second]).counts["found_stretches"] == 2
    assert summarise([first, elsewhere]).counts["found_stretches"] == 1

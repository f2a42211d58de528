"""Scores that look both ways in time are means over time, of one clip alone; events stay those of watching."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from preprocess.geometry import CellGrid
from streamer.evaluate_look_ahead import looking_ahead, recording_looking_ahead
from streamer.evaluate_scores import ClipScores

UNSCORED = 5


def scores_of(maps: np.ndarray, times: np.ndarray) -> ClipScores:
    """Scores of a clip whose first frames have no window."""
    maps = maps.astype(np.float16)
    statistic = np.concatenate([np.full(UNSCORED, np.nan), maps.max((1, 2))]).astype(np.float32)
    return ClipScores(
        statistic=statistic,
        rows=np.arange(UNSCORED, len(statistic)),
        maps=maps,
        times=times,
        events=np.array([[1.0, 2.0]]),
        boxes=np.empty((0, 6)),
        alarming=True,
        threshold=4.0,
        size=(32, 16),
        working_size=(32, 16),
        grid=CellGrid(8.0, 3.5, 8, 2, 4),
        seconds=1.0,
    )


def one_peak(count: int, at: int) -> np.ndarray:
    maps = np.zeros((count, 2, 4))
    maps[at, 1, 2] = 1.0
    return maps


def test_without_looking_ahead_nothing_changes():
    scores = scores_of(one_peak(10, 4), np.arange(15) / 10)
    assert looking_ahead(scores, 0.0) is scores


def test_a_moment_counts_before_and_after_itself_and_no_further():
    scores = scores_of(one_peak(21, 10), np.arange(26) / 10)
    ahead = looking_ahead(scores, 0.5)
    known = ahead.statistic[UNSCORED:]
    offsets = np.arange(-10, 11) / 10
    weights = np.where(np.abs(offsets) <= 0.5 + 1e-9, np.exp(-0.5 * (offsets / 0.25) ** 2), 0.0)
    np.testing.assert_allclose(known, weights / weights.sum(), atol=1e-6)
    np.testing.assert_allclose(ahead.maps[:, 1, 2], known, atol=1e-3)
    assert not ahead.maps[:, 0].any()
    assert np.isnan(ahead.statistic[:UNSCORED]).all()
    assert np.array_equal(ahead.events, scores.events)


def test_what_never_changes_stays_also_at_the_ends():
    scores = scores_of(np.full((12, 2, 4), 3.0), np.arange(17) / 25)
    ahead = looking_ahead(scores, 1.0)
    np.testing.assert_allclose(ahead.statistic[UNSCORED:], 3.0, rtol=1e-6)
    np.testing.assert_allclose(ahead.maps.astype(np.float32), 3.0, rtol=1e-3)


def test_time_counts_and_not_the_number_of_frames():
    times = np.concatenate([np.arange(10) / 10, 5 + np.arange(11) / 10])  # five seconds are missing
    peaks = np.concatenate([one_peak(5, 4), np.zeros((11, 2, 4))])
    ahead = looking_ahead(scores_of(peaks, times), 1.0)
    assert ahead.statistic[UNSCORED + 3] > 0.1
    assert not ahead.statistic[UNSCORED + 5 :].any()


def test_what_runs_keeps_its_frame_score_though_no_cell_keeps_it():
    maps = np.zeros((8, 1, 8))
    maps[np.arange(8), 0, np.arange(8)] = 1.0
    ahead = looking_ahead(scores_of(maps, np.arange(13) / 10), 0.4)
    assert ahead.statistic[UNSCORED:] == pytest.approx(1.0)
    assert ahead.maps.max() < 0.5


def test_files_of_one_recording_look_into_each_other():
    whole = scores_of(one_peak(21, 10), np.arange(26) / 10)
    cut = UNSCORED + 10
    first = replace(
        whole, statistic=whole.statistic[:cut], rows=whole.rows[:10], maps=whole.maps[:10], times=whole.times[:cut]
    )
    second = replace(
        whole,
        statistic=whole.statistic[cut:],
        rows=whole.rows[10:] - cut,
        maps=whole.maps[10:],
        times=whole.times[cut:] + 77,
    )
    together = recording_looking_ahead([first, second], 0.5)
    expected = looking_ahead(whole, 0.5)
    np.testing.assert_allclose(np.concatenate([one.statistic for one in together]), expected.statistic, atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([one.maps for one in together]), expected.maps)
    assert [len(one) for one in together] == [len(first), len(second)]
    assert recording_looking_ahead([first, second], 0.0) == [first, second]

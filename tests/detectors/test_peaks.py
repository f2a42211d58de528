"""The tail behind rare events follows from peaks that all lie below the threshold they were watched with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.calibration import TailPrior, calibrate
from detectors.peaks import MOST_PEAKS, PeakCounter, Rescaling, Watch, truncated_scale, with_peaks

QUIET = Watch(0.0, 0.0, 1.0, 100.0)


def counted(values: np.ndarray, cuts: list[int] = [], *, goes_on: bool = True) -> Watch:  # noqa: B006
    counter = PeakCounter(QUIET)
    times = np.arange(len(values)) / 10
    for number, (part, moments) in enumerate(zip(np.split(values, cuts), np.split(times, cuts), strict=True)):
        counter.push(part, moments, frame_rate=10.0, goes_on=goes_on and number > 0)
    return counter.closed()


def bumps(*levels: float, apart: int = 30, wide: int = 8) -> np.ndarray:
    """Bumps of some height, ``wide`` frames each."""
    values = np.zeros(apart * (len(levels) + 1))
    for number, level in enumerate(levels, 1):
        values[number * apart : number * apart + wide] = level
    return values


def test_every_cluster_gives_its_highest_sustained_value() -> None:
    values = bumps(3.0, 5.0, 2.0)
    values[63] = 9.0  # a single frame lasts too short
    assert counted(values).peaks == (5.0, 3.0, 2.0)
    assert counted(values).seconds == pytest.approx(len(values) / 10)


@given(st.lists(st.integers(1, 119), max_size=5))
def test_stretches_that_go_on_give_the_peaks_of_the_whole(cuts: list[int]) -> None:
    values = bumps(3.0, 5.0, 2.0)
    assert counted(values, sorted(set(cuts))).peaks == (5.0, 3.0, 2.0)


def test_after_a_gap_nothing_has_lasted_yet() -> None:
    values = np.concatenate([np.zeros(30), [4.0, 4.0], np.zeros(30)])
    assert counted(values, [31], goes_on=False).peaks == ()


def test_bumps_within_the_merge_gap_are_one() -> None:
    assert counted(bumps(3.0, 5.0, apart=14)).peaks == (5.0,)


def test_the_highest_of_many_peaks_are_kept_with_the_level_from_which_they_are_complete() -> None:
    levels = 1 + np.random.default_rng(0).exponential(size=5 * MOST_PEAKS)
    found = counted(bumps(*levels))
    assert list(found.peaks) == sorted(levels, reverse=True)[:MOST_PEAKS]
    assert found.peaks[-1] >= found.start >= sorted(levels, reverse=True)[MOST_PEAKS]


def test_an_interrupted_watch_goes_on() -> None:
    counter = PeakCounter(counted(bumps(3.0, 5.0)))
    counter.push(bumps(4.0), 100 + np.arange(60) / 10, frame_rate=10.0, goes_on=False)
    assert counter.closed().peaks == (5.0, 4.0, 3.0)
    assert counter.closed().seconds == pytest.approx(15.0)


@pytest.mark.parametrize("bound", [1.5, 3.0, 10.0])
def test_the_scale_of_a_tail_is_found_whatever_was_cut_off(bound: float) -> None:
    excesses = np.random.default_rng(1).exponential(2.0, 20_000)
    kept = excesses[excesses < 2.0 * bound]
    assert truncated_scale([(kept, 2.0 * bound)], 1.0) == pytest.approx(2.0, rel=0.05)
    if bound < 2:
        assert kept.mean() < 1.3  # what a tail taken for whole would say


def test_groups_with_different_bounds_agree() -> None:
    random = np.random.default_rng(2)
    groups = []
    for bound in (1.0, 2.0, 6.0):
        excesses = random.exponential(1.0, 8000)
        groups.append((excesses[excesses < bound], bound))
    assert truncated_scale(groups, 3.0) == pytest.approx(1.0, rel=0.05)


@given(
    st.lists(st.floats(0, 5), max_size=30),
    st.floats(0.1, 1e6),
    st.floats(0.01, 10),
)
def test_the_scale_is_positive_and_finite_for_any_peaks(excesses: list[float], bound: float, prior: float) -> None:
    scale = truncated_scale([(np.minimum(excesses, bound), bound)], prior)
    assert 0 < scale < 1e4


SAMPLE = calibrate([np.random.default_rng(3).exponential(size=3000)], 10, TailPrior(seconds=1e9))


def hours_of(scale: float, bound: float, seconds: float = 36_000.0, seed: int = 0) -> Watch:
    """A watch whose clusters come every 20 s and have an exponential tail, without those above the bound."""
    random = np.random.default_rng(seed)
    peaks = 2 + random.exponential(scale, round(seconds / 20))
    peaks = np.sort(peaks[peaks < bound])[::-1]
    start = float(peaks[MOST_PEAKS]) if len(peaks) > MOST_PEAKS else 2.0
    return Watch(seconds, 60.0, start, bound, tuple(peaks[:MOST_PEAKS].tolist()))


@pytest.mark.parametrize("bound", [8.0, 9.3, 10.0])
def test_hours_give_the_rate_asked_for_whatever_was_left_out(bound: float) -> None:
    """The threshold of that rate is at 9.3."""
    met = []
    for seed in range(5):
        found = with_peaks(SAMPLE, [hours_of(1.2, bound, seed=seed)], 10.0)
        threshold = found.statistic(found.threshold(10.0))
        met.append(86_400 / 20 * np.exp(-(threshold - 2) / 1.2))
    assert 10 / 3 < np.median(met) < 30


def test_less_than_the_sample_s_own_time_changes_nothing() -> None:
    assert with_peaks(SAMPLE, [hours_of(1.0, 9.0, seconds=60.0)], 1.0) is SAMPLE
    assert with_peaks(SAMPLE, [], 1.0) is SAMPLE


def test_all_time_watched_bears_the_calibration_out() -> None:
    assert with_peaks(SAMPLE, [hours_of(1.0, 9.0), hours_of(1.0, 10.0, seed=1)], 1.0).seconds == 72_000


def test_what_was_reached_without_alarm_does_not_alarm_afterwards() -> None:
    watch = hours_of(1.0, 100.0)
    watch = replace(watch, peaks=(50.0, *watch.peaks[1:]))
    found = with_peaks(SAMPLE, [watch], 10.0)
    assert found.statistic(found.threshold(10.0)) >= 50.0 - 1e-6


def test_watches_follow_the_statistics_of_the_next_model() -> None:
    random = np.random.default_rng(4)
    before = random.exponential(size=1000)
    change = Rescaling.between(before, 3 * before + 1)
    assert change(2.0) == pytest.approx(7.0)
    moved = Watch(1.0, 1.0, 1.0, 4.0, (3.0, 2.0)).rescaled(change)
    assert (moved.start, moved.bound, *moved.peaks) == pytest.approx((4.0, 13.0, 10.0, 7.0))


def test_a_watch_survives_as_json() -> None:
    watch = hours_of(1.0, 9.0)
    assert Watch.from_json(watch.to_json()) == watch


@pytest.mark.parametrize(
    "damage", [{"seconds": -1}, {"peaks": [float("nan")]}, {"peaks": [1.0] * 999}, {"bound": None}, {"peaks": None}]
)
def test_a_damaged_watch_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Watch.from_json(hours_of(1.0, 9.0).to_json() | damage)

"""Calibration: one scale that never turns back, always with a finite threshold, and rates that come true."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.calibration import (
    HIGHEST_LEVEL,
    LEAST_MOVING,
    SMALLEST_SCALE,
    Calibration,
    TailPrior,
    calibrate,
    cluster_peaks,
    location_and_scale,
    sustained,
)

DAY = 86_400.0
NO_SHAPE = TailPrior(shape=0.0, event_shape=0.0, seconds=1e9)


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    """Calibrations of all sorts of footage: quiet and wild, short and long, even and uneven."""
    seed, count = draw(st.integers(0, 2**32)), draw(st.integers(1, 400))
    random = np.random.default_rng(seed)
    kind = draw(st.sampled_from(["normal", "exponential", "heavy", "constant", "steps"]))
    frames = {
        "normal": random.normal(size=count),
        "exponential": random.exponential(size=count),
        "heavy": random.standard_t(2, size=count),
        "constant": np.zeros(count),
        "steps": random.integers(0, 3, count).astype(float),
    }[kind]
    frames = frames * draw(st.floats(1e-3, 1e2)) + draw(st.floats(-50, 50))
    prior = TailPrior(
        shape=draw(st.floats(0, 0.5)),
        scale=draw(st.floats(0.05, 3)),
        event_shape=draw(st.floats(0, 0.5)),
        event_scale=draw(st.floats(0.05, 3)),
        event_rate=draw(st.floats(1e-4, 1)),
    )
    cut = draw(st.integers(0, count))
    segments = [part for part in (frames[:cut], frames[cut:]) if len(part)]
    return calibrate(segments, draw(st.floats(0.5, 60)), prior, tolerated=draw(st.sampled_from([0.0, 0.05])))


def around(calibration: Calibration) -> np.ndarray:
    """Statistics from below everything seen to far beyond it, rising."""
    low, high = calibration.knots[0], calibration.start
    unit = max(high - low, calibration.scale)
    return np.unique(np.concatenate([np.linspace(low - unit, high + 5 * unit, 300), np.geomspace(1, 1e6, 60) + high]))


@given(calibrations())
def test_p_values_never_rise_and_levels_never_fall_with_the_statistic(calibration: Calibration) -> None:
    statistics = around(calibration)
    p_values, levels = calibration.p_value(statistics), calibration.level(statistics)
    assert np.all(np.diff(p_values) <= 1e-12)
    assert np.all(np.diff(levels) >= -1e-9)
    assert np.all((p_values >= 0) & (p_values <= 1))
    assert np.all((levels >= 0) & (levels <= HIGHEST_LEVEL))
    assert calibration.p_value(calibration.knots[0] - 1) == pytest.approx(1)


@given(calibrations(), st.floats(1.01, 15.5))
def test_a_level_s_statistic_has_that_level(calibration: Calibration, level: float) -> None:
    assert calibration.level(calibration.statistic(level)) == pytest.approx(level, abs=1e-6)


@given(calibrations())
def test_a_statistic_s_level_leads_back_to_it(calibration: Calibration) -> None:
    beyond = calibration.start + calibration.scale * np.array([0.1, 1.0, 5.0, 15.0])
    for statistic in beyond:
        level = float(calibration.level(statistic))
        if level < HIGHEST_LEVEL:
            assert calibration.statistic(level) == pytest.approx(statistic, rel=1e-6, abs=1e-6)


@given(calibrations())
def test_fewer_false_events_are_expected_at_higher_thresholds(calibration: Calibration) -> None:
    rates = [calibration.events_per_day(float(statistic)) for statistic in around(calibration)]
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(rates))
    assert rates[0] == pytest.approx(calibration.event_rate * DAY)
    assert all(math.isfinite(rate) and rate >= 0 for rate in rates)


RATES = np.geomspace(1e-6, 1e6, 25).tolist()


@given(calibrations())
def test_every_rate_has_a_finite_threshold_that_falls_as_more_is_accepted(calibration: Calibration) -> None:
    thresholds = [calibration.threshold(rate) for rate in RATES]
    assert all(math.isfinite(threshold) and threshold <= HIGHEST_LEVEL for threshold in thresholds)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(thresholds))


@given(calibrations(), st.floats(1e-6, 1e6))
def test_a_threshold_is_above_zero_so_that_regions_can_be_cut_from_a_map(calibration: Calibration, rate: float) -> None:
    assert calibration.threshold(rate) > 0


@given(calibrations(), st.floats(1e-3, 1e4))
def test_the_threshold_of_a_rate_is_where_that_rate_is_expected(calibration: Calibration, rate: float) -> None:
    level = calibration.threshold(rate)
    if calibration.rate_set(rate) < calibration.event_rate * DAY and 1.001 < level < HIGHEST_LEVEL:
        expected = calibration.events_per_day(calibration.statistic(level))
        assert expected == pytest.approx(calibration.rate_set(rate), rel=1e-4)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        calibrate([np.arange(50.0)], 10, TailPrior()).threshold(rate)


def test_no_footage_is_no_calibration() -> None:
    for segments in ([], [np.empty(0)]):
        with pytest.raises(ValueError, match="needs scored normal footage"):
            calibrate(segments, 10, TailPrior())


@given(calibrations())
def test_a_calibration_comes_back_from_json_as_it_went(calibration: Calibration) -> None:
    values = json.loads(json.dumps(calibration.to_json(), allow_nan=False))
    assert Calibration.from_json(values) == calibration


GOOD = calibrate([np.random.default_rng(0).exponential(size=400)], 10, TailPrior()).to_json()
DAMAGE = {
    "a shape of the body missing": {"knots": None},
    "knots that fall": {"knots": GOOD["knots"][::-1]},
    "fewer knots than survivals": {"knots": GOOD["knots"][:-1]},
    "no knots": {"knots": [], "survival": []},
    "survival that rises": {"survival": GOOD["survival"][::-1]},
    "survival of zero": {"survival": [*GOOD["survival"][:-1], 0.0]},
    "survival over one": {"survival": [1.5, *GOOD["survival"][1:]]},
    "a number that is none": {"start": math.nan},
    "an infinite knot": {"knots": [-math.inf, *GOOD["knots"][1:]]},
    "an endless rate": {"event_rate": math.inf},
    "words for a number": {"scale": "wide"},
    "words for knots": {"knots": "abc"},
    "a list for a number": {"seconds": [1.0]},
    "a number for a list": {"survival": 0.5},
    "no scale": {"scale": 0.0},
    "a negative scale": {"event_scale": -1.0},
    "no event at all": {"event_rate": 0.0},
    "a tail that starts nowhere": {"start_survival": 0.0},
    "a tail above its body": {"start_survival": 0.5},
    "a tail with an end": {"shape": -0.2},
    "an event tail with an end": {"event_shape": -0.2},
    "a tail that begins before the body ends": {"start": GOOD["knots"][0]},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_json_is_refused(damage: str) -> None:
    with pytest.raises(ValueError, match=r"calibration|could not convert"):
        Calibration.from_json(GOOD | DAMAGE[damage])


@pytest.mark.parametrize("name", Calibration.__slots__)
def test_missing_values_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"lacks '{name}'"):
        Calibration.from_json({key: value for key, value in GOOD.items() if key != name})


def test_sustained_is_the_smallest_of_the_last_frames() -> None:
    values = np.array([5.0, 1.0, 4.0, 3.0, 7.0, 9.0, 2.0])
    assert sustained(values, 3).tolist() == [5, 1, 1, 1, 3, 3, 2]
    assert sustained(values, 1).tolist() == values.tolist()
    assert sustained(values[:2], 5).tolist() == [5, 1]
    assert values[0] == 5  # and the frames themselves stay as they were


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40), st.integers(1, 10))
def test_sustained_is_what_a_loop_says(values: list[float], frames: int) -> None:
    expected = [min(values[max(0, i - frames + 1) : i + 1]) for i in range(len(values))]
    assert sustained(np.array(values), frames).tolist() == expected


def test_runs_closer_than_the_gap_are_one_cluster() -> None:
    values = np.array([0, 3, 5, 0, 0, 4, 0, 0, 0, 9, 0.0])
    assert cluster_peaks(values, 1, 1).tolist() == [5, 4, 9]
    assert cluster_peaks(values, 1, 3).tolist() == [5, 9]
    assert cluster_peaks(values, 1, 4).tolist() == [9]
    assert cluster_peaks(values, 20, 4).tolist() == []
    assert cluster_peaks(np.full(7, 2.0), 1, 1).tolist() == [2]


def test_a_scene_s_own_units_are_median_and_upper_spread_and_never_vanish() -> None:
    middle, unit = location_and_scale(np.random.default_rng(0).normal(3, 2, 20_000))
    assert middle == pytest.approx(3, abs=0.05)
    assert unit == pytest.approx(2, abs=0.05)
    assert location_and_scale(np.zeros(50)) == (0.0, SMALLEST_SCALE)


def test_p_values_are_the_shares_of_normal_frames() -> None:
    random = np.random.default_rng(1)
    calibration = calibrate([random.exponential(size=20_000)], 10, NO_SHAPE)
    fresh = random.exponential(size=200_000)
    for quantile in (0.2, 0.5, 0.8, 0.95, 0.99, 0.999):
        statistic = np.quantile(fresh, quantile)
        assert calibration.p_value(statistic) == pytest.approx(1 - quantile, rel=0.15)


def test_p_values_of_clean_footage_stay_true_where_irregular_frames_are_tolerated() -> None:
    random = np.random.default_rng(1)
    fresh = random.exponential(size=200_000)
    for shape, frames in ((0.0, random.exponential(size=20_000)), (0.2, 5 * (random.random(20_000) ** -0.2 - 1))):
        calibration = calibrate([frames], 10, TailPrior(shape=shape), tolerated=0.05)
        truth = fresh if shape == 0 else 5 * (random.random(200_000) ** -0.2 - 1)
        assert calibration.p_value(np.quantile(truth, 0.999)) == pytest.approx(1e-3, rel=0.4)


def passing(seconds: float, seed: int, rate: int = 10) -> np.ndarray:
    """Frame statistics of a scene: somebody passes every four seconds, for two, each at a level of their own."""
    random = np.random.default_rng(seed)
    count = int(seconds * rate)
    frames = random.exponential(0.3, count)
    for start in np.flatnonzero(random.random(count) < 1 / (4 * rate)):
        end = min(count, start + 2 * rate)
        level = random.exponential(1.0) + random.normal(0, 0.1, end - start)
        frames[start:end] = np.maximum(frames[start:end], level)
    return frames


def events_in(frames: np.ndarray, statistic: float) -> int:
    return len(cluster_peaks(sustained(frames, 3), statistic, 10))


@pytest.mark.parametrize("asked", [2000.0, 500.0, 100.0])
def test_the_rate_asked_for_is_met_within_a_factor_two(asked: float) -> None:
    calibrated = [calibrate([passing(2400, seed)], 10, NO_SHAPE) for seed in range(5)]
    days = 0.5
    watched = passing(days * DAY, 100)
    met = [events_in(watched, c.statistic(c.threshold(asked))) / days for c in calibrated]
    assert asked / 2 < np.median(met) < 2 * asked


def test_the_rate_asked_for_is_met_on_clean_footage_where_irregular_frames_are_tolerated() -> None:
    calibrated = [calibrate([passing(2400, seed)], 10, NO_SHAPE, tolerated=0.05) for seed in range(5)]
    days = 0.5
    watched = passing(days * DAY, 100)
    met = [events_in(watched, c.statistic(c.threshold(100.0))) / days for c in calibrated]
    assert 50 < np.median(met) < 200


def thresholds_with_irregular_frames(
    seconds: int, stretches: int, level: float, prior: TailPrior
) -> tuple[float, float]:
    """Median thresholds (one event an hour) learned from clean footage, and with 5 % irregular frames in it."""
    clean, mixed = [], []
    for seed in range(5):
        frames = passing(seconds, seed)
        length = int(0.05 * len(frames) / stretches)
        dirty = frames.copy()
        for number in range(stretches):
            first = int((number + 0.5) * len(frames) / stretches)
            dirty[first : first + length] = level + np.random.default_rng(number).normal(0, 0.3, length)
        for found, values in ((clean, frames), (mixed, dirty)):
            calibration = calibrate([values], 10, prior, tolerated=0.05)
            found.append(calibration.statistic(calibration.threshold(24.0)))
    return float(np.median(clean)), float(np.median(mixed))


BORNE_OUT = TailPrior(seconds=1e9)  # footage enough for any rate, so that thresholds follow the tail


@pytest.mark.parametrize("seconds", [60, 120])
def test_one_irregular_stretch_of_five_per_cent_does_not_hide_the_next_one(seconds: int) -> None:
    clean, mixed = thresholds_with_irregular_frames(seconds, 1, 20.0, BORNE_OUT)
    assert mixed < 1.7 * clean < 20.0


def test_several_irregular_stretches_of_five_per_cent_together_do_not_hide_the_next_one() -> None:
    clean, mixed = thresholds_with_irregular_frames(60, 6, 20.0, BORNE_OUT)
    assert mixed < 20.0
    assert mixed < 3 * clean
    clean, mixed = thresholds_with_irregular_frames(60, 6, 20.0, TailPrior())
    assert mixed < 2 * clean


def test_a_threshold_stops_at_the_rate_that_the_footage_of_scene_and_base_model_bears_out() -> None:
    frames = [passing(60, 0)]
    alone, backed = (calibrate(frames, 10, TailPrior(seconds=seconds)) for seconds in (0.0, 86_400.0))
    assert alone.lowest_per_day == pytest.approx(3 * 1440)
    assert backed.lowest_per_day == pytest.approx(3, rel=1e-3)
    assert backed.supported_per_day == alone.supported_per_day  # the scene's own footage is no longer for it
    for calibration in (alone, backed):
        lowest = calibration.lowest_per_day
        assert calibration.rate_set(0.1 * lowest) == lowest
        assert calibration.rate_set(1.1 * lowest) == 1.1 * lowest
        assert calibration.threshold(0.1 * lowest) == calibration.threshold(lowest)
        assert calibration.threshold(2 * lowest) <= calibration.threshold(lowest)
    assert backed.threshold(1.0) > alone.threshold(1.0)


def test_the_event_tail_begins_where_the_base_model_s_did_in_the_scene_s_units() -> None:
    frames = passing(300, 0)
    unit = location_and_scale(frames)[1]
    plain, shifted = (calibrate([frames], 10, TailPrior(event_offset=offset)) for offset in (0.0, 1.5))
    assert shifted.event_start - plain.event_start == pytest.approx(1.5 * unit)
    assert shifted.event_rate < plain.event_rate


def test_an_event_tail_that_begins_above_all_that_may_be_irregular_is_the_base_model_s() -> None:
    frames = passing(60, 0)
    unit = location_and_scale(frames)[1]
    calibration = calibrate([frames], 10, TailPrior(event_offset=50.0, event_scale=0.7), tolerated=0.05)
    assert calibration.event_scale == pytest.approx(0.7 * unit)


def test_a_short_learning_takes_the_tail_s_scale_from_the_base_model() -> None:
    frames = np.random.default_rng(0).exponential(size=40)
    wide, narrow = (calibrate([frames], 10, replace(NO_SHAPE, scale=scale)).scale for scale in (4.0, 0.4))
    assert wide > 4 * narrow
    long = np.random.default_rng(0).exponential(size=40_000)
    wide, narrow = (calibrate([long], 10, replace(NO_SHAPE, scale=scale)).scale for scale in (4.0, 0.4))
    assert wide == pytest.approx(narrow, rel=0.02)
    assert wide == pytest.approx(1.0, rel=0.05)


def test_statistics_of_two_stretches_are_not_joined_into_one_event() -> None:
    stretch = np.r_[np.zeros(40), np.full(5, 9.0)]
    other = np.r_[np.full(5, 9.0), np.zeros(40)]
    two = calibrate([stretch, other], 10, TailPrior())
    one = calibrate([np.concatenate([stretch, other])], 10, TailPrior())
    assert two.event_rate > one.event_rate


def test_the_rate_the_footage_supports_is_three_events_in_its_length() -> None:
    calibration = calibrate([np.arange(600.0)], 10, TailPrior())
    assert calibration.seconds == 60
    assert calibration.supported_per_day == pytest.approx(3 * 1440)


@settings(max_examples=40)
@given(st.floats(0.1, 20), st.floats(-30, 30))
def test_the_units_of_the_evidence_do_not_matter(scale: float, shift: float) -> None:
    frames = passing(120, 1)
    plain = calibrate([frames], 10, TailPrior())
    moved = calibrate([frames * scale + shift], 10, TailPrior())
    if location_and_scale(frames * scale)[1] > SMALLEST_SCALE:
        assert moved.threshold(1.0) == pytest.approx(plain.threshold(1.0), rel=1e-3)


BASE = TailPrior(
    shape=0.0, scale=0.78, event_offset=0.55, event_shape=0.0, event_scale=0.88, event_rate=0.09, seconds=1759
)


def often_empty(share: float, *, seconds: float = 90.0, rate: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """Statistics of a place that is empty but for runs of five seconds in which people pass, and where those are."""
    random = np.random.default_rng(4)
    count, run = round(seconds * rate), round(5 * rate)
    starts = np.arange(0, count, round(run / share))
    moving = np.zeros(count, np.bool_)
    for start in starts:
        moving[start : start + run] = True
    return np.where(moving, random.normal(1.4, 0.3, count), random.normal(-2.2, 0.05, count)), moving


@pytest.mark.parametrize("share", [0.7, 0.5, 0.3, 0.15])
def test_a_place_that_is_often_empty_has_the_threshold_of_a_busy_one(share: float) -> None:
    frames, always = often_empty(1.0)
    assert always.all()
    busy = calibrate([frames], 10, BASE)
    wanted = busy.statistic(busy.threshold(285))
    frames, moving = often_empty(share)
    calibration = calibrate([frames], 10, BASE, moving=[moving])
    reached = calibration.statistic(calibration.threshold(285))
    assert wanted - 0.5 < reached < wanted + 0.8
    assert calibration.p_value(1.4) == pytest.approx(0.5, abs=0.15)  # of the frames in which something moves
    assert calibration.seconds == busy.seconds == 90
    blind = calibrate([frames], 10, BASE)
    # The gap between empty and busy frames is no spread of either.
    assert blind.statistic(blind.threshold(285)) > wanted + (2 if share <= 0.5 else 0)


def test_where_next_to_nothing_moves_all_frames_count() -> None:
    frames = np.random.default_rng(1).normal(size=300)
    moving = np.arange(300) < LEAST_MOVING - 1
    assert calibrate([frames], 10, BASE, moving=[moving]) == calibrate([frames], 10, BASE)
    assert calibrate([frames], 10, BASE, moving=[np.ones(300, np.bool_)]) == calibrate([frames], 10, BASE)


def test_what_lasts_is_told_by_neighbouring_frames_still_ones_included() -> None:
    frames = np.zeros(400)
    moving = np.arange(400) % 2 == 0
    frames[moving] = 5.0  # every second frame: nothing of it lasts
    assert calibrate([frames], 10, BASE, moving=[moving]).event_start < 1.0


def test_a_rate_above_that_of_all_events_is_not_said_to_be_set() -> None:
    calibration = calibrate([np.random.default_rng(1).normal(size=9000)], 10, BASE)
    highest = calibration.event_rate * DAY
    assert calibration.rate_set(10 * highest) == pytest.approx(highest)
    assert calibration.rate_set(highest / 2) == highest / 2


def test_segments_of_different_rates_are_as_long_as_they_are() -> None:
    random = np.random.default_rng(2)
    slow, fast = random.normal(size=600), random.normal(size=1800)
    both = calibrate([slow, fast], [10, 30], BASE)
    assert both.seconds == pytest.approx(120)
    assert calibrate([slow], [10], BASE) == calibrate([slow], 10, BASE)
    # What lasts is told by time: three frames of the one, nine of the other.
    steps = np.repeat(random.normal(size=600), 3)
    assert calibrate([steps[::3], steps], [10, 30], BASE).event_start == pytest.approx(
        calibrate([steps[::3]], 10, BASE).event_start, abs=0.15
    )

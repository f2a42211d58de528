"""Windows: which six pictures, what becomes of them, and what they never do."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.pictures import Picture, Window, WindowMode, WindowSettings
from preprocess.temporal import (
    TIME_ROUNDING,
    WindowBuilder,
    choose_pictures,
    frame_period,
    to_working_size,
    window_channels,
)
from tests.scenes import Scene, walkers

TENTH = Fraction(1, 10)
SIZE = (32, 24)


def windows_of(pictures: list[Picture], windows: WindowSettings) -> list[Window | None]:
    builder = WindowBuilder(windows)
    return [builder.push(picture) for picture in pictures]


def flat_pictures(greys: list[int], rate: int = 10, segment: int = 0, first: int = 0) -> list[Picture]:
    """One even picture per grey level."""
    return [
        Picture(np.full(SIZE[::-1], grey, np.uint8), Fraction(first + n, rate), segment) for n, grey in enumerate(greys)
    ]


def flat_settings(spacing: Fraction = TENTH, mode: WindowMode = "difference") -> WindowSettings:
    return WindowSettings(spacing, *SIZE, mode)


GREYS = [7, 11, 200, 30, 90, 255, 0, 128]


def test_at_ten_frames_a_second_a_difference_window_is_that_of_the_literature() -> None:
    made = windows_of(flat_pictures(GREYS), flat_settings())
    for t in range(5, len(GREYS)):
        window = made[t]
        assert window is not None
        expected = [GREYS[t - k] - GREYS[t - k - 1] for k in (0, 2, 4)]
        assert window.channels.shape == (3, *SIZE[::-1])
        assert window.channels.dtype == np.float32
        for channel, value in zip(window.channels, expected, strict=True):
            assert np.all(channel == np.float32(value / 64))
        assert window.pts == Fraction(t, 10)


def test_a_mean_window_holds_the_pair_means_of_the_same_pictures_around_mid_grey() -> None:
    made = windows_of(flat_pictures(GREYS), flat_settings(mode="mean"))
    for t in range(5, len(GREYS)):
        expected = [((GREYS[t - k] + GREYS[t - k - 1]) / 2 - 127.5) / 64 for k in (0, 2, 4)]
        assert made[t].channels.mean((1, 2)).tolist() == pytest.approx(expected, abs=1e-6)


def test_differences_keep_their_sign_and_are_not_cut_at_zero() -> None:
    dark, bright = np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)
    channels = window_channels([dark, bright, bright, dark, dark, dark], "difference")
    assert channels[:, 0, 0].tolist() == [-255 / 64, 255 / 64, 0]


@pytest.mark.parametrize(("rate", "spacing"), [(10, TENTH), (30, TENTH), (25, Fraction(2, 25)), (5, Fraction(1, 5))])
def test_the_first_five_spacings_of_a_segment_give_no_window_and_later_ones_do(rate: int, spacing: Fraction) -> None:
    blind = int(5 * spacing * rate)
    made = windows_of(flat_pictures([9] * (blind + 6), rate), flat_settings(spacing))
    assert [window is not None for window in made] == [False] * blind + [True] * 6


def test_a_window_never_spans_a_new_segment_even_where_times_go_on() -> None:
    pictures = flat_pictures([10] * 9) + flat_pictures([200] * 8, segment=1, first=9)
    made = windows_of(pictures, flat_settings())
    assert [window is not None for window in made[9:]] == [False] * 5 + [True] * 3
    assert all(not np.any(window.channels) for window in made if window is not None)
    assert [window.segment for window in made if window is not None] == [0] * 4 + [1] * 3


def test_times_that_start_again_in_a_new_segment_do_no_harm() -> None:
    pictures = flat_pictures([1] * 9, first=100) + flat_pictures([2] * 9, segment=1)
    made = windows_of(pictures, flat_settings())
    assert sum(window is not None for window in made) == 8


def test_a_segment_of_one_picture_has_no_window() -> None:
    pictures = [Picture(np.zeros((24, 32), np.uint8), Fraction(n), n) for n in range(12)]
    assert windows_of(pictures, flat_settings()) == [None] * 12


def test_one_scene_at_thirty_fifteen_and_ten_frames_a_second_gives_nearly_the_same_windows() -> None:
    scene = walkers()
    at_rate: dict[int, dict[Fraction, np.ndarray]] = {}
    for rate in (10, 15, 30):
        made = windows_of(scene.film(rate, 2), WindowSettings(TENTH, scene.width, scene.height))
        at_rate[rate] = {window.pts: window.channels for window in made if window is not None}
    shared = [time for time in at_rate[10] if time in at_rate[15] and time in at_rate[30]]
    assert len(shared) >= 3
    for time in shared:
        assert np.array_equal(at_rate[30][time], at_rate[10][time])
        # 15 pictures a second lie up to 1/30 s beside the wanted times: bodies are there up to half a pixel elsewhere.
        ten, fifteen = at_rate[10][time], at_rate[15][time]
        assert np.corrcoef(ten.ravel(), fifteen.ravel())[0, 1] > 0.7
        assert 0.7 < np.abs(fifteen).mean() / np.abs(ten).mean() < 1.4


def test_without_motion_there_is_only_noise_in_a_difference() -> None:
    scene = Scene(noise=0.0)
    made = windows_of(scene.film(10, 1), WindowSettings(TENTH, scene.width, scene.height))
    assert not np.any(made[-1].channels)


def test_the_picture_nearest_in_time_is_chosen() -> None:
    times = [Fraction(ms, 1000) for ms in (0, 130, 180, 320, 370, 490, 610, 690, 820, 900, 1000)]
    chosen = choose_pictures(times, Fraction(1, 5), Fraction(12, 100))
    assert chosen is not None
    assert [int(times[i] * 1000) for i in chosen] == [1000, 820, 610, 370, 180, 0]


def test_no_picture_within_half_a_frame_period_means_no_window() -> None:
    times = [Fraction(n, 10) for n in range(11)]
    assert choose_pictures(times, TENTH, TENTH) is not None
    missing = [time for time in times if time != Fraction(7, 10)]
    assert choose_pictures(missing, TENTH, TENTH) is None
    shifted = [time + Fraction(5, 100) if time == Fraction(7, 10) else time for time in times]
    assert choose_pictures(shifted, TENTH, TENTH) == (10, 9, 8, 7, 6, 5)
    too_far = [time + Fraction(52, 1000) if time == Fraction(7, 10) else time for time in times]
    assert choose_pictures(too_far, TENTH, TENTH) is None


def test_a_spacing_below_the_frame_period_never_shows_one_picture_twice() -> None:
    times = [Fraction(n, 10) for n in range(40)]
    assert choose_pictures(times, Fraction(4, 100), TENTH) is None
    assert choose_pictures(times, Fraction(1, 1000), TENTH) is None


def test_fewer_pictures_than_a_window_needs_give_none() -> None:
    for count in range(1, 6):
        assert choose_pictures([Fraction(n, 10) for n in range(count)], TENTH, TENTH) is None


def test_the_frame_period_is_the_median_step() -> None:
    assert frame_period([]) is None
    assert frame_period([Fraction(3)]) is None
    assert frame_period([Fraction(n) for n in (0, 1, 2, 9, 10)]) == 1


STEPS = st.lists(st.integers(10, 90), min_size=8, max_size=60)
SPACINGS = st.integers(20, 200).map(lambda ms: Fraction(ms, 1000))


def rising(steps: list[int]) -> list[Fraction]:
    return [Fraction(int(total), 1000) for total in np.cumsum([0, *steps])]


@given(STEPS, SPACINGS)
def test_every_chosen_picture_is_the_nearest_and_within_half_a_period_and_all_six_differ(
    steps: list[int], spacing: Fraction
) -> None:
    times = rising(steps)
    period = frame_period(times)
    chosen = choose_pictures(times, spacing, period)
    wanted = [times[-1] - k * spacing for k in range(6)]
    nearest = [min(abs(time - target) for time in times) for target in wanted]
    if chosen is None:
        found = [min(range(len(times)), key=lambda i, t=target: (abs(times[i] - t), i)) for target in wanted]
        assert max(nearest) > period / 2 + TIME_ROUNDING or len(set(found)) < 6
        return
    assert len(set(chosen)) == 6
    assert list(chosen) == sorted(chosen, reverse=True)
    assert chosen[0] == len(times) - 1
    distances = [abs(times[i] - target) for i, target in zip(chosen, wanted, strict=True)]
    assert distances == nearest
    assert max(distances) <= period / 2 + TIME_ROUNDING


SEGMENTS = st.lists(STEPS, min_size=1, max_size=4)


@settings(max_examples=60)
@given(SEGMENTS, SPACINGS)
def test_a_window_holds_pictures_of_one_segment_alone_whatever_the_steps(
    segments: list[list[int]], spacing: Fraction
) -> None:
    builder = WindowBuilder(flat_settings(spacing, "mean"))
    shift = Fraction(0)
    for number, steps in enumerate(segments):
        grey = 40 * (number + 1)  # every segment has its own grey level, which a pair mean shows
        for time in rising(steps):
            window = builder.push(Picture(np.full((24, 32), grey, np.uint8), shift + time, number))
            if window is not None:
                assert window.segment == number
                assert np.allclose(window.channels, (grey - 127.5) / 64)
                assert time >= 5 * spacing - Fraction(90, 2000)
        shift += rising(steps)[-1]


@settings(max_examples=60)
@given(STEPS, st.integers(86, 200).map(lambda ms: Fraction(ms, 1000)))  # never shorter than pictures come
def test_forgetting_old_pictures_loses_no_window(steps: list[int], spacing: Fraction) -> None:
    times = rising(steps)
    builder = WindowBuilder(flat_settings(spacing, "mean"))
    for last, time in enumerate(times):
        # The grey level tells which picture it was.
        window = builder.push(Picture(np.full((24, 32), last, np.uint8), time, 0))
        past = times[: last + 1][-26:]
        period = frame_period(past)
        chosen = choose_pictures(times[: last + 1], spacing, period) if period is not None else None
        assert (window is None) == (chosen is None)
        if chosen is not None:
            pairs = [(chosen[k] + chosen[k + 1]) / 2 for k in (0, 2, 4)]
            assert (window.channels[:, 0, 0] * 64 + 127.5).tolist() == pytest.approx(pairs, abs=1e-3)


@pytest.mark.parametrize("rate", [5, 30, 200])
def test_memory_stays_bounded_however_long_the_source(rate: int) -> None:
    builder = WindowBuilder(flat_settings())
    picture = np.zeros((24, 32), np.uint8)
    most = 0
    for n in range(2000):
        builder.push(Picture(picture, Fraction(n, rate), 0))
        most = max(most, len(builder._lumas))
        assert len(builder._lumas) == len(builder._times)
    assert most <= 5.6 * max(TENTH, Fraction(1, rate)) * rate + 3


def test_pictures_are_brought_to_working_size_by_areas_and_left_alone_where_they_fit() -> None:
    stripes = np.tile(np.array([[0, 255]], np.uint8), (48, 32))
    assert to_working_size(stripes, 64, 48) is stripes
    shrunk = to_working_size(stripes, 32, 24)
    assert shrunk.shape == (24, 32)
    assert shrunk.dtype == np.uint8
    assert set(np.unique(shrunk)) <= {127, 128}
    assert to_working_size(stripes, 128, 96).shape == (96, 128)


@pytest.mark.parametrize(("width", "height"), [(100, 64), (64, 100), (8, 64), (64, 0)])
def test_working_sizes_the_networks_cannot_take_are_refused(width: int, height: int) -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        WindowSettings(TENTH, width, height)


def test_a_spacing_that_is_no_time_is_refused() -> None:
    for spacing in (Fraction(0), Fraction(-1, 10)):
        with pytest.raises(ValueError, match="spacing must be positive"):
            WindowSettings(spacing, 64, 64)


RATES = (5, 8, 10, 12, 12.5, 15, 20, 22.5, 24, 25, 27, 29.97, 30, 50, 60)


@pytest.mark.parametrize("base", [1000, 90_000])
@pytest.mark.parametrize("spacing", [Fraction(1, 30), Fraction(1, 25), Fraction(1, 20), Fraction(2, 25), TENTH])
def test_a_model_watches_a_source_of_any_rate_whatever_its_times_are_rounded_to(spacing: Fraction, base: int) -> None:
    for rate in RATES:
        builder = WindowBuilder(flat_settings(spacing, "mean"))
        times = [Fraction(round(number * base / rate), base) for number in range(120)]
        made = [builder.push(Picture(np.zeros((24, 32), np.uint8), time, 0)) is not None for time in times]
        first = made.index(True)
        assert times[first] <= 5 * max(spacing, Fraction(1 / rate)) + Fraction(1.5 / rate), rate
        assert made[first:].count(False) <= 2, rate


def test_a_camera_that_slows_down_is_watched_on() -> None:
    builder = WindowBuilder(flat_settings(Fraction(1, 25), "mean"))
    steps = [Fraction(1, 25)] * 50 + [Fraction(2, 25)] * 50
    made = [builder.push(Picture(np.zeros((24, 32), np.uint8), sum(steps[:n], Fraction(0)), 0)) for n in range(100)]
    assert all(window is not None for window in made[-25:])

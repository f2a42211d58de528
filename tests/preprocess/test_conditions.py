"""Whether a picture can be judged: what is found, how soon, for how long, and what must not be taken for it."""

from __future__ import annotations

from fractions import Fraction
from itertools import groupby

import cv2
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from preprocess.conditions import ConditionMonitor, ConditionSettings, is_infrared

WIDTH, HEIGHT, RATE = 320, 180, 10
QUICK = ConditionSettings(adopt_after=30.0)


def background(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    rough = cv2.GaussianBlur(random.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 2.0)
    picture = 120 + 12 * rough / rough.std()
    for _ in range(40):  # walls, windows, kerbs
        x, y = random.integers(0, WIDTH - 40), random.integers(0, HEIGHT - 30)
        picture[y : y + random.integers(8, 30), x : x + random.integers(8, 40)] += random.uniform(-45, 45)
    return picture


BACKGROUND = background()
NOISE = np.random.default_rng(9).normal(0, 1.3, (HEIGHT + 40, WIDTH + 40)).astype(np.float32)


def scene(index: int, *, noise: float = 1.0) -> np.ndarray:
    """A frame as floats: people-sized bodies walk, and the sensor makes noise."""
    picture = BACKGROUND.copy()
    for number in range(4):
        x = int((30 * number + 4 * index * (1 + 0.2 * number)) % (WIDTH + 20)) - 20
        picture[40 + 30 * number : 66 + 30 * number, max(0, x) : max(0, x + 12)] = 40 + 50 * number
    top, left = np.random.default_rng(index).integers(0, 40, 2)
    return picture + noise * NOISE[top : top + HEIGHT, left : left + WIDTH]


def shown(levels: np.ndarray) -> np.ndarray:
    return np.clip(levels, 0, 255).round().astype(np.uint8)


def watch(change, seconds=30.0, monitor=None, infrared=lambda _: None):
    """Kinds of the frames, where ``change(levels, time)`` makes a frame's picture."""
    monitor = monitor or ConditionMonitor(QUICK)
    found = []
    for index in range(round(seconds * RATE)):
        time = index / RATE
        found.append(
            monitor.push(shown(change(scene(index), time)), Fraction(index, RATE), infrared=infrared(time)).kind
        )
    return found


def spells(kinds):
    """``(kind, start, end)`` of everything that is not good, in seconds."""
    at, out = 0, []
    for kind, group in groupby(kinds):
        length = len(list(group))
        if kind != "good":
            out.append((kind, at / RATE, (at + length) / RATE))
        at += length
    return out


def between(start, end, effect):
    return lambda levels, time: effect(levels) if start <= time < end else levels


def test_an_ordinary_scene_is_good_from_its_first_picture_on() -> None:
    assert set(watch(lambda levels, _: levels)) == {"good"}


@pytest.mark.parametrize("gain", [0.35, 0.6, 0.8, 1.3, 1.7])
def test_a_light_switch_is_found_at_once_and_over_within_three_seconds(gain: float) -> None:
    found = spells(watch(lambda levels, time: levels * (gain if time >= 20 else 1.0)))
    assert [kind for kind, _, _ in found] == ["lighting_change"]
    (_, start, end) = found[0]
    assert start == 20.0
    assert end < 23.0


def test_auto_exposure_that_takes_a_second_is_a_lighting_change() -> None:
    found = spells(watch(lambda levels, time: levels * (1 - 0.25 * min(1.0, max(0.0, time - 20)))))
    assert [kind for kind, _, _ in found] == ["lighting_change"]
    assert 20.0 <= found[0][1] <= 20.5
    assert found[0][2] < 23.5


def test_slow_dawn_is_nothing_at_all() -> None:
    assert set(watch(lambda levels, time: levels * (0.3 + 0.7 * time / 40), seconds=40)) == {"good"}


def test_the_night_view_is_a_lighting_change_whatever_it_does_to_the_levels() -> None:
    def night(levels: np.ndarray) -> np.ndarray:
        beam = 1.3 - np.hypot(*np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j])
        return 16 * np.sqrt(np.clip(levels, 0, 255)) * beam

    kinds = watch(between(20, 40, night), 60, infrared=lambda time: 20 <= time < 40)
    found = spells(kinds)
    assert [kind for kind, _, _ in found] == ["lighting_change", "lighting_change"]
    assert [start for _, start, _ in found] == [20.0, 40.0]
    assert all(end - start < 3 for _, start, end in found)


@pytest.mark.parametrize(
    "cover",
    [lambda levels: 0 * levels, lambda levels: 0 * levels + 22, lambda levels: 0 * levels + 200],
    ids=["black", "dark cloth", "bright paper"],
)
def test_a_plain_picture_is_covered_for_as_long_as_it_lasts(cover) -> None:
    found = spells(watch(between(20, 35, cover), 45))
    assert ("dark_or_covered", 20.0, 35.0) in found
    assert {kind for kind, _, _ in found} <= {"dark_or_covered", "stutter"}


def test_another_view_is_covered_until_it_has_become_the_usual_one() -> None:
    paper = background(seed=77)
    found = spells(watch(lambda levels, time: levels - BACKGROUND + paper if time >= 15 else levels, 50))
    assert [(kind, start) for kind, start, _ in found] == [("dark_or_covered", 16.0)]
    assert found[0][2] == pytest.approx(46.0, abs=0.2)


def test_a_plain_cover_never_becomes_usual() -> None:
    found = spells(watch(lambda levels, time: 0.01 * levels + 20 if time >= 10 else levels, 50))
    assert found == [("dark_or_covered", 10.0, 50.0)]


def test_a_light_switched_off_does_not_hide_a_cover() -> None:
    found = spells(watch(between(20, 40, lambda levels: 0.02 * levels), 40))
    assert found == [("dark_or_covered", 20.0, 40.0)]


def close_by(levels: np.ndarray, share: float, coat: float) -> np.ndarray:
    out = levels.copy()
    edge = round(share * WIDTH)
    out[:, :edge] = coat + NOISE[:HEIGHT, :edge]
    return out


@pytest.mark.parametrize("coat", [25.0, 90.0, 210.0])
def test_a_person_before_two_fifths_of_the_picture_changes_nothing(coat: float) -> None:
    def step_in(levels: np.ndarray, time: float) -> np.ndarray:
        return close_by(levels, 0.4 * min(1.0, max(0.0, min(time - 15, 30 - time))), coat)

    assert set(watch(step_in)) == {"good"}


@pytest.mark.parametrize("side", [30.0, 225.0])
def test_a_truck_that_drives_by_changes_nothing(side: float) -> None:
    def drive(levels: np.ndarray, time: float) -> np.ndarray:
        out = levels.copy()
        left = round((time - 20) * 0.9 * WIDTH)  # 0.7 of the picture, by within two seconds
        out[30:160, max(0, left - round(0.7 * WIDTH)) : max(0, left)] = side
        return out

    assert set(watch(drive, 30)) == {"good"}


def test_a_frozen_picture_is_found_after_the_time_set() -> None:
    held = shown(scene(200))
    monitor = ConditionMonitor(QUICK)
    kinds = [
        monitor.push(held if 200 <= index < 350 else shown(scene(index)), Fraction(index, RATE)).kind
        for index in range(380)
    ]
    assert spells(kinds)[0] == ("frozen", 24.0, 35.0)
    assert spells(kinds)[1][0] == "stutter"
    assert set(kinds[360:]) == {"good"}


def test_a_frozen_picture_that_an_encoder_redraws_is_found_too() -> None:
    held = shown(scene(200))
    redrawn = held + np.random.default_rng(1).integers(0, 2, held.shape).astype(np.uint8)
    monitor = ConditionMonitor(QUICK)
    kinds = []
    for index in range(300):
        picture = shown(scene(index)) if index < 200 else (redrawn if index // 20 % 2 else held)
        kinds.append(monitor.push(picture, Fraction(index, RATE)).kind)
    assert spells(kinds) == [("frozen", 24.0, 30.0)]


def test_a_camera_without_noise_that_often_stands_still_is_not_frozen() -> None:
    monitor = ConditionMonitor(QUICK)
    quiet = [scene(3 * (index // 30), noise=0.0) for index in range(600)]  # a step every three seconds
    kinds = [monitor.push(shown(levels), Fraction(index, RATE)).kind for index, levels in enumerate(quiet)]
    assert "frozen" not in kinds


def test_a_picture_that_never_moved_is_not_frozen() -> None:
    held = shown(scene(0))
    monitor = ConditionMonitor(QUICK)
    assert {monitor.push(held, Fraction(index, RATE)).kind for index in range(200)} == {"good"}


def test_a_short_standstill_spoils_the_picture_after_it_alone() -> None:
    monitor = ConditionMonitor(QUICK)
    kinds = []
    for index in range(300):
        picture = shown(scene(200 if 200 <= index < 215 else index))
        kinds.append(monitor.push(picture, Fraction(index, RATE)).kind)
    assert spells(kinds) == [("stutter", 21.5, 21.6)]


def test_a_defocused_picture_is_blurred_until_it_is_sharp_again() -> None:
    def defocus(levels: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.GaussianBlur(levels, (0, 0), 4.0)) + NOISE[:HEIGHT, :WIDTH]

    found = spells(watch(between(20, 35, defocus), 45))
    assert [kind for kind, _, _ in found] == ["blurred"]
    assert found[0][1] == pytest.approx(22.0, abs=0.2)
    assert found[0][2] == pytest.approx(35.0, abs=0.2)


def test_less_contrast_is_not_taken_for_blur() -> None:
    kinds = watch(lambda levels, time: 120 + (levels - 120) * (1 - 0.6 * min(1.0, max(0.0, (time - 10) / 20))))
    assert "blurred" not in kinds


def flakes(levels: np.ndarray, time: float) -> np.ndarray:
    random = np.random.default_rng(round(time * RATE))
    out = levels.copy()
    for x, y in random.integers(0, [WIDTH - 4, HEIGHT - 12], (150, 2)):
        out[y : y + 10, x : x + 2] += 35
    return out


def test_streaks_all_over_the_picture_are_restless_until_the_rain_ends() -> None:
    found = spells(watch(lambda levels, time: flakes(levels, time) if 12 <= time < 25 else levels, 32))
    assert [kind for kind, _, _ in found] == ["restless"]
    assert 17 <= found[0][1] < 19
    assert 25 <= found[0][2] < 30


def test_everybody_running_at_once_is_not_rain() -> None:
    def rush(levels: np.ndarray, time: float) -> np.ndarray:
        out = levels.copy()
        for number in range(12):  # faster than their own width per frame, in every direction
            x, y = (20 * number + 90 * (time - 12)) % WIDTH, 10 + 13 * number
            out[y : y + 20, int(x) : int(x) + 8] = 30 + 15 * number
        return out if 12 <= time < 16 else levels

    assert "restless" not in watch(rush, 22)


def test_more_noise_at_night_is_not_rain() -> None:
    monitor = ConditionMonitor(QUICK)
    kinds = [
        monitor.push(shown(scene(index, noise=1.0 if index < 150 else 3.0)), Fraction(index, RATE)).kind
        for index in range(300)
    ]
    assert set(kinds) == {"good"}


def test_a_gap_between_pictures_is_no_lighting_change() -> None:
    monitor = ConditionMonitor(QUICK)
    kinds = []
    for index in range(200):
        pts = Fraction(index, RATE) + (600 if index >= 100 else 0)
        kinds.append(monitor.push(shown(scene(index) * (0.5 if index >= 100 else 1.0)), pts).kind)
    assert set(kinds) == {"good"}


def test_pictures_of_another_size_go_on_with_the_same_camera() -> None:
    monitor = ConditionMonitor(QUICK)
    kinds = []
    for index in range(200):
        picture = shown(scene(index))
        if index >= 100:
            picture = np.asarray(cv2.resize(picture, (640, 360), interpolation=cv2.INTER_LINEAR))
        kinds.append(monitor.push(picture, Fraction(index, RATE)).kind)
    assert set(kinds[:100]) == {"good"}
    assert "dark_or_covered" not in kinds


@settings(max_examples=10)
@given(st.lists(st.tuples(st.integers(1, 60), st.floats(0.2, 2.0)), min_size=1, max_size=12))
def test_no_lighting_change_lasts_longer_than_ten_seconds(steps: list[tuple[int, float]]) -> None:
    small = cv2.resize(BACKGROUND.astype(np.float32), (96, 54), interpolation=cv2.INTER_AREA)
    monitor = ConditionMonitor()
    kinds, index = [], 0
    for length, gain in [(30, 1.0), *steps]:
        for _ in range(length):
            noise = np.random.default_rng(index).normal(0, 1, small.shape)
            kinds.append(monitor.push(shown(small * gain + noise), Fraction(index, RATE)).kind)
            index += 1
    longest = max((end - start for kind, start, end in spells(kinds) if kind == "lighting_change"), default=0.0)
    assert longest <= 10.0


def test_a_lamp_that_never_stops_flickering_is_one_change_of_ten_seconds() -> None:
    kinds = watch(lambda levels, time: levels * (0.6 + 0.4 * (round(time * RATE) // 5 % 2)) if time >= 12 else levels)
    lighting = [spell for spell in spells(kinds) if spell[0] == "lighting_change"]
    assert len(lighting) == 1
    assert lighting[0][2] - lighting[0][1] == pytest.approx(10.0, abs=0.2)


@settings(max_examples=6, phases=[Phase.generate])
@given(gain=st.floats(0.45, 1.5), offset=st.floats(-15, 25))
def test_what_is_found_does_not_depend_on_the_brightness_of_the_scene(gain: float, offset: float) -> None:
    def dim(levels: np.ndarray, time: float) -> np.ndarray:
        hidden = close_by(levels, 0.95, 60.0) if 12 <= time < 16 else levels
        return hidden * gain + offset

    assert spells(watch(dim, 18)) == [("dark_or_covered", 13.0, 16.0)]


def test_a_grey_picture_is_infrared_and_a_coloured_one_is_not() -> None:
    grey = np.repeat(shown(scene(0))[..., None], 3, axis=2)
    coloured = grey.copy()
    coloured[60:90, 100:160] = (40, 90, 200)
    assert is_infrared(grey) is True
    assert is_infrared(np.clip(grey + np.array([6, 0, 2]), 0, 255).astype(np.uint8)) is True  # a tint is no colour
    assert is_infrared(coloured) is False
    assert is_infrared(grey // 16) is None

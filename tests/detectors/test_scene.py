"""What belongs to the scene is measured there: how large and how fast normal things are, at any frame rate."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import scene as scene_module
from detectors.scene import SceneMeasure, choose_windows, measure_scene, scale_at
from preprocess.pictures import Picture
from tests.scenes import Body, Scene, walkers

FACTOR = 1.5


def close(value: float, truth: float) -> bool:
    return truth / FACTOR < value < truth * FACTOR


@pytest.mark.parametrize(
    ("width", "height", "body", "speed"),
    [(160, 120, 12, 30), (320, 180, 12, 40), (320, 180, 30, 60), (160, 120, 16, 20), (640, 360, 70, 60)],
)
def test_bodies_and_their_speed_are_measured(width: int, height: int, body: float, speed: float) -> None:
    measure = measure_scene(walkers(5, width=width, height=height, body=body, speed=speed).film(10, 6))
    assert (measure.width, measure.height, measure.period) == (width, height, Fraction(1, 10))
    assert close(measure.body, body)
    assert close(measure.speed, speed)
    assert measure.speed <= measure.fast_speed < 2 * speed


def test_the_measure_does_not_hang_on_the_frame_rate() -> None:
    scene = walkers(5, width=240, height=136, body=14, speed=36)
    measures = {rate: measure_scene(scene.film(rate, 5)) for rate in (10, 15, 30)}
    for rate, measure in measures.items():
        assert measure.period == Fraction(1, rate)
        assert close(measure.body, 14)
        assert close(measure.speed, 36)
        assert measure.fast_speed == pytest.approx(measures[10].fast_speed, rel=0.15)


def test_pictures_larger_than_the_analysis_are_measured_in_their_own_pixels() -> None:
    scene = walkers(3, width=1280, height=200, body=40, speed=160)
    measure = measure_scene(scene.film(10, 2))
    assert measure.width == 1280
    assert close(measure.body, 40)
    assert close(measure.speed, 160)


def test_where_nothing_moves_nothing_is_measured_and_the_defaults_serve() -> None:
    measure = measure_scene(Scene(width=320, height=180).film(10, 4))
    assert (measure.body, measure.speed, measure.fast_speed) == (None, None, None)
    windows = choose_windows(measure)
    assert (windows.width, windows.height, windows.spacing) == (320, 176, Fraction(1, 10))
    body, step = scale_at(measure, windows)
    assert 5 < body < 20
    assert 0.5 < step < body


def test_a_lamp_that_blinks_is_no_reason_to_fail() -> None:
    dark = np.full((64, 96), 60, np.uint8)
    lit = dark.copy()
    cv2.circle(lit, (40, 30), 10, 200, -1)
    pictures = [Picture(lit if n % 4 == 3 else dark, Fraction(n, 10), 0) for n in range(60)]
    measure = measure_scene(pictures)
    for value in (measure.body, measure.speed, measure.fast_speed):
        assert value is None or np.isfinite(value)
    assert choose_windows(measure).spacing > 0


def test_flow_of_exactly_zero_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    class Still:
        def calc(self, old: np.ndarray, new: np.ndarray, start: None) -> np.ndarray:
            return np.zeros((*new.shape, 2), np.float32)

    monkeypatch.setattr(scene_module.cv2.DISOpticalFlow, "create", lambda _: Still())
    measure = measure_scene(walkers().film(10, 4))
    assert choose_windows(measure).spacing > 0


def test_a_first_segment_of_one_picture_does_not_hide_the_rest() -> None:
    scene = walkers()
    measure = measure_scene(scene.film(10, 0.1) + scene.film(10, 4, start=1, segment=1))
    assert measure.period == Fraction(1, 10)
    assert close(measure.body, 8)


@pytest.mark.parametrize("pictures", [[], Scene().film(10, 0.1)], ids=["none", "one"])
def test_fewer_than_two_pictures_cannot_be_measured(pictures: list[Picture]) -> None:
    with pytest.raises(ValueError, match="at least two pictures"):
        measure_scene(pictures)


def test_steps_between_segments_are_no_motion() -> None:
    scene = Scene(seed=1)
    other = Scene(seed=2, bodies=(Body(12, 0, start=30, top=20),))
    pictures = [p for n in range(20) for p in (scene if n % 2 else other).film(10, 0.1, start=n, segment=n)]
    pictures += scene.film(10, 2, start=30, segment=99)
    assert measure_scene(pictures).speed is None


SIZES = st.tuples(st.integers(96, 4000), st.integers(64, 2200)).filter(lambda size: 0.4 < size[0] / size[1] < 4)
MEASURES = st.builds(
    lambda size, body, speed, rate: SceneMeasure(body, speed, speed and 1.6 * speed, *size, Fraction(1, rate)),
    SIZES,
    st.none() | st.floats(2, 400),
    st.none() | st.floats(0.1, 5000),
    st.integers(1, 120),
)


@given(MEASURES)
def test_chosen_windows_fit_the_networks_and_are_bounded_and_never_enlarged(measure: SceneMeasure) -> None:
    windows = choose_windows(measure)
    assert windows.width % 8 == windows.height % 8 == 0
    assert windows.width <= measure.width
    assert windows.height <= measure.height
    assert windows.width * windows.height <= 1.06 * scene_module.LARGEST_AREA
    assert windows.width * windows.height >= 0.85 * min(scene_module.SMALLEST_AREA, measure.width * measure.height)
    assert windows.spacing > 0
    assert (windows.spacing / measure.period).denominator == 1
    assert windows.spacing <= max(measure.period, Fraction(1, 10) + measure.period / 4)
    assert windows.width / windows.height == pytest.approx(measure.width / measure.height, rel=0.2)


def test_large_bodies_are_looked_at_smaller_than_small_ones() -> None:
    def measure(body: float) -> SceneMeasure:
        return SceneMeasure(body, 60, 90, 640, 360, Fraction(1, 30))

    near, far = choose_windows(measure(54)), choose_windows(measure(26))
    assert near.width < far.width < 640
    for body, windows in ((54, near), (26, far)):
        core, _ = scale_at(measure(body), windows)
        assert core == pytest.approx(scene_module.CORE_SHARE * body * windows.width / 640, rel=0.05)


def test_bodies_come_out_at_the_size_the_networks_know() -> None:
    measure = SceneMeasure(32, 60, 90, 640, 360, Fraction(1, 30))
    core, _ = scale_at(measure, choose_windows(measure))
    assert core == pytest.approx(scene_module.CORE_SHARE * scene_module.BODY_TARGET, rel=0.1)


def test_fast_things_are_looked_at_closer_in_time() -> None:
    slow = SceneMeasure(20, 20, 30, 640, 360, Fraction(1, 30))
    fast = replace(slow, speed=100, fast_speed=150)
    assert choose_windows(fast).spacing < choose_windows(slow).spacing <= Fraction(1, 10)


def test_the_literature_s_spacing_is_found_at_ten_frames_a_second() -> None:
    measure = SceneMeasure(12, 15, 25, 360, 240, Fraction(1, 10))
    assert choose_windows(measure).spacing == Fraction(1, 10)


def test_a_camera_slower_than_the_longest_spacing_is_looked_at_frame_by_frame() -> None:
    measure = SceneMeasure(12, 15, 25, 360, 240, Fraction(1, 2))
    assert choose_windows(measure).spacing == Fraction(1, 2)


def test_the_channels_asked_for_are_the_channels_chosen() -> None:
    measure = SceneMeasure(12, 15, 25, 360, 240, Fraction(1, 10))
    assert choose_windows(measure, mode="mean").mode == "mean"
    assert choose_windows(measure).mode == "difference"
    small = choose_windows(measure, largest_area=30_000)
    assert small.width * small.height < 32_000


def test_a_fast_step_is_told_in_working_pixels() -> None:
    measure = SceneMeasure(20, 60, 80, 640, 360, Fraction(1, 10))
    windows = choose_windows(measure)
    _, step = scale_at(measure, windows)
    assert step == pytest.approx(80 * windows.width / 640 * float(windows.spacing), rel=0.05)


def doubled(pictures: list[Picture], times: int = 2) -> list[Picture]:
    """Every picture stored so many times, at as many times the rate."""
    step = (pictures[1].pts - pictures[0].pts) / times
    return [replace(picture, pts=picture.pts + n * step) for picture in pictures for n in range(times)]


@pytest.mark.parametrize("times", [2, 3])
def test_pictures_that_are_stored_several_times_do_not_shorten_the_period(times: int) -> None:
    pictures = walkers(5, width=240, height=136, body=14, speed=36).film(10, 6)
    once, several = measure_scene(pictures), measure_scene(doubled(pictures, times))
    assert several.period == once.period == Fraction(1, 10)
    assert several.fast_speed == pytest.approx(once.fast_speed, rel=0.2)
    assert choose_windows(several).spacing == choose_windows(once).spacing


def test_a_still_scene_keeps_the_period_of_its_frames() -> None:
    scene = Scene(width=320, height=180)
    assert measure_scene(scene.film(25, 4)).period == Fraction(1, 25)
    still = scene.film(25, 3) + walkers(2, width=320, height=180).film(25, 1, start=3)
    assert measure_scene(still).period == Fraction(1, 25)

"""What can happen to a generated camera: each disturbance does what it says, at its time and at no other."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from samples import Painter, SceneError, SceneSettings, plan_scene
from samples.clip import Encoding, write_clip
from samples.commands import main, parse_disturbance
from samples.disturbances import DISTURBANCES, NOTES, Disturbance, Disturbed

if TYPE_CHECKING:
    from pathlib import Path

SCENE = SceneSettings(seed=5, layout="walkway", width=160, height=96, duration=60, density=4)
START, LENGTH = 10.0, 20.0


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter(plan_scene(SCENE))


@pytest.fixture(scope="module")
def grey() -> Painter:
    return Painter(plan_scene(SCENE), grey=True)


def seen(painter: Painter, name: str, time: float, seed: int = 0) -> np.ndarray:
    disturbed = Disturbed(painter, Disturbance(name, START, LENGTH, seed))
    return disturbed.paint(Fraction(time).limit_denominator(1000)).picture.astype(np.float64)


def plain(painter: Painter, time: float) -> np.ndarray:
    return painter.paint(Fraction(time).limit_denominator(1000)).picture.astype(np.float64)


@pytest.mark.parametrize("name", [name for name in DISTURBANCES if name != "dawn"])
def test_before_and_long_after_it_the_picture_is_the_undisturbed_one(painter: Painter, name: str) -> None:
    for time in (3.0, START - 0.1, START + LENGTH + 10):
        assert np.array_equal(seen(painter, name, time), plain(painter, time))


@pytest.mark.parametrize("name", DISTURBANCES)
def test_equal_seeds_and_times_give_equal_pictures(painter: Painter, name: str) -> None:
    assert np.array_equal(seen(painter, name, 17.0, seed=4), seen(painter, name, 17.0, seed=4))


@pytest.mark.parametrize("name", DISTURBANCES)
def test_every_disturbance_changes_the_picture_while_it_lasts(painter: Painter, name: str) -> None:
    assert not np.array_equal(seen(painter, name, 17.3), plain(painter, 17.3))


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_grey_scene_stays_grey_and_keeps_its_size(grey: Painter, name: str) -> None:
    picture = Disturbed(grey, Disturbance(name, START, LENGTH)).frame(170).picture
    assert picture.shape == (96, 160)
    assert picture.dtype == np.uint8


def test_the_lamps_go_off_within_one_frame_and_the_exposure_follows(painter: Painter) -> None:
    lit, off, later = plain(painter, 9.9).mean(), seen(painter, "light_switch", 10.0), seen(painter, "light_switch", 14)
    assert off.mean() < 0.4 * lit
    assert 0.5 * lit < later.mean() < 0.8 * lit


def test_the_night_view_has_no_colour(painter: Painter) -> None:
    assert np.ptp(seen(painter, "infrared", 20.0), axis=2).max() == 0
    assert np.ptp(plain(painter, 20.0), axis=2).max() > 20


def test_dawn_has_no_step_anywhere(painter: Painter) -> None:
    means = np.array([seen(painter, "dawn", time).mean() for time in np.arange(9, 32, 0.5)])
    assert means[-1] > 2.5 * means[0]
    assert np.abs(np.diff(means)).max() < 5


@pytest.mark.parametrize("name", ["rain", "snow"])
def test_weather_is_many_small_changes_all_over_the_picture(painter: Painter, name: str) -> None:
    change = np.abs(seen(painter, name, 20.0) - plain(painter, 20.0)).mean(axis=2)
    touched = change > 6
    assert 0.001 < touched.mean() < 0.3
    halves = [part.any() for part in np.array_split(touched, 2, axis=1)]
    assert all(halves)


def test_a_covered_camera_sees_a_dark_plain_picture_with_noise(painter: Painter) -> None:
    picture = seen(painter, "covered", 20.0)
    assert picture.mean() < 40
    assert 0.3 < picture.std() < 3


def test_a_frozen_camera_gives_one_picture_again_and_again(painter: Painter) -> None:
    disturbed = Disturbed(painter, Disturbance("frozen", START, LENGTH))
    frames = [disturbed.frame(index) for index in (100, 130, 299)]
    assert [frame.index for frame in frames] == [100, 130, 299]
    assert len({frame.pts for frame in frames}) == 3
    assert all(np.array_equal(frames[0].picture, frame.picture) for frame in frames)


def test_someone_close_by_takes_about_two_fifths_of_the_picture(painter: Painter) -> None:
    share = (np.abs(seen(painter, "close_by", 20.0) - plain(painter, 20.0)).mean(axis=2) > 12).mean()
    assert 0.3 < share < 0.5


@pytest.mark.parametrize(("name", "start", "seconds"), [("hail", 1, 1), ("rain", -1, 1), ("rain", 1, 0)])
def test_a_disturbance_that_cannot_be_is_refused(name: str, start: float, seconds: float) -> None:
    with pytest.raises(SceneError, match=name):
        Disturbance(name, start, seconds)


def test_a_disturbed_clip_is_written_and_its_truth_stays(tmp_path: Path) -> None:
    settings = replace(SCENE, duration=3.0)
    fast = Encoding(preset="ultrafast", grey=True)
    write_clip(settings, tmp_path / "dark.mp4", encoding=fast, disturbance=Disturbance("black", 1.0, 1.0))
    with av.open(str(tmp_path / "dark.mp4")) as container:
        means = [frame.to_ndarray(format="gray").mean() for frame in container.decode(video=0)]
    assert max(means[10:20]) < 20
    assert min(means[:10] + means[20:]) > 60


def test_the_command_line_knows_disturbances(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["disturbances"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in DISTURBANCES)
    assert set(NOTES) == set(DISTURBANCES)
    small = ["--size", "64x64", "--seconds", "1", "--density", "0", "--events", "none"]
    assert main(["clip", str(tmp_path / "x.mp4"), *small, "--disturbance", "black@0.5+0.5"]) == 0


@pytest.mark.parametrize("text", ["rain", "rain@3", "hail@3+4", "rain@x+4", "rain@1.2.3+4"])
def test_a_disturbance_misspelt_says_how_to_write_it(text: str) -> None:
    with pytest.raises(SceneError, match=r"rain@35\+20"):
        parse_disturbance(text, 0)


def test_a_disturbance_is_read_as_name_start_and_length() -> None:
    assert parse_disturbance("rain@35+20.5", 7) == Disturbance("rain", 35.0, 20.5, 7)
    assert parse_disturbance(None, 7) is None

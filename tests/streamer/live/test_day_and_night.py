"""A live camera through dusk and dawn: day and night are learned apart, and a switch raises no anomaly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from samples.clip import write_clip
from samples.settings import SceneSettings
from streamer.frames import Frame
from streamer.live.config import CameraConfig, LiveConfig
from streamer.live.health import HealthSettings
from streamer.live.learned_state import LearnedState
from streamer.live.lights import LONGEST_DOUBT, SURE_AFTER, CameraLights, School
from streamer.live.notices import CameraState
from streamer.live.run import LiveTimes
from tests.streamer.live.live_run import QUICK, Run, commanded_camera, infrared

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(240)

WATCHING, LEARNING = CameraState.WATCHING, CameraState.LEARNING
TIMES = LiveTimes(
    health=HealthSettings(lighting_gap=2.0, settle=0.5),
    learn_budget=4.0,
    connect_seconds=QUICK.connect_seconds,
    least_wait=QUICK.least_wait,
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """Shown there and back again in four seconds: all that is normal is seen while learning."""
    clip = tmp_path_factory.mktemp("scene") / "normal.mp4"
    write_clip(SceneSettings(seed=41, layout="plaza", width=320, height=180, duration=2.0), clip)
    with av.open(str(clip)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def test_day_and_night_are_learned_apart_and_no_switch_raises_an_anomaly(
    pictures: list[np.ndarray], tmp_path: Path
) -> None:
    with commanded_camera(pictures) as camera:
        gate = {"name": "gate", "uri": camera.uri, "learn": "4s"}
        config = LiveConfig.model_validate({"output": tmp_path / "out", "cameras": [gate]})
        with Run(config, times=TIMES) as run:
            watched = run.run.cameras["gate"]
            run.wait_for("gate", WATCHING, seconds=60)
            run.wait_scored("gate")
            day = watched._latest
            assert day is not None

            camera.infrared = True
            run.wait_for("gate", LEARNING)
            run.wait_for("gate", WATCHING, seconds=60)
            run.wait_scored("gate", 15)
            night = watched._latest
            assert night is not None
            assert night.model is not day.model
            assert watched.lights.provisional(night)
            told = [m for m in run.events("gate", "lighting_change") if m.kind == "new"]
            assert len(told) == 1
            assert "colour or infrared" in told[0].event["detail"]

            camera.infrared = False
            run.wait(lambda: watched.lights.light == "colour")
            run.wait_scored("gate", 15)
            assert watched._latest is not None
            assert watched._latest.model is day.model
        states = [m.document["state"] for m in run.messages() if m.kind == "state"]
        assert states.count("learning") == 2  # by day, by night, and never again
        assert len([m for m in run.events("gate", "lighting_change") if m.kind == "new"]) == 2
        assert run.events("gate", "anomaly") == []
    state = json.loads((tmp_path / "out" / "gate.avid" / "learned" / "state.json").read_text())
    assert set(state["lights"]) == {"colour", "infrared"}


@dataclass(frozen=True)
class Shown:
    """A picture as the sources give it."""

    picture: np.ndarray

    def bgr(self) -> np.ndarray:
        return self.picture


class Looking:
    """The lights of a camera that sees what it is told to, ten pictures a second."""

    def __init__(self, folder: Path) -> None:
        config = CameraConfig.model_validate({"name": "gate", "uri": "rtsp://gate/stream"})
        school = School(None, None, 1.0, 0, print, lambda: False, lambda: datetime.now(UTC))  # type: ignore[arg-type]
        self.lights = CameraLights(config, school, LearnedState(folder), learned={})
        self.pts = Fraction(0)

    def show(self, picture: np.ndarray, seconds: float) -> list[bool]:
        """Whether each picture was in doubt."""
        doubts = []
        for _ in range(round(10 * seconds)):
            luma = (picture @ np.array([0.114, 0.587, 0.299])).astype(np.uint8)
            self.lights.look(Frame("gate", 0, self.pts, None, 0, luma, Shown(picture), corrupt=False))  # type: ignore[arg-type]
            doubts.append(self.lights.in_doubt)
            self.pts += Fraction(1, 10)
        return doubts


def by_night(picture: np.ndarray) -> np.ndarray:
    return np.repeat(infrared(picture)[:, :, None], 3, axis=2)


def test_a_switch_is_doubted_from_its_first_picture_and_believed_a_little_later(
    pictures: list[np.ndarray], tmp_path: Path
) -> None:
    camera = Looking(tmp_path)
    assert not any(camera.show(pictures[0], 2.5))
    doubts = camera.show(by_night(pictures[0]), SURE_AFTER + 0.5)
    assert doubts[0]
    assert not doubts[-1]
    assert camera.lights.light == "infrared"


def test_a_grey_thing_that_passes_close_is_no_night(pictures: list[np.ndarray], tmp_path: Path) -> None:
    camera = Looking(tmp_path)
    camera.show(pictures[0], 1.5)
    assert camera.show(by_night(pictures[0]), SURE_AFTER - 0.5)[0]
    assert not any(camera.show(pictures[0], 5.0))
    assert camera.lights.light == "colour"


def test_a_covered_camera_stays_in_its_light(pictures: list[np.ndarray], tmp_path: Path) -> None:
    camera = Looking(tmp_path)
    camera.show(pictures[0], 1.5)
    assert not any(camera.show(np.full_like(pictures[0], 90), 10.0))
    assert camera.lights.light == "colour"


def test_going_to_and_fro_does_not_keep_a_camera_quiet(pictures: list[np.ndarray], tmp_path: Path) -> None:
    camera = Looking(tmp_path)
    camera.show(pictures[0], 1.5)
    for _ in range(round(LONGEST_DOUBT)):
        camera.show(by_night(pictures[0]), 1.0)
        camera.show(pictures[0], 0.2)
    assert not any(camera.show(by_night(pictures[0]), 1.0))
    camera.show(pictures[0], 70.0)
    assert camera.show(by_night(pictures[0]), 1.0)[0]

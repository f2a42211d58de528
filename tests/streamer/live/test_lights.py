"""Which light a camera is in, from its first doubt to the switch, and what is told of a camera that starts again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from streamer.frames import Frame
from streamer.live.colour_watch import LONGEST_DOUBT, SURE_AFTER
from streamer.live.config import CameraConfig
from streamer.live.learned_state import LearnedState
from streamer.live.lights import CameraLights, School
from tests.streamer.live.live_run import infrared

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def pictures() -> list[np.ndarray]:
    """One coloured picture with some structure."""
    random = np.random.default_rng(3)
    return [cv2.resize(random.integers(40, 200, (9, 16, 3), dtype=np.uint8), (320, 180))]


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
        self.said: list[str] = []
        self.jobs: list[Callable[[], None]] = []
        learning = SimpleNamespace(give=lambda job, **_: self.jobs.append(job) or True)
        say = self.said.append
        school = School(learning, None, 1.0, 0, say, say, lambda: False, lambda: datetime.now(UTC))  # type: ignore[arg-type]
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


def test_a_camera_that_starts_again_says_so_in_one_line(tmp_path: Path) -> None:
    camera = Looking(tmp_path)
    for second_start in (0.0, 1800.0):
        learner = SimpleNamespace(due=True, snapshot=lambda: SimpleNamespace(second_start=second_start))  # noqa: B023
        camera.lights._refresh(camera.lights._known["colour"], learner)  # type: ignore[arg-type]
    assert len(camera.said) == 1
    assert camera.said[0].startswith("gate: most of the last 30 minutes alarmed")
    assert "avid-watch relearn gate" in camera.said[0]


def test_the_end_of_learning_is_written_down_once_and_again_at_a_polite_end(tmp_path: Path) -> None:
    camera, saved = Looking(tmp_path), []
    learner = SimpleNamespace(over=False, due=False, look=lambda *_: None)
    learner.take = lambda *_: setattr(learner, "over", True)  # its last hour ends without a refresh
    lights: Any = camera.lights
    watching = SimpleNamespace(model=SimpleNamespace(detector=object()))
    lights._known["colour"].watching = watching
    lights._knowledge = SimpleNamespace(
        learner=lambda light: learner if light == "colour" else None, learned=lambda: {"colour": "all of it"}
    )
    lights._state = SimpleNamespace(save=lambda learned, *_: saved.append(learned))
    evidence = [SimpleNamespace(statistic=(), scores=None)]
    for _ in range(2):
        lights.hear(watching, [], [], [], [], evidence)
        while camera.jobs:
            camera.jobs.pop(0)()
    assert saved == [{"colour": "all of it"}]
    lights.close()
    camera.jobs.pop(0)()
    assert len(saved) == 2


def test_a_camera_that_learned_nothing_leaves_no_state(tmp_path: Path) -> None:
    camera = Looking(tmp_path)
    camera.lights.close()
    assert not camera.jobs

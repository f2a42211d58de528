"""A whole live run through dusk and dawn: day and night are learned apart, and a switch raises no anomaly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import av
import pytest

from samples.clip import write_clip
from samples.settings import SceneSettings
from streamer.live.config import LiveConfig
from streamer.live.health import HealthSettings
from streamer.live.notices import CameraState
from streamer.live.run import LiveTimes
from tests.streamer.live.live_run import QUICK, Run, commanded_camera

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

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

"""A tiny data set of the user's own kind, and networks that a test can fit in a moment."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detectors import fitting
from detectors.avid import validation
from streamer.networks import TorchNetworks
from streamer.requests import EvaluateRequest
from streamer.settings import EvaluateSettings
from tests.scenes import CPU32, Body, tiny_base, tiny_settings, walkers

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from detectors.scene_model import SceneModel
    from tests.scenes import Scene

SCENE = walkers()
RUNNER = Body(width=22, speed=60, start=-84, top=8, brightness=90, tall=2.0)
INTRUDED = replace(SCENE, bodies=(*SCENE.bodies, RUNNER))
NORMAL_FRAMES, QUIET_FRAMES, RUN_FRAMES, RUN_FROM = 70, 20, 30, 15


def write_set(root: Path) -> Path:
    """Normal footage, a quiet test clip and one that somebody large runs through, with masks of every frame."""
    write_clip(root / "normal" / "monday", [SCENE] * NORMAL_FRAMES)
    write_clip(root / "test" / "quiet", [SCENE] * QUIET_FRAMES, first=200)
    scenes = [SCENE] * RUN_FROM + [INTRUDED] * (RUN_FRAMES - RUN_FROM)
    write_clip(root / "test" / "run", scenes, first=300)
    for number, scene in enumerate(scenes):
        time = (300 + number) / 10
        changed = cv2.absdiff(scene.luma(time), SCENE.luma(time)) > 12
        write_picture(root / "masks" / "run" / f"{number:03}.png", np.where(changed, 255, 0).astype(np.uint8))
    return root


def write_clip(folder: Path, scenes: list[Scene], first: int = 0) -> None:
    """Pictures at 10 a second from picture ``first`` of the scene on."""
    for number, scene in enumerate(scenes):
        write_picture(folder / f"{number:03}.png", scene.luma((first + number) / 10))


def write_picture(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


@lru_cache(maxsize=1)
def _base() -> SceneModel:
    return tiny_base()


class TinyNetworks(TorchNetworks):
    """The real door to the networks with a tiny base model; counts what was fitted."""

    def __init__(self, settings: EvaluateSettings) -> None:
        super().__init__(settings)
        self._runtime = CPU32
        self._base = _base()
        self.seeds_fitted: list[int] = []
        self.resumed: list[bool] = []

    def fit(self, footage, settings, files, *, progress, stop):
        self.seeds_fitted.append(settings.seed)
        self.resumed.append(settings.resume)
        return super().fit(footage, settings, files, progress=progress, stop=stop)


def tiny_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit with networks a test can train."""
    monkeypatch.setattr(fitting, "recipe", lambda _: tiny_settings())
    monkeypatch.setattr(fitting, "CHECKPOINTS", 2)
    monkeypatch.setattr(fitting, "save_loss_curve", lambda *_: None)
    monkeypatch.setattr(validation, "BATCHES", 1)
    monkeypatch.setattr(validation, "CROPS", 4)


def request_for(root: Path, out: Path, **settings: object) -> EvaluateRequest:
    values = {"steps": 3, "out": out, **settings}
    if values.get("model") is not None:
        del values["steps"]
    return EvaluateRequest("custom", root, EvaluateSettings(**values))

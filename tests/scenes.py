"""Small synthetic scenes for tests: textured bodies that cross a textured background, at any moment of time.

What is seen depends on the time alone, so that one scene can be filmed at any frame rate; every draw comes from a seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from detectors.avid.batches import TrainingScene
from detectors.avid.detector import DetectorSettings, light_layers
from detectors.avid.inpainter import InpainterSettings
from detectors.avid.settings import AvidSettings, TrainingSettings
from detectors.avid.simulate import SceneScale
from detectors.avid.system import Avid
from detectors.avid.training import AvidTrainer
from detectors.bank import WindowBank, build_bank
from detectors.calibration import TailPrior
from detectors.checkpoint import ModelHeader, current_versions
from detectors.evidence import Fusion
from detectors.inference import Runtime
from detectors.scene_model import DECISIONS, Knowledge, SceneModel, preprocessing_json
from preprocess.pictures import Picture, WindowSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

CPU32 = Runtime(torch.device("cpu"), torch.float32)


@dataclass(frozen=True)
class Body:
    """Something that crosses the picture at a constant speed, and again and again.

    ``start`` is its left edge at time 0 and ``top`` its upper edge, pixels; ``speed`` in pixels per second, negative to
    the left. It is there between ``since`` and ``until``, seconds.
    """

    width: float
    speed: float
    start: float
    top: float
    since: float = 0.0
    until: float = float("inf")
    brightness: float = 70.0
    tall: float = 2.2
    texture: float = 12.0


@dataclass(frozen=True)
class Scene:
    """A fixed camera, its background and the bodies before it."""

    width: int = 96
    height: int = 64
    bodies: tuple[Body, ...] = ()
    noise: float = 1.0
    seed: int = 0
    background: NDArray[np.float32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        rough = random.normal(0, 1, (self.height, self.width)).astype(np.float32)
        smooth = cv2.GaussianBlur(rough, (0, 0), 3.0)
        object.__setattr__(self, "background", 125 + 10 * smooth / smooth.std())

    def luma(self, time: float) -> NDArray[np.uint8]:
        """The picture at a moment, ``(H, W)`` uint8."""
        picture = self.background.copy()
        for number, body in enumerate(self.bodies):
            if body.since <= time < body.until:
                self._draw(picture, body, number, time)
        noise = np.random.default_rng([self.seed, round(time * 1e6)]).normal(0, self.noise, picture.shape)
        return np.clip(picture + noise, 0, 255).round().astype(np.uint8)

    def _draw(self, picture: NDArray[np.float32], body: Body, number: int, time: float) -> None:
        width, height = round(body.width), round(body.width * body.tall)
        texture = np.random.default_rng([self.seed, number]).normal(0, 1, (height, width)).astype(np.float32)
        texture = cv2.GaussianBlur(texture, (0, 0), 1.0)
        sprite = texture / texture.std() * body.texture + 125 + body.brightness
        way = self.width + 2 * width
        left = (body.start + width + body.speed * time) % way - width
        shift = np.array([[1, 0, left], [0, 1, body.top]], np.float32)
        size = (self.width, self.height)
        there = cv2.warpAffine(np.ones_like(sprite), shift, size)
        seen = cv2.warpAffine(sprite, shift, size, borderMode=cv2.BORDER_REPLICATE)
        picture += there * (seen - picture)

    def film(
        self, rate: Fraction | int, seconds: float, *, start: Fraction | int = 0, segment: int = 0
    ) -> list[Picture]:
        """Pictures at a constant frame rate, from ``start`` seconds on."""
        return self.film_at([start + Fraction(n) / rate for n in range(round(seconds * rate))], segment)

    def film_at(self, times: Iterable[Fraction], segment: int = 0) -> list[Picture]:
        """Pictures at given times."""
        return [Picture(self.luma(float(time)), Fraction(time), segment) for time in times]


class Recorded:
    """Footage held in memory; counts how often it is opened and closed."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self.recorded = pictures
        self.opened = self.closed = 0

    def pictures(self) -> _Stream:
        self.opened += 1
        return _Stream(self)


class _Stream:
    def __init__(self, footage: Recorded) -> None:
        self._footage = footage
        self._pictures: Iterator[Picture] = iter(footage.recorded)

    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> Picture:
        return next(self._pictures)

    def close(self) -> None:
        self._footage.closed += 1


def walkers(
    count: int = 4, *, width: int = 96, height: int = 64, body: float = 8.0, speed: float = 14.0, seed: int = 0
) -> Scene:
    """A scene where ``count`` bodies of about one size walk left and right at about one speed."""
    random = np.random.default_rng(seed + 100)
    bodies = tuple(
        Body(
            width=body * random.uniform(0.9, 1.1),
            speed=speed * random.uniform(0.8, 1.2) * (1 if n % 2 else -1),
            start=random.uniform(0, width),
            top=random.uniform(0.05 * height, max(0.06 * height, 0.95 * height - 2.4 * body)),
            brightness=float(random.choice([-60.0, 60.0])),
        )
        for n in range(count)
    )
    return Scene(width, height, bodies, seed=seed)


def tiny_settings(**training: object) -> AvidSettings:
    """AVID with networks a test can train in a moment."""
    recipe = {"batch": 6, "inpainter_crop": 32, "detector_crop": 48, "history": 8} | training
    return AvidSettings(
        inpainter=InpainterSettings(channels=(4, 8)),
        detector=DetectorSettings(layers=light_layers(widths=(4, 4, 8, 8, 8, 8), context_dilations=())),
        training=TrainingSettings(**recipe),
    )


def tiny_bank(scene: Scene | None = None, *, seconds: float = 8.0, rate: int = 10) -> WindowBank:
    """A bank of a scene at its own size, 10 pictures a second and s = 0.1 s."""
    scene = scene if scene is not None else walkers()
    windows = WindowSettings(Fraction(1, 10), scene.width, scene.height)
    return build_bank(scene.film(rate, seconds), windows)


TINY_SCALE = SceneScale(body=8.0, step=1.6)


def trained_weights(settings: AvidSettings, bank: WindowBank, steps: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights after a few steps on one scene."""
    trainer = AvidTrainer(settings, [TrainingScene(bank, TINY_SCALE)], seed=seed)
    for step in range(steps):
        trainer.step(step / steps)
    return trainer.weights()


def tiny_base(steps: int = 0, settings: AvidSettings | None = None) -> SceneModel:
    """A base model: networks after a few steps on some scene, tails as assumed, no scene learned."""
    settings = settings if settings is not None else tiny_settings()
    bank = tiny_bank(walkers(seed=50))
    windows = bank.settings
    detector = Avid(settings, trained_weights(settings, bank, steps), blur=6.0, runtime=CPU32)
    knowledge = Knowledge(Fusion(), 0.2, {decision: TailPrior() for decision in DECISIONS}, {}, None)
    header = ModelHeader(
        detector=Avid.name,
        detector_settings={**settings.to_json(), "blur_pixels": detector.blur},
        preprocessing=preprocessing_json(windows),
        calibration=knowledge.to_json(),
        versions=current_versions(),
        trained_on={"scenes": "synthetic"},
    )
    return SceneModel(detector, windows, knowledge, header, "tiny base")

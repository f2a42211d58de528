"""What the light and the sensor do to a picture: slow drifts of brightness, cloud shadows, and noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from samples.noise import Field, fractal

if TYPE_CHECKING:
    from fractions import Fraction

    from samples.drawing import Pixels

_CLOUD_ROWS, _CLOUD_COLUMNS = 24, 96
_MARGIN = 97
_CLOCK = 90_000


class Light:
    """Brightness over time: a factor for every pixel, near 1.

    Args:
        rng: decides.
        size: ``(width, height)`` of the picture.
        indoors: lamps drift less than the sun, and no cloud passes.
    """

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], *, indoors: bool) -> None:
        self._size = size
        self._drift = rng.uniform(0.004, 0.012) if indoors else rng.uniform(0.008, 0.03)
        self._periods = rng.uniform([25.0, 60.0], [60.0, 180.0])
        self._phases = rng.uniform(0, 2 * math.pi, 2)
        self._clouds = cv2.GaussianBlur(fractal(rng, _CLOUD_ROWS, _CLOUD_COLUMNS, 2.0), (5, 5), 1.2)
        self._depth = 0.0 if indoors else rng.uniform(0.0, 0.035)
        self._pace = rng.uniform(0.15, 0.5) * rng.choice([-1.0, 1.0])

    def at(self, time: float) -> tuple[Field, float]:
        """Factors ``(H, W)`` at a time in seconds, and their mean."""
        wave = np.sin(2 * math.pi * time / self._periods + self._phases)
        level = 1.0 + self._drift * float(wave @ np.array([0.5, 0.5]))
        if not self._depth:
            return np.full((self._size[1], self._size[0]), level, dtype=np.float32), level
        shift = (time * self._pace) % _CLOUD_COLUMNS
        columns = (np.arange(33, dtype=np.float32) + np.float32(shift)) % _CLOUD_COLUMNS
        x = np.broadcast_to(columns, (_CLOUD_ROWS, 33)).astype(np.float32)
        y = np.broadcast_to(np.arange(_CLOUD_ROWS, dtype=np.float32)[:, None], x.shape).astype(np.float32)
        seen = cv2.remap(self._clouds, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        field = level + self._depth * np.asarray(cv2.resize(seen, self._size, interpolation=cv2.INTER_LINEAR))
        return field.astype(np.float32), level


class Sensor:
    """Noise of the camera: grows with the root of the brightness, a little correlated, new in every frame.

    Equal times give equal noise at any frame rate.

    Args:
        rng: decides pattern and level.
        seed: of the scene.
        size: ``(width, height)`` of the picture.
        planes: 1 for grey, 3 for colour; all planes share one noise, as H.264 keeps little else.
    """

    def __init__(self, rng: np.random.Generator, seed: int, size: tuple[int, int], planes: int) -> None:
        self._seed = seed
        self._size = size
        self._planes = planes
        self._level = rng.uniform(0.8, 2.2)
        bank = rng.standard_normal((size[1] + _MARGIN, size[0] + _MARGIN)).astype(np.float32)
        soft = np.asarray(cv2.GaussianBlur(bank, (3, 3), 0.55), dtype=np.float32)
        self._bank = soft / soft.std() * np.float32(self._level)

    def expose(
        self, picture: Pixels, brightness: Field, pts: Fraction
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """Add noise and round.

        Args:
            picture: ``(H, W, C)`` float32 grey levels.
            brightness: ``(H, W)`` how strong the noise is in every place; see :func:`noise_strength`.
            pts: time of the frame in seconds.

        Returns:
            ``(H, W, C)`` uint8.
        """
        rng = np.random.default_rng([self._seed, 12, round(pts * _CLOCK)])
        left, top = (int(v) for v in rng.integers(0, _MARGIN, 2))
        sign = np.float32(1 if rng.random() < 0.5 else -1)
        noise = self._bank[top : top + self._size[1], left : left + self._size[0]] * brightness
        if sign < 0:
            noise = -noise
        spread = noise if self._planes == 1 else cv2.merge([noise] * self._planes)
        flat = picture[..., 0] if self._planes == 1 else picture
        out = np.asarray(cv2.add(flat, spread, dtype=cv2.CV_8U), dtype=np.uint8)
        return out.reshape(picture.shape)


def noise_strength(picture: Pixels) -> Field:
    """How strong noise is where a picture ``(H, W, C)`` is this bright: 0.6 in the dark to about 1.3 in the light."""
    grey = picture.mean(axis=2)
    return np.asarray(0.6 + 0.7 * np.sqrt(np.clip(grey, 0, 255) / 255), dtype=np.float32)

"""Rain and snow near the camera, and drops on its glass: many small things that move, and none that belongs there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from samples.noise import Field
    from samples.truth import Picture

_SHIFT: Final = 4
"""Binary places of OpenCV's coordinates: a sixteenth of a pixel."""
_SHARE_CLEARED: Final = 0.1
"""Of the drops on the glass that run off and are replaced every second."""


@dataclass(frozen=True, slots=True)
class Fall:
    """What falls past the camera.

    Attributes:
        per_second: how many cross the picture in a second.
        speed: picture heights per second, slowest and fastest; what is nearer is faster, larger and fainter.
        length: of a streak, as seconds of its fall (the exposure time).
        radius: picture heights, smallest and largest.
        drift: picture heights per second, to the side, at most.
        light: grey levels added, least and most.
    """

    per_second: float
    speed: tuple[float, float]
    length: float
    radius: tuple[float, float]
    drift: float
    light: tuple[float, float]


RAIN: Final = Fall(220, (3.5, 8.0), 1 / 60, (0.0012, 0.003), 0.5, (14, 40))
SNOW: Final = Fall(45, (0.5, 1.6), 1 / 100, (0.004, 0.02), 0.5, (25, 80))


class FallingThings:
    """Draws what falls, at any moment; equal times give equal pictures.

    Args:
        seed: decides every streak.
        size: ``(width, height)`` of the picture in pixels.
        fall: what falls.
    """

    def __init__(self, seed: int, size: tuple[int, int], fall: Fall) -> None:
        rng = np.random.default_rng([seed, 41])
        self._size = size
        nearness = rng.random(max(1, round(4 * fall.per_second)))
        spread = nearness * rng.uniform(0.7, 1.0, len(nearness))
        self._speed = fall.speed[0] + spread * (fall.speed[1] - fall.speed[0])
        self._radius = fall.radius[0] + nearness**2 * (fall.radius[1] - fall.radius[0])
        self._light = fall.light[1] + nearness * (fall.light[0] - fall.light[1])
        self._drift = fall.drift * rng.uniform(-1, 1, len(nearness))
        self._phase = rng.random(len(nearness)) * 4.0
        self._seeds = rng.random((len(nearness), 2))
        self._length = fall.length

    def at(self, time: float, strength: float = 1.0) -> Field:
        """Grey levels to add, ``(H, W)`` float32.

        Args:
            time: seconds.
            strength: share of the things that fall by then, 0 to 1.
        """
        width, height = self._size
        canvas = np.zeros((height, width), dtype=np.uint8)
        # Everything falls again and again, every four seconds and each time elsewhere.
        rounds, since = np.divmod(time + self._phase, 4.0)
        top = since * self._speed - 0.1
        here = (top < 1.1) & (self._seeds[:, 1] <= strength)
        where = (self._seeds[:, 0] + rounds * 0.618034) % 1.0 * 1.1 * width - 0.05 * width
        for index in np.flatnonzero(here):
            x, y = where[index] + self._drift[index] * since[index] * height, top[index] * height
            length = self._speed[index] * self._length
            end = (x - self._drift[index] * self._length * height, y - length * height)
            ends = np.rint(np.array([(x, y), end]) * (1 << _SHIFT)).astype(int)
            thickness = max(1, round(2 * self._radius[index] * height))
            light = float(self._light[index])
            cv2.line(canvas, ends[0].tolist(), ends[1].tolist(), light, thickness, cv2.LINE_AA, _SHIFT)
        soft = max(0.5, 0.002 * height)
        return np.asarray(cv2.GaussianBlur(canvas, (0, 0), soft), dtype=np.float32)


class Drops:
    """Drops that sit on the glass before the lens, bend what lies behind them, and run off one by one.

    Args:
        seed: decides them.
        size: ``(width, height)`` of the picture in pixels.
        count: how many sit there at a time.
    """

    def __init__(self, seed: int, size: tuple[int, int], count: int) -> None:
        self._seed, self._size, self._count = seed, size, count

    def on(self, picture: Picture, time: float, strength: float = 1.0) -> Picture:
        """The picture ``(H, W)`` or ``(H, W, 3)`` seen through the drops; ``strength`` is the share that sits there."""
        width, height = self._size
        mask = np.zeros((height, width), dtype=np.uint8)
        life = 1.0 / _SHARE_CLEARED
        for number in range(round(self._count * strength)):
            born = np.random.default_rng([self._seed, 42, number]).random() * life
            generation, age = divmod(time + born, life)
            rng = np.random.default_rng([self._seed, 43, number, int(generation)])
            x, y, radius = rng.uniform([0, 0, 0.008], [1, 1, 0.03])
            slid = 3.0 * max(0.0, age - 0.95 * life)  # the last half second it runs off
            centre = (round(x * width), round((y + slid) * height))
            cv2.circle(mask, centre, max(2, round(radius * height)), 255.0, -1, cv2.LINE_AA)
        soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.004 * height), dtype=np.float32) / 255
        through = cv2.GaussianBlur(picture, (0, 0), 0.02 * height)
        through = np.asarray(cv2.convertScaleAbs(through, alpha=1.05, beta=6.0))
        weight = soft if picture.ndim == 2 else cv2.merge([soft] * 3)
        mixed = picture + weight * (through.astype(np.float32) - picture)
        return np.clip(mixed, 0, 255).astype(np.uint8)

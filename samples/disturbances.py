"""What happens to a camera rather than before it: lamps, night view, weather, a hand on the lens, a dead sensor.

A disturbance lies between the painter and whoever looks: it decides which moment is shown and what is done to its
picture. Equal settings and times give equal pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import cv2
import numpy as np

from samples.settings import SceneError
from samples.weather import RAIN, SNOW, Drops, FallingThings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samples.noise import Field
    from samples.render import Painter
    from samples.truth import Picture, SceneFrame

Name = Literal[
    "light_switch", "infrared", "exposure", "dawn", "rain", "snow", "covered", "black", "frozen", "defocus", "close_by"
]
DISTURBANCES: Final[tuple[Name, ...]] = get_args(Name)
NOTES: Final[dict[Name, str]] = {
    "light_switch": "the lamps go off at once and come on again; the exposure follows within two seconds",
    "infrared": "the camera goes over to its infrared night view, and back: grey, other gain, more noise",
    "exposure": "auto-exposure swings: the gain goes up and down by up to a third, every few seconds",
    "dawn": "slow dawn: from a third of the light to all of it",
    "rain": "rain falls past the camera, drops sit on its glass",
    "snow": "large flakes fall past the camera",
    "covered": "a dark cloth is put over the lens",
    "black": "the picture is black",
    "frozen": "the same picture again and again",
    "defocus": "the picture goes out of focus, slowly",
    "close_by": "someone stands right before the camera and takes two fifths of the picture; nothing is wrong",
}

_CLOCK: Final = 90_000
_BANK_MARGIN: Final = 61


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One disturbance that is asked for.

    Attributes:
        name: what happens.
        start: seconds at which it begins.
        seconds: how long it lasts, the way back included.
        seed: of everything random about it.
    """

    name: Name
    start: float
    seconds: float
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be shown.

        Raises:
            SceneError: the name is unknown or a time makes no sense.
        """
        if self.name not in DISTURBANCES:
            raise SceneError(f"disturbance {self.name!r} is unknown; there are {', '.join(DISTURBANCES)}")
        if not (self.start >= 0 and self.seconds > 0 and math.isfinite(self.start + self.seconds)):
            raise SceneError(
                f"disturbance {self.name} from {self.start} s for {self.seconds} s; both must be times, the length"
                " above 0"
            )


class Disturbed:
    """A painter with a disturbance before it.

    Args:
        painter: paints the undisturbed scene.
        disturbance: what happens to the camera.
    """

    def __init__(self, painter: Painter, disturbance: Disturbance) -> None:
        self._painter = painter
        self._disturbance = disturbance
        self._effect = effect_of(disturbance, painter.size)
        self._held: SceneFrame | None = None

    def frame(self, index: int) -> SceneFrame:
        """Frame ``index`` of the scene's own clock, from 0; its truth is that of the undisturbed scene."""
        pts = Fraction(index) / self._painter.scene.settings.frame_rate
        return self.paint(pts, index)

    def paint(self, pts: Fraction, index: int = 0) -> SceneFrame:
        """Paint the moment ``pts`` (seconds)."""
        asked = self._disturbance
        if asked.name == "frozen" and asked.start <= pts < asked.start + asked.seconds:
            if self._held is None:
                self._held = self._painter.paint(Fraction(asked.start).limit_denominator(_CLOCK), index)
            return replace(self._held, index=index, pts=pts)
        frame = self._painter.paint(pts, index)
        return replace(frame, picture=self._effect(frame.picture, pts))


Effect = Callable[["Picture", Fraction], "Picture"]
"""What is done to a picture ``(H, W)`` or ``(H, W, 3)`` uint8 of a moment in seconds; gives another of its shape."""


def effect_of(disturbance: Disturbance, size: tuple[int, int]) -> Effect:
    """What a disturbance does to pictures of ``(width, height)`` pixels; ``frozen`` changes none."""
    return _Effects(disturbance, size).apply


class _Effects:
    """All that can be done to a picture, by name."""

    def __init__(self, disturbance: Disturbance, size: tuple[int, int]) -> None:
        self._asked = disturbance
        self._size = size
        rng = np.random.default_rng([disturbance.seed, 40])
        bank = rng.standard_normal((size[1] + _BANK_MARGIN, size[0] + _BANK_MARGIN)).astype(np.float32)
        self._bank = bank
        self._swings = rng.uniform([-0.3, 3.0], [0.3, 9.0], (400, 2))
        centre = np.array([size[0] * rng.uniform(0.4, 0.6), size[1] * rng.uniform(0.5, 0.7)])
        rows, columns = np.mgrid[: size[1], : size[0]].astype(np.float32)
        away = np.hypot(columns - centre[0], rows - centre[1]) / np.hypot(*size)
        self._beam: Field = (1.25 - 1.3 * away).astype(np.float32)
        self._rain = FallingThings(disturbance.seed, size, RAIN)
        self._snow = FallingThings(disturbance.seed, size, SNOW)
        self._drops = Drops(disturbance.seed, size, 24)
        self._do: dict[str, Callable[[Picture, float, float], Picture]] = {
            "light_switch": self._light_switch,
            "infrared": self._infrared,
            "exposure": self._exposure,
            "dawn": self._dawn,
            "rain": self._raining,
            "snow": self._snowing,
            "covered": self._covered,
            "black": lambda picture, _now, _done: np.zeros_like(picture),
            "defocus": self._defocus,
            "close_by": self._close_by,
        }

    def apply(self, picture: Picture, pts: Fraction) -> Picture:
        """The picture of this moment as the disturbed camera gives it."""
        asked = self._asked
        now = float(pts) - asked.start
        before_dawn = asked.name == "dawn" and now < 0
        after = now >= asked.seconds and asked.name not in {"light_switch", "infrared"}
        do = self._do.get(asked.name)
        if do is None or after or (now < 0 and not before_dawn):
            return picture
        return do(picture, now, min(1.0, now / asked.seconds))

    def _noise(self, now: float, level: float, ndim: int) -> Field:
        """Sensor noise of this moment, ``(H, W)`` or ``(H, W, 1)``."""
        rng = np.random.default_rng([self._asked.seed, 44, round(now * _CLOCK) % (1 << 32)])
        left, top = (int(v) for v in rng.integers(0, _BANK_MARGIN, 2))
        noise: Field = self._bank[top : top + self._size[1], left : left + self._size[0]] * np.float32(level)
        return noise if ndim == 2 else noise[..., None]

    def _exposed(self, picture: Picture, gain: float, now: float, noise: float) -> Picture:
        exposed = picture.astype(np.float32) * np.float32(gain)
        if noise > 0:
            exposed += self._noise(now, noise, picture.ndim)
        return _rounded(exposed)

    def _light_switch(self, picture: Picture, now: float, _done: float) -> Picture:
        """Off at the start and on again at the end; the camera makes up for two thirds of it within 2 s."""
        lit, since = (0.3, now) if now < self._asked.seconds else (1.0, now - self._asked.seconds)
        settled = 1.0 if lit == 1.0 else 2.2
        before = 2.2 if lit == 1.0 else 1.0
        gain = settled + (before - settled) * math.exp(-since / 0.6)
        if lit == 1.0 and since > 6:
            return picture
        return self._exposed(picture, lit * gain, now, 1.2 * max(0.0, gain - 1))

    def _infrared(self, picture: Picture, now: float, _done: float) -> Picture:
        """Grey, lit by the camera's own lamp from the middle, noisier; half a second of wrong exposure both ways."""
        since = now if now < self._asked.seconds else now - self._asked.seconds
        wrong = math.exp(-since / 0.25)
        if now >= self._asked.seconds:
            return picture if since > 3 else self._exposed(picture, 1 + 0.6 * wrong, now, 0)
        grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        # Leaves and many clothes are bright in infrared, whatever they are in daylight.
        level = 255 * np.sqrt(np.asarray(grey, np.float32) / 255) * self._beam * np.float32(0.75 * (1 - 0.6 * wrong))
        level += self._noise(now, 2.5, 2)
        seen = _rounded(level)
        return seen if picture.ndim == 2 else np.asarray(cv2.cvtColor(seen, cv2.COLOR_GRAY2BGR), np.uint8)

    def _exposure(self, picture: Picture, now: float, _done: float) -> Picture:
        time, before = 0.0, 0.0
        for swing, length in self._swings:
            if now < time + length:
                share = min(1.0, (now - time) / 0.7)
                return self._exposed(picture, 1 + before + share * (swing - before), now, 0)
            time, before = time + length, float(swing)
        return picture

    def _dawn(self, picture: Picture, now: float, done: float) -> Picture:
        light = 0.33 + 0.67 * min(1.0, max(0.0, done))
        return self._exposed(picture, light, now, 1.5 * (1 - light))

    def _ramp(self, now: float, up: float) -> float:
        """From 0 to 1 within ``up`` seconds of the start, and back before the end."""
        return min(1.0, now / up, (self._asked.seconds - now) / up)

    def _falling(self, picture: Picture, things: Field) -> Picture:
        added = things if picture.ndim == 2 else things[..., None]
        return _rounded(picture + added)

    def _raining(self, picture: Picture, now: float, _done: float) -> Picture:
        strength = self._ramp(now, 4.0)
        return self._falling(self._drops.on(picture, now, strength), self._rain.at(now, strength))

    def _snowing(self, picture: Picture, now: float, _done: float) -> Picture:
        return self._falling(picture, self._snow.at(now, self._ramp(now, 4.0)))

    def _covered(self, picture: Picture, now: float, _done: float) -> Picture:
        """A dark cloth comes in from the side within half a second; close to the lens it is out of focus."""
        width, height = self._size
        share = self._ramp(now, 0.5)
        edge = 0.15 * width
        reach = np.clip((share * (width + edge) - np.arange(width)) / edge, 0, 1).astype(np.float32)
        cloth = np.float32(22) + self._noise(now, 1.0, 2)
        cover = np.broadcast_to(reach, (height, width))
        if picture.ndim == 3:
            cloth, cover = cloth[..., None], cover[..., None]
        return _rounded(picture + cover * (cloth - picture))

    def _defocus(self, picture: Picture, now: float, _done: float) -> Picture:
        sigma = 0.03 * self._size[1] * self._ramp(now, min(20.0, 0.4 * self._asked.seconds))
        if sigma < 0.3:
            return picture
        blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)
        return _rounded(blurred + self._noise(now, 1.2, picture.ndim))

    def _close_by(self, picture: Picture, now: float, _done: float) -> Picture:
        """A dark, blurred figure steps in from the left, sways, and steps out again."""
        width, height = self._size
        middle = width * (0.27 * self._ramp(now, 1.2) - 0.02 + 0.01 * math.sin(2.2 * now))
        mask = np.zeros((height, width), dtype=np.uint8)
        axes = (round(0.24 * width), round(0.9 * height))
        cv2.ellipse(mask, (round(middle), round(1.05 * height)), axes, 0, 0, 360, 255.0, -1)
        cv2.circle(mask, (round(middle), round(0.2 * height)), round(0.2 * height), 255.0, -1)
        soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.015 * height), np.float32) / 255
        coat = np.float32(70) + self._noise(0.0, 6.0, 2)
        coat = np.asarray(cv2.GaussianBlur(coat, (0, 0), 2.0), np.float32) + self._noise(now, 1.2, 2)
        if picture.ndim == 3:
            soft, coat = soft[..., None], coat[..., None]
        return _rounded(picture + soft * (coat - picture))


def _rounded(levels: NDArray[Any]) -> Picture:
    return np.asarray(np.clip(levels, 0, 255).round(), dtype=np.uint8)

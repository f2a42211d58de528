"""What a scene is asked to be: seed, layout, size, rate, length, crowd and irregular events."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, get_args

from preprocess.errors import UsageError

Kind = Literal["cyclist", "skater", "cart", "runner", "off_path", "thrown_object", "abandoned_object", "scatter"]
LayoutName = Literal["plaza", "walkway", "street", "hall", "carpark"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
LAYOUTS: Final[tuple[LayoutName, ...]] = get_args(LayoutName)

KIND_NOTES: Final[dict[Kind, str]] = {
    "cyclist": "someone rides a bicycle along a walkway",
    "skater": "someone passes standing on a board: fast, and no leg swings",
    "cart": "a golf cart drives where people walk",
    "runner": "someone runs, 3 to 5 m/s",
    "off_path": "someone walks where nobody else walks",
    "thrown_object": "someone throws a thing; it flies, bounces and comes to rest",
    "abandoned_object": "someone brings a thing, puts it down and goes",
    "scatter": "everyone in the picture suddenly runs apart",
}
LAYOUT_NOTES: Final[dict[LayoutName, str]] = {
    "plaza": "a paved square crossed in all directions",
    "walkway": "a footpath through a lawn",
    "street": "pavements on both sides of a quiet street",
    "hall": "an indoor hall with pillars, seen from under its ceiling",
    "carpark": "a footway along rows of parked cars",
}

LEARNING_SHARE: Final = Fraction(2, 5)
LEARNING_LIMIT: Final = Fraction(60)


class SceneError(UsageError):
    """A scene was asked for that cannot be; the message says what and what would do."""


@dataclass(frozen=True, slots=True)
class EventPlan:
    """One irregular event that is asked for.

    Attributes:
        kind: what happens.
        start: seconds into the clip at which it begins to be seen.
    """

    kind: Kind
    start: float


@dataclass(frozen=True, slots=True)
class SceneSettings:
    """A scene to render. Equal settings give equal pictures; seed and layout alone decide what the place looks like.

    Attributes:
        seed: any whole number from 0; decides everything that is drawn by lot.
        layout: which kind of place; None lets the seed choose.
        width, height: of the picture in pixels, 64 to 4096; both even when the scene shall be encoded.
        frame_rate: frames per second. Another rate shows the same motion in real time.
        duration: length in seconds; the last frame lies before it.
        density: people in the picture at a time, on average; None lets the seed choose 5 to 18.
        events: the irregular events, ``"auto"`` for a mixture drawn by the seed that spares the learning part, or
            ``()`` for none. The scene without its events is otherwise the same scene.
    """

    seed: int = 0
    layout: LayoutName | None = None
    width: int = 640
    height: int = 360
    frame_rate: Fraction = Fraction(10)
    duration: float = 60.0
    density: float | None = None
    events: tuple[EventPlan, ...] | Literal["auto"] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be rendered.

        Raises:
            SceneError: a value lies outside of its range.
        """
        if self.seed < 0:
            raise SceneError(f"seed {self.seed}: a seed is a whole number from 0")
        if self.layout is not None and self.layout not in LAYOUTS:
            raise SceneError(f"layout {self.layout!r} is unknown; there are {', '.join(LAYOUTS)}")
        if not (64 <= self.width <= 4096 and 64 <= self.height <= 4096):
            raise SceneError(f"a picture of {self.width}x{self.height} pixels; both sides must be 64 to 4096")
        if not 1 <= self.frame_rate <= 240:
            raise SceneError(f"frame rate {self.frame_rate}: must be 1 to 240 frames/s")
        if not 0 < self.duration <= 7200:
            raise SceneError(f"a length of {self.duration} s; must be over 0 and at most 7200 s (2 hours)")
        if self.density is not None and not 0 <= self.density <= 80:
            raise SceneError(f"density {self.density}: must be 0 to 80 people in the picture")
        if isinstance(self.events, tuple):
            for event in self.events:
                self._check_event(event)

    def _check_event(self, event: EventPlan) -> None:
        if event.kind not in KINDS:
            raise SceneError(f"event {event.kind!r} is unknown; there are {', '.join(KINDS)}")
        if not 0 <= event.start < self.duration:
            raise SceneError(f"event {event.kind} at {event.start} s lies outside of the clip of {self.duration} s")

    @property
    def frame_count(self) -> int:
        """Number of frames: those with a time before the end, at least one."""
        return max(1, math.ceil(Fraction(self.duration).limit_denominator(1000) * self.frame_rate))

    @property
    def learning(self) -> float:
        """Length in seconds of the part that ``"auto"`` keeps free of events: 40 % of the clip, at most 60 s."""
        return min(float(LEARNING_LIMIT), float(LEARNING_SHARE) * self.duration)


def random_stream(seed: int, *path: int) -> list[int]:
    """Seed of one child stream, for :func:`numpy.random.default_rng`; streams with other paths do not depend on it."""
    return [seed, *path]

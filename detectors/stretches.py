"""Footage of any length within a bound of memory: all of its pictures, or whole stretches spread evenly over it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fractions import Fraction

    from preprocess.pictures import Luma, Picture

STRETCH: Final = 500
"""Neighbouring pictures that are kept or left out together: less would hold few windows beside its first ones."""


@dataclass(slots=True)
class SpreadPictures:
    """Takes pictures one by one; where they become too many, every second stretch goes, again and again.

    Attributes:
        most: pictures kept at most.
        stretch: pictures of a stretch.
        every: one stretch in so many is kept.
        lumas, times, segments: of the pictures kept, in order.
    """

    most: int
    stretch: int = STRETCH
    every: int = 1
    lumas: list[Luma] = field(default_factory=list)
    times: list[Fraction] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    _places: list[int] = field(default_factory=list)
    _next: int = 0

    def __post_init__(self) -> None:
        """Have two stretches at least, or leaving out every second would leave none."""
        self.stretch = max(1, min(self.stretch, self.most // 2))

    @property
    def wants(self) -> bool:
        """Whether the next picture is of a stretch that is kept."""
        return self._next // self.stretch % self.every == 0

    def skip(self) -> None:
        """The next picture goes by."""
        self._next += 1

    def keep(self, picture: Picture, luma: Luma) -> None:
        """Take the next picture, which is wanted, at its working size."""
        if len(self.lumas) >= self.most:
            self._thin()
        if self.wants:
            self.lumas.append(luma)
            self.times.append(picture.pts)
            self.segments.append(picture.segment)
            self._places.append(self._next)
        self._next += 1

    def _thin(self) -> None:
        self.every *= 2
        kept = [row for row, place in enumerate(self._places) if place // self.stretch % self.every == 0]
        self.lumas = [self.lumas[row] for row in kept]
        self.times = [self.times[row] for row in kept]
        self.segments = [self.segments[row] for row in kept]
        self._places = [self._places[row] for row in kept]

    def runs(self) -> list[tuple[int, int]]:
        """First row, and the one behind the last, of every unbroken run: segments, and stretches between gaps."""
        rows = range(1, len(self.lumas))
        breaks = [
            row
            for row in rows
            if self.segments[row] != self.segments[row - 1] or self._places[row] != self._places[row - 1] + 1
        ]
        return list(pairwise([0, *breaks, len(self.lumas)])) if self.lumas else []

    def numbers(self) -> list[int]:
        """A number for every row that tells runs apart: the segment's, while nothing was left out."""
        if self.every == 1:
            return self.segments
        return [number for number, (start, end) in enumerate(self.runs()) for _ in range(start, end)]

"""Where one stretch of comparable pictures ends and the next begins, and times that always go on.

A difference across a gap is a false alarm, so every picture is placed here: its segment, and a presentation time that
is strictly increasing whatever the container says.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamer.frames import SourceCounts

SHORTEST_GAP = Fraction(1)
"""Seconds; a step forward up to this long is never a gap."""

GAP_STEPS = 5
"""A step forward over this many median steps (and over SHORTEST_GAP) is a gap."""

_REMEMBERED_STEPS = 51


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture stands: ``pts`` in seconds (strictly increasing) and the number of its segment."""

    pts: Fraction
    segment: int


class Timeline:
    """Places the pictures of one source, one after the other, and counts what was wrong with their times."""

    def __init__(self, nominal_step: Fraction, counts: SourceCounts) -> None:
        """Start with the step (seconds, positive) to assume until the source has shown its own."""
        if nominal_step <= 0:
            raise ValueError(f"the nominal step must be positive, not {nominal_step}")
        self._nominal_step = nominal_step
        self._counts = counts
        self._steps: deque[Fraction] = deque()
        self._sorted_steps: list[Fraction] = []
        self._offset = Fraction(0)
        self._raw: Fraction | None = None
        self._last: Place | None = None
        self._size: tuple[int, int] | None = None
        self._assumed = False
        self._nudged = False
        self._after_damage = False

    @property
    def step(self) -> Fraction:
        """Median of the latest steps forward in seconds; the nominal step before there is one."""
        return self._sorted_steps[len(self._sorted_steps) // 2] if self._sorted_steps else self._nominal_step

    @property
    def last(self) -> Place | None:
        """Where the latest picture was placed."""
        return self._last

    def place(
        self, raw: Fraction | None, size: tuple[int, int], *, corrupt: bool = False, broken: bool = False
    ) -> Place:
        """Place the next picture.

        Args:
            raw: its time as the source gives it, seconds; None where the source gives none.
            size: its width and height in pixels, as stored.
            corrupt: it is damaged: it stays in the segment of the one before, the next sound one starts a new segment.
            broken: something between it and the one before was lost (a decode error, a hole in the numbering).
        """
        pts, jumped = self._next_time(raw)
        size_changed = self._size is not None and size != self._size
        if size_changed:
            self._counts.size_changes += 1
        self._size = size
        if self._last is None:
            segment = 0
        else:
            starts_anew = jumped or size_changed or broken or (self._after_damage and not corrupt)
            segment = self._last.segment + int(starts_anew)
        self._after_damage = corrupt
        self._last = Place(pts, segment)
        return self._last

    def _next_time(self, raw: Fraction | None) -> tuple[Fraction, bool]:
        """Time of the next picture, and whether it lies across a jump."""
        last = self._last
        if raw is None:
            self._counts.missing_pts += 1
            self._assumed = True
            self._nudged = False
            return (Fraction(0) if last is None else last.pts + self.step), False
        before, self._raw = self._raw, raw
        assumed, self._assumed = self._assumed, False
        if last is None:
            return raw, False
        if before is None:  # only assumed times so far: take the source's where they go on, join them where they do not
            if raw <= last.pts:
                self._offset = last.pts + self.step - raw
            before = raw - self.step
        source_step = raw - before
        if source_step < 0:
            return self._after_step_back(raw, last), True
        pts = raw + self._offset
        limit = max(SHORTEST_GAP, GAP_STEPS * self.step)
        if source_step > 0 and not assumed:
            self._remember(source_step)
        if pts <= last.pts or source_step == 0:
            return self._after_standstill(raw, last), False
        self._nudged = False
        if pts - last.pts > limit:
            self._counts.gaps += 1
            return pts, True
        return pts, False

    def _after_step_back(self, raw: Fraction, last: Place) -> Fraction:
        """The clock was set back: from here on all its times are shifted so that time goes on by a median step."""
        self._counts.pts_jumps += 1
        self._nudged = False
        pts = last.pts + self.step
        self._offset = pts - raw
        return pts

    def _after_standstill(self, raw: Fraction, last: Place) -> Fraction:
        """The clock stood still, or went on by less than the picture before had been moved.

        A single duplicate is put half a step on, so that the next picture still fits behind it at its own time. A
        second one in a row means that the clock stands: then time is carried on by whole steps.
        """
        self._counts.duplicate_pts += 1
        if not self._nudged:
            self._nudged = True
            return last.pts + self.step / 2
        pts = last.pts + self.step
        self._offset = pts - raw
        return pts

    def _remember(self, step: Fraction) -> None:
        """Keep the latest steps, sorted; gaps, too: a camera that takes a picture a minute must become normal."""
        self._steps.append(step)
        insort(self._sorted_steps, step)
        if len(self._steps) > _REMEMBERED_STEPS:
            del self._sorted_steps[bisect_left(self._sorted_steps, self._steps.popleft())]

"""One time for all connections of a camera: its own clock, set to ours at the first picture of each connection.

A camera's clock starts anew with every connection, may be set while it runs and drifts for weeks. Times here are
seconds since 1970, go on at the camera's own pace, and never go back.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from streamer.sources.segments import Place, Timeline

if TYPE_CHECKING:
    from datetime import datetime

    from streamer.frames import SourceCounts

FURTHEST_OFF = Fraction(5)
"""Seconds between the camera's clock and ours from which one of them must have been set: the camera's begins anew."""

TOLERATED_OFF = Fraction(1)
"""Seconds up to which nothing is done; beyond, the camera's clock drifts and is slowed or hurried by SLEW."""

SLEW = Fraction(1, 1000)
"""Of a step; no window notices, and crystals are off by less than a tenth of it."""

_FINEST = 1_000_000  # ours is read in microseconds


class LiveClock:
    """Places the pictures of one camera, over all its connections."""

    def __init__(self, counts: SourceCounts) -> None:
        """Count what is wrong with the times in ``counts``."""
        self._counts = counts
        self._timeline: Timeline | None = None
        self._nominal_step = Fraction(1, 25)
        self._base = Fraction(0)
        self._first_segment = 0
        self._last: Place | None = None

    @property
    def step(self) -> Fraction:
        """Median time between two pictures in seconds."""
        return self._nominal_step if self._timeline is None else self._timeline.step

    def restart(self, nominal_step: Fraction) -> None:
        """A connection begins; ``nominal_step`` is the time between its pictures in seconds, as far as known."""
        self._nominal_step = nominal_step
        self._timeline = None

    def place(
        self,
        raw: Fraction | None,
        size: tuple[int, int],
        arrived: datetime,
        *,
        corrupt: bool = False,
        broken: bool = False,
    ) -> Place:
        """Place the next picture.

        Args:
            raw: its time by the camera's clock, seconds; None where it has none.
            size: its width and height in pixels, as stored.
            arrived: when it came.
            corrupt: it is damaged, as ``Timeline.place`` takes it.
            broken: something before it was lost.
        """
        if self._timeline is None:
            return self._begin(raw, size, arrived, corrupt=corrupt)
        place = self._on(self._timeline.place(raw, size, corrupt=corrupt, broken=broken))
        ahead = place.pts - _seconds(arrived)
        if ahead < -FURTHEST_OFF or (ahead > FURTHEST_OFF and self._leapt(place)):
            self._counts.pts_jumps += 1
            self._nominal_step = self._timeline.step
            return self._begin(raw, size, arrived, corrupt=corrupt)
        if abs(ahead) > TOLERATED_OFF:
            self._base -= self._timeline.step * (SLEW if ahead > 0 else -SLEW)
        self._last = place
        return place

    def _leapt(self, place: Place) -> bool:
        """Whether the camera's time leapt ahead; where ours was set back instead, times cannot follow."""
        return self._last is not None and place.pts - self._last.pts > TOLERATED_OFF

    def _begin(self, raw: Fraction | None, size: tuple[int, int], arrived: datetime, *, corrupt: bool) -> Place:
        """Set the camera's clock to ours, in a new segment."""
        self._timeline = Timeline(self._nominal_step, self._counts)
        place = self._timeline.place(raw, size, corrupt=corrupt)
        now = _seconds(arrived)
        if self._last is not None:
            self._first_segment = self._last.segment + 1
            now = max(now, self._last.pts + self._nominal_step)
        self._base = now - place.pts
        self._last = self._on(place)
        return self._last

    def _on(self, place: Place) -> Place:
        return replace(place, pts=place.pts + self._base, segment=place.segment + self._first_segment)


def _seconds(moment: datetime) -> Fraction:
    return Fraction(round(moment.timestamp() * _FINEST), _FINEST)

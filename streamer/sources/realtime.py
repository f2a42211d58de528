"""A recording shown at its own pace, as if it were a camera; live streams that come in pieces are smoothed alike.

HLS brings several seconds of pictures in one piece. Read as fast as they come, most of them would be dropped as
backlog; held back until they are due they come as the camera took them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FURTHEST_AHEAD = 5.0
"""Seconds; a packet due later than that has a time that jumped, and the pace begins anew at it."""


class Pacer:
    """Says when packets are due, by their own times."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Measure by ``clock``, in seconds."""
        self._clock = clock
        self._anchor: float | None = None

    def wait_for(self, time: float | None) -> float:
        """Seconds until a packet with decoding time ``time`` (seconds, None: unknown) is due; 0 when it is late.

        A packet that is late does not move the ones behind it: they catch up.
        """
        if time is None:
            return 0.0
        now = self._clock()
        if self._anchor is None:
            self._anchor = now - time
        ahead = self._anchor + time - now
        if abs(ahead) > FURTHEST_AHEAD:
            self._anchor = now - time
            return 0.0
        return max(0.0, ahead)

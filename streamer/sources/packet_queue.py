"""The bounded queue between the thread that drains a camera's socket and the one that decodes.

Cutting single packets out would leave pictures that refer to what is gone. So when decoding has fallen behind, all
that waits is thrown away up to a key picture: the delay stays bounded, and what follows decodes without a smear.
"""

from __future__ import annotations

import time
from collections import deque
from threading import Condition
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.live.camera_source import EncodedPacket


class PacketQueue:
    """Encoded packets of one connection, in order."""

    def __init__(self, backlog_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Hold packets for up to ``backlog_seconds`` (positive), measured by ``clock``."""
        self._backlog = backlog_seconds
        self._clock = clock
        self._items: deque[tuple[float, EncodedPacket]] = deque()
        self._dropped = 0
        self._skipping = False
        self._error: Exception | None = None
        self._ended = False
        self._changed = Condition()

    def put(self, packet: EncodedPacket) -> None:
        """Add a packet; never waits. After the end it is ignored."""
        now = self._clock()
        with self._changed:
            if self._ended:
                return
            self._items.append((now, packet))
            if packet.is_keyframe:
                self._skipping = False
            if self._skipping:
                self._throw_away(len(self._items))
            elif now - self._items[0][0] > self._backlog:
                self._throw_away(self._before_last_key())
                self._skipping = not self._items
            self._changed.notify_all()

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes; ``error`` says why. The first call counts."""
        with self._changed:
            if not self._ended:
                self._ended = True
                self._error = error
            self._changed.notify_all()

    def clear(self) -> None:
        """Throw away what waits, uncounted: nobody will take it."""
        with self._changed:
            self._items.clear()

    def take(self, seconds: float) -> tuple[EncodedPacket | None, int]:
        """The oldest packet, waiting up to ``seconds`` for one, and how many were dropped before it.

        The packet is None when none came in time, and after an end without an error.

        Raises:
            Exception: the error the queue ended with, once it is empty.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._ended, max(0.0, seconds))
            if not self._items:
                if self._error is not None:
                    raise self._error
                return None, 0
            dropped, self._dropped = self._dropped, 0
            return self._items.popleft()[1], dropped

    @property
    def ended(self) -> bool:
        """Whether nothing more comes; what waits can still be taken."""
        return self._ended

    def _before_last_key(self) -> int:
        """How many packets stand before the last key picture; all where there is none behind the first one."""
        for position in range(len(self._items) - 1, 0, -1):
            if self._items[position][1].is_keyframe:
                return position
        return len(self._items)

    def _throw_away(self, count: int) -> None:
        for _ in range(count):
            self._items.popleft()
        self._dropped += count

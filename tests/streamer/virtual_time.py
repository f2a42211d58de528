"""Time that passes only where somebody waits for it: threads become actions at given moments."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class VirtualTime:
    """A clock and a bell (see :class:`streamer.batcher.Bell`) for one real thread.

    Who waits lets time pass until the next action that was planned, or until the waiting is over.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._planned: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()

    def __call__(self) -> float:
        return self.now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def notify_all(self) -> None:
        return

    def at(self, moment: float, action: Callable[[], object]) -> None:
        """Plan an action; one that is due already happens at the next waiting."""
        heapq.heappush(self._planned, (moment, next(self._order), action))

    def wait(self, timeout: float | None = None) -> bool:
        """Let the next planned action happen, or the time pass."""
        end = float("inf") if timeout is None else self.now + max(timeout, 0.0)
        if self._planned and self._planned[0][0] <= end:
            moment, _, action = heapq.heappop(self._planned)
            self.now = max(self.now, moment)
            action()
            return True
        if timeout is None:
            raise AssertionError("waits for ever")
        self.now = end
        return False

    def pass_by(self, seconds: float) -> None:
        """Work for some time, while others go on."""
        end = self.now + seconds
        while self.wait(end - self.now):
            pass

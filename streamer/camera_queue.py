"""One camera's windows before the batcher: bounded, in order, and counted whatever becomes of them.

A live camera's queue drops its oldest window when it is full. :mod:`streamer.sources.backlog` drops its whole content
instead, because single pictures missing from it would leave segments no window can be made of. Behind the windows that
reason is gone: differences were taken in the reader, every window stands for itself, and the newest ones are wanted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

from streamer.frames import Pace

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

T = TypeVar("T")

OVERDUE = 2.0  # periods of its own after which a camera that gave nothing is not waited for
SHARE_OF_LATEST = 0.2  # weight of the latest figure in the moving averages
LONGEST_PERIOD = 1.0  # seconds; a longer silence says that a camera was away, not that it is slow


class DropReason(StrEnum):
    """Why a window was never scored."""

    QUEUE_FULL = "queue_full"  # newer ones of its live camera came before it was taken
    TOO_OLD = "too_old"  # it waited longer than a live picture may
    REMOVED = "removed"  # its camera was taken away


@dataclass(frozen=True, slots=True)
class BatcherCounts:
    """What became of one camera's items: ``put == taken + waiting + sum(dropped.values())``, at any moment.

    Attributes:
        put: items given.
        taken: items handed out in batches.
        waiting: items that wait now.
        dropped: items thrown away, by reason; all reasons are there, zeros too.
    """

    put: int
    taken: int
    waiting: int
    dropped: Mapping[DropReason, int]


@dataclass(frozen=True, slots=True)
class Waiting(Generic[T]):
    """An item, its size in bytes, the group its networks had when it was put, and that moment."""

    item: T
    size: int
    group: Hashable
    since: float


@dataclass(slots=True)
class CameraQueue(Generic[T]):
    """One camera's items, and when it gave and got its turn.

    Attributes:
        name: the camera's.
        group: of the items to come.
        pace: LATEST drops, EVERY_FRAME waits.
        most_waiting: items that may wait.
        most_bytes: bytes that may wait; a single item may be larger.
        waiting: items in order.
        held: their bytes.
        put, taken, dropped: counts, see :class:`BatcherCounts`.
        turn: grows with every item taken of any camera; the smallest is whose turn was longest ago.
        missed: everything it had became too old before its turn came.
        ended: nothing more comes.
        period: moving average of the seconds between two items; None before the second one.
        last: when the last item came.
    """

    name: str
    group: Hashable
    pace: Pace
    most_waiting: int
    most_bytes: int
    waiting: deque[Waiting[T]] = field(default_factory=deque)
    held: int = 0
    put: int = 0
    taken: int = 0
    dropped: dict[DropReason, int] = field(default_factory=lambda: dict.fromkeys(DropReason, 0))
    turn: int = -1
    missed: bool = False
    ended: bool = False
    period: float | None = None
    last: float | None = None

    @property
    def live(self) -> bool:
        """Whether its oldest items are dropped."""
        return self.pace is Pace.LATEST

    def has_room(self, size: int) -> bool:
        """Whether an item of ``size`` bytes may wait beside the others."""
        if not self.waiting:
            return True
        return len(self.waiting) < self.most_waiting and self.held + size <= self.most_bytes

    def append(self, entry: Waiting[T]) -> None:
        """Take the next item in."""
        if self.last is not None:
            step = min(entry.since - self.last, LONGEST_PERIOD)
            self.period = step if self.period is None else self.period + SHARE_OF_LATEST * (step - self.period)
        self.last = entry.since
        self.waiting.append(entry)
        self.held += entry.size
        self.put += 1

    def pop(self, turn: int) -> Waiting[T]:
        """Hand out the oldest item at a turn."""
        self.taken += 1
        self.turn = turn
        self.missed = False
        return self._leave()

    def _leave(self) -> Waiting[T]:
        entry = self.waiting.popleft()
        self.held -= entry.size
        return entry

    def drop(self, reason: DropReason) -> None:
        """Throw the oldest item away."""
        self._leave()
        self.dropped[reason] += 1

    def drop_old(self, before: float) -> None:
        """Drop what came before a moment.

        A camera that got no turn because of that keeps its newest item whatever its age: with more cameras than a
        saturated machine serves within that age, some would otherwise never be seen again.
        """
        while self.waiting and self.waiting[0].since < before and not (self.missed and len(self.waiting) == 1):
            self.drop(DropReason.TOO_OLD)
            self.missed = self.missed or not self.waiting

    def ready(self, group: Hashable, most: int) -> int:
        """Items of a group at the head of the queue, counted up to ``most``."""
        number = 0
        for entry in self.waiting:
            if number == most or entry.group != group:
                break
            number += 1
        return number

    def on_time(self, now: float) -> bool:
        """Whether a live camera gives windows at present, as far as its last ones tell."""
        if not self.live or self.ended or self.last is None:
            return False
        return now - self.last < OVERDUE * (LONGEST_PERIOD if self.period is None else self.period)

    def awaited(self, now: float, ready: int, quota: int) -> bool:
        """Whether a batch that has ``ready`` items of this camera may hope for more."""
        if self.live:
            return ready == 0 and self.on_time(now)
        return not self.ended and ready < quota and self.has_room(self.waiting[-1].size if self.waiting else 0)

    def counts(self) -> BatcherCounts:
        """What became of its items."""
        return BatcherCounts(self.put, self.taken, len(self.waiting), dict(self.dropped))

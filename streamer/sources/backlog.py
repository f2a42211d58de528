"""The short queue between a camera's reading thread and whoever takes its pictures."""

from __future__ import annotations

from collections import deque
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Backlog(Generic[T]):
    """A bounded queue that throws away all of its old items at once when it is full.

    Dropping single pictures would cut a slow reader's pictures into segments of one, of which no window can ever be
    made. Dropping a whole backlog at once keeps the delay bounded as well, and leaves long runs without a gap.
    """

    def __init__(self, most: int) -> None:
        """Hold up to ``most`` items (at least 1)."""
        self._most = max(1, most)
        self._items: deque[T] = deque()
        self._dropped = 0
        self._error: Exception | None = None
        self._ended = False
        self._changed = Condition()

    def put(self, item: T) -> None:
        """Add an item; never waits."""
        with self._changed:
            if len(self._items) >= self._most:
                self._dropped += len(self._items)
                self._items.clear()
            self._items.append(item)
            self._changed.notify_all()

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes; ``error`` says why, if it was no ordinary end."""
        with self._changed:
            self._ended = True
            self._error = error
            self._changed.notify_all()

    def take(self) -> tuple[T | None, int]:
        """The oldest item, waiting for one, and how many were dropped before it since the last call.

        The item is None after the end.

        Raises:
            Exception: the error the backlog ended with, once it is empty.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._ended)
            if not self._items:
                if self._error is not None:
                    raise self._error
                return None, 0
            dropped, self._dropped = self._dropped, 0
            return self._items.popleft(), dropped

"""The bounded queue between two stages: bounded by number and by bytes, so that 4K pictures cannot take gigabytes."""

from __future__ import annotations

from collections import deque
from threading import Condition
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


class AbortedError(Exception):
    """Another stage has failed: whatever this one does is no longer wanted. Never shown to a user."""


class Channel(Generic[T]):
    """Hands items from one thread to another, in order.

    The giver waits while the channel is full, the taker while it is empty; :meth:`abort` wakes both.
    """

    def __init__(self, most_items: int, most_bytes: int) -> None:
        """Bound the channel.

        Args:
            most_items: items waiting at one time, at least 1.
            most_bytes: their sizes together; a single item may be larger, or nothing could ever pass.
        """
        self._most_items = max(1, most_items)
        self._most_bytes = most_bytes
        self._items: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._ended = False
        self._aborted = False
        self._changed = Condition()

    def put(self, item: T, size: int = 0) -> None:
        """Add an item of ``size`` bytes; waits while the channel is full.

        Raises:
            AbortedError: another stage has failed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._aborted or self._has_room(size))
            if self._aborted:
                raise AbortedError
            self._items.append((item, size))
            self._bytes += size
            self._changed.notify_all()

    def end(self) -> None:
        """Say that nothing more comes; what waits is still taken."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Throw away what waits, and wake everybody with an :class:`AbortedError`."""
        with self._changed:
            self._aborted = True
            self._items.clear()
            self._bytes = 0
            self._changed.notify_all()

    @property
    def empty(self) -> bool:
        """Whether a taker would have to wait just now."""
        with self._changed:
            return not self._items

    def __iter__(self) -> Iterator[T]:
        """Take the items in order until the end; raises AbortedError when another stage has failed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._aborted or self._items or self._ended)
                if self._aborted:
                    raise AbortedError
                if not self._items:
                    return
                item, size = self._items.popleft()
                self._bytes -= size
                self._changed.notify_all()
            yield item

    def _has_room(self, size: int) -> bool:
        if not self._items:
            return True
        return len(self._items) < self._most_items and self._bytes + size <= self._most_bytes

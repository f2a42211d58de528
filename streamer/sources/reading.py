"""Readings of a source that can be closed while they go on, from the reading thread or from another one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")


class Readings(Generic[T]):
    """Hands out readings (generators) and ends them when the source is closed."""

    def __init__(self, name: str) -> None:
        """Start open; ``name`` is what messages call the source."""
        self._name = name
        self._closed = False
        self._going: WeakSet[Generator[T, None, None]] = WeakSet()

    def started(self, read: Callable[[], Generator[T, None, None]]) -> Generator[T, None, None]:
        """A new reading.

        Raises:
            ValueError: the source is closed.
        """
        if self._closed:
            raise ValueError(f"{self._name}: the source is closed; open it again")
        reading = self._until_closed(read)
        self._going.add(reading)
        return reading

    def close(self) -> None:
        """End all readings; may be called twice.

        A reading that another thread is inside of cannot be closed from here; it ends before its next item.
        """
        self._closed = True
        for reading in list(self._going):
            with suppress(ValueError):  # "generator already executing"
                reading.close()

    def _until_closed(self, read: Callable[[], Generator[T, None, None]]) -> Generator[T, None, None]:
        items = read()
        try:
            for item in items:
                if self._closed:
                    return
                yield item
        finally:
            items.close()

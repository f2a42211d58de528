"""An event store that tests open again and again, with clocks that stand still; and a disk that is full on demand."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from streamer.sinks.event_store import EventStore
from streamer.sinks.store_pruning import StoreLimits
from tests.streamer.sinks.notices_for_tests import AT

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


class Clock:
    """A wall clock and a stopwatch that stand still until they are told."""

    def __init__(self) -> None:
        self.now = AT
        self.seconds = 0.0

    def pass_by(self, seconds) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds

    def wall(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds


class Opener:
    """Opens a store, and closes what is open before it opens it again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.warnings: list[str] = []
        self.stores: list[EventStore] = []

    def __call__(self, **limits) -> EventStore:
        self.close()
        known = {"limits": StoreLimits(**limits), "clock": self.clock.wall, "monotonic": self.clock.monotonic}
        self.stores.append(EventStore(self.path, warn=self.warnings.append, **known))
        return self.stores[-1]

    def close(self) -> None:
        for store in self.stores:
            store.close()


def kinds(store, sink="all") -> list[str]:
    return [message.kind for message in store.pending(sink)]


def full(store, *, more_pages=0):
    """Leave the database no room to grow: SQLite then fails as on a full disk."""
    connection = store._core._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages + more_pages}")


def roomy(store):
    store._core._connection.execute("PRAGMA max_page_count=1000000")

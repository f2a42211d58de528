"""Brings notices into the event store on a thread of its own, so that a slow disk never slows a camera."""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from streamer.events import MessageKind
from streamer.live.notices import EventNotice, ScoreNotice, StateNotice
from streamer.sinks.outbox_worker import SinkCounts

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.live.notices import Notice
    from streamer.sinks.event_store import EventStore

IDLE_SECONDS = 1.0
"""How often what waits in memory for a full disk is tried again."""

PRUNE_SECONDS = 3600.0


def _silent(_text: str) -> None:
    pass


def _nothing() -> None:
    pass


class StoreSink:
    """The sink that all others deliver from; a :class:`streamer.live.notices.NoticeSink`.

    All notices that came while the disk was busy are stored in one commit. At its start it ends the events that a
    program that was killed left open.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        appended: Callable[[], None] = _nothing,
        warn: Callable[[str], None] = _silent,
        capacity: int = 2_000,
        keep: timedelta = timedelta(days=90),
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        start: bool = True,
    ) -> None:
        """Begin.

        Args:
            store: where notices go.
            appended: told after every commit, to wake those who deliver.
            warn: told in one line what a person should know.
            capacity: most notices that wait for the disk; beyond it the oldest update goes, then the oldest of all.
            keep: events that ended longer ago are deleted, hourly.
            wall_clock: with time zone.
            clock: seconds that never jump.
            start: begin the thread; False: somebody calls :meth:`step`.
        """
        self._store = store
        self.appended = appended
        self._warn = warn
        self._capacity = capacity
        self._keep = keep
        self._wall_clock = wall_clock
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: deque[EventNotice | StateNotice] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._ended_open = False
        self._prune_at = clock()
        self._stored = 0
        self._failed = 0
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="sink store", daemon=True)
        if start:
            self._thread.start()

    @property
    def name(self) -> str:
        """Of the sink."""
        return "store"

    @property
    def store(self) -> EventStore:
        """Where notices go."""
        return self._store

    @property
    def counts(self) -> SinkCounts:
        """What became of the notices: ``queued`` are those that are not on the disk."""
        waiting = self._store.waiting
        with self._lock:
            return SinkCounts(len(self._queue) + waiting, self._stored, self._failed, self._lost + self._store.dropped)

    def give(self, notice: Notice) -> None:
        """Take a notice; scores are not stored."""
        if isinstance(notice, ScoreNotice):
            return
        with self._lock:
            self._queue.append(notice)
            if len(self._queue) > self._capacity:
                del self._queue[next((i for i, queued in enumerate(self._queue) if _is_update(queued)), 0)]
                self._lost += 1
        self._wake.set()

    def close(self, seconds: float) -> None:
        """Store what is queued, waiting for the disk no longer than this. The store stays open."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def step(self) -> bool:
        """Store what is queued; whether all of it, and all that was stored before, is on the disk."""
        if not self._ended_open:
            self._ended_open = True
            if self._store.end_open_events(self._wall_clock()):
                self.appended()
        with self._lock:
            batch = list(self._queue)
            self._queue.clear()
        if batch:
            self._append(batch)
            self.appended()
        if self._clock() >= self._prune_at:
            self._prune_at = self._clock() + PRUNE_SECONDS
            self._store.prune(self._wall_clock() - self._keep)
        return self._store.flush()

    def _append(self, batch: list[EventNotice | StateNotice]) -> None:
        """Store a batch; where one notice has no place in the store, the others are stored all the same."""
        with self._store.together():
            for notice in batch:
                try:
                    self._store.append(notice)
                except Exception as error:  # noqa: BLE001 - one bad notice must not silence all cameras
                    self._failed += 1
                    self._warn(f"{notice.camera}: a message could not be stored ({type(error).__name__}: {error})")
                else:
                    self._stored += 1

    def _run(self) -> None:
        while True:
            closing = self._closing
            try:
                self.step()
            except Exception as error:  # noqa: BLE001 - without this thread no alarm would go anywhere
                self._warn(f"the event store failed ({type(error).__name__}: {error}); it is tried again")
            if closing:
                return
            self._wake.wait(IDLE_SECONDS)
            self._wake.clear()


def _is_update(notice: EventNotice | StateNotice) -> bool:
    return isinstance(notice, EventNotice) and notice.message.kind is MessageKind.UPDATE

"""The event store: every event, and every message about one until all receivers have it, in an SQLite file.

A message is on the disk before any sink may send it. While the disk is full, or does not answer, messages wait in
memory and are sent from there: an alarm must not depend on a disk. They are written as soon as the disk takes them.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from streamer.events import MessageKind
from streamer.live.notices import EventNotice, StateNotice
from streamer.sinks.event_log import event_record
from streamer.sinks.messages import STATE, StoredMessage, event_message, state_message, storable, utc_text
from streamer.sinks.store_core import StoreCore
from streamer.sinks.store_pruning import StoreLimits, prune_some
from streamer.sinks.store_rows import CameraRow, EventRow, SinkRow, event_row, read_events, read_messages

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from types import TracebackType

ENDED_BY_A_STOP = "the program ended"
"""Detail of events that were open when the program was killed."""


def _now() -> datetime:
    return datetime.now(UTC)


def _silent(_text: str) -> None:
    pass


class EventStore:
    """Events, outbox, cursors of the sinks and states of the cameras; usable from any thread.

    One program at a time writes a store; others may read the file meanwhile (``sqlite3 -readonly``).
    """

    def __init__(
        self,
        path: Path,
        *,
        warn: Callable[[str], None] = _silent,
        limits: StoreLimits | None = None,
        clock: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the store, or begin one. A damaged file is moved aside, with one warning, and a new one begun.

        Args:
            path: of the database.
            warn: told in one line what a person should know.
            limits: what bounds it; None: the defaults.
            clock: wall clock with time zone.
            monotonic: seconds that never jump.

        Raises:
            UsageError: another program writes it.
            OutputError: there can be none, or it belongs to another program or a newer version. One that is there but
                takes nothing, because the disk is full, is no error.
        """
        self._path = path
        self._limits = limits or StoreLimits()
        self._clock = clock
        self._lock = threading.RLock()
        self._closed = False
        self._together = False
        self._core = StoreCore(path, self._limits.waiting, warn=warn, clock=clock, monotonic=monotonic)

    @property
    def path(self) -> Path:
        """Where the database is."""
        return self._path

    @property
    def waiting(self) -> int:
        """Messages in memory that the disk did not take yet."""
        with self._lock:
            return len(self._core.messages)

    @property
    def dropped(self) -> int:
        """Messages that were given up before the disk took them."""
        return self._core.dropped

    def append(self, notice: EventNotice | StateNotice) -> int:
        """Store a notice; when this returns it is on the disk, unless ``waiting`` says otherwise.

        Returns:
            Its sequence number.

        Raises:
            ValueError: a moment in it has no time zone.
        """
        with self._lock:
            self._refuse_closed()
            sequence = self._take(notice)
            if not self._together:
                self._core.write()
            return sequence

    @contextmanager
    def together(self) -> Iterator[None]:
        """Store all that is appended within in one commit: one flush of the disk for all."""
        with self._lock:
            self._refuse_closed()
            self._together = True
            try:
                yield
            finally:
                self._together = False
                self._core.write()

    def flush(self) -> bool:
        """Write what waits in memory, if anything.

        Returns:
            Whether nothing waits any more.
        """
        with self._lock:
            self._refuse_closed()
            return self._core.write()

    def register(self, sink: str) -> int:
        """Make a sink known; a new one begins at the present, one known before where it stopped.

        Returns:
            The sequence number up to which it has everything.
        """
        with self._lock:
            self._refuse_closed()
            if sink not in self._core.sinks:
                self._core.sinks[sink] = SinkRow(sink, self._core.last)
                self._core.changed.add(sink)
                self._core.write()
            return self._core.sinks[sink].delivered

    def unregister(self, sink: str) -> None:
        """Forget a sink: nothing is kept for it any more."""
        with self._lock:
            self._refuse_closed()
            if self._core.sinks.pop(sink, None) is not None:
                self._core.changed.add(sink)
                self._core.write()

    def sink(self, sink: str) -> SinkRow:
        """How a registered sink stands.

        Raises:
            KeyError: it is not registered.
        """
        with self._lock:
            return self._core.sinks[sink]

    def sinks(self) -> tuple[str, ...]:
        """Names of all registered sinks, also of those an earlier run registered."""
        with self._lock:
            return tuple(self._core.sinks)

    def lost(self, sink: str) -> int:
        """Messages that were given up before this sink had them."""
        return self.sink(sink).lost

    def queued(self, sink: str) -> int:
        """Messages that wait for this sink."""
        with self._lock:
            cursor = self._core.sinks[sink].delivered
            sql = "SELECT count(*) FROM messages WHERE sequence > ?"
            written = self._core.read(lambda connection: int(connection.execute(sql, (cursor,)).fetchone()[0]), 0)
            return written + sum(message.sequence > cursor for message in self._core.messages)

    def pending(self, sink: str, after: int | None = None, limit: int = 100) -> list[StoredMessage]:
        """The next messages for a sink, in order.

        Args:
            sink: a registered one.
            after: the last sequence number that is not wanted; None: the last that was delivered.
            limit: most messages.
        """
        with self._lock:
            self._refuse_closed()
            start = self._core.sinks[sink].delivered if after is None else after
            found: list[StoredMessage] = []
            if start < self._core.written:
                read = self._core.read(lambda connection: read_messages(connection, start, limit), None)
                if read is None:
                    return []  # what waits in memory comes after what cannot be read just now
                found = read
            room = limit - len(found)
            return found + [message for message in self._core.messages if message.sequence > start][:room]

    def delivered(self, sink: str, sequence: int) -> None:
        """A sink has everything up to this message."""
        with self._lock:
            self._refuse_closed()
            row = self._core.sinks[sink]
            self._core.set_sink(replace(row, delivered=max(row.delivered, sequence), attempts=0, last_error=""))

    def attempt_failed(self, sink: str, error: str) -> None:
        """A delivery failed and will be tried again.

        Args:
            sink: a registered one.
            error: why, without secrets.
        """
        with self._lock:
            self._refuse_closed()
            row = self._core.sinks[sink]
            self._core.set_sink(replace(row, attempts=row.attempts + 1, last_error=storable(error)))

    def refused(self, sink: str, sequence: int, error: str) -> None:
        """A sink's receiver does not want this message: go on behind it, and count it.

        Args:
            sink: a registered one.
            sequence: of the message.
            error: why, without secrets.
        """
        with self._lock:
            self._refuse_closed()
            row = self._core.sinks[sink]
            cursor = max(row.delivered, sequence)
            self._core.set_sink(
                replace(row, delivered=cursor, attempts=0, refused=row.refused + 1, last_error=storable(error))
            )

    def events(
        self,
        *,
        camera: str | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> list[EventRow]:
        """Events on the disk, latest first.

        Args:
            camera: only of this camera.
            kind: only of this kind.
            since: only those that began at this moment or later.
            until: only those that began before it.
            limit: most events.
        """
        wanted = {
            "camera = ?": camera,
            "kind = ?": kind,
            "start_at >= ?": utc_text(since) if since else None,
            "start_at < ?": utc_text(until) if until else None,
        }
        given: dict[str, str | None] = {condition: value for condition, value in wanted.items() if value is not None}
        with self._lock:
            self._refuse_closed()
            return self._core.read(lambda connection: read_events(connection, given, limit), [])

    def open_events(self) -> list[EventRow]:
        """Events on the disk that have no end, also none that still waits for the disk."""
        with self._lock:
            self._refuse_closed()
            rows = self._core.read(lambda connection: read_events(connection, {"end_at IS NULL": None}, -1), [])
            waiting = self._core.events
            return [row for row in rows if row.id not in waiting or waiting[row.id].end_at is None]

    def end_open_events(self, at: datetime | None = None) -> list[StoredMessage]:
        """End what a program that was killed left open, so that every ``new`` has its ``end``; at the start of a run.

        Args:
            at: moment of the messages; None: now.

        Returns:
            The ``end`` messages, which are in the outbox already.
        """
        moment = at or self._clock()
        with self._lock:
            messages = []
            for row in self.open_events():
                record = row.document
                known = record.get("detail")
                record["detail"] = f"{known}; {ENDED_BY_A_STOP}" if known else ENDED_BY_A_STOP
                folder = None if row.folder is None else Path(row.folder)
                messages.append(self._add_event(moment, row.camera, MessageKind.END, record, folder))
            self._core.write()
            return messages

    def cameras(self) -> dict[str, CameraRow]:
        """The latest known state of every camera, by name."""
        with self._lock:
            self._refuse_closed()
            sql = "SELECT name, state, before, at, cause FROM cameras"
            rows = self._core.read(lambda connection: [CameraRow(*row) for row in connection.execute(sql)], [])
            return {row.name: row for row in rows} | self._core.cameras

    def prune(self, before: datetime) -> int:
        """Delete events that ended, and messages that everybody has, from before a moment; and keep the limits.

        A message that a sink still needs stays, up to the age and number of the limits; then it counts as lost to it.

        Returns:
            Rows deleted.
        """
        oldest = utc_text(before)
        given_up = utc_text(self._clock() - self._limits.undelivered)
        deleted = 0
        while True:
            with self._lock:
                self._refuse_closed()
                batch = self._core.read(lambda connection: self._prune_some(connection, oldest, given_up), 0)
                deleted += batch
                if batch == 0:  # also where the disk does not answer
                    # As a script: execute() would free one page and stop. 20 MB at once, so that no writer waits long.
                    self._core.read(
                        lambda connection: connection.executescript("PRAGMA incremental_vacuum(5000)"), None
                    )
                    return deleted

    def close(self) -> None:
        """Write what still waits, if the disk takes it, and let go of the file; may be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, notice: EventNotice | StateNotice) -> int:
        if isinstance(notice, EventNotice):
            kind = notice.message.kind
            return self._add_event(
                notice.at, notice.camera, kind, event_record(notice.message.event), notice.folder
            ).sequence
        sequence = self._core.last + 1
        text = state_message(sequence, notice)
        name, cause = storable(notice.camera), storable(notice.cause)
        row = CameraRow(name, notice.state.value, notice.before.value, utc_text(notice.at), cause)
        self._core.add(StoredMessage(sequence, notice.at.astimezone(UTC), notice.camera, STATE, text))
        self._core.cameras[name] = row
        return sequence

    def _add_event(
        self, at: datetime, camera: str, kind: MessageKind, record: dict[str, Any], folder: Path | None
    ) -> StoredMessage:
        sequence = self._core.last + 1
        text = event_message(sequence, at, camera, kind.value, record)
        known = self._core.events.get(str(record["id"]))
        row = event_row(record, camera, at, folder, ended=kind is MessageKind.END, known=known)
        message = StoredMessage(sequence, at.astimezone(UTC), camera, kind.value, text, folder)
        self._core.add(message)
        self._core.events[row.id] = row
        return message

    def _prune_some(self, connection: sqlite3.Connection, before: str, given_up: str) -> int:
        deleted, losers = prune_some(connection, self._core.sinks, self._limits, before, given_up)
        self._core.sinks.update(losers)
        return deleted

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ValueError(f"{self._path}: the event store is closed")

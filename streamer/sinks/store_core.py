"""What the event store has in memory and how it gets to the disk and back; knows no lock and no thread."""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from preprocess.errors import OutputError
from streamer.events import MessageKind
from streamer.sinks.store_file import hold, is_damage, move_aside, open_database, open_for_reading, reason
from streamer.sinks.store_rows import (
    CameraRow,
    EventRow,
    SinkRow,
    last_sequence,
    read_sinks,
    transaction,
    write_cameras,
    write_events,
    write_messages,
    write_sinks,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from streamer.sinks.messages import StoredMessage

RETRY_SECONDS = 1.0
"""How long after a failed write the next one is tried."""

_T = TypeVar("_T")
_U = TypeVar("_U")


class StoreCore:
    """Rows on their way to the database. Every row stays in memory until a commit with it has succeeded."""

    def __init__(
        self,
        path: Path,
        most_waiting: int,
        *,
        warn: Callable[[str], None],
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        """Hold and open the database; see :class:`streamer.sinks.event_store.EventStore`.

        One that is there but takes nothing now, because the disk is full, is opened for reading alone; the next write
        that succeeds opens it for writing.

        Args:
            path: of the database.
            most_waiting: most messages in memory.
            warn: told in one line what a person should know.
            clock: wall clock with time zone.
            monotonic: seconds that never jump.

        Raises:
            UsageError: another program writes it.
            OutputError: it cannot even be read, or belongs to another program or a newer version.
        """
        self._path = path
        self._most_waiting = most_waiting
        self._warn = warn
        self._clock = clock
        self._monotonic = monotonic
        self.messages: deque[StoredMessage] = deque()
        self.events: dict[str, EventRow] = {}
        self.cameras: dict[str, CameraRow] = {}
        self.sinks: dict[str, SinkRow] = {}
        self.changed: set[str] = set()  # sinks whose row is not written yet
        self.last = 0  # sequence number given last
        self.written = 0  # sequence number written last
        self.dropped = 0  # messages given up before they were written
        self._failed_at: float | None = None
        self._connection: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None  # until there is room for a connection that can write
        self._held = hold(path)
        try:
            self._open()
        except BaseException:
            os.close(self._held)
            raise

    def add(self, message: StoredMessage) -> None:
        """Take a message; :meth:`write` writes it."""
        self.last = message.sequence
        self.messages.append(message)

    def set_sink(self, row: SinkRow) -> None:
        """Change how a sink stands, and write it."""
        self.sinks[row.name] = row
        self.changed.add(row.name)
        self.write()

    def write(self, *, at_once: bool = False) -> bool:
        """Write all that is not on the disk yet, unless that failed a moment ago.

        Args:
            at_once: try even if it failed a moment ago.

        Returns:
            Whether nothing is left to write.
        """
        if self._all_written and self._connection is not None:
            return True
        lately = self._failed_at is not None and self._monotonic() - self._failed_at < RETRY_SECONDS
        if lately and not at_once:
            self._trim()
            return self._all_written
        try:
            self._commit_somewhere()
        except (sqlite3.Error, OutputError) as error:
            self._failed(error)
            self._trim()
            return self._all_written
        if self._failed_at is not None:
            self._failed_at = None
            self._warn(f"{self._path}: events are stored again")
        return True

    def read(self, ask: Callable[[sqlite3.Connection], _T], otherwise: _U) -> _T | _U:
        """Ask the database.

        Args:
            ask: gets the connection.
            otherwise: what to return where the database does not answer.
        """
        connection = self._connection or self._reader
        if connection is None:
            return otherwise
        try:
            return ask(connection)
        except sqlite3.Error as error:
            if is_damage(error):
                with suppress(sqlite3.Error, OutputError):
                    self._begin_anew()
            return otherwise

    def close(self) -> None:
        """Write what still waits, if the disk takes it, and let go of the file."""
        if not self.write(at_once=True) and self.messages:
            self._warn(f"{self._path}: {len(self.messages)} messages could not be stored before the end and are lost")
        self._let_go()
        os.close(self._held)

    @property
    def _all_written(self) -> bool:
        return not (self.messages or self.events or self.cameras or self.changed)

    def _failed(self, error: sqlite3.Error | OutputError) -> None:
        if self._failed_at is None:
            why = reason(error) if isinstance(error, sqlite3.Error) else str(error)
            self._warn(f"{self._path}: nothing can be stored ({why}); alarms go out all the same and wait in memory")
        self._failed_at = self._monotonic()

    def _let_go(self) -> None:
        for connection in (self._connection, self._reader):
            if connection is not None:
                with suppress(sqlite3.Error):
                    connection.close()
        self._connection = self._reader = None

    def _open(self) -> None:
        try:
            try:
                self._connection = self._load(open_database(self._path))
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._set_aside()
                self._connection = self._load(open_database(self._path))
        except sqlite3.Error as error:
            try:
                self._reader = self._load(open_for_reading(self._path))
            except sqlite3.Error:
                hint = "free some space, or choose another folder"
                raise OutputError(f"{self._path}: cannot be opened ({reason(error)}); {hint}") from error
            self._failed(error)

    def _load(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Take what an earlier run left.

        Numbers begin at the milliseconds since 1970, or behind the highest that is known if that is more. So they rise
        even where a damaged database had to be replaced, or where a full disk never took the last ones that went out,
        and a receiver that knows the highest number it had takes nothing for old.
        """
        now = int(self._clock().timestamp() * 1000)
        try:
            self.sinks = read_sinks(connection)
            last = last_sequence(connection, now)
        except BaseException:
            connection.close()
            raise
        self.written = max([last, *(row.delivered for row in self.sinks.values())])
        self.last = max(self.written, now)
        return connection

    def _set_aside(self) -> None:
        aside = move_aside(self._path, self._clock())
        self._warn(f"{self._path}: the event store was damaged; it is kept as {aside.name}, and a new one is begun")

    def _begin_anew(self) -> None:
        """Replace a database that turned out damaged while it was in use; what only it held is lost to the sinks.

        Raises:
            OutputError, sqlite3.Error: there can be no new one just now; the next write tries again.
        """
        self._let_go()
        for name, row in self.sinks.items():
            missed = max(0, self.written - row.delivered)
            self.sinks[name] = replace(row, delivered=max(row.delivered, self.written), lost=row.lost + missed)
        self.changed.update(self.sinks)
        self._set_aside()
        self._connection = open_database(self._path)

    def _commit_somewhere(self) -> None:
        try:
            self._commit()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._begin_anew()
            self._commit()

    def _commit(self) -> None:
        if self._connection is None:
            connection = open_database(self._path)
            self._let_go()
            self._connection = connection
        with transaction(self._connection):
            write_messages(self._connection, self.messages)
            write_events(self._connection, self.events.values())
            write_cameras(self._connection, self.cameras.values())
            write_sinks(self._connection, {name: self.sinks.get(name) for name in self.changed})
        if self.messages:
            self.written = self.messages[-1].sequence
        for done in (self.messages, self.events, self.cameras, self.changed):
            done.clear()

    def _trim(self) -> None:
        """Keep what waits in memory within its limit."""
        while len(self.messages) > self._most_waiting:
            updates = (index for index, message in enumerate(self.messages) if message.kind == MessageKind.UPDATE.value)
            index = next(updates, 0)
            sequence = self.messages[index].sequence
            del self.messages[index]
            self.dropped += 1
            for name, row in self.sinks.items():
                if row.delivered < sequence:
                    self.sinks[name] = replace(row, lost=row.lost + 1)
                    self.changed.add(name)
        while len(self.events) > self._most_waiting:
            del self.events[next(iter(self.events))]

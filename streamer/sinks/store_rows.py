"""The rows of the event store, and how they are read and written; knows no lock, no thread and no clock."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamer.sinks.messages import StoredMessage, json_text, storable, utc_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class EventRow:
    """The latest known state of an event; times are ISO 8601 in UTC.

    Attributes:
        id: of the event.
        camera, kind: see :class:`streamer.events.Event`.
        start_at: when it began.
        end_at: when it ended; None while it goes on.
        peak_level: highest frame score, ``-log10 p``.
        provisional: 1 where the camera still learned what is normal.
        snapshot, clip: paths relative to ``folder``, once they are written.
        detail: more to say in a few words.
        folder: of the camera.
        record: the whole event as JSON (``schemas/event.schema.json``).
    """

    id: str
    camera: str
    kind: str
    start_at: str
    end_at: str | None
    peak_level: float | None
    provisional: int
    snapshot: str | None
    clip: str | None
    detail: str | None
    folder: str | None
    record: str

    @property
    def document(self) -> dict[str, Any]:
        """The whole event, parsed anew at every call."""
        parsed: dict[str, Any] = json.loads(self.record)
        return parsed


@dataclass(frozen=True, slots=True)
class CameraRow:
    """The latest known state of a camera.

    Attributes:
        name: of the camera.
        state, before: values of :class:`streamer.live.notices.CameraState`.
        at: since when, ISO 8601 in UTC.
        cause: why, in a few words.
    """

    name: str
    state: str
    before: str
    at: str
    cause: str


@dataclass(frozen=True, slots=True)
class SinkRow:
    """How a sink stands.

    Attributes:
        name: of the sink.
        delivered: it has every message up to this sequence number that it will ever have.
        attempts: failed ones for the message that is next.
        refused: messages its receiver did not want.
        lost: messages that were given up before it had them.
        last_error: of the attempts; empty where the last one succeeded.
    """

    name: str
    delivered: int
    attempts: int = 0
    refused: int = 0
    lost: int = 0
    last_error: str = ""


_COLUMNS = "id, camera, kind, start_at, end_at, peak_level, provisional, snapshot, clip, detail, folder, record"


def event_row(
    record: Mapping[str, Any], camera: str, at: datetime, folder: Path | None, *, ended: bool, known: EventRow | None
) -> EventRow:
    """An event as a row.

    Args:
        record: of the event.
        camera: its camera.
        at: moment of the message; stands in for times the event does not know.
        folder: of the camera.
        ended: it has its ``end``.
        known: a row of the same event that is not written yet.
    """
    start = record.get("start_time")
    end = record.get("end_time")
    began = utc_text(datetime.fromisoformat(start)) if start else (known.start_at if known else utc_text(at))
    over = (utc_text(datetime.fromisoformat(end)) if end else utc_text(at)) if ended else None
    return EventRow(
        id=storable(str(record["id"])),
        camera=storable(camera),
        kind=str(record["kind"]),
        start_at=began,
        end_at=over or (known.end_at if known else None),  # a late update, say with the clip, does not open it again
        peak_level=record.get("peak_level"),
        provisional=int(bool(record.get("provisional"))),
        snapshot=_text(record.get("snapshot")),
        clip=_text(record.get("clip")),
        detail=_text(record.get("detail")),
        folder=_text(folder),
        record=json_text(record),
    )


def _text(value: object) -> str | None:
    return None if value is None else storable(str(value))


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def write_messages(connection: sqlite3.Connection, messages: Iterable[StoredMessage]) -> None:
    """Append to the outbox. A message that is there already stays: a commit that failed may have succeeded."""
    connection.executemany(
        "INSERT OR IGNORE INTO messages (sequence, at, camera, kind, folder, body) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                message.sequence,
                utc_text(message.at),
                storable(message.camera),
                message.kind,
                _text(message.folder),
                message.text,
            )
            for message in messages
        ],
    )


def write_events(connection: sqlite3.Connection, rows: Iterable[EventRow]) -> None:
    """Write the latest state of events; the first start and the first end known stay."""
    connection.executemany(
        f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own names
        " ON CONFLICT (id) DO UPDATE SET end_at = coalesce(events.end_at, excluded.end_at),"
        " peak_level = excluded.peak_level, provisional = excluded.provisional,"
        " snapshot = coalesce(excluded.snapshot, events.snapshot), clip = coalesce(excluded.clip, events.clip),"
        " detail = excluded.detail, folder = excluded.folder, record = excluded.record",
        [astuple(row) for row in rows],
    )


def write_cameras(connection: sqlite3.Connection, rows: Iterable[CameraRow]) -> None:
    """Write the latest state of cameras."""
    connection.executemany("INSERT OR REPLACE INTO cameras VALUES (?, ?, ?, ?, ?)", [astuple(row) for row in rows])


def write_sinks(connection: sqlite3.Connection, rows: Mapping[str, SinkRow | None]) -> None:
    """Write how sinks stand; None deletes one."""
    for name, row in rows.items():
        if row is None:
            connection.execute("DELETE FROM sinks WHERE name = ?", (storable(name),))
        else:
            values = (storable(name), *astuple(row)[1:])
            connection.execute("INSERT OR REPLACE INTO sinks VALUES (?, ?, ?, ?, ?, ?)", values)


def read_events(connection: sqlite3.Connection, conditions: Mapping[str, str | None], limit: int) -> list[EventRow]:
    """Events that meet all conditions (SQL with a placeholder, and its value), latest first; at most ``limit``."""
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    values = [value for value in conditions.values() if value is not None]
    sql = f"SELECT {_COLUMNS} FROM events{where} ORDER BY start_at DESC, id DESC LIMIT ?"  # noqa: S608 - our own names
    return [EventRow(*row) for row in connection.execute(sql, (*values, limit))]


def read_messages(connection: sqlite3.Connection, after: int, limit: int) -> list[StoredMessage]:
    """The first ``limit`` messages behind a sequence number, in order."""
    sql = "SELECT sequence, at, camera, kind, body, folder FROM messages WHERE sequence > ? ORDER BY sequence LIMIT ?"
    return [
        StoredMessage(
            sequence, datetime.fromisoformat(at), camera, kind, body, None if folder is None else Path(folder)
        )
        for sequence, at, camera, kind, body, folder in connection.execute(sql, (after, limit))
    ]


def read_sinks(connection: sqlite3.Connection) -> dict[str, SinkRow]:
    """How all sinks stand, by name."""
    rows = connection.execute("SELECT name, delivered, attempts, refused, lost, last_error FROM sinks")
    return {row[0]: SinkRow(*row) for row in rows}


def last_sequence(connection: sqlite3.Connection, first: int) -> int:
    """The highest sequence number ever given; a database without one notes that numbers begin behind ``first``."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").fetchone()
    if row is not None:
        return int(row[0])
    connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('messages', ?)", (first,))
    return first

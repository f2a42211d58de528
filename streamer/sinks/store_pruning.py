"""What the event store lets go of, a few hundred rows at a time so that no writer waits long."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from streamer.sinks.store_rows import SinkRow, transaction, write_sinks

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

_BATCH = 500


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What bounds the store.

    Attributes:
        messages: most messages in the outbox; beyond it those go first that every sink has, then the oldest updates,
            then the oldest of all.
        events: most events; beyond it the oldest that have ended go.
        undelivered: how long a message waits for a sink that does not take it.
        waiting: most messages in memory while the disk takes none; beyond it the oldest update goes, then the oldest.
    """

    messages: int = 100_000
    events: int = 100_000
    undelivered: timedelta = timedelta(days=7)
    waiting: int = 2_000


def prune_some(
    connection: sqlite3.Connection, sinks: Mapping[str, SinkRow], limits: StoreLimits, before: str, given_up: str
) -> tuple[int, dict[str, SinkRow]]:
    """Delete a batch of what is too old or too much.

    Args:
        connection: to the database.
        sinks: how they stand.
        limits: numbers that are kept.
        before: events that ended before this moment go, and messages from before it that every sink has.
        given_up: messages from before this moment go, whoever still needs them.

    Returns:
        Rows deleted, and the sinks that lost some, as they stand now (written already).
    """
    floor = min((row.delivered for row in sinks.values()), default=_newest(connection))
    with transaction(connection):
        gone = _messages(connection, floor, limits.messages, before, given_up)
        connection.executemany("DELETE FROM messages WHERE sequence = ?", [(sequence,) for sequence in gone])
        losers = {
            name: replace(row, lost=row.lost + missed)
            for name, row in sinks.items()
            if (missed := sum(sequence > row.delivered for sequence in gone))
        }
        write_sinks(connection, losers)
        events = _events(connection, limits.events, before)
    return len(gone) + events, losers


def _newest(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(sequence), 0) FROM messages").fetchone()[0])


def _messages(connection: sqlite3.Connection, floor: int, most: int, before: str, given_up: str) -> list[int]:
    """Sequence numbers of the next messages to delete."""
    old = connection.execute(
        "SELECT sequence FROM messages WHERE at < :latest AND (at < :given_up OR sequence <= :floor)"
        " ORDER BY sequence LIMIT :batch",
        {"latest": max(before, given_up), "given_up": given_up, "floor": floor, "batch": _BATCH},
    ).fetchall()
    if old:
        return [row[0] for row in old]
    surplus = connection.execute("SELECT count(*) FROM messages").fetchone()[0] - most
    if surplus <= 0:
        return []
    rows = connection.execute(
        "SELECT sequence FROM messages"
        " ORDER BY CASE WHEN sequence <= ? THEN 0 WHEN kind = 'update' THEN 1 ELSE 2 END, sequence LIMIT ?",
        (floor, min(surplus, _BATCH)),
    )
    return [row[0] for row in rows]


def _events(connection: sqlite3.Connection, most: int, before: str) -> int:
    """Delete a batch of events that have ended; the number deleted."""
    old = "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE end_at < ? LIMIT ?)"
    deleted = connection.execute(old, (before, _BATCH)).rowcount
    surplus = connection.execute("SELECT count(*) FROM events").fetchone()[0] - most
    if surplus > 0:
        oldest = "SELECT id FROM events WHERE end_at IS NOT NULL ORDER BY end_at LIMIT ?"
        sql = f"DELETE FROM events WHERE id IN ({oldest})"  # noqa: S608 - a constant
        deleted += connection.execute(sql, (min(surplus, _BATCH),)).rowcount
    return deleted

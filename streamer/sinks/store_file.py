"""The file of the event store: one writer, a schema that can be migrated, and a damaged file moved out of the way."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

from preprocess.errors import OutputError, UsageError
from streamer.sinks.writing import told_as_output_errors

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

APPLICATION_ID = 0x41564944  # "AVID": what tells our database from that of another program
BUSY_SECONDS = 5.0
"""How long a write waits while somebody else, such as a person with the sqlite3 shell, holds the database."""

CHECKED_BYTES = 64 << 20
"""Files up to this size are checked from end to end at the start, which takes under a second; in larger ones damage is
found when it is met."""

_WAL_BYTES = 8 << 20

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE events (
        id TEXT PRIMARY KEY,
        camera TEXT NOT NULL,
        kind TEXT NOT NULL,
        start_at TEXT NOT NULL,
        end_at TEXT,
        peak_level REAL,
        provisional INTEGER NOT NULL,
        snapshot TEXT,
        clip TEXT,
        detail TEXT,
        folder TEXT,
        record TEXT NOT NULL
    );
    CREATE INDEX events_by_time ON events (start_at);
    CREATE INDEX events_by_camera ON events (camera, start_at);
    CREATE INDEX events_by_kind ON events (kind, start_at);
    CREATE INDEX events_open ON events (id) WHERE end_at IS NULL;
    CREATE INDEX events_by_end ON events (end_at) WHERE end_at IS NOT NULL;
    CREATE TABLE messages (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        camera TEXT NOT NULL,
        kind TEXT NOT NULL,
        folder TEXT,
        body TEXT NOT NULL
    );
    CREATE INDEX messages_by_time ON messages (at);
    CREATE TABLE sinks (
        name TEXT PRIMARY KEY,
        delivered INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        lost INTEGER NOT NULL,
        last_error TEXT NOT NULL
    );
    CREATE TABLE cameras (
        name TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        before TEXT NOT NULL,
        at TEXT NOT NULL,
        cause TEXT NOT NULL
    );
    """,
)
"""Script number n brings a database from version n to n + 1 (``PRAGMA user_version``); a released one never changes."""

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk does not answer as it should",
    sqlite3.SQLITE_BUSY: "another program holds it",
    sqlite3.SQLITE_LOCKED: "another program holds it",
    sqlite3.SQLITE_READONLY: "it may not be written to",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "no permission",
}


class DamagedError(sqlite3.DatabaseError):
    """The file is a database no more."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken, rather than the disk full or the database busy."""
    return isinstance(error, DamagedError) or _code(error) in _DAMAGE


def reason(error: sqlite3.Error) -> str:
    """Why the database refused, in a few words."""
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHMSIZE:  # no room for the index of the log
        return _REASONS[sqlite3.SQLITE_FULL]
    return _REASONS.get(_code(error), str(error).replace("\n", " "))


def _code(error: sqlite3.Error) -> int:
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def hold(path: Path) -> int:
    """Become the only program that writes this store, until the descriptor returned is closed or the program ends.

    The lock is on a file beside the database: closing any other descriptor of the database itself would drop the locks
    SQLite has on it.

    Raises:
        UsageError: another program holds it.
        OutputError: the folder cannot be written to.
    """
    with told_as_output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise UsageError(
            f"{path}: another avid-watch is writing it; stop that one, or choose another folder"
        ) from error
    return descriptor


def open_database(path: Path) -> sqlite3.Connection:
    """Open the database, make it where there is none, and bring its schema up to date.

    Every commit is on the disk before it returns (``synchronous=FULL``): a message that went out is known after a power
    cut too, so its number is never given twice. The cost, one flush of the write-ahead log per commit, is borne by the
    store's own thread, which commits all that has come meanwhile at once.

    Raises:
        DamagedError: the file is broken; see :func:`move_aside`.
        sqlite3.Error: anything else the disk refuses.
        OutputError: the file belongs to another program, or to a newer version of this one.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _set_up(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        if is_damage(error) and not isinstance(error, DamagedError):
            raise DamagedError(str(error)) from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the database for reading alone, on a disk that has no room for the files SQLite needs beside it.

    A clean end takes the write-ahead log and its index away, and a full disk has no room to make them again. The file
    is read as it lies there, so nobody may write it meanwhile.

    Raises:
        sqlite3.Error: there is no such file, it cannot be read, or a log beside it holds what it lacks.
        OutputError: the file belongs to another program, or to a newer version of this one.
    """
    log = path.with_name(path.name + "-wal")
    if log.is_file() and log.stat().st_size:
        raise sqlite3.OperationalError("its write-ahead log cannot be read")
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    try:
        _refuse_foreign(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> tuple[int, int]:
    """The version of the schema, and the number of tables and indexes."""
    version = _number(connection, "user_version")
    tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if tables and _number(connection, "application_id") != APPLICATION_ID:
        raise OutputError(f"{path}: is the database of another program; move it away, or choose another folder")
    if version > len(MIGRATIONS):
        raise OutputError(f"{path}: was written by a newer avid-watch; update this one, or move the file away")
    return version, tables


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    version, tables = _refuse_foreign(connection, path)
    if not tables:
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    elif path.stat().st_size <= CHECKED_BYTES:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict is None or verdict[0] != "ok":
            raise DamagedError("the file is damaged")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
    for number in range(version, len(MIGRATIONS)):
        connection.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[number]}; PRAGMA user_version={number + 1}; COMMIT;")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def move_aside(path: Path, at: datetime) -> Path:
    """Give a damaged database another name, with its write-ahead log, so that a person can still look into it.

    Raises:
        OutputError: the folder does not allow it.
    """
    stamp = at.strftime("%Y%m%dT%H%M%S.%f")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    with told_as_output_errors(path):
        for ending in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                path.with_name(path.name + ending).rename(aside.with_name(aside.name + ending))
    return aside

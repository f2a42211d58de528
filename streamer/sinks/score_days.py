"""``scores/YYYY-MM-DD.csv``: one row per frame of a live camera, one table per day of its time zone."""

from __future__ import annotations

import csv
import io
import time
from collections import deque
from datetime import UTC, date, datetime, tzinfo
from typing import TYPE_CHECKING, BinaryIO, Self

from streamer.sinks.score_table import FLUSH_SECONDS, ScoreRow, cells_of
from streamer.sinks.storage import storage_reason
from streamer.sinks.tails import cut_torn_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from streamer.live.folder import LiveFolder
    from streamer.sinks.storage import StorageWatch

COLUMNS = ("time", "pts", "score", "p_value", "inpainter", "detector", "alarm", "regions", "note")

MOST_ROWS = 10_000
"""Rows that wait in memory while the disk is full: a quarter of an hour at 10 pictures a second; then the oldest go."""


class ScoreDays:
    """Writes the rows of one camera; never raises and never waits for room. Usable as a context manager.

    Rows reach the system once a second, with the first row after that or with :meth:`flush`. While the disk is full,
    the newest ones wait in memory.

    Attributes:
        written: rows handed to the system.
        lost: rows that never will be, because the disk stayed full.
    """

    def __init__(
        self,
        folder: LiveFolder,
        zone: tzinfo = UTC,
        storage: StorageWatch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start; the table of the day is opened, or gone on with, at the first row.

        Args:
            folder: of the camera.
            zone: the camera's time zone: of the day and of the column ``time``.
            storage: told of a full disk, and asked whether there is room again.
            clock: monotonic seconds.
        """
        self._folder = folder
        self._zone = zone
        self._storage = storage
        self._clock = clock
        self._waiting: deque[tuple[date, bytes]] = deque()
        self._day: date | None = None
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._flushed = clock()
        self._line = io.StringIO()
        self._writer = csv.writer(self._line, lineterminator="\n")
        self.written = 0
        self.lost = 0

    @property
    def waiting(self) -> int:
        """Rows in memory."""
        return len(self._waiting)

    def write(self, moment: datetime, row: ScoreRow) -> None:
        """Append a row to the table of its day.

        Args:
            moment: when the picture was taken, with time zone.
            row: what became of it.
        """
        local = moment.astimezone(self._zone)
        _, pts, score, p_value, inpainter, detector, alarm, regions, _, note = cells_of(row)
        stamp = local.isoformat(timespec="milliseconds")
        self._put(local.date(), (stamp, pts, score, p_value, inpainter, detector, alarm, regions, note))
        if self._clock() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Hand the rows that wait to the system."""
        self._flushed = self._clock()
        if self._waiting and (self._storage is None or self._storage.may_write()):
            self._write_waiting()

    def close(self) -> None:
        """Write what waits, as far as there is room; may be called twice."""
        self._write_waiting()
        self.lost += len(self._waiting)
        self._waiting.clear()
        self._leave()

    def _write_waiting(self) -> None:
        try:
            while self._waiting:
                day = self._waiting[0][0]
                same = 0
                while same < len(self._waiting) and self._waiting[same][0] == day:
                    same += 1
                self._append(day, b"".join(line for _, line in list(self._waiting)[:same]))
                for _ in range(same):
                    self._waiting.popleft()
                self.written += same
        except OSError as error:
            self._shut()  # still ours: the retention must not take the day's table to make room
            if self._storage is not None:
                reason = storage_reason(error) or (error.strerror or "it cannot be written").lower()
                self._storage.failed(self._folder.name, self._folder.scores, reason)

    def _put(self, day: date, cells: tuple[str, ...]) -> None:
        self._waiting.append((day, self._text(cells)))
        if len(self._waiting) > MOST_ROWS:
            self._waiting.popleft()
            self.lost += 1

    def _text(self, cells: tuple[str, ...]) -> bytes:
        self._writer.writerow(cells)
        text = self._line.getvalue().encode("utf-8", "backslashreplace")
        self._line.seek(0)
        self._line.truncate()
        return text

    def _append(self, day: date, lines: bytes) -> None:
        """Write whole lines: all of them, or none where there is no room for all."""
        if day != self._day or self._file is None:
            self._enter(day)
        file = self._file
        if file is None:
            return
        before = file.seek(0, io.SEEK_END)
        content = lines if before else self._text(COLUMNS) + lines
        written = 0
        try:
            while written < len(content):
                written += file.write(content[written:])
        except OSError:
            file.truncate(before)
            raise

    def _enter(self, day: date) -> None:
        self._leave()
        path = self._folder.scores / f"{day.isoformat()}.csv"
        self._folder.files.add(path)
        self._path = path
        cut_torn_line(path)
        self._file = path.open("ab", buffering=0)
        self._day = day

    def _shut(self) -> None:
        file, self._file = self._file, None
        self._day = None
        if file is not None:
            file.close()

    def _leave(self) -> None:
        self._shut()
        path, self._path = self._path, None
        if path is not None:
            self._folder.files.discard(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_day(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table as texts by column; a last line that a kill cut off is left out."""
    with path.open(encoding="utf-8", newline="") as file:
        whole = (line for line in file if line.endswith("\n"))
        yield from csv.DictReader(whole)

"""``events.jsonl``: one line per event, written when it ends."""

from __future__ import annotations

import json
import os
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from preprocess.errors import InputError, OutputError
from streamer.sinks.json_text import json_bytes, plain
from streamer.sinks.tails import cut_torn_line
from streamer.sinks.writing import told_as_output_errors

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from streamer.events import Event

MOST_WAITING = 10_000
"""Events that wait in memory for room on the disk; beyond that the oldest are left to the event store."""


def event_record(event: Event) -> dict[str, Any]:
    """An event as JSON knows it; ``schemas/event.schema.json`` describes it."""
    return {
        "id": event.id,
        "source": event.source,
        "kind": event.kind,
        "start": plain(event.start),
        "end": plain(event.end),
        "peak": plain(event.peak),
        "start_time": plain(event.start_time),
        "end_time": plain(event.end_time),
        "peak_time": plain(event.peak_time),
        "peak_level": plain(event.peak_level),
        "peak_p_value": plain(event.peak_p_value),
        "regions": [plain(region) for region in event.regions],
        "track": [[plain(box.pts), box.x, box.y, box.width, box.height] for box in event.track],
        "frames": event.frames,
        "in_learning": event.in_learning,
        "continues": event.continues,
        "snapshot": event.snapshot,
        "clip": event.clip,
        "provisional": event.provisional,
        "zones": list(event.zones),
        "detail": event.detail,
    }


class EventLog:
    """Writes events as they end; every line is out of the program's hands before the next frame is looked at.

    Usable as a context manager.

    Attributes:
        written: events in the file since it was opened.
        in_learning: those of them that lie in the part that was learned from.
    """

    def __init__(self, path: Path, *, append: bool = False) -> None:
        """Begin an empty log, or go on with one.

        Args:
            path: the file.
            append: keep the lines that are there, and cut off what a kill left of the last one.

        Raises:
            OutputError: the file cannot be written.
        """
        self._path = path
        self.written = 0
        self.in_learning = 0
        self._waiting: deque[Event] = deque(maxlen=MOST_WAITING)
        with told_as_output_errors(path):
            if append:
                cut_torn_line(path, keep_json=True)
            self._file = path.open("ab" if append else "wb", buffering=0)

    @property
    def waiting(self) -> int:
        """Events offered that found no room on the disk so far."""
        return len(self._waiting)

    def write(self, event: Event) -> None:
        """Append one ended event.

        Raises:
            OutputError: the file cannot be written, for instance because the disk is full; no part of the line is in
                it then.
        """
        line = json_bytes(event_record(event)) + b"\n"
        with told_as_output_errors(self._path):
            written = 0
            try:
                while written < len(line):
                    written += self._file.write(line[written:])
            except OSError:
                if written:  # on a disk that fills up, the first part of a line finds room
                    with suppress(OSError):
                        self._file.truncate(self._file.seek(0, os.SEEK_END) - written)
                raise
        self.written += 1
        self.in_learning += event.in_learning

    def offer(self, event: Event | None = None) -> OutputError | None:
        """Append an ended event, and before it those that found no room earlier; never raises.

        Args:
            event: None to try the earlier ones again.

        Returns:
            Why some of them still wait; None where none does.
        """
        if event is not None:
            self._waiting.append(event)
        try:
            while self._waiting:
                self.write(self._waiting[0])
                self._waiting.popleft()
        except OutputError as error:
            return error
        return None

    def close(self) -> None:
        """Close the file; may be called twice."""
        with told_as_output_errors(self._path):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_events(path: Path) -> list[dict[str, Any]]:
    """The records of a log; a last line that a kill cut off is left out.

    Raises:
        InputError: a line that has its end is no record.
    """
    records: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _damaged(path, number) from error
        if not isinstance(record, dict):
            raise _damaged(path, number)
        records.append(record)
    return records


def _damaged(path: Path, line: int) -> InputError:
    return InputError(f"{path}: line {line} is damaged; take it out of the file, or watch the recording again")

"""``events.jsonl``: one line per event, written when it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

from streamer.sinks.json_text import json_bytes, plain
from streamer.sinks.writing import told_as_output_errors

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from streamer.events import Event


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
    """

    def __init__(self, path: Path) -> None:
        """Begin an empty log.

        Raises:
            OutputError: the file cannot be written.
        """
        self._path = path
        self.written = 0
        self.in_learning = 0
        with told_as_output_errors(path):
            self._file = path.open("wb")

    def write(self, event: Event) -> None:
        """Append one ended event.

        Raises:
            OutputError: the file cannot be written, for instance because the disk is full.
        """
        with told_as_output_errors(self._path):
            self._file.write(json_bytes(event_record(event)) + b"\n")
            self._file.flush()
        self.written += 1
        self.in_learning += event.in_learning

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
    """The records of a log; a last line that a kill cut off is left out."""
    whole = path.read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in whole if line.strip()]

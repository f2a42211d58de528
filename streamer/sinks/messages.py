"""What leaves the program, as JSON: one document per step of an event or of a camera's state.

``schemas/message.schema.json`` describes it. Every sink sends the same document, so that a receiver may change its way
of hearing without changing what it reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from streamer.sinks.json_text import json_bytes, plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from streamer.live.notices import StateNotice

VERSION = 1
"""Of the document; rises when a field changes its meaning, not when one is added."""

STATE = "state"
"""Kind of the messages about a camera's state; the others are the values of :class:`streamer.events.MessageKind`."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message in the outbox.

    Attributes:
        sequence: its number; rises with every message and is never given twice, so that a receiver that got a message
            again can tell.
        at: wall-clock time of the message, UTC.
        camera: name of the camera.
        kind: ``new``, ``update``, ``end`` or ``state``.
        text: the JSON document (``schemas/message.schema.json``); holds the sequence too.
        folder: of the camera, where the paths in the document begin; None for states.
    """

    sequence: int
    at: datetime
    camera: str
    kind: str
    text: str
    folder: Path | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document, parsed anew at every call."""
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed


def utc_text(at: datetime) -> str:
    """A moment as ISO 8601 in UTC to the millisecond: texts that sort like the moments they stand for.

    Raises:
        ValueError: the moment has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def storable(text: str) -> str:
    """A text that is UTF-8 for sure; parts of file names that are none are escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def json_text(value: object) -> str:
    """Strict JSON on one line."""
    return json_bytes(value).decode("utf-8")


def event_message(sequence: int, at: datetime, camera: str, kind: str, record: Mapping[str, Any]) -> str:
    """The document of a step of an event.

    The track is left out: it can hold a thousand boxes, and an event that lasts sends an update every second. It stands
    in the event store and in ``events.jsonl``.

    Args:
        sequence: number of the message.
        at: wall-clock time of the message.
        camera: name of the camera.
        kind: ``new``, ``update`` or ``end``.
        record: of the event, see :func:`streamer.sinks.event_log.event_record`.
    """
    event = {key: value for key, value in record.items() if key != "track"}
    return json_text(_head(sequence, at, camera, kind) | {"event": event})


def state_message(sequence: int, notice: StateNotice) -> str:
    """The document of a change of a camera's state."""
    states = {"state": plain(notice.state), "before": plain(notice.before), "cause": notice.cause}
    return json_text(_head(sequence, notice.at, notice.camera, STATE) | states)


def _head(sequence: int, at: datetime, camera: str, kind: str) -> dict[str, Any]:
    return {"version": VERSION, "sequence": sequence, "message": kind, "camera": camera, "at": utc_text(at)}

"""What a live run tells the world: events as they begin, go on and end, states of cameras, and their scores."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from streamer.events import EventMessage


class CameraState(Enum):
    """How a camera is doing; exactly one at a time."""

    CONNECTING = "connecting"  # not a single picture since the start, or since it went away
    LEARNING = "learning"  # pictures come, nothing is judged yet
    WATCHING = "watching"  # pictures come and are judged
    DEGRADED = "degraded"  # pictures come, but cannot be judged: frozen, covered, damaged, just after a lighting change
    OFFLINE = "offline"  # given up for now: the next attempt is some seconds away


class EventKind(Enum):
    """What the events of a live camera are; the values stand in ``events.jsonl``."""

    ANOMALY = "anomaly"
    FORBIDDEN_MOTION = "forbidden_motion"  # something moved in a zone where nothing may ever move
    CAMERA_OFFLINE = "camera_offline"  # lasts until the camera is back; its end is the ``camera_online`` message
    CAMERA_FROZEN = "camera_frozen"
    CAMERA_COVERED = "camera_covered"
    LIGHTING_CHANGE = "lighting_change"
    STORAGE_FULL = "storage_full"  # recording stopped, watching did not


@dataclass(frozen=True, slots=True)
class StateNotice:
    """A camera went from one state to another.

    Attributes:
        camera: its name; never holds a password.
        state, before: new and old state; equal in the first notice of a run.
        at: wall-clock time, with its time zone.
        cause: why, in a few words without a password ("time-out", "authentication", ...); empty where all is well.
    """

    camera: str
    state: CameraState
    before: CameraState
    at: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class EventNotice:
    """An event began, went on or ended.

    Attributes:
        camera: its name.
        message: new, update or end, with the event as it is known by then. Snapshot and clip paths are relative to
            ``folder``; a clip is there at the ``end`` at the earliest.
        at: wall-clock time of the message, with its time zone.
        folder: of the camera, where the paths of the event begin.
    """

    camera: str
    message: EventMessage
    at: datetime
    folder: Path


@dataclass(frozen=True, slots=True)
class ScoreNotice:
    """How irregular a camera's picture is just now, about once a second; may be dropped by a slow sink.

    Attributes:
        camera: its name.
        level: highest level since the notice before (``-log10 p``); None where nothing was scored.
        threshold: level from which it alarms.
        at: wall-clock time, with its time zone.
    """

    camera: str
    level: float | None
    threshold: float
    at: datetime


Notice = StateNotice | EventNotice | ScoreNotice


class NoticeSink(Protocol):
    """Takes notices; ``give`` returns at once, whatever the receiver does: no sink may ever slow a camera."""

    @property
    def name(self) -> str:
        """What messages and metrics call it; never holds a password."""
        ...

    def give(self, notice: Notice) -> None:
        """Take a notice; never waits, never raises."""
        ...

    def close(self, seconds: float) -> None:
        """Deliver what can be delivered within so many seconds, then release everything."""
        ...

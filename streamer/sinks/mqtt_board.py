"""What everybody may know of the cameras at any moment, as retained MQTT messages: pure logic, without a connection.

Only the latest value of a topic counts. While the broker is away values are overwritten, so memory is bounded by the
number of cameras; on every connection all of them are said again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamer.events import MessageKind
from streamer.live.notices import CameraState, EventKind, EventNotice, ScoreNotice, StateNotice
from streamer.sinks.json_text import json_bytes
from streamer.sinks.mqtt_topics import OFF, OFFLINE, ON, ONLINE, RETAINED, CameraTopic, topic_level

if TYPE_CHECKING:
    from pathlib import Path

    from streamer.live.notices import Notice
    from streamer.sinks.mqtt_discovery import Discovery
    from streamer.sinks.mqtt_topics import Topics

ALARMS = frozenset({EventKind.ANOMALY.value, EventKind.FORBIDDEN_MOTION.value})
"""Kinds of events that turn a camera's alarm on while they last."""

PROBLEMS = frozenset(
    {
        EventKind.CAMERA_OFFLINE.value,
        EventKind.CAMERA_FROZEN.value,
        EventKind.CAMERA_COVERED.value,
        EventKind.STORAGE_FULL.value,
    }
)
"""Kinds of events that turn a camera's problem on while they last; a lighting change is no defect."""

_AWAY = {CameraState.CONNECTING, CameraState.OFFLINE}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be published.

    Attributes:
        topic: where.
        payload: what; the file that holds it, for pictures.
        retain: the broker keeps it; such messages are sent with QoS 1, the others with QoS 0.
    """

    topic: str
    payload: bytes | Path
    retain: bool

    @property
    def clears(self) -> bool:
        """It makes the broker forget what it kept."""
        return self.retain and self.payload == b""


@dataclass(slots=True)
class _Camera:
    name: str
    state: CameraState = CameraState.CONNECTING
    alarms: set[str] = field(default_factory=set)
    problems: set[str] = field(default_factory=set)


class Board:
    """The retained messages of all cameras, and which of them the broker has not been told yet.

    Not safe to use from several threads at once.
    """

    def __init__(self, topics: Topics, discovery: Discovery | None, *, snapshots: bool) -> None:
        """Begin without a camera.

        Args:
            topics: of the program.
            discovery: how Home Assistant is told; None: it is not.
            snapshots: publish peak pictures.
        """
        self._topics = topics
        self._discovery = discovery
        self._snapshots = snapshots
        self._cameras: dict[str, _Camera] = {}
        self._values: dict[str, bytes | Path] = {}
        self._changed: dict[str, None] = {}
        self._scores: dict[str, bytes] = {}
        if discovery is not None:
            self._say(*discovery.program())

    @property
    def is_told(self) -> bool:
        """The broker knows all there is to know."""
        return not (self._changed or self._scores)

    def add(self, name: str) -> None:
        """A camera is watched from now on; nothing happens where it is already."""
        level = topic_level(name)
        if level in self._cameras:
            return
        self._cameras[level] = _Camera(name)
        if self._discovery is not None:
            for topic, payload in self._discovery.camera(name, snapshots=self._snapshots):
                self._say(topic, payload)
        self._say(self._topics.of(level, CameraTopic.STATE), _state(CameraState.CONNECTING))
        if not self._snapshots:
            self._say(self._topics.of(level, CameraTopic.SNAPSHOT), b"")
        self._say_summary(level)

    def remove(self, name: str) -> None:
        """A camera is watched no more: the broker and Home Assistant forget it."""
        self._forget(topic_level(name))

    def found(self, topic: str) -> None:
        """The broker keeps a message on this topic from before; it forgets a camera that is not watched any more."""
        level = self._topics.level_in(topic)
        if level is not None and level not in self._cameras:
            self._forget(level)

    def note(self, notice: Notice) -> None:
        """Take in what happened; notices about cameras that are not watched change nothing."""
        level = topic_level(notice.camera)
        camera = self._cameras.get(level)
        if camera is None:
            return
        if isinstance(notice, ScoreNotice):
            score = {"level": notice.level, "threshold": notice.threshold, "at": notice.at}
            self._scores[self._topics.of(level, CameraTopic.SCORE)] = json_bytes(score)
        elif isinstance(notice, StateNotice):
            camera.state = notice.state
            self._say(self._topics.of(level, CameraTopic.STATE), _state(notice.state, notice))
            self._say_summary(level)
        else:
            self._note_event(level, camera, notice)

    def say_all_again(self) -> None:
        """The broker, or Home Assistant, may have forgotten everything."""
        self._changed = dict.fromkeys(self._values)

    def take(self) -> list[Outgoing]:
        """What the broker has not been told yet, oldest news first; it counts as told from now on."""
        news = [Outgoing(topic, self._values[topic], retain=True) for topic in self._changed]
        news += [Outgoing(topic, payload, retain=False) for topic, payload in self._scores.items()]
        self._changed.clear()
        self._scores.clear()
        return news

    def cleared(self, topic: str) -> None:
        """The broker has forgotten a topic for sure: no need to tell it again."""
        if self._values.get(topic) == b"" and topic not in self._changed:
            del self._values[topic]

    def _note_event(self, level: str, camera: _Camera, notice: EventNotice) -> None:
        event = notice.message.event
        for kinds, events in ((ALARMS, camera.alarms), (PROBLEMS, camera.problems)):
            if event.kind in kinds and notice.message.kind is not MessageKind.END:
                events.add(event.id)
            else:
                events.discard(event.id)
        self._say_summary(level)
        if self._snapshots and event.snapshot is not None:
            topic = self._topics.of(level, CameraTopic.SNAPSHOT)
            path = notice.folder / event.snapshot
            if self._values.get(topic) != path or notice.message.kind is MessageKind.END:
                self._say(topic, path)

    def _say_summary(self, level: str) -> None:
        """Availability, alarm and problem of a camera, where they changed."""
        camera = self._cameras[level]
        away = camera.state in _AWAY
        problem = camera.problems or camera.state is CameraState.OFFLINE
        for kind, payload in (
            (CameraTopic.AVAILABILITY, OFFLINE if away else ONLINE),
            (CameraTopic.ALARM, ON if camera.alarms else OFF),
            (CameraTopic.PROBLEM, ON if problem else OFF),
        ):
            topic = self._topics.of(level, kind)
            if self._values.get(topic) != payload.encode():
                self._say(topic, payload.encode())

    def _forget(self, level: str) -> None:
        self._cameras.pop(level, None)
        self._scores.pop(self._topics.of(level, CameraTopic.SCORE), None)
        if self._discovery is not None:
            for topic, payload in self._discovery.gone(level):
                self._say(topic, payload)
        for kind in RETAINED:
            self._say(self._topics.of(level, kind), b"")

    def _say(self, topic: str, payload: bytes | Path) -> None:
        self._values[topic] = payload
        self._changed.pop(topic, None)
        self._changed[topic] = None


def _state(state: CameraState, notice: StateNotice | None = None) -> bytes:
    cause, at = ("", None) if notice is None else (notice.cause, notice.at)
    return json_bytes({"state": state, "cause": cause, "at": at})

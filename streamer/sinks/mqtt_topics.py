"""Where things are said over MQTT: one topic for each kind of news, and names that are safe in every one of them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import Enum

ONLINE, OFFLINE = "online", "offline"
"""Payloads of availability topics; Home Assistant's own defaults."""

ON, OFF = "ON", "OFF"
"""Payloads of alarm and problem topics; Home Assistant's own defaults."""

_NOT_IN_TOPICS = re.compile(r"[^\w.=@-]+")
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 80
_DIGITS = 8


class CameraTopic(Enum):
    """What is said of each camera; the values are the last levels of the topics."""

    STATE = "state"
    AVAILABILITY = "availability"
    ALARM = "alarm"
    PROBLEM = "problem"
    SCORE = "score"
    EVENTS = "events"
    SNAPSHOT = "snapshot"


RETAINED = (
    CameraTopic.STATE,
    CameraTopic.AVAILABILITY,
    CameraTopic.ALARM,
    CameraTopic.PROBLEM,
    CameraTopic.SNAPSHOT,
)
"""Topics whose latest message the broker keeps for those who come later."""


def topic_level(name: str) -> str:
    """A name as one level of a topic: no ``/``, ``+`` or ``#``, no blanks, and no two names alike.

    Where a name has to be changed or cut, some digits of its hash follow, so that two names never share a topic. A
    level is its own level.
    """
    return _safe(name, _NOT_IN_TOPICS)


def discovery_id(level: str) -> str:
    """A level as Home Assistant takes it in ids: letters, digits, ``_`` and ``-`` alone."""
    return _safe(level, _NOT_IN_IDS)


def _safe(name: str, unsafe: re.Pattern[str]) -> str:
    cleaned = unsafe.sub("_", name)[:_LONGEST]
    if cleaned == name and name:
        return name
    digits = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{cleaned[: _LONGEST - _DIGITS - 1]}-{digits}"


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one program.

    Attributes:
        prefix: first level or levels, e.g. ``avid-watch``.
        instance: level of the program, so that several of them share a broker.
    """

    prefix: str
    instance: str

    @property
    def base(self) -> str:
        """What all topics of the program begin with."""
        return f"{self.prefix}/{topic_level(self.instance)}"

    @property
    def status(self) -> str:
        """Whether the program is there; ``offline`` is its last will."""
        return f"{self.base}/status"

    @property
    def every_availability(self) -> str:
        """Filter for the availability of all cameras there ever were."""
        return self.of("+", CameraTopic.AVAILABILITY)

    def of(self, level: str, kind: CameraTopic) -> str:
        """A topic of the camera with this level (:func:`topic_level`)."""
        return f"{self.base}/cameras/{level}/{kind.value}"

    def level_in(self, topic: str) -> str | None:
        """The camera's level in one of its topics; None where it is none."""
        before = f"{self.base}/cameras/"
        parts = topic.removeprefix(before).split("/")
        return parts[0] if topic.startswith(before) and len(parts) == 2 and parts[0] else None

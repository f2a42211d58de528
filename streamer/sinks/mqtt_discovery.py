"""How Home Assistant finds the cameras by itself: one retained configuration per entity, one device per camera.

Keys and topics are those of Home Assistant's MQTT discovery, one component per message
(``<prefix>/<component>/<node>/<object>/config``), which every version since 2023.7 reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from streamer.live.notices import CameraState
from streamer.sinks.json_text import json_bytes
from streamer.sinks.mqtt_topics import OFF, OFFLINE, ON, ONLINE, CameraTopic, discovery_id, topic_level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamer.sinks.mqtt_topics import Topics

SCORE_EXPIRES = 60
"""Seconds without a score after which Home Assistant shows none."""

_MAKER = "avid-watch"


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity of a camera.

    Attributes:
        component: Home Assistant's platform, e.g. ``binary_sensor``.
        key: tells it from the other entities of the camera.
        topic: where its state is said.
        with_camera: it is there only while the camera is; the others show a camera that is away.
        settings: its own keys.
    """

    component: str
    key: str
    topic: CameraTopic
    with_camera: bool
    settings: dict[str, Any]


ENTITIES = (
    Entity(
        "binary_sensor",
        "alarm",
        CameraTopic.ALARM,
        with_camera=True,
        settings={"name": "Alarm", "device_class": "motion", "payload_on": ON, "payload_off": OFF},
    ),
    Entity(
        "binary_sensor",
        "problem",
        CameraTopic.PROBLEM,
        with_camera=False,
        settings={
            "name": "Problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "payload_on": ON,
            "payload_off": OFF,
        },
    ),
    Entity(
        "binary_sensor",
        "connection",
        CameraTopic.AVAILABILITY,
        with_camera=False,
        settings={
            "name": "Connection",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "payload_on": ONLINE,
            "payload_off": OFFLINE,
        },
    ),
    Entity(
        "sensor",
        "score",
        CameraTopic.SCORE,
        with_camera=True,
        settings={
            "name": "Score",
            "icon": "mdi:chart-line",
            "state_class": "measurement",
            "suggested_display_precision": 1,
            "value_template": "{{ value_json.level }}",
            "expire_after": SCORE_EXPIRES,
        },
    ),
    Entity(
        "sensor",
        "state",
        CameraTopic.STATE,
        with_camera=False,
        settings={
            "name": "State",
            "icon": "mdi:cctv",
            "device_class": "enum",
            "entity_category": "diagnostic",
            "options": [state.value for state in CameraState],
            "value_template": "{{ value_json.state }}",
        },
    ),
    Entity(
        "image",
        "snapshot",
        CameraTopic.SNAPSHOT,
        with_camera=False,
        settings={"name": "Latest event", "content_type": "image/jpeg"},
    ),
)


@dataclass(frozen=True, slots=True)
class Discovery:
    """Configurations for Home Assistant.

    Attributes:
        topics: of the program.
        prefix: Home Assistant's discovery prefix, usually ``homeassistant``.
    """

    topics: Topics
    prefix: str = "homeassistant"

    @property
    def birth(self) -> str:
        """Where Home Assistant says that it has come back."""
        return f"{self.prefix}/status"

    @property
    def node(self) -> str:
        """Id of the program."""
        return f"avid-watch_{discovery_id(topic_level(self.topics.instance))}"

    def program(self) -> tuple[str, bytes]:
        """Topic and payload of the entity that says whether the program runs."""
        config = {
            "name": "Running",
            "unique_id": f"{self.node}_running",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": self.topics.status,
            "payload_on": ONLINE,
            "payload_off": OFFLINE,
            "device": {**_device(self.node, f"avid-watch {self.topics.instance}"), "model": "program"},
            "origin": _origin(),
        }
        return f"{self.prefix}/binary_sensor/{self.node}/running/config", json_bytes(config)

    def camera(self, name: str, *, snapshots: bool) -> Iterator[tuple[str, bytes]]:
        """Topics and payloads of a camera's entities; an entity that is not wanted has an empty payload.

        Args:
            name: of the camera.
            snapshots: its pictures are published.
        """
        level = topic_level(name)
        for entity in ENTITIES:
            wanted = snapshots or entity.topic is not CameraTopic.SNAPSHOT
            yield self._topic(level, entity), json_bytes(self._config(name, level, entity)) if wanted else b""

    def gone(self, level: str) -> Iterator[tuple[str, bytes]]:
        """What makes Home Assistant forget a camera: its topics, each with an empty payload."""
        for entity in ENTITIES:
            yield self._topic(level, entity), b""

    def _topic(self, level: str, entity: Entity) -> str:
        return f"{self.prefix}/{entity.component}/{self.node}/{discovery_id(level)}_{entity.key}/config"

    def _config(self, name: str, level: str, entity: Entity) -> dict[str, Any]:
        device = f"{self.node}_{discovery_id(level)}"
        topic = self.topics.of(level, entity.topic)
        availability = [{"topic": self.topics.status}]
        if entity.with_camera:
            availability.append({"topic": self.topics.of(level, CameraTopic.AVAILABILITY)})
        config = {
            "unique_id": f"{device}_{entity.key}",
            "image_topic" if entity.component == "image" else "state_topic": topic,
            "availability": availability,
            "availability_mode": "all",
            "device": {**_device(device, name), "model": "watched camera"},
            "origin": _origin(),
            **entity.settings,
        }
        if "value_template" in entity.settings:
            config["json_attributes_topic"] = topic
        return config


def _device(identifier: str, name: str) -> dict[str, Any]:
    return {"identifiers": [identifier], "name": name, "manufacturer": _MAKER, "sw_version": _version()}


def _origin() -> dict[str, Any]:
    return {"name": _MAKER, "sw_version": _version()}


def _version() -> str:
    try:
        return version("avid-watch")
    except PackageNotFoundError:
        return "source"

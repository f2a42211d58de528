"""Everything a live run is told, as ``cameras.yaml`` says it: what all cameras share, and each camera.

These models are the one place of every name, default and limit: the file's reader, its JSON Schema and docs/cameras.md
all come from them. Passwords and keys are held as secrets: no ``repr``, no dump and no error shows one.
"""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from streamer.live.config_camera import (
    CameraConfig,
    CameraDefaults,
    ClipsConfig,
    EventsConfig,
    ZoneConfig,
    ZoneKind,
)
from streamer.live.config_outputs import MetricsConfig, MqttConfig, RetentionConfig, WebhookConfig
from streamer.live.config_types import FilePath, Length, OffAsNone, OneAsList, Secret
from streamer.settings import Device, Precision, Settings, Transport

__all__ = [
    "CameraConfig",
    "CameraDefaults",
    "ClipsConfig",
    "EventsConfig",
    "LiveConfig",
    "MetricsConfig",
    "MqttConfig",
    "RetentionConfig",
    "Transport",
    "WebhookConfig",
    "ZoneConfig",
    "ZoneKind",
]


class LiveConfig(Settings):
    """A whole live run."""

    output: FilePath | None = Field(
        default=None,
        description="Folder in which each camera has its own folder NAME.avid; without it, the one you are in.",
    )
    instance: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Name of this service where several report to one broker; without it, the name of this machine.",
    )
    device: Device = Field(default="auto", description="Where the networks run; auto takes a GPU where there is one.")
    precision: Precision = Field(
        default="auto",
        description="Arithmetic of the networks: float32, bfloat16, or auto, the faster of the two here.",
    )
    batch_size: int | None = Field(
        default=None, ge=1, le=4096, description="Most windows per run of the networks; without it, by the device."
    )
    max_wait: Length = Field(
        default=0.05, le=10, description="Longest time a window waits for those of other cameras to share its batch."
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="Seed of everything random while learning.")
    metrics: Annotated[MetricsConfig | None, OffAsNone] = Field(
        default=None, description="Serve /metrics and /healthz: on, a port, HOST:PORT or off."
    )
    retention: RetentionConfig = Field(
        default_factory=RetentionConfig, description="How long and how much evidence is kept."
    )
    mqtt: Annotated[MqttConfig | None, OffAsNone] = Field(
        default=None, description="MQTT broker to publish to, as mqtt://user:password@host or by its parts."
    )
    webhooks: tuple[WebhookConfig, ...] = Field(
        default=(), max_length=32, description="Addresses that get every event as JSON."
    )
    apprise: Annotated[tuple[Secret, ...], OneAsList] = Field(
        default=(),
        max_length=32,
        description="Apprise addresses (mail, chat, push) that get every event; needs avid-watch[apprise].",
    )
    defaults: CameraDefaults = Field(
        default_factory=CameraDefaults, description="What every camera has that does not say otherwise."
    )
    cameras: tuple[CameraConfig, ...] = Field(min_length=1, max_length=1000, description="The cameras.")

    @property
    def watched(self) -> tuple[CameraConfig, ...]:
        """The cameras that are enabled, in the file's order."""
        return tuple(camera for camera in self.cameras if camera.enabled)

    def camera(self, name: str) -> CameraConfig:
        """The camera of a name.

        Raises:
            KeyError: there is none.
        """
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise KeyError(name)

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, values: object) -> object:
        """Give every camera what ``defaults`` says and it does not; what it says itself wins, key by key."""
        if not isinstance(values, Mapping):
            return values
        defaults, cameras = values.get("defaults"), values.get("cameras")
        if not isinstance(defaults, Mapping) or not isinstance(cameras, list | tuple):
            return values
        return {**values, "cameras": [merged(defaults, camera) for camera in cameras]}

    @model_validator(mode="after")
    def _names_of_their_own(self) -> Self:
        seen: dict[str, str] = {}
        for camera in self.cameras:
            key = camera.name.casefold()
            if key in seen:
                raise ValueError(f"two cameras are called {camera.name!r}: give each a name of its own")
            seen[key] = camera.name
        return self


def merged(defaults: Mapping[str, object], camera: object) -> object:
    """A camera's own settings over the defaults, one mapping into the other; hours are never mixed."""
    if isinstance(camera, str):
        camera = {"uri": camera}
    if not isinstance(camera, Mapping):
        return camera
    result: dict[str, object] = {**defaults, **camera}
    for key in ("events", "clips"):
        below, above = defaults.get(key), camera.get(key)
        if isinstance(below, Mapping) and isinstance(above, Mapping):
            result[key] = {**below, **above}
    return result

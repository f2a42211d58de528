"""Settings of where the notices of all cameras go, and of how much of the disk they may take."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, SerializerFunctionWrapHandler, ValidationInfo, field_serializer, model_validator

from streamer.live.config_types import Bytes, FilePath, Length, OffAsNone, OneAsList, Secret, secret_from_file
from streamer.live.notices import EventKind
from streamer.settings import Settings
from streamer.sources.naming import without_password

MQTT_PORT = 1883
MQTT_TLS_PORT = 8883
METRICS_PORT = 9790

_BELOW_HOST = re.compile(r"(?<=://)(?P<host>[^/?#]+).*")
_METRICS = re.compile(r"(?:(?P<host>.+):)?(?P<port>\d{1,5})", re.ASCII)


class MetricsConfig(Settings):
    """The endpoint that serves ``/metrics`` (Prometheus) and ``/healthz``."""

    short_form: ClassVar[tuple[str, ...]] = ("string", "integer", "boolean")

    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 lets other machines read it."
    )
    port: int = Field(
        default=METRICS_PORT, ge=0, le=65535, description="Port to listen on; 0 takes a free one and says which."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, values: object) -> object:
        if values is True or values == "on":
            return {}
        if isinstance(values, int):
            return {"port": values}
        if isinstance(values, str):
            match = _METRICS.fullmatch(values.strip())
            if match is None:
                raise ValueError(f"{values!r} is no address for metrics: write 9790, 127.0.0.1:9790 or off")
            host = (match["host"] or "").strip("[]")
            return {"port": int(match["port"]), **({"host": host} if host else {})}
        return values


class RetentionConfig(Settings):
    """How long and how much is kept of clips, snapshots, scores and continuous recordings, all cameras together."""

    age: Annotated[Length | None, OffAsNone] = Field(
        default=30 * 86400.0, description="Evidence older than this is deleted; off: age deletes nothing."
    )
    bytes: Annotated[Bytes | None, OffAsNone] = Field(
        default=50 * 10**9,
        description="From this much on the oldest evidence is deleted; off: only age and free space count.",
    )
    free: Bytes = Field(
        default=10**9, description="With less than this free on the disk recording stops; watching goes on."
    )


class MqttConfig(Settings):
    """An MQTT broker that alarms, scores and states are published to."""

    short_form: ClassVar[tuple[str, ...]] = ("string",)

    host: str = Field(min_length=1, description="Name or address of the broker.")
    port: int = Field(default=MQTT_PORT, ge=1, le=65535, description="Its port; 8883 with tls.")
    user: str | None = Field(default=None, min_length=1, description="User to log in as.")
    password: Secret | None = Field(default=None, description="Password of that user; best written as ${NAME}.")
    password_file: FilePath | None = Field(default=None, description="File that holds the password.")
    tls: bool = Field(default=False, description="Encrypt the connection, and check the broker's certificate.")
    ca_file: FilePath | None = Field(
        default=None, description="Certificate authority that signed the broker's certificate, if no public one did."
    )
    certificate_file: FilePath | None = Field(
        default=None, description="Certificate of this service, where the broker asks for one."
    )
    key_file: FilePath | None = Field(default=None, description="Key of that certificate, if it is a file of its own.")
    topic_prefix: str = Field(
        default="avid-watch",
        min_length=1,
        pattern=r"^[^+#\s/][^+#\s]*$",
        description="All topics begin with this.",
    )
    discovery: bool = Field(default=True, description="Let Home Assistant find each camera by itself.")
    discovery_prefix: str = Field(
        default="homeassistant",
        min_length=1,
        pattern=r"^[^+#\s/][^+#\s]*$",
        description="Home Assistant's own discovery prefix.",
    )
    snapshots: bool = Field(default=True, description="Publish the peak picture of the latest event.")

    @model_validator(mode="before")
    @classmethod
    def _from_address(cls, values: object) -> object:
        if not isinstance(values, str):
            return values
        parts = urlsplit(values if "://" in values else f"mqtt://{values}")
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or port == 0 or parts.query or parts.fragment:
            raise ValueError("the broker's address must look like mqtt://user:password@host:1883 (mqtts:// for TLS)")
        given = {
            "host": parts.hostname,
            "port": port or (MQTT_TLS_PORT if parts.scheme == "mqtts" else None),
            "user": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "topic_prefix": unquote(parts.path).strip("/") or None,
        }
        return {"tls": parts.scheme == "mqtts", **{key: value for key, value in given.items() if value is not None}}

    @model_validator(mode="before")
    @classmethod
    def _password_from_file(cls, values: object, info: ValidationInfo) -> object:
        return secret_from_file(values, info, "password")

    @model_validator(mode="before")
    @classmethod
    def _port_of_tls(cls, values: object) -> object:
        if isinstance(values, Mapping) and values.get("tls") is True and values.get("port") is None:
            return {**values, "port": MQTT_TLS_PORT}
        return values

    @model_validator(mode="after")
    def _a_password_has_a_user(self) -> Self:
        if self.password is not None and self.user is None:
            raise ValueError("a password needs its user: write user: NAME beside it")
        if not self.tls and (self.ca_file or self.certificate_file or self.key_file):
            raise ValueError("certificates are of use with tls alone: write tls: yes beside them")
        if self.key_file is not None and self.certificate_file is None:
            raise ValueError("key_file needs its certificate_file beside it")
        return self


class WebhookConfig(Settings):
    """An address that gets every event as JSON, signed, in order, and none lost while it is away."""

    short_form: ClassVar[tuple[str, ...]] = ("string",)

    url: str = Field(
        pattern=r"^https?://[^\s/]+\S*$", repr=False, description="Address that takes the events, by HTTP POST."
    )
    secret: Secret | None = Field(
        default=None, description="Key of the HMAC signature each delivery carries; best written as ${NAME}."
    )
    secret_file: FilePath | None = Field(default=None, description="File that holds the secret.")
    kinds: Annotated[tuple[EventKind, ...], OneAsList] = Field(
        default=(), description="Kinds of events to deliver; none named: all of them."
    )

    @property
    def address(self) -> str:
        """What messages may show: host alone, since the path of many such addresses is their password."""
        return _BELOW_HOST.sub(r"\g<host>", without_password(self.url))

    @model_validator(mode="before")
    @classmethod
    def _from_address(cls, values: object) -> object:
        return {"url": values} if isinstance(values, str) else values

    @model_validator(mode="before")
    @classmethod
    def _secret_from_file(cls, values: object, info: ValidationInfo) -> object:
        return secret_from_file(values, info, "secret")

    @field_serializer("url", mode="wrap")
    def _without_secrets(self, _url: str, _handler: SerializerFunctionWrapHandler) -> str:
        return self.address

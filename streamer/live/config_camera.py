"""Settings of one camera: where it is, how it is learned and judged, its zones, hours, events and evidence."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from streamer.live.config_types import (
    FilePath,
    Hours,
    Length,
    LengthOrZero,
    OffAsNone,
    OneAsList,
    Secret,
    TimeZone,
    Weekdays,
    secret_from_file,
)
from streamer.live.polygons import why_not_simple
from streamer.live.schedule import Schedule
from streamer.settings import Decision, Settings, Transport
from streamer.sources.naming import (
    LONGEST_NAME,
    host_path,
    is_misspelled_address,
    name_of,
    path_of,
    scheme_of,
    without_password,
)

if TYPE_CHECKING:
    from streamer.events import EventSettings

ZoneKind = Literal["watch", "ignore", "nothing_may_move"]

RECORD_SECONDS = 600.0
"""Length of the segments of a continuous recording, unless told."""

_NAME = re.compile(rf"[\w][\w.=@-]{{0,{LONGEST_NAME - 1}}}")
_UNSAFE = re.compile(r"[^\w.=@-]+")

Share = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Share, Share]
"""``(x, y)`` of the upright picture: 0, 0 is its upper left corner, 1, 1 its lower right one."""


class ZoneConfig(Settings):
    """A part of the picture that is treated in its own way."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME, description="What events call it.")
    kind: ZoneKind = Field(
        default="watch",
        description="watch: only such zones alarm; ignore: never alarms; nothing_may_move: any motion alarms.",
    )
    polygon: tuple[Point, ...] = Field(
        min_length=3,
        max_length=200,
        description="Corners [x, y] as shares of the upright picture's width and height, 0, 0 being its upper left.",
    )

    @model_validator(mode="after")
    def _a_simple_polygon(self) -> Self:
        why = why_not_simple(self.polygon)
        if why is not None:
            raise ValueError(f"the polygon of zone {self.name!r} {why}")
        return self


class EventsConfig(Settings):
    """When an event of this camera begins and ends."""

    enter: float = Field(
        default=1.0, ge=1, le=100, description="An event begins at this multiple of the threshold's level."
    )
    exit: float = Field(
        default=0.9, gt=0, le=100, description="It goes on down to this multiple of the threshold's level."
    )
    minimum_duration: LengthOrZero = Field(default=0.3, description="Shorter alarms are no event.")
    merge_gap: LengthOrZero = Field(default=1.0, description="Alarms less than this apart are one event.")
    cooldown: LengthOrZero = Field(default=0.0, description="No event begins within this time after the one before.")
    maximum_duration: Length = Field(
        default=600.0, description="A longer event is rolled over into its next part, which names the one before."
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.exit > self.enter:
            raise ValueError(f"exit ({self.exit:g}) must be at most enter ({self.enter:g})")
        if self.maximum_duration <= self.minimum_duration:
            raise ValueError("maximum_duration must be above minimum_duration")
        return self

    def settings(self, threshold: float) -> "EventSettings":
        """What an event machine is made with.

        Args:
            threshold: level from which this camera alarms, above 0.
        """
        from streamer.events import EventSettings  # noqa: PLC0415 - it brings the networks' packages with it

        return EventSettings(
            enter_level=self.enter * threshold,
            exit_level=self.exit * threshold,
            minimum_duration=self.minimum_duration,
            merge_gap=self.merge_gap,
            cooldown=self.cooldown,
            maximum_duration=self.maximum_duration,
        )


class ClipsConfig(Settings):
    """Evidence clips, cut from the camera's own packets."""

    short_form: ClassVar[tuple[str, ...]] = ("boolean",)

    enabled: bool = Field(default=True, description="Write a clip of every event; 'clips: off' says no.")
    pre_roll: LengthOrZero = Field(default=5.0, le=60, description="A clip begins this long before the event.")
    post_roll: LengthOrZero = Field(default=5.0, le=60, description="A clip ends this long after the event.")
    annotated: bool = Field(default=False, description="Also write a clip with regions and levels drawn in.")

    @model_validator(mode="before")
    @classmethod
    def _from_switch(cls, values: object) -> object:
        return {"enabled": values} if isinstance(values, bool) else values


def _segment_length(value: object) -> object:
    if value is False or value == "off":
        return None
    return RECORD_SECONDS if value is True or value == "on" else value


class CameraDefaults(Settings):
    """What a camera has in common with others; ``defaults`` of the file sets it for all of them."""

    transport: Transport = Field(default="tcp", description="How RTSP brings the stream: tcp or udp.")
    realtime: bool = Field(default=False, description="Play a recording at the pace it was taken, as if it were live.")
    frame_rate: float | None = Field(
        default=None, gt=0, le=1000, description="Pictures per second to ask a camera device for."
    )
    enabled: bool = Field(default=True, description="Watch this camera; no leaves it alone, its folder stays.")
    model: FilePath | None = Field(
        default=None, description="This camera's own model, as written by 'avid-watch fit'; nothing is learned then."
    )
    learn: Length = Field(default=30.0, description="Normal footage to see before the camera is first judged.")
    learn_hours: float = Field(
        default=24.0,
        ge=0,
        le=24 * 365,
        description="Hours it goes on learning; alarms until then are marked provisional.",
    )
    normal: Annotated[tuple[str, ...], OneAsList] = Field(
        default=(), description="Recordings of normal footage of this camera, to learn from before the first hours."
    )
    false_alarms_per_day: float = Field(
        default=1.0, gt=0, le=86400, description="False events you accept per watched day; sets the threshold."
    )
    decision: Decision = Field(
        default="joint",
        description="How both networks' maps become one: a soft joint score, or the paper's two thresholds.",
    )
    max_reconnects: Annotated[int | None, OffAsNone] = Field(
        default=None, ge=0, description="Attempts to connect after the first; without it, there is no end to them."
    )
    stall: Length = Field(
        default=20.0, description="Connected, but without a picture for this long: the camera is connected anew."
    )
    time_zone: TimeZone | None = Field(
        default=None, description="Time zone of the schedule, e.g. Europe/Berlin; without it, that of this machine."
    )
    schedule: dict[Weekdays, Hours] | None = Field(
        default=None,
        min_length=1,
        description="Armed hours by weekday, e.g. 'mon-fri: 20:00-06:00'; without it, always. Health always alarms.",
    )
    events: EventsConfig = Field(default_factory=EventsConfig, description="When an event begins and ends.")
    clips: ClipsConfig = Field(default_factory=ClipsConfig, description="Evidence clips of events.")
    record: Annotated[Length | None, BeforeValidator(_segment_length)] = Field(
        default=None,
        description="Record continuously, annotated, in segments of this length; 'on' means 10m, off: only events.",
    )
    snapshots: bool = Field(default=True, description="Write a picture of every event's peak.")

    @model_validator(mode="after")
    def _hours_that_can_be(self) -> Self:
        self.armed_hours()
        return self

    def armed_hours(self) -> Schedule:
        """When anomalies and forbidden motion alarm; what is wrong with the camera itself alarms at any time."""
        return Schedule.parse(self.schedule, self.time_zone)


class CameraConfig(CameraDefaults):
    """One camera."""

    short_form: ClassVar[tuple[str, ...]] = ("string",)

    name: str = Field(
        description="What folder, topics, events and metrics call it; without it, made from the address.",
        max_length=LONGEST_NAME,
    )
    uri: str = Field(
        min_length=1,
        repr=False,
        description="Address: rtsp, rtsps, http (MJPEG or HLS), rtmp, a device, or a recording with realtime.",
    )
    user: str | None = Field(default=None, min_length=1, description="User to log in as, if the address has none.")
    password: Secret | None = Field(default=None, description="Password of that user; best written as ${NAME}.")
    password_file: FilePath | None = Field(default=None, description="File that holds the password.")
    zones: tuple[ZoneConfig, ...] = Field(
        default=(), max_length=64, description="Parts of the picture to watch alone, to ignore, or where nothing moves."
    )

    @property
    def address(self) -> str:
        """The address without user and password, for everything that is shown or written."""
        return without_password(self.uri)

    def full_uri(self) -> str:
        """The address to connect to, user and password included; never to be shown."""
        if self.user is None:
            return self.uri
        parts = urlsplit(self.uri)
        login = quote(self.user, safe="")
        if self.password is not None:
            login += f":{quote(self.password.get_secret_value(), safe='')}"
        return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))

    @model_validator(mode="before")
    @classmethod
    def _from_address(cls, values: object) -> object:
        if isinstance(values, str):
            values = {"uri": values}
        if isinstance(values, Mapping) and values.get("name") is None and isinstance(values.get("uri"), str):
            return {**values, "name": name_from(values["uri"])}
        return values

    @field_validator("uri")
    @classmethod
    def _begins_like_an_address(cls, uri: str) -> str:
        if is_misspelled_address(uri):
            raise ValueError("an address with a user or password in it begins like rtsp://, and this one does not")
        return uri

    @model_validator(mode="before")
    @classmethod
    def _password_from_file(cls, values: object, info: ValidationInfo) -> object:
        return secret_from_file(values, info, "password")

    @model_validator(mode="after")
    def _a_plain_name(self) -> Self:
        if _NAME.fullmatch(self.name) is None:
            raise ValueError(f"the name {self.name!r} must be made of letters, digits and . _ = @ -, a letter first")
        return self

    @model_validator(mode="after")
    def _login(self) -> Self:
        if self.password is not None and self.user is None:
            raise ValueError("a password needs its user: write user: NAME beside it")
        if self.user is not None and "://" not in self.uri:
            raise ValueError(f"user is for addresses such as rtsp://host/path, not for {self.address}: leave it out")
        if self.user is not None and "@" in urlsplit(self.uri).netloc:
            raise ValueError("user stands in the address and beside it: leave one out")
        return self

    @model_validator(mode="after")
    def _one_place_to_learn_from(self) -> Self:
        if self.model is not None and self.normal:
            raise ValueError("model and normal exclude each other: a model has already learned; leave one out")
        return self

    @model_validator(mode="after")
    def _zones_have_names_of_their_own(self) -> Self:
        names = [zone.name for zone in self.zones]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two zones are called {name!r}: give each a name of its own")
        return self

    @field_serializer("uri", mode="wrap")
    def _without_password(self, _uri: str, _handler: SerializerFunctionWrapHandler) -> str:
        return self.address


def name_from(uri: str) -> str:
    """What a camera is called without a name: ``host_path`` of its address, never with user or password."""
    if scheme_of(uri) not in {None, "file"}:
        return _cleaned(host_path(uri))
    return _cleaned(uri if uri.startswith("device:") else name_of(path_of(without_password(uri))))


def _cleaned(text: str) -> str:
    return _UNSAFE.sub("_", text).strip("._=@-")[:LONGEST_NAME] or "camera"

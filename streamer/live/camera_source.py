"""The contract of a live camera as a source: it stays, whatever happens to the stream behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from fractions import Fraction

    from streamer.frames import Frame, SourceCounts, SourceInfo


class Cause(Enum):
    """Why a camera is not there."""

    AUTHENTICATION = "authentication"
    NOT_FOUND = "not found"
    CODEC = "codec"
    TIME_OUT = "time-out"
    REFUSED = "refused"  # nobody listens at that address
    ENDED = "ended"  # the stream just ended: a server that was killed raises nothing else
    STALLED = "stalled"  # connected, but no picture came for too long
    BROKEN = "broken"  # anything else


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """A piece of the camera's own encoded stream, kept for evidence clips.

    Attributes:
        data: as the camera sent it.
        pts, dts, duration: in units of ``time_base``; None where the camera does not say.
        time_base: seconds per unit.
        is_keyframe: a decoder can begin here.
        arrived: when it came, wall clock with time zone.
        epoch: number of the connection it came over; packets of two connections share no clip.
    """

    data: bytes
    pts: int | None
    dts: int | None
    duration: int | None
    time_base: Fraction
    is_keyframe: bool
    arrived: datetime
    epoch: int


@dataclass(frozen=True, slots=True)
class EncodedStream:
    """What a muxer must know of the packets of one connection.

    Attributes:
        epoch: number of the connection.
        codec: FFmpeg's name of it, e.g. ``h264``.
        width, height: coded size in pixels.
        extradata: the codec's own header (SPS and PPS of H.264); empty where it has none.
        time_base: seconds per unit of the packets' times.
    """

    epoch: int
    codec: str
    width: int
    height: int
    extradata: bytes
    time_base: Fraction


class CameraListener(Protocol):
    """Hears what happens to a camera's connection; called on the camera's own threads, must return at once."""

    def connecting(self, attempt: int) -> None:
        """Attempt number ``attempt`` (from 0; 0 again after it was connected) begins."""
        ...

    def connected(self, info: SourceInfo) -> None:
        """The first picture of a connection is decoded."""
        ...

    def lost(self, cause: Cause, detail: str, retry_in: float | None) -> None:
        """The connection, or the attempt, failed; the next one begins in ``retry_in`` seconds, None: never again."""
        ...

    def stream(self, stream: EncodedStream) -> None:
        """Packets of a new connection follow."""
        ...

    def packet(self, packet: EncodedPacket) -> None:
        """A packet came."""
        ...


class CameraSource(Protocol):
    """A live camera. Opening it never fails because the camera is away; ``frames`` connects, and connects again."""

    @property
    def name(self) -> str:
        """Its id; never holds a password."""
        ...

    @property
    def info(self) -> SourceInfo | None:
        """Of the latest connection; None before the first one."""
        ...

    @property
    def counts(self) -> SourceCounts:
        """Of all connections together."""
        ...

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Pictures as they come, across reconnections, until closed or given up.

        PTS are seconds since 1970: the wall clock at the first picture of a connection, and the camera's own clock from
        there; strictly increasing over everything. Every connection is a new segment. ``wall_clock`` is the arrival.
        """
        ...

    def close(self) -> None:
        """End ``frames`` from any thread, within a second; may be called twice."""
        ...

"""From the packets of one connection to pictures; counterpart of ``decoding`` for sources that may go silent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.error import FFmpegError
from av.packet import Packet

from streamer.live.camera_source import Cause
from streamer.sources.decoding import Decoded
from streamer.sources.images import quarter_turns
from streamer.sources.reconnecting import ConnectionLostError
from streamer.sources.stream_options import START_UP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from streamer.frames import SourceCounts
    from streamer.live.camera_source import EncodedPacket
    from streamer.sources.connection import Connection
    from streamer.turns import Turns

_LONGEST_WAIT = 0.5
"""Seconds between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class LivePicture(Decoded):
    """A picture of a live source.

    Attributes:
        arrived: when the packet that completed it came.
    """

    arrived: datetime


class LiveDecoding:
    """Decodes the packets of one connection on the thread that reads."""

    def __init__(
        self,
        connection: Connection,
        counts: SourceCounts,
        *,
        turns: Turns,
        stall_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read from ``connection``.

        Args:
            connection: a started one.
            counts: ``dropped`` and ``decode_errors`` grow.
            turns: a packet is decoded in one.
            stall_seconds: longest wait for a picture, three times as long for the first one.
            clock: monotonic seconds.
        """
        self._arrived: datetime | None = None
        self._connection = connection
        self._counts = counts
        self._stall_seconds = stall_seconds
        self._turns = turns
        self._clock = clock
        self._since = clock()
        self._pictures = 0
        self._broken = False
        self._lost: Fraction | None = None
        self._time_base = Fraction(1)

    def pictures(self) -> Iterator[LivePicture]:
        """The pictures in the order of presentation, until the connection is abandoned.

        Raises:
            ConnectionLostError: it ended, failed, or brought no picture for too long.
        """
        while True:
            try:
                packet, dropped = self._connection.queue.take(min(_LONGEST_WAIT, self._time_left()))
            except ConnectionLostError:
                yield from self._rest()
                raise
            if packet is not None:
                if dropped:
                    yield from self._rest()
                    self._counts.dropped += dropped
                    self._broken, self._lost = True, None
                yield from self._decoded(packet)
            elif self._connection.queue.ended:
                return
            if self._time_left() <= 0:
                raise self._stalled()

    def _time_left(self) -> float:
        limit = self._stall_seconds if self._pictures else START_UP * self._stall_seconds
        return self._since + limit - self._clock()

    def _stalled(self) -> ConnectionLostError:
        if self._connection.opened is None:
            return ConnectionLostError(Cause.TIME_OUT, f"no answer for {START_UP * self._stall_seconds:g} s")
        if not self._pictures and self._counts.decode_errors:
            return ConnectionLostError(Cause.CODEC, "none of its pictures can be decoded")
        return ConnectionLostError(Cause.STALLED, f"no picture for {self._stall_seconds:g} s")

    def _decoded(self, packet: EncodedPacket) -> Iterator[LivePicture]:
        opened = self._connection.opened
        if opened is None:
            return
        self._arrived = packet.arrived
        try:
            with self._turns:
                frames = opened.decoder.decode(_packet_of(packet))
        except FFmpegError:
            self._counts.decode_errors += 1
            self._broken, self._lost = True, None if packet.pts is None else packet.pts * packet.time_base
            return
        self._time_base = packet.time_base
        yield from self._pictured(frames)

    def _rest(self) -> Iterator[LivePicture]:
        """What the decoder still holds; afterwards it begins anew."""
        opened = self._connection.opened
        if opened is None or self._arrived is None:
            return
        try:
            frames = opened.decoder.decode(None)
        except (FFmpegError, EOFError):
            frames = []
        opened.decoder.flush_buffers()
        yield from self._pictured(frames)

    def _pictured(self, frames: list[Any]) -> Iterator[LivePicture]:
        arrived = self._arrived
        for frame in frames:
            if not isinstance(frame, av.VideoFrame) or arrived is None:
                continue
            broken, self._broken = self._broken, False
            lost, self._lost = self._lost, None
            self._pictures += 1
            yield LivePicture(
                frame,
                None if frame.pts is None else frame.pts * (frame.time_base or self._time_base),
                corrupt=frame.is_corrupt,
                broken=broken,
                lost=lost,
                turns=quarter_turns(frame),
                arrived=arrived,
            )
            # Whoever takes the pictures may take his time with each: that is no silence of the camera.
            self._since = self._clock()


def _packet_of(encoded: EncodedPacket) -> Packet[Any]:
    packet = Packet(encoded.data)
    packet.pts, packet.dts, packet.time_base = encoded.pts, encoded.dts, encoded.time_base
    packet.duration = encoded.duration
    packet.is_keyframe = encoded.is_keyframe
    return packet

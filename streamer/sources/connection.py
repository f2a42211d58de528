"""One connection to a camera: opened, drained and closed on a thread of its own.

Nobody else ever touches the container. Reading may hang for as long as its time limit and closing for seconds (a
silent RTSP server is waited for once more), so a connection that is no longer wanted is only told so and left behind;
its thread closes it when FFmpeg comes back.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from threading import Event, Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from av.codec.context import CodecContext
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from streamer.live.camera_source import Cause, EncodedPacket, EncodedStream
from streamer.sources.decoding import video_stream
from streamer.sources.packet_queue import PacketQueue
from streamer.sources.parameter_sets import parameter_sets, sequence_headers
from streamer.sources.realtime import Pacer
from streamer.sources.reconnecting import ConnectionLostError, failure_of
from streamer.sources.stream_options import LIVE_SCHEMES, opening_for_format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.container import InputContainer
    from av.video.stream import VideoStream

    from streamer.live.camera_source import CameraListener
    from streamer.sources.replays import Replays
    from streamer.sources.stream_options import CameraOptions, Opening

_PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
_CLOCKLESS = frozenset({"mpjpeg", "mjpeg"})
"""Containers that say nothing of times; FFmpeg makes up 25 pictures a second. Their packets get that of arrival."""

_ARRIVAL_TIME_BASE = Fraction(1, 90_000)
_LONGEST_WAIT_FOR_KEY = 10.0
"""Seconds of packets thrown away before the first key picture at most: some cameras refresh without key pictures."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of a stream once it is open.

    Attributes:
        decoder: of this connection; used by the reading thread alone.
        frame_rate: pictures per second, where the stream says so.
        duration: seconds, of a recording.
        has_audio: whether sound comes along.
    """

    decoder: VideoCodecContext
    frame_rate: Fraction | None
    duration: Fraction | None
    has_audio: bool


class Connection:
    """A thread that opens a source and puts its packets into ``queue`` until it ends or is abandoned."""

    def __init__(
        self,
        opening: Opening,
        *,
        name: str,
        options: CameraOptions,
        listener: CameraListener,
        epochs: Iterator[int],
        replays: Replays,
        frame_rate: Fraction | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is opened before ``start``.

        Args:
            opening: what to open.
            name: of the camera, for the thread.
            options: of the camera.
            listener: told of the encoded stream and its packets, on the connection's thread.
            epochs: gives the numbers of stretches of packets that can share a clip.
            replays: knows what the camera's earlier connections showed.
            frame_rate: pictures per second of a recording without times (raw H.264).
            clock: monotonic seconds.
        """
        self.queue = PacketQueue(options.backlog_seconds, clock=clock)
        self.opened: Opened | None = None
        self._opening = opening
        self._options = options
        self._listener = listener
        self._epochs = epochs
        self._replays = replays
        self._frame_rate = frame_rate
        self._clock = clock
        self._epoch = -1
        self._headers: frozenset[bytes] | None = None
        self._time_base: Fraction | None = None
        self._abandoned = Event()
        self._thread = Thread(target=self._run, name=f"connection {name}", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def abandon(self) -> None:
        """Say that nobody wants this connection any more; returns at once, may be called twice."""
        self._abandoned.set()
        self.queue.end()
        self.queue.clear()

    def join(self, seconds: float) -> bool:
        """Wait for the thread; whether it has ended."""
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        container: InputContainer | None = None
        began = self._clock()
        try:
            _knock(self._opening, self._options.connect_seconds)
            container = self._opening.open()
            fitting = opening_for_format(self._opening, container.format.name, self._options)
            if fitting is not None and not self._abandoned.is_set():
                container.close()
                self._opening = fitting
                container = fitting.open()
            if not self._abandoned.is_set():
                self._drain(container)
                self.queue.end(ConnectionLostError(Cause.ENDED, "the stream ended"))
        except Exception as error:  # noqa: BLE001 - an error of this thread is handed to the one that reads
            failure = failure_of(error, connected=self.opened is not None)
            waited = self._clock() - began
            if failure.cause is Cause.BROKEN and self.opened is None and waited >= self._options.stall_seconds:
                # A silent RTSP server ends opening with "invalid data" when its time is over.
                failure = ConnectionLostError(Cause.TIME_OUT, f"no answer for {waited:.0f} s")
            elif failure.cause is Cause.BROKEN and self.opened is None:
                failure = _unknown_host(self._opening) or _turned_away(self._opening) or failure
            self.queue.end(failure)
        finally:
            if container is not None:
                with suppress(FFmpegError, OSError):
                    container.close()

    def _drain(self, container: InputContainer) -> None:
        stream = video_stream(container)
        if stream is None:
            raise ConnectionLostError(Cause.CODEC, "no video stream that can be decoded")
        # More threads than one would delay a live picture, and error detection is off with slice threads.
        stream.codec_context.thread_count = 1
        self.opened = Opened(
            decoder=stream.codec_context,
            frame_rate=stream.average_rate or stream.guessed_rate,
            duration=None
            if stream.duration is None or stream.time_base is None
            else stream.duration * stream.time_base,
            has_audio=bool(container.streams.audio),
        )
        self._time_base = _ARRIVAL_TIME_BASE if container.format.name in _CLOCKLESS else None
        replays = self._replays if self._opening.paced and self._opening.endless else None
        self._replays.begin()
        pacer = Pacer(self._clock) if self._opening.paced else None
        step = 1 / float(self._frame_rate or self.opened.frame_rate or 25)
        keyless_until = self._clock() + _LONGEST_WAIT_FOR_KEY
        for number, packet in enumerate(_packets(container, stream)):
            if self._epoch < 0 and not packet.is_keyframe and self._clock() < keyless_until:
                continue
            if replays is not None and replays.skips(bytes(packet), is_keyframe=packet.is_keyframe):
                continue
            if pacer is not None:
                time_base = packet.time_base
                due = number * step if packet.dts is None or time_base is None else float(packet.dts * time_base)
                self._abandoned.wait(pacer.wait_for(due))
            if self._abandoned.is_set():
                return
            self._hand_on(packet, stream)

    def _hand_on(self, packet: Packet[VideoStream], stream: VideoStream) -> None:
        data, arrived = bytes(packet), datetime.now(UTC)
        self._announce(data, stream, is_keyframe=packet.is_keyframe)
        encoded = EncodedPacket(
            data=data,
            pts=packet.pts,
            dts=packet.dts,
            duration=packet.duration,
            time_base=_time_base(stream, packet),
            is_keyframe=packet.is_keyframe,
            arrived=arrived,
            epoch=self._epoch,
        )
        if self._time_base is not None:
            time = round(arrived.timestamp() / self._time_base)
            encoded = replace(encoded, pts=time, dts=time, duration=None, time_base=self._time_base)
        self._listener.packet(encoded)
        self.queue.put(encoded)

    def _announce(self, data: bytes, stream: VideoStream, *, is_keyframe: bool) -> None:
        """Tell of a new stretch of packets: at the first one, and where the camera sends other headers from then on."""
        context = stream.codec_context
        extradata = bytes(context.extradata or b"")
        sets = parameter_sets(context.name, data) if is_keyframe else b""
        headers = sequence_headers(context.name, sets)
        width, height = stream.width, stream.height
        if self._epoch >= 0:
            if not headers or self._headers is None or headers == self._headers:
                self._headers = headers or self._headers
                return
            width, height = _size_of(context.name, sets, data) or (width, height)
            extradata = sets
        elif sets and not extradata:
            extradata = sets
        if not (width and height):
            width, height = _size_of(context.name, extradata, data) or (0, 0)
        self._headers = headers or None
        self._epoch = next(self._epochs)
        self._listener.stream(
            EncodedStream(
                epoch=self._epoch,
                codec=context.name,
                width=width,
                height=height,
                extradata=extradata,
                time_base=self._time_base or _time_base(stream, None),
            )
        )


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The stream's packets with something in them."""
    while True:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    yield packet
        except IndexError:  # a stream that appeared only now, such as sound that sets in late, is unknown to PyAV
            continue
        return


def _time_base(stream: VideoStream, packet: Packet[VideoStream] | None) -> Fraction:
    found = (packet.time_base if packet is not None else None) or stream.time_base
    if found is None:
        raise ConnectionLostError(Cause.CODEC, "the stream has no time base")
    return found


def _size_of(codec: str, extradata: bytes, data: bytes) -> tuple[int, int] | None:
    """Width and height of a key picture, by decoding it once; None where it does not decode by itself."""
    try:
        decoder = CodecContext.create(codec, "r")
        if not isinstance(decoder, VideoCodecContext):
            return None
        if extradata:
            decoder.extradata = extradata
        frames = [*decoder.decode(Packet(data)), *decoder.decode(None)]
    except (FFmpegError, ValueError):
        return None
    return (frames[0].width, frames[0].height) if frames else None


def _knock(opening: Opening, seconds: float) -> None:
    """See whether anybody listens: FFmpeg waits as it likes.

    Not for HTTP, which may go through a proxy.
    """
    port = _PORTS.get(opening.scheme)
    if port is None:
        return
    host, port = _host_and_port(opening, port)
    if host is None:
        return
    try:
        socket.create_connection((host, port), seconds).close()
    except socket.gaierror as error:
        raise _host_not_found(host) from error


def _unknown_host(opening: Opening) -> ConnectionLostError | None:
    """Whether a camera that failed has a name nobody knows: FFmpeg calls that an input/output error."""
    host, port = _host_and_port(opening, 0)
    if host is None or opening.scheme not in LIVE_SCHEMES:
        return None
    try:
        socket.getaddrinfo(host, port or None)
    except socket.gaierror:
        return _host_not_found(host)
    except (OSError, UnicodeError):
        return None
    return None


def _turned_away(opening: Opening) -> ConnectionLostError | None:
    """What it means where an RTMP server answers and gives nothing: FFmpeg makes one error of all its refusals."""
    if not opening.scheme.startswith("rtmp"):
        return None
    return ConnectionLostError(
        Cause.BROKEN, "the server turned this viewer away: check user, password and the stream's name"
    )


def _host_and_port(opening: Opening, port: int) -> tuple[str | None, int]:
    """Of the address; the host is None where it has none that can be told, and FFmpeg will say what it thinks of it."""
    try:
        address = urlsplit(opening.target)
        known = address.hostname, address.port or port
    except ValueError:
        return None, port
    return known


def _host_not_found(host: str) -> ConnectionLostError:
    return ConnectionLostError(Cause.NOT_FOUND, f"the host name {host} is unknown")

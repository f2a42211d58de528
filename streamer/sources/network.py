"""Live cameras: they connect, and connect again, whatever happens to the stream behind them."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from fractions import Fraction
from random import Random
from threading import Event
from typing import TYPE_CHECKING

from detectors.threads import usable_cores
from preprocess.luma import luma_of
from streamer.frames import Frame, Pace, SourceCounts, SourceInfo
from streamer.sources.connection import Connection
from streamer.sources.damage import with_damage_marked
from streamer.sources.deinterlacing import deinterlaced
from streamer.sources.images import DecodedImage, upright
from streamer.sources.live_clock import LiveClock
from streamer.sources.live_damage import with_losses_marked
from streamer.sources.live_decoding import LiveDecoding, LivePicture
from streamer.sources.naming import path_of, without_password
from streamer.sources.reconnecting import Backoff, ConnectionLostError
from streamer.sources.refusals import refuse_unreadable_path
from streamer.sources.replays import Replays
from streamer.sources.stream_options import CameraOptions, Opening, opening_of
from streamer.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from streamer.live.camera_source import CameraListener
    from streamer.sources.decoding import Decoded

_FALLBACK_STEP = Fraction(1, 25)
_BELIEVABLE_RATES = (Fraction(1, 60), Fraction(240))
_SECONDS_TO_CLOSE = 0.5
_MARKING_DECODERS = frozenset({"h264", "mpeg4", "mpeg2video", "h263"})
"""Decoders of FFmpeg that detect and mark damaged pictures; the others hand them on as sound."""


def open_camera(
    uri: str,
    *,
    name: str,
    options: CameraOptions | None = None,
    listener: CameraListener,
    frame_rate: Fraction | None = None,
    turns: Turns | None = None,
) -> NetworkCamera:
    """A live camera at ``uri``; nothing is connected before its ``frames`` are read.

    Args:
        uri: ``rtsp://``, ``rtsps://``, ``http(s)://`` (motion JPEG, HLS), ``rtmp(s)://``, a camera device
            (``device:0``, ``/dev/video0``), or the path of a recording, which is then played at its own pace.
        name: its id; without a password.
        options: how it is read.
        listener: told what happens to the connection.
        frame_rate: pictures per second to ask a camera device for, or of a recording without times (raw H.264).
        turns: decoding waits for one; as many cameras at a time as there are cores by default.

    Raises:
        UsageError: nothing live comes from such an address.
        InputError: it is a recording that cannot be read.
    """
    options = options or CameraOptions()
    opening = opening_of(uri, options, frame_rate=frame_rate)
    if opening.scheme == "file":
        refuse_unreadable_path(path_of(uri), without_password(uri))
    return NetworkCamera(
        opening,
        uri=without_password(uri),
        name=name,
        options=options,
        listener=listener,
        frame_rate=frame_rate,
        turns=turns,
    )


class NetworkCamera:
    """A camera behind a connection that may go away at any time; the contract is ``CameraSource``."""

    def __init__(
        self,
        opening: Opening,
        *,
        uri: str,
        name: str,
        options: CameraOptions,
        listener: CameraListener,
        frame_rate: Fraction | None = None,
        turns: Turns | None = None,
        random: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is opened.

        Args:
            opening: how to open it.
            uri: its address without a password.
            name: its id.
            options: how it is read.
            listener: told what happens.
            frame_rate: pictures per second, where the stream does not say.
            turns: decoding waits for one.
            random: draws the jitter between attempts.
            clock: monotonic seconds.
        """
        self._opening = opening
        self._uri = uri
        self._name = name
        self._options = options
        self._listener = listener
        self._frame_rate = frame_rate
        self._turns = turns or Turns(usable_cores())
        self._clock = clock
        self._backoff = Backoff(options, random or Random())
        self._counts = SourceCounts()
        self._times = LiveClock(self._counts)
        self._epochs = itertools.count()
        self._replays = Replays(clock)
        self._info: SourceInfo | None = None
        self._connection: Connection | None = None
        self._connections = 0
        self._reading = False
        self._closed = Event()

    @property
    def name(self) -> str:
        """Its id."""
        return self._name

    @property
    def info(self) -> SourceInfo | None:
        """Of the latest connection, with the latest size; None before the first picture."""
        return self._info

    @property
    def pace(self) -> Pace:
        """The present counts: what waits too long is dropped."""
        return Pace.LATEST

    @property
    def counts(self) -> SourceCounts:
        """Of all connections together."""
        return self._counts

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        return max(0, self._connections - 1)

    def frames(self) -> Iterator[Frame]:
        """Pictures as they come, until closed or given up; may be called once.

        Raises:
            ValueError: it was called before.
        """
        if self._reading:
            raise ValueError(f"{self._name}: a camera can be read once; open it again")
        self._reading = True
        return self._read()

    def close(self) -> None:
        """End ``frames`` from any thread; returns within a second, may be called twice.

        A connection that FFmpeg is stuck in ends by itself a little later.
        """
        self._closed.set()
        connection = self._connection
        if connection is not None:
            connection.abandon()
            connection.join(_SECONDS_TO_CLOSE)

    def _read(self) -> Generator[Frame, None, None]:
        attempt = 0
        while not self._closed.is_set():
            self._listener.connecting(attempt)
            began, connected_before = self._clock(), self._connections
            lost = yield from self._connected()
            if lost is None or self._closed.is_set():
                return
            was_connected = self._connections > connected_before
            healthy = self._clock() - began if was_connected else 0.0
            wait = self._backoff.after(lost.cause, healthy) if self._opening.endless else None
            self._listener.lost(lost.cause, lost.detail, wait)
            if wait is None or self._closed.wait(wait):
                return
            attempt = 0 if was_connected else attempt + 1

    def _connected(self) -> Generator[Frame, None, ConnectionLostError | None]:
        """The frames of one connection; returns why it ended, None where the camera was closed."""
        connection = Connection(
            self._opening,
            name=self._name,
            options=self._options,
            listener=self._listener,
            epochs=self._epochs,
            replays=self._replays,
            frame_rate=self._frame_rate,
            clock=self._clock,
        )
        self._connection = connection
        try:
            if self._closed.is_set():
                return None
            connection.start()
            decoding = LiveDecoding(
                connection,
                self._counts,
                turns=self._turns,
                stall_seconds=self._options.stall_seconds,
                clock=self._clock,
            )
            known = False
            for decoded in self._judged(connection, decoding):
                if not isinstance(decoded, LivePicture):  # cannot be: the stages between keep its kind
                    continue
                if not known:
                    known = True
                    self._welcome(connection, decoded)
                frame = self._frame(decoded)
                if self._closed.is_set():
                    return None
                yield frame
                if self._closed.is_set():
                    return None
        except ConnectionLostError as error:
            return error
        finally:
            connection.abandon()
        return None

    def _judged(self, connection: Connection, decoding: LiveDecoding) -> Iterator[Decoded]:
        """Decoded pictures, damage marked, made whole where interlaced."""
        pictures = decoding.pictures()
        first = next(pictures, None)
        if first is None or connection.opened is None:
            return
        pictures = itertools.chain((first,), pictures)
        codec = connection.opened.decoder.codec
        if self._opening.may_lose:
            judged = with_losses_marked(
                pictures, intra_only=codec.intra_only, unmarked=codec.name not in _MARKING_DECODERS
            )
        else:
            judged = with_damage_marked(pictures, intra_only=codec.intra_only)
        yield from deinterlaced(judged)

    def _welcome(self, connection: Connection, decoded: Decoded) -> None:
        """The first picture of a connection is here."""
        opened = connection.opened
        if opened is None:  # cannot be: a picture came
            return
        rate = opened.frame_rate
        without_times = self._opening.scheme == "file" and decoded.pts is None
        if without_times and self._frame_rate is not None:
            rate = self._frame_rate
        if rate is None or not _BELIEVABLE_RATES[0] <= rate <= _BELIEVABLE_RATES[1]:
            rate = self._frame_rate
        width, height = _upright_size(decoded)
        self._info = SourceInfo(
            uri=self._uri,
            name=self._name,
            width=width,
            height=height,
            frame_rate=rate,
            frames=None,
            duration=opened.duration if self._opening.scheme == "file" else None,
            start=None,
            codec=opened.decoder.name,
            pixel_format=decoded.frame.format.name,
            rotation=90 * decoded.turns,
            has_audio=opened.has_audio,
        )
        self._times.restart(_FALLBACK_STEP if rate is None else 1 / rate)
        self._connections += 1
        self._listener.connected(self._info)

    def _frame(self, decoded: LivePicture) -> Frame:
        size = _upright_size(decoded)
        place = self._times.place(
            decoded.pts,
            (decoded.frame.width, decoded.frame.height),
            decoded.arrived,
            corrupt=decoded.corrupt,
            broken=decoded.broken,
        )
        if self._info is not None and size != (self._info.width, self._info.height):
            self._info = replace(self._info, width=size[0], height=size[1])
        index = self._counts.decoded
        self._counts.decoded += 1
        self._counts.corrupt += int(decoded.corrupt)
        return Frame(
            source=self._name,
            index=index,
            pts=place.pts,
            wall_clock=decoded.arrived,
            segment=place.segment,
            luma=upright(luma_of(decoded.frame), decoded.turns),
            image=DecodedImage(decoded.frame, decoded.turns),
            corrupt=decoded.corrupt,
        )


def _upright_size(decoded: Decoded) -> tuple[int, int]:
    width, height = decoded.frame.width, decoded.frame.height
    return (height, width) if decoded.turns % 2 else (width, height)

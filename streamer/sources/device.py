"""Camera devices (Video4Linux): always the present, never a growing delay."""

from __future__ import annotations

import errno
import re
import sys
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

import av
from av.error import FFmpegError

from preprocess.errors import InputError
from preprocess.luma import luma_of
from streamer.frames import Frame, Pace, SourceCounts, SourceInfo
from streamer.sources.backlog import Backlog
from streamer.sources.decoding import Decoded, decoded_frames, video_stream
from streamer.sources.images import DecodedImage
from streamer.sources.reading import Readings
from streamer.sources.refusals import refusal_without_pictures, refusal_without_video
from streamer.sources.segments import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import TracebackType

    from av.container import InputContainer
    from av.video.stream import VideoStream

    Opener = Callable[[Path, dict[str, str]], InputContainer]

_DEVICE = re.compile(r"device:(?:(?P<number>\d+)|(?P<path>/.+))")
_FALLBACK_FRAME_RATE = Fraction(25)
_BACKLOG_SECONDS = 1
_SECONDS_TO_STOP = 5.0

_Arrival = tuple[Decoded, datetime]
"""A frame, and when it arrived."""


def device_path(uri: str) -> Path | None:
    """The device file that ``device:0``, ``device:/dev/video0`` or ``/dev/video0`` means; None for other inputs."""
    match = _DEVICE.fullmatch(uri)
    if match is not None:
        return Path(f"/dev/video{match['number']}" if match["number"] else match["path"])
    return Path(uri) if uri.startswith(("/dev/video", "/dev/v4l/")) else None


def open_video4linux(path: Path, options: dict[str, str]) -> InputContainer:
    """Open a camera device through FFmpeg's Video4Linux input."""
    return av.open(str(path), format="v4l2", options=options)


class Camera:
    """A camera device as a source: one reading, at the camera's pace.

    Pictures that are not taken within about a second are dropped, all at once, and counted; the next one starts a new
    segment.
    """

    def __init__(
        self,
        path: Path,
        *,
        uri: str,
        name: str,
        frame_rate: Fraction | None = None,
        opener: Opener | None = None,
    ) -> None:
        """Open the device and wait for its first picture.

        Args:
            path: the device file.
            uri: as the user gave it.
            name: id and output name.
            frame_rate: pictures per second to ask the camera for.
            opener: how to open it; FFmpeg's Video4Linux input unless given.

        Raises:
            InputError: there is no such camera, it may not be read, is busy, or gives no picture.
        """
        self._uri = uri
        self._counts = SourceCounts()
        self._stop = Event()
        self._thread: Thread | None = None
        self._readings: Readings[Frame] = Readings(uri)
        self._container, self._stream = _open(path, uri, frame_rate, opener)
        self._arrivals = self._arriving()
        try:
            first = next(self._arrivals, None)
            if first is None:
                raise refusal_without_pictures(uri)
        except FFmpegError as error:
            self._container.close()
            raise _refusal(path, uri, error) from error
        except InputError:
            self._container.close()
            raise
        self._first: _Arrival = first
        self._info = self._describe(name)
        rate = self._info.frame_rate or _FALLBACK_FRAME_RATE
        self._backlog: Backlog[_Arrival] = Backlog(max(8, round(rate * _BACKLOG_SECONDS)))

    @property
    def info(self) -> SourceInfo:
        """What the camera delivers."""
        return self._info

    @property
    def pace(self) -> Pace:
        """The present counts: old pictures are dropped."""
        return Pace.LATEST

    @property
    def counts(self) -> SourceCounts:
        """Counts since the device was opened."""
        return self._counts

    def frames(self) -> Iterator[Frame]:
        """Read pictures as they come, until the source is closed; may be called once.

        Raises:
            InputError: the camera went away.
            ValueError: the source is closed, or was read before.
        """
        if self._thread is not None:
            raise ValueError(f"{self._uri}: a camera can be read once; open it again")
        reading = self._readings.started(self._read)
        self._thread = Thread(target=self._collect, name=f"camera {self._info.name}", daemon=True)
        self._thread.start()
        return reading

    def close(self) -> None:
        """Stop reading and release the device."""
        self._stop.set()
        self._backlog.end()
        self._readings.close()
        if self._thread is not None:
            self._thread.join(_SECONDS_TO_STOP)
            if self._thread.is_alive():
                return  # stuck inside the driver: closing under its feet would crash; the thread ends with the program
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _arriving(self) -> Generator[_Arrival, None, None]:
        for decoded in decoded_frames(self._container, self._stream, self._counts, live=True):
            yield decoded, datetime.now(UTC)

    def _collect(self) -> None:
        """Read on the reading thread: whoever takes the pictures must never hold the camera up."""
        gone = f"{self._uri}: the camera stopped delivering pictures"
        try:
            self._backlog.put(self._first)
            for arrival in self._arrivals:
                if self._stop.is_set():
                    return
                self._backlog.put(arrival)
            self._backlog.end(InputError(f"{gone}; check its cable"))
        except Exception as error:  # noqa: BLE001 - an error of this thread must end the run, so it is handed over
            reason = error.strerror if isinstance(error, OSError) else error
            self._backlog.end(InputError(f"{gone} ({reason}); check its cable"))

    def _read(self) -> Generator[Frame, None, None]:
        rate = self._info.frame_rate or _FALLBACK_FRAME_RATE
        timeline = Timeline(1 / rate, self._counts)
        while True:
            arrival, dropped = self._backlog.take()
            if arrival is None:
                return
            decoded, moment = arrival
            frame = decoded.frame
            self._counts.dropped += dropped
            place = timeline.place(
                decoded.pts,
                (frame.width, frame.height),
                corrupt=decoded.corrupt,
                broken=decoded.broken or dropped > 0,
            )
            index = self._counts.decoded
            self._counts.decoded += 1
            self._counts.corrupt += int(decoded.corrupt)
            yield Frame(
                source=self._info.name,
                index=index,
                pts=place.pts,
                wall_clock=moment,
                segment=place.segment,
                luma=luma_of(frame),
                image=DecodedImage(frame, 0),
                corrupt=decoded.corrupt,
            )

    def _describe(self, name: str) -> SourceInfo:
        decoded, moment = self._first
        frame, pts = decoded.frame, decoded.pts
        return SourceInfo(
            uri=self._uri,
            name=name,
            width=frame.width,
            height=frame.height,
            frame_rate=self._stream.average_rate or self._stream.guessed_rate,
            frames=None,
            duration=None,
            start=None if pts is None else moment - timedelta(seconds=float(pts)),
            codec=self._stream.codec_context.name,
            pixel_format=frame.format.name,
            rotation=0,
            has_audio=False,
        )


def _open(
    path: Path, uri: str, frame_rate: Fraction | None, opener: Opener | None
) -> tuple[InputContainer, VideoStream]:
    if opener is None:
        if sys.platform != "linux":
            raise InputError(f"{uri}: camera devices are read through Video4Linux, which this system lacks; use Linux")
        if not path.is_char_device():
            raise InputError(f"{uri}: no such camera device; {_cameras_here()}")
        opener = open_video4linux
    options = {} if frame_rate is None else {"framerate": f"{frame_rate.numerator}/{frame_rate.denominator}"}
    try:
        container = opener(path, options)
    except (FFmpegError, OSError, ValueError) as error:
        raise _refusal(path, uri, error) from error
    stream = video_stream(container)
    if stream is None:
        container.close()
        raise refusal_without_video(uri)
    # Frame threads would hold back as many pictures as there are threads.
    stream.thread_type = "SLICE"
    return container, stream


def _refusal(path: Path, uri: str, error: Exception) -> InputError:
    if isinstance(error, PermissionError):
        return InputError(f"{uri}: permission denied; add your user to the group that owns {path} (often 'video')")
    if isinstance(error, OSError) and error.errno == errno.EBUSY:
        return InputError(f"{uri}: the camera is used by another program; close that first")
    reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return InputError(f"{uri}: the camera cannot be read ({reason}); check that it gives a picture in another program")


def _cameras_here() -> str:
    cameras = sorted(str(path) for path in Path("/dev").glob("video*"))
    return f"here are {', '.join(cameras)}" if cameras else "this machine has none; connect one, or give a recording"

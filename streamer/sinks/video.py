"""The annotated video: an MP4 with the source's timing and sound that survives a kill at any moment."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from preprocess.errors import OutputError
from preprocess.geometry import even_size
from streamer.sinks.audio import AudioTrack, open_audio
from streamer.sinks.whole_writes import WholeWrites

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from streamer.frames import Bgr, Frame, SourceInfo

TIME_BASE = Fraction(1, 90000)
"""Fine enough for every common rate: 1001/30000 s is 3003 ticks, and 11 microseconds apart are two pictures."""

_CONTAINER_OPTIONS = {
    # Fragments while it grows, an ordinary index at the end. Without delay_moov, sound that begins after the pictures
    # is moved to their beginning. The two together need FFmpeg 8.1 (av 17.1): older ones write unreadable files.
    "movflags": "hybrid_fragmented+delay_moov",
    "frag_duration": "500000",
    "flush_packets": "1",
    # By default sound that ends early holds the pictures back for 10 s, all lost in a kill (measured: 5.6 s of 8 s).
    "max_interleave_delta": "100000",
}
_DEFAULT_RATE = Fraction(25)


class AnnotatedVideo:
    """Writes annotated pictures as H.264 in MP4, with the times of their frames.

    The first picture is at 0 s, every other one as far behind as in the source, at variable rates too. The file has its
    final name from the first picture on, is readable up to about the last second if the process is killed, and an
    ordinary seekable MP4 after :meth:`close`. There are no B-frames: decoding order is showing order, so that no
    picture waits for a later one.

    Attributes:
        path: the file.
        size: ``(width, height)`` of the pictures: the source's, odd sides grown by one.
        frames: pictures written so far.
        audio_note: what became of the sound, for the summary; None where it was copied or there is none.
    """

    def __init__(
        self,
        path: str | Path,
        info: SourceInfo,
        *,
        audio_from: str | Path | None = None,
        threads: int = 1,
        preset: str = "veryfast",
        crf: int = 23,
    ) -> None:
        """Create the file.

        Args:
            path: ends in ``.mp4``; an existing file is replaced.
            info: of the source, for size and nominal rate.
            audio_from: file whose first audio stream is carried over; None for a silent video.
            threads: of the encoder; one, because the networks need the cores (640x360: over 300 pictures per second).
            preset: x264's speed; ``veryfast`` needs half the bytes of ``superfast`` at 0.9 of its speed.
            crf: x264's quality, 0..51, smaller is better.

        Raises:
            OutputError: the file cannot be created.
        """
        self.path = Path(path)
        self.size = even_size((info.width, info.height))
        self.frames = 0
        self.audio_note: str | None = None
        self._audio_from = audio_from
        self._audio: AudioTrack | None = None
        self._rate = info.frame_rate or _DEFAULT_RATE
        self._origin: Fraction | None = None
        self._ticks: deque[int] = deque()
        self._encoded: deque[Packet[Any]] = deque()
        self._duration = info.duration
        self._failed = False
        with self._reporting():
            self._file = WholeWrites(self.path, "wb")
            self._container: OutputContainer | None = av.open(
                self._file, "w", format="mp4", container_options=_CONTAINER_OPTIONS
            )
            self._stream = self._add_stream(self._container, threads, preset, crf)

    def _add_stream(self, container: OutputContainer, threads: int, preset: str, crf: int) -> VideoStream:
        per_second = round(self._rate)
        options = {
            "preset": preset,
            "crf": str(crf),
            "bf": "0",
            "g": str(min(max(per_second, 12), 25)),
            # Pictures the encoder looks ahead are pictures lost in a kill: at most a fifth of a second.
            "rc-lookahead": str(min(max(per_second // 5, 0), 5)),
        }
        stream = container.add_stream("libx264", rate=self._rate, options=options)
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        stream.time_base = TIME_BASE
        context = stream.codec_context
        context.time_base = TIME_BASE
        context.thread_count = max(1, threads)
        if threads > 1:
            context.thread_type = "SLICE"  # frame threads would hold back one picture each
        # What cv2 converts to, said aloud, or players guess BT.709 for large pictures.
        context.color_range = ColorRange.MPEG
        context.colorspace = Colorspace.SMPTE170M
        return stream

    def write(self, frame: Frame, picture: Bgr) -> None:
        """Append the annotated picture of a frame.

        Args:
            frame: gives the time; a PTS not after the previous one is moved by one tick.
            picture: ``(H, W, 3)`` of :attr:`size`.

        Raises:
            OutputError: the disk is full or the file cannot be written; what was written stays readable.
            ValueError: the picture is of another size, or the video is closed.
        """
        self.write_at(frame.pts, picture)

    def write_at(self, pts: Fraction, picture: Bgr) -> None:
        """Append a picture at a time of the source's clock, in seconds; otherwise as :meth:`write`."""
        if picture.shape != (self.size[1], self.size[0], 3):
            raise ValueError(
                f"a picture of shape {picture.shape} does not fit a video of {self.size[0]}x{self.size[1]}"
            )
        container = self._container
        if container is None:
            raise ValueError("the video is closed")
        if self._origin is None:
            self._origin = pts
            if self._audio_from is not None:
                self._audio, self.audio_note = open_audio(self._audio_from, pts, container)
        tick = round((pts - self._origin) / TIME_BASE)
        if self._ticks:
            tick = max(tick, self._ticks[-1] + 1)
        self._ticks.append(tick)
        planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), dtype=np.uint8)  # 5 times as fast as FFmpeg
        coded = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        coded.pts, coded.time_base = tick, TIME_BASE
        coded.color_range, coded.colorspace = ColorRange.MPEG, Colorspace.SMPTE170M
        with self._reporting():
            self._take(self._stream.encode(coded))
            self._mux(container)
        self.frames += 1

    def close(self) -> None:
        """Write what is left and the index; may be called twice. A video without a picture leaves no file.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        container, self._container = self._container, None
        if container is None:
            return
        try:
            if self._ticks and not self._failed:
                with self._reporting():
                    self._finish(container)
        finally:
            if self._audio is not None:
                self.audio_note = self._audio.note
                self._audio.close()
            self._close_container(container)

    def _finish(self, container: OutputContainer) -> None:
        self._take(self._stream.encode(None))
        end = self._end()
        self._ticks.append(end)
        self._mux(container)
        if self._audio is not None:
            _mux_all(container, self._audio.finish(end * TIME_BASE))

    def _end(self) -> int:
        """When the last picture ends: with the source where that fits, after one nominal step otherwise."""
        last = self._ticks[-1]
        if self._duration is not None and last < (end := round(self._duration / TIME_BASE)) <= last + 1 / TIME_BASE:
            return end
        return last + max(1, round(1 / (self._rate * TIME_BASE)))

    def _close_container(self, container: OutputContainer) -> None:
        try:
            if self._failed:
                with suppress(av.FFmpegError, OSError):  # said already
                    container.close()
                return
            with self._reporting():
                container.close()
                if not self._ticks:
                    self.path.unlink(missing_ok=True)
        finally:
            self._file.close()

    def _take(self, packets: Iterable[Packet[Any]]) -> None:
        self._encoded.extend(packets)

    def _mux(self, container: OutputContainer) -> None:
        """Hand on the encoded pictures whose durations are known, each after the sound before it."""
        while self._encoded and len(self._ticks) > 1:
            packet = self._encoded.popleft()
            tick = self._ticks.popleft()
            packet.pts = packet.dts = tick
            packet.time_base = TIME_BASE
            packet.duration = self._ticks[0] - tick
            if self._audio is not None:
                _mux_all(container, self._audio.until(self._ticks[0] * TIME_BASE))
            container.mux(packet)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            self._failed = True
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(
                f"cannot write {self.path}: {reason}; make room there or choose another folder with -o"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _mux_all(container: OutputContainer, packets: Iterator[Packet[Any]]) -> None:
    for packet in packets:
        container.mux(packet)

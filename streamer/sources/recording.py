"""Recordings: any container and codec PyAV reads, every frame of it, upright and with a time that goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Self

import av
from av.error import FFmpegError

from preprocess.luma import luma_of
from streamer.frames import Frame, Pace, SourceCounts, SourceInfo
from streamer.sources.damage import with_damage_marked
from streamer.sources.decoding import decoded_frames, video_stream
from streamer.sources.deinterlacing import deinterlaced
from streamer.sources.images import DecodedImage, upright
from streamer.sources.reading import Readings
from streamer.sources.refusals import (
    refusal_of_open,
    refusal_without_pictures,
    refusal_without_video,
    refuse_unreadable_path,
)
from streamer.sources.segments import Timeline
from streamer.sources.stray_times import without_stray_times

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from types import TracebackType

    from av.container import InputContainer
    from av.video.stream import VideoStream

    from streamer.sources.decoding import Decoded

FALLBACK_FRAME_RATE = Fraction(25)
"""Pictures per second to assume where neither the times nor the header nor the user say."""

_FIRST_BELIEVABLE_YEAR = 1990  # cameras without a clock write the epoch of their container: 1904 or 1970

_DECODER_THREADS = 4
"""On every machine: what a decoder makes of a damaged file depends on their number (24 or 26 pictures of a file that is
cut short), and the same file must give the same events everywhere."""


class Recording:
    """A video file as a source; every frame is handed on, damaged ones marked."""

    def __init__(self, path: Path, *, uri: str, name: str, frame_rate: Fraction | None = None) -> None:
        """Open the file and decode its first picture.

        Args:
            path: the file.
            uri: as the user gave it.
            name: id and output name.
            frame_rate: pictures per second for streams without times of their own (raw H.264).

        Raises:
            InputError: it cannot be read, has no video stream, or no picture of it can be decoded.
        """
        self._path = path
        self._uri = uri
        self._frame_rate = frame_rate
        self._counts = SourceCounts()
        self._readings: Readings[Frame] = Readings(uri)
        self._info = self._describe(name)

    @property
    def info(self) -> SourceInfo:
        """What the file says about itself, and what its first picture shows."""
        return self._info

    @property
    def pace(self) -> Pace:
        """Nothing of a recording is ever dropped."""
        return Pace.EVERY_FRAME

    @property
    def counts(self) -> SourceCounts:
        """Counts of the latest reading."""
        return self._counts

    def frames(self) -> Iterator[Frame]:
        """Read all frames from the start; may be called again.

        Raises:
            InputError: the file can no longer be opened, or no picture can be decoded.
            ValueError: the source is closed.
        """
        return self._readings.started(self._read)

    def close(self) -> None:
        """Close the file; a reading still going on ends with the frame it is at."""
        self._readings.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> Generator[Frame, None, None]:
        counts = self._counts = SourceCounts()
        container, stream = self._open()
        try:
            timeline = Timeline(1 / self._nominal_rate(stream), counts)
            for decoded in _prepared(container, stream, counts):
                place = timeline.place(
                    decoded.pts,
                    (decoded.frame.width, decoded.frame.height),
                    corrupt=decoded.corrupt,
                    broken=decoded.broken,
                )
                index = counts.decoded
                counts.decoded += 1
                counts.corrupt += int(decoded.corrupt)
                yield Frame(
                    source=self._info.name,
                    index=index,
                    pts=place.pts,
                    wall_clock=self._wall_clock(place.pts),
                    segment=place.segment,
                    luma=upright(luma_of(decoded.frame), decoded.turns),
                    image=DecodedImage(decoded.frame, decoded.turns),
                    corrupt=decoded.corrupt,
                )
            if counts.decoded == 0:
                raise refusal_without_pictures(self._uri)
            _count_missing(self._info, stream, timeline, counts)
        finally:
            container.close()

    def _open(self) -> tuple[InputContainer, VideoStream]:
        refuse_unreadable_path(self._path, self._uri)
        try:
            # The "file:" keeps FFmpeg from reading a colon in a name as a protocol.
            container = av.open(f"file:{self._path}")
        except (FFmpegError, ValueError, OSError) as error:
            raise refusal_of_open(self._path, self._uri, error) from error
        stream = video_stream(container)
        if stream is None:
            container.close()
            raise refusal_without_video(self._uri)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = _DECODER_THREADS
        return container, stream

    def _describe(self, name: str) -> SourceInfo:
        container, stream = self._open()
        try:
            first = next(decoded_frames(container, stream, SourceCounts()), None)
            if first is None:
                raise refusal_without_pictures(self._uri)
            stored = first.frame.width, first.frame.height
            width, height = reversed(stored) if first.turns % 2 else stored
            stated_rate = stream.average_rate or stream.guessed_rate
            return SourceInfo(
                uri=self._uri,
                name=name,
                width=width,
                height=height,
                frame_rate=(self._frame_rate or stated_rate) if first.pts is None else stated_rate,
                frames=stream.frames or None,
                duration=_duration(container, stream),
                start=_start(container, stream),
                codec=stream.codec_context.name,
                pixel_format=first.frame.format.name,
                rotation=90 * first.turns,
                has_audio=bool(container.streams.audio),
            )
        finally:
            container.close()

    def _nominal_rate(self, stream: VideoStream) -> Fraction:
        return self._frame_rate or stream.average_rate or stream.guessed_rate or FALLBACK_FRAME_RATE

    def _wall_clock(self, pts: Fraction) -> datetime | None:
        return None if self._info.start is None else self._info.start + timedelta(seconds=float(pts))


def _prepared(container: InputContainer, stream: VideoStream, counts: SourceCounts) -> Iterator[Decoded]:
    pictures = decoded_frames(container, stream, counts)
    judged = with_damage_marked(pictures, intra_only=stream.codec_context.codec.intra_only)
    return deinterlaced(without_stray_times(judged))


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration is not None and stream.time_base is not None:
        return stream.duration * stream.time_base
    return None if container.duration is None else Fraction(container.duration, av.time_base)


def _start(container: InputContainer, stream: VideoStream) -> datetime | None:
    """Wall-clock time of PTS 0: the creation time belongs to the first picture, whose PTS need not be 0."""
    text = container.metadata.get("creation_time") or stream.metadata.get("creation_time")
    if not text:
        return None
    try:
        created = datetime.fromisoformat(text)
        if created.tzinfo is None:
            created = created.replace(tzinfo=UTC)
        if created.year < _FIRST_BELIEVABLE_YEAR:
            return None
        first = (
            Fraction(0)
            if stream.start_time is None or stream.time_base is None
            else (stream.start_time * stream.time_base)
        )
        return created - timedelta(seconds=float(first))
    except (ValueError, OverflowError):
        return None


def _count_missing(info: SourceInfo, stream: VideoStream, timeline: Timeline, counts: SourceCounts) -> None:
    """Compare what came with what the header announces; headers without a count announce nothing."""
    last = timeline.last
    if info.frames is None or last is None or stream.duration is None or stream.time_base is None:
        return
    missing = max(0, info.frames - counts.decoded)
    end = (stream.duration + (stream.start_time or 0)) * stream.time_base
    silent_steps = max(0, round((end - last.pts) / timeline.step) - 1)
    counts.missing_at_end = min(missing, silent_steps)
    counts.undecoded = max(0, missing - counts.missing_at_end - counts.decode_errors)

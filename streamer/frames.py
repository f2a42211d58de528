"""What a source hands on: frames with their times, and a description of where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from fractions import Fraction
    from types import TracebackType

Bgr = NDArray[np.uint8]
"""Colour picture ``(H, W, 3)``, blue-green-red, 0..255."""


class Pace(Enum):
    """How a source is read."""

    EVERY_FRAME = "every_frame"  # recordings: nothing is ever dropped
    LATEST = "latest"  # live: the oldest is dropped, and counted


class Image(Protocol):
    """The colour picture behind a frame, converted only when somebody draws on it."""

    def bgr(self) -> Bgr:
        """Convert to an upright ``(H, W, 3)`` uint8 array that the caller may write to."""
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of one source.

    Attributes:
        source: the source's id (its output name; never holds a password).
        index: 0-based number of the picture in its source, counting every decoded picture.
        pts: presentation time in seconds from the source's own clock, exact; strictly increasing within a source, also
            where the source's own times stand still or step back (then one median step after the picture before).
        wall_clock: the moment the picture was taken, where known (file creation time + PTS, or arrival when live).
        segment: grows by one at every gap, drop, corrupt frame, size change and PTS jump; a window never spans two.
        luma: full-range grey ``(H, W)`` uint8, upright, source size.
        image: the colour picture behind it.
        corrupt: the decoder marked the picture as damaged: it is drawn and counted, never scored.
    """

    source: str
    index: int
    pts: Fraction
    wall_clock: datetime | None
    segment: int
    luma: NDArray[np.uint8]
    image: Image
    corrupt: bool = False


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before its frames are read.

    Attributes:
        uri: as the user gave it, without a password.
        name: id and output name.
        width, height: upright size in pixels of the first picture.
        frame_rate: average or nominal pictures per second; None where the source does not say.
        frames: number of pictures, where the source says so reliably; an estimate is fine for an ETA.
        duration: seconds, where known.
        start: wall-clock time of PTS 0, where known.
        codec: e.g. ``h264``; ``pictures`` for a folder.
        pixel_format: e.g. ``yuv420p``.
        rotation: degrees the stored pictures are turned by, counter-clockwise, to be upright (0, 90, 180, 270).
        has_audio: whether there is at least one audio stream.
    """

    uri: str
    name: str
    width: int
    height: int
    frame_rate: Fraction | None
    frames: int | None
    duration: Fraction | None
    start: datetime | None
    codec: str
    pixel_format: str
    rotation: int
    has_audio: bool

    @property
    def expected_frames(self) -> int | None:
        """Number of pictures to expect, for progress and ETA: counted where known, else duration times rate."""
        if self.frames is not None:
            return self.frames
        if self.duration is None or self.frame_rate is None:
            return None
        return max(1, round(self.duration * self.frame_rate))


@dataclass(slots=True)
class SourceCounts:
    """What happened while reading; every number ends up in the summary, zeros too.

    Attributes:
        decoded: pictures handed on, damaged ones included.
        corrupt: pictures marked as damaged (handed on with ``corrupt`` set), and unreadable files of a folder.
        decode_errors: packets the demuxer or the decoder refused; their pictures never came.
        dropped: pictures of a live source thrown away because the reader did not keep up.
        gaps: steps forward over the larger of 1 s and five median steps, and holes in a folder's numbering.
        size_changes: pictures whose size differs from that of the one before.
        pts_jumps: steps backwards; time was carried on by one median step.
        missing_pts: pictures without a time; one median step after the one before was assumed.
        duplicate_pts: pictures at (or too close behind) the time of the one before; they were moved by half a step.
        missing_at_end: pictures the header announces after the last one that came: the recording was cut off.
        undecoded: other pictures the header announces that came neither as a picture nor as an error, such as the
            first ones of a recording cut inside an open group of pictures.
    """

    decoded: int = 0
    corrupt: int = 0
    decode_errors: int = 0
    dropped: int = 0
    gaps: int = 0
    size_changes: int = 0
    pts_jumps: int = 0
    missing_pts: int = 0
    duplicate_pts: int = 0
    missing_at_end: int = 0
    undecoded: int = 0


class Source(Protocol):
    """One contract for files, picture folders, devices and streams.

    Usable as a context manager; ``frames()`` may be called again after it ended where ``pace`` is EVERY_FRAME
    (every call reads from the start).
    """

    @property
    def info(self) -> SourceInfo:
        """What is known before the frames are read."""
        ...

    @property
    def pace(self) -> Pace:
        """Whether every frame counts, or the latest."""
        ...

    @property
    def counts(self) -> SourceCounts:
        """Counts of the latest reading; every call of ``frames()`` starts new ones."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Read the frames in order; raises InputError when nothing at all can be decoded."""
        ...

    def close(self) -> None:
        """Release files and devices; may be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

"""From packets to frames: damage is skipped and counted, never fatal and never silent.

PyAV's own logging stays off: its callback can deadlock with FFmpeg's decoder threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from av.container import InputContainer
    from av.video.stream import VideoStream

    from streamer.frames import SourceCounts

MOST_REFUSALS = 16
"""Read errors in a row after which a file counts as ended; some errors would otherwise repeat for ever."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame as the decoder gave it.

    Attributes:
        frame: the picture, as stored (not turned upright).
        pts: time in seconds as the container gives it; None where it gives none.
        corrupt: the decoder marked it as damaged.
        broken: a packet between it and the frame before was lost.
        turns: quarter turns counter-clockwise that bring it upright.
    """

    frame: av.VideoFrame
    pts: Fraction | None
    corrupt: bool
    broken: bool
    turns: int


def video_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that can be decoded; cover pictures of audio files do not count."""
    for stream in container.streams.video:
        is_cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
        if not is_cover and stream.codec_context is not None:
            return stream
    return None


def decoded_frames(
    container: InputContainer, stream: VideoStream, counts: SourceCounts, *, live: bool = False
) -> Iterator[tuple[av.VideoFrame, bool]]:
    """Yield each frame with whether something was lost just before it.

    Args:
        container: an open input.
        stream: its video stream.
        counts: ``decode_errors`` grows by one for every refused packet.
        live: let read errors through (a camera that went away) instead of trying the next packet.

    Raises:
        FFmpegError: reading failed and ``live`` is set.
    """
    broken = False
    refusals = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            if live:
                raise
            counts.decode_errors += 1
            refusals += 1
            broken = True
            if refusals >= MOST_REFUSALS:
                return
            packets = container.demux(stream)  # the generator ended with its error; the container reads on
            continue
        if packet is None:
            return
        try:
            frames = packet.decode()
        except EOFError:
            return
        except FFmpegError:
            counts.decode_errors += 1
            broken = True
            continue
        refusals = 0
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                yield frame, broken
                broken = False

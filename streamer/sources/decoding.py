"""From packets to frames: damage is skipped and counted, never fatal and never silent.

PyAV's own logging stays off: its callback can deadlock with FFmpeg's decoder threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError

from streamer.sources.images import quarter_turns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from streamer.frames import SourceCounts

_REORDERING = frozenset({"h264", "hevc"})

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
        lost: time of that packet in seconds, where known. Decoder threads may report a packet a few too late.
        turns: quarter turns counter-clockwise that bring it upright.
    """

    frame: av.VideoFrame
    pts: Fraction | None
    corrupt: bool
    broken: bool
    lost: Fraction | None
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
) -> Iterator[Decoded]:
    """Yield the frames in the order of presentation, each with whether something was lost just before it.

    Args:
        container: an open input.
        stream: its video stream.
        counts: ``decode_errors`` grows by one for every refused packet.
        live: let read errors through (a camera that went away) instead of trying the next packet.

    Raises:
        FFmpegError: reading failed and ``live`` is set.
    """
    # AVI stores no presentation times. For H.264 and HEVC what PyAV makes of the decoding times is out of order with
    # B-frames, while those times themselves come out in order, one with each picture.
    by_decoding_time = container.format.name == "avi" and stream.codec_context.name in _REORDERING
    broken = False
    lost: Fraction | None = None
    for packet in _packets(container, stream, live=live):
        try:
            frames = None if packet is None else packet.decode()
        except EOFError:
            return
        except FFmpegError:
            frames = None
        if frames is None:
            counts.decode_errors += 1
            broken = True
            lost = None if packet is None else _seconds(packet.pts, packet.time_base)
            continue
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                time = frame.dts if by_decoding_time else frame.pts
                yield Decoded(
                    frame,
                    _seconds(time, frame.time_base),
                    corrupt=frame.is_corrupt,
                    broken=broken,
                    lost=lost,
                    turns=quarter_turns(frame),
                )
                broken, lost = False, None


def _packets(container: InputContainer, stream: VideoStream, *, live: bool) -> Iterator[Packet[VideoStream] | None]:
    """The stream's packets, the flushing one last; None for a read error. Too many errors in a row end the file."""
    refusals = 0
    packets = container.demux(stream)
    while refusals < MOST_REFUSALS:
        try:
            packet = next(packets, None)
        except (FFmpegError, IndexError) as error:
            if live:
                raise
            refusals += 1
            packets = container.demux(stream)  # the generator ended with its error; the container reads on
            # IndexError: a stream that appeared only now, such as sound that sets in late, is unknown to PyAV.
            if isinstance(error, FFmpegError):
                yield None
            continue
        if packet is None:
            return
        refusals = 0
        yield packet
        if packet.size == 0 and packet.dts is None:  # the one that flushes the decoder
            return


def _seconds(time: int | None, time_base: Fraction | None) -> Fraction | None:
    return None if time is None or time_base is None else time * time_base

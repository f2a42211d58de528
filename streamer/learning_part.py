"""How much of a recording is learned from, also where the recording does not say how long it is."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError

from streamer.durations import format_duration
from streamer.settings import LEARN_LARGEST_SHARE, LEARN_LONGEST_SECONDS
from streamer.sources.decoding import MOST_REFUSALS, video_stream
from streamer.sources.naming import path_of
from streamer.sources.recording import FALLBACK_FRAME_RATE

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from streamer.frames import SourceInfo

SHORT_RECORDING = 10
"""Seconds; a recording no longer than this is learned from as a whole where a part of it holds no window."""

_SHARE = Fraction(str(LEARN_LARGEST_SHARE))
_LONGEST = Fraction(str(LEARN_LONGEST_SECONDS))


@dataclass(frozen=True, slots=True)
class LearningPart:
    """The first part of a source, which is learned from.

    Attributes:
        seconds: its length, counted from the first picture.
        warning: what the user should know, where it is not what was asked for; else None.
    """

    seconds: Fraction
    warning: str | None = None


def learning_part(duration: Fraction | None, asked: float | None) -> LearningPart:
    """Choose the part to learn from.

    Args:
        duration: of the source in seconds; None where it has no end (a camera) or does not say.
        asked: seconds the user asked for; None for the default.

    Returns:
        What was asked for, else the smaller of 60 s and 40 % of the source; never more than 40 %.
    """
    wanted = _LONGEST if asked is None else Fraction(str(asked))
    if duration is None or wanted <= _SHARE * duration:
        return LearningPart(wanted)
    most = _SHARE * duration
    if asked is None:
        return LearningPart(most)
    shown = format_duration(round(float(most), 1))
    return LearningPart(
        most,
        f"--learn {format_duration(asked)} is more than 40 % of the {format_duration(round(float(duration), 1))} there"
        f" are: learning from the first {shown}",
    )


def enough_to_know(asked: float | None) -> Fraction:
    """Seconds beyond which the exact length of a source no longer changes its learning part."""
    return (_LONGEST if asked is None else Fraction(str(asked))) / _SHARE


def duration_of(info: SourceInfo, uri: str, *, enough: Fraction) -> Fraction | None:
    """The length of a recording.

    Where the container does not say (a recording that was never closed, raw H.264), its packets are counted without
    decoding them, at several hundred MB a second, and only until ``enough`` is reached.

    Args:
        info: of the opened source.
        uri: as the user gave it.
        enough: seconds; a longer recording may be told as that long.

    Returns:
        Seconds; None where it is no file.
    """
    if info.duration is not None and info.duration > 0:
        return info.duration
    path = path_of(uri)
    return _by_packets(path, info, enough) if path.is_file() else None


def _by_packets(path: Path, info: SourceInfo, enough: Fraction) -> Fraction | None:
    step = 1 / (info.frame_rate or FALLBACK_FRAME_RATE)
    first: Fraction | None = None
    latest = Fraction(0)
    packets = 0
    try:
        with av.open(f"file:{path}") as container:
            stream = video_stream(container)
            if stream is None:
                return None
            with closing(_packets(container, stream)) as sound:
                for packet in sound:
                    packets += 1
                    if packet.pts is not None and packet.time_base is not None:
                        pts = packet.pts * packet.time_base
                        first = pts if first is None else min(first, pts)
                        latest = max(latest, pts)
                    reached = packets * step if first is None else latest - first + step
                    if reached >= enough:
                        return reached
    except (FFmpegError, OSError, ValueError):
        return None
    if packets == 0:
        return None
    return packets * step if first is None else latest - first + step


def _packets(container: InputContainer, stream: VideoStream) -> Generator[Packet[VideoStream], None, None]:
    """The packets that can be read; a damaged stretch is stepped over, as it is when watching."""
    refusals = 0
    while refusals < MOST_REFUSALS:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    yield packet
        except (FFmpegError, IndexError):
            refusals += 1
            continue
        return

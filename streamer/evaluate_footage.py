"""The clips of a benchmark: the same sources as watching, cut to the frames a protocol uses, label text painted out."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from preprocess.pictures import Picture
from streamer.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from detectors.evaluation.protocol import Clip, Rectangle
    from preprocess.geometry import Size
    from preprocess.pictures import Luma
    from streamer.frames import Frame

IGNORED_GREY = 128
"""What ignored parts are painted with, in learning and test alike."""

_FALLBACK_STEP = Fraction(1, 25)


@dataclass(frozen=True, slots=True)
class UsedFrame:
    """One frame of a clip that the protocol uses.

    Attributes:
        number: among the used frames of the clip, from 0; truth is counted the same way.
        frame: as the source gave it.
        luma: its grey picture ``(H, W)`` uint8, ignored parts painted.
    """

    number: int
    frame: Frame
    luma: Luma


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What is known of a clip before it is read.

    Attributes:
        size: ``(width, height)`` of the upright source, pixels.
        period: seconds between used frames; None where the source does not say its rate.
        frames: used frames to expect; None where unknown.
    """

    size: Size
    period: Fraction | None
    frames: int | None


def facts_of(clip: Clip) -> ClipFacts:
    """Look at a clip without reading it.

    Raises:
        InputError: it cannot be opened.
    """
    with open_source(clip.uri, frame_rate=clip.frame_rate) as source:
        info = source.info
        whole = info.expected_frames
        end = whole if clip.stop is None else clip.stop if whole is None else min(clip.stop, whole)
        frames = None if end is None else max(0, -(-(end - clip.start) // clip.every))
        return ClipFacts(
            size=(info.width, info.height),
            period=None if info.frame_rate is None else clip.every / info.frame_rate,
            frames=frames,
        )


def used_frames(clip: Clip, ignored: Sequence[Rectangle] = ()) -> Generator[UsedFrame, None, None]:
    """Read the frames of a clip that are used, in order; damaged ones too, so that the count keeps to the truth.

    Raises:
        InputError: the clip cannot be read.
    """
    number = 0
    with open_source(clip.uri, frame_rate=clip.frame_rate) as source:
        for frame in source.frames():
            if clip.stop is not None and frame.index >= clip.stop:
                return
            if frame.index < clip.start or (frame.index - clip.start) % clip.every:
                continue
            yield UsedFrame(number, frame, without(frame.luma, ignored))
            number += 1


def without(luma: Luma, ignored: Sequence[Rectangle]) -> Luma:
    """The picture with ignored parts made one grey; the picture itself where there are none."""
    if not ignored:
        return luma
    painted = np.array(luma)
    for part in ignored:
        painted[part.y : part.y + part.height, part.x : part.x + part.width] = IGNORED_GREY
    return painted


class ClipFootage:
    """Clips as footage to learn from; implements :class:`preprocess.pictures.Footage`.

    Every clip begins a segment of its own and follows a frame period behind the one before, as recordings do that
    ``avid-watch fit`` is given together.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        ignored: Sequence[Rectangle] = (),
        *,
        keep_going: Callable[[], bool] = lambda: True,
    ) -> None:
        """Name the clips; nothing is opened yet.

        Args:
            clips: in the order to read them.
            ignored: painted before anything is learned.
            keep_going: asked at every picture; False ends the reading there.
        """
        self._clips = tuple(clips)
        self._ignored = tuple(ignored)
        self._keep_going = keep_going
        self.name = ", ".join(clip.name for clip in clips)

    def pictures(self) -> Generator[Picture, None, None]:
        """Read from the start, in order; damaged pictures are left out.

        Raises:
            InputError: a clip cannot be read.
        """
        latest: Picture | None = None
        for clip in self._clips:
            shift: Fraction | None = None
            first_segment = 0 if latest is None else latest.segment + 1
            step = facts_of(clip).period or _FALLBACK_STEP
            with closing(used_frames(clip, self._ignored)) as frames:
                for used in frames:
                    if not self._keep_going():
                        return
                    frame = used.frame
                    if shift is None:
                        shift = Fraction(0) if latest is None else latest.pts + step - frame.pts
                    if not frame.corrupt:
                        latest = Picture(used.luma, frame.pts + shift, first_segment + frame.segment)
                        yield latest

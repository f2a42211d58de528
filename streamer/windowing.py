"""From frames to windows while watching: every frame goes on, with its window or with the reason why it has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from preprocess.pictures import Picture
from preprocess.temporal import WindowBuilder, window_of
from streamer.sinks.score_table import CORRUPT, GAP, WARM_UP

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from fractions import Fraction

    from preprocess.pictures import Window, WindowPictures, WindowSettings
    from streamer.frames import Frame

BYTES_PER_PIXEL = 4
"""What a frame is taken to hold per pixel: grey 1, the decoder's picture 1.5 to 3, and something for its rows."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame on its way to the networks.

    Attributes:
        frame: as the source gave it.
        window: the network input that ends with it; None where it has none.
        note: why there is none, as in ``scores.csv``; else empty.
    """

    frame: Frame
    window: Window | None
    note: str

    @property
    def size(self) -> int:
        """Bytes it holds, roughly."""
        held = BYTES_PER_PIXEL * self.frame.luma.size
        return held if self.window is None else held + self.window.channels.nbytes


@dataclass(frozen=True, slots=True)
class Collected:
    """A frame that may still be dropped: its window is made once it is sure that the networks look at it.

    Attributes:
        frame: as the source gave it.
        pictures: what its window is made of; None where it has none.
        note: why there is none, as in ``scores.csv``; else empty.
    """

    frame: Frame
    pictures: WindowPictures | None
    note: str

    @property
    def size(self) -> int:
        """Bytes it holds, roughly: of the pictures, those that it does not share with the one before."""
        held = BYTES_PER_PIXEL * self.frame.luma.size
        return held if self.pictures is None else held + self.pictures.pictures[0].nbytes


class FramePreparer:
    """Builds the windows of one source's frames, in order, by the code that learning uses."""

    def __init__(self, settings: WindowSettings) -> None:
        self._builder = WindowBuilder(settings)
        self._blind = 5 * settings.spacing
        self._segment: int | None = None
        self._begin: Fraction | None = None

    def prepare(self, frame: Frame) -> Prepared:
        """Take the next frame, and make its window."""
        collected = self.collect(frame)
        window = None if collected.pictures is None else window_of(collected.pictures)
        return Prepared(frame, window, collected.note)

    def collect(self, frame: Frame) -> Collected:
        """Take the next frame, and leave its window to ``window_of``."""
        if frame.corrupt:
            # A damaged picture never enters a window; the source puts the next sound one into a segment of its own.
            return Collected(frame, None, CORRUPT)
        if self._begin is None or frame.segment != self._segment:
            self._segment, self._begin = frame.segment, frame.pts
        pictures = self._builder.collect(Picture(frame.luma, frame.pts, frame.segment))
        if pictures is not None:
            return Collected(frame, pictures, "")
        return Collected(frame, None, WARM_UP if frame.pts - self._begin <= self._blind else GAP)


def prepared(frames: Iterable[Frame], settings: WindowSettings) -> Generator[tuple[Prepared, int], None, None]:
    """Prepare all frames; gives each with its size in bytes."""
    preparer = FramePreparer(settings)
    for frame in frames:
        item = preparer.prepare(frame)
        yield item, item.size

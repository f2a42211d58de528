"""What a live source showed first, kept in memory: a camera cannot be asked to show it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preprocess.pictures import Picture
from preprocess.temporal import to_working_size

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from fractions import Fraction

    from streamer.frames import Frame

WIDEST = 640
"""Pixels; wider pictures are kept shrunk, as nothing is learned from them at a higher resolution."""
MOST_BYTES = 512 * 2**20
"""Memory for the pictures: a minute of 640x360 at 30 pictures a second takes 400 MB."""


class LiveFootage:
    """Pictures of one source, gathered once and read as often as needed.

    Attributes:
        name: what messages call it.
        frames: frames taken from the source, damaged ones included.
        seconds: length of what was gathered, by the source's own clock.
        full: the memory ended before the time did.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.frames = 0
        self.seconds = 0.0
        self.full = False
        self._pictures: list[Picture] = []
        self._first: Fraction | None = None
        self._held = 0

    def gather(
        self,
        frames: Iterator[Frame],
        until: Fraction,
        *,
        stop: Callable[[], bool],
        told: Callable[[float], None],
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Take frames until they span ``until`` seconds, the memory is full or ``stop`` says so.

        Args:
            frames: of the source; what follows stays in it.
            until: seconds from the first frame.
            stop: asked at every frame.
            told: told the seconds gathered so far.
            most_bytes: memory for the pictures.
        """
        for frame in frames:
            done = self.take(frame, until, most_bytes)
            told(self.seconds)
            if done or stop():
                return

    def take(self, frame: Frame, until: Fraction, most_bytes: int = MOST_BYTES) -> bool:
        """Take the next frame; whether that was enough: ``until`` seconds from the first one, or the memory is full."""
        self._first = frame.pts if self._first is None else self._first
        self.frames += 1
        self.seconds = float(frame.pts - self._first)
        if not frame.corrupt:
            height, width = frame.luma.shape
            shrink = max(1.0, width / WIDEST)
            luma = to_working_size(frame.luma, round(width / shrink), max(1, round(height / shrink)))
            self._pictures.append(Picture(luma, frame.pts, frame.segment))
            self._held += luma.nbytes
        self.full = self._held >= most_bytes
        return self.full or frame.pts - self._first >= until

    def pictures(self) -> Generator[Picture, None, None]:
        """Read from the start, in order."""
        yield from self._pictures

"""What a live source showed first, kept in memory: a camera cannot be asked to show it again."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from preprocess.pictures import Picture
from preprocess.temporal import to_working_size

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from streamer.frames import Frame

LONGEST_STEP = Fraction(1)
"""Seconds between two frames that count as footage, at most: time without pictures teaches nothing."""
WIDEST = 640
"""Pixels; wider pictures are kept shrunk, as nothing is learned from them at a higher resolution."""
MOST_BYTES = 512 * 2**20
"""Memory for the pictures: a minute of 640x360 at 30 pictures a second takes 400 MB."""


class LiveFootage:
    """Pictures of one source, gathered once and read as often as needed.

    Attributes:
        name: what messages call it.
        frames: frames taken from the source, damaged ones included.
        seconds: length of what was gathered, by the source's own clock; breaks do not count.
        full: the memory ended before the time did.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.frames = 0
        self.seconds = 0.0
        self.full = False
        self._pictures: list[Picture] = []
        self._latest: Fraction | None = None
        self._length = Fraction(0)
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
        """Take frames until they fill ``until`` seconds, the memory is full or ``stop`` says so.

        Args:
            frames: of the source; what follows stays in it.
            until: seconds of footage.
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
        """Take the next frame; whether that was enough: ``until`` seconds of footage, or the memory is full."""
        step = frame.pts - self._latest if self._latest is not None else Fraction(0)
        self._latest = frame.pts
        self._length += min(max(step, Fraction(0)), LONGEST_STEP)
        self.frames += 1
        self.seconds = float(self._length)
        if not frame.corrupt:
            height, width = frame.luma.shape
            shrink = max(1.0, width / WIDEST)
            luma = to_working_size(frame.luma, round(width / shrink), max(1, round(height / shrink)))
            self._pictures.append(Picture(luma, frame.pts, frame.segment))
            self._held += luma.nbytes
        self.full = self._held >= most_bytes
        return self.full or self._length >= until

    def pictures(self) -> Generator[Picture, None, None]:
        """Read from the start, in order."""
        yield from self._pictures

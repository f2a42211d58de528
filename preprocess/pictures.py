"""The hand-offs of this room: a grey picture with its time, and the three-channel window the networks see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fractions import Fraction

Luma = NDArray[np.uint8]
"""Full-range grey picture ``(H, W)``, 0..255 grey levels."""

WindowMode = Literal["difference", "mean"]

GREY_LEVELS_PER_UNIT = 64.0
"""Network inputs are grey levels divided by this, so that ordinary motion lies within about -1..1."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One grey picture of one segment of one source.

    Attributes:
        luma: full-range grey ``(H, W)`` uint8, upright.
        pts: presentation time in seconds, exact.
        segment: pictures of different segments (a gap, a drop, a corrupt frame, a size change or a PTS jump lies
            between them) never meet in one window.
    """

    luma: Luma
    pts: Fraction
    segment: int


class Footage(Protocol):
    """Recorded pictures that can be read more than once (learning passes over them at several sizes)."""

    def pictures(self) -> PictureStream:
        """Read all pictures from the start, in order."""
        ...


class PictureStream(Protocol):
    """An iterator of :class:`Picture` that can be closed early."""

    def __iter__(self) -> PictureStream: ...

    def __next__(self) -> Picture: ...

    def close(self) -> None:
        """Release what the stream holds open."""
        ...


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """What turns pictures of one scene into network inputs; belongs to the scene and is stored in its model.

    Attributes:
        spacing: seconds between neighbouring pictures of a window (s in ``t - k*s``, k = 0..5).
        width: working width in pixels (a multiple of 8).
        height: working height in pixels (a multiple of 8).
        mode: ``difference`` (signed f[t]-f[t-s], ...) or ``mean`` (pair means, as in the AVID paper).
    """

    spacing: Fraction
    width: int
    height: int
    mode: WindowMode = "difference"

    def __post_init__(self) -> None:
        """Refuse sizes the networks cannot take and spacings that are no time."""
        if self.spacing <= 0:
            raise ValueError(f"spacing must be positive, not {self.spacing}")
        if self.width % 8 or self.height % 8 or min(self.width, self.height) < 16:
            raise ValueError(f"the working size must be multiples of 8, at least 16, not {self.width}x{self.height}")


@dataclass(frozen=True, slots=True)
class Window:
    """The network input that belongs to one picture.

    Attributes:
        channels: ``(3, height, width)`` float32 at working resolution, in units of 64 grey levels.
        pts: time of the newest picture (t), seconds.
        segment: the one segment all six pictures belong to.
    """

    channels: NDArray[np.float32]
    pts: Fraction
    segment: int


@dataclass(frozen=True, slots=True)
class WindowPictures:
    """What a window is made of, while it is not known whether anybody will look at it.

    Six pictures are shared with the windows before and after and take a sixth of a window's memory at most.

    Attributes:
        pictures: six ``(height, width)`` uint8 at working resolution, newest first.
        mode: how they are paired.
        pts: time of the newest picture (t), seconds.
        segment: the one segment all six pictures belong to.
    """

    pictures: tuple[Luma, ...]
    mode: WindowMode
    pts: Fraction
    segment: int

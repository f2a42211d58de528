"""Upright pictures: colour on demand, and the quarter turns that phones and door cameras leave to the player."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import av
    from numpy.typing import NDArray

    from streamer.frames import Bgr


def quarter_turns(frame: av.VideoFrame) -> int:
    """Quarter turns counter-clockwise (0..3) that bring the stored picture upright, from its display matrix.

    Angles in between, which no camera writes, are rounded; mirroring is left as stored.
    """
    return round(frame.rotation / 90) % 4


def upright(pixels: NDArray[np.uint8], turns: int) -> NDArray[np.uint8]:
    """Turn ``(H, W)`` or ``(H, W, 3)`` counter-clockwise by quarter turns; contiguous, the same array for 0 turns."""
    return pixels if turns == 0 else np.ascontiguousarray(np.rot90(pixels, turns))


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """The colour picture behind a decoded frame; holds the decoder's buffer, converts when asked."""

    frame: av.VideoFrame
    turns: int

    def bgr(self) -> Bgr:
        """Upright ``(H, W, 3)`` uint8, blue-green-red, 0..255; a new array with every call."""
        return upright(np.asarray(self.frame.to_ndarray(format="bgr24"), dtype=np.uint8), self.turns)


@dataclass(frozen=True, slots=True)
class StoredImage:
    """The colour picture behind a picture file: ``(H, W)`` grey or ``(H, W, 3)`` blue-green-red, uint8."""

    pixels: NDArray[np.uint8]

    def bgr(self) -> Bgr:
        """Upright ``(H, W, 3)`` uint8, blue-green-red, 0..255; a new array with every call."""
        if self.pixels.ndim == 2:
            return np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
        return self.pixels.copy()

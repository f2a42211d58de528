"""Ground truth: which pixels of a frame are irregular, and which event they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fractions import Fraction

    from samples.settings import Kind

Box = tuple[int, int, int, int]
"""``(x, y, width, height)`` in pixels: columns ``x .. x + width - 1``."""
Mask = NDArray[np.bool_]
Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TruthRegion:
    """One irregular actor in one frame.

    Attributes:
        event: number of the event within the scene, from 0.
        track_id: of the actor; the same in every frame.
        kind: of the event.
        box: around the visible pixels, ``(x, y, width, height)``.
        mask: ``(H, W)`` boolean, the visible pixels.
    """

    event: int
    track_id: int
    kind: Kind
    box: Box
    mask: Mask = field(repr=False)


@dataclass(frozen=True, slots=True)
class SceneFrame:
    """One frame of a scene.

    Attributes:
        index: of the frame, from 0.
        pts: its time, seconds.
        picture: ``(H, W, 3)`` uint8 blue, green, red; or ``(H, W)`` where the scene was rendered grey.
        truth: the irregular regions, by track; empty in a normal frame.
    """

    index: int
    pts: Fraction
    picture: Picture = field(repr=False)
    truth: tuple[TruthRegion, ...] = ()

    @property
    def bgr(self) -> Picture:
        """``(H, W, 3)`` uint8: blue, green, red."""
        if self.picture.ndim == 3:
            return self.picture
        return np.asarray(cv2.cvtColor(self.picture, cv2.COLOR_GRAY2BGR), dtype=np.uint8)

    @property
    def grey(self) -> Picture:
        """``(H, W)`` uint8: full-range luma by the weights of BT.601."""
        if self.picture.ndim == 2:
            return self.picture
        return np.asarray(cv2.cvtColor(self.picture, cv2.COLOR_BGR2GRAY), dtype=np.uint8)

    @property
    def mask(self) -> Mask:
        """``(H, W)`` boolean: every irregular pixel of the frame."""
        out = np.zeros(self.picture.shape[:2], dtype=np.bool_)
        for region in self.truth:
            out |= region.mask
        return out


def box_around(mask: Mask) -> Box:
    """Smallest box around the true pixels of a mask ``(H, W)`` that has some."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1

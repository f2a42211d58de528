"""Truth regions and tracks where a data set has masks but no official tracks; fixed before the first scoring.

A truth region is an 8-connected component of the frame's mask of at least 20 pixels, and is known by its bounding box.
It continues the track whose last region overlaps it most (intersection over union of the boxes at least 0.1), one to
one, the highest overlap first; a track may be unseen for at most two frames in between. What continues none begins one.
Figures on these tracks are not to be compared with published ones, which used official tracks.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SMALLEST_REGION = 20
"""Pixels; smaller components of a mask are crumbs of drawing."""

LEAST_OVERLAP = 0.1
"""Intersection over union from which two boxes are of one thing."""

LONGEST_GAP = 2
"""Frames a track may be unseen."""

Boxes = NDArray[np.int32]
"""``(R, 4)``: left, top, right, bottom in source pixels, right and bottom excluded."""


def truth_boxes(mask: NDArray[np.bool_], smallest: int = SMALLEST_REGION) -> Boxes:
    """Boxes of the truth regions of one frame, topmost first.

    Args:
        mask: ``(H, W)`` irregular pixels.
        smallest: fewest pixels of a region.
    """
    if not mask.any():
        return np.zeros((0, 4), np.int32)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found = np.asarray(stats, np.int32)[1:]
    found = found[found[:, cv2.CC_STAT_AREA] >= smallest]
    left, top, width, height = (found[:, column] for column in range(4))
    return np.stack((left, top, left + width, top + height), axis=1).astype(np.int32)


def overlaps(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Intersection over union ``(A, B)`` of boxes ``(A, 4)`` with boxes ``(B, 4)``, 0..1."""
    a, b = first[:, None, :].astype(np.int64), second[None, :, :].astype(np.int64)
    shared = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    areas = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1)
    return np.asarray(shared / (areas - shared), np.float64)


class TrackLinker:
    """Numbers the tracks of one clip, frame by frame."""

    def __init__(self, least_overlap: float = LEAST_OVERLAP, longest_gap: int = LONGEST_GAP) -> None:
        self._least_overlap = least_overlap
        self._longest_gap = longest_gap
        self._frame = -1
        self._count = 0
        self._open: dict[int, tuple[int, NDArray[np.int32]]] = {}  # track -> frame and box it was last seen in

    @property
    def count(self) -> int:
        """Tracks so far."""
        return self._count

    def next_frame(self, boxes: Boxes) -> NDArray[np.int64]:
        """Track number ``(R,)`` of every truth region ``(R, 4)`` of the next frame of the clip."""
        self._frame += 1
        still = {track: last for track, last in self._open.items() if self._frame - last[0] - 1 <= self._longest_gap}
        numbers = np.full(len(boxes), -1, np.int64)
        if still and len(boxes):
            tracks = list(still)
            shared = overlaps(np.stack([still[track][1] for track in tracks]), boxes)
            order = np.argsort(-shared, axis=None, kind="stable")  # of equal overlaps the older track
            for row, column in zip(*np.unravel_index(order, shared.shape), strict=True):
                if shared[row, column] < self._least_overlap:
                    break
                if numbers[column] < 0 and tracks[row] not in numbers:
                    numbers[column] = tracks[row]
        for column in np.flatnonzero(numbers < 0):
            numbers[column] = self._count
            self._count += 1
        still.update({int(track): (self._frame, box) for track, box in zip(numbers, boxes, strict=True)})
        self._open = still
        return numbers

"""The pixel-level alarm: a translucent heat map on the calibrated scale, and a contour and box for every region.

Colour and opacity come from the level relative to the threshold alone, never from the picture's own highest level: a
quiet scene stays untouched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from preprocess.geometry import CellGrid, Letterbox, cells_to_pixels
from streamer.overlay.style import ALARM, CONTOUR, Colour, Style, put_text, text_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detectors.base import Region, Verdict
    from preprocess.geometry import Box, Size
    from streamer.frames import Bgr

FIRST_SEEN = 0.7
"""Level over threshold below which nothing is drawn."""
SATURATED = 1.5
"""Level over threshold from which the colour no longer changes."""

_OPACITY = 0.55
_FAINT: Colour = (0, 205, 255)
_STRONG: Colour = (30, 20, 235)
_DETAIL = 640  # pixels of width beyond which the smooth map is computed smaller and enlarged
_SMOOTHING = 0.8  # pixels of that size by which a contour may be off, for lines without stairs
_MOST_BOXES = 12  # more would hide the picture


class HeatMap:
    """Draws maps of one grid against one threshold."""

    def __init__(self, grid: CellGrid, working_size: Size, threshold: float) -> None:
        self._grid = grid
        self._working_size = working_size
        self._threshold = max(threshold, 1e-6)
        self._colours, self._remains = _tables()

    def draw(self, picture: Bgr, place: Letterbox, verdict: Verdict, style: Style, colour: Colour = ALARM) -> None:
        """Draw one verdict's map and regions on a picture, in place.

        Args:
            picture: ``(H, W, 3)``.
            place: where the source's frame lies in it.
            verdict: levels and regions of that frame.
            style: measures for the picture's size.
            colour: of the boxes.
        """
        window = self._window(verdict.levels, place)
        if window is not None:
            self._blend(picture, place, verdict, window, style)
        for region in verdict.regions[:_MOST_BOXES]:
            _draw_box(picture, place, region, style, colour)

    def _window(self, levels: NDArray[np.float32], place: Letterbox) -> Box | None:
        """The part of the reduced map that shows anything, None where nothing does."""
        seen = levels >= FIRST_SEEN * self._threshold
        if not seen.any():
            return None
        size = _reduced(place)
        x, width = self._span(np.flatnonzero(seen.any(axis=0)), self._grid.columns, self._working_size[0], size[0])
        y, height = self._span(np.flatnonzero(seen.any(axis=1)), self._grid.rows, self._working_size[1], size[1])
        return x, y, width, height

    def _span(self, cells: NDArray[np.intp], count: int, working: int, size: int) -> tuple[int, int]:
        """Pixels from the neighbour before the first cell to the one after the last; to the edge at the edge."""
        first, last = int(cells[0]) - 1, int(cells[-1]) + 1

        def pixel(cell: int) -> float:
            return (self._grid.offset + self._grid.stride * cell + 0.5) * size / working

        start = 0 if first < 0 else min(max(int(pixel(first)), 0), size - 1)
        end = size if last >= count else min(max(int(pixel(last)) + 1, start + 1), size)
        return start, end - start

    def _blend(self, picture: Bgr, place: Letterbox, verdict: Verdict, window: Box, style: Style) -> None:
        size = _reduced(place)
        levels = cells_to_pixels(verdict.levels, self._grid, self._working_size, size, window=window)
        ratio = levels * np.float32(1 / self._threshold)
        steps = cv2.convertScaleAbs(np.maximum(ratio - np.float32(FIRST_SEEN), 0), alpha=255 / (SATURATED - FIRST_SEEN))
        left, top, right, bottom = _enlarged(window, size, place)
        target = picture[top:bottom, left:right]
        steps = cv2.resize(steps, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        remain = cv2.applyColorMap(steps, self._remains)
        cv2.multiply(target, remain, dst=target, scale=1 / 255)
        cv2.add(target, cv2.applyColorMap(steps, self._colours), dst=target)
        if verdict.regions:
            _draw_contours(picture, ratio, (left, top), (right - left) / window[2], verdict.regions, place, style)


def _tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """For every step of 256: the colour to add, and the share of the picture that remains; ``(256, 1, 3)`` each."""
    step = np.linspace(0.0, 1.0, 256)[:, None]
    opacity = _OPACITY * np.minimum(1.0, step * 2.0) ** 0.8
    colour = (1 - step) * np.array(_FAINT) + step * np.array(_STRONG)
    return (
        np.asarray(np.round(colour * opacity), dtype=np.uint8).reshape(256, 1, 3),
        np.asarray(np.round(255 * (1 - opacity) * np.ones((1, 3))), dtype=np.uint8).reshape(256, 1, 3),
    )


def _reduced(place: Letterbox) -> Size:
    """Size of the computed map: that of the frame in the picture, divided until it is no wider than needed."""
    _, _, width, height = place.box
    factor = max(1, -(-width // _DETAIL))
    return max(1, width // factor), max(1, height // factor)


def _enlarged(window: Box, size: Size, place: Letterbox) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the window in the picture."""
    x, y, width, height = place.box
    return (
        x + window[0] * width // size[0],
        y + window[1] * height // size[1],
        x + (window[0] + window[2]) * width // size[0],
        y + (window[1] + window[3]) * height // size[1],
    )


def _draw_contours(
    picture: Bgr,
    ratio: NDArray[np.float32],
    corner: tuple[int, int],
    scale: float,
    regions: Sequence[Region],
    place: Letterbox,
    style: Style,
) -> None:
    """The line where the level reaches the threshold, around the regions only."""
    above = np.asarray(ratio >= 1.0, dtype=np.uint8)
    contours, _ = cv2.findContours(above, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    boxes = [_box_in_picture(region, place) for region in regions]
    lines = []
    for contour in contours:
        smooth = cv2.approxPolyDP(contour, _SMOOTHING, closed=True)
        points = (smooth.reshape(-1, 2) + 0.5) * scale + np.array(corner) - 0.5
        if len(points) >= 3 and any(_meets(points, box) for box in boxes):
            lines.append(np.round(points * 16).astype(np.int32))
    cv2.polylines(picture, lines, isClosed=True, color=CONTOUR, thickness=style.contour, lineType=cv2.LINE_AA, shift=4)


def _meets(points: NDArray[np.float64], box: tuple[int, int, int, int]) -> bool:
    left, top, right, bottom = box
    low, high = points.min(axis=0), points.max(axis=0)
    return bool(low[0] <= right and high[0] >= left and low[1] <= bottom and high[1] >= top)


def _box_in_picture(region: Region, place: Letterbox) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (last pixels) of a region in the picture."""
    left, top = place.to_out(region.x, region.y)
    right, bottom = place.to_out(region.x + region.width - 1, region.y + region.height - 1)
    return round(left), round(top), round(right), round(bottom)


def _draw_box(picture: Bgr, place: Letterbox, region: Region, style: Style, colour: Colour) -> None:
    """A box with its level on a tag: above it where there is room below the banner, within it otherwise."""
    left, top, right, bottom = _box_in_picture(region, place)
    cv2.rectangle(picture, (left, top), (right, bottom), colour, style.line)
    text = f"{region.level:.1f}"
    pad = max(2, style.small // 3)
    height = style.small + 2 * pad
    width = text_width(text, style.small) + 2 * pad
    tag_top = top - height if top - height >= style.banner else max(top, style.banner)
    tag_left = min(max(left - style.line // 2, 0), max(0, picture.shape[1] - width))
    cv2.rectangle(picture, (tag_left, tag_top), (tag_left + width, tag_top + height), colour, -1)
    put_text(picture, text, tag_left + pad, tag_top + pad + style.small, style.small)

"""Where things lie: working size, network cells by their true centres, and the way back to source pixels.

Sizes are ``(width, height)`` and points ``(x, y)`` throughout; arrays are ``(rows, columns)``. The centre of a pixel is
a whole number, so pixel ``x`` covers ``x - 0.5 .. x + 0.5``, and one picture resized to another keeps its outer edges
in place: ``x' + 0.5 = (x + 0.5) * width' / width``. (:func:`cv2.resize` goes by the same rule.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Size = tuple[int, int]
"""``(width, height)`` in pixels."""

Box = tuple[int, int, int, int]
"""``(x, y, width, height)`` in pixels: columns ``x .. x + width - 1``."""


@dataclass(frozen=True, slots=True)
class CellGrid:
    """The lattice of a fully convolutional network's output cells in its input picture.

    Cell ``(r, c)`` sees the square of ``receptive_field`` pixels around ``(offset + stride * r, offset + stride * c)``
    (row, column; pixel centres are whole numbers). A map stretched naively to the picture is misplaced at the edges
    by up to half a receptive field; bring maps to pixels with :func:`cells_to_pixels`.

    Attributes:
        stride: pixels between neighbouring cells.
        offset: pixel coordinate of the centre of cell 0.
        receptive_field: side of the square a cell sees, in pixels.
        rows, columns: number of cells.
    """

    stride: float
    offset: float
    receptive_field: int
    rows: int
    columns: int

    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixel coordinates of the cells' centres: rows ``(rows,)`` and columns ``(columns,)``."""
        return (
            self.offset + self.stride * np.arange(self.rows, dtype=np.float64),
            self.offset + self.stride * np.arange(self.columns, dtype=np.float64),
        )


def cells_to_pixels(
    cells: NDArray[np.float32], grid: CellGrid, working_size: Size, out_size: Size, *, window: Box | None = None
) -> NDArray[np.float32]:
    """Bring a map on a network's cells to pixels, every cell at its true centre.

    Between centres the map is interpolated bilinearly; outside the outermost centres it keeps their values, so the
    result never leaves the range of ``cells``. (OpenCV 4 rounds to 1/32 of a cell, OpenCV 5 does not round.)

    Args:
        cells: ``(rows, columns)`` map, any range.
        grid: where the cells lie in the working picture.
        working_size: size of the picture the network saw.
        out_size: size of the picture wanted, usually the source's.
        window: the part of that picture to compute; all of it by default.

    Returns:
        ``(H, W)`` float32 of ``out_size``, or of the window's size.

    Raises:
        ValueError: the map is not of the grid's shape.
    """
    if cells.shape != (grid.rows, grid.columns):
        raise ValueError(f"a map of shape {cells.shape} does not lie on a grid of {grid.rows} x {grid.columns} cells")
    row, row_step = _cell_coordinates(grid, working_size[1], out_size[1])
    column, column_step = _cell_coordinates(grid, working_size[0], out_size[0])
    x, y, width, height = window or (0, 0, *out_size)
    inverse = np.array([[column_step, 0.0, column + column_step * x], [0.0, row_step, row + row_step * y]])
    return np.asarray(
        cv2.warpAffine(
            np.ascontiguousarray(cells, dtype=np.float32),
            inverse,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        dtype=np.float32,
    )


def _cell_coordinates(grid: CellGrid, working: int, out: int) -> tuple[float, float]:
    """Fractional cell number of output pixel 0, and the step from one pixel to the next."""
    scale = working / out
    return ((0.5 * scale - 0.5) - grid.offset) / grid.stride, scale / grid.stride


def pixels_to_cells(
    mask: NDArray[np.bool_] | NDArray[np.uint8] | NDArray[np.float32], grid: CellGrid, working_size: Size
) -> NDArray[np.float32]:
    """Average a picture over the cells, exactly; for a mask this is the covered share of every cell.

    A cell owns the pixels nearest to its centre; the outermost cells own everything up to the picture's edge. So each
    pixel counts in one cell only, and a mask that covers anything covers a part of some cell.

    Args:
        mask: ``(H, W)`` of any size with the working picture's field of view, usually the source's size.
        grid: where the cells lie in the working picture.
        working_size: size of the picture the network sees.

    Returns:
        ``(rows, columns)`` float32 mean of ``mask``: 0..1 for a boolean mask.
    """
    height, width = mask.shape
    # Products of non-negative weights: a cell that touches no marked pixel is exactly 0.
    rows = _pixel_shares(grid, grid.rows, working_size[1], height)
    columns = _pixel_shares(grid, grid.columns, working_size[0], width)
    return np.asarray(rows @ mask.astype(np.float32) @ columns.T, dtype=np.float32)


def _pixel_shares(grid: CellGrid, cells: int, working: int, out: int) -> NDArray[np.float32]:
    """What each of ``out`` pixels adds to each cell's mean along one axis: ``(cells, out)``, rows sum to 1."""
    between = grid.offset + grid.stride * (np.arange(1, cells) - 0.5)
    borders = np.zeros(cells + 1, dtype=np.float64)
    borders[1:-1] = np.clip((between + 0.5) * out / working, 0.0, out)
    borders[-1] = out
    pixels = np.arange(out)
    overlap = np.minimum(borders[1:, None], pixels + 1) - np.maximum(borders[:-1, None], pixels)
    shares = np.maximum(overlap, 0.0) / np.maximum(np.diff(borders), 1e-12)[:, None]
    return np.asarray(shares, dtype=np.float32)


def scale_box(box: Box, size: Size, out_size: Size) -> Box:
    """Bring a box from a picture of ``size`` to one of ``out_size``: the smallest box of whole pixels that covers it.

    The result lies within the picture and is never empty.
    """
    x, width = _scale_span(box[0], box[2], size[0], out_size[0])
    y, height = _scale_span(box[1], box[3], size[1], out_size[1])
    return x, y, width, height


def _scale_span(start: int, length: int, size: int, out: int) -> tuple[int, int]:
    """One axis of :func:`scale_box`, in whole numbers so that it is exact."""
    first = min(max(start * out // size, 0), out - 1)
    end = min(max(-(-(start + length) * out // size), first + 1), out)
    return first, end - first


def even_size(size: Size) -> Size:
    """The size with odd sides grown by one: what 4:2:0 video can hold."""
    return size[0] + size[0] % 2, size[1] + size[1] % 2


def pad_to_even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat the last column and row of ``(H, W)`` or ``(H, W, C)`` where a side is odd; no copy where none is."""
    height, width = picture.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return picture
    return np.asarray(cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """A picture of one size fitted into another: as large as it goes, shape kept, centred, black bars beside it.

    Attributes:
        size: of the picture that is fitted.
        out_size: of the whole.
        box: where the picture lies in the whole.
    """

    size: Size
    out_size: Size
    box: Box

    @classmethod
    def fit(cls, size: Size, out_size: Size) -> Letterbox:
        """Lay a picture of ``size`` into ``out_size``; equal shapes leave no bar."""
        scale = min(out_size[0] / size[0], out_size[1] / size[1])
        width = min(max(math.floor(size[0] * scale + 0.5), 1), out_size[0])
        height = min(max(math.floor(size[1] * scale + 0.5), 1), out_size[1])
        return cls(size, out_size, ((out_size[0] - width) // 2, (out_size[1] - height) // 2, width, height))

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Fit ``(H, W)`` or ``(H, W, C)`` of ``size``; a new array of ``out_size`` with black bars."""
        x, y, width, height = self.box
        whole = np.zeros((self.out_size[1], self.out_size[0], *picture.shape[2:]), dtype=np.uint8)
        whole[y : y + height, x : x + width] = _resize(picture, (width, height))
        return whole

    def undo(self, whole: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut the picture out of the whole and bring it back to ``size``."""
        x, y, width, height = self.box
        return _resize(whole[y : y + height, x : x + width], self.size)

    def to_out(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the picture lies in the whole."""
        left, top, width, height = self.box
        return (
            left + (x + 0.5) * width / self.size[0] - 0.5,
            top + (y + 0.5) * height / self.size[1] - 0.5,
        )

    def to_source(self, x: float, y: float) -> tuple[float, float]:
        """The inverse of :meth:`to_out`; points on the bars give coordinates outside the picture."""
        left, top, width, height = self.box
        return (
            (x - left + 0.5) * self.size[0] / width - 0.5,
            (y - top + 0.5) * self.size[1] / height - 0.5,
        )


def _resize(picture: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Resize with the filter that suits the direction: areas when shrinking, lines when growing."""
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    shrinks = size[0] < picture.shape[1]
    return np.asarray(
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR), dtype=np.uint8
    )

"""From grids of digits to cells, and each cell made upright: what all parts of the still preset look at.

How far a writer leans says nothing about which digit it is. Taking that out of a cell by its own moments needs no
label, and nearest normal digits separate the held-out digit better for it (see ``docs/evaluate.md``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

GREY = 255.0
_BATCH = 4096
_LEAST_INK = 1e-3  # of a cell's sum; a blank cell is left as it is


def cells_of(pictures: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Cells ``(M, rows, columns, size, size)`` of pictures ``(M, rows * size, columns * size)``."""
    count, height, width = pictures.shape
    split = pictures.reshape(count, height // size, size, width // size, size)
    return np.ascontiguousarray(split.transpose(0, 1, 3, 2, 4))


def grid_of(cells: torch.Tensor, columns: int) -> torch.Tensor:
    """Lay cells ``(N, size, size)`` side by side as square pictures ``(N / columns^2, 1, columns * size, ...)``."""
    size = cells.shape[-1]
    rows = cells.reshape(-1, columns, columns, size, size).permute(0, 1, 3, 2, 4)
    return rows.reshape(-1, 1, columns * size, columns * size)


def distinct(cells: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Each cell once, in the order of first appearance.

    Args:
        cells: ``(N, size, size)``.

    Returns:
        ``(K, size, size)`` and, for every cell, which of them it is ``(N,)``.
    """
    number: dict[bytes, int] = {}
    which = np.array([number.setdefault(cell.tobytes(), len(number)) for cell in cells], np.int64)
    _, first = np.unique(which, return_index=True)
    return cells[first], which


def upright(cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shear each cell so that its ink does not lean, and centre its mass.

    The lean is the slope of the regression of x on y over the ink: covariance of x and y by the variance of y.

    Args:
        cells: ``(N, size, size)``, ink bright on black.

    Returns:
        The same shape.
    """
    parts = [_upright(torch.from_numpy(cells[at : at + _BATCH])) for at in range(0, len(cells), _BATCH)]
    return np.concatenate([part.numpy() for part in parts]) if parts else cells


def _upright(cells: torch.Tensor) -> torch.Tensor:
    ink = cells.float() / GREY
    size = ink.shape[-1]
    place = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    y, x = torch.meshgrid(place, place, indexing="ij")
    total = ink.sum((1, 2)).clamp(min=_LEAST_INK)

    def mean(values: torch.Tensor) -> torch.Tensor:
        return (ink * values).sum((1, 2)) / total

    centre_x, centre_y = mean(x), mean(y)
    from_x, from_y = x - centre_x[:, None, None], y - centre_y[:, None, None]
    lean = mean(from_x * from_y) / mean(from_y * from_y).clamp(min=_LEAST_INK)
    change = torch.zeros(len(ink), 2, 3)
    change[:, 0, 0] = change[:, 1, 1] = 1.0
    change[:, 0, 1] = lean
    change[:, 0, 2], change[:, 1, 2] = centre_x * 2 / size, centre_y * 2 / size
    grid = functional.affine_grid(change, [len(ink), 1, size, size], align_corners=False)
    moved = functional.grid_sample(ink[:, None], grid, align_corners=False)[:, 0]
    return (moved * GREY).round().clamp(0, GREY).to(torch.uint8)


def blurred(cells: torch.Tensor, deviation: float) -> torch.Tensor:
    """Gaussian blur of ``(N, C, H, W)`` by ``deviation`` pixels over five taps, black beyond the border."""
    taps = torch.exp(-(torch.arange(-2.0, 3.0, device=cells.device) ** 2) / (2 * deviation**2))
    taps = (taps / taps.sum()).to(cells.dtype)
    channels = cells.shape[1]
    across = taps.view(1, 1, 1, 5).expand(channels, 1, 1, 5)
    down = taps.view(1, 1, 5, 1).expand(channels, 1, 5, 1)
    cells = functional.conv2d(cells, across, padding=(0, 2), groups=channels)
    return functional.conv2d(cells, down, padding=(2, 0), groups=channels)

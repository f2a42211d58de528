"""Where things lie: working size, network cells by their true centres, and the way back to source pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
            self.offset + self.stride * np.arange(self.rows),
            self.offset + self.stride * np.arange(self.columns),
        )

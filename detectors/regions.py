"""From a map of levels to irregular regions: one function for the live path, for re-thresholding and for evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detectors.base import Region, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from preprocess.geometry import CellGrid, Size

GROWTH = 0.8
"""A region grows from its seeds down to this share of the threshold: boxes cover the thing, not its brightest spot."""

MAX_REGIONS = 32
"""Most regions told of one frame; what is more (a lighting switch) is one event anyway, and outputs stay bounded."""

MAX_LEVEL = 300.0
"""Levels end here: ``10 ** -300`` is about the smallest p-value a float can hold."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How the working picture lies on the source: same field of view, other number of pixels.

    Attributes:
        working_size: ``(width, height)`` the network saw.
        source_size: ``(width, height)`` of the upright source picture.
    """

    working_size: Size
    source_size: Size


def regions_of(
    levels: NDArray[np.float32], grid: CellGrid, placement: Placement, threshold: float, min_cells: int = 1
) -> tuple[Region, ...]:
    """Find the connected irregular regions of one map, by hysteresis.

    A region is a set of cells, connected by sides or corners, that all reach ``GROWTH * threshold`` and one of which
    reaches ``threshold``. A cell owns the pixels nearest to its true centre, the outermost cells everything up to the
    picture's edge; the box of a region covers the pixels its cells own.

    Args:
        levels: ``(rows, columns)`` float32 level of every cell; NaN counts as 0.
        grid: where the cells lie in the working picture.
        placement: sizes of the working picture and of the source.
        threshold: level that raises a region, above 0.
        min_cells: smallest number of cells of a region, grown part included.

    Returns:
        At most ``MAX_REGIONS`` regions in upright source pixels, highest level first, then the larger.

    Raises:
        ValueError: the map is not of the grid's shape, or the threshold is not above 0.
    """
    if levels.shape != (grid.rows, grid.columns):
        raise ValueError(f"a map of shape {levels.shape} does not lie on a grid of {grid.rows} x {grid.columns} cells")
    if not threshold > 0:
        raise ValueError(f"the threshold must be above 0, not {threshold}")
    clean = np.nan_to_num(levels, nan=0.0, posinf=MAX_LEVEL, neginf=0.0)
    if float(clean.max(initial=0.0)) < threshold:
        return ()  # nearly every frame ends here
    grown = np.asarray(clean >= np.float64(GROWTH * threshold), dtype=np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(grown, connectivity=8, ltype=cv2.CV_32S)
    peaks = np.zeros(count)  # float64 as the threshold is: a float32 one would round up to it
    of_cell = np.asarray(labels, dtype=np.intp).ravel()
    np.maximum.at(peaks, of_cell, clean.ravel())
    row_edges, column_edges = _cell_edges(grid, placement)
    cell_areas = np.diff(row_edges)[:, None] * np.diff(column_edges)[None, :]
    areas = np.bincount(of_cell, weights=cell_areas.ravel(), minlength=count)
    cells = np.asarray(stats)[:, cv2.CC_STAT_AREA]
    kept = [label for label in range(1, count) if peaks[label] >= threshold and cells[label] >= min_cells]
    kept.sort(key=lambda label: (-peaks[label], -areas[label], label))
    regions = []
    for label in kept[:MAX_REGIONS]:
        column, row, width, height = (int(value) for value in stats[label][:4])
        left, right = _span(column_edges, column, column + width)
        top, bottom = _span(row_edges, row, row + height)
        regions.append(
            Region(left, top, right - left, bottom - top, float(peaks[label]), max(round(float(areas[label])), 1))
        )
    return tuple(regions)


def verdict_of(
    levels: NDArray[np.float32],
    grid: CellGrid,
    placement: Placement,
    threshold: float,
    *,
    min_cells: int = 1,
    inpainter_part: float = 0.0,
    detector_part: float = 0.0,
) -> Verdict:
    """Judge one frame from its calibrated map: its score, its regions, and whether it alarms.

    Args:
        levels: ``(rows, columns)`` float32 level of every cell; values that are not finite are cut to 0..``MAX_LEVEL``.
        grid: where the cells lie in the working picture.
        placement: sizes of the working picture and of the source.
        threshold: level that raises an alarm.
        min_cells: smallest number of cells of a region.
        inpainter_part: I's share of the evidence at the peak cell.
        detector_part: D's share of the evidence at the peak cell.

    Raises:
        ValueError: the map is not of the grid's shape, or the threshold is not above 0.
    """
    clean = np.nan_to_num(levels, nan=0.0, posinf=MAX_LEVEL, neginf=0.0)
    regions = regions_of(clean, grid, placement, threshold, min_cells)
    score = min(float(clean.max(initial=0.0)), MAX_LEVEL)
    return Verdict(
        score=score,
        p_value=float(10.0**-score),
        inpainter_part=inpainter_part,
        detector_part=detector_part,
        alarm=bool(regions),
        levels=clean,
        regions=regions,
    )


@lru_cache(maxsize=64)
def _cell_edges(grid: CellGrid, placement: Placement) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Borders between the cells' own pixels in the source: rows ``(rows + 1,)`` and columns ``(columns + 1,)``."""
    edges = []
    for cells, axis in ((grid.rows, 1), (grid.columns, 0)):
        working, source = placement.working_size[axis], placement.source_size[axis]
        between = grid.offset + grid.stride * (np.arange(1, cells) - 0.5)
        # Centres are whole numbers, so the picture begins half a pixel before pixel 0.
        inner = np.clip(np.rint((between + 0.5) * source / working), 0, source)
        edges.append(np.concatenate(([0], inner, [source])).astype(np.int64))
    return edges[0], edges[1]


def _span(edges: NDArray[np.int64], first: int, end: int) -> tuple[int, int]:
    """Pixels that cells ``first`` up to ``end`` own; never empty, even where cells are finer than pixels."""
    low, high = int(edges[first]), int(edges[end])
    if high > low:
        return low, high
    low = min(low, int(edges[-1]) - 1)
    return low, low + 1

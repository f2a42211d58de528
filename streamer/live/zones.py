"""Zones of a camera's picture, on the detector's cells: where to look alone, what to ignore, who is in which zone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from detectors.regions import GROWTH, verdict_of
from streamer.live.polygons import covered_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detectors.base import Region, Verdict
    from detectors.regions import Placement
    from preprocess.geometry import CellGrid, Size
    from streamer.live.config import ZoneConfig

HALF = 0.5


def cells_of(zone: ZoneConfig, grid: CellGrid, working_size: Size) -> NDArray[np.bool_]:
    """The cells of a zone: those it covers at least half of.

    A zone that is thinner than cells has those it covers at least half as much as the one it covers most; so every
    zone has a cell.

    Args:
        zone: its polygon in shares of the upright picture.
        grid: where the cells lie in the working picture.
        working_size: of the picture the network sees; same field of view as the source, so its size means nothing.

    Returns:
        ``(rows, columns)`` bool.
    """
    shares = covered_shares(
        zone.polygon, _edges(grid, grid.columns, working_size[0]), _edges(grid, grid.rows, working_size[1])
    )
    most = float(shares.max(initial=0.0))
    return np.asarray(shares >= min(HALF, HALF * most) if 0 < most < HALF else shares >= HALF)


class ZoneMask:
    """What the zones of one camera do to the verdicts of one scorer."""

    def __init__(self, zones: Sequence[ZoneConfig], grid: CellGrid, placement: Placement, threshold: float) -> None:
        """Lay the zones on a scorer's cells.

        Args:
            zones: of the camera; ``nothing_may_move`` ones only lend their names here.
            grid: the scorer's cells.
            placement: the scorer's working and source size.
            threshold: the scorer's level of alarms.
        """
        self._grid = grid
        self._placement = placement
        self._threshold = threshold
        cells = {zone.name: cells_of(zone, grid, placement.working_size) for zone in zones}
        watch = [cells[zone.name] for zone in zones if zone.kind == "watch"]
        ignore = [cells[zone.name] for zone in zones if zone.kind == "ignore"]
        kept = np.logical_or.reduce(watch) if watch else np.ones((grid.rows, grid.columns), np.bool_)
        if ignore:
            kept &= ~np.logical_or.reduce(ignore)
        self._kept: NDArray[np.bool_] = kept
        self._named = [(zone.name, cells[zone.name]) for zone in zones if zone.kind != "ignore"]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """``(rows, columns)`` cells that may alarm."""
        return self._kept

    @property
    def leaves_nothing(self) -> bool:
        """Whether the zones silence the whole picture; the user should be told."""
        return not bool(self._kept.any())

    def apply(self, verdict: Verdict) -> Verdict:
        """The verdict of what lies in the zones to watch, and in none to ignore; no region reaches into another part.

        The networks' shares are those of the whole frame's peak, and 0 where that peak is silenced.

        Args:
            verdict: of the scorer this was made for.
        """
        if self._kept.all():
            return verdict
        levels = np.where(self._kept, verdict.levels, np.float32(0.0))
        peak_stays = float(levels.max(initial=0.0)) >= float(verdict.levels.max(initial=0.0))
        return verdict_of(
            levels,
            self._grid,
            self._placement,
            self._threshold,
            inpainter_part=verdict.inpainter_part if peak_stays else 0.0,
            detector_part=verdict.detector_part if peak_stays else 0.0,
        )

    def touched(self, verdict: Verdict) -> tuple[tuple[str, ...], ...]:
        """Names of the zones that each region of a verdict touches, in the order of the zones; ignored ones never."""
        return tuple(
            zones_under(region, verdict.levels, self._named, self._grid, self._placement, self._threshold)
            for region in verdict.regions
        )


def zones_under(
    region: Region,
    levels: NDArray[np.float32],
    zones: Sequence[tuple[str, NDArray[np.bool_]]],
    grid: CellGrid,
    placement: Placement,
    threshold: float,
) -> tuple[str, ...]:
    """Names of the zones with a cell that is irregular and lies in the region's box.

    Args:
        region: upright source pixels.
        levels: ``(rows, columns)`` of the frame.
        zones: names and cells.
        grid: where the cells lie in the working picture.
        placement: working and source size.
        threshold: level that raises a region.
    """
    rows, columns = grid.centres()
    across = (columns + HALF) * placement.source_size[0] / placement.working_size[0]
    down = (rows + HALF) * placement.source_size[1] / placement.working_size[1]
    inside = np.logical_and.outer(
        (down >= region.y) & (down <= region.y + region.height),
        (across >= region.x) & (across <= region.x + region.width),
    )
    inside &= levels >= GROWTH * threshold
    return tuple(name for name, cells in zones if bool((inside & cells).any()))


def held_back(verdict: Verdict) -> Verdict:
    """The same verdict without an alarm: its score is kept for the record, its regions are not told."""
    return replace(verdict, alarm=False, regions=())


def _edges(grid: CellGrid, cells: int, working: int) -> NDArray[np.float64]:
    """Borders between the cells' own parts of the picture, as shares of it: ``(cells + 1,)``."""
    between = grid.offset + grid.stride * (np.arange(1, cells) - HALF)
    inner = np.clip((between + HALF) / working, 0.0, 1.0)
    return np.concatenate(([0.0], inner, [1.0]))

"""The paper's decision: a pixel is irregular where I changed it much AND D finds its region abnormal.

Sabokrou et al., "AVID" (ACCV 2018), section 3.3. Pixels alone give many false alarms, regions alone are coarse; their
intersection is neither, provided that D's cells are brought to pixels where they truly lie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

if TYPE_CHECKING:
    from preprocess.geometry import CellGrid


def residual_map(windows: torch.Tensor, inpainted: torch.Tensor) -> torch.Tensor:
    """I's map ``(B, H, W)`` float32: ``mean_c (X - I(X))^2``, input units squared, as ``Scores.inpainter`` carries it.

    Args:
        windows: X, ``(B, C, H, W)``.
        inpainted: I(X), the same shape.
    """
    return (windows.float() - inpainted.float()).square().mean(dim=1)


def upsample_cells(maps: torch.Tensor, grid: CellGrid, height: int, width: int) -> torch.Tensor:
    """Bring maps on cells to pixels, bilinear between the cells' true centres.

    Beyond the outermost centres the nearest cells continue: nothing is known there, and extrapolating would invent
    values outside the map's range. Stays on the device of ``maps``.

    Args:
        maps: ``(B, h, w)`` floating point, ``h, w = grid.rows, grid.columns``.
        grid: where the cells lie.
        height: rows of the result, pixels.
        width: columns of the result, pixels.

    Returns:
        ``(B, height, width)`` of the same type.

    Raises:
        ValueError: the map's shape is not the grid's.
    """
    if maps.ndim != 3 or maps.shape[1:] != (grid.rows, grid.columns):
        raise ValueError(f"expected (B, {grid.rows}, {grid.columns}), got {tuple(maps.shape)}")
    above, below, share = _neighbours(height, grid.rows, grid, maps)
    rows = torch.lerp(maps[:, above], maps[:, below], share[:, None])
    left, right, share = _neighbours(width, grid.columns, grid, maps)
    return torch.lerp(rows[..., left], rows[..., right], share)


def _neighbours(
    pixels: int, cells: int, grid: CellGrid, like: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For every pixel of one side: the cells before and after it, and the share of the one after."""
    # Positions in double precision: float32 would move pixels across cell borders in long panoramas.
    positions = (torch.arange(pixels, dtype=torch.float64) - grid.offset) / grid.stride
    positions = positions.clamp(0, cells - 1)
    before = positions.floor().long()
    after = (before + 1).clamp(max=cells - 1)
    share = (positions - before).to(like)
    return before.to(like.device), after.to(like.device), share


def irregular_pixels(
    residual: torch.Tensor,
    normality: torch.Tensor,
    grid: CellGrid,
    *,
    alpha: float | torch.Tensor,
    zeta: float | torch.Tensor,
) -> torch.Tensor:
    """The paper's rule: ``|X - I(X)| > alpha`` at the pixel and ``D < zeta`` there.

    With three channels ``|X - I(X)|`` is their root mean square, so that one alpha serves one or three channels.

    Args:
        residual: I's map, ``(B, H, W)``, squared input units (:func:`residual_map`).
        normality: D's map in the paper's sense, ``(B, h, w)``, 1 = normal, 0 = irregular.
        grid: where D's cells lie.
        alpha: residual above which a pixel counts, input units (64 grey levels = 1): one number, or one per pixel
            ``(H, W)``. From calibration.
        zeta: normality below which a region counts: one number, or one per cell ``(h, w)``. From calibration.

    Returns:
        ``(B, H, W)`` bool, true where irregular.

    Raises:
        ValueError: the shapes do not fit each other.
    """
    if residual.ndim != 3 or residual.shape[0] != normality.shape[0]:
        raise ValueError(f"maps of one batch are needed, got {tuple(residual.shape)} and {tuple(normality.shape)}")
    height, width = residual.shape[-2:]
    margin = normality - torch.as_tensor(zeta, dtype=normality.dtype, device=normality.device)
    # Interpolating the margin, not the map, lets zeta differ from cell to cell; for one number it is the same.
    abnormal = upsample_cells(margin, grid, height, width) < 0
    changed = residual.sqrt() > torch.as_tensor(alpha, dtype=residual.dtype, device=residual.device)
    return changed & abnormal


def surviving_regions(mask: torch.Tensor, smallest_area: int) -> torch.Tensor:
    """Drop connected regions (8 neighbours) of fewer than ``smallest_area`` pixels; a frame alarms when one survives.

    Args:
        mask: ``(B, H, W)`` bool.
        smallest_area: pixels a region must have.

    Returns:
        ``(B, H, W)`` bool on the same device; ``.flatten(1).any(dim=1)`` are the alarms.
    """
    kept = np.zeros(tuple(mask.shape), dtype=np.bool_)
    for index, picture in enumerate(mask.cpu().numpy().astype(np.uint8)):
        if not picture.any():
            continue
        _, labels, statistics, _ = cv2.connectedComponentsWithStats(picture, connectivity=8)
        large = statistics[:, cv2.CC_STAT_AREA] >= smallest_area
        large[0] = False
        kept[index] = large[labels]
    return torch.from_numpy(kept).to(mask.device)

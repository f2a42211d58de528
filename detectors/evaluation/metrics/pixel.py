"""Pixel and dual-pixel level: was the irregular part of the picture found? One frame's map becomes a few numbers.

Pixel level (Mahadevan, Li, Bhalodia, Vasconcelos, CVPR 2010; the 40 % rule): at a threshold an irregular frame is
detected if at least 40 % of its truly irregular pixels are at or above it; a normal frame is a false positive if any
of its pixels is. An irregular frame flagged elsewhere only is a miss, not a false positive: false positives are a
share of the normal frames.

Dual-pixel level (Sabokrou, Fathy, Hoseini, Klette, CVPR workshops 2015; again in IEEE TIP 2017): besides, at least
10 % of all flagged pixels of the frame must be truly irregular, so that flagging the whole picture detects nothing.

Both are exact, without a grid of thresholds: whether a frame is detected changes only at values of its own map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

COVERED = 0.4
"""Share of the truly irregular pixels of a frame that must be flagged (Mahadevan et al. 2010)."""

TRUE_SHARE = 0.1
"""Share of the flagged pixels of a frame that must be truly irregular at dual-pixel level (Sabokrou et al. 2015); the
strictest of the values in use, 5 to 10 %."""

_ROUNDING = 1e-9  # 0.4 x 5 pixels are 2 pixels, whatever binary fractions make of it


@dataclass(frozen=True, slots=True)
class IrregularFrame:
    """At which thresholds one irregular frame counts as detected.

    Attributes:
        covered_from: highest threshold at which 40 % of its truth is covered: detected from there down.
        dual_from: ``(R,)`` thresholds, each included, from which on downwards it counts at dual-pixel level ...
        dual_until: ``(R,)`` ... until these, excluded; ``-inf`` where it counts down to the lowest.
    """

    covered_from: float
    dual_from: NDArray[np.float64]
    dual_until: NDArray[np.float64]


def judge_irregular(
    levels: NDArray[np.float32], mask: NDArray[np.bool_], covered: float = COVERED, true_share: float = TRUE_SHARE
) -> IrregularFrame:
    """Reduce the map of a frame with irregular pixels.

    Args:
        levels: ``(H, W)``, higher is more irregular; pixels that are NaN are never flagged above ``-inf``.
        mask: ``(H, W)`` truth, at least one pixel.
        covered: share of the truth that must be flagged, in (0, 1].
        true_share: share of the flagged pixels that must be truth, in (0, 1].

    Raises:
        ValueError: an empty mask or shapes that differ.
    """
    if levels.shape != mask.shape:
        raise ValueError(f"a map of {levels.shape} and a mask of {mask.shape} are not of one picture")
    clean = without_nan(levels)
    truth = np.sort(clean[mask])
    if not truth.size:
        raise ValueError("a frame without an irregular pixel cannot be detected: judge it as normal")
    needed = max(int(np.ceil(covered * truth.size - _ROUNDING)), 1)
    covered_from = float(truth[truth.size - needed])
    # Once more than n / share pixels are flagged, n true ones are too small a share for good.
    most = int(np.floor(truth.size / true_share + _ROUNDING))
    flat = clean.ravel()
    top = np.sort(flat if most >= flat.size else np.partition(flat, flat.size - most - 1)[flat.size - most - 1 :])
    thresholds = np.unique(top)[::-1]
    flagged = top.size - np.searchsorted(top, thresholds, side="left")
    true = truth.size - np.searchsorted(truth, thresholds, side="left")
    counts = (true >= needed) & (true >= true_share * flagged - _ROUNDING)
    edges = np.diff(np.concatenate(([0], counts.astype(np.int8), [0])))
    below = np.append(thresholds.astype(np.float64), -np.inf)
    return IrregularFrame(
        covered_from, below[np.flatnonzero(edges == 1)], np.asarray(below[np.flatnonzero(edges == -1)], np.float64)
    )


def highest(levels: NDArray[np.float32]) -> float:
    """Threshold from which on downwards a normal frame ``(H, W)`` is a false positive: the maximum of its map."""
    return float(without_nan(levels).max())


def without_nan(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The map ``(H, W)`` with ``-inf`` where it is not a number: a pixel without a score is not flagged."""
    return np.where(np.isnan(levels), np.float32(-np.inf), levels).astype(np.float32, copy=False)

"""Both networks' maps, brought to one scale per place and joined: the soft joint score and the paper's rule.

What is usual differs from place to place: people near the camera leave larger residuals than people far away, a tree
sways, a road carries cars. So location and spread of both maps are learned per place from *moving* normal samples,
drawn to the whole scene's where a place has few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from detectors.base import Scores

Decision = Literal["joint", "paper"]

MOVING = 2.0 / 64.0  # mean absolute difference within a cell, input units, from which it counts as moving
# Moving samples of a neighbourhood that outweigh the scene's: ten overlapping windows a second are hardly ten samples.
PLACE_WEIGHT = 1000.0
LEAST_CELLS = 2  # moving cells of a frame, from which something moves in it
NEIGHBOURHOOD = 1.5  # standard deviation, in cells, of the neighbourhood a place shares its samples with
SMALLEST_SPREAD = 0.3


@dataclass(frozen=True, slots=True)
class Fusion:
    """Weights of the soft joint score ``(inpainter * z_I + detector * z_D) / norm``, from simulated irregularities.

    The norm makes the joint score of independent unit-variance maps unit-variance again.
    """

    inpainter: float = 0.5
    detector: float = 0.5

    def join(self, inpainter: NDArray[np.float32], detector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Join two standardised maps of any equal shape."""
        norm = (self.inpainter**2 + self.detector**2) ** 0.5
        return np.asarray((self.inpainter * inpainter + self.detector * detector) / norm, np.float32)


@dataclass(frozen=True, slots=True)
class Places:
    """Usual location and spread of both maps at every place, all ``(h, w)`` float32 on D's cells.

    Attributes:
        inpainter_mean, inpainter_spread: of log residuals.
        detector_mean, detector_spread: of logits.
    """

    inpainter_mean: NDArray[np.float32]
    inpainter_spread: NDArray[np.float32]
    detector_mean: NDArray[np.float32]
    detector_spread: NDArray[np.float32]

    def evidence(self, scores: Scores) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Standardise a batch's maps: I's and D's evidence, both ``(B, h, w)``; 0 = usual for moving things here."""
        residual = scores.residual.cpu().numpy()
        logit = scores.detector.cpu().numpy()
        return (
            np.asarray((residual - self.inpainter_mean) / self.inpainter_spread, np.float32),
            np.asarray((logit - self.detector_mean) / self.detector_spread, np.float32),
        )

    def thresholds(self, statistic: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The paper's alpha and zeta at every place, for a threshold on the hard decision's statistic.

        Returns:
            ``alpha (h, w)``: mean squared residual of the blurred I map above which a place is irregular, input units
            squared; ``zeta (h, w)``: D's normality (0..1) below which it is.
        """
        alpha = np.exp(self.inpainter_mean + statistic * self.inpainter_spread)
        logit = self.detector_mean + statistic * self.detector_spread
        return np.asarray(alpha, np.float32), np.asarray(1 / (1 + np.exp(logit)), np.float32)


def decide(
    inpainter: NDArray[np.float32], detector: NDArray[np.float32], decision: Decision, fusion: Fusion
) -> NDArray[np.float32]:
    """One statistic per cell from both maps' evidence ``(B, h, w)``.

    ``joint`` is the weighted sum. ``paper`` is AVID's rule, *residual above alpha AND D below zeta*: with both
    thresholds moved together over each map's own scale, a place is irregular where the smaller evidence is above it.
    """
    if decision == "paper":
        return np.minimum(inpainter, detector)
    return fusion.join(inpainter, detector)


def something_moves(motion: NDArray[np.floating], cells: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """In which frames something moves, ``(B,)``.

    Args:
        motion: ``(B, h, w)`` as in :class:`detectors.base.Scores`.
        cells: ``(h, w)`` cells that count; None: all.
    """
    moving = motion > MOVING
    if cells is not None:
        moving &= cells
    return np.asarray(moving.sum((1, 2)) >= LEAST_CELLS, np.bool_)


def learn_places(batches: Iterable[Scores]) -> Places:
    """Learn the usual evidence of every place from normal windows.

    Args:
        batches: scores of normal windows, all on one grid.

    Raises:
        ValueError: no window at all.
    """
    sums: NDArray[np.float64] | None = None
    for scores in batches:
        batch = place_sums(*(part.cpu().numpy() for part in (scores.residual, scores.detector, scores.motion)))
        sums = batch if sums is None else sums + batch
    if sums is None:
        raise ValueError("places are learned from at least one window")
    return places_from(sums)


def place_sums(
    residual: NDArray[np.floating], logit: NDArray[np.floating], motion: NDArray[np.floating]
) -> NDArray[np.float64]:
    """What :func:`places_from` needs of a batch, ``(8, h, w)``; the sums of several batches add up.

    Args:
        residual: ``(B, h, w)`` as in :class:`detectors.base.Scores`, like the others.
        logit: D's map.
        motion: tells where anything moves.
    """
    residual, logit = residual.astype(np.float64), logit.astype(np.float64)
    moving = (motion > MOVING).astype(np.float64)
    parts = (moving, residual * moving, residual**2 * moving, logit * moving, logit**2 * moving)
    return np.stack([part.sum(0) for part in (*parts, np.ones_like(moving), residual, logit)])


def places_from(sums: NDArray[np.float64]) -> Places:
    """The usual evidence of every place from the summed :func:`place_sums` of all normal windows, at least one."""
    near = np.stack([cv2.GaussianBlur(plane, (0, 0), NEIGHBOURHOOD, borderType=cv2.BORDER_REFLECT) for plane in sums])
    whole = sums.sum((1, 2))
    if whole[0] < PLACE_WEIGHT:  # nothing moved: what is usual here is stillness
        count = whole[5]
        shape = sums.shape[1:]
        still = np.ones(shape, np.float32)
        return Places(still * np.float32(whole[6] / count), still, still * np.float32(whole[7] / count), still)
    # Neighbouring windows share most of their samples: a place's weight grows with its neighbourhood's count.
    share = near[0] * (2 * np.pi * NEIGHBOURHOOD**2)
    planes = []
    for first, second in ((1, 2), (3, 4)):
        mean = whole[first] / whole[0]
        square = whole[second] / whole[0]
        weight = PLACE_WEIGHT
        local_mean = (near[first] * _kernel_area() + weight * mean) / (share + weight)
        local_square = (near[second] * _kernel_area() + weight * square) / (share + weight)
        variance = np.maximum(local_square - local_mean**2, SMALLEST_SPREAD**2)
        planes += [local_mean.astype(np.float32), np.sqrt(variance).astype(np.float32)]
    return Places(*planes)


def _kernel_area() -> float:
    """Cells a neighbourhood is worth, so that a blurred mean becomes a count."""
    return float(2 * np.pi * NEIGHBOURHOOD**2)

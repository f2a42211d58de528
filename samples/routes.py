"""Ways across the ground: smooth lines that people and vehicles follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from samples.camera import Array

SPACING: Final = 0.25
"""Metres between the points of a route."""


@dataclass(frozen=True, slots=True)
class Route:
    """A way from one end to the other; people walk it in both directions.

    Attributes:
        points: ``(K, 2)`` metres, :data:`SPACING` apart.
        width: metres that may be walked on, half of it to each side.
        weight: how often it is taken, against the other routes.
    """

    points: Array
    width: float
    weight: float = 1.0

    @property
    def length(self) -> float:
        """Metres."""
        return (len(self.points) - 1) * SPACING

    def turned(self) -> Route:
        """The same way in the other direction."""
        return Route(self.points[::-1].copy(), self.width, self.weight)


def thinned(points: Array, every: int) -> Array:
    """Every ``every``-th of some points ``(K, 2)``, and the last one."""
    return np.concatenate([points[:-1:every], points[-1:]])


def resample(line: Array, spacing: float = SPACING) -> Array:
    """Points at equal distances along a line ``(K, 2)``, both ends among them; about ``spacing`` metres apart."""
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    run = np.concatenate([[0.0], np.cumsum(steps)])
    places = np.linspace(0.0, run[-1], max(2, round(float(run[-1]) / spacing) + 1))
    return np.stack([np.interp(places, run, line[:, axis]) for axis in (0, 1)], axis=1)


def route(
    corners: ArrayLike, width: float, *, around: Sequence[tuple[float, float, float]] = (), weight: float = 1.0
) -> Route:
    """A smooth route through corners.

    Args:
        corners: ``(K, 2)`` metres.
        width: metres.
        around: circles (x, y, radius) in metres that the route must go round.
        weight: how often it is taken.
    """
    line = np.asarray(corners, dtype=np.float64)
    for _ in range(3):
        quarter, third = line[:-1] * 0.75 + line[1:] * 0.25, line[:-1] * 0.25 + line[1:] * 0.75
        inner = np.stack([quarter, third], axis=1).reshape(-1, 2)
        line = np.concatenate([line[:1], inner, line[-1:]])
    line = resample(line)
    for _ in range(4 if len(around) and len(line) > 7 else 0):
        for x, y, radius in around:
            away = line - np.array([x, y])
            far = np.linalg.norm(away, axis=1, keepdims=True)
            line = line + away / np.maximum(far, 1e-6) * np.maximum(0.0, radius + 0.5 - far)
        kernel = np.hanning(17)[1:-1]
        padded = np.pad(line, ((7, 7), (0, 0)), mode="reflect", reflect_type="odd")  # the ends stay
        line = np.stack([np.convolve(padded[:, axis], kernel / kernel.sum(), "valid") for axis in (0, 1)], axis=1)
        line = resample(line)
    return Route(line, width, weight)

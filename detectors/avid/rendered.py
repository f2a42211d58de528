"""Crops of rendered footage, whose irregularities are known: what the base model's D sees beside simulated ones.

Footage of a real camera has no such truth and needs none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from detectors.avid.simulate import SimulatedBatch
from preprocess.temporal import PICTURES_PER_WINDOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detectors.bank import WindowBank

TRUTH_PIXELS = 4  # working pixels per side of one truth value
NEAR_SHARE = 0.75  # share of crops that hold something irregular; the others lie anywhere in the same windows


@dataclass(frozen=True, slots=True)
class RenderedTruth:
    """Windows with rendered irregularities.

    Attributes:
        bank: all windows, regular and irregular.
        covered: ``(P, H / 4, W / 4)`` uint8 0..255: share of each 4x4 square of the bank's pictures that is irregular.
    """

    bank: WindowBank
    covered: NDArray[np.uint8]

    def irregular_rows(self) -> tuple[NDArray[np.int64], ...]:
        """Rows of the bank's windows that hold something irregular, one array per unbroken stretch of them."""
        marked = self.covered.reshape(len(self.covered), -1).max(1) > 127
        rows = np.flatnonzero(marked[self.bank.tables[1]].any(1))
        if len(rows) == 0:
            return ()
        return tuple(np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1))


def rendered_crops(
    truth: RenderedTruth, rows: Sequence[NDArray[np.int64]], count: int, size: int, random: np.random.Generator
) -> SimulatedBatch:
    """Cut crops around rendered irregularities, with their truth.

    Args:
        truth: windows and masks.
        rows: :meth:`RenderedTruth.irregular_rows`, at least one stretch; short ones are drawn as often as long ones.
        count: number of crops B.
        size: side S of a crop, a multiple of 4.
        random: source of the draws.
    """
    bank = truth.bank
    height, width = bank.pictures.shape[1:]
    pictures = np.empty((count, PICTURES_PER_WINDOW, size, size), np.uint8)
    covered = np.empty((count, 1, size // TRUTH_PIXELS, size // TRUTH_PIXELS), np.float32)
    for number in range(count):
        stretch = rows[int(random.integers(len(rows)))]
        chosen = bank.tables[1][int(random.choice(stretch))]
        mask = truth.covered[chosen].max(0)
        if random.random() < NEAR_SHARE:
            places = np.argwhere(mask > 127)
            centre = places[int(random.integers(len(places)))] + random.uniform(-0.35, 0.35, 2) * size / TRUTH_PIXELS
        else:
            centre = random.random(2) * mask.shape
        top, left = (
            int(np.clip(round(c - size / TRUTH_PIXELS / 2), 0, side // TRUTH_PIXELS - size // TRUTH_PIXELS))
            for c, side in zip(centre, (height, width), strict=True)
        )
        covered[number, 0] = (
            mask[top : top + size // TRUTH_PIXELS, left : left + size // TRUTH_PIXELS].astype(np.float32) / 255
        )
        top, left = top * TRUTH_PIXELS, left * TRUTH_PIXELS
        pictures[number] = bank.pictures[chosen, top : top + size, left : left + size]
    whole = functional.interpolate(torch.from_numpy(covered), scale_factor=TRUTH_PIXELS, mode="nearest")
    return SimulatedBatch(torch.from_numpy(pictures).float(), whole, np.full(count, -2, np.int64))

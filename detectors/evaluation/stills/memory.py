"""How far a digit lies from every normal one: the nearest of a memory, with strokes free to move a little.

Two steps, as in Keysers et al., "Deformation Models for Image Recognition" (IEEE TPAMI 29(8), 2007): the nearest normal
digits in a coarse space, then their distance under the image distortion model (its section 4.2), in which every
pixel takes the best match within a few pixels of its place, compared by gradients over a small window. Normal digits
alone are remembered, without their labels; what is far from all of them is irregular.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch.nn import functional

from detectors.evaluation.stills.cells import GREY, blurred

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CANDIDATES: Final = 8
"""Nearest digits of the coarse space that are compared closely."""
REACH: Final = 1
"""Pixels a stroke may move, each way."""
_COARSE_BLUR: Final = 1.0
_FINE_BLUR: Final = 0.6
_GREY_WEIGHT: Final = 0.25  # of the grey value beside the two gradients
_BATCH: Final = 32
_LEAST: Final = 1e-6


class NormalMemory:
    """Normal digits to compare with."""

    def __init__(self, digits: NDArray[np.uint8]) -> None:
        """Remember digits ``(K, size, size)``, at least one."""
        if not len(digits):
            raise ValueError("a memory needs at least one normal digit")
        self._digits = torch.from_numpy(digits)
        self._coarse = torch.cat([_coarse(_ink(part)) for part in torch.split(self._digits, 4096)])

    def distances(self, digits: NDArray[np.uint8], each: Callable[[int], None] = lambda _: None) -> NDArray[np.float32]:
        """Distance of each digit to the nearest normal one.

        Args:
            digits: ``(N, size, size)``, prepared as those remembered.
            each: called with the number of digits done, after every batch; may raise.

        Returns:
            ``(N,)``: squared distance, the mean of both ways, by the size of the digit's own gradients; 0 for one that
            is remembered.
        """
        found = []
        for part in torch.split(torch.from_numpy(digits), _BATCH):
            found.append(self._nearest(_ink(part)))
            each(len(part))
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def _nearest(self, ink: torch.Tensor) -> NDArray[np.float32]:
        count = min(CANDIDATES, len(self._coarse))
        nearest = (_coarse(ink) @ self._coarse.T).topk(count, dim=1).indices
        own = _gradients(ink)
        others = _gradients(_ink(self._digits[nearest.reshape(-1)]))
        repeated = own.repeat_interleave(count, dim=0)
        distance = (_distorted(repeated, others) + _distorted(others, repeated)).reshape(-1, count)
        size = own.square().sum((1, 2, 3)).sqrt().clamp(min=_LEAST)
        return np.asarray((distance.min(dim=1).values / (2 * size)).numpy(), np.float32)


def _ink(digits: torch.Tensor) -> torch.Tensor:
    return digits[:, None].float() / GREY


def _coarse(ink: torch.Tensor) -> torch.Tensor:
    """Unit vectors ``(N, F)``: the blurred digit at half its resolution."""
    return functional.normalize(functional.avg_pool2d(blurred(ink, _COARSE_BLUR), 2).flatten(1), dim=1)


def _gradients(ink: torch.Tensor) -> torch.Tensor:
    """``(N, 3, size, size)``: central differences across and down, and a little of the grey value."""
    soft = blurred(ink, _FINE_BLUR)
    padded = functional.pad(soft, (1, 1, 1, 1))
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    return torch.cat([across, down, _GREY_WEIGHT * soft], dim=1)


def _distorted(moving: torch.Tensor, still: torch.Tensor) -> torch.Tensor:
    """Distance ``(N,)`` when every pixel of ``moving`` takes its best match within ``REACH`` pixels in ``still``."""
    height, width = moving.shape[-2:]
    padded = functional.pad(still, (REACH,) * 4)
    best: torch.Tensor | None = None
    for down in range(2 * REACH + 1):
        for across in range(2 * REACH + 1):
            error = (moving - padded[:, :, down : down + height, across : across + width]).square().sum(1, keepdim=True)
            window = functional.avg_pool2d(error, 3, stride=1, padding=1)
            best = window if best is None else torch.minimum(best, window)
    assert best is not None  # noqa: S101 - the loops run at least once
    return best.sum((1, 2, 3))

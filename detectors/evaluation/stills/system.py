"""The still preset as a whole: learned from normal grids, it gives every cell of a grid four scores.

The parts are kept apart so that each can be told: I alone, D alone, the memory of normal digits alone, and the joint
score, their mean after each was standardised on normal digits that were kept out of all learning. No weight is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import torch
from torch.nn import functional

from detectors.evaluation.datasets.ir_mnist import CELL, GRID
from detectors.evaluation.stills.cells import GREY, cells_of, distinct, grid_of, upright
from detectors.evaluation.stills.memory import NormalMemory
from detectors.evaluation.stills.networks import hide, seen_by_detector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from detectors.avid.detector import DetectorNetwork
    from detectors.avid.inpainter import Inpainter
    from detectors.evaluation.stills.networks import StillTrainer
    from detectors.inference import Runtime

INPAINTER, DETECTOR, MEMORY, JOINT = "inpainter", "detector", "memory", "joint"
PARTS: Final = (INPAINTER, DETECTOR, MEMORY)
KEPT_OUT_SHARE: Final = 20
"""One normal digit in so many is kept out of all learning, to standardise the parts on."""
LEAST_DIGITS: Final = 2 * KEPT_OUT_SHARE
_HALVES: Final = ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))  # hidden in turn: right, left, lower, upper
_LEAST: Final = 1e-6


@dataclass(frozen=True, slots=True)
class NormalDigits:
    """The digits of normal grids, each once.

    Attributes:
        learned: ``(K, 28, 28)`` uint8, upright: what the networks and the memory learn from.
        kept_out: ``(L, 28, 28)`` uint8, upright: what the parts are standardised on.
    """

    learned: NDArray[np.uint8]
    kept_out: NDArray[np.uint8]


def normal_digits(pictures: NDArray[np.uint8], *, seed: int) -> NormalDigits:
    """Take the digits of normal grids ``(N, 308, 308)`` apart; a digit that stands in many cells counts once.

    Raises:
        ValueError: fewer than :data:`LEAST_DIGITS` digits.
    """
    digits, _ = distinct(cells_of(pictures, CELL).reshape(-1, CELL, CELL))
    if len(digits) < LEAST_DIGITS:
        raise ValueError(f"{len(digits)} different digits are too few to learn from; {LEAST_DIGITS} are needed")
    digits = upright(digits[np.random.default_rng(seed).permutation(len(digits))])
    count = len(digits) // KEPT_OUT_SHARE
    return NormalDigits(digits[count:], digits[:count])


class StillSystem:
    """I, D and the memory, with what is usual for each."""

    def __init__(
        self, inpainter: Inpainter, detector: DetectorNetwork, memory: NormalMemory, runtime: Runtime, *, seed: int = 0
    ) -> None:
        self._inpainter = inpainter.eval()
        self._detector = detector.eval()
        self._memory = memory
        self._runtime = runtime
        self._seed = seed
        self.usual: dict[str, tuple[float, float]] = {}

    @classmethod
    def of(cls, trainer: StillTrainer, digits: NormalDigits, runtime: Runtime, *, seed: int) -> Self:
        """The system of a finished training; not yet standardised."""
        return cls(trainer.inpainter, trainer.detector, NormalMemory(digits.learned), runtime, seed=seed)

    def standardise(self, kept_out: NDArray[np.uint8], each: Callable[[float], None] = lambda _: None) -> None:
        """Learn mean and deviation of every part's score from normal digits that nothing was learned from."""
        count = len(kept_out)
        side = min(GRID, int(count**0.5))
        grids = count // side**2
        scores = self._parts(kept_out[: grids * side**2].reshape(grids, side, side, CELL, CELL), each)
        self.usual = {name: (float(part.mean()), float(part.std()) + _LEAST) for name, part in scores.items()}

    def score(
        self, pictures: NDArray[np.uint8], each: Callable[[float], None] = lambda _: None
    ) -> dict[str, NDArray[np.float32]]:
        """Score every cell.

        Args:
            pictures: ``(M, 308, 308)`` uint8 grids.
            each: called after every batch with the share of the work it was; may raise.

        Returns:
            By name of the part, and ``joint``: ``(M, 11, 11)``, in standard deviations of normal digits.
        """
        cells = cells_of(pictures, CELL)
        grids = cells.shape[:3]
        digits, which = distinct(cells.reshape(-1, CELL, CELL))
        straight = upright(digits)
        found = self._networks(straight[which].reshape(*grids, CELL, CELL), lambda share: each(share / 2))
        near = self._memory.distances(straight, lambda done: each(done / len(straight) / 2))
        found[MEMORY] = np.log(near + _LEAST)[which].reshape(grids)
        return self._standardised(found)

    def _parts(self, cells: NDArray[np.uint8], each: Callable[[float], None]) -> dict[str, NDArray[np.float32]]:
        found = self._networks(cells, lambda share: each(share / 2))
        digits = cells.reshape(-1, CELL, CELL)
        near = self._memory.distances(digits, lambda done: each(done / len(digits) / 2))
        found[MEMORY] = np.log(near + _LEAST).reshape(cells.shape[:3])
        return found

    def _standardised(self, found: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        parts = {}
        for name, part in found.items():
            mean, deviation = self.usual[name]
            parts[name] = ((part - mean) / deviation).astype(np.float32)
        joint = np.stack([parts[name] for name in PARTS]).mean(axis=0)
        return {**parts, JOINT: joint}

    @torch.no_grad()
    def _networks(self, cells: NDArray[np.uint8], each: Callable[[float], None]) -> dict[str, NDArray[np.float32]]:
        """I's and D's scores of upright cells ``(M, rows, columns, 28, 28)``, grid by grid."""
        residuals, logits = [], []
        random = torch.Generator().manual_seed(self._seed)
        for grid in cells:
            side = grid.shape[0]
            picture = grid_of(torch.from_numpy(grid.reshape(-1, CELL, CELL)).float() / GREY, side)
            with self._runtime.autocast():
                judged = self._detector(self._runtime.upload(seen_by_detector(picture)))
            logits.append(judged.float().cpu().numpy()[0])
            residuals.append(self._residual(picture, side, random))
            each(1 / len(cells))
        return {INPAINTER: np.stack(residuals), DETECTOR: np.stack(logits)}

    def _residual(self, picture: torch.Tensor, side: int, random: torch.Generator) -> NDArray[np.float32]:
        """How badly I restores each half of every cell from the other: log of squared error by ink, per cell."""
        hidden = torch.cat([_half(across, down, side) for across, down in _HALVES])
        clean = picture.expand(len(hidden), -1, -1, -1)
        with self._runtime.autocast():
            restored = self._inpainter(self._runtime.upload(hide(clean, hidden, random)))
        error = ((restored.float().cpu() - clean).square() * hidden).mean(dim=0, keepdim=True)
        ink = functional.avg_pool2d(picture.square(), CELL).clamp(min=_LEAST)
        ratio = functional.avg_pool2d(error, CELL) / ink.sqrt()
        return np.asarray(torch.log(ratio + _LEAST)[0, 0].numpy(), np.float32)


def _half(across: float, down: float, side: int) -> torch.Tensor:
    """Where one half of every cell is hidden, ``(1, 1, side * 28, side * 28)``."""
    place = torch.arange(CELL, dtype=torch.float32) - (CELL - 1) / 2
    cell = torch.sigmoid(4 * (across * place[None, :] + down * place[:, None]))
    return cell.repeat(side, side)[None, None]

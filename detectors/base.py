"""The contract every detector fulfils, and the two hand-offs of this room: Scores and Verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from preprocess.geometry import CellGrid


@dataclass(frozen=True, slots=True)
class Scores:
    """What the networks say of a batch of windows, before calibration.

    Attributes:
        inpainter: I's map, ``(B, H, W)`` float32 at working resolution: squared residual ``mean_c (X - I(X))^2`` in
            input units squared (64 grey levels = 1).
        detector: D's map, ``(B, h, w)`` float32 on D's cells: the logit of *irregular* (large = irregular).
        residual: I's map brought to D's cells, ``(B, h, w)`` float32: logarithm of the blurred squared residual.
        motion: ``(B, h, w)`` float32 mean absolute input on D's cells, input units; tells where anything moves.
        grid: where the cells lie in the working picture.
    """

    inpainter: torch.Tensor
    detector: torch.Tensor
    residual: torch.Tensor
    motion: torch.Tensor
    grid: CellGrid

    def __len__(self) -> int:
        """The number of windows scored."""
        return int(self.detector.shape[0])


@dataclass(frozen=True, slots=True)
class Region:
    """One connected irregular region of one frame.

    Attributes:
        x, y, width, height: box in upright source pixels.
        level: the highest level within (see :class:`Verdict`).
        area: pixels of the source covered by the region.
    """

    x: int
    y: int
    width: int
    height: int
    level: float
    area: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the calibrated detector says of one frame.

    Levels are ``-log10(p)``: 3.0 means that one normal frame in a thousand scores as high. Maps, frame scores, the
    threshold and the overlay's colours all use this one scale.

    Attributes:
        score: the frame's level, the maximum of ``levels``.
        p_value: ``10 ** -score``.
        inpainter_part: I's share of the evidence at the frame's peak cell.
        detector_part: D's share of the evidence at the frame's peak cell.
        alarm: a region of at least the smallest size reached the threshold.
        levels: ``(h, w)`` float32 level of every cell.
        regions: irregular regions, largest level first, in upright source pixels; empty where there is no alarm.
    """

    score: float
    p_value: float
    inpainter_part: float
    detector_part: float
    alarm: bool
    levels: NDArray[np.float32]
    regions: tuple[Region, ...]


class Detector(Protocol):
    """Network inputs to scores. State is plain tensors and JSON, so that loading one can run no code."""

    name: str

    def score(self, windows: torch.Tensor) -> Scores:
        """Score a batch of windows.

        Args:
            windows: ``(B, 3, H, W)`` float32 in units of 64 grey levels.
        """
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """All tensors needed to rebuild the detector with the same settings."""
        ...


@runtime_checkable
class SharingDetector(Detector, Protocol):
    """A detector whose networks several cameras may share, so that one run of them serves all."""

    @property
    def networks_id(self) -> str:
        """Equal for two detectors exactly where their networks give the same maps for the same windows."""
        ...

    def score_jointly(self, parts: Sequence[tuple[Self, int]], windows: torch.Tensor) -> list[Scores]:
        """Score windows of several cameras in one run of the networks.

        Args:
            parts: each camera's detector, with this one's ``networks_id``, and the number of its windows, in order.
            windows: ``(B, 3, H, W)`` float32 in units of 64 grey levels; ``B`` is the sum of the numbers.

        Returns:
            The scores of every part: what its own :meth:`score` would say of its windows.

        Raises:
            ValueError: a detector has other networks, or the numbers do not add up.
        """
        ...

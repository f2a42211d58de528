"""A bounded memory of what the networks said of normal footage: unbroken stretches, spread over the whole time.

Stretches stay whole because smoothing and event rates live on neighbouring frames. Which of them are kept is a uniform
draw (bottom-k sampling: every stretch gets a random number, those with the smallest stay; Cohen and Kaplan 2007), so
that after a day the store holds as much of the morning as of the evening.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch

from detectors.base import Scores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from detectors.evidence import Decision
    from preprocess.geometry import CellGrid

PIECE = 64  # frames turned back into 32 bits at once, so that a long stretch costs little memory beside the store


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring frames of one segment, without a gap; all arrays are read only by agreement.

    A frame takes 6 bytes for each of D's cells and 16 beside: 5.5 kB at a working size of 320x184 (920 cells).

    Attributes:
        maps: ``(3, N, h, w)`` float16: log residual, D's logit and motion, see :class:`detectors.base.Scores`.
        times: ``(N,)`` float64 seconds.
        statistics: largest statistic of every frame under the model ``refresh`` stood for, ``(N,)`` float32, by
            decision; where people walk has no part in it.
        refresh: number of the model the camera had when these frames were seen.
    """

    maps: NDArray[np.float16]
    times: NDArray[np.float64]
    statistics: Mapping[Decision, NDArray[np.float32]]
    refresh: int

    def __len__(self) -> int:
        """The number of frames."""
        return len(self.times)

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return float(self.times[-1] - self.times[0]) if len(self) else 0.0

    @property
    def frame_rate(self) -> float:
        """Frames per second, of two frames at least."""
        return 1.0 / float(np.median(np.diff(self.times)))

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.maps.nbytes + self.times.nbytes + sum(values.nbytes for values in self.statistics.values())

    def pieces(self, grid: CellGrid) -> Iterator[tuple[Scores, list[Fraction]]]:
        """The frames as scores with their times, a few at a time; without I's map at pixels."""
        for start in range(0, len(self), PIECE):
            residual, detector, motion = (
                torch.from_numpy(part.astype(np.float32)) for part in self.maps[:, start : start + PIECE]
            )
            scores = Scores(torch.empty(0), detector, residual, motion, grid)
            yield scores, [Fraction(time) for time in self.times[start : start + PIECE].tolist()]


class StretchStore:
    """Keeps a uniform draw of all stretches it was given, within so many bytes.

    Attributes:
        most_bytes: what the stretches may take together.
        nbytes: what they take.
    """

    def __init__(self, most_bytes: int, seed: int) -> None:
        self.most_bytes = most_bytes
        self.nbytes = 0
        self._random = np.random.default_rng(seed)
        self._kept: list[tuple[float, int, Stretch]] = []
        self._given = 0
        self._limit = 1.0

    def add(self, stretch: Stretch) -> None:
        """Take a stretch; those with the largest random numbers leave until everything fits."""
        self._given += 1
        drawn = float(self._random.random())
        if drawn >= self._limit:
            return
        insort(self._kept, (drawn, self._given, stretch), key=lambda kept: kept[:2])
        self.nbytes += stretch.nbytes
        self.resize(self.most_bytes)

    def resize(self, most_bytes: int) -> None:
        """Take more or less memory from now on."""
        self.most_bytes = most_bytes
        while self.nbytes > self.most_bytes:
            # A number that once was too large stays too large: else short stretches that come late were preferred.
            self._limit, _, gone = self._kept.pop()
            self.nbytes -= gone.nbytes

    def stretches(self) -> tuple[Stretch, ...]:
        """What is kept, in the order it came."""
        return tuple(stretch for _, _, stretch in sorted(self._kept, key=lambda kept: kept[1]))

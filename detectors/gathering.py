"""All that is learned from while a camera is watched: running sums of all of it, and whole stretches of some of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from detectors.evidence import place_sums
from detectors.ground import feet
from detectors.score_store import Stretch, StretchStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from preprocess.geometry import CellGrid

STRETCH_SECONDS = 15.0
SHORTEST_STRETCH = 1.0  # seconds; less shows no event and is not worth keeping
LARGEST_OPEN = 8  # an open stretch takes at most this part of the memory, and a closed one half of that

Frame = tuple[float, "NDArray[np.float16]"]
"""Time in seconds, and ``(3, h, w)`` maps as in :class:`detectors.score_store.Stretch`."""


@dataclass(slots=True)
class Gathered:
    """Footage that counts as normal.

    Attributes:
        grid: of the maps.
        store: a draw of its stretches.
        seconds: all of it.
        sums: ``(8, h, w)`` :func:`detectors.evidence.place_sums`.
        visits: ``(h, w)`` feet.
    """

    grid: CellGrid
    store: StretchStore
    seconds: float = 0.0
    sums: NDArray[np.float64] = field(init=False)
    visits: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing."""
        shape = (self.grid.rows, self.grid.columns)
        self.sums, self.visits = np.zeros((8, *shape)), np.zeros(shape)

    def add(self, stretch: Stretch) -> None:
        """Learn from a stretch of at least two frames."""
        for scores, _ in stretch.pieces(self.grid):
            residual, logit, motion = (part.numpy() for part in (scores.residual, scores.detector, scores.motion))
            self.sums += place_sums(residual, logit, motion)
            self.visits += feet(motion).sum(0)
        self.store.add(stretch)
        self.seconds += len(stretch) / stretch.frame_rate


class OpenStretch:
    """Frames of one unbroken run, until they make a stretch.

    Attributes:
        frames: in order.
    """

    def __init__(self, memory_bytes: int, kept_back: float = 0.0) -> None:
        """Begin with nothing.

        Args:
            memory_bytes: of which the frames may take one part in :data:`LARGEST_OPEN`.
            kept_back: seconds of the latest frames that stay open, as it may turn out that they teach nothing.
        """
        self.frames: list[Frame] = []
        self._largest = memory_bytes // LARGEST_OPEN
        self._kept_back = kept_back

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return sum(maps.nbytes for _, maps in self.frames)

    def push(self, time: float, maps: NDArray[np.float16]) -> list[Frame]:
        """Take a frame; the frames of a stretch where one is full, else none."""
        self.frames.append((time, maps))
        first = self.frames[0][0]
        full = len(self.frames) * maps.nbytes >= self._largest
        if not full and time - first < STRETCH_SECONDS + self._kept_back:
            return []
        whole = sum(moment <= first + STRETCH_SECONDS for moment, _ in self.frames)
        return self.cut(max(1, len(self.frames) // 2 if full else whole))

    def cut(self, count: int) -> list[Frame]:
        """Take out the first so many frames."""
        taken, self.frames = self.frames[:count], self.frames[count:]
        return taken


def stretch_of(frames: list[Frame], refresh: int) -> Stretch | None:
    """The stretch that frames make, without statistics; None where they are too short for one."""
    if not frames or frames[-1][0] - frames[0][0] < SHORTEST_STRETCH:
        return None
    times = np.array([time for time, _ in frames])
    return Stretch(np.stack([maps for _, maps in frames], axis=1), times, {}, refresh)

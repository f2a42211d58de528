"""A way out for a camera whose first minute was no sample of its day: nearly everything alarms, and would for ever.

Frames that alarm teach nothing. That is right for events and wrong for a street that was empty in its first minute:
with traffic of 12 scales, four fifths of the time, the share of alarming time stayed at 0.8 through five refreshes,
and under traffic without a pause no refresh ever came. So from the first five minutes on that alarm for most of their
time, all is gathered, alarms included. After half an hour of that it is what the camera learns from, and what was
gathered before is forgotten; with it the share was below 0.04 at the next refresh, and below 0.01 after the one behind.

That must not teach a camera that a real event is normal. It takes most of *every* five minutes of half an hour without
a break, and twice as long every further time; the learner allows it on the first day alone, whose alarms are
provisional.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from detectors.gathering import Gathered, OpenStretch, stretch_of
from detectors.score_store import StretchStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from preprocess.geometry import CellGrid

FIRST_DAY = 86_400.0  # seconds of watching in which there is a way out
FIRST_WAIT = 1800.0  # seconds that must have alarmed; twice as many after every time
SLICE = 300.0  # seconds of watching after which the share of alarming time is looked at
MOST_ALARMING = 0.5  # share of a slice that must have alarmed
MEMORY_SHARE = 4  # one part in so many of the learner's memory is for what is gathered
UNKNOWN_MODEL = -1  # of stretches whose statistics were not taken


class SecondStart:
    """Watches how much of a camera's time alarms, and gathers that time once it is too much.

    Attributes:
        wait: seconds that must have alarmed for the most part, without a break.
    """

    def __init__(self, grid: CellGrid, memory_bytes: int, seed: int, times: int = 0) -> None:
        """Begin.

        Args:
            grid: of the maps.
            memory_bytes: of the learner.
            seed: of the draw of what is kept.
            times: second starts so far.
        """
        self.wait = math.ldexp(FIRST_WAIT, times)
        self._grid, self._memory, self._seed = grid, memory_bytes, seed
        self._gathered: Gathered | None = None
        self._open = OpenStretch(memory_bytes)
        self._alarming = self._judged = self._bad = 0.0

    @property
    def gathered(self) -> Gathered | None:
        """What was gathered so far; None while nothing is wrong."""
        return self._gathered

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self._open.nbytes + (self._gathered.store.nbytes if self._gathered is not None else 0)

    @property
    def due(self) -> bool:
        """Whether it is time to learn anew from what was gathered."""
        return self._gathered is not None and self._bad >= self.wait and self._gathered.store.nbytes > 0

    def cut(self) -> None:
        """The next frame is no neighbour of the last one, or that could not be judged."""
        self._add(self._open.cut(len(self._open.frames)))

    def hear(self, time: float, passed: float, maps: NDArray[np.float16], *, alarmed: bool) -> None:
        """Hear of the next frame that was judged.

        Args:
            time: of the frame, seconds.
            passed: since the one before, seconds; 0 after a gap.
            maps: ``(3, h, w)``.
            alarmed: whether it alarms.
        """
        self._judged += passed
        self._alarming += passed * alarmed
        if self._gathered is not None:
            self._add(self._open.push(time, maps))
        if self._judged < SLICE:
            return
        self._bad = self._bad + self._judged if self._alarming >= MOST_ALARMING * self._judged else 0.0
        self._alarming = self._judged = 0.0
        if not self._bad:
            self._gathered = None
            self._open.frames.clear()
        elif self._gathered is None:
            self._gathered = Gathered(self._grid, StretchStore(self._memory // MEMORY_SHARE, self._seed))

    def _add(self, frames: list[tuple[float, NDArray[np.float16]]]) -> None:
        stretch = stretch_of(frames, UNKNOWN_MODEL)
        if stretch is not None and self._gathered is not None:
            self._gathered.add(stretch)

"""Who walks where nobody walks: what I and D cannot tell, because such a person moves as anybody does.

A foot is a moving cell with stillness below and motion above it. Learning counts feet at every place and shares the
counts among places that are near *and look alike* (a bilateral kernel over position and background grey: Tomasi and
Manduchi, ICCV 1998), so that half a minute of footage knows the whole of a path and nothing of the lawn beside it.
Watching asks for a foot that stays in little-visited places for a second, moving at most a cell per step.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from detectors.calibration import Calibration
    from preprocess.geometry import CellGrid, Size

MOVING = 3.0 / 64.0  # mean absolute difference of a cell, input units, from which a foot may be there
NEAR = 3.0  # cells: standard deviation over which places share their visits
DEPTH = 1.6  # rows count this much more than columns: the picture is foreshortened
ALIKE = 6.0  # grey levels of the background: the same
FEWEST_FEET = 400  # moving feet, over cells and windows, below which nothing is said of places
CAUTION = 4.0  # feet a place never visited is taken to have had, over all places
STEP_SECONDS = 0.1  # a foot moves at most one cell in this time
STEPS = 12  # steps a foot must stay at little-visited places
HELD = 2  # steps a foot may be hidden or still
TALLEST = 12  # cells above a foot that may belong to the same body
NOWHERE = -99.0  # novelty, and statistic, of a place without a foot


@dataclass(frozen=True, slots=True)
class NoveltyTail:
    """How often a foot keeps to places of some novelty on normal footage of other scenes.

    Attributes:
        novelty: rising, nats.
        rates: clusters of at least that novelty, per second, falling; both at least two long.
    """

    novelty: tuple[float, ...]
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what is no tail."""
        novelty, rates = np.asarray(self.novelty, np.float64), np.asarray(self.rates, np.float64)
        if len(novelty) != len(rates) or len(novelty) < 2 or not np.isfinite([*novelty, *rates]).all():
            raise ValueError("a tail of novelty has at least two finite values with their rates")
        if (np.diff(novelty) <= 0).any() or (np.diff(rates) >= 0).any() or rates[-1] <= 0:
            raise ValueError("a tail of novelty rises while its rates fall")

    def log_rate(self, novelty: NDArray[np.floating]) -> NDArray[np.float64]:
        """Logarithm of the rate of any novelty, straight between and beyond the known ones."""
        known, logs = np.asarray(self.novelty), np.log(self.rates)
        values = np.asarray(novelty, np.float64)
        segment = np.clip(np.searchsorted(known, values) - 1, 0, len(known) - 2)
        slope = np.diff(logs) / np.diff(known)
        return np.asarray(logs[segment] + slope[segment] * (values - known[segment]))


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known of the places people walk at.

    Attributes:
        statistic: ``(h, w)`` float32 on D's cells: the joint statistic that is as rare on normal footage as a foot that
            keeps to places like this one.
    """

    statistic: NDArray[np.float32]


def feet(motion: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Cells where a foot moves: nothing moves in the two rows below (a column to either side), something just above.

    Args:
        motion: ``(B, h, w)`` as in :class:`detectors.base.Scores`.
    """
    moving = motion > MOVING
    wide = moving.copy()
    wide[:, :, 1:] |= moving[:, :, :-1]
    wide[:, :, :-1] |= moving[:, :, 1:]
    below = np.zeros_like(moving)
    below[:, :-1] |= wide[:, 1:]
    below[:, :-2] |= wide[:, 2:]
    above = np.zeros_like(moving)
    above[:, 1:] |= wide[:, :-1]
    found = moving & ~below & above
    found[:, -1] = False  # a body cut off by the frame has its feet elsewhere
    return np.asarray(found)


def background_on_cells(background: NDArray[np.float32], grid: CellGrid, size: Size) -> NDArray[np.float32]:
    """Mean grey of the empty scene around every cell, ``(h, w)``.

    Args:
        background: ``(H, W)`` median picture at working size.
        grid: D's cells.
        size: ``(width, height)`` of the working picture.
    """
    side = max(1, round(grid.stride))
    mean = cv2.blur(background.astype(np.float32), (side, side), borderType=cv2.BORDER_REFLECT)
    rows, columns = (np.clip(np.round(axis), 0, None).astype(int) for axis in grid.centres())
    picked = mean[np.minimum(rows, size[1] - 1)][:, np.minimum(columns, size[0] - 1)]
    return np.asarray(cv2.GaussianBlur(picked, (0, 0), 0.5), np.float32)


def learn_novelty(visits: NDArray[np.floating], ground: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Novelty of every place from the feet counted there; None where too few were seen.

    Args:
        visits: ``(h, w)`` feet over all windows.
        ground: ``(h, w)`` grey of the empty scene.
    """
    seen = float(visits.sum())
    if seen < FEWEST_FEET:
        return None
    height, width = visits.shape
    y, x = (axis.ravel().astype(np.float32) for axis in np.mgrid[:height, :width])
    grey = ground.ravel()
    near = (x[:, None] - x) ** 2 + (DEPTH * (y[:, None] - y)) ** 2
    kernel = np.exp(-near / (2 * NEAR**2) - (grey[:, None] - grey) ** 2 / (2 * ALIKE**2))
    counted = visits.ravel().astype(np.float64)
    rate = (kernel @ counted) / kernel.sum(1)
    usual = float((rate * counted).sum() / seen)
    return np.asarray(-np.log(rate / usual + CAUTION / seen).reshape(visits.shape), np.float32)


def as_statistic(novelty: NDArray[np.floating], calibration: Calibration, tail: NoveltyTail) -> NDArray[np.float32]:
    """The joint statistic, any shape, of as many false events per second as each novelty has.

    Linear in the logarithm of the rate, as an exponential tail is; below the tail's start it goes on so.
    """
    falling = np.log(calibration.event_rate) - tail.log_rate(novelty)
    return np.asarray(calibration.event_start + calibration.event_scale * falling, np.float32)


@dataclass(slots=True)
class FeetStream:
    """Follows feet through windows in order, causally.

    Attributes:
        places: ``(h, w)`` float32, novelty of every place or anything that rises with it.
    """

    places: NDArray[np.float32]
    _planes: deque[NDArray[np.float32]] = field(default_factory=lambda: deque(maxlen=STEPS + HELD), repr=False)
    _shown: NDArray[np.float32] | None = field(default=None, repr=False)
    _time: Fraction | None = None
    _segment: int | None = None

    def push(
        self, motion: NDArray[np.float32], times: Sequence[Fraction], segments: Sequence[int]
    ) -> NDArray[np.float32]:
        """Take the next batch.

        Args:
            motion: ``(B, h, w)`` as in :class:`detectors.base.Scores`.
            times: of the windows, seconds.
            segments: of the windows; a new one forgets all feet.

        Returns:
            ``(B, h, w)``: what a foot has kept to for :data:`STEPS` steps, at the foot and at what moves above it;
            :data:`NOWHERE` elsewhere.
        """
        found = np.where(feet(motion), self.places, np.float32(NOWHERE)).astype(np.float32)
        shown = np.empty_like(found)
        for row, (time, segment) in enumerate(zip(times, segments, strict=True)):
            if segment != self._segment:
                self._planes.clear()
                self._segment, self._time, self._shown = segment, None, None
            # Cameras of more frames a second give the same steps: between two of them the last answer stands.
            if self._time is None or self._shown is None or float(time - self._time) > 0.9 * STEP_SECONDS:
                self._planes.append(found[row])
                self._time = time
                self._shown = _upwards(self._kept(), motion[row] > MOVING)
            shown[row] = self._shown
        return shown

    def _kept(self) -> NDArray[np.float32]:
        """The smallest value on the best path of every foot through the last steps."""
        planes = list(self._planes)
        if len(planes) < STEPS + HELD:
            return np.full_like(self.places, NOWHERE)
        held = [np.asarray(np.max(planes[step - HELD : step + 1], axis=0)) for step in range(HELD, len(planes))]
        best, reach = held[0], np.ones((3, 3), np.uint8)
        for step in held[1:]:
            best = np.minimum(step, np.asarray(cv2.dilate(best, reach), np.float32))
        return np.asarray(best, np.float32)


def _upwards(kept: NDArray[np.float32], moving: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Spread what feet have kept over the moving cells above them: the body they carry."""
    spread = kept.copy()
    bar = np.ones((1, 3), np.uint8)
    reach = kept.copy()
    for _ in range(TALLEST):
        wider = np.asarray(cv2.dilate(reach, bar), np.float32)
        reach = np.full_like(kept, NOWHERE)
        reach[:-1] = np.where(moving[:-1], wider[1:], np.float32(NOWHERE))
        spread = np.maximum(spread, reach)
    return spread

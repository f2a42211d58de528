"""Frozen cameras: pictures that equal each other to the last bit of their noise, for longer than this camera ever does.

A quiet scene through a strong encoder can stand still for seconds, too; so what a camera usually does is learned.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

STILL_SHARE: Final = 0.0005
"""Share of the sampled pixels that may differ between two pictures that count as equal."""

REFRESH_LEVELS: Final = 2
"""Grey levels by which a key frame of an encoder that is fed one frozen picture may redraw it."""

LEAST_ALIVE: Final = 3.0
"""Seconds of pictures that differ which must have been seen before equal ones are called frozen."""

LONGER_THAN_USUAL: Final = 3.0
"""Times the longest usual standstill that a frozen one must have lasted."""

USUAL_FOR: Final = 1800.0
"""Seconds after which a long standstill has faded from memory by a factor e."""

STUTTER: Final = 0.8
"""Seconds of an unusual standstill after which the next picture is a jump rather than a step."""


class StillWatch:
    """Measures how long the picture has stood still.

    Args:
        frozen_after: seconds of standstill that count as frozen.
    """

    def __init__(self, frozen_after: float) -> None:
        self._frozen_after = frozen_after
        self._sample: NDArray[np.uint8] | None = None
        self._pts: Fraction | None = None
        self._since: Fraction | None = None
        self._alive = 0.0
        self._usual = 0.0
        self.frozen = False
        self.stood = 0.0
        """Seconds the picture has stood still for, up to now."""

    def push(self, sample: NDArray[np.uint8], pts: Fraction) -> float:
        """Take the next picture's sample ``(h, w)`` uint8.

        Returns:
            Seconds of an unusual standstill that ends with this picture; 0 for an ordinary one.
        """
        before, previous = self._sample, self._pts
        self._sample, self._pts = sample, pts
        if before is None or previous is None or before.shape != sample.shape or not 0 < pts - previous < 60:
            self._since, self.frozen, self.stood = None, False, 0.0
            return 0.0
        step = float(pts - previous)
        if self._equal(before, sample):
            self._since = previous if self._since is None else self._since
            self.stood = float(pts - self._since)
            limit = max(self._frozen_after, LONGER_THAN_USUAL * self._usual)
            self.frozen = self._alive >= LEAST_ALIVE and self.stood >= limit
            return 0.0
        ended, was_frozen, usual = self.stood, self.frozen, self._usual
        self._since, self.frozen, self.stood = None, False, 0.0
        self._alive += step
        self._usual *= math.exp(-step / USUAL_FOR)
        if was_frozen:
            return ended
        self._usual = max(self._usual, ended)
        return ended if self._alive > LEAST_ALIVE and ended >= max(STUTTER, 2 * usual) else 0.0

    def _equal(self, before: NDArray[np.uint8], sample: NDArray[np.uint8]) -> bool:
        difference = np.asarray(cv2.absdiff(before, sample))
        allowed = STILL_SHARE * sample.size
        if cv2.countNonZero(difference) <= allowed:
            return True
        # A redrawn picture moves every pixel by a level or two, and none by more; sensor noise would go on moving it.
        long_still = self.stood >= STUTTER and self._alive >= LEAST_ALIVE
        return long_still and int(np.count_nonzero(difference > REFRESH_LEVELS)) <= allowed

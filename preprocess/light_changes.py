"""Sudden changes of the light: most of the picture gets brighter or darker at once, and its edges stay where they are.

What moves takes the edges behind it away and changes its own part of the picture alone, so neither a truck that drives
by nor a person close to the camera is a change of the light.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from preprocess.picture_measures import LEAST_EDGES, likeness

if TYPE_CHECKING:
    from fractions import Fraction

    from preprocess.picture_measures import Field, Measures

LOOK_BACK: Final = 0.5
"""Seconds between the pictures that are compared."""

GAIN_STEP: Final = 0.07
"""Change of a cell's brightness within that time, as a logarithm, that counts; slow dawn stays below 0.01."""

LEVEL_STEP: Final = 2.0
"""Grey levels it must be, too: dark cells are all noise."""

CHANGED_SHARE: Final = 0.6
"""Share of the cells that must change."""

KEPT_SHARE: Final = 0.5
"""Share of the cells with structure that must change and keep it."""

ALIKE: Final = 0.5
"""Least likeness of a cell's edges that counts as kept."""

PLAIN_SHARE: Final = 0.85
"""Share of the cells that must change where hardly any has structure."""


class LightWatch:
    """Compares every picture with the one half a second before."""

    def __init__(self) -> None:
        self._recent: deque[tuple[Fraction, Measures]] = deque()
        self.gain = 1.0
        """Brightness now as a multiple of that half a second ago."""

    def push(self, measures: Measures, pts: Fraction) -> bool:
        """Take the next picture; True while the light changes."""
        if self._recent and not 0 < pts - self._recent[-1][0] < 2:
            self._recent.clear()
        self._recent.append((pts, measures))
        while len(self._recent) > 2 and pts - self._recent[1][0] >= LOOK_BACK:
            self._recent.popleft()
        if len(self._recent) < 2:
            return False
        before = self._recent[0][1]
        ratio = np.log((measures.brightness + 4) / (before.brightness + 4))
        self.gain = float(np.exp(np.median(ratio)))
        steps = np.abs(measures.brightness - before.brightness)
        changed = (np.abs(ratio) > GAIN_STEP) & (steps > LEVEL_STEP)
        if changed.mean() < CHANGED_SHARE:
            return False
        return _edges_stay(measures, before, changed)

    def forget(self) -> None:
        """Compare nothing with what came before now."""
        self._recent.clear()


def _edges_stay(now: Measures, before: Measures, changed: Field) -> bool:
    structured = (before.edges > LEAST_EDGES) | (now.edges > LEAST_EDGES)
    count = int(structured.sum())
    if count < structured.size // 6:
        return bool(changed.mean() >= PLAIN_SHARE)
    alike = likeness(now.gradients, now.edges, before.gradients, before.edges) > ALIKE
    return bool((structured & alike & (changed > 0)).sum() >= KEPT_SHARE * count)

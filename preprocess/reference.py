"""What a camera usually shows, as a running reference: its edges, how much fine detail it has, how much it flickers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from preprocess.light_changes import ALIKE
from preprocess.picture_measures import CELLS, LEAST_EDGES, SMALL, by_cell, likeness

if TYPE_CHECKING:
    from preprocess.picture_measures import Field, Measures

LOST_SHARE: Final = 0.2
"""Share of the structured cells that must still show their usual edges; with 40 % of the picture hidden 0.54 do."""

FOUND_SHARE: Final = 0.35
"""The same for a view that was lost and comes back."""

LEAST_AGE: Final = 2.0
"""Seconds a reference must have been built from before it can tell that something is missing."""

LEAST_FLICKER_AGE: Final = 8.0
"""The same for what the usual flicker is: at first everything is new."""

LEAST_CELLS: Final = 5
"""Structured cells a reference must have for the same."""

SLOWLY: Final = 60
"""Times as slow does usual detail fall, and usual flicker rise: what creeps in over an hour is still found."""

FLICKER_MEMORY: Final = 1.5
"""Time constant of the flicker's mean, seconds."""

QUIET_CELLS: Final = 0.25
"""Flicker is told by the cell that so many flicker less than: weather spares none of them, a crowd does."""

RESTLESS_FLICKER: Final = 0.004
"""Share of flickering pixels in that cell from which a picture may be restless; rain and snow give 0.01, a crowd
0.0005, a car through most of the picture 0."""

MOST_FLICKER: Final = 0.02
"""Share of a cell that counts at most: the end of a cloudburst is seen as soon as that of a drizzle."""

RESTLESS_TIMES: Final = 4.0
"""The same as a multiple of the usual share."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """A picture beside the reference.

    Attributes:
        kept: share of the usually structured cells that show their usual edges; None where too little is known.
        edges: its squared gradients as a share of the usual ones, whatever the edges.
        detail: its fine detail as a share of the usual one, where its edges are the usual ones; 1 where unknown.
    """

    kept: float | None
    edges: float
    detail: float

    def lost(self, *, before: bool) -> bool:
        """Whether the usual view is gone, given whether it was gone before."""
        return self.kept is not None and self.kept < (FOUND_SHARE if before else LOST_SHARE)


class Reference:
    """Follows slow changes with a time constant; quick to build.

    Args:
        memory: time constant, seconds.
    """

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._age = 0.0
        self._gradients: Field = np.zeros((2, SMALL[1], SMALL[0]), np.float32)
        self._edges: Field = np.zeros((CELLS[1], CELLS[0]), np.float32)
        self._detail: Field = np.zeros((CELLS[1], CELLS[0]), np.float32)
        self._flicker: Field | None = None
        self._flicker_now = 0.0
        self._usual_flicker = 0.0
        self._flicker_age = 0.0

    def renewed(self) -> Reference:
        """A new reference for another light; rain does not become usual by it."""
        fresh = Reference(self._memory)
        fresh._flicker, fresh._flicker_now = self._flicker, self._flicker_now
        fresh._usual_flicker, fresh._flicker_age = self._usual_flicker, self._flicker_age
        return fresh

    def take(self, measures: Measures, step: float) -> None:
        """Learn from a usable picture, ``step`` seconds after the one before."""
        if self._age == 0.0:
            self._gradients = measures.gradients.copy()
            self._detail = measures.detail.copy()
        self._age += max(step, 1e-3)
        weight = np.float32(min(1.0, step / min(self._age, self._memory)))
        self._gradients += weight * (measures.gradients - self._gradients)
        self._edges = by_cell(self._gradients[0] ** 2 + self._gradients[1] ** 2)
        more = measures.detail > self._detail
        slow = np.float32(step / min(self._age, SLOWLY * self._memory))
        self._detail += np.where(more, weight, slow) * (measures.detail - self._detail)
        if self._flicker is not None and self.restlessness < 1:
            now = self._flicker_now
            self._flicker_age += step
            memory = self._memory * (SLOWLY if now > self._usual_flicker else 1)
            self._usual_flicker += min(1.0, step / min(self._flicker_age + 1e-3, memory)) * (now - self._usual_flicker)

    def flickered(self, cells: Field | None, step: float) -> None:
        """Take in the flicker of the cells ``(6, 8)``, usable or not; None where it was not measured."""
        if cells is None:
            return
        if self._flicker is None:
            self._flicker = np.zeros_like(cells)
        cells = np.minimum(cells, np.float32(MOST_FLICKER))
        self._flicker += np.float32(1 - math.exp(-step / FLICKER_MEMORY)) * (cells - self._flicker)
        quiet = round(QUIET_CELLS * cells.size)
        self._flicker_now = float(np.partition(self._flicker, quiet, axis=None)[quiet])

    @property
    def restlessness(self) -> float:
        """Flicker all over the picture, as a share of what makes a picture restless; 0 while little is known."""
        if self._flicker is None or self._flicker_age < LEAST_FLICKER_AGE:
            return 0.0
        limit = max(RESTLESS_FLICKER, RESTLESS_TIMES * self._usual_flicker)
        return self._flicker_now / limit

    def compare(self, measures: Measures) -> Likeness:
        """A picture beside what is usual."""
        structured = self._edges > LEAST_EDGES
        count = int(structured.sum())
        if self._age < LEAST_AGE or count < LEAST_CELLS:
            return Likeness(None, 1.0, 1.0)
        alike = structured & (likeness(measures.gradients, measures.edges, self._gradients, self._edges) > ALIKE)
        edges = float(measures.edges[structured].sum() / self._edges[structured].sum())
        detail = 1.0
        if int(alike.sum()) >= LEAST_CELLS:
            detail = float(np.median(measures.detail[alike] / (self._detail[alike] + np.float32(1e-3))))
        return Likeness(float(alike.sum()) / count, edges, detail)

"""Frame level: is a frame irregular at all? Area under the curve over all frames and per clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detectors.evaluation.metrics.curves import roc
from preprocess.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def fill_unscored(
    scores: NDArray[np.floating], clip: str = "the clip", *, before: float | None = None
) -> tuple[NDArray[np.float64], int]:
    """Give frames without a score the score a watcher would still be showing; the count is to be reported.

    A window needs pictures before the frame it judges, so the first frames of a clip (five times the spacing) have
    no score: they take that of the clip's first scored frame. Later ones (after a gap) keep the last score before
    them, and so do the first ones of a clip that goes on where another file ended. No frame of the truth is left out,
    so figures stay comparable with those of others.

    Args:
        scores: ``(N,)``, NaN for frames without a score.
        clip: name for the error.
        before: the last score of the file that the clip goes on from; None where it begins by itself.

    Returns:
        ``(N,)`` scores without NaN, and how many were filled.

    Raises:
        InputError: no frame has a score.
    """
    values = np.asarray(scores, np.float64)
    scored = np.flatnonzero(~np.isnan(values))
    if not scored.size:
        raise InputError(f"no frame of {clip} could be scored: it is shorter than a window; leave it out of the set")
    source = scored[np.maximum(np.searchsorted(scored, np.arange(values.size), side="right") - 1, 0)]
    filled = values[source]
    if before is not None:
        filled[: scored[0]] = before
    return filled, int(values.size - scored.size)


def macro_area(clips: Iterable[tuple[NDArray[np.bool_], NDArray[np.floating]]]) -> float | None:
    """Mean AUC over the clips that have both normal and irregular frames; None where no clip has.

    The other of the two figures in use (Ionescu et al., CVPR 2019, and others): each clip has a curve of its own, so
    scores need not be comparable between clips. Clips of one kind have no curve and are left out; nothing is invented
    for them, as some published scripts do.

    Args:
        clips: truth and scores, both ``(N,)``, of every clip.
    """
    areas = [roc(irregular, scores).area() for irregular, scores in clips if irregular.any() and not irregular.all()]
    return float(np.mean(areas)) if areas else None

"""The curve of detections against false alarms: its area and its equal error rate, ties as in scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Curve:
    """A receiver operating characteristic, from the highest threshold to the lowest; ready for plotting.

    Attributes:
        false_positive: ``(K,)`` false-positive rate, from 0 up to 1, never falling.
        true_positive: ``(K,)`` true-positive rate at the same thresholds, 0..1. Never falling either, but at
            dual-pixel level, where flagging more of a picture can spoil a detection.
        thresholds: ``(K,)``; what reaches one counts as flagged. The first is infinite: nothing is flagged.
    """

    false_positive: NDArray[np.float64]
    true_positive: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    def area(self) -> float:
        """AUC: the area under the curve by the trapezoid rule, 0..1, as scikit-learn's ``roc_auc_score``.

        Equal scores are one step of the curve, so that a normal and an irregular frame of one score count one half.
        """
        return area_under(self.false_positive, self.true_positive)

    def equal_error_rate(self) -> float:
        """EER: the false-positive rate at which as large a share is missed, ``FPR = 1 - TPR``, 0..1.

        Taken where the straight lines between neighbouring points of the curve meet that diagonal; the first such
        place from the highest threshold down, should a dual-pixel curve meet it more than once.
        """
        balance = self.false_positive + self.true_positive - 1.0  # -1 at the start, at least 0 at the end
        after = int(np.argmax(balance >= 0))
        before = after - 1
        share = -balance[before] / (balance[after] - balance[before])
        rates = self.false_positive
        return float(rates[before] + share * (rates[after] - rates[before]))


def area_under(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Area under straight lines through the points ``(x, y)``, both ``(K,)``, ``x`` never falling."""
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2.0))


def roc(irregular: NDArray[np.bool_], scores: NDArray[np.floating]) -> Curve:
    """Curve over all thresholds at which anything changes.

    Args:
        irregular: ``(N,)`` truth, both kinds present.
        scores: ``(N,)``, higher is more irregular; no NaN, infinities allowed.

    Raises:
        ValueError: one kind alone, shapes that differ, or NaN among the scores.
    """
    if irregular.shape != scores.shape or irregular.ndim != 1:
        raise ValueError(f"truth {irregular.shape} and scores {scores.shape} must be of one length")
    return curve_of(scores[irregular], scores[~irregular], positives=int(irregular.sum()))


def curve_of(reached: ArrayLike, false: ArrayLike, *, positives: int, lost: ArrayLike = ()) -> Curve:
    """Curve from the thresholds at which detections come, false alarms come, and detections are lost again.

    Args:
        reached: thresholds from which on (downwards, itself included) an irregular frame counts as detected.
        false: one threshold per normal frame from which on it is flagged; at least one.
        positives: irregular frames in all, those that are never detected included; at least one.
        lost: thresholds from which on a detection of ``reached`` no longer counts.

    Raises:
        ValueError: no irregular or no normal frame, or NaN among the thresholds.
    """
    came, alarms, went = (np.sort(np.asarray(part, np.float64)) for part in (reached, false, lost))
    if not positives or not alarms.size:
        raise ValueError("a curve needs both irregular and normal frames")
    thresholds = np.unique(np.concatenate((came, alarms, went)))[::-1]
    if np.isnan(thresholds).any():
        raise ValueError("scores must not be NaN: fill frames without a score first (fill_unscored)")
    detected = count_at_least(came, thresholds) - count_at_least(went, thresholds)
    return Curve(
        np.concatenate(([0.0], count_at_least(alarms, thresholds) / alarms.size)),
        np.concatenate(([0.0], detected / positives)),
        np.concatenate(([np.inf], thresholds)),
    )


def count_at_least(ascending: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of the ascending values ``(N,)`` are at or above each threshold ``(K,)``."""
    return np.asarray(ascending.size - np.searchsorted(ascending, thresholds, side="left"), np.int64)

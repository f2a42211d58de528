"""Scores that look both ways in time: what published benchmarks compare, and nobody can use without waiting for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.evaluate_scores import ClipScores

DEVIATIONS = 2.0
"""Standard deviations of the Gaussian within the time that is looked ahead, and as far back."""
_ROUNDING = 1e-6  # seconds: a frame at the very edge counts on both sides


def recording_looking_ahead(files: Sequence[ClipScores], seconds: float) -> list[ClipScores]:
    """:func:`looking_ahead` for a recording in several files, each one frame behind the end of the one before."""
    if seconds <= 0 or len(files) == 1:
        return [looking_ahead(file, seconds) for file in files]
    first = files[0]
    times, ends = [first.times], [len(first)]
    for file in files[1:]:
        step = float(np.median(np.diff(times[-1]))) if len(times[-1]) > 1 else 0.0
        times.append(file.times - file.times[0] + times[-1][-1] + step)
        ends.append(ends[-1] + len(file))
    starts = [0, *ends[:-1]]
    whole = replace(
        first,
        statistic=np.concatenate([file.statistic for file in files]),
        rows=np.concatenate([start + file.rows for start, file in zip(starts, files, strict=True)]),
        maps=np.concatenate([file.maps for file in files]),
        times=np.concatenate(times),
    )
    ahead = looking_ahead(whole, seconds)
    found, row = [], 0
    for start, end, file in zip(starts, ends, files, strict=True):
        rows = slice(row, row + len(file.rows))
        found.append(replace(file, statistic=ahead.statistic[start:end], maps=ahead.maps[rows]))
        row += len(file.rows)
    return found


def looking_ahead(scores: ClipScores, seconds: float) -> ClipScores:
    """Every score as the Gaussian mean of those around it in time.

    The frame score is the mean of frame scores, as in most published evaluations: what moves fast is at another cell in
    the next frame. The map is the mean of maps, cell by cell. Events stay those of watching, which cannot look ahead.

    Args:
        scores: causal ones, of one clip.
        seconds: how far ahead, and as far back, at least 0; the deviation is half of it. 0 changes nothing.
    """
    if seconds <= 0:
        return scores
    times = scores.times[scores.rows]
    reach = seconds + _ROUNDING
    first = np.searchsorted(times, times - reach, side="left")
    last = np.searchsorted(times, times + reach, side="right")
    causal = scores.statistic[scores.rows]
    statistic = scores.statistic.copy()
    maps = np.empty_like(scores.maps)
    for row, (start, end) in enumerate(zip(first, last, strict=True)):
        weights = np.exp(-0.5 * ((times[start:end] - times[row]) * DEVIATIONS / seconds) ** 2)
        weights = (weights / weights.sum()).astype(np.float32)
        statistic[scores.rows[row]] = weights @ causal[start:end]
        maps[row] = np.tensordot(weights, scores.maps[start:end].astype(np.float32), axes=1)
    return replace(scores, statistic=statistic, maps=maps)

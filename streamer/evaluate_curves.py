"""Curves of a benchmark as pictures: the ROC of every seed, and how each clip scored over time beside its truth."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np

from streamer.sinks.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from streamer.evaluate_scores import ClipScores

_TRUTH = "#d9534f"
_SCORE = "#1f4e79"
_EVENT = "#e0a800"


def draw_roc(path: Path, curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], title: str) -> None:
    """Draw ROC curves.

    Args:
        path: PNG to write.
        curves: false and true positive rates, rising, by the name they get in the legend.
        title: above it.

    Raises:
        OutputError: it cannot be written.
    """
    figure = _figure(5.2, 5.0)
    axes = figure.subplots()
    for name, (false_rate, true_rate) in curves.items():
        axes.plot(false_rate, true_rate, label=name, linewidth=1.4)
    axes.plot((0, 1), (1, 0), linestyle=":", color="grey", linewidth=1, label="equal error")
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), xlabel="false positive rate", ylabel="true positive rate")
    axes.set_title(title, parse_math=False)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", fontsize="small")
    _save(figure, path)


def draw_timeline(path: Path, scores: ClipScores, truth: Sequence[bool] | NDArray[np.bool_], title: str) -> None:
    """Draw a clip's scores over time; irregular frames are shaded, events marked, frames without a score left out.

    Args:
        path: PNG to write.
        scores: of the clip.
        truth: ``(N,)`` irregular frames.
        title: above it.

    Raises:
        OutputError: it cannot be written.
    """
    figure = _figure(9.0, 2.6)
    axes = figure.subplots()
    times = scores.times - scores.times[0]
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    for first, last in spans_of(np.asarray(truth, bool)):
        axes.axvspan(times[first], times[last] + step, color=_TRUTH, alpha=0.18, linewidth=0)
    axes.plot(times, scores.statistic, color=_SCORE, linewidth=1.2)
    if np.isfinite(scores.threshold):
        axes.axhline(scores.threshold, color="grey", linestyle="--", linewidth=1)
    low, high = axes.get_ylim()
    for start, end in scores.events - scores.times[0]:
        axes.plot((start, max(end, start + step)), (low, low), color=_EVENT, linewidth=5, solid_capstyle="butt")
    axes.set(xlim=(0, times[-1] + step), ylim=(low - 0.04 * (high - low), high), ylabel="statistic")
    axes.set_title(title, parse_math=False)
    axes.set_xlabel("seconds; shaded: irregular, thick line: events, dashed: shipped threshold", fontsize="small")
    axes.grid(alpha=0.25)
    _save(figure, path)


def spans_of(truth: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], truth, [False])).astype(np.int8)))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - half a second to import
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a clip's name in letters that the font lacks
        figure.savefig(content, format="png", dpi=110)
    write_whole(path, content.getvalue())

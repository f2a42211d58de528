"""The losses of a training as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from preprocess.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LABELS = ("D: simulated irregularities", "D: real against inpainted", "I: reconstruction", "I: adversarial")


def save_loss_curve(
    path: Path, losses: Sequence[Sequence[float]], checkpoints: Sequence[Sequence[float]], best_step: int
) -> None:
    """Draw losses over steps, and the held-out figure of every checkpoint.

    Args:
        path: PNG to write, whatever its name ends in.
        losses: one row per step, in the order of ``LABELS``.
        checkpoints: rows ``(step, figure)``; higher figures are better.
        best_step: the checkpoint that was kept.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - half a second to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, height_ratios=(2, 1))
    table = np.asarray(losses, float).reshape(-1, len(LABELS))
    width = max(1, len(table) // 100)
    for column, label in enumerate(LABELS):
        values = table[:, column]
        if len(values) == 0 or not np.any(values):
            continue
        shown = np.flatnonzero(values)  # terms that are not in every step leave zeros
        smooth = (
            np.convolve(values[shown], np.ones(width) / width, mode="valid") if len(shown) >= width else values[shown]
        )
        upper.plot(shown[len(shown) - len(smooth) :] + 1, smooth, label=label)
    upper.set(yscale="log", ylabel=f"loss, mean of {width} steps")
    if upper.lines:
        upper.legend()
    if checkpoints:
        rows = np.asarray(checkpoints, float)
        lower.plot(rows[:, 0], rows[:, 1], marker="o")
        lower.axvline(best_step, linestyle="--", color="grey")
    lower.set(xlabel="step", ylabel="held-out figure")
    try:
        with path.open("wb") as file:  # a path alone would let its ending choose another format
            figure.savefig(file, format="png", dpi=110)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error

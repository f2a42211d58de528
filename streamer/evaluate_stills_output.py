"""What a benchmark on stills writes: results.json, the table, the curve, and the worst cells as one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from detectors.evaluation.datasets.ir_mnist import CELL, GRID
from detectors.evaluation.metrics.curves import roc
from streamer.evaluate_curves import draw_roc
from streamer.evaluate_output import RESULTS, ROC, TABLE, put_section
from streamer.evaluate_text import markdown_of, section_key
from streamer.overlay.style import put_text
from streamer.sinks.json_text import json_bytes
from streamer.sinks.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from streamer.evaluate_stills_cache import StillScores
    from streamer.frames import Bgr

SHEET: Final = "worst-cells.png"
COLUMNS: Final = 12
ROWS: Final = 3
"""Of misses, and as many of false alarms below them."""
_ENLARGED: Final = 3
_TILE: Final = CELL * _ENLARGED
_CAPTION: Final = 16
_HEAD: Final = 28
_GAP: Final = 4
_PAPER: Final = (32, 32, 32)


def write_stills(folder: Path, results: Mapping[str, Any], seeds: Sequence[StillScores], docs: Path | None) -> None:
    """Write everything into ``folder``; the sheet is of the first seed.

    Raises:
        OutputError: something cannot be written.
    """
    write_whole(folder / RESULTS, json_bytes(results, indent=2) + b"\n")
    table = markdown_of(results)
    write_whole(folder / TABLE, table.encode())
    if docs is not None:
        put_section(docs.expanduser(), section_key(results), table)
    score = results["score"]
    curves = {}
    for kept, scores in zip(results["per_seed"], seeds, strict=True):
        curve = roc(scores.irregular.ravel(), scores.parts[score].ravel())
        curves[f"seed {kept['seed']}: AUC {curve.area():.4f}"] = (curve.false_positive, curve.true_positive)
    draw_roc(folder / ROC, curves, f"{results['title']}, cell level")
    draw_cells(folder / SHEET, seeds[0], score)


def worst_cells(scores: StillScores, score: str, *, misses: bool, most: int) -> list[tuple[int, float]]:
    """Held-out digits with the lowest score, or normal ones with the highest; worst first, each digit once.

    Returns:
        Numbers of cells, counted over all grids row by row, and their scores.
    """
    values = scores.parts[score].ravel()
    wanted = np.flatnonzero(scores.irregular.ravel() == misses)
    order = wanted[np.argsort(values[wanted] if misses else -values[wanted], kind="stable")]
    seen: set[bytes] = set()
    found: list[tuple[int, float]] = []
    for number in order:
        content = _cell(scores.pictures, int(number)).tobytes()
        if content in seen:
            continue
        seen.add(content)
        found.append((int(number), float(values[number])))
        if len(found) >= most:
            break
    return found


def draw_cells(path: Path, scores: StillScores, score: str) -> None:
    """Draw the worst misses above the worst false alarms, each with its score.

    Args:
        path: PNG to write.
        scores: of one seed.
        score: which of its parts is ranked.

    Raises:
        OutputError: it cannot be written.
    """
    bands = []
    for misses, head in ((True, "held-out digits with the lowest scores"), (False, "normal digits with the highest")):
        cells = worst_cells(scores, score, misses=misses, most=COLUMNS * ROWS)
        bands.append(_band(head, [(_cell(scores.pictures, number), value) for number, value in cells]))
    _, content = cv2.imencode(".png", np.concatenate(bands))
    write_whole(path, content.tobytes())


def _band(head: str, cells: Sequence[tuple[NDArray[np.uint8], float]]) -> Bgr:
    width, height = _TILE + _GAP, _TILE + _CAPTION + _GAP
    band = np.full((_HEAD + ROWS * height, COLUMNS * width + _GAP, 3), _PAPER, np.uint8)
    put_text(band, head, _GAP, _HEAD - 9, 10)
    for place, (cell, value) in enumerate(cells):
        top, left = _HEAD + place // COLUMNS * height, _GAP + place % COLUMNS * width
        enlarged = cv2.resize(cell, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST)
        band[top : top + _TILE, left : left + _TILE] = enlarged[..., None]
        put_text(band, f"{value:.2f}", left, top + _TILE + _CAPTION - 4, 8)
    return band


def _cell(pictures: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    picture, place = divmod(number, GRID * GRID)
    top, left = (CELL * at for at in divmod(place, GRID))
    return np.ascontiguousarray(pictures[picture, top : top + CELL, left : left + CELL])

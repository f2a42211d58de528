"""``scores.csv``: one row per frame, whether it was scored or not."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Self

from detectors.base import Region
from preprocess.errors import InputError
from streamer.sinks.writing import told_as_output_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from detectors.base import Verdict

COLUMNS = ("index", "pts", "score", "p_value", "inpainter", "detector", "alarm", "regions", "learning", "note")

WARM_UP = "warm-up"
CORRUPT = "corrupt"
GAP = "gap"
MUTED = "muted"
"""Why a frame has no score (too few pictures before it, damaged, after a gap), or why its score raises no alarm."""

FLUSH_SECONDS = 1.0
_DIGITS = 10**9


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """What became of one frame.

    Attributes:
        index: number of the frame in its source.
        pts: its time in seconds.
        score: frame level; None where the frame was not scored, and then so are the next three.
        p_value: ``10 ** -score``.
        inpainter, detector: I's and D's share of the evidence at the peak cell.
        alarm: a region reached the threshold.
        regions: boxes ``(x, y, width, height)`` in upright source pixels.
        learning: the frame was learned from.
        note: why there is no score, or why the score raises no alarm; else empty.
    """

    index: int
    pts: Fraction
    score: float | None
    p_value: float | None
    inpainter: float | None
    detector: float | None
    alarm: bool
    regions: tuple[tuple[int, int, int, int], ...]
    learning: bool
    note: str = ""

    @classmethod
    def scored(cls, index: int, pts: Fraction, verdict: Verdict, *, learning: bool = False, note: str = "") -> Self:
        """The row of a frame with a verdict."""
        return cls(
            index,
            pts,
            verdict.score,
            verdict.p_value,
            verdict.inpainter_part,
            verdict.detector_part,
            verdict.alarm,
            tuple((region.x, region.y, region.width, region.height) for region in verdict.regions),
            learning,
            note,
        )

    @classmethod
    def unscored(cls, index: int, pts: Fraction, note: str, *, learning: bool = False) -> Self:
        """The row of a frame without a score; ``note`` says why."""
        return cls(index, pts, None, None, None, None, alarm=False, regions=(), learning=learning, note=note)

    def boxes(self) -> tuple[Region, ...]:
        """The regions as far as the table knows them: every level is the frame's, every area its box's."""
        level = self.score or 0.0
        return tuple(Region(x, y, width, height, level, width * height) for x, y, width, height in self.regions)


class ScoreTable:
    """Writes the rows in order and hands them to the system about once a second.

    Usable as a context manager.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin an empty table.

        Args:
            path: the file to write.
            clock: seconds; decides when rows are handed to the system.

        Raises:
            OutputError: the file cannot be written.
        """
        self._path = path
        self._clock = clock
        self._line = io.StringIO()
        self._writer = csv.writer(self._line, lineterminator="\n")
        with told_as_output_errors(path):
            self._file = path.open("w", encoding="utf-8", newline="")
            self._write(COLUMNS)
            self._file.flush()
        self._flushed = clock()

    def write(self, row: ScoreRow) -> None:
        """Append one row.

        Raises:
            OutputError: the file cannot be written, for instance because the disk is full.
        """
        with told_as_output_errors(self._path):
            self._write(cells_of(row))
            now = self._clock()
            if now - self._flushed >= FLUSH_SECONDS:
                self._file.flush()
                self._flushed = now

    def close(self) -> None:
        """Close the file; may be called twice."""
        with told_as_output_errors(self._path):
            self._file.close()

    def _write(self, cells: tuple[str, ...]) -> None:
        # Whole lines reach the file, so that what a kill leaves ends within the last line at worst.
        self._writer.writerow(cells)
        self._file.write(self._line.getvalue())
        self._line.seek(0)
        self._line.truncate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_scores(path: Path) -> Iterator[ScoreRow]:
    """Read a table row by row; a last line that a kill cut off is left out.

    Raises:
        InputError: there is no such table, or a line of it is not a row.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            if file.readline().rstrip("\n") != ",".join(COLUMNS):
                raise InputError(f"{path}: is not a table of scores; name the folder of a finished run")
            for number, line in enumerate(file, start=2):
                if not line.endswith("\n"):
                    return
                yield _row(path, number, line)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name the folder of a finished run") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is damaged (not a text); run the source again") from error


def cells_of(row: ScoreRow) -> tuple[str, ...]:
    """The row as texts, one per column."""
    # The score in full: re-thresholding must meet the same threshold on the same side.
    numbers = ["" if row.score is None else repr(float(row.score))]
    numbers += ["" if part is None else f"{part:.6g}" for part in (row.p_value, row.inpainter, row.detector)]
    boxes = ";".join(f"{x} {y} {width} {height}" for x, y, width, height in row.regions)
    return (str(row.index), _decimal(row.pts), *numbers, _flag(row.alarm), boxes, _flag(row.learning), row.note)


def _flag(value: object) -> str:
    return "1" if value else "0"


def _decimal(pts: Fraction) -> str:
    """Seconds with up to nine decimals: exact to the nanosecond, and short where they can be."""
    units = round(pts * _DIGITS)
    sign, units = ("-", -units) if units < 0 else ("", units)
    return f"{sign}{units // _DIGITS}.{units % _DIGITS:09d}".rstrip("0").rstrip(".")


def _row(path: Path, number: int, line: str) -> ScoreRow:
    try:
        index, pts, score, p_value, inpainter, detector, alarm, boxes, learning, note = next(csv.reader([line]))
        regions = [tuple(map(int, box.split())) for box in boxes.split(";") if box]
        return ScoreRow(
            int(index),
            Fraction(pts),
            float(score) if score else None,
            float(p_value) if p_value else None,
            float(inpainter) if inpainter else None,
            float(detector) if detector else None,
            alarm == "1",
            tuple((x, y, width, height) for x, y, width, height in regions),
            learning == "1",
            note,
        )
    except ValueError as error:
        raise InputError(f"{path}: line {number} is damaged; run the source again") from error

"""Frame truth in a table: a row per irregular range, as a spreadsheet or a text editor writes it."""

from __future__ import annotations

import csv
import math
import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING, Literal

from detectors.evaluation.protocol import IrregularRange
from preprocess.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_UNITS: Mapping[str, Literal["frames", "seconds"]] = {
    "": "frames",
    "frame": "frames",
    "frames": "frames",
    "s": "seconds",
    "second": "seconds",
    "seconds": "seconds",
}
_COLUMNS = ("clip", "start", "stop")


def read_ranges(table: Path, clips: Mapping[str, str]) -> dict[str, tuple[IrregularRange, ...]]:
    """Read ``clip,start,stop[,unit]``: irregular from ``start`` up to, but without, ``stop``.

    The unit is ``frames``, counted from 0, unless the row says ``seconds``, counted from the first frame. Lines that
    begin with ``#`` are left out; semicolons serve as well as commas.

    Args:
        table: the CSV file.
        clips: the test clips: name in tables by name of the file. A row may give either.

    Returns:
        Ranges by the clip's name in tables.

    Raises:
        InputError: the table cannot be read, or a row names no test clip or no range.
    """
    try:
        text = table.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"{table}: cannot be read ({error.strerror}); check who may read it") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{table}: is no UTF-8 text; save the table as CSV in UTF-8") from error
    lines = enumerate(text.splitlines(keepends=True), start=1)
    numbered = [(number, line) for number, line in lines if _holds_data(line)]
    if not numbered:
        raise InputError(f"{table}: empty; its first line is clip,start,stop,unit and every range has one below")
    head = numbered[0][1]
    delimiter = ";" if ";" in head and "," not in head else ","
    reader = csv.reader((line for _, line in numbered), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    begins = 0
    try:
        for values in reader:
            rows.append((numbered[begins][0], values))
            begins = reader.line_num  # a quoted cell may hold line breaks
    except csv.Error as error:
        number = numbered[begins][0]
        raise InputError(f"{table}, line {number}: cannot be read as CSV ({error}); check its quotes") from error
    columns = [name.strip().lower() for name in rows.pop(0)[1]]
    if missing := [name for name in _COLUMNS if name not in columns]:
        raise InputError(f"{table}: its first line names no column {missing[0]}; it is clip,start,stop,unit")
    known_as = {**{name: name for name in clips.values()}, **clips}
    names = {unicodedata.normalize("NFC", name): clip for name, clip in known_as.items()}
    found = defaultdict(list)
    for number, values in rows:
        row = dict(zip(columns, (value.strip() for value in values), strict=False))
        clip = unicodedata.normalize("NFC", row.get("clip", ""))  # some systems store file names in NFD
        if clip not in names:
            known = ", ".join(sorted(clips)[:3])
            raise InputError(f"{table}, line {number}: no test clip is called {clip or 'nothing'}; there are {known}")
        found[names[clip]].append(_range(table, number, row))
    return {name: tuple(ranges) for name, ranges in found.items()}


def _holds_data(line: str) -> bool:
    return bool(line.strip(" \t\r\n,;")) and not line.startswith("#")


def _range(table: Path, number: int, row: Mapping[str, str]) -> IrregularRange:
    unit = _UNITS.get(row.get("unit", "").lower())
    if unit is None:
        raise InputError(f"{table}, line {number}: the unit is frames or seconds, not {row['unit']}")
    try:
        start, stop = float(row.get("start", "")), float(row.get("stop", ""))
        fits = math.isfinite(stop) and 0 <= start < stop
    except ValueError:
        fits = False
    if not fits:
        told = f"{row.get('start', '')} to {row.get('stop', '')}"
        raise InputError(f"{table}, line {number}: {told} is no range; stop comes after start, both are numbers from 0")
    if unit == "frames" and not (start.is_integer() and stop.is_integer()):
        raise InputError(f"{table}, line {number}: frames are whole numbers; for seconds, write seconds in column unit")
    return IrregularRange(start, stop, unit)

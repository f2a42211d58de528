"""Which pictures of a folder belong to its series, in which order, and where the numbering has holes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from preprocess.errors import InputError
from streamer.sources.refusals import CLIP_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PICTURE_SUFFIXES = {".tif": "tif", ".tiff": "tif", ".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".bmp": "bmp"}

_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Numbered:
    """One picture of a series: its file, and its place in steps since the first one (holes are counted in)."""

    path: Path
    place: int


def series_of(folder: Path, shown: str) -> list[Numbered]:
    """The numbered pictures of a folder in natural order (2 before 10).

    A file belongs to the series when its name is that of the others but for the numbers. A stray picture beside the
    series is left out; two series in one folder are refused rather than mixed. Hidden files are left out.

    Args:
        folder: the folder to look in (not in the folders below it).
        shown: what messages call it.

    Raises:
        InputError: it cannot be read, or holds no single series of pictures.
    """
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        files = [entry for entry in entries if entry.is_file()]
        folders = sorted((entry.name for entry in entries if entry.is_dir()), key=_natural)
    except OSError as error:
        raise InputError(f"{shown}: the folder cannot be read ({error.strerror}); check who may read it") from error
    series: defaultdict[tuple[str, str], list[Path]] = defaultdict(list)
    for file in files:
        kind = PICTURE_SUFFIXES.get(file.suffix.lower())
        if kind is not None and _DIGITS.search(file.stem):
            series[_DIGITS.sub("#", file.stem), kind].append(file)
    if not series:
        raise _refusal(files, folders, shown)
    longest, *others = sorted(series.items(), key=lambda item: -len(item[1]))
    if others and len(others[0][1]) > 1:
        names = " and ".join(f"{template}.{kind}" for template, kind in (longest[0], others[0][0]))
        raise InputError(f"{shown}: holds more than one series of pictures ({names}); put each in a folder of its own")
    ordered = sorted(longest[1], key=lambda file: _natural(file.stem))
    places = _places([_numbers(file) for file in ordered])
    return [Numbered(path, place) for path, place in zip(ordered, places, strict=True)]


def _refusal(files: Sequence[Path], folders: Sequence[str], shown: str) -> InputError:
    clips = sorted(file.name for file in files if file.suffix.lower() in CLIP_SUFFIXES)
    if clips:
        return InputError(f"{shown}: a folder of clips, not of pictures; name the clips themselves, such as {clips[0]}")
    if any(file.suffix.lower() in PICTURE_SUFFIXES for file in files):
        return InputError(f"{shown}: its pictures have no numbers in their names; number them in the order of time")
    if folders:
        return InputError(f"{shown}: holds folders, not pictures; name the folders themselves, such as {folders[0]}")
    return InputError(f"{shown}: no pictures in this folder; give a folder of numbered tif, png, jpg or bmp files")


def _places(numbers: Sequence[tuple[int, ...]]) -> list[int]:
    """Steps since the first picture.

    Only one number that counts up says where something is missing; of several that change (a date and a time) the
    order alone is used. The usual distance of two numbers is one step, so every fifth picture of a recording is a
    series without holes.
    """
    changing = [column for column in zip(*numbers, strict=True) if len(set(column)) > 1]
    in_order = list(range(len(numbers)))
    if len(changing) != 1:
        return in_order
    counted = changing[0]
    distances = [after - before for before, after in pairwise(counted)]
    if min(distances) <= 0:
        return in_order
    usual = Counter(distances).most_common(1)[0][0]
    places = [0]
    for distance in distances:
        places.append(places[-1] + max(1, round(distance / usual)))
    return places


def _numbers(file: Path) -> tuple[int, ...]:
    return tuple(int(digits) for digits in _DIGITS.findall(file.stem))


def _natural(text: str) -> list[tuple[int, str]]:
    """Sort key in which numbers count as numbers."""
    pieces = re.split(r"([0-9]+)", text.lower())
    return [(int(piece), piece) if piece.isdigit() and piece.isascii() else (-1, piece) for piece in pieces]

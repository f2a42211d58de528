"""What lies in a data set's folder, in natural order, without what systems leave behind when they copy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import cv2
import numpy as np

from preprocess.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

PICTURE_SUFFIXES = frozenset({".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"})

_LEFT_BEHIND = frozenset({"thumbs.db", "desktop.ini"})  # hidden files (._001.tif, .DS_Store) are left out as well


def natural(text: str) -> list[tuple[int, str]]:
    """Sort key in which numbers count as numbers: 2 before 10."""
    pieces = re.split(r"([0-9]+)", text.lower())
    return [(int(piece), "") if place % 2 else (-1, piece) for place, piece in enumerate(pieces)]


def entries(folder: Path) -> list[Path]:
    """Files and folders that belong to the data.

    Raises:
        InputError: there is no such folder, or it may not be read.
    """
    try:
        found = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError as error:
        raise InputError(f"{folder}: this folder of the data set is missing; check the path") from error
    except OSError as error:
        raise InputError(f"{folder}: cannot be read as a folder ({error.strerror}); check the path") from error
    return sorted((entry for entry in found if entry.name.lower() not in _LEFT_BEHIND), key=_order)


def folders_in(folder: Path) -> list[Path]:
    """Its folders; raises as :func:`entries`."""
    return [entry for entry in entries(folder) if entry.is_dir()]


def files_in(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Its files with one of the (lower-case) endings; raises as :func:`entries`."""
    return [entry for entry in entries(folder) if entry.suffix.lower() in suffixes and entry.is_file()]


def some_files_in(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The same, where at least one is needed.

    Raises:
        InputError: there is none, or as :func:`entries`.
    """
    found = files_in(folder, suffixes)
    if not found:
        raise InputError(f"{folder}: no {' or '.join(sorted(suffixes))} file in it; check that the set is complete")
    return found


def number_of(path: Path) -> int:
    """The last number in a file's name: 12 for ``frame012.bmp``.

    Raises:
        InputError: there is none.
    """
    digits = re.findall(r"[0-9]+", path.stem)
    if not digits:
        raise InputError(f"{path}: no number in its name; pictures and masks are numbered in the order of time")
    return int(digits[-1])


def first_folder(candidates: Iterable[Path]) -> Path | None:
    """The first that is a folder."""
    return next((candidate for candidate in candidates if candidate.is_dir()), None)


def read_pixels(path: Path) -> NDArray[np.generic] | None:
    """A picture as it is stored, ``(H, W)`` or ``(H, W, C)``; None where it cannot be read."""
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):
        return None
    finally:
        cv2.utils.logging.setLogLevel(before)


def _order(path: Path) -> tuple[list[tuple[int, str]], str]:
    return natural(path.name), path.name

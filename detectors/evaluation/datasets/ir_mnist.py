"""IR-MNIST (Sabokrou et al., ACCV 2018): grids of digits in which the one that was held out is irregular.

Eleven by eleven digits of MNIST stand in a picture. Training pictures hold every digit but the 3, at the frequency it
has in MNIST; test pictures hold all ten, so about every tenth cell is irregular. The paper's own pictures measure
224 pixels; here a cell keeps the 28 pixels that MNIST has. Training digits are MNIST's training part, test digits its
test part, drawn with replacement.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from preprocess.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

HELD_OUT = 3
"""The digit that no training picture shows."""
GRID = 11
"""Cells along each side."""
CELL = 28
"""Pixels along each side of a cell."""
PAPER_TRAIN, PAPER_TEST = 5000, 1000
"""Pictures of the paper: 5,000 to learn from, about 1,000 to test."""

_GZIP = b"\x1f\x8b"
_UNSIGNED_BYTES = 8  # type of the values in the head of an idx file
_LARGEST = 1 << 30


@dataclass(frozen=True, slots=True)
class IrMnist:
    """The built set.

    Attributes:
        train: ``(N, 308, 308)`` uint8 pictures of normal digits.
        test: ``(M, 308, 308)`` uint8 pictures of all digits.
        irregular: ``(M, 11, 11)`` whether a cell of a test picture shows the held-out digit.
    """

    train: NDArray[np.uint8]
    test: NDArray[np.uint8]
    irregular: NDArray[np.bool_]


def build_ir_mnist(path: Path, *, seed: int, count_train: int = PAPER_TRAIN, count_test: int = PAPER_TEST) -> IrMnist:
    """Build the pictures; the same seed and counts give the same ones.

    Args:
        path: the folder with the four idx files of MNIST, plain or gzipped; ``MNIST/raw`` below it is found too.
        seed: of the digits drawn.
        count_train: pictures to learn from, at 93 KB each.
        count_test: pictures with truth.

    Raises:
        InputError: a file is missing or damaged.
    """
    generator = np.random.default_rng(seed)
    digits, labels = _part(path, "train")
    train, _ = _grids(digits, np.flatnonzero(labels != HELD_OUT), count_train, generator)
    digits, labels = _part(path, "t10k")
    test, drawn = _grids(digits, np.arange(len(labels)), count_test, generator)
    return IrMnist(train, test, labels[drawn] == HELD_OUT)


def _grids(
    digits: NDArray[np.uint8], pool: NDArray[np.intp], count: int, generator: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Pictures ``(N, 308, 308)`` and which digit stands in each cell, ``(N, 11, 11)``."""
    drawn = generator.choice(pool, size=(count, GRID, GRID))
    pictures = np.empty((count, GRID, CELL, GRID, CELL), np.uint8)
    for picture, cells in zip(pictures, drawn, strict=True):
        picture[:] = digits[cells].transpose(0, 2, 1, 3)
    return pictures.reshape(count, GRID * CELL, GRID * CELL), drawn


def _part(path: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Digits ``(N, 28, 28)`` and their labels ``(N,)`` of MNIST's ``train`` or ``t10k``."""
    images, labels = _find(path, f"{part}-images", 3), _find(path, f"{part}-labels", 1)
    digits, named = _read_idx(images, 3), _read_idx(labels, 1)
    if digits.shape[1:] != (CELL, CELL) or len(digits) != len(named):
        raise InputError(f"{images}: holds {digits.shape}, which does not fit {len(named)} labels of MNIST's digits")
    if not (named != HELD_OUT).any() or not (named == HELD_OUT).any():
        raise InputError(f"{labels}: has not both a {HELD_OUT} and other digits; is it MNIST's?")
    return digits, named


def _find(path: Path, stem: str, dimensions: int) -> Path:
    for folder in (path, path / "raw", path / "MNIST" / "raw", path / "mnist"):
        for dash in "-.":
            for ending in ("", ".gz"):
                file = folder / f"{stem}{dash}idx{dimensions}-ubyte{ending}"
                if file.is_file():
                    return file
    raise InputError(f"{path}: no {stem}-idx{dimensions}-ubyte or .gz in it; give the folder of MNIST's four files")


def _read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """An idx file: two zero bytes, type, number of dimensions, their sizes as big-endian int32, then the values."""
    try:
        data = path.read_bytes()
        if data.startswith(_GZIP):
            data = zlib.decompressobj(wbits=31).decompress(data, _LARGEST)
    except (OSError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); copy it again") from error
    head = 4 + 4 * dimensions
    if len(data) < head or data[:4] != bytes((0, 0, _UNSIGNED_BYTES, dimensions)):
        raise InputError(f"{path}: not an idx file of {dimensions} dimensions; copy MNIST again")
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", count=dimensions, offset=4))
    if len(data) - head != math.prod(shape):
        raise InputError(f"{path}: says it holds {shape}, but is cut short or too long; copy it again")
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)

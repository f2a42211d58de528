"""UMN unusual crowd activity: people walk about, then run. Clips with a table of the frames in which they run."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from detectors.evaluation.protocol import Clip, EvaluationScene, EvaluationSet, Rectangle, TestClip
from preprocess.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

TABLE = "sequences.csv"
FRAME_RATE = 30
"""Frames per second of all sequences."""
FITTED_AT = "10 fps"
"""The main test, and the rate of the normal clips."""
EVERY = {"10 fps": 3, "15 fps": 2, "30 fps": 1}
"""Frame rates scored: every n-th frame."""
LABEL = Rectangle(0, 0, 201, 25)
"""Rows 0-24, columns 0-200: the red text burned into irregular frames, which gives the truth away."""


@dataclass(frozen=True, slots=True)
class _Sequence:
    """One row of the table: two files, one after the other, with frames counted from 0 over both."""

    number: int
    scene: int
    files: tuple[tuple[Path, int], ...]
    first: int
    last: int

    @property
    def frames(self) -> int:
        """How many both files have."""
        return sum(frames for _, frames in self.files)

    @property
    def learned(self) -> int:
        """How many frames at the start are learned from: the first 60 % of those before the escape."""
        return self.first * 6 // 10


def read(path: Path) -> EvaluationSet:
    """Read the clips and their table; a scene of the set is one camera.

    Args:
        path: the folder that holds ``sequences.csv``, or that file.

    Raises:
        InputError: the table or a clip is missing, or a row of the table cannot be.
    """
    table = path / TABLE if path.is_dir() else path
    sequences = _sequences(table)
    numbers = sorted({sequence.scene for sequence in sequences})
    scenes = tuple(_scene(number, [one for one in sequences if one.scene == number]) for number in numbers)
    notes = (
        f"scenes {', '.join(map(str, numbers))}; {len(sequences)} sequences; annotation B",
        "fitted on the first 60 % of the frames before each escape, tested on all later ones",
        "the second file of a sequence goes on where the first ends: until it has a window, the last score stays",
        "the corner with the burned-in label is painted over in learning and test",
    )
    return EvaluationSet("umn", "UMN", scenes, notes)


def _scene(number: int, sequences: list[_Sequence]) -> EvaluationScene:
    stems = [path.stem for one in sequences for path, _ in one.files]
    # Files in a folder per sequence may be called the same.
    pieces_of = partial(_pieces, numbered=len(set(stems)) < len(stems))
    normal = [clip for one in sequences for clip, _ in pieces_of(one, 0, one.learned, FITTED_AT, "-normal")]
    tests = {}
    for rate in EVERY:
        suffix = "" if rate == FITTED_AT else f"-{rate.replace(' ', '')}"
        pieces = [(one, piece) for one in sequences for piece in pieces_of(one, one.learned, one.frames, rate, suffix)]
        tests[rate] = tuple(
            # The second file of a sequence goes on 2-3 frames after the first one ends.
            TestClip(clip, (numbers >= one.first) & (numbers <= one.last), continues=bool(numbers[0] > one.learned))
            for one, (clip, numbers) in pieces
        )
    test = tests.pop(FITTED_AT)
    return EvaluationScene(f"scene{number}", tuple(normal), test, variants=tests, ignored=(LABEL,))


def _pieces(
    sequence: _Sequence, start: int, stop: int, rate: str, suffix: str, *, numbered: bool
) -> list[tuple[Clip, NDArray[np.int64]]]:
    """Frames ``start .. stop - 1`` of a sequence as clips of its files, with the numbers of the used frames."""
    pieces = []
    prefix = f"{sequence.number}-" if numbered else ""
    offset = 0
    for path, frames in sequence.files:
        first, end = max(start - offset, 0), min(stop - offset, frames)
        if first < end:
            clip = Clip(prefix + path.stem + suffix, str(path), start=first, stop=end, every=EVERY[rate])
            pieces.append((clip, offset + np.arange(first, end, EVERY[rate], dtype=np.int64)))
        offset += frames
    return pieces


def _sequences(table: Path) -> list[_Sequence]:
    try:
        text = table.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"{table}: cannot be read ({error.strerror}); it is the table of UMN's sequences") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{table}: is no text; it should be the table of UMN's sequences") from error
    rows = csv.DictReader(line for line in text.splitlines(keepends=True) if line.strip() and line[0] != "#")
    try:
        found = [_sequence(table, row) for row in rows]
    except csv.Error as error:
        raise InputError(f"{table}: cannot be read as CSV ({error}); copy the table") from error
    if not found:
        raise InputError(f"{table}: holds no sequence; copy it again")
    return found


def _sequence(table: Path, row: Mapping[str, str]) -> _Sequence:
    try:
        sequence = _Sequence(
            number=int(row["seq"]),
            scene=int(row["scene"]),
            files=(
                (table.parent / row["train_clip"], int(row["train_frames"])),
                (table.parent / row["test_clip"], int(row["test_frames"])),
            ),
            first=int(row["gtB_start"]),
            last=int(row["gtB_end"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{table}: row {row.get('seq') or '?'} cannot be read ({error}); copy the table") from error
    for path, _ in sequence.files:
        if not path.is_file():
            raise InputError(f"{path}: this clip of sequence {sequence.number} is missing; copy the set again")
    if not 0 < sequence.first <= sequence.last < sequence.frames:
        raise InputError(
            f"{table}: sequence {sequence.number} has {sequence.frames} frames, but is said to be irregular"
            f" from {sequence.first} to {sequence.last}; correct that row"
        )
    return sequence

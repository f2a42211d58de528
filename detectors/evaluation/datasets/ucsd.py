"""UCSD Ped1 and Ped2 (Mahadevan et al., CVPR 2010): folders of tif, frame truth in a MATLAB text, masks in bmp."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from detectors.evaluation.datasets.files import (
    entries,
    files_in,
    first_folder,
    folders_in,
    number_of,
    read_pixels,
    some_files_in,
)
from detectors.evaluation.datasets.masks import MaskPictures
from detectors.evaluation.protocol import Clip, EvaluationScene, EvaluationSet, TestClip
from preprocess.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

FRAME_RATE = Fraction(10)
"""Frames per second of both sets."""

_TIF = frozenset({".tif", ".tiff"})
_BMP = frozenset({".bmp"})
_ENTRY = re.compile(r"gt_frame\s*=\s*\[([^\]]*)\]")
_RANGE = re.compile(r"([0-9]+)(?:\s*:\s*([0-9]+))?")


def read_ped1(path: Path) -> EvaluationSet:
    """Read UCSD Ped1, where all test clips have frame truth and some have masks.

    Args:
        path: ``UCSDped1``, or the folder that holds it.

    Raises:
        InputError: something is missing, damaged or contradicts the rest.
    """
    return _read(path, 1)


def read_ped2(path: Path) -> EvaluationSet:
    """Read UCSD Ped2, where every test clip has masks: 16 training and 12 test clips. See :func:`read_ped1`."""
    return _read(path, 2)


def frame_ranges(text: str) -> list[list[tuple[int, int]]]:
    """Ranges of irregular frames per test clip, first and last one, counted from 1.

    Args:
        text: of ``UCSDped1.m`` or ``UCSDped2.m``: a line ``TestVideoFile{end+1}.gt_frame = [5:90, 140:200];`` per clip.

    Raises:
        ValueError: a range is not of this form.
    """
    found = []
    for listed in _ENTRY.findall(re.sub(r"%.*", "", text)):
        if _RANGE.sub("", listed).strip(" ,;\t\r\n"):
            raise ValueError(listed)
        spans = [(int(first), int(last or first)) for first, last in _RANGE.findall(listed)]
        if any(not 1 <= first <= last for first, last in spans):
            raise ValueError(listed)
        found.append(spans)
    return found


def _read(path: Path, which: int) -> EvaluationSet:
    root = _root(path, f"UCSDped{which}")
    notes: list[str] = []
    normal = tuple(
        Clip(folder.name, str(folder), frame_rate=FRAME_RATE)
        for folder in folders_in(root / "Train")
        if some_files_in(folder, _TIF)
    )
    folders = [folder for folder in folders_in(root / "Test") if not folder.name.lower().endswith("_gt")]
    if not normal or not folders:
        raise InputError(f"{root}: its {'Test' if normal else 'Train'} folder holds no clips; copy the set again")
    ranges = _published_ranges(_called(root / "Test" / f"UCSDped{which}.m"), len(folders))
    if ranges is None:
        notes.append(f"UCSDped{which}.m is not there; frame truth was taken from the masks")
    test = tuple(
        _test_clip(folder, None if ranges is None else ranges[place], notes) for place, folder in enumerate(folders)
    )
    with_masks = sum(clip.masks is not None for clip in test)
    if with_masks < len(test):
        notes.append(f"{with_masks} of {len(test)} test clips have masks; pixel-level figures are of these")
    name = f"ucsd-ped{which}"
    return EvaluationSet(name, f"UCSD Ped{which}", (EvaluationScene(name, normal, test),), tuple(notes))


def _root(path: Path, name: str) -> Path:
    parents = (path / name, path / "UCSD_Anomaly_Dataset.v1p2" / name, path)
    root = first_folder(parent for parent in parents if (parent / "Train").is_dir() and (parent / "Test").is_dir())
    if root is None:
        raise InputError(f"{path}: no folders Train and Test in it; give {name} or the folder that holds it")
    others = [file.name for file in files_in(root / "Test", {".m"}) if file.name.lower().startswith("ucsdped")]
    if others and f"{name}.m".lower() not in [other.lower() for other in others]:
        raise InputError(f"{root}: has {others[0]}, so it is another set; give the folder {name}")
    return root


def _published_ranges(path: Path, clips: int) -> list[list[tuple[int, int]]] | None:
    try:
        ranges = frame_ranges(path.read_text("utf-8", "replace"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check who may read it") from error
    except ValueError as error:
        raise InputError(f"{path}: [{error}] is no list of frame ranges; copy the file again") from error
    if len(ranges) != clips:
        raise InputError(f"{path}: has truth of {len(ranges)} clips, but {clips} lie beside it; copy the set again")
    return ranges


def _test_clip(folder: Path, ranges: list[tuple[int, int]] | None, notes: list[str]) -> TestClip:
    """Truth by the numbers in file names, so that a picture that is missing or unreadable moves nothing."""
    pictures = {number_of(path): path for path in some_files_in(folder, _TIF)}
    last = max(pictures)
    beyond = max((stop for _, stop in ranges or ()), default=0)
    if beyond > last:
        raise InputError(f"{folder}: ends at frame {last}, but its truth goes to {beyond}; copy the set again")
    numbers = [number for number, path in pictures.items() if read_pixels(path) is not None]
    if lost := sorted(pictures.keys() - set(numbers)):
        named = ", ".join(pictures[number].name for number in lost)
        notes.append(f"{folder.name}: {named} cannot be read and is left out")
    if not numbers:
        raise InputError(f"{folder}: none of its {len(pictures)} pictures can be read; copy the set again")
    masks = _masks(folder, numbers)
    marked = None if masks is None else masks.irregular()
    if ranges is None:
        if marked is None:
            raise InputError(f"{folder}: has neither frame truth nor masks; put the set's .m file beside it")
        irregular = marked
    else:
        irregular = np.array([any(first <= number <= stop for first, stop in ranges) for number in numbers], np.bool_)
        differing = 0 if marked is None else int((marked != irregular).sum())
        if differing:
            notes.append(f"{folder.name}: masks and .m file disagree on {differing} frames; the .m file counts")
    return TestClip(Clip(folder.name, str(folder), frame_rate=FRAME_RATE), irregular, masks)


def _called(path: Path) -> Path:
    """The entry called so, in capitals or not; the path itself where there is none."""
    return next((entry for entry in entries(path.parent) if entry.name.lower() == path.name.lower()), path)


def _masks(folder: Path, numbers: list[int]) -> MaskPictures | None:
    """The masks of the pictures with these numbers; three clips of Ped2 name them ``frame001.bmp``."""
    beside = _called(folder.with_name(f"{folder.name}_gt"))
    if not beside.is_dir():
        return None
    masks = {number_of(path): path for path in some_files_in(beside, _BMP)}
    if missing := set(numbers) - masks.keys():
        raise InputError(
            f"{beside}: {len(masks)} masks for {len(numbers)} frames (none for {min(missing)}); copy the set again"
        )
    return MaskPictures(tuple(masks[number] for number in numbers))

"""A user's own footage: folders ``normal`` and ``test``, and truth as masks or as ranges in a CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from detectors.evaluation.datasets.files import (
    PICTURE_SUFFIXES,
    entries,
    files_in,
    folders_in,
    natural,
    read_pixels,
    some_files_in,
)
from detectors.evaluation.datasets.masks import MaskPictures, NothingIrregular
from detectors.evaluation.datasets.truth_table import read_ranges
from detectors.evaluation.protocol import Clip, EvaluationScene, EvaluationSet, TestClip
from preprocess.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from detectors.evaluation.protocol import IrregularRange

TRUTH_TABLE = "truth.csv"
MASKS = "masks"

_VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mkv", ".avi", ".ts", ".mts", ".m2ts", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"}
    | {".h264", ".264", ".h265", ".hevc", ".265", ".mjpeg", ".mjpg", ".dav", ".asf", ".vob", ".ogv"}
)
_MASK_SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff"})  # jpg is left out: its edges are not black and white
_LAYOUT = "it needs folders normal and test, and truth.csv or a folder masks (see docs/datasets.md)"


def read(path: Path) -> EvaluationSet:
    """Read one camera, or several in folders of their own.

    Args:
        path: a folder with ``normal`` and ``test`` and either ``masks`` or ``truth.csv``; a folder of such folders; or
            a table of ranges, in place of ``truth.csv``, that lies in such a folder.

    Raises:
        InputError: something is missing, is told twice, or names what is not there.
    """
    table = path if path.is_file() else None
    root = path if table is None else path.parent
    notes: list[str] = []
    beside = [root] if table else [root, *folders_in(root)]
    cameras = [folder for folder in beside if (folder / "normal").is_dir() or (folder / "test").is_dir()]
    if root in cameras:
        cameras = [root]
    if not cameras:
        raise InputError(f"{root}: no footage for an evaluation in it; {_LAYOUT}")
    scenes = tuple(_scene(folder, table or folder / TRUTH_TABLE, notes) for folder in cameras)
    if not any(_irregular(clip) for scene in scenes for clip in scene.test):
        raise InputError(f"{root}: nothing in it is marked irregular, so nothing can be measured; check its truth")
    return EvaluationSet("custom", root.resolve().name, scenes, tuple(notes))


@dataclass(frozen=True, slots=True)
class _Footage:
    """A clip of the user's: ``name`` as in tables, ``file`` as it is called on disk."""

    name: str
    file: str
    path: Path
    pictures: tuple[Path, ...] | None  # of a folder of them; a video is not opened here

    @property
    def uri(self) -> str:
        return str(self.path)


def _scene(folder: Path, table: Path, notes: list[str]) -> EvaluationScene:
    normal, test = _footage(folder / "normal", notes), _footage(folder / "test", notes)
    names = {footage.name for footage in test}
    ranges = read_ranges(table, {footage.file: footage.name for footage in test}) if table.is_file() else {}
    masks = _masks(folder / MASKS, names)
    if not ranges and not masks and table.is_file():
        raise InputError(f"{table}: names no irregular range, so nothing can be measured; add a line per range")
    if not ranges and not masks:
        raise InputError(f"{folder}: no truth in it, so nothing can be measured; {_LAYOUT}")
    if twice := ranges.keys() & masks.keys():
        raise InputError(f"{folder}: {min(twice)} has masks and rows in {table.name}; keep one of the two")
    if quiet := sorted(names - ranges.keys() - masks.keys(), key=natural):
        notes.append(f"{folder.resolve().name}: no truth for {', '.join(quiet)}: taken as normal all through")
    clips = _test_clips(test, ranges, masks)
    learned = tuple(Clip(f"normal-{footage.name}", footage.uri) for footage in normal)
    return EvaluationScene(folder.resolve().name, learned, clips)


def _irregular(clip: TestClip) -> bool:
    return bool(clip.irregular) if isinstance(clip.irregular, tuple) else bool(clip.irregular.any())


def _footage(folder: Path, notes: list[str]) -> list[_Footage]:
    """The clips of ``normal`` or ``test``: videos, and folders of pictures."""
    found: dict[str, _Footage] = {}
    others = []
    for entry in entries(folder):
        if entry.is_dir():
            footage = _Footage(entry.name, entry.name, entry, _pictures(entry))
        elif entry.suffix.lower() in _VIDEO_SUFFIXES:
            footage = _Footage(entry.stem, entry.name, entry, None)
        elif entry.suffix.lower() in PICTURE_SUFFIXES:
            raise InputError(f"{entry}: a picture beside the clips; put those of each clip in a folder of its own")
        else:
            others.append(entry.name)
            continue
        if footage.name in found:
            raise InputError(f"{entry}: {found[footage.name].file} has the same name; rename one of the two")
        found[footage.name] = footage
    if others:
        notes.append(f"{folder.parent.name}/{folder.name}: {', '.join(others)} left out: no video")
    if not found:
        raise InputError(f"{folder}: no video and no folder of pictures in it; {_LAYOUT}")
    return list(found.values())


def _pictures(folder: Path) -> tuple[Path, ...]:
    """The pictures of a clip, as its source takes them: strays without a number are none of them.

    Raises:
        InputError: there is none.
    """
    found = files_in(folder, PICTURE_SUFFIXES)
    if not found:
        raise InputError(f"{folder}: no pictures in it; videos lie in {folder.parent.name} itself, not in a folder")
    return tuple(path for path in found if any(letter.isdigit() for letter in path.stem)) or tuple(found)


def _refuse_unreadable(pictures: tuple[Path, ...]) -> None:
    """Refuse a clip with a picture that its source would leave out: the truth would be of other frames from there on.

    Raises:
        InputError: it names the picture.
    """
    for path in pictures:
        if read_pixels(path) is None:
            raise InputError(
                f"{path}: this picture cannot be read; copy it again, or its clip's truth is of other frames"
            )


def _masks(folder: Path, names: set[str]) -> dict[str, MaskPictures]:
    if not folder.is_dir():
        return {}
    found = {}
    for beside in folders_in(folder):
        if beside.name not in names:
            raise InputError(f"{beside}: no test clip is called so; name the folder as the clip, without ending")
        found[beside.name] = MaskPictures(tuple(some_files_in(beside, _MASK_SUFFIXES)))
    if loose := files_in(folder, _MASK_SUFFIXES):
        raise InputError(f"{loose[0]}: a mask beside the folders; put the masks of each clip in a folder named as it")
    return found


def _test_clips(
    test: Sequence[_Footage],
    ranges: Mapping[str, tuple[IrregularRange, ...]],
    masks: Mapping[str, MaskPictures],
) -> tuple[TestClip, ...]:
    """Clips with their truth; where all truth is masks, a clip without any counts at pixel level as well."""
    clips = []
    empty = None
    if masks and not ranges:
        height, width = next(iter(masks.values()))(0).shape
        empty = NothingIrregular(height, width)
    for footage in test:
        clip = Clip(footage.name, footage.uri)
        if footage.pictures is not None and (footage.name in ranges or footage.name in masks):
            _refuse_unreadable(footage.pictures)
        pictures = masks.get(footage.name)
        if pictures is None:
            clips.append(TestClip(clip, ranges.get(footage.name, ()), None if footage.name in ranges else empty))
            continue
        if footage.pictures is not None and len(footage.pictures) != len(pictures.paths):
            raise InputError(
                f"{pictures.paths[0].parent}: {len(pictures.paths)} masks for {len(footage.pictures)} pictures of"
                f" {footage.path}; every picture needs its mask"
            )
        clips.append(TestClip(clip, pictures.irregular(), pictures))
    return tuple(clips)

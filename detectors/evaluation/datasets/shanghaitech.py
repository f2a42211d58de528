"""ShanghaiTech Campus (Liu et al., CVPR 2018): thirteen cameras, avi to learn from, folders of jpg to test."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from detectors.evaluation.datasets.files import files_in, folders_in, some_files_in
from detectors.evaluation.datasets.masks import MaskStack, load_numpy
from detectors.evaluation.protocol import Clip, EvaluationScene, EvaluationSet, TestClip
from preprocess.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from detectors.evaluation.protocol import Masks

FRAME_RATE = Fraction(24)
"""Frames per second of the set."""

Item = TypeVar("Item")

_JPG = frozenset({".jpg", ".jpeg"})


def read(path: Path) -> EvaluationSet:
    """Read all cameras; the first two digits of a clip's name (``01_0014``) are its camera.

    Args:
        path: the folder with ``training`` and ``testing``, or the one above it. Training clips are
            ``training/videos/*.avi``; where one has no video, the folder ``training/frames`` has of it is taken.

    Raises:
        InputError: something is missing, damaged or contradicts the rest.
    """
    root = path if (path / "testing").is_dir() else path / "shanghaitech"
    if not (root / "testing").is_dir() or not (root / "training").is_dir():
        raise InputError(f"{path}: no folders training and testing in it; give the folder of ShanghaiTech")
    normal = _by_camera(_training_clips(root / "training"))
    folders = {folder.name: folder for folder in folders_in(root / "testing" / "frames")}
    if not folders:
        raise InputError(f"{root / 'testing' / 'frames'}: no clips in it; copy the set again")
    test = _by_camera({name: _test_clip(folder, root / "testing") for name, folder in folders.items()})
    if strangers := sorted(test.keys() - normal.keys()):
        raise InputError(f"{root / 'training'}: no clip of camera {', '.join(strangers)}, which is to be tested")
    if not any(np.asarray(clip.irregular).any() for clips in test.values() for clip in clips):
        raise InputError(f"{root / 'testing' / 'test_frame_mask'}: marks nothing irregular; copy the set again")
    scenes = tuple(EvaluationScene(camera, tuple(normal[camera]), tuple(test[camera])) for camera in sorted(test))
    return EvaluationSet("shanghaitech", "ShanghaiTech", scenes, _notes(scenes, sorted(normal.keys() - test.keys())))


def _notes(scenes: tuple[EvaluationScene, ...], untested: list[str]) -> tuple[str, ...]:
    clips = [clip for scene in scenes for clip in scene.test]
    notes = [f"one model per camera, {len(scenes)} cameras"]
    if untested:
        notes.append(f"camera {', '.join(untested)} has no test clip and is left out")
    unmasked = [clip.clip.name for clip in clips if clip.masks is None]
    if unmasked:
        notes.append(f"{len(unmasked)} of {len(clips)} test clips have no pixel mask ({unmasked[0]} is the first)")
    return tuple(notes)


def _training_clips(training: Path) -> dict[str, Clip]:
    found = {}
    if (training / "frames").is_dir():
        for folder in folders_in(training / "frames"):
            some_files_in(folder, _JPG)
            found[folder.name] = Clip(folder.name, str(folder), frame_rate=FRAME_RATE)
    if (training / "videos").is_dir():
        for video in files_in(training / "videos", {".avi"}):
            found[video.stem] = Clip(video.stem, str(video))
    if not found:
        raise InputError(f"{training}: no videos/*.avi and no frames/*/*.jpg in it; copy the set again")
    return found


def _by_camera(clips: Mapping[str, Item]) -> dict[str, list[Item]]:
    cameras = defaultdict(list)
    for name in sorted(clips):
        cameras[name.split("_")[0]].append(clips[name])
    return dict(cameras)


def _test_clip(folder: Path, testing: Path) -> TestClip:
    pictures = len(some_files_in(folder, _JPG))
    truth = testing / "test_frame_mask" / f"{folder.name}.npy"
    irregular = np.array(load_numpy(truth, dimensions=1) != 0, dtype=np.bool_)
    if len(irregular) != pictures:
        raise InputError(f"{truth}: truth of {len(irregular)} frames, but {folder} has {pictures}; copy both again")
    clip = Clip(folder.name, str(folder), frame_rate=FRAME_RATE)
    return TestClip(clip, irregular, _masks(testing / "test_pixel_mask" / f"{folder.name}.npy", irregular))


def _masks(path: Path, irregular: NDArray[np.bool_]) -> Masks | None:
    if not path.exists():
        return None
    frames = len(load_numpy(path, dimensions=3))
    if frames != len(irregular):
        raise InputError(f"{path}: masks of {frames} frames, but the frame truth is of {len(irregular)}; copy both")
    return MaskStack(path)

"""CUHK Avenue (Lu, Shi and Jia, ICCV 2013): avi clips of one camera, masks in MATLAB cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detectors.evaluation.datasets.files import first_folder, number_of, some_files_in
from detectors.evaluation.datasets.masks import MaskCells
from detectors.evaluation.protocol import Clip, EvaluationScene, EvaluationSet, TestClip
from preprocess.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

_AVI = frozenset({".avi"})
_OUTER = "Avenue Dataset"  # what the published archive unpacks to
_MASKS = "testing_label_mask"


def read(path: Path) -> EvaluationSet:
    """Read training and test clips, and the truth of every test frame from its mask.

    Args:
        path: the folder with ``training_videos`` and ``testing_videos``, or the one above it. The masks lie in
            ``testing_label_mask``, or in ``ground_truth_demo/testing_label_mask`` as older archives have it.

    Raises:
        InputError: a folder, a clip or its masks are missing or damaged.
    """
    root = path if (path / "testing_videos").is_dir() else path / _OUTER
    training, testing = root / "training_videos", root / "testing_videos"
    if not training.is_dir() or not testing.is_dir():
        raise InputError(f"{path}: no folders training_videos and testing_videos in it; give the folder of Avenue")
    places = (root, root / "ground_truth_demo", path, path / "ground_truth_demo", root.parent)
    masks = first_folder(place / _MASKS for place in places)
    if masks is None:
        raise InputError(f"{path}: no folder {_MASKS} in it; unpack the ground truth of Avenue beside its videos")
    normal = tuple(Clip(f"train-{clip.stem}", str(clip)) for clip in some_files_in(training, _AVI))
    test = []
    frames = marked = 0
    for clip in some_files_in(testing, _AVI):
        cells = MaskCells(masks / f"{number_of(clip)}_label.mat")
        irregular = cells.irregular()
        frames += len(irregular)
        marked += int(irregular.sum())
        test.append(TestClip(Clip(f"test-{clip.stem}", str(clip)), irregular, cells))
    if not marked:
        raise InputError(f"{masks}: not one of {frames} masks has an irregular pixel; copy the set again")
    note = f"{marked} of {frames} test frames are irregular: those whose mask in {_MASKS} has any pixel"
    return EvaluationSet("avenue", "CUHK Avenue", (EvaluationScene("avenue", normal, tuple(test)),), (note,))

"""CUHK Avenue: look-alikes with MATLAB cells as the set stores its masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.io import savemat

from detectors.evaluation.datasets import read_set
from preprocess.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def write_label(path: Path, *sums: int, height: int = 9, width: int = 13) -> None:
    """A cell per frame; frame k has ``sums[k]`` irregular pixels in its first row."""
    cells = np.empty((1, len(sums)), dtype=object)
    for frame, marked in enumerate(sums):
        cells[0, frame] = np.zeros((height, width), np.uint8)
        cells[0, frame][0, :marked] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(str(path), {"volLabel": cells})


@pytest.fixture
def avenue(tmp_path: Path) -> Path:
    root = tmp_path / "Avenue Dataset"
    for folder, clips in (("training_videos", ("01", "02")), ("testing_videos", ("01", "02", "10"))):
        (root / folder).mkdir(parents=True)
        for clip in clips:
            (root / folder / f"{clip}.avi").write_bytes(b"")
    write_label(root / "testing_label_mask" / "1_label.mat", 0, 0, 5, 13)
    write_label(root / "testing_label_mask" / "2_label.mat", 1, 0, 0)
    write_label(root / "testing_label_mask" / "10_label.mat", 0, 0)
    return root


def test_clips_and_masks_belong_together_by_their_numbers(avenue: Path) -> None:
    found = read_set("avenue", avenue)
    (scene,) = found.scenes
    assert [clip.name for clip in scene.normal] == ["train-01", "train-02"]
    assert [one.clip.name for one in scene.test] == ["test-01", "test-02", "test-10"]
    assert scene.test[2].clip.uri == str(avenue / "testing_videos" / "10.avi")
    assert [one.irregular.tolist() for one in scene.test] == [[0, 0, 1, 1], [1, 0, 0], [0, 0]]
    assert found.notes == ("3 of 9 test frames are irregular: those whose mask in testing_label_mask has any pixel",)


def test_masks_come_back_pixel_for_pixel(avenue: Path) -> None:
    first, second, _ = read_set("avenue", avenue).scenes[0].test
    for clip, frame, marked in ((first, 2, 5), (second, 0, 1), (first, 3, 13), (second, 2, 0)):
        mask = clip.masks(frame)
        assert mask.dtype == np.bool_
        assert mask.shape == (9, 13)
        assert mask[0].tolist() == [column < marked for column in range(13)]
        assert not mask[1:].any()


def test_older_archives_and_the_folder_above_serve_as_well(avenue: Path) -> None:
    (avenue / "ground_truth_demo").mkdir()
    (avenue / "testing_label_mask").rename(avenue / "ground_truth_demo" / "testing_label_mask")
    assert len(read_set("avenue", avenue.parent).scenes[0].test) == 3
    (avenue / "ground_truth_demo").rename(avenue.parent / "ground_truth_demo")
    assert len(read_set("avenue", avenue.parent).scenes[0].test) == 3


def test_labels_unpacked_beside_the_set_are_found(avenue: Path) -> None:
    (avenue / "testing_label_mask").rename(avenue.parent / "testing_label_mask")
    assert len(read_set("avenue", avenue).scenes[0].test) == 3


def test_missing_parts_are_named(avenue: Path) -> None:
    with pytest.raises(InputError, match="no folders training_videos and testing_videos in it"):
        read_set("avenue", avenue / "testing_label_mask")
    (avenue / "testing_label_mask" / "2_label.mat").rename(avenue / "2_label.mat")
    with pytest.raises(InputError, match=r"2_label\.mat: cannot be read as a MATLAB file"):
        read_set("avenue", avenue)
    (avenue / "testing_label_mask").rename(avenue / "masks")
    with pytest.raises(InputError, match="no folder testing_label_mask in it"):
        read_set("avenue", avenue)


def test_foreign_and_damaged_labels_are_refused(avenue: Path) -> None:
    label = avenue / "testing_label_mask" / "2_label.mat"
    for content, said in (
        ({"other": np.zeros(3)}, "holds no volLabel"),
        ({"volLabel": np.zeros((4, 9, 13))}, "no row of masks of one size"),
    ):
        savemat(str(label), content)
        with pytest.raises(InputError, match=said):
            read_set("avenue", avenue)
    write_label(label, 1, 2, 3)
    label.write_bytes(label.read_bytes()[:200])
    with pytest.raises(InputError, match=r"2_label\.mat: "):
        read_set("avenue", avenue)
    label.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\0" * 64)
    with pytest.raises(InputError, match=r"7\.3 format"):
        read_set("avenue", avenue)


def test_a_set_without_anything_irregular_is_refused(avenue: Path) -> None:
    for number in (1, 2, 10):
        write_label(avenue / "testing_label_mask" / f"{number}_label.mat", 0, 0)
    with pytest.raises(InputError, match="not one of 6 masks has an irregular pixel"):
        read_set("avenue", avenue)

"""ShanghaiTech: look-alikes of two cameras."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detectors.evaluation.datasets import read_set
from preprocess.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

TRUTH = {"01_0014": [0, 0, 1, 1], "01_0015": [0, 0, 0], "12_0142": [1, 0]}


@pytest.fixture
def shanghai(tmp_path: Path) -> Path:
    root = tmp_path / "shanghaitech"
    for name in ("01_001", "01_002", "12_001", "13_001"):
        write(root / "training" / "videos" / f"{name}.avi")
    for name, irregular in TRUTH.items():
        for number in range(len(irregular)):
            write(root / "testing" / "frames" / name / f"{number:03d}.jpg")
        pixels = np.zeros((len(irregular), 6, 8), np.uint8)
        pixels[np.array(irregular, bool), 2:5, 1:3] = 1
        save(root / "testing" / "test_frame_mask" / f"{name}.npy", np.array(irregular, np.int8))
        save(root / "testing" / "test_pixel_mask" / f"{name}.npy", pixels)
    return root


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)


def test_every_camera_is_a_scene(shanghai: Path) -> None:
    found = read_set("shanghaitech", shanghai)
    assert [scene.name for scene in found.scenes] == ["01", "12"]
    first, twelfth = found.scenes
    assert [clip.name for clip in first.normal] == ["01_001", "01_002"]
    assert [clip.uri for clip in twelfth.normal] == [str(shanghai / "training" / "videos" / "12_001.avi")]
    assert {one.clip.name: one.irregular.astype(int).tolist() for one in (*first.test, *twelfth.test)} == TRUTH
    assert {one.clip.frame_rate for one in first.test} == {Fraction(24)}
    assert found.notes == ("one model per camera, 2 cameras", "camera 13 has no test clip and is left out")


def test_masks_are_read_frame_by_frame(shanghai: Path) -> None:
    first, quiet = read_set("shanghaitech", shanghai).scenes[0].test
    assert [int(first.masks(frame).sum()) for frame in range(4)] == [0, 0, 6, 6]
    assert first.masks(2).dtype == np.bool_
    assert not quiet.masks(1).any()
    assert quiet.masks(1).shape == first.masks(1).shape == (6, 8)


def test_training_pictures_stand_in_where_there_is_no_video(shanghai: Path) -> None:
    (shanghai / "training" / "videos" / "12_001.avi").unlink()
    for name in ("12_001", "01_001"):
        write(shanghai / "training" / "frames" / name / "000.jpg")
    first, twelfth = read_set("shanghaitech", shanghai.parent).scenes
    assert [clip.uri for clip in twelfth.normal] == [str(shanghai / "training" / "frames" / "12_001")]
    assert twelfth.normal[0].frame_rate == Fraction(24)
    assert first.normal[0].uri.endswith("01_001.avi")


def test_a_clip_without_pixel_mask_keeps_its_frame_truth(shanghai: Path) -> None:
    (shanghai / "testing" / "test_pixel_mask" / "12_0142.npy").unlink()
    found = read_set("shanghaitech", shanghai)
    assert found.scenes[1].test[0].masks is None
    assert found.notes[-1] == "1 of 3 test clips have no pixel mask (12_0142 is the first)"


def test_counts_that_do_not_match_are_refused(shanghai: Path) -> None:
    testing = shanghai / "testing"
    save(testing / "test_pixel_mask" / "12_0142.npy", np.zeros((3, 6, 8), np.uint8))
    with pytest.raises(InputError, match="masks of 3 frames, but the frame truth is of 2"):
        read_set("shanghaitech", shanghai)
    write(testing / "frames" / "12_0142" / "002.jpg")
    with pytest.raises(InputError, match=r"12_0142\.npy: truth of 2 frames, but .* has 3"):
        read_set("shanghaitech", shanghai)


def test_foreign_arrays_are_refused(shanghai: Path) -> None:
    truth = shanghai / "testing" / "test_frame_mask" / "01_0014.npy"
    np.save(truth, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"01_0014\.npy: cannot be read as a NumPy array"):
        read_set("shanghaitech", shanghai)
    np.save(truth, np.zeros((4, 2)))
    with pytest.raises(InputError, match="not of 1 dimensions"):
        read_set("shanghaitech", shanghai)
    truth.write_bytes(b"")
    with pytest.raises(InputError, match="cannot be read as a NumPy array"):
        read_set("shanghaitech", shanghai)
    truth.unlink()
    with pytest.raises(InputError, match=r"01_0014\.npy: cannot be read"):
        read_set("shanghaitech", shanghai)


def test_missing_parts_are_named(shanghai: Path) -> None:
    (shanghai / "training" / "videos" / "12_001.avi").unlink()
    with pytest.raises(InputError, match="no clip of camera 12, which is to be tested"):
        read_set("shanghaitech", shanghai)
    for video in (shanghai / "training" / "videos").iterdir():
        video.unlink()
    with pytest.raises(InputError, match=r"no videos/\*\.avi and no frames"):
        read_set("shanghaitech", shanghai)
    with pytest.raises(InputError, match="no folders training and testing in it"):
        read_set("shanghaitech", shanghai / "training")


def test_masks_count_where_the_frame_truth_says_normal(shanghai: Path) -> None:
    pixels = np.zeros((3, 6, 8), np.uint8)
    pixels[1, 2, 3] = 1
    save(shanghai / "testing" / "test_pixel_mask" / "01_0015.npy", pixels)
    quiet = read_set("shanghaitech", shanghai).scenes[0].test[1]
    assert not quiet.irregular.any()
    assert quiet.masks(1).sum() == 1


def test_a_set_without_anything_irregular_is_refused(shanghai: Path) -> None:
    for name, irregular in TRUTH.items():
        save(shanghai / "testing" / "test_frame_mask" / f"{name}.npy", np.zeros(len(irregular), np.int8))
    with pytest.raises(InputError, match="test_frame_mask: marks nothing irregular"):
        read_set("shanghaitech", shanghai)


def test_a_damaged_head_and_an_archive_are_refused(shanghai: Path) -> None:
    path = shanghai / "testing" / "test_frame_mask" / "12_0142.npy"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"}", b" "))
    with pytest.raises(InputError, match="cannot be read as a NumPy array"):
        read_set("shanghaitech", shanghai)
    with path.open("wb") as file:
        np.savez(file, truth=np.zeros(2))
    with pytest.raises(InputError, match="cannot be read as a NumPy array"):
        read_set("shanghaitech", shanghai)

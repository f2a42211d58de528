"""UCSD Ped1 and Ped2: look-alikes with the quirks of the published archive, and the real Ped2's own truth."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest

from detectors.evaluation.datasets import read_set
from detectors.evaluation.datasets.ucsd import frame_ranges
from preprocess.errors import InputError
from streamer.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TIF = cv2.imencode(".tif", np.zeros((8, 12), np.uint8))[1].tobytes()


def write_tifs(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        (folder / f"{number:03d}.tif").write_bytes(TIF)


def write_masks(folder: Path, irregular: Sequence[bool] | np.ndarray, prefix: str = "") -> None:
    folder.mkdir(parents=True)
    for number, marked in enumerate(irregular, start=1):
        mask = np.zeros((8, 12), np.uint8)
        mask[2:4, 3:9] = 255 * bool(marked)
        assert cv2.imwrite(str(folder / f"{prefix}{number:03d}.bmp"), mask)


def write_truth(root: Path, *ranges: str) -> None:
    lines = [f"TestVideoFile{{end+1}}.gt_frame = [{one}];" for one in ranges]
    (root / "Test" / f"{root.name}.m").write_text("\n".join(["TestVideoFile = {};", *lines, ""]))


@pytest.fixture
def ped2(tmp_path: Path) -> Path:
    """Two training clips of 5 frames, two test clips of 6: irregular from frame 3 to 5, and all through."""
    root = tmp_path / "UCSDped2"
    for clip in ("Train001", "Train002"):
        write_tifs(root / "Train" / clip, 5)
    for clip in ("Test001", "Test002"):
        write_tifs(root / "Test" / clip, 6)
    write_masks(root / "Test" / "Test001_gt", [False, False, True, True, True, False])
    write_masks(root / "Test" / "Test002_gt", [True] * 6, prefix="frame")
    write_truth(root, "3:5", "1:6")
    return root


def test_ped2_is_read_in_its_published_layout(ped2: Path) -> None:
    found = read_set("ucsd-ped2", ped2)
    assert (found.name, found.title, found.notes) == ("ucsd-ped2", "UCSD Ped2", ())
    (scene,) = found.scenes
    assert [clip.name for clip in scene.normal] == ["Train001", "Train002"]
    assert {clip.frame_rate for clip in (*scene.normal, *(one.clip for one in scene.test))} == {Fraction(10)}
    assert [one.clip.uri for one in scene.test] == [str(ped2 / "Test" / name) for name in ("Test001", "Test002")]
    first, second = scene.test
    assert first.irregular.tolist() == [False, False, True, True, True, False]
    assert second.irregular.all()
    for clip in scene.test:
        assert [bool(clip.masks(frame).any()) for frame in range(6)] == clip.irregular.tolist()
        assert clip.masks(3).shape == (8, 12)
        assert clip.masks(3).dtype == np.bool_
        assert clip.masks(3).sum() == 12


@pytest.mark.parametrize("above", ["", "UCSD_Anomaly_Dataset.v1p2"])
def test_the_folder_above_serves_as_well(ped2: Path, above: str) -> None:
    if above:
        (ped2.parent / above).mkdir()
        ped2.rename(ped2.parent / above / ped2.name)
    assert len(read_set("ucsd-ped2", ped2.parent).scenes[0].test) == 2


def test_what_systems_leave_behind_is_no_data(ped2: Path) -> None:
    for folder in (ped2, ped2 / "Train", ped2 / "Train" / "Train001", ped2 / "Test" / "Test001"):
        for name in ("._001.tif", ".DS_Store", "Thumbs.db"):
            (folder / name).write_bytes(b"\0")
    (ped2 / "Test" / "._Test001").mkdir()
    (ped2 / "Test" / "Test001_gt" / "._001.bmp").write_bytes(b"\0")
    found = read_set("ucsd-ped2", ped2)
    assert [len(clip.irregular) for clip in found.scenes[0].test] == [6, 6]
    assert found.notes == ()


def test_where_masks_and_frame_truth_disagree_the_frame_truth_counts(ped2: Path) -> None:
    write_truth(ped2, "4:6", "1:6")
    found = read_set("ucsd-ped2", ped2)
    assert found.scenes[0].test[0].irregular.tolist() == [False, False, False, True, True, True]
    assert found.notes == ("Test001: masks and .m file disagree on 2 frames; the .m file counts",)


def test_without_frame_truth_the_masks_serve(ped2: Path) -> None:
    (ped2 / "Test" / "UCSDped2.m").unlink()
    found = read_set("ucsd-ped2", ped2)
    assert found.scenes[0].test[0].irregular.tolist() == [False, False, True, True, True, False]
    assert "frame truth was taken from the masks" in found.notes[0]


def test_ped1_has_masks_for_some_clips_and_clips_with_two_ranges(tmp_path: Path) -> None:
    root = tmp_path / "UCSDped1"
    write_tifs(root / "Train" / "Train001", 5)
    for clip in ("Test001", "Test002"):
        write_tifs(root / "Test" / clip, 6)
    write_masks(root / "Test" / "Test002_gt", [True, False, False, True, True, False])
    write_truth(root, "2:3", "1, 4:5")
    found = read_set("ucsd-ped1", root)
    first, second = found.scenes[0].test
    assert first.masks is None
    assert second.masks is not None
    assert second.irregular.tolist() == [True, False, False, True, True, False]
    assert found.notes == ("1 of 2 test clips have masks; pixel-level figures are of these",)


def test_an_unreadable_picture_moves_no_truth(ped2: Path) -> None:
    (ped2 / "Test" / "Test001" / "002.tif").write_bytes(b"\0" * 100)
    found = read_set("ucsd-ped2", ped2)
    clip = found.scenes[0].test[0]
    assert clip.irregular.tolist() == [False, True, True, True, False]
    assert [bool(clip.masks(frame).any()) for frame in range(5)] == clip.irregular.tolist()
    assert found.notes == ("Test001: 002.tif cannot be read and is left out",)
    with open_source(clip.clip.uri, frame_rate=clip.clip.frame_rate) as source:
        assert len(list(source.frames())) == len(clip.irregular)


def test_ranges_are_read_as_matlab_writes_them() -> None:
    lines = (
        "% gt_frame = [7:9];",
        "TestVideoFile{end+1}.gt_frame = [5:90, 140:200];",
        "TestVideoFile{end+1}.gt_frame=[ 3 : 4 ; 8 ]; % two",
        "TestVideoFile{end+1}.gt_frame = [];",
    )
    assert frame_ranges("\n".join(lines)) == [[(5, 90), (140, 200)], [(3, 4), (8, 8)], []]


@pytest.mark.parametrize("listed", ["a:b", "1:2:9", "5:3", "0:4", "1:end"])
def test_a_damaged_range_is_refused(ped2: Path, listed: str) -> None:
    write_truth(ped2, listed, "1:6")
    with pytest.raises(InputError, match=r"UCSDped2\.m: .* is no list of frame ranges"):
        read_set("ucsd-ped2", ped2)


def test_what_does_not_fit_together_is_refused(ped2: Path) -> None:
    write_truth(ped2, "3:5")
    with pytest.raises(InputError, match="truth of 1 clips, but 2 lie beside it"):
        read_set("ucsd-ped2", ped2)
    write_truth(ped2, "3:5", "1:9")
    with pytest.raises(InputError, match="ends at frame 6, but its truth goes to 9"):
        read_set("ucsd-ped2", ped2)
    write_truth(ped2, "3:5", "1:6")
    (ped2 / "Test" / "Test002_gt" / "frame004.bmp").unlink()
    with pytest.raises(InputError, match=r"Test002_gt: 5 masks for 6 frames \(none for 4\)"):
        read_set("ucsd-ped2", ped2)


def test_a_damaged_mask_is_refused(ped2: Path) -> None:
    (ped2 / "Test" / "Test001_gt" / "002.bmp").write_bytes(b"BM")
    with pytest.raises(InputError, match=r"002\.bmp: this mask cannot be read"):
        read_set("ucsd-ped2", ped2)


def test_neither_truth_nor_masks_is_refused(ped2: Path) -> None:
    (ped2 / "Test" / "UCSDped2.m").unlink()
    for mask in (ped2 / "Test" / "Test001_gt").iterdir():
        mask.unlink()
    (ped2 / "Test" / "Test001_gt").rmdir()
    with pytest.raises(InputError, match="Test001: has neither frame truth nor masks"):
        read_set("ucsd-ped2", ped2)


def test_an_empty_or_foreign_folder_is_refused(ped2: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folders Train and Test in it; give UCSDped2"):
        read_set("ucsd-ped2", ped2 / "Test")
    with pytest.raises(InputError, match=r"has UCSDped2\.m, so it is another set; give the folder UCSDped1"):
        read_set("ucsd-ped1", ped2)
    for name in ("Train", "Test"):
        (tmp_path / "UCSDped1" / name).mkdir(parents=True)
    with pytest.raises(InputError, match="its Train folder holds no clips"):
        read_set("ucsd-ped1", tmp_path / "UCSDped1")
    (tmp_path / "UCSDped1" / "Train" / "Train001").mkdir()
    with pytest.raises(InputError, match=r"Train001: no \.tif or \.tiff file in it"):
        read_set("ucsd-ped1", tmp_path / "UCSDped1")


@pytest.mark.shared
def test_the_real_ped2_has_its_published_counts(shared_data: Path, tmp_path: Path) -> None:
    """Its own truth and masks, odd names included, beside stand-ins for its pictures, which need not be decoded."""
    packed, root = shared_data / "ucsd_ped2", tmp_path / "UCSDped2"
    if not packed.is_dir():
        pytest.skip(f"UCSD Ped2 is not at {packed}")
    frames = {}
    for split in ("train", "test"):
        for video in sorted((packed / split).glob("*.mkv")):
            with av.open(str(video)) as container:
                frames[video.stem] = sum(1 for packet in container.demux(video=0) if packet.size)
            write_tifs(root / split.capitalize() / video.stem, frames[video.stem])
    for stored in sorted((packed / "masks").glob("*.npz")):
        with np.load(stored) as archive:
            marked = archive["mask"].any(axis=(1, 2))
        odd = stored.stem in {"Test006_gt", "Test009_gt", "Test012_gt"}
        write_masks(root / "Test" / stored.stem, marked, prefix="frame" if odd else "")
    (root / "Test" / "UCSDped2.m").write_bytes((packed / "UCSDped2.m").read_bytes())
    found = read_set("ucsd-ped2", root)
    (scene,) = found.scenes
    assert found.notes == ()
    assert len(scene.normal) == 16
    assert sum(frames[clip.name] for clip in scene.normal) == 2550
    assert len(scene.test) == 12
    assert sum(len(clip.irregular) for clip in scene.test) == 2010
    assert sum(int(clip.irregular.sum()) for clip in scene.test) == 1648


def test_capitals_in_names_do_not_matter(ped2: Path) -> None:
    (ped2 / "Test" / "UCSDped2.m").rename(ped2 / "Test" / "UCSDPed2.M")
    (ped2 / "Test" / "Test001_gt").rename(ped2 / "Test" / "Test001_GT")
    found = read_set("ucsd-ped2", ped2)
    assert found.notes == ()
    assert [one.irregular.sum() for one in found.scenes[0].test] == [3, 6]
    assert all(one.masks is not None for one in found.scenes[0].test)

"""A user's own footage: both kinds of truth, several cameras, and what a user can get wrong."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from detectors.evaluation.datasets import read_set
from detectors.evaluation.protocol import IrregularRange
from preprocess.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "clip,start,stop,unit"


def write_pictures(folder: Path, *levels: int, suffix: str = ".png") -> None:
    """A picture of ``(6, 8)`` per level; its corner is black, the rest has that level."""
    folder.mkdir(parents=True)
    for number, level in enumerate(levels):
        picture = np.full((6, 8), level, np.uint8)
        picture[0, 0] = 0
        assert cv2.imwrite(str(folder / f"{number:04d}{suffix}"), picture)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Two normal clips, two test videos, a test clip of four pictures; no truth yet."""
    root = tmp_path / "gate"
    for name in ("normal/monday.mp4", "normal/tuesday.MKV", "test/friday.mp4", "test/night 2.avi"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    write_pictures(root / "test" / "pictures", 10, 20, 30, 40)
    return root


def write_table(root: Path, *rows: str, name: str = "truth.csv") -> Path:
    (root / name).write_text("\n".join([*rows, ""]), "utf-8")
    return root / name


def test_ranges_of_a_table_become_truth_when_the_clip_is_read(gate: Path) -> None:
    write_table(gate, HEAD, "friday.mp4,2,4,", "friday,0.65,0.75,seconds", "pictures,0,1,frames")
    found = read_set("custom", gate)
    assert (found.name, found.title) == ("custom", "gate")
    (scene,) = found.scenes
    assert [clip.name for clip in scene.normal] == ["normal-monday", "normal-tuesday"]
    friday, night, pictures = scene.test
    assert [one.clip.name for one in scene.test] == ["friday", "night 2", "pictures"]
    assert friday.irregular == (IrregularRange(2, 4), IrregularRange(0.65, 0.75, "seconds"))
    assert np.flatnonzero(friday.truth(7.5 + np.arange(9) / 10)).tolist() == [2, 3, 7]
    assert not night.truth(np.arange(5.0)).any()
    assert pictures.truth(np.arange(4) / 10).tolist() == [True, False, False, False]
    assert {one.masks for one in scene.test} == {None}
    assert found.notes == ("gate: no truth for night 2: taken as normal all through",)


def test_a_table_may_come_from_a_spreadsheet(gate: Path) -> None:
    (gate / "truth.csv").write_bytes(
        b"\xef\xbb\xbfClip; Start; Stop\r\n# by hand\r\nnight 2.avi; 5; 9\r\n;;\r\n\r\nfriday;1;2\r\n"
    )
    friday, night, _ = read_set("custom", gate).scenes[0].test
    assert friday.irregular == (IrregularRange(1, 2),)
    assert night.irregular == (IrregularRange(5, 9),)


def test_another_table_can_be_named_instead(gate: Path) -> None:
    write_table(gate, HEAD, "friday,0,1,")
    other = write_table(gate, HEAD, "friday,7,8,", name="second.csv")
    assert read_set("custom", other).scenes[0].test[0].irregular == (IrregularRange(7, 8),)


def test_masks_are_truth_of_frames_and_pixels(gate: Path) -> None:
    write_pictures(gate / "masks" / "friday", 0, 255, 1)
    write_pictures(gate / "masks" / "pictures", 0, 0, 255, 0)
    friday, night, pictures = read_set("custom", gate).scenes[0].test
    assert friday.irregular.tolist() == [False, True, True]
    assert friday.truth(np.arange(3.0)).tolist() == [False, True, True]
    assert friday.masks(1).sum() == 47
    assert pictures.irregular.tolist() == [False, False, True, False]
    assert not night.truth(np.arange(5.0)).any()
    assert night.masks(4).shape == (6, 8)
    assert not night.masks(4).any()


def test_a_transparent_mask_counts_by_its_colours(gate: Path) -> None:
    (gate / "masks" / "friday").mkdir(parents=True)
    picture = np.zeros((6, 8, 4), np.uint8)
    picture[..., 3] = 255
    picture[2, 3, 2] = 200
    assert cv2.imwrite(str(gate / "masks" / "friday" / "0.png"), picture)
    mask = read_set("custom", gate).scenes[0].test[0].masks(0)
    assert np.argwhere(mask).tolist() == [[2, 3]]


def test_masks_and_ranges_serve_beside_each_other_but_not_for_one_clip(gate: Path) -> None:
    write_pictures(gate / "masks" / "pictures", 0, 0, 255, 0)
    write_table(gate, HEAD, "friday,0,1,")
    friday, night, pictures = read_set("custom", gate).scenes[0].test
    assert friday.masks is night.masks is None
    assert pictures.masks is not None
    write_table(gate, HEAD, "pictures,0,1,")
    with pytest.raises(InputError, match=r"pictures has masks and rows in truth\.csv; keep one of the two"):
        read_set("custom", gate)


def test_every_camera_has_a_folder_of_its_own(gate: Path, tmp_path: Path) -> None:
    write_table(gate, HEAD, "friday,0,1,")
    for part in ("normal", "test"):
        (tmp_path / "yard" / part).mkdir(parents=True)
        (tmp_path / "yard" / part / "friday.mp4").write_bytes(b"")
    write_table(tmp_path / "yard", HEAD, "friday,3,4,")
    (tmp_path / "papers").mkdir()
    found = read_set("custom", tmp_path)
    assert [scene.name for scene in found.scenes] == ["gate", "yard"]
    assert found.scenes[1].test[0].irregular == (IrregularRange(3, 4),)
    (tmp_path / "yard" / "normal" / "friday.mp4").unlink()
    with pytest.raises(InputError, match="normal: no video and no folder of pictures in it"):
        read_set("custom", tmp_path)
    (tmp_path / "yard" / "normal").rmdir()
    with pytest.raises(InputError, match="normal: this folder of the data set is missing"):
        read_set("custom", tmp_path)


def test_files_that_are_no_footage_are_told(gate: Path) -> None:
    write_table(gate, HEAD, "friday,0,1,", "pictures,0,1,", "night 2,0,1,")
    (gate / "test" / "notes.txt").write_text("rain")
    (gate / "test" / ".DS_Store").write_text("")
    assert read_set("custom", gate).notes == ("gate/test: notes.txt left out: no video",)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("saturday,0,1,", r"truth\.csv, line 2: no test clip is called saturday; there are friday\.mp4"),
        (",0,1,", "no test clip is called nothing"),
        ("friday,4,4,", "line 2: 4 to 4 is no range"),
        ("friday,-1,4,", "-1 to 4 is no range"),
        ("friday,nan,4,", "nan to 4 is no range"),
        ("friday,0,inf,", "0 to inf is no range"),
        ("friday,0", "0 to  is no range"),
        ("friday,1.5,4,", "frames are whole numbers; for seconds, write seconds"),
        ("friday,1,4,hours", "the unit is frames or seconds, not hours"),
    ],
)
def test_a_row_that_cannot_be_is_refused_with_its_line(gate: Path, row: str, said: str) -> None:
    write_table(gate, HEAD, row)
    with pytest.raises(InputError, match=said):
        read_set("custom", gate)


def test_a_table_that_cannot_be_read_is_refused(gate: Path) -> None:
    write_table(gate, "file,from,to")
    with pytest.raises(InputError, match="names no column clip"):
        read_set("custom", gate)
    write_table(gate)
    with pytest.raises(InputError, match=r"truth\.csv: empty"):
        read_set("custom", gate)
    (gate / "truth.csv").write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(InputError, match="is no UTF-8 text"):
        read_set("custom", gate)


def test_footage_without_truth_is_refused(gate: Path) -> None:
    with pytest.raises(InputError, match="gate: no truth in it"):
        read_set("custom", gate)
    write_table(gate, HEAD)
    with pytest.raises(InputError, match=r"truth\.csv: names no irregular range"):
        read_set("custom", gate)
    write_pictures(gate / "masks" / "friday", 0, 0)
    with pytest.raises(InputError, match="nothing in it is marked irregular"):
        read_set("custom", gate)


def test_a_folder_without_footage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"it needs folders normal and test, and truth\.csv or a folder masks"):
        read_set("custom", tmp_path)
    with pytest.raises(InputError, match="no footage for an evaluation in it"):
        read_set("custom", write_table(tmp_path, HEAD))


def test_clips_and_masks_that_do_not_fit_are_refused(gate: Path) -> None:
    write_pictures(gate / "masks" / "pictures", 0, 255)
    with pytest.raises(InputError, match="2 masks for 4 pictures of"):
        read_set("custom", gate)
    (gate / "masks" / "loose.png").write_bytes(b"")
    with pytest.raises(InputError, match="a mask beside the folders"):
        read_set("custom", gate)
    write_pictures(gate / "masks" / "sunday", 0, 255)
    with pytest.raises(InputError, match="sunday: no test clip is called so"):
        read_set("custom", gate)
    (gate / "test" / "friday.mkv").write_bytes(b"")
    with pytest.raises(InputError, match=r"friday\.mp4: friday\.mkv has the same name"):
        read_set("custom", gate)
    (gate / "test" / "0001.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"0001\.png: a picture beside the clips"):
        read_set("custom", gate)


def test_a_quoted_note_may_run_over_lines(gate: Path) -> None:
    note = '"a cart\nand a bike"'
    write_table(gate, HEAD + ",note", f"friday,1,5,frames,{note}", "friday,20,30,frames,skater", "friday,9,2,frames,")
    with pytest.raises(InputError, match=r"truth\.csv, line 5: 9 to 2 is no range"):
        read_set("custom", gate)
    write_table(gate, HEAD + ",note", f"friday,1,5,frames,{note}", "friday,20,30,frames,skater")
    assert read_set("custom", gate).scenes[0].test[0].irregular == (IrregularRange(1, 5), IrregularRange(20, 30))


@pytest.mark.parametrize("note", ['"never closed', "x" * 140_000])
def test_a_table_that_is_no_csv_is_refused_with_its_line(gate: Path, note: str) -> None:
    write_table(gate, HEAD + ",note", "friday,1,5,frames,", f"friday,20,30,frames,{note}", "friday,40,50,frames,")
    with pytest.raises(InputError, match=r"truth\.csv, line 3: cannot be read as CSV .*; check its quotes"):
        read_set("custom", gate)


def test_letters_that_are_stored_otherwise_are_the_same_name(gate: Path) -> None:
    (gate / "test" / unicodedata.normalize("NFD", "café.mp4")).write_bytes(b"")
    write_table(gate, HEAD, unicodedata.normalize("NFC", "café,1,2,"))
    assert [one.irregular for one in read_set("custom", gate).scenes[0].test if "caf" in one.clip.name] == [
        (IrregularRange(1, 2),)
    ]


def test_a_picture_that_cannot_be_read_is_refused_by_name_where_truth_counts_on_it(gate: Path) -> None:
    write_table(gate, HEAD, "friday,1,2,")
    (gate / "test" / "pictures" / "0002.png").write_bytes(b"no picture")
    read_set("custom", gate)  # without truth of its own nothing can be moved
    write_table(gate, HEAD, "pictures,1,2,")
    with pytest.raises(InputError, match=r"0002\.png: this picture cannot be read"):
        read_set("custom", gate)


def test_a_stray_picture_without_a_number_is_no_frame(gate: Path) -> None:
    assert cv2.imwrite(str(gate / "test" / "pictures" / "cover.png"), np.zeros((6, 8), np.uint8))
    write_pictures(gate / "masks" / "pictures", 0, 0, 255, 0)
    assert read_set("custom", gate).scenes[0].test[2].irregular.tolist() == [False, False, True, False]


def test_videos_in_a_folder_are_told_where_they_belong(gate: Path) -> None:
    (gate / "test" / "monday").mkdir()
    (gate / "test" / "monday" / "noon.mp4").write_bytes(b"")
    with pytest.raises(InputError, match="monday: no pictures in it; videos lie in test itself"):
        read_set("custom", gate)


def test_one_quiet_camera_among_several_is_fine(gate: Path, tmp_path: Path) -> None:
    write_table(gate, HEAD, "friday,0,1,")
    for part in ("normal", "test"):
        write_pictures(tmp_path / "yard" / part / "day", 10, 20)
    write_pictures(tmp_path / "yard" / "masks" / "day", 0, 0)
    assert [scene.name for scene in read_set("custom", tmp_path).scenes] == ["gate", "yard"]

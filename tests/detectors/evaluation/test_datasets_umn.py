"""UMN: a table of made-up sequences, and the real scenes 1 and 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detectors.evaluation.datasets import read_set
from detectors.evaluation.protocol import Rectangle
from preprocess.errors import InputError
from streamer.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "seq,scene,train_clip,train_frames,test_clip,test_frames,gtA_start,gtA_end,gtB_start,gtB_end"
ROWS = ("1,1,a/train.avi,100,a/test.avi,50,1,2,110,130", "2,4,b/train.avi,60,b/test.avi,40,1,2,50,99")


@pytest.fixture
def umn(tmp_path: Path) -> Path:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name in ("train.avi", "test.avi"):
            (tmp_path / folder / name).write_bytes(b"")
    write_table(tmp_path, *ROWS)
    return tmp_path


def write_table(folder: Path, *rows: str) -> None:
    (folder / "sequences.csv").write_text("\n".join(["# made up", HEAD, *rows, ""]))


def test_every_scene_is_a_camera_with_its_label_painted_over(umn: Path) -> None:
    found = read_set("umn", umn)
    assert [scene.name for scene in found.scenes] == ["scene1", "scene4"]
    assert {scene.ignored for scene in found.scenes} == {(Rectangle(0, 0, 201, 25),)}
    assert "annotation B" in found.notes[0]
    assert [scene.normal for scene in read_set("umn", umn / "sequences.csv").scenes] == [
        one.normal for one in found.scenes
    ]


def test_the_first_sixty_percent_before_the_escape_are_learned_and_all_later_frames_tested(umn: Path) -> None:
    scene = read_set("umn", umn).scenes[0]
    (normal,) = scene.normal
    assert (normal.start, normal.stop, normal.every) == (0, 66, 3)
    rest, escape = (one.clip for one in scene.test)
    assert (rest.uri, rest.start, rest.stop, rest.every) == (str(umn / "a/train.avi"), 66, 100, 3)
    assert (escape.uri, escape.start, escape.stop, escape.every) == (str(umn / "a/test.avi"), 0, 50, 3)


def test_truth_follows_the_used_frames_at_every_rate(umn: Path) -> None:
    scene = read_set("umn", umn).scenes[0]
    assert set(scene.variants) == {"30 fps", "15 fps"}
    for every, tests in ((3, scene.test), (2, scene.variants["15 fps"]), (1, scene.variants["30 fps"])):
        rest, escape = tests
        assert {rest.clip.every, escape.clip.every} == {every}
        assert len(rest.irregular) == len(range(66, 100, every))
        assert not rest.irregular.any()
        numbers = 100 + np.arange(0, 50, every)
        assert escape.irregular.tolist() == ((numbers >= 110) & (numbers <= 130)).tolist()


def test_an_escape_that_begins_in_the_first_file_is_marked_there(umn: Path) -> None:
    rest, escape = read_set("umn", umn).scenes[1].variants["30 fps"]
    assert (rest.clip.start, rest.clip.stop) == (30, 60)
    assert np.flatnonzero(rest.irregular).tolist() == list(range(20, 30))
    assert escape.irregular.all()


def test_names_are_unique_within_a_scene(umn: Path) -> None:
    for scene in read_set("umn", umn).scenes:
        tests = [*scene.test, *(one for variant in scene.variants.values() for one in variant)]
        names = [clip.name for clip in (*scene.normal, *(one.clip for one in tests))]
        assert len(names) == len(set(names)) == 7


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1,1,a/train.avi,100,a/gone.avi,50,1,2,110,130", r"gone\.avi: this clip of sequence 1 is missing"),
        (
            "1,1,a/train.avi,100,a/test.avi,50,1,2,110,150",
            "has 150 frames, but is said to be irregular from 110 to 150",
        ),
        ("1,1,a/train.avi,many,a/test.avi,50,1,2,110,130", "row 1 cannot be read"),
        ("1,1,a/train.avi", "row 1 cannot be read"),
        ("", "holds no sequence"),
    ],
)
def test_a_table_that_cannot_be_is_refused(umn: Path, row: str, said: str) -> None:
    write_table(umn, row)
    with pytest.raises(InputError, match=said):
        read_set("umn", umn)


def test_a_missing_or_foreign_table_is_refused(umn: Path) -> None:
    (umn / "sequences.csv").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="is no text"):
        read_set("umn", umn)
    (umn / "sequences.csv").unlink()
    with pytest.raises(InputError, match=r"sequences\.csv: cannot be read"):
        read_set("umn", umn)


@pytest.mark.shared
def test_the_real_scenes_have_their_counts(shared_data: Path) -> None:
    if not (shared_data / "umn").is_dir():
        pytest.skip(f"UMN is not in {shared_data}")
    first, third = read_set("umn", shared_data / "umn").scenes
    assert [(clip.start, clip.stop) for clip in first.normal] == [(0, 291), (0, 403)]
    assert [(clip.start, clip.stop) for clip in third.normal] == [(0, 327), (0, 341), (0, 430)]
    for scene, irregular in ((first, 264), (third, 237)):
        every_frame = scene.variants["30 fps"]
        assert sum(int(one.irregular.sum()) for one in every_frame) == irregular
        for one in every_frame:
            with open_source(one.clip.uri) as source:
                assert one.clip.stop == source.info.expected_frames


def test_files_of_the_same_name_in_one_scene_are_told_apart(umn: Path) -> None:
    write_table(umn, ROWS[0], ROWS[1].replace("2,4,", "2,1,"))
    (scene,) = read_set("umn", umn).scenes
    names = [clip.name for clip in (*scene.normal, *(one.clip for one in scene.test))]
    assert names == ["1-train-normal", "2-train-normal", "1-train", "1-test", "2-train", "2-test"]


def test_a_table_with_an_endless_cell_is_refused(umn: Path) -> None:
    write_table(umn, ROWS[0], "2" * 140_000)
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_set("umn", umn)

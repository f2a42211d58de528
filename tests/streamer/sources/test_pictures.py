"""Folders of numbered pictures."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from preprocess.errors import InputError
from streamer.frames import Pace
from streamer.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path


def picture(number: int, width: int = 36, height: int = 24) -> np.ndarray:
    grey = np.full((height, width), 40, np.uint8)
    grey[4:12, number : number + 8] = 200
    return grey


def fill(folder: Path, numbers: list[int], pattern: str = "{:03d}.tif") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        assert cv2.imwrite(str(folder / pattern.format(number)), picture(number))
    return folder


@pytest.mark.parametrize("pattern", ["{:03d}.tif", "{}.png", "frame_{:05d}.bmp", "{:d}.TIFF", "cam2-{}.png"])
def test_numbered_pictures_come_in_the_order_of_their_numbers(tmp_path: Path, pattern: str) -> None:
    folder = fill(tmp_path / "Test001", list(range(1, 13)), pattern)
    with open_source(folder) as source:
        frames = list(source.frames())
        info = source.info
        assert source.pace is Pace.EVERY_FRAME
    assert (info.name, info.codec, info.frames) == ("Test001", "pictures", 12)
    assert info.frame_rate == 10
    assert info.duration == Fraction(12, 10)
    assert [frame.pts for frame in frames] == [Fraction(k, 10) for k in range(12)]
    assert {frame.segment for frame in frames} == {0}
    for number, frame in enumerate(frames, 1):
        assert np.array_equal(frame.luma, picture(number))
        assert np.array_equal(frame.image.bgr()[..., 2], picture(number))


def test_the_frame_rate_is_the_users(tmp_path: Path) -> None:
    with open_source(fill(tmp_path, [1, 2, 3]), frame_rate=Fraction(30000, 1001)) as source:
        assert [frame.pts for frame in source.frames()] == [Fraction(1001 * k, 30000) for k in range(3)]


def test_a_hole_in_the_numbering_is_a_gap_of_its_length(tmp_path: Path) -> None:
    with open_source(fill(tmp_path, [1, 2, 3, 6, 7])) as source:
        frames = list(source.frames())
        assert source.counts.gaps == 1
    assert [frame.pts * 10 for frame in frames] == [0, 1, 2, 5, 6]
    assert [frame.segment for frame in frames] == [0, 0, 0, 1, 1]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]


def test_a_long_hole_is_counted_once(tmp_path: Path) -> None:
    with open_source(fill(tmp_path, [1, 2, 3, 16, 17])) as source:
        assert [frame.segment for frame in source.frames()] == [0, 0, 0, 1, 1]
        assert source.counts.gaps == 1


def test_every_fifth_picture_of_a_recording_is_no_series_of_holes(tmp_path: Path) -> None:
    with open_source(fill(tmp_path, [0, 5, 10, 15, 20])) as source:
        assert [frame.pts * 10 for frame in source.frames()] == [0, 1, 2, 3, 4]
        assert source.counts.gaps == 0


def test_dates_and_times_in_names_give_the_order(tmp_path: Path) -> None:
    for name in ("2024-05-06_23-59-58", "2024-05-06_23-59-59", "2024-05-07_00-00-00"):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), picture(3))
    with open_source(tmp_path) as source:
        assert [frame.pts * 10 for frame in source.frames()] == [0, 1, 2]


def test_sixteen_bit_pictures_come_at_eight(tmp_path: Path) -> None:
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"{number}.tif"), picture(number).astype(np.uint16) * 257)
    with open_source(tmp_path) as source:
        assert source.info.pixel_format == "gray16"
        assert np.array_equal(next(iter(source.frames())).luma, picture(1))


def test_colour_pictures_keep_their_colours(tmp_path: Path) -> None:
    colour = np.zeros((16, 16, 3), np.uint8)
    colour[..., 2] = 255
    cv2.imwrite(str(tmp_path / "1.png"), colour)
    with open_source(tmp_path) as source:
        frame = next(iter(source.frames()))
    assert np.array_equal(frame.image.bgr(), colour)
    assert np.all(frame.luma == 76)


@pytest.mark.parametrize("ending", ["tif", "png", "jpg", "bmp"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.9])
def test_a_damaged_picture_is_counted_and_starts_a_segment(
    tmp_path: Path, ending: str, kept: float, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = fill(tmp_path, [1, 2, 3, 4, 5], f"{{}}.{ending}")
    damaged = folder / f"3.{ending}"
    damaged.write_bytes(damaged.read_bytes()[: int(kept * damaged.stat().st_size)])
    with open_source(folder) as source:
        frames = list(source.frames())
        assert (source.counts.corrupt, source.counts.decoded) == (1, 4)
    assert [frame.pts * 10 for frame in frames] == [0, 1, 3, 4]
    assert [frame.segment for frame in frames] == [0, 0, 1, 1]
    assert capfd.readouterr().err == ""


def test_a_size_change_starts_a_segment(tmp_path: Path) -> None:
    fill(tmp_path, [1, 2])
    cv2.imwrite(str(tmp_path / "003.tif"), picture(3, 48, 32))
    with open_source(tmp_path) as source:
        assert [frame.segment for frame in source.frames()] == [0, 0, 1]
        assert source.counts.size_changes == 1


def test_what_file_managers_leave_behind_is_no_picture(tmp_path: Path) -> None:
    fill(tmp_path, [1, 2])
    (tmp_path / "._001.tif").write_bytes(b"\0" * 99)
    (tmp_path / ".DS_Store").write_bytes(b"\0" * 99)
    cv2.imwrite(str(tmp_path / "background1.png"), picture(1))
    with open_source(tmp_path) as source:
        assert len(list(source.frames())) == 2
        assert source.counts.corrupt == 0


@pytest.mark.parametrize(
    ("files", "folders", "says"),
    [
        ([], [], "no pictures in this folder"),
        (["a.mp4", "b.mp4"], [], "name the clips themselves, such as a.mp4"),
        ([], ["Test010", "Test002"], "name the folders themselves, such as Test002"),
        (["left.png", "right.png"], [], "number them"),
        (["a1.png", "a2.png", "mask1.png", "mask2.png"], [], "more than one series of pictures (a#.png and mask#.png)"),
    ],
)
def test_a_folder_without_a_series_is_refused_with_a_hint(
    tmp_path: Path, files: list[str], folders: list[str], says: str
) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"x")
    for name in folders:
        (tmp_path / name).mkdir()
    with pytest.raises(InputError) as refusal:
        open_source(tmp_path)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_folder_of_unreadable_pictures_is_refused(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match="none of its 2 pictures can be read"):
        open_source(tmp_path)

"""Recordings as footage to learn from."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from preprocess.errors import InputError, UsageError
from streamer.footage import RecordedFootage

if TYPE_CHECKING:
    from pathlib import Path

    from preprocess.pictures import Footage


def folder_of(folder: Path, numbers: list[int], damaged: tuple[int, ...] = ()) -> Path:
    folder.mkdir()
    for number in numbers:
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), np.full((24, 32), number, np.uint8))
        if number in damaged:
            path.write_bytes(b"nothing")
    return folder


def test_footage_can_be_read_again_and_again(tmp_path: Path) -> None:
    footage: Footage = RecordedFootage([folder_of(tmp_path / "a", [1, 2, 3])])
    for _ in range(2):
        assert [int(picture.luma[0, 0]) for picture in footage.pictures()] == [1, 2, 3]


def test_recordings_follow_each_other_in_time_but_never_share_a_segment(tmp_path: Path) -> None:
    one = folder_of(tmp_path / "one", [1, 2, 3, 7], damaged=(2,))
    two = folder_of(tmp_path / "two", [1, 2])
    pictures = list(RecordedFootage([one, two, one]).pictures())
    assert [picture.pts * 10 for picture in pictures] == [0, 2, 6, 7, 8, 9, 11, 15]
    assert [picture.segment for picture in pictures] == [0, 1, 2, 3, 3, 4, 5, 6]


def test_only_the_first_seconds_are_read_where_asked(tmp_path: Path) -> None:
    footage = RecordedFootage([folder_of(tmp_path / "a", list(range(1, 21)))], until=Fraction(1, 2))
    assert [picture.pts * 10 for picture in footage.pictures()] == [0, 1, 2, 3, 4]


def test_a_reading_can_be_closed_early(tmp_path: Path) -> None:
    pictures = RecordedFootage([folder_of(tmp_path / "a", [1, 2, 3])]).pictures()
    next(pictures)
    pictures.close()
    assert list(pictures) == []


def test_footage_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no footage"):
        RecordedFootage([])
    with pytest.raises(UsageError, match="longer than 0 s"):
        RecordedFootage([tmp_path], until=Fraction(0))
    with pytest.raises(InputError, match="no such file"):
        next(RecordedFootage([tmp_path / "none.mp4"]).pictures())

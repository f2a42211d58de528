"""One door for all sets, and truth that is sized when a clip is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detectors.evaluation.datasets import SET_NAMES, read_set
from detectors.evaluation.protocol import Clip, IrregularRange, TestClip
from preprocess.errors import InputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_sets_are_those_of_the_command_line() -> None:
    assert SET_NAMES == ("ucsd-ped1", "ucsd-ped2", "umn", "avenue", "shanghaitech", "ir-mnist", "custom")


def test_ir_mnist_has_no_clips_to_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ir-mnist has no clips"):
        read_set("ir-mnist", tmp_path)


def test_an_unknown_set_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="subway: no such data set; choose one of ucsd-ped1, "):
        read_set("subway", tmp_path)


@pytest.mark.parametrize("name", [name for name in SET_NAMES if name != "ir-mnist"])
def test_a_missing_or_empty_folder_is_one_clear_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"nowhere: not there; give the place of the {name} data set"):
        read_set(name, tmp_path / "nowhere")
    with pytest.raises(InputError) as caught:
        read_set(name, tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in SET_NAMES if name != "ir-mnist"])
def test_a_file_that_is_no_set_is_one_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"\xff\0")
    with pytest.raises(InputError, match=str(tmp_path)):
        read_set(name, tmp_path / "holiday.mp4")


def test_truth_of_every_frame_must_fit_the_frames_read() -> None:
    clip = TestClip(Clip("a", "a.avi"), np.array([True, False]))
    assert clip.truth(np.array([0.0, 0.1])).tolist() == [True, False]
    with pytest.raises(InputError, match=r"a\.avi: 3 frames were read, but its truth is of 2"):
        clip.truth(np.arange(3.0))


def test_ranges_of_frames_count_as_decoded_whatever_frames_are_used() -> None:
    clip = TestClip(Clip("a", "a.avi", start=10, every=3), (IrregularRange(13, 17), IrregularRange(21, 99)))
    assert clip.truth(np.arange(5.0)).tolist() == [False, True, True, False, True]


def test_ranges_of_seconds_count_from_the_first_used_frame() -> None:
    clip = TestClip(Clip("a", "a.avi"), (IrregularRange(0.2, 0.4, "seconds"),))
    assert clip.truth(np.array([5.0, 5.1, 5.25, 5.3, 5.5])).tolist() == [False, False, True, True, False]


def test_a_range_after_the_end_is_refused() -> None:
    clip = TestClip(Clip("a", "a.avi"), (IrregularRange(5, 9),))
    with pytest.raises(InputError, match="irregular from 5 to 9 frames, but the recording ends before"):
        clip.truth(np.arange(5.0))
    assert clip.truth(np.arange(6.0)).tolist() == [False] * 5 + [True]
    with pytest.raises(InputError, match="the recording ends before"):
        clip.truth(np.empty(0))


def test_a_range_that_holds_no_frame_is_refused() -> None:
    clip = TestClip(Clip("a", "a.avi"), (IrregularRange(1.02, 1.05, "seconds"),))
    with pytest.raises(InputError, match=r"no frame lies from 1\.02 to 1\.05 seconds"):
        clip.truth(np.arange(40) / 10)

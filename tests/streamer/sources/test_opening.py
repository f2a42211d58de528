"""One door: what is let in, what is refused and how the refusal reads."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from preprocess.errors import AvidWatchError, InputError, UsageError
from streamer.sources import open_source
from streamer.sources.naming import name_of, without_password

if TYPE_CHECKING:
    from collections.abc import Callable


def refusal(uri: str | Path, kind: type[AvidWatchError] = InputError) -> str:
    with pytest.raises(kind) as caught:
        open_source(uri)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing.mp4") == f"{tmp_path}/nothing.mp4: no such file or folder; check the path"
    (tmp_path / "file").write_text("x")
    assert "no such file" in refusal(tmp_path / "file" / "below.mp4")


def test_an_empty_file_and_a_text_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.mp4").write_text("not a video\n")
    assert "is empty" in refusal(tmp_path / "empty.mp4")
    assert "a text file" in refusal(tmp_path / "notes.mp4")


@pytest.mark.parametrize("name", ["cameras.yaml", "site.YML"])
def test_a_file_of_settings_is_told_where_it_belongs(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("cameras: [rtsp://gate/1]\n")
    assert refusal(path) == f"{path}: a file of settings or cameras, not a video; give it as --config {path}"


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "not an ordinary file" in refusal(tmp_path / "pipe.mp4")


def test_a_forbidden_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.mp4"
    path.write_bytes(b"x")

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    assert "permission denied" in refusal(path)


@pytest.mark.parametrize("uri", ["rtsp://admin:secret@10.0.0.7/live", "http://user:secret@host/a.mp4", "udp://@:5000"])
def test_an_address_of_an_unsupported_kind_is_refused_without_its_password(uri: str) -> None:
    message = refusal(uri, UsageError)
    assert "not supported" in message
    assert "a video file" in message
    assert "secret" not in message


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_frame_rate_that_is_none_is_refused(tmp_path: Path, rate: float) -> None:
    with pytest.raises(UsageError, match="frame rate"):
        open_source(tmp_path, frame_rate=rate)


def test_a_file_address_means_its_path(write_clip: Callable[..., Path], square: list[np.ndarray]) -> None:
    path = write_clip("two words.mp4", square[:2])
    with open_source(path.as_uri()) as source:
        assert source.info.name == "two_words"
        assert len(list(source.frames())) == 2


def test_a_given_name_goes_through_to_every_frame(write_clip: Callable[..., Path], square: list[np.ndarray]) -> None:
    with open_source(write_clip("a.mp4", square[:2]), name="gate") as source:
        assert {frame.source for frame in source.frames()} == {"gate"}


def test_the_kind_of_input_is_found_by_itself(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "001.png"), np.zeros((8, 8), np.uint8))
    with open_source(tmp_path, frame_rate=12.5) as source:
        assert source.info.codec == "pictures"
        assert source.info.frame_rate == Fraction(25, 2)


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/gate 1.mp4", "gate_1"), ("..", "source"), ("Ä (2).mkv", "Ä_2"), ("x" * 200 + ".ts", "x" * 80)],
)
def test_names_are_fit_for_folders(path: str, name: str) -> None:
    assert name_of(Path(path)).rstrip("_") == name


def test_an_address_is_shown_without_its_password() -> None:
    assert without_password("rtsp://a:b@host:554/x@y") == "rtsp://host:554/x@y"
    assert without_password("me@home/clip.mp4") == "me@home/clip.mp4"

"""Why an input cannot be read, in one line: what is wrong, with which input, and what to try."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import av

from preprocess.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

CLIP_SUFFIXES = frozenset(
    {".mp4", ".mkv", ".avi", ".ts", ".mts", ".m2ts", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"}
    | {".h264", ".264", ".h265", ".hevc", ".265", ".mjpeg", ".mjpg", ".gif", ".dav", ".asf", ".vob", ".ogv"}
)
SETTINGS_SUFFIXES = frozenset({".yaml", ".yml"})
_HEAD_BYTES = 4096


def refuse_unreadable_path(path: Path, shown: str) -> None:
    """Refuse what cannot be a recording before FFmpeg sees it (a pipe would make it wait for ever).

    Raises:
        InputError: nothing is there, it is no ordinary file, it is empty, it may not be read, or it is a file of
            settings.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{shown}: not an ordinary file; give a recording, a folder of pictures or a camera")
        if status.st_size == 0:
            raise InputError(f"{shown}: the file is empty; check that the recording was written or copied completely")
        with path.open("rb"):
            pass
    except OSError as error:
        raise _refusal_of_system(shown, error) from error
    if path.suffix.lower() in SETTINGS_SUFFIXES:
        raise InputError(f"{shown}: a file of settings or cameras, not a video; give it as --config {shown}")


def refusal_of_open(path: Path, shown: str, error: Exception) -> InputError:
    """The refusal for a file FFmpeg could not open."""
    if isinstance(error, OSError) and not isinstance(error, av.error.InvalidDataError):
        return _refusal_of_system(shown, error)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as read_error:
        return _refusal_of_system(shown, read_error)
    if head[4:8] == b"ftyp":
        return InputError(
            f"{shown}: an MP4 without its index (moov), so the recording was cut off before it was closed;"
            " copy it again from the recorder, or repair it with a tool that rebuilds the index"
        )
    if _is_text(head):
        return InputError(f"{shown}: a text file, not a video; check the path")
    return InputError(f"{shown}: not a video, or damaged beyond reading; check that it plays in an ordinary player")


def refusal_without_video(shown: str) -> InputError:
    """The refusal for a file that opens but shows nothing."""
    return InputError(f"{shown}: has no video stream that can be decoded; give a recording with a picture")


def refusal_without_pictures(shown: str) -> InputError:
    """The refusal for a video stream of which no picture can be decoded."""
    return InputError(
        f"{shown}: no picture of its video stream can be decoded; check that it plays in an ordinary player"
    )


def _refusal_of_system(shown: str, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InputError(f"{shown}: no such file or folder; check the path")
    if isinstance(error, PermissionError):
        return InputError(f"{shown}: permission denied; check who may read it")
    return InputError(f"{shown}: cannot be read ({error.strerror or error}); check the path and the disk")


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)

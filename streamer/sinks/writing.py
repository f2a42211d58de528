"""Writing files: every failure is one line that names the file and the way out, and no file is ever half replaced."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from preprocess.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HINTS = {
    errno.ENOSPC: "free some space, or choose another folder with -o",
    errno.EDQUOT: "free some space, or choose another folder with -o",
    errno.EACCES: "choose a folder you may write to with -o",
    errno.EPERM: "choose a folder you may write to with -o",
    errno.EROFS: "choose a folder you may write to with -o",
    errno.ENAMETOOLONG: "choose a shorter name with --name",
}


@contextmanager
def told_as_output_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into an :class:`OutputError` about ``path``."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        hint = _HINTS.get(error.errno or 0, "check the folder, or choose another one with -o")
        raise OutputError(f"{path}: cannot be written ({reason}); {hint}") from error


def temporary(path: Path) -> Path:
    """Where a file is written before it takes the place of ``path``: beside it, so that the swap is one step."""
    return path.with_name(f".{path.name}.tmp")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that, at any moment, there is the old one or the new one and never a part.

    Raises:
        OutputError: it cannot be written.
    """
    beside = temporary(path)
    with told_as_output_errors(path):
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise

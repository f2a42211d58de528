"""Going on with a file of lines that a kill may have cut off."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 65536


def cut_torn_line(path: Path, *, keep_json: bool = False) -> int:
    """Make the file end with a whole line, so that the next one does not run into what a kill left of the last.

    Args:
        path: of the file; nothing happens where there is none.
        keep_json: a last line that is whole JSON and lacks only its line end is completed instead of cut.

    Returns:
        Bytes cut off.

    Raises:
        OSError: the file cannot be read or changed.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return 0
    with path.open("r+b") as file:
        end = size
        tail = b""
        while end > 0:
            start = max(0, end - _BLOCK)
            file.seek(start)
            tail = file.read(end - start) + tail
            end = start
            if b"\n" in tail:
                break
        torn = tail[tail.rfind(b"\n") + 1 :]
        if not torn:
            return 0
        if keep_json and _is_json(torn):
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
            return 0
        file.truncate(size - len(torn))
        return len(torn)


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False

"""A file for FFmpeg to write to that is certain to be closed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from typing_extensions import Buffer


class WholeWrites(io.FileIO):
    """A file that takes all that it is given, or raises.

    FFmpeg (8.1, through PyAV 18.1) never closes a file it opened itself whose header found no room: on a full disk
    every attempt would cost a file handle.
    """

    def __init__(self, path: Path, mode: Literal["wb", "xb"]) -> None:
        """Open the file.

        Args:
            path: of the file.
            mode: ``wb`` replaces one that is there, ``xb`` does not.

        Raises:
            OSError: it cannot be made, or is there already.
        """
        super().__init__(path, mode)

    def write(self, content: Buffer, /) -> int:
        """Write all of it.

        Raises:
            OSError: there is not room enough; the first part may be written.
        """
        view = memoryview(content)
        written = 0
        while written < len(view):
            written += super().write(view[written:]) or 0
        return written

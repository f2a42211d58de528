"""Lines of text with their labels in one column: how summaries and ``info`` look."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.text import Text

from streamer.durations import format_duration

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "bold"
LABEL = "dim"
ALARM = "bold red"
GOOD = "green"
WARN = "yellow"

_LABEL_WIDTH = 10


class Page:
    """A page that grows line by line.

    Attributes:
        text: the page so far; colours are left out wherever it is printed without them.
    """

    def __init__(self) -> None:
        self.text = Text()

    def title(self, text: str) -> None:
        """Begin with what the page is about."""
        self._break()
        self.text.append(text, HEAD)

    def line(self, label: str, value: str | None, style: str = "") -> None:
        """Add a labelled line; none where there is nothing to say. A longer value goes on below itself."""
        for number, part in enumerate((value or "").splitlines()):
            self._break()
            self.text.append(f"  {(label if number == 0 else '').ljust(_LABEL_WIDTH)}", LABEL)
            self.text.append(part, style)

    def row(self, value: str, style: str = "") -> None:
        """Add a line of a table in the column of the values."""
        self._break()
        self.text.append(" " * (_LABEL_WIDTH + 2) + value, style)

    def _break(self) -> None:
        if self.text.plain:
            self.text.append("\n")


def count(number: int, noun: str) -> str:
    """``1 alarm``, ``1,250 steps``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def roughly(seconds: float) -> str:
    """A length of time as precise as a person wants it: ``8.4s``, ``47s``, ``1m30s``, ``2h5m``."""
    if seconds < 10:
        return format_duration(round(seconds, 1))
    if seconds < 3600:
        return format_duration(round(seconds))
    return format_duration(round(seconds / 60) * 60)


def short_path(path: Path) -> str:
    """Relative to the working directory where it lies below; folders end with a separator."""
    shown = os.path.relpath(path)
    text = str(path) if shown.startswith("..") else shown
    return f"{text}{os.sep}" if path.is_dir() else text

"""The table of ``avid-watch check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from streamer.live.check import NOT_ENABLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.live.check import CameraCheck

_HEADINGS = ("camera", "picture", "rate", "codec", "delay", "verdict")
_NOTHING = "-"


def render_check(checks: Sequence[CameraCheck]) -> Text:
    """One line per camera under headings, and how many are fine."""
    rows = [_HEADINGS, *(_row(check) for check in checks)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS) - 1)]
    tried = [check for check in checks if check.verdict != NOT_ENABLED]
    text = Text()
    for number, row in enumerate(rows):
        lead = "".join(f"{cell:<{width}}  " for cell, width in zip(row[:-1], widths, strict=True))
        text.append(lead, style="bold" if number == 0 else "")
        text.append(f"{row[-1]}\n", style="bold" if number == 0 else _style(checks[number - 1]))
    text.append(f"\n{sum(check.ok for check in tried)} of {len(tried)} cameras are fine")
    return text


def _row(check: CameraCheck) -> tuple[str, ...]:
    return (
        check.name,
        _NOTHING if check.width is None else f"{check.width}x{check.height}",
        _NOTHING if check.frame_rate is None else f"{check.frame_rate:g} fps",
        check.codec or _NOTHING,
        _NOTHING if check.delay is None else f"{check.delay:.1f} s",
        check.verdict,
    )


def _style(check: CameraCheck) -> str:
    if check.verdict == NOT_ENABLED:
        return "dim"
    return "green" if check.ok else "red"

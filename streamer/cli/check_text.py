"""The table of ``avid-watch check``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from streamer.live.check import NOT_ENABLED
from streamer.live.schedule import WEEKDAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.live.check import CameraCheck

_HEADINGS = ("camera", "picture", "rate", "codec", "delay", "armed", "verdict")
_ARMED = _HEADINGS.index("armed")
_NOTHING = "-"


def render_check(checks: Sequence[CameraCheck]) -> Text:
    """One line per camera under headings, and how many are fine; armed hours where a camera is not always armed."""
    rows = [_HEADINGS, *(_row(check) for check in checks)]
    if all(check.armed and check.armed_changes is None for check in checks):
        rows = [(*row[:_ARMED], *row[_ARMED + 1 :]) for row in rows]
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
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
        _armed(check),
        check.verdict,
    )


def _armed(check: CameraCheck) -> str:
    """``always``, ``never``, ``until Mon 06:00`` or ``from Mon 20:00``, by the clock of the schedule."""
    if check.armed_changes is None:
        return "always" if check.armed else "never"
    when = datetime.fromisoformat(check.armed_changes)
    return f"{'until' if check.armed else 'from'} {WEEKDAYS[when.weekday()].capitalize()} {when:%H:%M}"


def _style(check: CameraCheck) -> str:
    if check.verdict == NOT_ENABLED:
        return "dim"
    return "green" if check.ok else "red"

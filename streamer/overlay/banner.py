"""The frame-level alarm, a border and a banner with the time that nobody overlooks; and the learning part's label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from streamer.overlay.style import ALARM, LEARNING, LEARNING_ALARM, Colour, Style, put_text, text_width, tint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from fractions import Fraction

    from streamer.frames import Bgr, Frame

_MOST_ID = 24  # letters of an event's id


def clock(seconds: Fraction | float) -> str:
    """A time as ``h:mm:ss.d``, cut and not rounded, so that a picture is never dated into the next second."""
    tenths = int(abs(float(seconds)) * 10 + 1e-6)
    sign = "-" if seconds < 0 and tenths else ""
    return f"{sign}{tenths // 36000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def date(moment: datetime) -> str:
    """A wall-clock moment to the second, marked where it is UTC."""
    offset = moment.utcoffset()
    return f"{moment:%Y-%m-%d %H:%M:%S}" + (" UTC" if offset is not None and not offset else "")


def alarm_colour(*, learning: bool) -> Colour:
    """Red; orange in the learning part, whose alarms do not count."""
    return LEARNING_ALARM if learning else ALARM


def draw_border(picture: Bgr, style: Style, *, learning: bool) -> None:
    """Frame the picture in the alarm's colour, in place."""
    colour = alarm_colour(learning=learning)
    width = style.border
    for edge in (picture[:width], picture[-width:], picture[:, :width], picture[:, -width:]):
        edge[:] = colour


def draw_banner(picture: Bgr, frame: Frame, event_ids: Sequence[str], style: Style, *, learning: bool) -> None:
    """Lay the banner over the top: ALARM and the time; event and wall clock where there is room for them."""
    width = picture.shape[1]
    tint(picture[: style.banner], alarm_colour(learning=learning), 0.9)
    baseline = style.border + round(style.text * 1.5)
    pad = style.border + style.text
    room = width - 2 * pad
    titles = ["ALARM IN LEARNING", "LEARNING", ""] if learning else ["ALARM", ""]
    time = clock(frame.pts)
    lines = [f"{title}   {time}".strip() for title in titles]
    line = next((text for text in lines if text_width(text, style.text) <= room), time)
    put_text(picture, line, pad, baseline, style.text)
    room -= text_width(line, style.text) + 2 * style.text
    if frame.wall_clock is not None:
        room = _put_right(picture, date(frame.wall_clock), width - pad, baseline, style, room)
    if event_ids:
        more = f" +{len(event_ids) - 1}" if len(event_ids) > 1 else ""
        right = pad + text_width(line, style.text) + 2 * style.text + room
        _put_right(picture, event_ids[0][-_MOST_ID:] + more, right, baseline, style, room)


def _put_right(picture: Bgr, text: str, right: int, baseline: int, style: Style, room: int) -> int:
    """Write a text that ends at ``right`` if it fits; the room that is left to others."""
    taken = text_width(text, style.small)
    if taken > room:
        return room
    put_text(picture, text, right - taken, baseline, style.small)
    return room - taken - 2 * style.text


def draw_learning_label(picture: Bgr, style: Style) -> None:
    """A small sign in the corner that this part is learned from."""
    pad = max(3, style.small * 2 // 3)
    margin = style.border + style.small // 2
    width = text_width("LEARNING", style.small) + 2 * pad
    height = style.small + 2 * pad
    if margin + width > picture.shape[1]:
        return
    tint(picture[margin : margin + height, margin : margin + width], LEARNING, 0.85)
    put_text(picture, "LEARNING", margin + pad, margin + pad + style.small, style.small)
    cv2.rectangle(picture, (margin, margin), (margin + width - 1, margin + height - 1), LEARNING, 1)

"""The score strip: how irregular the scene was over time, against the threshold, with the alarms so far."""

from __future__ import annotations

from collections import deque
from enum import IntFlag
from typing import TYPE_CHECKING

import cv2
import numpy as np

from streamer.overlay.banner import clock
from streamer.overlay.style import ALARM, LEARNING_ALARM, WHITE, Colour, Style, put_text, text_width

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from streamer.frames import Bgr

SCROLLED = 20.0
"""Seconds shown where the length of the recording is not known."""

_TOP = 1.6  # level over threshold at the strip's upper edge
_PAUSE = 1.0  # seconds between two frames beyond which the time between shows as a gap; slow sources have more
_PICTURE_SHARE = 0.3  # of the picture that shines through
_REMEMBERED_IDS = 256  # events running at one time are far fewer

# Colours as they are added to the darkened picture.
_GROUND: Colour = (24, 20, 18)
_GROUND_LEARNING: Colour = (96, 54, 18)
_GROUND_ALARM: Colour = (32, 26, 118)
_BAR: Colour = (190, 190, 190)
_BAR_LEARNING: Colour = (225, 165, 95)
_THRESHOLD: Colour = (70, 160, 250)
_DIM: Colour = (150, 150, 150)


class _Mark(IntFlag):
    """What a column of the strip stands for."""

    SEEN = 1
    LEARNING = 2
    ALARM = 4
    STARTS = 8
    STARTS_LEARNING = 16


class ScoreStrip:
    """Keeps one column per pixel of width: bounded, however long the recording.

    With a known duration the strip shows the whole recording and a line for now; without one, the last
    :data:`SCROLLED` seconds. A recording longer than it said is squeezed to half the width as often as needed.
    """

    def __init__(self, width: int, style: Style, threshold: float, duration: float | None) -> None:
        """Make an empty strip.

        Args:
            width: of the picture, pixels.
            style: measures for the picture's size.
            threshold: level of the alarm.
            duration: seconds of the whole recording, None where it is not known.
        """
        self.events = 0
        self._style = style
        self._floor = style.strip - style.border  # the border's rows stay free: it would cover low scores
        self._hairline = max(1, style.strip // 40)
        self._threshold = max(threshold, 1e-6)
        pad = style.border + style.small // 2
        time = text_width("0:00:00.0", style.small) + pad
        self._shows_time = width >= 10 * time // 2
        self._left = pad + (time if self._shows_time else 0)
        counter = text_width("00 alarms" if self._shows_time else "00", style.small) + style.small + 2 * pad
        self._plot_width = max(1, width - self._left - counter)
        self._scrolls = duration is None or duration <= 0
        self._span = SCROLLED if duration is None or duration <= 0 else float(duration)
        self._scores = np.zeros(self._plot_width, dtype=np.float32)
        self._marks = np.zeros(self._plot_width, dtype=np.uint8)
        self._panel = np.full((style.strip, width, 3), _GROUND, dtype=np.uint8)
        self._origin: Fraction | None = None
        self._now = 0.0
        self._step = 0.0
        self._column = 0
        self._shifted = 0
        self._known: deque[str] = deque(maxlen=_REMEMBERED_IDS)
        self._paint(0, self._plot_width)

    def add(self, pts: Fraction, score: float | None, event_ids: Sequence[str], *, alarm: bool, learning: bool) -> None:
        """Take one frame: its time, its score (None: a gap), and whether it alarms."""
        if self._origin is None:
            self._origin = pts
        before, self._now = self._now, max(self._now, float(pts - self._origin))
        column = self._place(self._now)
        step, limit = self._now - before, max(_PAUSE, 3 * self._step)
        self._step = step
        first = self._column + 1 if step <= limit and self._marks.any() else column
        first = min(max(first, 0), column)
        marks = _Mark.LEARNING if learning else _Mark(0)
        if score is not None:
            marks |= _Mark.SEEN
            self._scores[first : column + 1] = np.maximum(self._scores[first : column + 1], score)
        if alarm:
            marks |= _Mark.ALARM
        self._marks[first : column + 1] |= np.uint8(marks)
        if self._count(event_ids, learning=learning):
            self._marks[column] |= np.uint8(_Mark.STARTS_LEARNING if learning else _Mark.STARTS)
        self._paint(first, column + 1)
        self._column = column

    def _count(self, event_ids: Sequence[str], *, learning: bool) -> bool:
        """Whether an event begins here; those of the learning part are marked and not counted."""
        new = [event for event in event_ids if event not in self._known]
        self._known.extend(new)
        if not learning:
            self.events += len(new)
        return bool(new)

    def _place(self, seconds: float) -> int:
        """The column of a time; makes room for it."""
        if not self._scrolls:
            while seconds > self._span * 1.001:
                self._squeeze()
            return min(int(seconds / self._span * self._plot_width), self._plot_width - 1)
        absolute = int(seconds / self._span * self._plot_width)
        if absolute - self._shifted >= self._plot_width:
            self._scroll(absolute - self._shifted - self._plot_width + 1)
        return absolute - self._shifted

    def _scroll(self, columns: int) -> None:
        self._shifted += columns
        self._column -= columns
        kept = max(0, self._plot_width - columns)
        for values in (self._scores, self._marks):
            values[:kept] = values[values.size - kept :].copy()
            values[kept:] = 0
        plot = self._plot
        plot[:, :kept] = plot[:, self._plot_width - kept :].copy()
        self._paint(kept, self._plot_width)

    def _squeeze(self) -> None:
        """Double the time shown: two columns become one."""
        self._span *= 2
        pairs = -(-self._plot_width // 2)
        for values, merge in ((self._scores, np.maximum), (self._marks, np.bitwise_or)):
            even = np.zeros(2 * pairs, dtype=values.dtype)
            even[: self._plot_width] = values
            values[:] = 0
            values[:pairs] = merge(even[::2], even[1::2])
        self._column //= 2
        self._paint(0, self._plot_width)

    @property
    def _plot(self) -> Bgr:
        return self._panel[:, self._left : self._left + self._plot_width]

    def _paint(self, first: int, end: int) -> None:
        """Colour the columns ``first .. end - 1`` of the panel from their scores and marks."""
        height = self._floor
        scores, marks = self._scores[first:end], self._marks[first:end]
        part = self._plot[:, first:end]
        learning, alarm = (marks & _Mark.LEARNING) > 0, (marks & _Mark.ALARM) > 0
        part[:] = _GROUND
        part[:, learning] = _GROUND_LEARNING
        part[:, alarm & ~learning] = _GROUND_ALARM
        share = np.clip(scores / (self._threshold * _TOP), 0.0, 1.0)
        # A score of 0 still has a bar of one pixel: only a frame without a score has none.
        tops = height - np.where((marks & _Mark.SEEN) > 0, np.maximum(1, np.round(share * (height - 2))), 0)
        bars = np.tile(np.array(_BAR, dtype=np.uint8), (scores.size, 1))
        bars[learning] = _BAR_LEARNING
        bars[alarm] = ALARM
        bars[alarm & learning] = LEARNING_ALARM
        rows, columns = np.nonzero(np.arange(height)[:, None] >= tops[None, :])
        part[rows, columns] = bars[columns]
        row = self._level_row(1.0)
        part[row : row + self._hairline] = _THRESHOLD
        tick = max(3, height // 5)
        part[:tick, (marks & _Mark.STARTS) > 0] = WHITE
        part[:tick, (marks & _Mark.STARTS_LEARNING) > 0] = LEARNING_ALARM

    def _level_row(self, ratio: float) -> int:
        return self._floor - round(ratio / _TOP * (self._floor - 2))

    def draw(self, picture: Bgr, pts: Fraction) -> None:
        """Lay the strip over the lower edge of a picture, in place."""
        style = self._style
        panel = self._panel.copy()
        plot = panel[:, self._left : self._left + self._plot_width]
        if not self._scrolls:
            plot[:, self._column : self._column + self._hairline] = WHITE
        baseline = (self._floor + style.border // 2 + style.small) // 2
        self._label_learning(plot)
        if self._shows_time:
            put_text(panel, clock(pts), style.border + style.small // 2, baseline, style.small)
        self._draw_counter(panel, baseline)
        target = picture[-style.strip :]
        cv2.addWeighted(target, _PICTURE_SHARE, panel[-target.shape[0] :], 1.0, 0.0, dst=target)

    def _label_learning(self, plot: Bgr) -> None:
        learning = np.flatnonzero(self._marks & _Mark.LEARNING)
        if learning.size and learning.size > text_width("LEARNING", self._style.small) + self._style.small:
            left = int(learning[0]) + self._style.small // 2
            put_text(
                plot, "LEARNING", left, self._style.small + self._style.strip // 8, self._style.small, _BAR_LEARNING
            )

    def _draw_counter(self, panel: Bgr, baseline: int) -> None:
        """How many events so far, with a red dot once there is one."""
        style = self._style
        text = str(self.events)
        if self._shows_time:
            text += " alarm" if self.events == 1 else " alarms"
        left = self._left + self._plot_width + style.small
        radius = style.small // 2
        colour = ALARM if self.events else _DIM
        centre = (left + radius, baseline - style.small // 2)
        cv2.circle(panel, centre, radius, colour, -1 if self.events else 1, cv2.LINE_AA)
        put_text(panel, text, left + 2 * radius + radius, baseline, style.small, WHITE if self.events else _DIM)

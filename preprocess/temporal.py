"""The three-channel window: six pictures at t - k*s, paired into differences or means, never across a segment's edge.

Learning and watching share :func:`choose_pictures` and :func:`window_channels`, so both see the same inputs.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

from preprocess.pictures import (
    GREY_LEVELS_PER_UNIT,
    Luma,
    Picture,
    Window,
    WindowMode,
    WindowPictures,
    WindowSettings,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

PICTURES_PER_WINDOW = 6
STEPS_REMEMBERED = 25  # the frame period is the median of this many steps: one long exposure does not move it
SLOWER = Fraction(21, 20)  # a frame period this much longer than the spacing takes its place
TIME_ROUNDING = Fraction(1, 1000)  # seconds by which times may be rounded: Matroska, FLV and RTMP count milliseconds
MEAN_GREY = 127.5  # `mean` channels are centred, as the paper scales pictures to -1..1


def to_working_size(luma: Luma, width: int, height: int) -> Luma:
    """Bring a grey picture to working resolution.

    Args:
        luma: ``(H, W)`` uint8.
        width: working width in pixels.
        height: working height in pixels.

    Returns:
        ``(height, width)`` uint8; shrinking averages areas, enlarging is bilinear.
    """
    if luma.shape == (height, width):
        return luma
    shrinking = luma.shape[1] >= width
    return np.asarray(
        cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR), np.uint8
    )


def frame_period(times: Sequence[Fraction]) -> Fraction | None:
    """Median step between neighbouring times in seconds; None where there are fewer than two."""
    if len(times) < 2:
        return None
    return median_step([later - earlier for earlier, later in pairwise(times)])


def recent_steps() -> deque[Fraction]:
    """An empty memory of the last steps between pictures, seconds; :func:`median_step` of it is the frame period."""
    return deque(maxlen=STEPS_REMEMBERED)


def median_step(steps: Collection[Fraction]) -> Fraction:
    """Median of at least one step, seconds."""
    return sorted(steps)[len(steps) // 2]


def spacing_at(spacing: Fraction, period: Fraction) -> Fraction:
    """The spacing for pictures of this frame period, seconds: the period itself where pictures come more slowly.

    Six pictures nearest to ``t - k * spacing`` can only differ where the period is at most 10/9 of the spacing. So a
    camera that slows down is watched on, if with larger steps than it was learned with.
    """
    return period if period > SLOWER * spacing else spacing


def oldest_needed(newest: Fraction, spacing: Fraction) -> Fraction:
    """Earliest time that a window may still use that ends now or later, seconds, however the frame period wavers.

    Args:
        newest: time of the latest picture.
        spacing: of :func:`spacing_at`, so that no period is longer than :data:`SLOWER` times it.
    """
    return newest - 5 * spacing - (SLOWER * spacing / 2 + TIME_ROUNDING)


def choose_pictures(times: Sequence[Fraction], spacing: Fraction, period: Fraction) -> tuple[int, ...] | None:
    """Choose the six pictures of the window that ends with the last time.

    For k = 0..5 the picture nearest to ``t - k * spacing`` is taken; it must lie within half a frame period of it, but
    for :data:`TIME_ROUNDING`, and the six must differ.

    Args:
        times: strictly rising times of the pictures of one segment, seconds; the last one is t.
        spacing: s in seconds.
        period: the frame period in seconds.

    Returns:
        Six indices into ``times``, newest first, or None where there is no window.
    """
    newest = times[-1]
    tolerance = period / 2 + TIME_ROUNDING
    if newest - times[0] < 5 * spacing - tolerance:
        return None
    chosen = [len(times) - 1]
    index = len(times) - 1
    for k in range(1, PICTURES_PER_WINDOW):
        target = newest - k * spacing
        while index > 0 and abs(times[index - 1] - target) <= abs(times[index] - target):
            index -= 1
        if abs(times[index] - target) > tolerance or index == chosen[-1]:
            return None
        chosen.append(index)
    return tuple(chosen)


def window_channels(pictures: Sequence[Luma], mode: WindowMode) -> NDArray[np.float32]:
    """Pair six pictures into three channels.

    Args:
        pictures: six ``(H, W)`` uint8 pictures, newest first.
        mode: ``difference``: f[0]-f[1], f[2]-f[3], f[4]-f[5]; ``mean``: the pair means of the same pictures, less
            mid-grey (AVID, ACCV 2018, after Deep-Anomaly's D_t, D_t-2, D_t-4).

    Returns:
        ``(3, H, W)`` float32 in units of 64 grey levels.
    """
    height, width = pictures[0].shape
    channels = np.empty((3, height, width), np.float32)
    for channel in range(3):
        newer = pictures[2 * channel]
        older = pictures[2 * channel + 1]
        if mode == "difference":
            cv2.subtract(newer, older, dst=channels[channel], dtype=cv2.CV_32F)
        else:
            cv2.addWeighted(newer, 0.5, older, 0.5, -MEAN_GREY, dst=channels[channel], dtype=cv2.CV_32F)
    channels /= GREY_LEVELS_PER_UNIT
    return channels


def window_of(pictures: WindowPictures) -> Window:
    """Make the window of six pictures."""
    return Window(window_channels(pictures.pictures, pictures.mode), pictures.pts, pictures.segment)


class WindowBuilder:
    """Builds the window of every picture as it comes; remembers no more than one window's worth of pictures."""

    def __init__(self, settings: WindowSettings) -> None:
        self.settings = settings
        self._segment: int | None = None
        self._times: deque[Fraction] = deque()
        self._lumas: deque[Luma] = deque()
        self._steps = recent_steps()

    def push(self, picture: Picture) -> Window | None:
        """Take the next picture of the source and give its window.

        Args:
            picture: upright, any size; times must rise within a segment.

        Returns:
            The window that ends with this picture; None during the first ``5 * spacing`` seconds of a segment and
            where no picture lies within half a frame period of a wanted time. Where pictures come more slowly than the
            spacing, see :func:`spacing_at`.
        """
        pictures = self.collect(picture)
        return None if pictures is None else window_of(pictures)

    def collect(self, picture: Picture) -> WindowPictures | None:
        """Take the next picture of the source as :meth:`push` does, and leave the window to :func:`window_of`."""
        if picture.segment != self._segment:
            self._segment = picture.segment
            self._times.clear()
            self._lumas.clear()
        if self._times:
            self._steps.append(picture.pts - self._times[-1])
        self._times.append(picture.pts)
        self._lumas.append(to_working_size(picture.luma, self.settings.width, self.settings.height))
        if not self._steps:
            return None
        period = median_step(self._steps)
        spacing = spacing_at(self.settings.spacing, period)
        while self._times[0] < oldest_needed(picture.pts, spacing):
            self._times.popleft()
            self._lumas.popleft()
        chosen = choose_pictures(list(self._times), spacing, period)
        if chosen is None:
            return None
        pictures = tuple(self._lumas[index] for index in chosen)
        return WindowPictures(pictures, self.settings.mode, picture.pts, picture.segment)

"""The pictures a scene is learned from, and the windows they form, kept small enough for memory.

Crops are cut at picture level (six pictures, not three differences), so that irregularities can be simulated and
brightness varied before differences are taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detectors.scene import MOST_PICTURES
from detectors.stretches import SpreadPictures
from preprocess.pictures import GREY_LEVELS_PER_UNIT, WindowSettings
from preprocess.temporal import (
    MEAN_GREY,
    PICTURES_PER_WINDOW,
    choose_pictures,
    median_step,
    oldest_needed,
    recent_steps,
    spacing_at,
    to_working_size,
    window_channels,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from fractions import Fraction

    import torch
    from numpy.typing import NDArray

    from preprocess.pictures import Picture, WindowMode

BACKGROUND_PICTURES = 41
MOTION_CELL = 8  # pixels; crops are drawn by the motion within cells of this side
FASTER_MULTIPLES = (2, 3)  # tables with the spacing enlarged: the same scene, seen moving faster


@dataclass(frozen=True, slots=True)
class WindowBank:
    """Windows of one scene (or several of one working size) with random access.

    Attributes:
        settings: spacing, working size and mode.
        pictures: ``(P, H, W)`` uint8 at working size, in order.
        tables: for each spacing multiple ``(N, 6)`` int64 indices into ``pictures``, newest first.
        motion: ``(N, H // 8, W // 8)`` float32 mean absolute difference per cell, grey levels, of ``tables[1]``.
        background: ``(H, W)`` float32 median picture, grey levels.
        times, segments: of every window of ``tables[1]``.
        seconds: length of the footage in seconds.
        every: one stretch in so many was kept of footage too long for memory.
    """

    settings: WindowSettings
    pictures: NDArray[np.uint8]
    tables: dict[int, NDArray[np.int64]]
    motion: NDArray[np.float32]
    background: NDArray[np.float32]
    times: tuple[Fraction, ...]
    segments: tuple[int, ...]
    seconds: float
    every: int = 1

    def __len__(self) -> int:
        """The number of windows at the scene's own spacing."""
        return len(self.tables[1])

    def windows(self, rows: Iterable[int]) -> NDArray[np.float32]:
        """Build whole windows: ``(B, 3, H, W)`` float32 in units of 64 grey levels."""
        table = self.tables[1]
        return np.stack([window_channels([self.pictures[i] for i in table[row]], self.settings.mode) for row in rows])

    def part(self, first: int, last: int) -> WindowBank:
        """The windows ``first`` to ``last`` (exclusive) in time order; pictures are shared, not copied."""
        share = (last - first) / max(1, len(self))
        first_picture = self.tables[1][first][0] if last > first else 0
        last_picture = self.tables[1][last - 1][0] if last > first else -1
        tables = {
            multiple: table[(table[:, 0] >= first_picture) & (table[:, 0] <= last_picture)]
            for multiple, table in self.tables.items()
        }
        return replace(
            self,
            tables=tables,
            motion=self.motion[first:last],
            times=self.times[first:last],
            segments=self.segments[first:last],
            seconds=self.seconds * share,
        )


def build_bank(
    pictures: Iterable[Picture],
    settings: WindowSettings,
    *,
    keep_going: Callable[[], bool] = lambda: True,
    most_pictures: int = MOST_PICTURES,
    spread: bool = False,
) -> WindowBank:
    """Read footage into a bank.

    Args:
        pictures: the footage, in order.
        settings: spacing, working size and mode of the scene.
        keep_going: asked at every picture; False ends the reading with what is there.
        most_pictures: memory bound; reading stops there.
        spread: read on beyond it, and keep whole stretches spread over all that was read.

    Returns:
        The bank; it may hold no window where the footage is too short or too broken.
    """
    sample = SpreadPictures(most_pictures)
    for picture in pictures:
        if sample.wants:
            sample.keep(picture, to_working_size(picture.luma, settings.width, settings.height))
        else:
            sample.skip()
        if (not spread and len(sample.lumas) >= most_pictures) or not keep_going():
            break
    lumas, times, numbers = sample.lumas, sample.times, sample.numbers()
    rows: dict[int, list[tuple[int, ...]]] = {multiple: [] for multiple in (1, *FASTER_MULTIPLES)}
    seconds = 0.0
    steps = recent_steps()  # as in WindowBuilder: the same pictures must give the same windows
    for start, end in sample.runs():
        firsts = dict.fromkeys(rows, start)
        for last in range(start + 1, end):
            steps.append(times[last] - times[last - 1])
            period = median_step(steps)
            single = spacing_at(settings.spacing, period)
            for multiple, found in rows.items():
                spacing = single * multiple
                first = firsts[multiple]
                while times[first] < oldest_needed(times[last], spacing):
                    first += 1
                firsts[multiple] = first
                chosen = choose_pictures(times[first : last + 1], spacing, period)
                if chosen is not None:
                    found.append(tuple(first + index for index in chosen))
        if end > start + 1:
            seconds += float(times[end - 1] - times[start] + median_step(steps))
    size = (settings.height, settings.width)
    stack = np.stack(lumas) if lumas else np.empty((0, *size), np.uint8)
    tables = {m: np.array(found, np.int64).reshape(-1, PICTURES_PER_WINDOW) for m, found in rows.items()}
    newest = [int(row[0]) for row in tables[1]]
    return WindowBank(
        settings=settings,
        pictures=stack,
        tables=tables,
        motion=_motion(stack, tables[1]),
        background=_background(stack),
        times=tuple(times[index] for index in newest),
        segments=tuple(numbers[index] for index in newest),
        seconds=seconds,
        every=sample.every,
    )


def _motion(pictures: NDArray[np.uint8], table: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean absolute difference per cell of every window, averaged over its three pairs."""
    height, width = pictures.shape[1:]
    cells = (width // MOTION_CELL, height // MOTION_CELL)
    motion = np.empty((len(table), cells[1], cells[0]), np.float32)
    for row, chosen in enumerate(table):
        total = np.zeros((height, width), np.float32)
        for pair in range(3):
            cv2.accumulate(cv2.absdiff(pictures[chosen[2 * pair]], pictures[chosen[2 * pair + 1]]), total)
        motion[row] = cv2.resize(total, cells, interpolation=cv2.INTER_AREA) / 3
    return motion


def _background(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Median of a few dozen pictures spread over the footage: the scene without what moves through it."""
    if len(pictures) == 0:
        return np.zeros(pictures.shape[1:], np.float32)
    spread = np.linspace(0, len(pictures) - 1, min(BACKGROUND_PICTURES, len(pictures))).round().astype(int)
    return np.asarray(np.median(pictures[spread], axis=0), np.float32)


def draw_crops(
    bank: WindowBank,
    count: int,
    size: int,
    random: np.random.Generator,
    *,
    multiple: int = 1,
    moving_share: float = 0.75,
    jitter: float = 1 / 3,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Cut random crops of six pictures, most of them where something moves.

    Args:
        bank: windows to cut from.
        count: number of crops B.
        size: side S in pixels (never larger than the picture).
        random: source of the draws.
        multiple: spacing multiple, one of ``bank.tables``.
        moving_share: share of crops near a moving cell; the others lie anywhere.
        jitter: how far from the crop's centre the moving cell may lie, in sides of the crop.

    Returns:
        ``(B, 6, S, S)`` uint8, newest picture first, and the backgrounds ``(B, S, S)`` float32 behind them.
    """
    table = bank.tables[multiple]
    height, width = bank.pictures.shape[1:]
    rows_high, rows_wide = bank.motion.shape[1:]
    crops = np.empty((count, PICTURES_PER_WINDOW, size, size), np.uint8)
    behind = np.empty((count, size, size), np.float32)
    for number in range(count):
        row = int(random.integers(len(table)))
        if random.random() < moving_share:
            # Tables of other spacings begin later: the row of the same newest picture tells where things move.
            here = int(np.searchsorted(bank.tables[1][:, 0], table[row, 0]))
            motion = bank.motion[min(here, len(bank.motion) - 1)].ravel()
            weights = np.cumsum(np.maximum(motion - np.median(motion), 0.01))
            cell = int(np.searchsorted(weights, random.random() * weights[-1]))
            cell = min(cell, rows_high * rows_wide - 1)
            centre = (np.array(divmod(cell, rows_wide)) + random.random(2)) * MOTION_CELL
            centre += random.uniform(-jitter * size, jitter * size, 2)
            top = int(np.clip(centre[0] - size / 2, 0, height - size))
            left = int(np.clip(centre[1] - size / 2, 0, width - size))
        else:
            top = int(random.integers(height - size + 1))
            left = int(random.integers(width - size + 1))
        crops[number] = bank.pictures[table[row], top : top + size, left : left + size]
        behind[number] = bank.background[top : top + size, left : left + size]
    return crops, behind


def pairs_to_channels(pictures: torch.Tensor, mode: WindowMode) -> torch.Tensor:
    """Pair crops of six pictures into channels, as :func:`preprocess.temporal.window_channels` does for whole windows.

    Args:
        pictures: ``(B, 6, S, S)`` float grey levels, newest first.
        mode: ``difference`` or ``mean``.

    Returns:
        ``(B, 3, S, S)`` in units of 64 grey levels.
    """
    newer, older = pictures[:, 0::2], pictures[:, 1::2]
    paired = newer - older if mode == "difference" else (newer + older) / 2 - MEAN_GREY
    return paired / GREY_LEVELS_PER_UNIT

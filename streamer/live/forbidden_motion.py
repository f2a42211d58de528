"""Zones where nothing may ever move: any motion above what the zone's own stillness is like alarms.

No network has a say here: a network that has seen a door open every morning would let it pass. What counts as still is
learned from the zone itself, robustly (Rousseeuw and Croux, 1993: the median absolute deviation does not move before
half of the samples do), so a noisy night does not alarm and a burglar who stays does not become normal soon.
"""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from detectors.regions import MAX_LEVEL, verdict_of
from preprocess.geometry import pixels_to_cells
from streamer.live.zones import cells_of, zones_under

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detectors.base import Verdict
    from detectors.regions import Placement
    from preprocess.geometry import CellGrid
    from streamer.live.config import ZoneConfig

SPREADS = 8.0
"""Motion this many standard deviations above the zone's median alarms."""
SMALLEST_STEP = 4.0 / 64
"""Motion less than four grey levels above the median never alarms: encoders and automatic exposure make up to three in
parts of a picture where nothing moves (the recording of a webcam); a person there made 30 to 190."""
SAMPLES = 300
SAMPLE_INTERVAL = Fraction(1)
"""The history is five minutes of one sample a second, at the start as many as come."""
FEWEST_SAMPLES = 20
_DEVIATIONS_PER_MAD = 1.4826  # of a normal distribution


def motion_on_cells(channels: NDArray[np.float32], grid: CellGrid) -> NDArray[np.float32]:
    """How much every cell of a window moves: the middle one of its three channels' mean absolute differences.

    What moves does so in all three; the key frame of an encoder, which redraws a still picture, in one.

    Args:
        channels: ``(3, H, W)`` of a window in ``difference`` mode, input units of 64 grey levels.
        grid: the cells to tell it on.

    Returns:
        ``(rows, columns)`` float32, input units.
    """
    size = (channels.shape[2], channels.shape[1])
    cells = np.stack([pixels_to_cells(np.abs(channel), grid, size) for channel in channels])
    return np.asarray(np.median(cells, axis=0), dtype=np.float32)


@dataclass(slots=True)
class _Stillness:
    """What one zone is like while nothing moves: its highest cell, over the last minutes."""

    cells: NDArray[np.bool_]
    samples: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    latest: Fraction | None = None
    median: float = 0.0
    step: float = SMALLEST_STEP  # from the median to the alarm

    def learn(self, value: float, pts: Fraction) -> None:
        """Take a sample; one that alarms counts as just alarming, so that what stays is learned slowly."""
        if self.latest is not None and len(self.samples) >= FEWEST_SAMPLES:
            if 0 <= pts - self.latest < SAMPLE_INTERVAL:
                return
            value = min(value, self.median + self.step)
        self.latest = pts
        self.samples.append(value)
        history = np.asarray(self.samples)
        self.median = float(np.median(history))
        spread = _DEVIATIONS_PER_MAD * float(np.median(np.abs(history - self.median)))
        self.step = max(SPREADS * spread, SMALLEST_STEP)

    @property
    def ready(self) -> bool:
        return len(self.samples) >= FEWEST_SAMPLES


class ForbiddenMotion:
    """Judges the ``nothing_may_move`` zones of one camera; its verdicts go to an event machine of their own."""

    def __init__(self, zones: Sequence[ZoneConfig], grid: CellGrid, placement: Placement, threshold: float) -> None:
        """Begin without knowing how still the zones are.

        Args:
            zones: of the camera; those of other kinds are left out.
            grid: the cells that motion is told on.
            placement: working and source size.
            threshold: level at which motion shall alarm: that of the camera, so that one event machine's settings do.
        """
        self._grid = grid
        self._placement = placement
        self._threshold = threshold
        self._zones = {
            zone.name: _Stillness(cells_of(zone, grid, placement.working_size))
            for zone in zones
            if zone.kind == "nothing_may_move"
        }

    @property
    def is_needed(self) -> bool:
        """Whether there is any such zone."""
        return bool(self._zones)

    def at(self, threshold: float) -> ForbiddenMotion:
        """The same zones, with what is known of their stillness, at another level of alarms."""
        other = copy.copy(self)
        other._threshold = threshold  # noqa: SLF001 - of this class
        return other

    def push(self, motion: NDArray[np.float32], pts: Fraction, *, learn: bool = True) -> Verdict | None:
        """Take the motion of the next window.

        Args:
            motion: ``(rows, columns)``, as from :func:`motion_on_cells`.
            pts: its time, seconds.
            learn: let it count as an example of stillness; no while the picture is unusable.

        Returns:
            A verdict whose levels are 0 at the zone's median and the threshold where it alarms; None while no zone has
            seen enough of its own stillness, some two seconds.
        """
        levels = np.zeros(motion.shape, dtype=np.float32)
        judged = False
        for zone in self._zones.values():
            highest = float(motion[zone.cells].max(initial=0.0))
            if zone.ready:
                judged = True
                relative = (motion - zone.median) * (self._threshold / zone.step)
                relative = np.clip(relative, 0.0, MAX_LEVEL)
                levels = np.where(zone.cells, np.maximum(levels, relative), levels).astype(np.float32)
            if learn:
                zone.learn(highest, pts)
        return verdict_of(levels, self._grid, self._placement, self._threshold) if judged else None

    def touched(self, verdict: Verdict) -> tuple[tuple[str, ...], ...]:
        """Names of the zones in which each region of a verdict moves."""
        named = [(name, zone.cells) for name, zone in self._zones.items()]
        return tuple(
            zones_under(region, verdict.levels, named, self._grid, self._placement, self._threshold)
            for region in verdict.regions
        )

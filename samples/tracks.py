"""Tracks: where everybody is, and in which pose, at any time.

They are planned once per scene on a fixed clock, so that every frame rate shows the same motion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from samples.gait import cadence

if TYPE_CHECKING:
    from samples.actors import Figure
    from samples.camera import Array
    from samples.settings import Kind

STEP: Final = 0.1
"""Seconds between the planned states of a track."""

X, Y, Z, HEADING, SPEED, PHASE, RUN, STOOP, ARM, ARM_ANGLE = range(10)
COLUMNS: Final = 10

_FASTEST_TURN: Final = 4.5
"""Radians per second that anybody turns at most."""


@dataclass(frozen=True, slots=True)
class TruthSpan:
    """The time in which a track is irregular.

    Attributes:
        event: number of the event within the scene, from 0.
        kind: what happens.
        start, end: seconds.
    """

    event: int
    kind: Kind
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Track:
    """One actor's way through the scene.

    Attributes:
        number: of the track within the scene, from 0.
        figure: who or what moves.
        start: seconds of the first state.
        states: ``(T, 10)`` one state every :data:`STEP` seconds: x, y, z in metres, heading in radians (unwrapped),
            speed in m/s, gait phase in cycles, run, stoop and arm 0 to 1, arm angle in radians.
        truth: when the actor is irregular, if ever.
    """

    number: int
    figure: Figure
    start: float
    states: Array
    truth: TruthSpan | None = None

    @property
    def end(self) -> float:
        """Seconds of the last state."""
        return self.start + (len(self.states) - 1) * STEP

    def at(self, time: float) -> Array:
        """State ``(10,)`` at a time in seconds, smooth between the planned ones (Catmull and Rom's spline)."""
        place = (time - self.start) / STEP
        index = min(max(math.floor(place), 0), len(self.states) - 2)
        t = min(max(place - index, 0.0), 1.0)
        block = self.states[max(index - 1, 0) : index + 3]
        if len(block) < 4:
            first = block[:1] if index == 0 else block[:0]
            last = block[-1:] if index + 3 > len(self.states) else block[:0]
            block = np.concatenate([first, block, last])
        weights = np.array(
            [
                0.5 * (-t + 2 * t * t - t**3),
                0.5 * (2 - 5 * t * t + 3 * t**3),
                0.5 * (t + 4 * t * t - 3 * t**3),
                0.5 * (-t * t + t**3),
            ]
        )
        return np.asarray(weights @ block)

    def irregular(self, time: float) -> bool:
        """Whether the actor belongs to an event at this time."""
        return self.truth is not None and self.truth.start <= time <= self.truth.end


def walk_states(
    places: Array, height: float, *, run: Array | float = 0.0, phase: float = 0.0, heading: float | None = None
) -> Array:
    """States of somebody on foot from where they are every :data:`STEP` seconds.

    Args:
        places: ``(T, 2)`` metres.
        height: of the person, metres; decides the length of the stride.
        run: ``(T,)`` or one value; 0 walks, 1 runs.
        phase: of the gait at the start, cycles.
        heading: to face before the first move, radians; by default that of the first move.

    Returns:
        ``(T, 10)``; see :class:`Track`.
    """
    count = len(places)
    out = np.zeros((count, COLUMNS))
    out[:, [X, Y]] = places
    velocity = np.gradient(places, STEP, axis=0) if count > 1 else np.zeros((1, 2))
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    out[:, SPEED] = _smooth(speed, 5)
    out[:, RUN] = run
    out[:, HEADING] = _headings(velocity, speed, heading)
    rate = cadence(out[:, SPEED], height, out[:, RUN])
    out[:, PHASE] = phase + np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * STEP)])
    return out


def _headings(velocity: Array, speed: Array, first: float | None) -> Array:
    """Heading along the velocity, held while standing, unwrapped and smooth."""
    angle = np.arctan2(velocity[:, 1], velocity[:, 0])
    moving = speed > 0.25
    if not moving.any():
        return np.full(len(speed), 0.0 if first is None else first)
    latest = np.maximum.accumulate(np.where(moving, np.arange(len(speed)), -1))
    start = first if first is not None else float(angle[int(np.argmax(moving))])
    held = np.where(latest >= 0, angle[np.maximum(latest, 0)], start)
    turned = np.unwrap(held)
    # Nobody spins on the spot, though a push from behind may turn the velocity at once.
    most = _FASTEST_TURN * STEP
    for index in range(1, len(turned)):
        turn = turned[index] - turned[index - 1]
        if abs(turn) > most:
            turned[index] = turned[index - 1] + math.copysign(most, turn)
    return _smooth(turned, 7)


def _smooth(values: Array, width: int) -> Array:
    """Moving average over ``width`` states, ends repeated."""
    padded = np.pad(values, width // 2, mode="edge")
    return np.asarray(np.convolve(padded, np.full(width, 1 / width), "valid"))

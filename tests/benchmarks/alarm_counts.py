"""False events on normal footage: how many there are at any rate asked for, and how many should be.

The counting behind ``alarm_rates.py``, which scores the footage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.stats import chi2

from detectors.base import Verdict
from detectors.calibration import SECONDS_PER_DAY, Calibration
from streamer.events import EventMachine, EventSettings, MessageKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

LEAST_EXPECTED = 6.0  # fewer expected events than that say nothing about a rate
LARGEST_FACTOR = 3.0
CONFIDENCE = 0.95
FINEST_TIME = 10**6  # no clock of a recording here is finer; floats of it are made exact fractions again


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of normal footage, scored once; ``N`` frames.

    Attributes:
        footage: what it is: ``ped2``, ``umn``, ``clips`` or ``generated``.
        name: of the clip or scene.
        calibration: of the model that watched it.
        times: ``(N,)`` float64 seconds of the source's clock.
        statistic: ``(N,)`` float32 largest statistic of every frame; NaN where it has no window.
    """

    footage: str
    name: str
    calibration: Calibration
    times: NDArray[np.float64]
    statistic: NDArray[np.float32]

    @property
    def seconds(self) -> float:
        """Seconds watched: frames that were scored times the frame period."""
        period = float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0
        return period * int(np.isfinite(self.statistic).sum())

    def rate_set(self, asked: float) -> float:
        """Events per day that the threshold is set for: no lower than footage bears out, no higher than its start."""
        return self.calibration.rate_set(asked)

    def events(self, asked: float) -> list[tuple[float, float]]:
        """First and last alarming moment of every event at a rate, seconds, by the shipped event machine.

        A frame alarms where its highest cell reaches the threshold; so the frame's largest statistic is all it takes.
        """
        threshold = self.calibration.threshold(asked)
        machine = EventMachine(self.name, EventSettings.at(threshold))
        nowhere = np.empty((0, 0), np.float32)
        messages = []
        for moment, statistic in zip(self.times, self.statistic, strict=True):
            verdict = None
            if math.isfinite(statistic):
                level = float(np.float32(self.calibration.level(statistic)))
                verdict = Verdict(level, float(10.0**-level), 0.0, 0.0, level >= threshold, nowhere, ())
            messages += machine.push(Fraction(float(moment)).limit_denominator(FINEST_TIME), verdict)
        messages += machine.close()
        ended = [message.event for message in messages if message.kind is MessageKind.END]
        return [(float(event.start), float(event.end)) for event in ended]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "footage": self.footage,
            "name": self.name,
            "calibration": self.calibration.to_json(),
            "times": self.times.tolist(),
            "statistic": [round(float(value), 7) if math.isfinite(value) else None for value in self.statistic],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_json`."""
        statistic = [math.nan if value is None else value for value in values["statistic"]]
        return cls(
            values["footage"],
            values["name"],
            Calibration.from_json(values["calibration"]),
            np.array(values["times"], np.float64),
            np.array(statistic, np.float32),
        )


@dataclass(frozen=True, slots=True)
class Line:
    """What came of one rate on some pieces.

    Attributes:
        footage: what the pieces are, in words.
        asked: events per day asked for.
        set_lowest, set_highest: events per day the thresholds were set for; they differ from scene to scene.
        seconds: watched.
        expected: events at the rates set.
        observed: events counted.
        pieces: number of pieces, and of those with an event.
        pieces_with_events: see ``pieces``.
    """

    footage: str
    asked: float
    set_lowest: float
    set_highest: float
    seconds: float
    expected: float
    observed: int
    pieces: int
    pieces_with_events: int

    @property
    def per_day(self) -> float:
        """Events per watched day."""
        return self.observed * SECONDS_PER_DAY / self.seconds

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds of :attr:`per_day`."""
        low, high = poisson_interval(self.observed)
        return low * SECONDS_PER_DAY / self.seconds, high * SECONDS_PER_DAY / self.seconds

    @property
    def kept(self) -> bool | None:
        """Whether observed and expected events are within the factor; None where too few are expected to tell."""
        if self.expected < LEAST_EXPECTED:
            return None
        return self.expected / LARGEST_FACTOR <= self.observed <= self.expected * LARGEST_FACTOR

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return {**values, "per_day": self.per_day, "interval": list(self.interval), "kept": self.kept}


def poisson_interval(count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact (Garwood 1936) bounds of the mean of a Poisson number that came out as ``count``."""
    outside = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(chi2.ppf(outside, 2 * count)) / 2
    return low, float(chi2.ppf(1 - outside, 2 * count + 2)) / 2


def line_of(title: str, pieces: Sequence[Piece], asked: float) -> Line:
    """Count one rate over some pieces."""
    counts = [len(piece.events(asked)) for piece in pieces]
    rates = [piece.rate_set(asked) for piece in pieces]
    return Line(
        footage=title,
        asked=asked,
        set_lowest=min(rates),
        set_highest=max(rates),
        seconds=sum(piece.seconds for piece in pieces),
        expected=sum(piece.seconds * rate for piece, rate in zip(pieces, rates, strict=True)) / SECONDS_PER_DAY,
        observed=sum(counts),
        pieces=len(pieces),
        pieces_with_events=sum(count > 0 for count in counts),
    )


def table_of(lines: Iterable[Line]) -> str:
    """The lines as a markdown table."""
    titles = ["footage", "watched", "asked a day", "set a day", "expected", "observed", "in pieces"]
    titles += ["observed a day (95 %)", f"within a factor of {LARGEST_FACTOR:g}"]
    rows = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for line in lines:
        low, high = (f"{rate:,.0f}" for rate in (line.set_lowest, line.set_highest))
        bounds = " to ".join(f"{bound:,.0f}" for bound in line.interval)
        kept = {None: f"under {LEAST_EXPECTED:g} expected", True: "yes", False: "**no**"}[line.kept]
        watched = f"{line.seconds / 3600:.2f} h" if line.seconds >= 1800 else f"{line.seconds / 60:.1f} min"
        rows.append(
            f"| {line.footage} | {watched} | {line.asked:,g} | {low if low == high else f'{low} to {high}'} "
            f"| {line.expected:.1f} | {line.observed} | {line.pieces_with_events} of {line.pieces} "
            f"| {line.per_day:,.0f} ({bounds}) | {kept} |"
        )
    return "\n".join(rows)

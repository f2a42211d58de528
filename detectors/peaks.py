"""The highest that normal footage of hours reached, as numbers: what thresholds for rare events rest on.

A day of scores fits in no memory, its highest peaks do. They are peaks over a threshold (Coles 2001, chapter 4): the
tail above their lowest is exponential, and its scale follows from them by maximum likelihood. What alarmed was not
learned from, so every peak is known to lie below the threshold it was watched with; the likelihood is that of a
*truncated* exponential. Taking the peaks for a whole tail instead would find it too short, lower the threshold, leave
out more, and so creep down with every refresh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from detectors.calibration import BASE_WEIGHT, Calibration, location_and_scale, sustained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MOST_PEAKS = 128  # of one watch and one decision: from them to the rarest rate asked for is five scales at most
FEWEST_PEAKS = 12  # below them the peaks say less than the base model's tail
LEAST_SHARE = 0.5  # of the sample's time that must have been watched for its peaks to be worth more than the sample
LEAST_ROOM = 0.5  # scales between the peaks' start and the alarms, below which a truncated tail says nothing
MINIMUM_DURATION = 0.3  # seconds an event must last, as in :func:`detectors.calibration.calibrate`
MERGE_GAP = 1.0  # seconds below which two peaks are one, as there
STEPS = 200  # of the fixed-point iteration; a tail cut at three scales needs a dozen


@dataclass(frozen=True, slots=True)
class Rescaling:
    """How statistics under one model become statistics under the next: ``slope * statistic + offset``."""

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, statistic: float) -> float:
        """The statistic under the next model."""
        return self.slope * statistic + self.offset

    @classmethod
    def between(cls, before: NDArray[np.floating], after: NDArray[np.floating]) -> Self:
        """From the statistics of the same frames under both models, by their location and scale."""
        (low, unit), (new_low, new_unit) = location_and_scale(before), location_and_scale(after)
        slope = new_unit / unit
        return cls(slope, new_low - slope * low)


@dataclass(frozen=True, slots=True)
class Watch:
    """What normal footage reached while one model watched.

    Attributes:
        seconds: normal footage watched.
        known: seconds of footage that were watched when the model was made.
        start: sustained statistic above which ``peaks`` holds all clusters.
        bound: statistic from which frames alarm; no peak lies above it.
        peaks: the largest of every cluster of the sustained statistic, falling.
    """

    seconds: float
    known: float
    start: float
    bound: float
    peaks: tuple[float, ...] = ()

    def rescaled(self, change: Rescaling) -> Watch:
        """The same under the next model."""
        return replace(
            self, start=change(self.start), bound=change(self.bound), peaks=tuple(change(peak) for peak in self.peaks)
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = {name: getattr(self, name) for name in ("seconds", "known", "start", "bound")}
        return values | {"peaks": list(self.peaks)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from :meth:`to_json`; KeyError, TypeError or ValueError where values do not fit."""
        numbers = {name: float(values[name]) for name in ("seconds", "known", "start", "bound")}
        peaks = sorted((float(peak) for peak in values["peaks"]), reverse=True)
        if not all(math.isfinite(number) for number in (*numbers.values(), *peaks)) or len(peaks) > MOST_PEAKS:
            raise ValueError("peaks that are not finite numbers, or too many")
        if min(numbers["seconds"], numbers["known"]) < 0:
            raise ValueError("times are not negative")
        return cls(**numbers, peaks=tuple(peaks))


@dataclass(slots=True)
class PeakCounter:
    """Finds the clusters of one watch as its frames come.

    Attributes:
        watch: what was found so far; the cluster that still goes on is not in it.
    """

    watch: Watch
    _peaks: list[float] = field(default_factory=list)
    _carried: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    _open: tuple[float, float] | None = None  # time and peak of the cluster that may go on

    def __post_init__(self) -> None:
        """Go on from the peaks of a watch that was interrupted."""
        self._peaks = list(self.watch.peaks)

    def push(
        self, statistics: NDArray[np.floating], times: NDArray[np.float64], *, frame_rate: float, goes_on: bool
    ) -> None:
        """Take the next stretch of normal frames.

        Args:
            statistics: largest of every frame, ``(N,)``.
            times: of the frames, seconds, ``(N,)``.
            frame_rate: frames per second.
            goes_on: they follow the stretch before without a gap.
        """
        length = max(1, round(MINIMUM_DURATION * frame_rate))
        if not goes_on:
            self._carried = np.empty(0)
        values = np.concatenate([self._carried, np.asarray(statistics, np.float64)])
        # The first frames of a stretch have lasted for an unknown time: they show no peak.
        lasting = sustained(values, length)[length - 1 :][-len(times) :]
        self._carried = values[len(values) - (length - 1) :] if length > 1 else np.empty(0)
        seen = times[len(times) - len(lasting) :]
        above = np.flatnonzero(lasting > self.watch.start)
        clusters = np.split(above, np.flatnonzero(np.diff(seen[above]) > MERGE_GAP) + 1) if len(above) else []
        for cluster in clusters:
            self._merge(float(seen[cluster[0]]), float(seen[cluster[-1]]), float(lasting[cluster].max()))
        self.watch = replace(self.watch, seconds=self.watch.seconds + len(statistics) / frame_rate)
        if len(self._peaks) >= 2 * MOST_PEAKS:
            self._forget_lowest()

    def _merge(self, first: float, last: float, peak: float) -> None:
        if self._open is not None and first - self._open[0] <= MERGE_GAP:
            peak = max(peak, self._open[1])
        elif self._open is not None:
            self._peaks.append(self._open[1])
        self._open = (last, peak)

    def _forget_lowest(self) -> None:
        self._peaks = sorted(self._peaks, reverse=True)[:MOST_PEAKS]
        self.watch = replace(self.watch, start=max(self.watch.start, self._peaks[-1]))

    def closed(self) -> Watch:
        """The watch with all its peaks, the open cluster's included."""
        peaks = sorted([*self._peaks, *([self._open[1]] if self._open else [])], reverse=True)
        start = max(self.watch.start, peaks[MOST_PEAKS]) if len(peaks) > MOST_PEAKS else self.watch.start
        return replace(self.watch, start=start, peaks=tuple(peaks[:MOST_PEAKS]))


def with_peaks(calibration: Calibration, watches: Sequence[Watch], false_alarms_per_day: float) -> Calibration:
    """A calibration whose events' tail rests on all normal footage watched, where that is more than it knows itself.

    The higher half of the peaks enters (the lower ones are the noise of empty scenes, whose tail is another), those
    above a common start, each truncated at the bound it was watched with. The threshold for the rate
    asked for never lies below the highest peak: what normal footage reached without alarm shall not alarm now.
    ``seconds`` becomes the time watched, since the highest of all of it is known.

    Args:
        calibration: from a sample of the footage.
        watches: under this calibration's model.
        false_alarms_per_day: the rate asked for.
    """
    seconds = sum(watch.seconds for watch in watches)
    if not watches or seconds < LEAST_SHARE * calibration.seconds:
        return calibration
    start = max(watch.start for watch in watches)
    peaks = sorted((peak for watch in watches for peak in watch.peaks), reverse=True)
    used = int(np.clip(len(peaks) // 2, 2 * FEWEST_PEAKS, MOST_PEAKS))
    if len(peaks) > used:
        start = max(start, peaks[used])
    room = LEAST_ROOM * calibration.event_scale
    groups = [
        (watch.seconds, np.array([peak - start for peak in watch.peaks if peak > start]), watch.bound - start)
        for watch in watches
        if watch.bound - start > room
    ]
    count = sum(len(excesses) for _, excesses, _ in groups)
    if count < FEWEST_PEAKS:
        return calibration
    scale = truncated_scale([(excesses, bound) for _, excesses, bound in groups], calibration.event_scale)
    at_risk = sum(watched * -math.expm1(-bound / scale) for watched, _, bound in groups)
    refined = replace(
        calibration,
        event_start=start,
        event_scale=scale,
        event_rate=count / max(at_risk, 1e-9),
        seconds=max(seconds, calibration.seconds),
    )
    lacking = peaks[0] - refined.statistic(refined.threshold(false_alarms_per_day))
    return replace(refined, event_start=start + lacking) if lacking > 0 else refined


def truncated_scale(groups: Sequence[tuple[NDArray[np.floating], float]], prior_scale: float) -> float:
    """Scale of an exponential tail of which nothing above a bound is known, not even how often it was exceeded.

    Solves the likelihood equation ``s = (sum of excesses + sum over groups n b / (exp(b / s) - 1)) / n`` by fixed-point
    iteration, with the prior's scale as :data:`BASE_WEIGHT` excesses more.

    Args:
        groups: excesses over the tail's start, and the bound over it, above which none is known.
        prior_scale: what the scale is drawn to where there are few.
    """
    count = BASE_WEIGHT + sum(len(excesses) for excesses, _ in groups)
    total = BASE_WEIGHT * prior_scale + sum(float(np.minimum(excesses, bound).sum()) for excesses, bound in groups)
    scale = max(total / count, 1e-3)
    for _ in range(STEPS):
        unseen = sum(len(excesses) * bound / math.expm1(min(bound / scale, 500.0)) for excesses, bound in groups)
        found = (total + unseen) / count
        if abs(found - scale) < 1e-6 * scale:
            break
        scale = max(found, 1e-3)
    return scale

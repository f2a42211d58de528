"""From scores of normal footage to p-values and to false events per day.

The frame statistic is the largest joint evidence of a frame. Its p-value is empirical up to a high quantile of the
scene's own footage and follows a generalised Pareto tail beyond it (Pickands 1975; peaks over threshold, Coles 2001,
chapter 4). An event needs the statistic to stay up for a while, so the event rate is taken from clusters of the
*sustained* statistic (the smallest of the last few frames), with its own tail. Where a scene is empty for part of the
time, its frames are of two kinds, and the gap between them is no spread of either: location, scale, body and tails are
those of the frames in which something moves, while events are counted over all of the time. A short learning gives
location and scale; the tail's shape, and what its scale lacks in footage, come from the base model. The shape is never
negative: no finite end point, so that every rate asked for has a finite threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

SECONDS_PER_DAY = 86_400.0
BODY_QUANTILES = tuple(np.concatenate([np.linspace(0, 0.9, 19), np.linspace(0.91, 0.99, 9), [0.995]]).tolist())
TAIL_FROM = 0.90  # quantile of the scene's own frames at which the tail begins
HIGHEST_LEVEL = 15.9  # levels are stored in 8 bits of 1/16
LEAST_MOVING = 10  # frames in which something moves; of fewer nothing is known, and all frames are taken
FEW_BODIES = 5.0  # seconds with motion: where a scene is mostly empty, so many show hardly more than one body
BASE_WEIGHT = 12.0  # how many own exceedances the base model's tail scale is worth


@dataclass(frozen=True, slots=True)
class TailPrior:
    """What the base model knows of tails, in units of a scene's own scale (see :func:`location_and_scale`).

    Attributes:
        shape: of the generalised Pareto tail of frames, >= 0.
        scale: of the same, in scene scales.
        event_offset: how far above the scene's own 90 % quantile of the sustained statistic the event tail begins.
        event_shape, event_scale: of the tail of sustained peaks.
        event_rate: clusters of the sustained statistic above the tail's start, per second.
        seconds: normal footage behind all this.
    """

    shape: float = 0.1
    scale: float = 0.8
    event_offset: float = 0.0
    event_shape: float = 0.1
    event_scale: float = 0.8
    event_rate: float = 0.05
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """The scene's scale of evidence.

    Attributes:
        knots: rising frame statistics at ``BODY_QUANTILES``, up to the tail's start.
        survival: share of normal frames above each knot, falling.
        start: statistic at which the tail begins.
        start_survival: share of normal frames above ``start``.
        shape, scale: of the frame tail.
        event_start: sustained statistic at which the event tail begins.
        event_rate: clusters per second above ``event_start``.
        event_shape, event_scale: of the event tail.
        seconds: normal footage of the scene behind this.
        base_seconds: normal footage of the base model's scenes behind its tails.
        causes: independent causes of false events that share the threshold, each as frequent; ``event_rate`` counts
            all of them.
    """

    knots: tuple[float, ...]
    survival: tuple[float, ...]
    start: float
    start_survival: float
    shape: float
    scale: float
    event_start: float
    event_rate: float
    event_shape: float
    event_scale: float
    seconds: float
    base_seconds: float = 0.0
    causes: float = 1.0

    def p_value(self, statistic: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Share of normal frames with motion that reach ``statistic`` (any shape), in (0, 1]; never rising."""
        values = np.asarray(statistic, np.float64)
        body = np.interp(values, self.knots, np.log(self.survival))
        excess = np.maximum(values - self.start, 0.0)
        tail = math.log(self.start_survival) + _log_survival(excess, self.shape, self.scale)
        return np.exp(np.where(values <= self.start, body, tail))

    def level(self, statistic: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """``-log10`` of :meth:`p_value`, bounded to what 8-bit maps hold."""
        return np.minimum(-np.log10(np.maximum(self.p_value(statistic), 1e-300)), HIGHEST_LEVEL)

    def statistic(self, level: float) -> float:
        """The smallest statistic of that level (inverse of :meth:`level`)."""
        log_p = -level * math.log(10)
        if log_p >= math.log(self.start_survival):
            logs = np.log(self.survival)
            return float(np.interp(-log_p, -logs, self.knots))
        return self.start + _excess_at(log_p - math.log(self.start_survival), self.shape, self.scale)

    def events_per_day(self, statistic: float) -> float:
        """Expected false events per watched day at a threshold on the statistic."""
        excess = statistic - self.event_start
        if excess <= 0:
            return self.event_rate * SECONDS_PER_DAY
        log_share = float(_log_survival(np.asarray(excess), self.event_shape, self.event_scale))
        return self.event_rate * SECONDS_PER_DAY * math.exp(log_share)

    def threshold(self, false_alarms_per_day: float) -> float:
        """The finite threshold, as a level, for so many false events per watched day.

        Rates below :attr:`lowest_per_day` are not extrapolated to: no footage bears out the tail there, and every
        step further costs real events. The threshold is then the one of that rate.

        Raises:
            ValueError: the rate is not positive.
        """
        if not false_alarms_per_day > 0:
            raise ValueError(f"the accepted rate must be positive, not {false_alarms_per_day}")
        rate = self.rate_set(false_alarms_per_day)
        log_share = math.log(rate / (self.event_rate * SECONDS_PER_DAY))
        excess = 0.0 if log_share >= 0 else _excess_at(log_share, self.event_shape, self.event_scale)
        return float(self.level(self.event_start + excess))

    def rate_set(self, false_alarms_per_day: float) -> float:
        """The rate the threshold is set for: the one asked for, within what events and footage allow.

        Not below the lowest rate that footage bears out, nor above that of all events of the tail's start.
        """
        return max(min(false_alarms_per_day, self.event_rate * SECONDS_PER_DAY), self.lowest_per_day)

    @property
    def lowest_per_day(self) -> float:
        """The lowest rate that the scene's footage and the base model's scenes together bear out.

        No event in T bounds each cause's rate at 3 / T (95 %).
        """
        return self.causes * 3.0 * SECONDS_PER_DAY / max(self.seconds + self.base_seconds, 1e-9)

    @property
    def supported_per_day(self) -> float:
        """The lowest rate the scene's own footage supports: no event in T bounds each cause at 3 / T (95 %)."""
        return self.causes * 3.0 * SECONDS_PER_DAY / max(self.seconds, 1e-9)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from :meth:`to_json`; ValueError where values are missing, not finite or out of order."""
        read: dict[str, Any] = {}
        for name in cls.__slots__:
            if name not in values:
                raise ValueError(f"the calibration lacks {name!r}")
            value = values[name]
            try:
                read[name] = tuple(float(v) for v in value) if name in ("knots", "survival") else float(value)
            except (TypeError, OverflowError) as error:
                raise ValueError(f"the calibration's {name!r} is not made of numbers") from error
        numbers = [*read["knots"], *read["survival"], *(v for v in read.values() if isinstance(v, float))]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError("the calibration holds numbers that are not finite")
        knots, survival = read["knots"], read["survival"]
        if len(knots) != len(survival) or len(knots) < 2 or any(s <= 0 for s in survival):
            raise ValueError("the calibration's knots and survival do not fit each other")
        if any(np.diff(knots) < 0) or any(np.diff(survival) > 0) or min(read["scale"], read["event_scale"]) <= 0:
            raise ValueError("the calibration is not monotone")
        rounding = 1e-6
        if not 0 < read["start_survival"] <= survival[-1] + rounding <= survival[0] + rounding <= 1 + rounding or (
            read["start"] < knots[-1] - rounding
        ):
            raise ValueError("the calibration's tail does not go on where its body ends")
        if not read["causes"] >= 1:
            raise ValueError("the calibration knows no cause of false events")
        if not (0 <= read["shape"] < 1 and 0 <= read["event_shape"] < 1 and read["event_rate"] > 0):
            raise ValueError("the calibration's tails have no finite threshold")
        return cls(**read)


def location_and_scale(statistics: NDArray[np.floating]) -> tuple[float, float]:
    """Median and a robust spread of frame statistics: a scene's own units.

    The spread is that of the upper half (90 % quantile less median, over 1.2816), because tails are what it serves;
    it is bounded below so that a dead scene does not turn noise into alarms.
    """
    middle, high = np.quantile(statistics, [0.5, 0.9])
    return float(middle), float(max((high - middle) / 1.2816, SMALLEST_SCALE))


SMALLEST_SCALE = 0.25  # joint evidence; scenes without motion vary less than this by sensor noise alone


def sustained(statistics: NDArray[np.floating], frames: int) -> NDArray[np.float64]:
    """The smallest of the last ``frames`` statistics at each frame ``(N,)``; the first ones see fewer."""
    values = np.asarray(statistics, np.float64)
    result = values.copy()
    for lag in range(1, frames):
        result[lag:] = np.minimum(result[lag:], values[:-lag])
    return result


def cluster_peaks(statistics: NDArray[np.floating], threshold: float, gap: int) -> NDArray[np.float64]:
    """Peaks of the runs above a threshold; runs closer than ``gap`` frames are one (runs declustering)."""
    above = np.flatnonzero(np.asarray(statistics) > threshold)
    if len(above) == 0:
        return np.empty(0)
    breaks = np.flatnonzero(np.diff(above) > gap) + 1
    return np.array([statistics[run].max() for run in np.split(above, breaks)], np.float64)


def calibrate(
    segments: Sequence[NDArray[np.floating]],
    frame_rate: float | Sequence[float],
    prior: TailPrior,
    *,
    minimum_duration: float = 0.3,
    merge_gap: float = 1.0,
    tolerated: float = 0.0,
    moving: Sequence[NDArray[np.bool_]] | None = None,
) -> Calibration:
    """Calibrate on frame statistics of normal footage that trained nothing.

    Args:
        segments: frame statistics in order, one array per unbroken stretch.
        frame_rate: scored frames per second, of all segments or of each.
        prior: tails from the base model.
        minimum_duration: seconds an event must last (as in the event machine).
        merge_gap: seconds below which two alarms are one event.
        tolerated: share of frames at the top that may be irregular and is left out of the tail's own scale.
        moving: for every segment, in which of its frames something moves; None: in all.

    Raises:
        ValueError: no frame at all.
    """
    frames = np.concatenate([np.asarray(s, np.float64) for s in segments]) if segments else np.empty(0)
    if len(frames) == 0:
        raise ValueError("calibration needs scored normal footage")
    rates = [frame_rate] * len(segments) if isinstance(frame_rate, int | float) else list(frame_rate)
    seconds = sum(len(segment) / rate for segment, rate in zip(segments, rates, strict=True))
    busy = np.concatenate(moving) if moving is not None else np.ones(len(frames), np.bool_)
    if int(busy.sum()) < LEAST_MOVING:
        busy = np.ones(len(frames), np.bool_)
    frames = frames[busy]
    _, unit = location_and_scale(frames)
    if not busy.all():
        unit *= math.sqrt(1 + FEW_BODIES * len(busy) / seconds / len(frames))
    start = float(np.quantile(frames, TAIL_FROM))
    trusted = frames[frames <= np.quantile(frames, 1 - tolerated)] if tolerated else frames
    start_survival = 1 - TAIL_FROM
    kept = 1 - min(tolerated / start_survival, 0.9)
    scale = _tail_scale(trusted[trusted > start] - start, prior.shape, prior.scale * unit, kept)
    quantiles = [q for q in BODY_QUANTILES if q < TAIL_FROM] + [TAIL_FROM]
    knots = np.quantile(frames, quantiles)
    lasting = [sustained(s, max(1, round(minimum_duration * rate))) for s, rate in zip(segments, rates, strict=True)]
    joined = np.concatenate(lasting)[busy]
    event_start = float(np.quantile(joined, TAIL_FROM)) + prior.event_offset * unit
    gaps = [max(1, round(merge_gap * rate)) for rate in rates]
    peaks = np.concatenate([cluster_peaks(s, event_start, gap) for s, gap in zip(lasting, gaps, strict=True)])
    # Whatever reaches the highest frames may be one of the irregular ones: there it is known only to be high.
    bound = float(np.quantile(frames, 1 - tolerated)) - event_start if tolerated else math.inf
    event_scale = _censored_scale(peaks - event_start, bound, prior.event_scale * unit)
    prior_seconds = BASE_WEIGHT / prior.event_rate
    event_rate = (len(peaks) + BASE_WEIGHT) / (seconds + prior_seconds)
    return Calibration(
        knots=tuple(np.maximum.accumulate(knots).tolist()),
        survival=tuple((1 - np.asarray(quantiles)).tolist()),
        start=start,
        start_survival=start_survival,
        shape=prior.shape,
        scale=scale,
        event_start=event_start,
        event_rate=event_rate,
        event_shape=prior.event_shape,
        event_scale=event_scale,
        seconds=seconds,
        base_seconds=prior.seconds,
    )


def _tail_scale(excesses: NDArray[np.float64], shape: float, prior_scale: float, kept: float = 1.0) -> float:
    """Tail scale from excesses over the start, drawn to the prior's where they are few.

    The mean of a generalised Pareto tail is scale / (1 - shape), which gives the scale at a known shape. Where only
    the smallest ``kept`` of the excesses are trusted, their mean is that of the tail cut at this quantile.
    """
    count = len(excesses)
    own = float(excesses.mean()) / _mean_below(kept, shape) if count else 0.0
    return max((count * own + BASE_WEIGHT * prior_scale) / (count + BASE_WEIGHT), 1e-3)


def _censored_scale(excesses: NDArray[np.float64], bound: float, prior_scale: float) -> float:
    """Scale of an exponential tail from excesses of which those over ``bound`` are only known to be over it.

    The maximum-likelihood estimate is the sum of all, cut at the bound, over the number below it; drawn to the prior's
    where those are few. A bound below the tail's start leaves the prior alone.
    """
    if bound <= 0:
        return max(prior_scale, 1e-3)
    known = int((excesses <= bound).sum())
    total = float(np.minimum(excesses, bound).sum())
    return max((total + BASE_WEIGHT * prior_scale) / (known + BASE_WEIGHT), 1e-3)


def _mean_below(kept: float, shape: float) -> float:
    """Mean of the smallest ``kept`` (0..1] of a generalised Pareto tail of scale 1: its quantiles' integral."""
    if kept >= 1:
        return 1 / (1 - shape)
    if shape < 1e-6:
        return 1 + (1 - kept) * math.log1p(-kept) / kept
    return float(((1 - (1 - kept) ** (1 - shape)) / (1 - shape) - kept) / (shape * kept))


def _log_survival(excess: NDArray[np.float64], shape: float, scale: float) -> NDArray[np.float64]:
    """``log P(excess exceeded)`` of a generalised Pareto tail with ``shape >= 0``."""
    if shape < 1e-6:
        return -excess / scale
    return -np.log1p(shape * excess / scale) / shape


def _excess_at(log_share: float, shape: float, scale: float) -> float:
    """Inverse of :func:`_log_survival`, finite for every finite share."""
    if shape < 1e-6:
        return -log_share * scale
    return math.expm1(-shape * log_share) * scale / shape

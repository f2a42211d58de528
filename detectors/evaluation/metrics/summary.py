"""From what a scorer made of a whole set to the figures of its table, under their names in ``results.json``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from detectors.evaluation.metrics.curves import Curve, roc
from detectors.evaluation.metrics.events import Alarm, EventFigures, EventTruth, event_level
from detectors.evaluation.metrics.frame import fill_unscored, macro_area
from detectors.evaluation.metrics.tally import PixelResult, dual_pixel_curve, pixel_curve, pooled_region_curves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detectors.evaluation.metrics.regions import RegionCurves


@dataclass(frozen=True, slots=True)
class ClipResult:
    """What a scorer made of one test clip.

    Attributes:
        name: for errors.
        irregular: ``(N,)`` truth of every used frame.
        scores: ``(N,)``, higher is more irregular. NaN for frames without a score: the first frames of a clip take
            the score of its first scored frame, later ones keep the last score before them (``fill_unscored``); how
            many there were is reported as ``unscored_frames``.
        pixels: the result of the clip's ``PixelTally``; None where the set has no masks.
        alarms: events at the shipped threshold; None where they were not computed.
        times: ``(N,)`` seconds of the frames, on the clock of the alarms; needed with alarms.
        before: last score of the file it goes on from, the clip before it in the list: both are one recording, with one
            curve and one run of truth. None where it begins by itself.
    """

    name: str
    irregular: NDArray[np.bool_]
    scores: NDArray[np.floating]
    pixels: PixelResult | None = None
    alarms: tuple[Alarm, ...] | None = None
    times: NDArray[np.float64] | None = None
    before: float | None = None


@dataclass(frozen=True, slots=True)
class MetricSet:
    """The figures of a set, or of one clip of it.

    Attributes:
        metrics: by name; a figure that the truth does not allow (no mask, frames of one kind alone) is absent.
            ``frame_auc`` (micro: all frames pooled), ``frame_auc_macro``, ``frame_eer``, ``pixel_auc``, ``pixel_eer``,
            ``dual_pixel_auc``, ``dual_pixel_eer``, ``rbdc``, ``tbdc`` and ``event_recall`` are fractions;
            ``false_events_per_hour`` counts per hour of normal footage; ``event_delay_seconds`` is a mean.
        counts: ``frames``, ``irregular_frames``, ``unscored_frames``; with masks ``unlocated_frames`` (left out of the
            pixel and region figures), ``truth_regions`` and ``tracks``; with events ``truth_stretches``,
            ``found_stretches``, ``events`` and ``false_events``.
        frame, pixel, dual_pixel, regions: curves to plot.
        events: event level in full.
    """

    metrics: dict[str, float]
    counts: dict[str, int]
    frame: Curve | None
    pixel: Curve | None
    dual_pixel: Curve | None
    regions: RegionCurves | None
    events: EventFigures | None


def summarise(clips: Sequence[ClipResult]) -> MetricSet:
    """Compute every figure the clips allow, pooled over all of them.

    Raises:
        InputError: a clip without a single score.
        ValueError: truth, scores or times of a clip differ in length; alarms without times.
    """
    filled, unscored = [], 0
    for clip in clips:
        if clip.scores.shape != clip.irregular.shape:
            raise ValueError(f"{clip.name}: truth {clip.irregular.shape} and scores {clip.scores.shape} differ")
        scores, missing = fill_unscored(clip.scores, clip.name, before=clip.before)
        filled.append((clip.irregular, scores))
        unscored += missing
    irregular = np.concatenate([truth for truth, _ in filled] or [np.zeros(0, np.bool_)])
    frame = None
    if irregular.any() and not irregular.all():
        frame = roc(irregular, np.concatenate([scores for _, scores in filled]))
    pixels = [clip.pixels for clip in clips if clip.pixels is not None]
    pixel, dual, regions = pixel_curve(pixels), dual_pixel_curve(pixels), pooled_region_curves(pixels)
    events = _events(clips)
    values = {
        "frame_auc": frame.area() if frame else None,
        "frame_auc_macro": macro_area(_recordings(clips, filled)),
        "frame_eer": frame.equal_error_rate() if frame else None,
        "pixel_auc": pixel.area() if pixel else None,
        "pixel_eer": pixel.equal_error_rate() if pixel else None,
        "dual_pixel_auc": dual.area() if dual else None,
        "dual_pixel_eer": dual.equal_error_rate() if dual else None,
        "rbdc": regions.rbdc() if regions else None,
        "tbdc": regions.tbdc() if regions else None,
        "event_recall": events.recall() if events else None,
        "false_events_per_hour": events.false_per_hour() if events else None,
        "event_delay_seconds": events.delay() if events else None,
    }
    counts = {
        "frames": int(irregular.size),
        "irregular_frames": int(irregular.sum()),
        "unscored_frames": unscored,
        **_pixel_counts(pixels),
        **_event_counts(events),
    }
    metrics = {name: value for name, value in values.items() if value is not None}
    return MetricSet(metrics, counts, frame, pixel, dual, regions, events)


def _recordings(
    clips: Sequence[ClipResult], filled: Sequence[tuple[NDArray[np.bool_], NDArray[np.float64]]]
) -> list[tuple[NDArray[np.bool_], NDArray[np.float64]]]:
    """Truth and scores of whole recordings: a file that goes on from the one before is part of it."""
    found: list[tuple[NDArray[np.bool_], NDArray[np.float64]]] = []
    for clip, (truth, scores) in zip(clips, filled, strict=True):
        if clip.before is not None and found:
            earlier = found.pop()
            found.append((np.concatenate((earlier[0], truth)), np.concatenate((earlier[1], scores))))
        else:
            found.append((truth, scores))
    return found


def _events(clips: Sequence[ClipResult]) -> EventFigures | None:
    given: list[tuple[EventTruth, tuple[Alarm, ...]]] = []
    for clip in clips:
        if clip.alarms is None:
            continue
        if clip.times is None:
            raise ValueError(f"{clip.name}: alarms can only be judged with the times of the frames")
        where = clip.pixels
        truth = EventTruth(
            clip.irregular, clip.times, where.truth_frames if where else None, where.truth_regions if where else None
        )
        if clip.before is not None and given:
            given.append(_joined(*given.pop(), truth, clip.alarms))
        else:
            given.append((truth, clip.alarms))
    return event_level(given) if given else None


def _joined(
    first: EventTruth, alarms: tuple[Alarm, ...], second: EventTruth, more: tuple[Alarm, ...]
) -> tuple[EventTruth, tuple[Alarm, ...]]:
    """Two files of one recording, the second one frame behind the first."""
    step = float(np.median(np.diff(first.times))) if first.times.size > 1 else 0.0
    shift = float(first.times[-1] + step - second.times[0])
    moved = tuple(
        Alarm(one.start + shift, one.end + shift, tuple(replace(box, time=box.time + shift) for box in one.boxes))
        for one in more
    )
    frames = boxes = None
    if first.frames is not None and second.frames is not None and first.boxes is not None and second.boxes is not None:
        frames = np.concatenate((first.frames, second.frames + len(first.times)))
        boxes = np.concatenate((first.boxes, second.boxes))
    truth = EventTruth(
        np.concatenate((first.irregular, second.irregular)),
        np.concatenate((first.times, second.times + shift)),
        frames,
        boxes,
    )
    return truth, (*alarms, *moved)


def _pixel_counts(pixels: Sequence[PixelResult]) -> dict[str, int]:
    if not pixels:
        return {}
    return {
        "unlocated_frames": sum(int(clip.unlocated) for clip in pixels),
        "truth_regions": sum(int(clip.truth_frames.size) for clip in pixels),
        "tracks": sum(int(clip.track_lengths.size) for clip in pixels),
    }


def _event_counts(events: EventFigures | None) -> dict[str, int]:
    if events is None:
        return {}
    return {
        "truth_stretches": events.stretches,
        "found_stretches": events.found,
        "events": events.events,
        "false_events": events.false,
    }

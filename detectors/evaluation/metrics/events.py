"""Event level, at the shipped threshold: what a guard would have been told, how late, and how often for nothing.

A truth stretch is a run of irregular frames without a normal one between; it lasts until the next frame. It is found if
an event overlaps it in time, and, where both the truth and the event say where, if a box of the event meets a truth
box: the boxes of an event belong to moments, and the one frame of the stretch nearest to such a moment counts, at most
half a second away. Recall is the share of stretches found. An event is false if it overlaps no stretch in time at all;
false events are counted per hour of normal footage, the only time in which they can happen. The delay of a found
stretch is the first alarming moment within it minus its start: 0 where an event that finds it was already on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NEAR = 0.5
"""Seconds a box of an event and a frame of the truth may be apart: tracks of long events are thinned."""


@dataclass(frozen=True, slots=True)
class AlarmBox:
    """Where an event was at one moment: seconds, and pixels of the upright source."""

    time: float
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """An event of the watcher.

    Attributes:
        start, end: seconds of its first and its last alarming frame, on the clock of the clip's frame times.
        boxes: where it was; empty if that is not known.
    """

    start: float
    end: float
    boxes: tuple[AlarmBox, ...] = ()


@dataclass(frozen=True, slots=True)
class EventTruth:
    """When and where one clip is irregular.

    Attributes:
        irregular: ``(N,)`` truth of every used frame.
        times: ``(N,)`` seconds of the frames, rising.
        frames, boxes: ``(R,)`` frame and ``(R, 4)`` box (left, top, right, bottom; the latter two excluded) of every
            truth region, as in ``PixelResult``; None where the set has frame truth alone.
    """

    irregular: NDArray[np.bool_]
    times: NDArray[np.float64]
    frames: NDArray[np.int64] | None = None
    boxes: NDArray[np.int32] | None = None


@dataclass(frozen=True, slots=True)
class EventFigures:
    """Event level of a set of clips.

    Attributes:
        stretches, found: truth stretches in all, and how many of them were found.
        events, false: events in all, and how many of them were false.
        normal_seconds: duration of the normal frames.
        delays: ``(found,)`` seconds.
    """

    stretches: int
    found: int
    events: int
    false: int
    normal_seconds: float
    delays: NDArray[np.float64]

    def recall(self) -> float | None:
        """Share of the stretches found, 0..1; None without one."""
        return self.found / self.stretches if self.stretches else None

    def false_per_hour(self) -> float | None:
        """False events per hour of normal footage; None without any."""
        return self.false / self.normal_seconds * 3600.0 if self.normal_seconds > 0 else None

    def delay(self) -> float | None:
        """Mean delay of the stretches found, seconds; None without one."""
        return float(self.delays.mean()) if self.delays.size else None


def stretches_of(irregular: NDArray[np.bool_], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Truth stretches ``(S, 2)`` of one clip: start, and end excluded, in seconds.

    Args:
        irregular: ``(N,)``.
        times: ``(N,)`` seconds. The last frame lasts as long as the frames do on (median) average.
    """
    edges = np.diff(np.concatenate(([0], irregular.astype(np.int8), [0])))
    until = np.append(times, times[-1] + _frame_duration(times)) if times.size else times
    return np.stack((until[np.flatnonzero(edges == 1)], until[np.flatnonzero(edges == -1)]), axis=1)


def event_level(clips: Sequence[tuple[EventTruth, Sequence[Alarm]]]) -> EventFigures:
    """Compare the events of every clip with its truth.

    Raises:
        ValueError: truth and times of a clip differ in length, or times do not rise.
    """
    stretches = found = events = false = 0
    normal_seconds = 0.0
    delays: list[float] = []
    for truth, alarms in clips:
        if truth.irregular.shape != truth.times.shape or (np.diff(truth.times) <= 0).any():
            raise ValueError("every frame of the truth needs its time, and times must rise")
        spans = stretches_of(truth.irregular, truth.times)
        stretches += len(spans)
        events += len(alarms)
        false += sum(not any(_overlap(alarm, *span) for span in spans) for alarm in alarms)
        durations = np.append(np.diff(truth.times), _frame_duration(truth.times)) if truth.times.size else truth.times
        normal_seconds += float(durations[~truth.irregular].sum())
        for start, end in spans:
            finding = [alarm for alarm in alarms if _overlap(alarm, start, end) and _meets(alarm, truth, start, end)]
            if finding:
                found += 1
                delays.append(max(min(alarm.start for alarm in finding) - start, 0.0))
    return EventFigures(stretches, found, events, false, normal_seconds, np.asarray(delays, np.float64))


def _overlap(alarm: Alarm, start: float, end: float) -> bool:
    return alarm.start < end and alarm.end >= start


def _meets(alarm: Alarm, truth: EventTruth, start: float, end: float) -> bool:
    """Whether the event is where the stretch is, as far as both say."""
    if not alarm.boxes or truth.frames is None or truth.boxes is None:
        return True
    times = truth.times[truth.frames]
    within = (times >= start) & (times < end)
    times, boxes = times[within], truth.boxes[within]
    if not times.size:
        return True  # irregular by frame truth alone: nobody knows where
    for box in alarm.boxes:
        apart = np.abs(times - box.time)
        nearest = boxes[apart == apart.min()] if apart.min() <= NEAR else boxes[:0]
        if (
            (nearest[:, 0] < box.x + box.width)
            & (nearest[:, 2] > box.x)
            & (nearest[:, 1] < box.y + box.height)
            & (nearest[:, 3] > box.y)
        ).any():
            return True
    return False


def _frame_duration(times: NDArray[np.float64]) -> float:
    return float(np.median(np.diff(times))) if times.size > 1 else 0.0

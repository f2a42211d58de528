"""From verdicts to events: when something irregular begins, how long it lasts, where it was seen best.

Pure logic without input, output or clock: the live path and re-thresholding push the same verdicts and get the same
events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Self

from detectors.regions import MAX_LEVEL

if TYPE_CHECKING:
    from datetime import datetime

    from detectors.base import Region, Verdict

Seconds = Fraction | float
"""A length of time; floats are taken at their decimal value, so that 0.3 means three tenths."""

MAX_TRACK_BOXES = 1000
"""Longest track of one event, in boxes; a longer one keeps every second, fourth, ... frame."""

MAX_BOXES_PER_FRAME = 8
"""Boxes of one frame that enter the track, highest level first."""


def exact_seconds(value: Seconds) -> Fraction:
    """Seconds as an exact fraction; a float counts as the decimal number it prints as."""
    return value if isinstance(value, Fraction) else Fraction(str(value))


@dataclass(frozen=True, slots=True)
class EventSettings:
    """When an event begins and ends. Times are seconds of the source's own clock.

    Attributes:
        enter_level: level a frame must reach, with an alarm, to begin an event.
        exit_level: an event that has begun goes on while frames reach this level without a break; at most
            ``enter_level``.
        minimum_duration: shortest time from the first to the last alarming frame of an event.
        minimum_frames: fewest frames at or above ``enter_level`` in an event.
        merge_gap: alarms less than this apart are one event.
        cooldown: no event begins within this time after the end of the one before.
        maximum_duration: a longer event is split; its parts follow each other without a gap.
        update_interval: time between two ``update`` messages of one event.
    """

    enter_level: float
    exit_level: float
    minimum_duration: Seconds = Fraction(3, 10)
    merge_gap: Seconds = Fraction(1)
    cooldown: Seconds = Fraction(0)
    maximum_duration: Seconds = Fraction(600)
    minimum_frames: int = 2
    update_interval: Seconds = Fraction(1)

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if not 0 < self.exit_level <= self.enter_level:
            raise ValueError(f"exit level {self.exit_level} must be above 0 and at most the enter level")
        if min(self.minimum_duration, self.merge_gap, self.cooldown, self.update_interval) < 0:
            raise ValueError("an event's times must not be negative")
        if self.maximum_duration <= self.minimum_duration:
            raise ValueError("the maximum duration of an event must be above the minimum duration")
        if self.minimum_frames < 1:
            raise ValueError("an event has at least one frame")

    @classmethod
    def at(cls, threshold: float) -> Self:
        """The defaults for a threshold: events are left at nine tenths of the level they are entered at.

        At the usual thresholds that is half a level: a normal frame is three times as likely to score so high.
        """
        return cls(enter_level=threshold, exit_level=0.9 * threshold)


@dataclass(frozen=True, slots=True)
class TrackBox:
    """Where a region of an event was at one moment.

    Attributes:
        pts: seconds.
        x, y, width, height: box in upright source pixels.
    """

    pts: Fraction
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something irregular in one source, from its first to its last alarming frame.

    Attributes:
        id: stable in all messages of this event and unique within its source: ``<source>-<start in ms>``.
        source: the source's id.
        kind: what it is: ``anomaly``; live cameras have more (:class:`streamer.live.notices.EventKind`).
        start, end, peak: PTS in seconds of the first, the last and the highest alarming frame.
        start_time, end_time, peak_time: the same on the wall clock, where known.
        peak_level: the highest frame score, ``-log10 p``.
        peak_p_value: ``10 ** -peak_level``.
        regions: the irregular regions of the peak frame, upright source pixels.
        track: the regions over time, at most ``MAX_TRACK_BOXES`` boxes.
        frames: alarming frames.
        in_learning: the whole event lies in the part of the recording that was learned from.
        continues: id of the event this one is the next part of, after a split by the maximum duration.
        snapshot: path of the peak picture relative to the run folder, once it is written.
        clip: path of the evidence clip relative to the run folder, once it is written; live cameras only.
        provisional: raised while a live camera still learned what is normal.
        zones: names of the zones its regions touched.
        detail: more to say in a few words, such as why a camera is offline, or what held alarms back.
    """

    id: str
    source: str
    kind: str
    start: Fraction
    end: Fraction
    peak: Fraction
    start_time: datetime | None
    end_time: datetime | None
    peak_time: datetime | None
    peak_level: float
    peak_p_value: float
    regions: tuple[Region, ...]
    track: tuple[TrackBox, ...]
    frames: int
    in_learning: bool
    continues: str | None = None
    snapshot: str | None = None
    clip: str | None = None
    provisional: bool = False
    zones: tuple[str, ...] = ()
    detail: str | None = None

    def with_snapshot(self, path: str | None) -> Event:
        """The same event with the path of its peak picture."""
        return replace(self, snapshot=path)


class MessageKind(Enum):
    """What an event message says; every event has one ``new``, any number of ``update`` and one ``end``."""

    NEW = "new"
    UPDATE = "update"
    END = "end"


@dataclass(frozen=True, slots=True)
class EventMessage:
    """A step in the life of an event.

    Attributes:
        kind: new, update or end.
        event: the event as it is known at this moment.
    """

    kind: MessageKind
    event: Event


@dataclass(slots=True)
class _Track:
    """The boxes of an event, thinned evenly in time when there are too many."""

    boxes: list[tuple[int, TrackBox]] = field(default_factory=list)
    frame: int = 0
    stride: int = 1

    def add(self, pts: Fraction, regions: tuple[Region, ...]) -> None:
        if self.frame % self.stride == 0:
            self.boxes += [
                (self.frame, TrackBox(pts, region.x, region.y, region.width, region.height))
                for region in regions[:MAX_BOXES_PER_FRAME]
            ]
        self.frame += 1
        while len(self.boxes) > MAX_TRACK_BOXES:
            self.stride *= 2
            self.boxes = [(frame, box) for frame, box in self.boxes if frame % self.stride == 0]


@dataclass(slots=True)
class _Moment:
    """One alarming frame."""

    pts: Fraction
    wall_clock: datetime | None
    level: float
    regions: tuple[Region, ...]
    enters: bool
    in_learning: bool


@dataclass(slots=True)
class _Span:
    """A stretch of alarming frames: an event, or one in the making."""

    first: _Moment
    last: _Moment
    peak: _Moment
    track: _Track
    frames: int = 0
    entering: int = 0
    pushed: int = 0  # frames since the first, alarming or not
    in_learning: bool = True
    id: str = ""  # empty until it is an event
    continues: str | None = None
    told: Fraction = Fraction(0)  # PTS of the latest message

    @classmethod
    def begin(cls, moment: _Moment) -> _Span:
        return cls(moment, moment, moment, _Track())

    def add(self, moment: _Moment) -> bool:
        """Take an alarming frame in; True where it is the new peak."""
        self.last = moment
        self.frames += 1
        self.pushed += 1
        self.entering += moment.enters
        self.in_learning &= moment.in_learning
        self.track.add(moment.pts, moment.regions)
        best = self.frames == 1 or (moment.enters and moment.level > self.peak.level)
        if best:
            self.peak = moment
        return best


class EventMachine:
    """Turns the verdicts of one source, pushed in order, into events.

    A frame *enters* where its verdict is an alarm that reaches the enter level; it *stays* where it directly follows
    an alarming frame and still reaches the exit level. Both are alarming frames. A stretch of alarming frames becomes
    an event as soon as it has lasted the minimum duration with the minimum number of entering frames. Short breaks
    within the stretch are bridged while more than half of its frames alarm, so a flickering thing is found and two
    lone spikes are not. An event ends when nothing has alarmed for the merge gap.

    Memory does not depend on the length of the recording.
    """

    def __init__(self, source: str, settings: EventSettings, kind: str = "anomaly") -> None:
        """Start before the first frame of a source.

        Args:
            source: the source's id; event ids begin with it.
            settings: levels and times.
            kind: what the events of this machine are.
        """
        self._source = source
        self._kind = kind
        self._enter = settings.enter_level
        self._exit = settings.exit_level
        self._minimum_frames = settings.minimum_frames
        self._minimum = exact_seconds(settings.minimum_duration)
        self._merge_gap = exact_seconds(settings.merge_gap)
        self._cooldown = exact_seconds(settings.cooldown)
        self._maximum = exact_seconds(settings.maximum_duration)
        self._update_interval = exact_seconds(settings.update_interval)
        self._span: _Span | None = None
        self._running = False  # the frame before was an alarming one
        self._latest: Fraction | None = None
        self._armed_from: Fraction | None = None
        self._highest_start_ms: int | None = None
        self._repeats = 0
        self._at_peak = False

    @property
    def at_peak(self) -> bool:
        """Whether the frame pushed last is the best picture so far of an event, open or in the making.

        Handle the messages of a push first, then keep the frame's picture if this is True, in place of the one kept
        before: at an ``end`` the picture kept is the one of that event.
        """
        return self._at_peak

    @property
    def open_id(self) -> str | None:
        """Id of the event that is open after the frame pushed last; None also while it is too early to say."""
        return self._span.id or None if self._span is not None else None

    def push(
        self,
        pts: Fraction,
        verdict: Verdict | None,
        *,
        in_learning: bool = False,
        wall_clock: datetime | None = None,
    ) -> list[EventMessage]:
        """Take the next frame.

        Args:
            pts: its time in seconds. An earlier time than the last one (a jump backwards) ends what was open.
            verdict: what the detector says of it; None where it was not scored, or where alarms are held back.
            in_learning: the frame was learned from.
            wall_clock: when it was taken, where known.

        Returns:
            The messages this frame gives rise to, in order; mostly none.
        """
        messages: list[EventMessage] = []
        self._at_peak = False
        if self._latest is not None and pts < self._latest:
            messages += self.close()
            self._armed_from = None
        self._latest = pts
        moment = self._moment(pts, verdict, in_learning=in_learning, wall_clock=wall_clock)
        if moment is None:
            messages += self._quiet(pts)
        else:
            messages += self._alarming(moment)
        self._running = moment is not None
        return messages

    def close(self) -> list[EventMessage]:
        """End what is still open, at the end of the source; the machine can go on afterwards."""
        self._running = False
        return self._end()

    def _moment(
        self, pts: Fraction, verdict: Verdict | None, *, in_learning: bool, wall_clock: datetime | None
    ) -> _Moment | None:
        """The frame as an alarming one, or None where it is not."""
        if verdict is None or math.isnan(verdict.score):
            return None
        level = min(verdict.score, MAX_LEVEL)
        enters = verdict.alarm and level >= self._enter
        if enters and self._span is None and self._armed_from is not None and pts < self._armed_from:
            return None
        stays = self._running and self._span is not None and level >= self._exit
        if not (enters or stays):
            return None
        return _Moment(pts, wall_clock, level, verdict.regions, enters, in_learning)

    def _quiet(self, pts: Fraction) -> list[EventMessage]:
        span = self._span
        if span is None:
            return []
        if pts - span.last.pts >= self._merge_gap:
            return self._end()
        span.pushed += 1
        return []

    def _alarming(self, moment: _Moment) -> list[EventMessage]:
        messages: list[EventMessage] = []
        span = self._span
        if span is not None and not self._running and moment.pts - span.last.pts >= self._merge_gap:
            messages += self._end()
            if self._armed_from is not None and moment.pts < self._armed_from:
                return messages
            span = None
        if span is None:
            span = self._begin(moment)
        elif moment.pts - span.first.pts > self._maximum:
            return [*messages, *self._split(span, moment)]
        elif not span.id and not self._running and 2 * (span.frames + 1) <= span.pushed + 1:
            span = self._begin(moment)  # too thin so far: start over at this frame
        self._at_peak = span.add(moment)
        if not span.id:
            lasted = span.last.pts - span.first.pts >= self._minimum
            if lasted and span.entering >= self._minimum_frames:
                messages.append(self._announce(span))
        elif moment.pts - span.told >= self._update_interval:
            span.told = moment.pts
            messages.append(EventMessage(MessageKind.UPDATE, self._event(span)))
        return messages

    def _split(self, span: _Span, moment: _Moment) -> list[EventMessage]:
        """Roll over: end what has lasted the maximum duration, and go on with its next part where this frame enters."""
        messages = self._end()
        if not moment.enters:
            return messages
        follower = self._begin(moment)
        self._at_peak = follower.add(moment)
        if span.id:
            follower.continues = span.id
            messages.append(self._announce(follower))
        return messages

    def _begin(self, moment: _Moment) -> _Span:
        self._span = _Span.begin(moment)
        return self._span

    def _announce(self, span: _Span) -> EventMessage:
        """Make an event of the span; its id is unique even where the source's clock has jumped back."""
        start_ms = math.floor(span.first.pts * 1000 + Fraction(1, 2))
        span.id = f"{self._source}-{start_ms}"
        if self._highest_start_ms is not None and start_ms <= self._highest_start_ms:
            self._repeats += 1
            span.id += f"-{self._repeats + 1}"
        self._highest_start_ms = max(start_ms, self._highest_start_ms or start_ms)
        span.told = span.last.pts
        return EventMessage(MessageKind.NEW, self._event(span))

    def _end(self) -> list[EventMessage]:
        span, self._span = self._span, None
        if span is None or not span.id:
            return []
        self._armed_from = span.last.pts + self._cooldown
        return [EventMessage(MessageKind.END, self._event(span))]

    def _event(self, span: _Span) -> Event:
        return Event(
            id=span.id,
            source=self._source,
            kind=self._kind,
            start=span.first.pts,
            end=span.last.pts,
            peak=span.peak.pts,
            start_time=span.first.wall_clock,
            end_time=span.last.wall_clock,
            peak_time=span.peak.wall_clock,
            peak_level=span.peak.level,
            peak_p_value=float(10.0**-span.peak.level),
            regions=span.peak.regions,
            track=tuple(box for _, box in span.track.boxes),
            frames=span.frames,
            in_learning=span.in_learning,
            continues=span.continues,
        )

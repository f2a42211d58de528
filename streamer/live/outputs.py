"""What becomes of one live camera's judged frames: scores, events, snapshots, clips, and the notices of all that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from threading import RLock
from typing import TYPE_CHECKING

import cv2

from preprocess.errors import OutputError
from streamer.events import EventMachine, MessageKind
from streamer.live.notices import EventKind, EventNotice, ScoreNotice, StateNotice
from streamer.live.zones import held_back
from streamer.overlay import Overlay, snapshot
from streamer.sinks.annotated_clips import AnnotatedClips
from streamer.sinks.clips import EvidenceRecorder, EvidenceSettings
from streamer.sinks.event_log import EventLog
from streamer.sinks.recorder import SegmentedRecorder
from streamer.sinks.run_folder import SNAPSHOTS
from streamer.sinks.score_days import ScoreDays
from streamer.sinks.score_table import ScoreRow
from streamer.sinks.snapshots import JPEG_QUALITY
from streamer.sinks.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, tzinfo

    from detectors.base import Verdict
    from streamer.events import Event, EventMessage
    from streamer.frames import Frame, SourceInfo
    from streamer.live.config import CameraConfig
    from streamer.live.folder import LiveFolder
    from streamer.live.notices import Notice, NoticeSink
    from streamer.live.watching import Watching
    from streamer.metrics import Metrics
    from streamer.sinks.clips import ClipWriter
    from streamer.sinks.storage import StorageWatch

NOTICE_DELAY = 5.0
"""Seconds from the moment an event is one until its clip is begun, at most."""

SCORE_SECONDS = 1.0
"""How often a camera's score is told."""

ON_THEIR_WAY = 2.0
"""Seconds that frames may still take through the networks after their connection is gone."""

SET_BACK = 60.0
"""Seconds by which a frame can only be older than a lost connection if the wall clock was set back."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One frame of a live camera with all that was found out about it.

    Attributes:
        frame: as the source gave it.
        watching: the model it was judged with, and what the camera's settings make of that.
        verdict: of the networks, with the camera's zones applied; None where it was not scored.
        motion: verdict of the zones where nothing may move; None where there are none, or nothing moved.
        note: why it was not scored; else empty.
        held: why its alarms are held back; empty where they are not.
        provisional: the camera still learns.
    """

    frame: Frame
    watching: Watching
    verdict: Verdict | None
    motion: Verdict | None
    note: str
    held: str
    provisional: bool


@dataclass(slots=True)
class _Line:
    """One kind of alarm of a camera: its event machine, and the best picture of the event that goes on."""

    kind: EventKind
    machine: EventMachine
    threshold: float
    best: Outcome | None = None


class CameraOutputs:
    """Writes everything one live camera gives; frames on the writer's thread, notices from any.

    Attributes:
        alarms: events that alarmed so far.
        scored: frames judged so far.
    """

    def __init__(
        self,
        config: CameraConfig,
        folder: LiveFolder,
        *,
        hub: NoticeSink,
        clips: ClipWriter,
        storage: StorageWatch,
        metrics: Metrics,
        warn: Callable[[str], None],
        zone: tzinfo,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Open the camera's files, which are appended to.

        Args:
            config: of the camera.
            folder: its own, locked.
            hub: takes notices.
            clips: the thread that writes clips.
            storage: says whether there is room.
            metrics: counts.
            warn: told in one line what a person should know.
            zone: the camera's time zone.
            now: the wall clock.

        Raises:
            OutputError: its files cannot be written.
        """
        self.alarms = 0
        self.scored = 0
        self._config = config
        self._folder = folder
        self._hub = hub
        self._storage = storage
        self._metrics = metrics
        self._warn = warn
        self._now = now
        self._zone = zone
        self._lock = RLock()
        self._hours = config.armed_hours()
        self._log = EventLog(folder.events, append=True)
        self._scores = ScoreDays(folder, zone, storage)
        self.evidence: EvidenceRecorder | None = None
        self._annotated: AnnotatedClips | None = None
        if config.clips.enabled:
            settings = EvidenceSettings(
                pre_roll=config.clips.pre_roll,
                post_roll=config.clips.post_roll,
                notice_delay=config.events.minimum_duration + NOTICE_DELAY,
            )
            self.evidence = EvidenceRecorder(folder, settings, clips)
            if config.clips.annotated:
                self._annotated = AnnotatedClips(folder, settings, storage)
        self._recorder = (
            SegmentedRecorder(folder, storage, zone=zone, segment_seconds=config.record) if config.record else None
        )
        self._overlay: tuple[Watching, SourceInfo, date, Overlay] | None = None
        self._lines: dict[EventKind, _Line] = {}
        self._highest: float | None = None
        self._told: datetime | None = None
        self._gone_at: datetime | None = None

    def take(self, outcome: Outcome, info: SourceInfo | None) -> None:
        """Write everything that belongs to the next frame.

        Args:
            outcome: of the frame.
            info: of the camera's present connection, for the continuous recording.
        """
        with self._lock:
            frame, verdict = outcome.frame, outcome.verdict
            moment = frame.wall_clock or self._now()
            if self._gone_at is not None and not -SET_BACK <= (moment - self._gone_at).total_seconds() <= 0:
                self._gone_at = None  # pictures come again
            self._score(outcome, moment)
            quiet = outcome.held or not self._hours.armed(moment)
            for kind, judged in ((EventKind.ANOMALY, verdict), (EventKind.FORBIDDEN_MOTION, outcome.motion)):
                line = self._line(kind, outcome)
                messages = line.machine.push(frame.pts, None if quiet else judged, wall_clock=frame.wall_clock)
                for message in messages:
                    self._event(line, message, outcome)
                if line.machine.at_peak:
                    line.best = replace(outcome, verdict=judged)
            if info is not None and (self._recorder is not None or self._annotated is not None):
                self._draw(outcome, info, moment)

    def tell(self, notices: Sequence[Notice]) -> None:
        """Pass on what happened to the camera itself: states, and events without a picture."""
        with self._lock:
            for notice in notices:
                if isinstance(notice, StateNotice):
                    self._metrics.state(notice.camera, notice.state)
                    self._hub.give(notice)
                elif isinstance(notice, EventNotice):
                    self._own_event(notice.message)

    def tick(self) -> None:
        """Write what found no room before, end what a lost connection cut off; to be called about once a second."""
        with self._lock:
            self._end_cut_off()
            if self._log.waiting and self._storage.may_write():
                self._write_down()
            self._scores.flush()

    def lost(self) -> None:
        """The connection is gone: what a clip has is completed, and events end unless it is back at once."""
        with self._lock:
            self._gone_at = self._gone_at or self._now()
            if self.evidence is not None:
                self.evidence.lost()
            if self._annotated is not None:
                self._annotated.break_off()
            # The recording begins a new file by itself, once the frames that are still on their way are in the old one.
            self._tell_score(self._now(), None)

    def close(self, seconds: float) -> None:
        """End what is still open and close the files, within about so many seconds."""
        with self._lock:
            self._end_events()
            if self.evidence is not None:
                self.evidence.close(seconds)
            if self._annotated is not None:
                self._annotated.close(seconds)
            if self._recorder is not None:
                self._recorder.close(seconds)
            self._scores.close()
            try:
                self._log.close()
            except OutputError as error:
                self._warn(str(error))

    def _end_cut_off(self) -> None:
        """An event ends when nothing has alarmed for the merge gap, also where that is for want of pictures."""
        if self._gone_at is None:
            return
        gone = (self._now() - self._gone_at).total_seconds()
        if gone >= self._config.events.merge_gap + ON_THEIR_WAY:
            self._end_events()

    def _end_events(self) -> None:
        for line in self._lines.values():
            for message in line.machine.close():
                self._event(line, message, None)

    def _score(self, outcome: Outcome, moment: datetime) -> None:
        frame, verdict = outcome.frame, outcome.verdict
        if verdict is None:
            row = ScoreRow.unscored(frame.index, frame.pts, outcome.note, learning=False)
        else:
            self.scored += 1
            self._metrics.scored(self._config.name)
            note = f"held back: {outcome.held}" if outcome.held else outcome.note
            shown = held_back(verdict) if outcome.held else verdict
            row = ScoreRow.scored(frame.index, frame.pts, shown, learning=False, note=note)
            self._highest = max(verdict.score, self._highest or 0.0)
        self._scores.write(moment, row)
        if self._told is None or not 0 <= (moment - self._told).total_seconds() < SCORE_SECONDS:
            self._tell_score(moment, outcome.watching.threshold)

    def _tell_score(self, moment: datetime, threshold: float | None) -> None:
        line = self._lines.get(EventKind.ANOMALY)
        known = threshold if threshold is not None else line.threshold if line is not None else 0.0
        self._hub.give(ScoreNotice(self._config.name, self._highest, known, moment))
        self._highest, self._told = None, moment

    def _line(self, kind: EventKind, outcome: Outcome) -> _Line:
        """The machine of a kind; a new one where the threshold has changed, once no event is open."""
        line, threshold = self._lines.get(kind), outcome.watching.threshold
        if line is None or (line.threshold != threshold and line.machine.open_id is None):
            name = self._config.name if kind is EventKind.ANOMALY else f"{self._config.name}-motion"
            machine = EventMachine(name, self._config.events.settings(threshold), kind.value)
            line = self._lines[kind] = _Line(kind, machine, threshold)
        return line

    def _event(self, line: _Line, message: EventMessage, outcome: Outcome | None) -> None:
        """Complete an event's message with what a live camera knows, write it down and pass it on."""
        best = line.best or outcome
        event = replace(message.event, source=self._config.name)
        if best is not None:
            event = replace(event, provisional=best.provisional, zones=best.watching.zones_of(best.verdict))
        if message.kind is MessageKind.NEW:
            self.alarms += 1
            taken = outcome.frame.wall_clock if outcome is not None else None
            if taken is not None:
                self._metrics.glass_to_alarm(self._config.name, (self._now() - taken).total_seconds())
            if self.evidence is not None:
                self.evidence.began(event)
            if self._annotated is not None:
                self._annotated.began(event)
        if message.kind is not MessageKind.UPDATE and best is not None:
            event = event.with_snapshot(self._picture(event.id, best))
        if message.kind is MessageKind.END:
            line.best = None
            if self._annotated is not None:
                self._annotated.ended(event)
        self._pass_on(replace(message, event=event))

    def _own_event(self, message: EventMessage) -> None:
        """An event of the camera itself (offline, covered, frozen, ...): no picture of ours, but a clip."""
        if message.kind is MessageKind.NEW:
            if message.event.kind != EventKind.LIGHTING_CHANGE.value:
                self.alarms += 1
            if self.evidence is not None:
                self.evidence.began(message.event)
        self._pass_on(message)

    def _pass_on(self, message: EventMessage) -> None:
        event = message.event
        if message.kind is MessageKind.END:
            if self.evidence is not None:
                event = replace(event, clip=self.evidence.ended(event))
            self._write_down(event)
        notice = EventNotice(self._config.name, replace(message, event=event), self._now(), self._folder.path)
        self._hub.give(notice)

    def _write_down(self, event: Event | None = None) -> None:
        error = self._log.offer(event)
        if error is not None:
            self._storage.failed(self._config.name, self._folder.path, str(error))

    def _picture(self, event_id: str, best: Outcome) -> str | None:
        """Write the best picture so far; None where there is none, or no room."""
        if not self._config.snapshots or best.verdict is None or not self._storage.may_write():
            return None
        scorer = best.watching.scorer
        picture = snapshot(
            self._by_time_of_day(best.frame),
            best.verdict,
            grid=scorer.grid,
            working_size=scorer.placement.working_size,
            threshold=best.watching.threshold,
            event_ids=(event_id,),
            learning=False,
        )
        done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not done:
            return None
        path = self._folder.snapshots / f"{event_id}.jpg"
        try:
            write_whole(path, data.tobytes())
        except OutputError as error:
            self._storage.failed(self._config.name, self._folder.path, str(error))
            return None
        return f"{SNAPSHOTS}/{path.name}"

    def _by_time_of_day(self, frame: Frame) -> Frame:
        """The frame with a time that people read on a picture: of the camera's own day, not since 1970."""
        moment = datetime.fromtimestamp(float(frame.pts), self._zone)
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        return replace(frame, pts=frame.pts - Fraction(midnight.timestamp()))

    def _draw(self, outcome: Outcome, info: SourceInfo, moment: datetime) -> None:
        watching = outcome.watching
        day = moment.astimezone(self._zone).date()
        if self._overlay is None or self._overlay[:3] != (watching, info, day):
            scorer = watching.scorer
            overlay = Overlay(info, scorer.grid, scorer.placement.working_size, threshold=watching.threshold)
            self._overlay = (watching, info, day, overlay)
        line = self._lines[EventKind.ANOMALY]
        ids = () if line.machine.open_id is None else (line.machine.open_id,)
        verdict = outcome.verdict
        shown = held_back(verdict) if verdict is not None and outcome.held else verdict
        picture = self._overlay[3].draw(
            self._by_time_of_day(outcome.frame), shown, learning=outcome.provisional, event_ids=ids
        )
        if self._annotated is not None:
            self._annotated.picture(outcome.frame.pts, picture)
        if self._recorder is not None:
            self._recorder.write(outcome.frame.pts, moment, picture)

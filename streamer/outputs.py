"""What becomes of the judged frames of one source: events, the annotated video, scores, maps and snapshots."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Self

from streamer.events import EventMachine, EventSettings, MessageKind
from streamer.overlay import Overlay, snapshot
from streamer.sinks.event_log import EventLog
from streamer.sinks.map_store import MapWriter
from streamer.sinks.score_table import ScoreRow, ScoreTable
from streamer.sinks.snapshots import SnapshotKeeper
from streamer.sinks.summary import EventCounts, FrameCounts
from streamer.sinks.video import AnnotatedVideo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from fractions import Fraction
    from pathlib import Path
    from types import TracebackType

    from detectors.base import Verdict
    from streamer.batching import Judged
    from streamer.events import EventMessage
    from streamer.frames import Bgr, Frame, SourceInfo
    from streamer.networks import SourceScorer
    from streamer.sinks.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """What to write.

    Attributes:
        learned: length in seconds of the source's first part that was learned from; 0 where it was not.
        video: write the annotated video.
        audio_from: file whose sound it carries; None for a silent one.
        show: takes every annotated picture, for a window; None where there is none.
    """

    learned: Fraction
    video: bool
    audio_from: Path | None = None
    show: Callable[[Bgr], None] | None = None


@dataclass(frozen=True, slots=True)
class _Peak:
    """The best frame so far of an event: drawn only when the event has ended, and with its id."""

    frame: Frame
    verdict: Verdict
    learning: bool


class Outputs:
    """Writes everything one source gives, frame by frame. Usable as a context manager.

    Frames are taken by one thread and the files are closed by another, which waits for the frame being written.

    Attributes:
        counts: frames taken; what the source counts is added by the run.
        first, last: PTS of the first and the last frame taken, seconds; None before there is one.
    """

    def __init__(self, folder: RunFolder, info: SourceInfo, scorer: SourceScorer, settings: OutputSettings) -> None:
        """Create the files in the folder, which exists.

        Raises:
            OutputError: one of them cannot be written; the others are closed then.
        """
        self.counts = FrameCounts()
        self.first: Fraction | None = None
        self.last: Fraction | None = None
        self._writing = Lock()
        self._settings = settings
        self._scorer = scorer
        self._machine = EventMachine(folder.name, EventSettings.at(scorer.threshold))
        self._keeper = SnapshotKeeper(folder)
        self._peak: _Peak | None = None
        working_size = scorer.placement.working_size
        self._overlay: Overlay | None = None
        if settings.video or settings.show is not None:
            self._overlay = Overlay(info, scorer.grid, working_size, threshold=scorer.threshold)
        with ExitStack() as opened:
            self._log = opened.enter_context(EventLog(folder.events))
            self._table = opened.enter_context(ScoreTable(folder.scores))
            self._maps = opened.enter_context(MapWriter(folder.maps, scorer.grid, working_size))
            self._video: AnnotatedVideo | None = None
            if settings.video:
                video = AnnotatedVideo(folder.video, info, audio_from=settings.audio_from)
                self._video = opened.enter_context(video)
            self._files = opened.pop_all()

    @property
    def events(self) -> EventCounts:
        """Events written so far."""
        return EventCounts(self._log.written - self._log.in_learning, self._log.in_learning)

    @property
    def audio_note(self) -> str | None:
        """What became of the sound, once closed."""
        return None if self._video is None else self._video.audio_note

    def take(self, item: Judged) -> None:
        """Write everything that belongs to the next frame.

        Raises:
            OutputError: a file cannot be written.
        """
        with self._writing:
            self._take(item)

    def finish(self) -> None:
        """End what is still open, after the last frame.

        Raises:
            OutputError: a file cannot be written.
        """
        with self._writing:
            self._log_ended(self._machine.close())

    def close(self) -> None:
        """Close all files; where one cannot be closed, the others still are.

        Raises:
            OutputError: the last words of a file cannot be written.
        """
        with self._writing:
            self._files.close()

    def _take(self, item: Judged) -> None:
        frame, verdict = item.frame, item.verdict
        if self.first is None:
            self.first = frame.pts
        self.last = frame.pts
        learning = frame.pts - self.first < self._settings.learned
        messages = self._machine.push(frame.pts, verdict, in_learning=learning, wall_clock=frame.wall_clock)
        self._log_ended(messages)
        if verdict is None:
            row = ScoreRow.unscored(frame.index, frame.pts, item.note, learning=learning)
        else:
            row = ScoreRow.scored(frame.index, frame.pts, verdict, learning=learning, note=item.note)
            self._maps.append(frame.index, verdict.levels, (frame.luma.shape[1], frame.luma.shape[0]))
            if self._machine.at_peak:
                self._peak = _Peak(frame, verdict, learning)
        self._table.write(row)
        self.counts.count(row)
        self._draw(frame, verdict, learning=learning)

    def _log_ended(self, messages: Sequence[EventMessage]) -> None:
        for message in messages:
            if message.kind is not MessageKind.END:
                continue
            peak, self._peak = self._peak, None
            if peak is not None:
                self._keeper.keep(
                    snapshot(
                        peak.frame,
                        peak.verdict,
                        grid=self._scorer.grid,
                        working_size=self._scorer.placement.working_size,
                        threshold=self._scorer.threshold,
                        event_ids=(message.event.id,),
                        learning=peak.learning,
                    )
                )
            self._log.write(self._keeper.finish(message.event))

    def _draw(self, frame: Frame, verdict: Verdict | None, *, learning: bool) -> None:
        if self._overlay is None:
            return
        running = self._machine.open_id
        event_ids = () if running is None else (running,)
        picture = self._overlay.draw(frame, verdict, learning=learning, event_ids=event_ids)
        if self._video is not None:
            self._video.write(frame, picture)
        if self._settings.show is not None:
            self._settings.show(picture)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

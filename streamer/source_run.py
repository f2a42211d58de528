"""Watching one source with a finished model: the pipeline, its outputs and its summary."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from preprocess.errors import AvidWatchError, InputError
from streamer import pipeline
from streamer.batching import judged
from streamer.frames import Pace
from streamer.interrupts import EXIT_INTERRUPTED
from streamer.outputs import Outputs, OutputSettings
from streamer.pipeline import Stages, run_stages
from streamer.requests import SourceOutcome
from streamer.settings import by_option_name
from streamer.sinks.summary import EventCounts, FrameCounts, RunSummary, ThresholdSummary, Timings, write_summary
from streamer.sources.naming import path_of
from streamer.window import TICK, Window
from streamer.windowing import prepared

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from fractions import Fraction

    from streamer.batching import Judged
    from streamer.channels import Channel
    from streamer.console import Console, Phase
    from streamer.frames import Frame, Source
    from streamer.networks import SourceScorer
    from streamer.scene_learning import Learned
    from streamer.settings import WatchSettings
    from streamer.sinks.run_folder import RunFolder
    from streamer.sinks.summary import Status
    from streamer.windowing import Prepared

ALARMS_RAISED = 1
INTERNAL_ERROR = 70
"""Exit codes of a source's part of a run, beside those of the errors; the command line documents them."""

LEARNED_LIVE = "learning"
"""Why the first frames of a live source have no score, and no row: they were learned from."""

MIN_CELLS = 1
"""Smallest region, in cells: what the scorer judges by, and what re-thresholding must repeat."""


@dataclass(slots=True)
class SourceRun:
    """One source, one model, one folder.

    Attributes:
        source: opened; closed by whoever opened it.
        uri: as the user gave it.
        folder: exists and is free of results.
        learned: the model and how it came about.
        settings: of the run.
        console: tells progress, and whether to stop.
        batch_size: windows per run of the networks.
        frames: the frames to watch where a part of a live source is gone by; else all of the source.
        started: when the run began.
    """

    source: Source
    uri: str
    folder: RunFolder
    learned: Learned
    settings: WatchSettings
    console: Console
    batch_size: int
    frames: Iterator[Frame] | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def watch(self) -> SourceOutcome:
        """Watch to the end, to a failure or until the user stops it; the outputs are closed in every case.

        An error of this source is in the outcome. An error of the program itself, and KeyboardInterrupt, are raised
        once the summary is written.
        """
        info, learned = self.source.info, self.learned
        scorer = learned.model.scorer(
            (info.width, info.height),
            false_alarms_per_day=self.settings.false_alarms_per_day,
            decision=self.settings.decision,
            period=None if info.frame_rate is None else 1 / info.frame_rate,
        )
        self.console.detail(
            f"{info.name}: alarms from level {scorer.threshold:.2f} on, which one normal frame in"
            f" {10**scorer.threshold:,.0f} reaches; {self.batch_size} windows at a time"
        )
        # In the summary they are said to everybody; here at once, to those who want to hear more.
        for note in scorer.notes:
            self.console.detail(f"{info.name}: {note}")
        result = _Result(gone=learned.gone)
        began = time.monotonic()
        try:
            self._write_all(scorer, result)
            self._refuse_nothing_scored(result.counts, scorer)
        except AvidWatchError as error:
            result.error = error
        except KeyboardInterrupt:
            self.console.stop.set()
            with suppress(AvidWatchError):
                self._summarise(scorer, result, time.monotonic() - began)
            raise
        except Exception as error:
            result.internal = f"internal error: {type(error).__name__}: {error}"
            with suppress(AvidWatchError):
                self._summarise(scorer, result, time.monotonic() - began)
            raise
        summary = self._summarise(scorer, result, time.monotonic() - began)
        return SourceOutcome(info.uri, self.folder.path, summary, result.events.alarms, result.error)

    def _write_all(self, scorer: SourceScorer, result: _Result) -> None:
        info, console = self.source.info, self.console
        window = Window(f"avid-watch {info.name}", console.stop) if self.settings.show else None
        settings = OutputSettings(
            learned=self.learned.part,
            video=self.settings.video,
            audio_from=path_of(self.uri) if info.has_audio else None,
            show=None if window is None else window.give,
        )
        outputs = Outputs(self.folder, info, scorer, settings)
        with ExitStack() as ending:
            # In the reverse order: close the files, then count what they hold.
            ending.callback(result.take, outputs, self.source)
            ending.callback(outputs.close)
            phase = ending.enter_context(console.phase(f"watching {info.name}", total=info.expected_frames))
            if window is not None:
                ending.enter_context(window)
            try:
                run_stages(
                    self._stages(scorer, outputs, phase),
                    stop=console.stop,
                    look=None if window is None else window.look,
                    tick=pipeline.TICK if window is None else TICK,
                )
            except BaseException:
                # What was open when it happened is told as far as that is still possible; the first error counts.
                with suppress(AvidWatchError):
                    outputs.finish()
                raise
            outputs.finish()

    def _stages(self, scorer: SourceScorer, outputs: Outputs, phase: Phase) -> Stages[Prepared, Judged]:
        frames = self.frames if self.frames is not None else self.source.frames()
        live = self.source.pace is Pace.LATEST

        def read() -> Generator[tuple[Prepared, int], None, None]:
            with closing(prepared(frames, scorer.windows)) as items:
                yield from items

        def score(items: Channel[Prepared]) -> Iterator[tuple[Judged, int]]:
            return judged(items, scorer, batch_size=self.batch_size, eager=live)

        def write(results: Channel[Judged]) -> None:
            for item in results:
                outputs.take(item)
                phase.advance()

        return Stages(read, score, write, give_up_reading=self.source.close)

    def _refuse_nothing_scored(self, counts: FrameCounts, scorer: SourceScorer) -> None:
        if counts.scored or self.console.stop.is_set():
            return
        reasons = ", ".join(f"{name} {number}" for name, number in counts.unscored.items())
        blind = float(5 * scorer.windows.spacing)
        raise InputError(
            f"{self.source.info.uri}: no frame could be scored ({reasons or 'no frame came'}): a score needs"
            f" {blind:.2g} s of sound pictures without a gap; give a longer recording"
        )

    def _summarise(self, scorer: SourceScorer, result: _Result, watching: float) -> dict[str, object]:
        info, learned, settings = self.source.info, self.learned, self.settings
        status, code = self._status(result)
        period = float(1 / info.frame_rate) if info.frame_rate else 0.0
        summary = RunSummary(
            status=status,
            exit_code=code,
            error=str(result.error) if result.error is not None else result.internal,
            name=self.folder.name,
            started=self.started,
            ended=datetime.now(UTC),
            source=info,
            counts=result.counts,
            events=result.events,
            timings=Timings.of(
                learning=learned.seconds,
                watching=watching,
                frames=result.counts.scored + sum(result.counts.unscored.values()) - result.gone,
                footage=0.0 if result.extent is None else float(result.extent) + period,
            ),
            settings=by_option_name(settings),
            outputs=self.folder.outputs(),
            model=learned.model_summary,
            learning=learned.learning_summary,
            threshold=ThresholdSummary(
                level=scorer.threshold,
                exit_level=0.9 * scorer.threshold,
                min_cells=MIN_CELLS,
                asked_false_alarms_per_day=settings.false_alarms_per_day,
                supported_false_alarms_per_day=learned.model.supported_per_day,
            ),
            calibration=self._calibration(),
            audio=self._audio(result),
            warnings=(*learned.warnings, *scorer.notes, *self._endings(result.counts)),
        )
        return write_summary(self.folder.summary, summary)

    def _status(self, result: _Result) -> tuple[Status, int]:
        if result.error is not None:
            return "failed", result.error.exit_code
        if result.internal is not None:
            return "failed", INTERNAL_ERROR
        if self.console.stop.is_set():
            return "interrupted", EXIT_INTERRUPTED
        raised = self.settings.fail_on_alarm and result.events.alarms > 0
        return "done", ALARMS_RAISED if raised else 0

    def _calibration(self) -> Mapping[str, object]:
        return {"decision": self.settings.decision, **self.learned.model.calibration_json()}

    def _audio(self, result: _Result) -> str | None:
        if not self.settings.video or not self.source.info.has_audio:
            return None
        return result.audio_note or "copied"

    @staticmethod
    def _endings(counts: FrameCounts) -> tuple[str, ...]:
        source = counts.source
        said = []
        if source.missing_at_end:
            said.append(
                f"the recording was cut off: {source.missing_at_end:,} pictures its header announces never came"
            )
        if source.undecoded:
            said.append(f"{source.undecoded:,} other pictures that its header announces could not be decoded")
        return tuple(said)


@dataclass(slots=True)
class _Result:
    """What a run came to, also where it was ended; ``gone`` frames were learned from before it began."""

    gone: int = 0
    counts: FrameCounts = field(default_factory=FrameCounts)
    events: EventCounts = field(default_factory=EventCounts)
    extent: Fraction | None = None
    audio_note: str | None = None
    error: AvidWatchError | None = None
    internal: str | None = None

    def take(self, outputs: Outputs, source: Source) -> None:
        self.counts = outputs.counts
        self.counts.source = source.counts
        if self.gone:
            self.counts.unscored[LEARNED_LIVE] = self.gone
        self.events = outputs.events
        self.audio_note = outputs.audio_note
        if outputs.first is not None and outputs.last is not None:
            self.extent = outputs.last - outputs.first

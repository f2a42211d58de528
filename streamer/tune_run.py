"""``avid-watch tune RUN --false-alarms-per-day X``: another threshold for a finished run, without a network."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preprocess.errors import InputError
from streamer.overlay import Overlay, snapshot
from streamer.replay import source_of
from streamer.requests import TuneOutcome
from streamer.sinks.event_log import read_events
from streamer.sinks.json_text import plain
from streamer.sinks.map_store import MapReader
from streamer.sinks.run_folder import VIDEO, RunFolder
from streamer.sinks.snapshots import SnapshotKeeper
from streamer.sinks.summary import read_summary, write_summary
from streamer.sinks.video import AnnotatedVideo
from streamer.sinks.writing import told_as_output_errors
from streamer.tune import retune, threshold_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from detectors.base import Verdict
    from preprocess.geometry import CellGrid, Size
    from streamer.console import Console, Phase
    from streamer.events import Event
    from streamer.frames import Bgr, Frame
    from streamer.replay import Replay
    from streamer.requests import TuneRequest
    from streamer.tune import Retuned, RetunedFrame

_STAGE = ".tuning"
"""Folder within the results' in which pictures wait until everything has gone well."""


def tune(request: TuneRequest, console: Console) -> TuneOutcome:
    """Re-threshold a finished run: new events, scores, snapshots and, where asked for, the annotated video.

    Everything takes its place at the very end: stopped or failed before, the earlier results are as they were.

    Args:
        request: checked settings.
        console: tells progress; its ``stop`` ends the work.

    Raises:
        InputError: the run is damaged or has no calibration; with ``--video``, its recording is not to be had.
        OutputError: the new results cannot be written.
        UsageError: the rate is one that the stored maps cannot tell.
    """
    settings = request.settings
    summary = read_summary(RunFolder.of(request.run).summary)
    run = RunFolder(request.run, str(summary["name"]))
    results = run
    if settings.output is not None and settings.output.expanduser().resolve() != run.path.resolve():
        results = RunFolder(settings.output.expanduser(), run.name)
        results.reserve(force=settings.force)
    before = int(summary["events"]["alarms"])
    threshold = threshold_for(run.path, settings.false_alarms_per_day, level_for_rate)
    work = _Tuning(run, results, summary, threshold, console, video=settings.video)
    try:
        retuned = work.run()
    except _StoppedError:
        results.discard_if_empty()
        return TuneOutcome(run.path, summary, alarms=before, alarms_before=before, interrupted=True)
    except BaseException:
        results.discard_if_empty()
        raise
    new = _renewed(summary, retuned, settings.false_alarms_per_day, results, work.notes)
    write_summary(results.summary, new)
    return TuneOutcome(results.path, new, alarms=new["events"]["alarms"], alarms_before=before)


def level_for_rate(calibration: Mapping[str, Any], false_alarms_per_day: float) -> float:
    """The threshold for a rate, from a summary's ``calibration``.

    Raises:
        InputError: the calibration is damaged.
    """
    from detectors.calibration import Calibration  # noqa: PLC0415 - only needed here

    try:
        own = calibration[str(calibration.get("decision", "joint"))]
        return Calibration.from_json(own).threshold(false_alarms_per_day)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the run's calibration is damaged ({error}); run the source again") from error


class _StoppedError(Exception):
    """The user asked to stop."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What pictures are drawn with."""

    grid: CellGrid
    working_size: Size
    threshold: float

    def snapshot(self, peak: _Peak, event: Event) -> Bgr:
        return snapshot(
            peak.frame,
            peak.verdict,
            grid=self.grid,
            working_size=self.working_size,
            threshold=self.threshold,
            event_ids=(event.id,),
            learning=peak.learning,
        )


@dataclass(frozen=True, slots=True)
class _Peak:
    """The best frame so far of an event."""

    frame: Frame
    verdict: Verdict
    learning: bool


class _Tuning:
    """Two passes: the first finds the events, the second writes them with their pictures."""

    def __init__(
        self,
        run: RunFolder,
        results: RunFolder,
        summary: Mapping[str, Any],
        threshold: float,
        console: Console,
        *,
        video: bool,
    ) -> None:
        self.notes: list[str] = []
        self._run = run
        self._results = results
        self._summary = summary
        self._threshold = threshold
        self._console = console
        self._wants_video = video
        self._total = int(summary["counts"]["decoded"])
        self._stage = RunFolder(results.path / _STAGE, run.name)

    def run(self) -> Retuned:
        with MapReader(self._run.maps) as maps:
            look = _Look(maps.header.grid, maps.header.working_size, self._threshold)
        peaks = self._find_peaks()
        with ExitStack() as closing:
            replay = source_of(self._summary, self._run.path) if peaks or self._wants_video else None
            if replay is not None:
                closing.enter_context(replay)
            elif self._wants_video:
                raise InputError(
                    f"{self._summary['source']['uri']}: the recording is not to be found, and --video needs its "
                    "pictures; put it where it was, or leave --video out"
                )
            with told_as_output_errors(self._stage.path):
                self._stage.path.mkdir(parents=True, exist_ok=True)
                self._stage.snapshots.mkdir(exist_ok=True)
                closing.callback(shutil.rmtree, self._stage.path, ignore_errors=True)
            if replay is None:
                retuned = self._without_pictures(had_peaks=bool(peaks))
            else:
                retuned = self._with_pictures(replay, look, peaks)
            self._put_in_place(replaced=replay is not None or not peaks)
        return retuned

    def _find_peaks(self) -> frozenset[int]:
        """Numbers of the frames that will be shown: one per event."""
        found: set[int] = set()
        best: int | None = None

        def finish(event: Event) -> Event:
            if best is not None:
                found.add(best)
            return event

        def each(frame: RetunedFrame) -> None:
            nonlocal best
            if frame.at_peak:
                best = frame.row.index

        self._pass("re-thresholding", each, finish, results=None)
        return frozenset(found)

    def _without_pictures(self, *, had_peaks: bool) -> Retuned:
        """Events keep the snapshots that the earlier run made of the same moments."""
        if had_peaks:
            self.notes.append("the recording is not to be found: no new snapshots were made")
        kept = {
            record["id"]: (record["peak"], record["snapshot"])
            for record in (read_events(self._run.events) if self._run.events.is_file() else [])
        }

        def finish(event: Event) -> Event:
            peak, path = kept.get(event.id, (None, None))
            here = path is not None and (self._results.path / path).is_file()
            return event.with_snapshot(path if here and peak == plain(event.peak) else None)

        return self._pass("writing", lambda _: None, finish, results=self._results)

    def _with_pictures(self, replay: Replay, look: _Look, peaks: frozenset[int]) -> Retuned:
        keeper = SnapshotKeeper(self._stage)
        peak: _Peak | None = None
        with ExitStack() as files:
            overlay = Overlay(replay.info, look.grid, look.working_size, threshold=look.threshold)
            video: AnnotatedVideo | None = None
            if self._wants_video:
                sound = replay.path if replay.info.has_audio else None
                video = files.enter_context(AnnotatedVideo(self._stage.video, replay.info, audio_from=sound))

            def finish(event: Event) -> Event:
                nonlocal peak
                if peak is not None:
                    keeper.keep(look.snapshot(peak, event))
                    peak = None
                return keeper.finish(event)

            def each(frame: RetunedFrame) -> None:
                nonlocal peak
                if frame.row.index not in peaks and video is None:
                    return
                picture = replay.at(frame.row)
                learning = frame.row.learning
                if frame.at_peak and frame.verdict is not None and frame.row.index in peaks:
                    peak = _Peak(picture, frame.verdict, learning)
                if video is not None:
                    running = () if frame.open_id is None else (frame.open_id,)
                    video.write(picture, overlay.draw(picture, frame.verdict, learning=learning, event_ids=running))

            return self._pass("drawing", each, finish, results=self._results)

    def _pass(
        self,
        label: str,
        each: Callable[[RetunedFrame], None],
        finish: Callable[[Event], Event],
        *,
        results: RunFolder | None,
    ) -> Retuned:
        with self._console.phase(f"{label} {self._run.name}", total=self._total) as phase:
            return retune(
                self._run.path,
                threshold_level=self._threshold,
                each=self._counted(each, phase),
                finish=finish,
                results=results,
            )

    def _counted(self, each: Callable[[RetunedFrame], None], phase: Phase) -> Callable[[RetunedFrame], None]:
        def counted(frame: RetunedFrame) -> None:
            if self._console.stop.is_set():
                raise _StoppedError
            each(frame)
            phase.advance()

        return counted

    def _put_in_place(self, *, replaced: bool) -> None:
        """Swap in the pictures; scores and events are in their places by now."""
        results, stage = self._results, self._stage
        with told_as_output_errors(results.path):
            results.snapshots.mkdir(exist_ok=True)
            if replaced:
                results.clear_snapshots()
            for picture in stage.snapshots.iterdir():
                picture.replace(results.snapshots / picture.name)
            if stage.video.is_file():
                stage.video.replace(results.video)
            elif results.video.is_file():
                self.notes.append(f"{VIDEO} still shows the earlier threshold; --video draws it anew")
            if results is not self._run:
                shutil.copyfile(self._run.maps, results.maps)


def _renewed(
    summary: Mapping[str, Any], retuned: Retuned, rate: float, results: RunFolder, notes: list[str]
) -> dict[str, Any]:
    """The summary with what the new threshold has changed."""
    learned = sum(event.in_learning for event in retuned.events)
    threshold = dict(summary.get("threshold") or {"min_cells": 1, "supported_false_alarms_per_day": None})
    threshold.update(level=retuned.threshold, exit_level=0.9 * retuned.threshold, asked_false_alarms_per_day=rate)
    lost = (
        [f"{retuned.maps_lost:,} maps are missing; their frames keep their first regions"] if retuned.maps_lost else []
    )
    return {
        **summary,
        "events": {"alarms": len(retuned.events) - learned, "in_learning": learned},
        "counts": {**summary["counts"], "alarming": retuned.alarming},
        "threshold": threshold,
        "settings": {**summary["settings"], "false-alarms-per-day": rate},
        "outputs": results.outputs(),
        "warnings": [*_without_ours(summary["warnings"]), *notes, *lost],
    }


def _without_ours(warnings: list[str]) -> list[str]:
    """Warnings of the run itself, those of an earlier re-thresholding left out."""
    ours = ("the recording is not to be found", f"{VIDEO} still shows")
    return [warning for warning in warnings if not warning.startswith(ours) and "maps are missing" not in warning]

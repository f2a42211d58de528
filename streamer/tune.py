"""Re-thresholding: new verdicts and events of a finished run from its scores and maps, without running a network."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from detectors.base import Verdict
from detectors.regions import GROWTH, verdict_of
from preprocess.errors import InputError, UsageError
from streamer.events import EventMachine, EventSettings, MessageKind
from streamer.sinks.event_log import EventLog
from streamer.sinks.map_format import HIGHEST_LEVEL, QUIET_LEVEL
from streamer.sinks.map_store import MapReader
from streamer.sinks.run_folder import RunFolder
from streamer.sinks.score_table import ScoreRow, ScoreTable, read_scores
from streamer.sinks.summary import read_summary
from streamer.sinks.writing import temporary, told_as_output_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from fractions import Fraction
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from streamer.events import Event, EventMessage
    from streamer.sinks.map_store import StoredMap

    LevelForRate = Callable[[Mapping[str, Any], float], float]  # calibration of a summary, rate per day -> level

LOWEST_LEVEL = QUIET_LEVEL / GROWTH
"""Lowest threshold whose regions the stored maps still hold whole; a quarter of all normal frames would reach it."""


@dataclass(frozen=True, slots=True)
class RetunedFrame:
    """What re-thresholding says of one frame.

    Attributes:
        row: the frame's row with its new alarm and regions.
        verdict: the new verdict; None where the frame was not scored. Its map is empty, ``(0, 0)``, where the map was
            lost, and its regions are then those of the first run.
        messages: what the event machine says at this frame.
        at_peak: the frame is the best picture so far of an event (see :class:`EventMachine`).
        open_id: id of the event that is open at this frame.
    """

    row: ScoreRow
    verdict: Verdict | None
    messages: tuple[EventMessage, ...]
    at_peak: bool
    open_id: str | None


@dataclass(frozen=True, slots=True)
class Retuned:
    """The outcome of re-thresholding a whole run.

    Attributes:
        threshold: the level used.
        events: in order.
        frames: rows read.
        scored: frames with a score.
        alarming: frames with an alarm.
        maps_lost: scored frames whose map is missing.
    """

    threshold: float
    events: tuple[Event, ...]
    frames: int
    scored: int
    alarming: int
    maps_lost: int


class Retuning:
    """One pass over a finished run at another threshold.

    Memory does not depend on the length of the run.
    """

    def __init__(self, folder: Path, settings: EventSettings, *, min_cells: int = 1) -> None:
        """Prepare a pass.

        Args:
            folder: the ``<name>.avid`` folder of the run; a run that was killed serves as well.
            settings: of the events; ``enter_level`` is the new threshold.
            min_cells: smallest region in cells.

        Raises:
            UsageError: the threshold is one the stored maps cannot tell.
        """
        if not LOWEST_LEVEL <= settings.enter_level <= HIGHEST_LEVEL:
            raise UsageError(
                f"{folder}: its maps tell levels from {LOWEST_LEVEL} to {HIGHEST_LEVEL:.4g} apart, and the threshold "
                f"asked for is {settings.enter_level:.4g}; ask for a rate in between"
            )
        self._run = RunFolder.of(folder)
        self._settings = settings
        self._min_cells = min_cells
        self._start, self._source = _start_and_name(self._run)
        self._closing: tuple[EventMessage, ...] = ()

    @property
    def closing_messages(self) -> tuple[EventMessage, ...]:
        """Messages of the end of the run, once all frames have been read."""
        return self._closing

    def frames(self) -> Iterator[RetunedFrame]:
        """Judge every frame anew, in order; afterwards :attr:`closing_messages` holds what was still open.

        Raises:
            InputError: scores or maps are missing or damaged.
        """
        machine = EventMachine(self._source, self._settings)
        with MapReader(self._run.maps) as maps:
            for row in read_scores(self._run.scores):
                verdict = self._judge(row, maps)
                told = None if row.note else verdict
                messages = machine.push(
                    row.pts, told, in_learning=row.learning, wall_clock=_moment(self._start, row.pts)
                )
                yield RetunedFrame(_renewed(row, verdict), verdict, tuple(messages), machine.at_peak, machine.open_id)
        self._closing = tuple(machine.close())

    def _judge(self, row: ScoreRow, maps: MapReader) -> Verdict | None:
        if row.score is None:
            return None
        stored = maps.at(row.index)
        if stored is None:
            return _without_map(row, self._settings.enter_level)
        verdict = verdict_of(
            _sharpened(stored, row.score),
            maps.header.grid,
            stored.placement,
            self._settings.enter_level,
            min_cells=self._min_cells,
            inpainter_part=row.inpainter or 0.0,
            detector_part=row.detector or 0.0,
        )
        return replace(verdict, score=row.score, p_value=float(10.0**-row.score))


def threshold_for(folder: Path, false_alarms_per_day: float, level_for_rate: LevelForRate) -> float:
    """The threshold a run's own calibration gives for a rate.

    Args:
        folder: of the run.
        false_alarms_per_day: false events accepted per watched day.
        level_for_rate: the calibration's own rule: from the summary's ``calibration`` and the rate to a level.

    Raises:
        InputError: the run has no calibration, because it was killed or failed before its summary.
    """
    calibration = read_summary(RunFolder.of(folder).summary).get("calibration")
    if not calibration:
        raise InputError(f"{folder}: its summary holds no calibration; run the source again to the end")
    return level_for_rate(calibration, false_alarms_per_day)


def retune(
    folder: Path,
    *,
    threshold_level: float | None = None,
    false_alarms_per_day: float | None = None,
    level_for_rate: LevelForRate | None = None,
    settings: EventSettings | None = None,
    min_cells: int = 1,
    each: Callable[[RetunedFrame], None] | None = None,
    finish: Callable[[Event], Event] | None = None,
    results: RunFolder | None = None,
) -> Retuned:
    """Re-threshold a whole run.

    Args:
        folder: the ``<name>.avid`` folder of the run.
        threshold_level: the new threshold, ``-log10 p``; or give the next two.
        false_alarms_per_day: the new rate.
        level_for_rate: see :func:`threshold_for`.
        settings: times of the events; their levels are replaced by those of the threshold. By default the defaults.
        min_cells: smallest region in cells.
        each: called with every frame in order, for pictures and progress, after ``finish`` of what ended there.
        finish: called with every ended event, to write its snapshot; returns the event to keep.
        results: folder for the new ``events.jsonl`` and ``scores.csv``, which exists and may be that of the run: both
            take their places at the very end. None writes nothing.

    Raises:
        InputError: scores, maps or calibration are missing or damaged; nothing is replaced then.
        OutputError: the new files cannot be written.
        UsageError: the threshold is one the stored maps cannot tell.
        ValueError: neither a threshold nor a rate with its rule is given.
    """
    if threshold_level is None:
        if false_alarms_per_day is None or level_for_rate is None:
            raise ValueError("retune needs a threshold level, or a rate and the rule from rates to levels")
        threshold_level = threshold_for(folder, false_alarms_per_day, level_for_rate)
    retuning = Retuning(folder, _at(threshold_level, settings), min_cells=min_cells)
    events: list[Event] = []
    frames = scored = alarming = lost = 0
    with _Results(results) as files:

        def take(messages: tuple[EventMessage, ...]) -> None:
            for message in messages:
                if message.kind is MessageKind.END:
                    event = message.event if finish is None else finish(message.event)
                    events.append(event)
                    files.add_event(event)

        for frame in retuning.frames():
            frames += 1
            if frame.verdict is not None:
                scored += 1
                alarming += frame.verdict.alarm
                lost += not frame.verdict.levels.size
            files.add_row(frame.row)
            take(frame.messages)
            if each is not None:
                each(frame)
        take(retuning.closing_messages)
        files.put_in_place()
    return Retuned(threshold_level, tuple(events), frames, scored, alarming, lost)


class _Results:
    """The new files, written beside their places until all is well."""

    def __init__(self, folder: RunFolder | None) -> None:
        self._places: tuple[Path, ...] = () if folder is None else (folder.events, folder.scores)
        self._closing = ExitStack()
        self._log: EventLog | None = None
        self._table: ScoreTable | None = None

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.callback(self._discard)
            if self._places:
                self._log = opened.enter_context(EventLog(temporary(self._places[0])))
                self._table = opened.enter_context(ScoreTable(temporary(self._places[1])))
            self._closing = opened.pop_all()
        return self

    def add_event(self, event: Event) -> None:
        if self._log is not None:
            self._log.write(event)

    def add_row(self, row: ScoreRow) -> None:
        if self._table is not None:
            self._table.write(row)

    def put_in_place(self) -> None:
        """Swap the new files in; Windows asks that they be closed before."""
        if self._log is not None and self._table is not None:
            self._log.close()
            self._table.close()
        for place in self._places:
            with told_as_output_errors(place):
                temporary(place).replace(place)

    def _discard(self) -> None:
        for place in self._places:
            with suppress(OSError):
                temporary(place).unlink(missing_ok=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()


def _at(threshold: float, settings: EventSettings | None) -> EventSettings:
    """The settings with the levels of a threshold."""
    if not threshold > 0:
        raise UsageError(f"a threshold of {threshold:.4g} would alarm on every frame; ask for fewer false alarms")
    levels = EventSettings.at(threshold)
    if settings is None:
        return levels
    return replace(settings, enter_level=levels.enter_level, exit_level=levels.exit_level)


def _start_and_name(run: RunFolder) -> tuple[datetime | None, str]:
    """Wall-clock time of PTS 0 and the source's id; a run that was killed has no summary to know the first from."""
    try:
        summary = read_summary(run.summary)
        start = summary["source"]["start"]
        return (None if start is None else datetime.fromisoformat(start)), str(summary["name"])
    except (InputError, KeyError, TypeError, ValueError):
        return None, run.name


def _moment(start: datetime | None, pts: Fraction) -> datetime | None:
    return None if start is None else start + timedelta(microseconds=round(pts * 1_000_000))


def _sharpened(stored: StoredMap, score: float) -> NDArray[np.float32]:
    """Undo what 8 bits did to the peak: the table knows it exactly, so the same frames alarm at the same threshold."""
    levels = np.minimum(stored.levels, np.float32(score))
    levels.flat[int(np.argmax(levels))] = score
    return levels


def _without_map(row: ScoreRow, threshold: float) -> Verdict:
    """A verdict from the score alone, with the regions of the first run: a kill takes up to a block of maps with it."""
    score = row.score or 0.0
    alarm = score >= threshold
    return Verdict(
        score=score,
        p_value=float(10.0**-score),
        inpainter_part=row.inpainter or 0.0,
        detector_part=row.detector or 0.0,
        alarm=alarm,
        levels=np.zeros((0, 0), dtype=np.float32),
        regions=row.boxes() if alarm else (),
    )


def _renewed(row: ScoreRow, verdict: Verdict | None) -> ScoreRow:
    if verdict is None:
        return row
    boxes = tuple((region.x, region.y, region.width, region.height) for region in verdict.regions)
    return replace(row, alarm=verdict.alarm, regions=boxes)

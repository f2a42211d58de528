"""``summary.json``: what was run with which settings and versions, what came out, and what was lost on the way."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

from preprocess.errors import InputError
from streamer.frames import SourceCounts
from streamer.sinks.json_text import json_bytes, plain
from streamer.sinks.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from streamer.frames import SourceInfo
    from streamer.sinks.score_table import ScoreRow

FORMAT = 1
"""Grows when a reader of the older format would misread the newer one."""

Status = Literal["done", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What watched.

    Attributes:
        file: the model file, or the name of the shipped base model.
        detector: name of the detector, e.g. ``avid``.
        preset: name of its settings.
        trained_on: what its weights were trained on, in words.
        adapted: whether it was adapted to this scene during the run.
    """

    file: str
    detector: str
    preset: str
    trained_on: str
    adapted: bool


@dataclass(frozen=True, slots=True)
class LearningSummary:
    """What was learned from, and how far it went.

    Attributes:
        footage_seconds: length of the normal footage, seconds.
        steps: training steps done.
        budget_seconds: time the learning was allowed.
        spacing_seconds: time between neighbouring pictures of a window.
        working_size: ``(width, height)`` of the picture the networks see.
        mode: channels of the windows, ``difference`` or ``mean``.
        result: ``trained``, or ``calibrated`` where only the calibration was learned.
    """

    footage_seconds: float
    steps: int
    budget_seconds: float
    spacing_seconds: float
    working_size: tuple[int, int]
    mode: str
    result: Literal["trained", "calibrated"]


@dataclass(frozen=True, slots=True)
class ThresholdSummary:
    """From which level on a frame alarms, and how often a normal scene will.

    Attributes:
        level: ``-log10 p`` of the threshold.
        exit_level: level down to which an event goes on.
        min_cells: smallest region, in cells.
        asked_false_alarms_per_day: as the user asked.
        supported_false_alarms_per_day: the lowest rate the footage supports by itself; None where unknown.
    """

    level: float
    exit_level: float
    min_cells: int
    asked_false_alarms_per_day: float
    supported_false_alarms_per_day: float | None


@dataclass(slots=True)
class FrameCounts:
    """Every frame of the source is in here, and every loss; zeros are said, too.

    Attributes:
        source: what happened while reading; in the file its numbers stand beside the others.
        scored: frames with a score.
        unscored: frames without, by reason as in the note column of ``scores.csv``.
        alarming: frames with an alarm.
    """

    source: SourceCounts = field(default_factory=SourceCounts)
    scored: int = 0
    unscored: dict[str, int] = field(default_factory=dict)
    alarming: int = 0

    def count(self, row: ScoreRow) -> None:
        """Count one frame by its row."""
        if row.score is None:
            self.unscored[row.note] = self.unscored.get(row.note, 0) + 1
        else:
            self.scored += 1
            self.alarming += row.alarm

    def to_json(self) -> dict[str, Any]:
        """All numbers side by side, those of the source first."""
        own = {"scored": self.scored, "unscored": dict(self.unscored), "alarming": self.alarming}
        return {**asdict(self.source), **own}


@dataclass(frozen=True, slots=True)
class EventCounts:
    """Events written to ``events.jsonl``.

    Attributes:
        alarms: outside the learning part.
        in_learning: wholly within it.
    """

    alarms: int = 0
    in_learning: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, in seconds of the clock on the wall.

    Attributes:
        learning_seconds: choosing the scene's settings, training, calibration; 0 with a finished model.
        watching_seconds: from the first to the last frame written.
        frames_per_second: frames written per second of watching; None where no time passed.
        footage_seconds: length of what was watched, by the source's own clock.
    """

    learning_seconds: float
    watching_seconds: float
    frames_per_second: float | None
    footage_seconds: float

    @classmethod
    def of(cls, *, learning: float, watching: float, frames: int, footage: float) -> Timings:
        """Timings with the rate worked out."""
        return cls(learning, watching, frames / watching if watching > 0 else None, footage)


def library_versions() -> dict[str, str | None]:
    """Versions of what shapes the results; None for what is not installed as a package."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in ("avid-watch", "torch", "av", "opencv-python", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Everything ``summary.json`` says; ``schemas/summary.schema.json`` describes it.

    Attributes:
        status: how the run ended.
        exit_code: exit code of this source's part of the run.
        error: why it failed; None where it did not.
        name: name of the run folder, id of the source in events.
        started, ended: moments on the wall clock.
        source: what was watched.
        model, learning, threshold: what watched it; None where it did not come to that.
        calibration: the calibration as the model stores it; ``tune`` works from it.
        counts: frames and losses.
        events: events written.
        timings: seconds.
        settings: all settings in force, by the names of the settings file.
        outputs: file by kind, relative to the run folder.
        audio: what became of the sound; None where the source has none or no video was written.
        warnings: what the user was warned of, in order.
        versions: of the program, Python and the libraries that shape results.
    """

    status: Status
    exit_code: int
    name: str
    started: datetime
    ended: datetime
    source: SourceInfo
    counts: FrameCounts
    events: EventCounts
    timings: Timings
    settings: Mapping[str, object]
    outputs: Mapping[str, str]
    error: str | None = None
    model: ModelSummary | None = None
    learning: LearningSummary | None = None
    threshold: ThresholdSummary | None = None
    calibration: Mapping[str, object] | None = None
    audio: str | None = None
    warnings: tuple[str, ...] = ()
    versions: Mapping[str, str | None] = field(default_factory=library_versions)

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON knows it: numbers that are not finite are None."""
        content = {entry.name: plain(getattr(self, entry.name)) for entry in fields(self) if entry.name != "counts"}
        return {"format": FORMAT, **content, "counts": self.counts.to_json()}


def write_summary(path: Path, summary: RunSummary | Mapping[str, object]) -> dict[str, Any]:
    """Write the summary in one step; returns what was written.

    Raises:
        OutputError: the file cannot be written.
    """
    content = summary.to_json() if isinstance(summary, RunSummary) else dict(summary)
    write_whole(path, json_bytes(content, indent=2) + b"\n")
    return content


def read_summary(path: Path) -> dict[str, Any]:
    """Read a summary.

    Raises:
        InputError: there is none, it is damaged, or a newer version of the program wrote it.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name the folder of a finished run") from error
    except ValueError as error:
        raise InputError(f"{path}: is damaged; run the source again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: is no summary this version of avid-watch reads; run the source again")
    return content

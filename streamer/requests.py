"""What the command line asks of the rest of the program, and what it gets back.

Everything is parsed and checked before one of these exists, so that the work behind it, and its tests, need no command
line: ``watch(WatchRequest(("camera.mp4",)), console)`` is a whole run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamer.settings import EvaluateSettings, FitSettings, TuneSettings, WatchSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from preprocess.errors import AvidWatchError
    from streamer.live.config import LiveConfig


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """Watch sources, one output folder each.

    Attributes:
        sources: as the user gave them: files, folders of pictures, devices; at least one.
        settings: everything else.
    """

    sources: tuple[str, ...]
    settings: WatchSettings = field(default_factory=WatchSettings)


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """Watch live cameras until told to stop, each in a folder of its own that a restart goes on in.

    Attributes:
        config: everything: cameras, receivers, what is kept.
        config_file: the cameras file it was read from, to be read again when it changes; None where the command line
            named the cameras.
    """

    config: LiveConfig
    config_file: Path | None = None


@dataclass(frozen=True, slots=True)
class FitRequest:
    """Learn one camera's model from normal footage.

    Attributes:
        normal: sources of normal footage, all of the same camera; at least one.
        settings: everything else, the model file to write among it.
    """

    normal: tuple[str, ...]
    settings: FitSettings


@dataclass(frozen=True, slots=True)
class TuneRequest:
    """Re-threshold a finished run without running a network.

    Attributes:
        run: the ``<name>.avid`` folder of the run.
        settings: everything else.
    """

    run: Path
    settings: TuneSettings


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    """Measure a detector on a data set with known truth.

    Attributes:
        dataset: name of the set (``ucsd-ped2``).
        path: where it lies, in its published layout.
        settings: everything else.
    """

    dataset: str
    path: Path
    settings: EvaluateSettings = field(default_factory=EvaluateSettings)


@dataclass(frozen=True, slots=True)
class SourceOutcome:
    """How watching one source ended.

    Attributes:
        source: as the user gave it, without a password.
        folder: where its outputs lie; None where it failed before there were any.
        summary: the content of its ``summary.json``; None where it failed before there was one.
        alarms: events raised outside the learning part.
        error: what ended it early; None where it was done, or stopped on request.
    """

    source: str
    folder: Path | None = None
    summary: Mapping[str, object] | None = None
    alarms: int = 0
    error: AvidWatchError | None = None


@dataclass(frozen=True, slots=True)
class WatchOutcome:
    """How a whole run ended.

    Attributes:
        sources: one entry per source asked for, in that order; sources not begun when the user stopped are left out.
        interrupted: the user stopped it (once; everything was closed properly).
    """

    sources: tuple[SourceOutcome, ...]
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class FitOutcome:
    """How fitting ended.

    Attributes:
        model: the model file written.
        frames: pictures of normal footage read.
        footage_seconds: their length in seconds.
        steps: training steps done, those before a ``--resume`` included.
        seconds: time taken, in seconds.
        false_alarms_per_day: the rate asked for.
        supported_false_alarms_per_day: the lowest rate the footage supports by itself; None where unknown.
        lowest_false_alarms_per_day: the lowest rate the threshold can be set for; None where unknown.
        loss_curve: the picture of the losses; None where none was written.
        interrupted: the user stopped it; the model is what was learned until then.
        details: more to say, as name and value, in the order to be shown (scene scale, spacing, preset …).
    """

    model: Path
    frames: int
    footage_seconds: float
    steps: int
    seconds: float
    false_alarms_per_day: float
    supported_false_alarms_per_day: float | None = None
    loss_curve: Path | None = None
    interrupted: bool = False
    details: Mapping[str, str] = field(default_factory=dict)
    lowest_false_alarms_per_day: float | None = None


@dataclass(frozen=True, slots=True)
class TuneOutcome:
    """How re-thresholding ended.

    Attributes:
        folder: where the new results lie.
        summary: the content of the new ``summary.json``.
        alarms: events outside the learning part at the new threshold.
        alarms_before: the same at the old threshold.
        interrupted: the user stopped it.
    """

    folder: Path
    summary: Mapping[str, object]
    alarms: int
    alarms_before: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class EvaluateOutcome:
    """How a benchmark ended.

    Attributes:
        folder: where the results, the pictures and the cache lie.
        results: the content of ``results.json``; None where it was stopped before all of it was measured.
        interrupted: the user stopped it; the same command goes on.
    """

    folder: Path
    results: Mapping[str, object] | None = None
    interrupted: bool = False

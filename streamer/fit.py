"""``avid-watch fit NORMAL... -o gate.avid``: learn one camera properly and write its model."""

from __future__ import annotations

import time
from contextlib import closing
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from detectors.scene import CORE_SHARE, MOST_PICTURES
from preprocess.errors import InputError, OutputError, UsageError
from streamer.durations import format_duration
from streamer.footage import RecordedFootage
from streamer.networks import FitFiles, TorchNetworks
from streamer.requests import FitOutcome
from streamer.sinks.writing import told_as_output_errors
from streamer.summary_text import lowest_rate

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from detectors.learning import LearnProgress
    from preprocess.pictures import Picture
    from streamer.console import Console, Phase
    from streamer.networks import FittedModel, Fitter
    from streamer.requests import FitRequest
    from streamer.settings import FitSettings

MODEL_SUFFIX = ".avid"


def fit(request: FitRequest, console: Console, *, networks: Fitter | None = None) -> FitOutcome:
    """Learn a camera's model.

    Stopped once, it writes the model as far as it was learned, and the state that ``--resume`` goes on from.

    Args:
        request: checked settings.
        console: tells progress; its ``stop`` ends the training politely.
        networks: what fits; by default the real ones.

    Raises:
        OutputError: the model exists already, or it cannot be written.
        InputError: the footage cannot be read or is too short.
        UsageError: an unknown preset, or nothing to resume.
        ModelError: the state to resume does not fit.
        KeyboardInterrupt: stopped before there was anything to write.
    """
    settings = request.settings
    output = settings.output.expanduser()
    files = _files(settings, output)
    rate = settings.frame_rate
    began = time.monotonic()
    fitter: Fitter = networks if networks is not None else TorchNetworks(settings)
    total = float(settings.steps) if settings.steps is not None else float(settings.time_budget or 0.0)
    with console.phase(
        f"fitting {output.name}", total=total, unit="steps" if settings.steps is not None else "seconds"
    ) as phase:

        def show(progress: LearnProgress) -> None:
            phase.at(progress.done * total)
            phase.note(f"{progress.stage} {progress.note}".strip())

        footage = _Reading(request.normal, None if rate is None else Fraction(str(rate)), console, phase)
        try:
            model = fitter.fit(footage, settings, files, progress=show, stop=console.stop.is_set)
        except InputError as error:
            if console.stop.is_set():
                # What was read until then is too little: nothing is wrong with the footage.
                raise KeyboardInterrupt from error
            if str(error).startswith(tuple(request.normal)):
                raise
            raise InputError(f"{footage.name}: {error}") from error
    model.save(output)
    finished = bool(model.header.training["finished"])  # also where it was stopped while it was calibrated
    if finished:
        files.training.unlink(missing_ok=True)
    return _outcome(model, output, files, settings, time.monotonic() - began, interrupted=not finished)


def _files(settings: FitSettings, output: Path) -> FitFiles:
    """Refuse what cannot be written before an hour is spent on it; the files beside the model."""
    if output.suffix != MODEL_SUFFIX:
        raise OutputError(f"{output}: a model file's name ends in {MODEL_SUFFIX}; try {output.name}{MODEL_SUFFIX}")
    if output.is_dir():
        raise OutputError(f"{output}: is a folder (of a run?); choose another name for the model")
    files = FitFiles(
        training=output.with_suffix(".training"),
        loss_curve=(settings.loss_curve or output.with_suffix(".losses.png")).expanduser(),
    )
    if settings.resume:
        if not files.training.is_file():
            raise UsageError(f"--resume: there is no interrupted training {files.training}; leave it out to begin anew")
    elif output.exists() and not settings.force:
        raise OutputError(f"{output}: exists already; --force replaces it, -o FILE writes another")
    if files.loss_curve.is_dir():
        raise OutputError(f"--loss-curve: {files.loss_curve} is a folder; give the name of a picture")
    for path in (output, files.loss_curve):
        with told_as_output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
    return files


class _Reading(RecordedFootage):
    """Footage that says how far it has been read, and ends when the user asks to stop."""

    def __init__(self, uris: tuple[str, ...], frame_rate: Fraction | None, console: Console, phase: Phase) -> None:
        super().__init__(uris, frame_rate=frame_rate)
        self._console = console
        self._phase = phase

    def pictures(self) -> Generator[Picture, None, None]:
        """Read from the start, in order."""
        first: Fraction | None = None
        with closing(super().pictures()) as pictures:
            for number, picture in enumerate(pictures):
                if self._console.stop.is_set():
                    return
                first = picture.pts if first is None else first
                if number % 100 == 0:
                    self._phase.note(f"reading, {format_duration(round(float(picture.pts - first)))}")
                yield picture


def _outcome(
    model: FittedModel, output: Path, files: FitFiles, settings: FitSettings, seconds: float, *, interrupted: bool
) -> FitOutcome:
    trained_on: dict[str, Any] = model.header.trained_on
    training: dict[str, Any] = model.header.training
    windows = model.windows
    details = {
        "preset": str(training.get("preset", settings.preset)),
        "windows": f"six pictures {float(windows.spacing):.3g} s apart at {windows.width}x{windows.height}",
    }
    body = model.header.calibration.get("body")
    if not trained_on.get("moved", True):
        details["scene"] = "nothing moved in the footage; size and spacing are the usual ones"
    elif isinstance(body, int | float):
        details["scene"] = f"bodies about {body / CORE_SHARE:.0f} of these pixels wide"
    if int(trained_on.get("one_stretch_in", 1)) > 1:
        details["footage"] = (
            f"one stretch in {trained_on['one_stretch_in']} of it, spread over all:"
            f" at most {MOST_PICTURES:,} pictures fit in memory"
        )
    if not trained_on.get("read_to_the_end", True):
        details["unread"] = "the end of the footage: reading it took as long as the training"
    if "best_step" in training:
        details["best"] = f"step {training['best_step']:,}, by held-out footage"
    return FitOutcome(
        model=output,
        frames=int(trained_on.get("pictures", 0)),
        footage_seconds=float(trained_on.get("footage_seconds", 0.0)),
        steps=int(training.get("steps", 0)),
        seconds=seconds,
        false_alarms_per_day=settings.false_alarms_per_day,
        supported_false_alarms_per_day=model.supported_per_day,
        lowest_false_alarms_per_day=lowest_rate({"decision": "joint", **model.calibration_json()}),
        loss_curve=files.loss_curve if files.loss_curve.is_file() else None,
        interrupted=interrupted,
        details=details,
    )

"""What a camera learned, kept in its folder over restarts: a model per light, and how far learning is.

``learned/colour.avid`` and ``learned/infrared.avid`` are ordinary model files; ``learned/state.json`` says how far each
is. Every file is replaced whole. Nothing here is ever deleted: what is damaged is moved aside, and learning starts
over; ``relearn`` moves everything into ``learned/before-<time>/``.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import torch

from detectors.camera_knowledge import LIGHTS, Learned, Light
from detectors.checkpoint import current_versions
from detectors.learning_progress import Progress
from detectors.scene_model import SceneModel
from preprocess.errors import ModelError
from streamer.sinks.writing import told_as_output_errors, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from detectors.inference import Runtime

FOLDER = "learned"
STATE = "state.json"
SCHEMA = "avid-watch learned 1"
LARGEST_STATE = 4 * 2**20  # bytes; ours are about 30 kB


@dataclass(frozen=True, slots=True)
class Found:
    """What a camera's folder held.

    Attributes:
        lights: what was learned, by light; a light that is missing is learned from the base model.
        warnings: one line for every file that was moved aside.
    """

    lights: Mapping[Light, Learned]
    warnings: tuple[str, ...] = ()


class LearnedState:
    """The ``learned`` folder of one camera; one object per run, and one run per folder at a time."""

    def __init__(self, folder: Path) -> None:
        """Take the camera's folder; nothing is read or made yet."""
        self.folder = folder / FOLDER
        self._written: dict[Light, SceneModel] = {}

    def load(self, now: datetime, runtime: Runtime | None = None) -> Found:
        """Read what is there; damaged files are moved aside and told of, never an error.

        Networks with the base model's weights are the base model's networks.

        Args:
            now: for the names of what is moved aside; with time zone.
            runtime: device and precision of the networks.
        """
        if not self.folder.is_dir():
            return Found({})
        self._remove_parts()
        try:
            states = self._read_state()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            if isinstance(error, FileNotFoundError) and not any(self._model(light).exists() for light in LIGHTS):
                return Found({})
            return Found({}, (self._start_over(now),))
        lights: dict[Light, Learned] = {}
        warnings = []
        for light, progress in states.items():
            try:
                model = _read_model(self._model(light), runtime)
            except ModelError as error:
                aside = _moved_aside(self._model(light), now)
                kept = f"; moved to {aside.name}" if aside is not None else ""
                warnings.append(f"{error}{kept}; {light} is learned anew")
                continue
            # A crash between the two files leaves a newer model: what was reached is in the statistics of another.
            same = model.header.training.get("refreshes", 0) == progress.refreshes
            lights[light] = Learned(model, progress if same else _as_of(model, progress))
            self._written[light] = lights[light].model
        return Found(lights, tuple(warnings))

    def save(self, lights: Mapping[Light, Learned], learn_seconds: float, now: datetime) -> None:
        """Write what is new: models that were refreshed, and how far learning is.

        Args:
            lights: all that was learned, by light.
            learn_seconds: watched time after which learning ends, for ``provisional_until``.
            now: wall-clock time, with its time zone.

        Raises:
            OutputError: it cannot be written; the files of before are still whole, and watching can go on.
        """
        with told_as_output_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        for light, learned in lights.items():
            if self._written.get(light) is not learned.model:
                learned.model.save(self._model(light), half_kernels=_exact_in_half(learned.model))
                self._written[light] = learned.model
        values = {
            "schema": SCHEMA,
            "versions": current_versions(),
            "saved_at": now.isoformat(timespec="seconds"),
            "lights": {light: _state(learned.progress, learn_seconds, now) for light, learned in lights.items()},
        }
        write_whole(self.folder / STATE, (json.dumps(values, indent=1, allow_nan=False) + "\n").encode())

    def _model(self, light: Light) -> Path:
        return self.folder / f"{light}.avid"

    def _read_state(self) -> dict[Light, Progress]:
        path = self.folder / STATE
        if path.stat().st_size > LARGEST_STATE:
            raise ValueError("larger than any state")
        values = json.loads(path.read_text("utf-8"))
        if values["schema"] != SCHEMA:
            raise ValueError(f"schema {values['schema']!r}")
        return {light: Progress.from_json(values["lights"][light]) for light in LIGHTS if light in values["lights"]}

    def _start_over(self, now: datetime) -> str:
        """Move a damaged state aside, and the models that cannot be understood without it."""
        aside = _moved_aside(self.folder / STATE, now)
        before = _put_away(self.folder, now)
        what = f"moved to {aside.name}" if aside is not None else "it is missing"
        models = f", its models to {before.name}" if before is not None else ""
        return f"{self.folder / STATE}: what was learned cannot be read; {what}{models}; learning starts over"

    def _remove_parts(self) -> None:
        """Half-written files of a run that was killed; in a container the next run has the same process id."""
        for part in self.folder.glob(".*.part"):
            with suppress(OSError):
                part.unlink()


def relearn(folder: Path, now: datetime | None = None) -> Path | None:
    """Let a camera start over: what it learned is moved into ``learned/before-<time>/``, nothing is deleted.

    Args:
        folder: of the camera.
        now: for the name; the time of day by default.

    Returns:
        Where it lies now; None where nothing had been learned.

    Raises:
        OutputError: it cannot be moved.
    """
    learned = folder / FOLDER
    with told_as_output_errors(learned):
        return _put_away(learned, now or datetime.now(UTC))


def _put_away(learned: Path, now: datetime) -> Path | None:
    """Move models and state of a ``learned`` folder into a folder of their own within."""
    # The state goes first: models without one are never taken for learned.
    names = [STATE, *(f"{light}.avid" for light in LIGHTS)]
    there = [learned / name for name in names if (learned / name).exists()]
    if not there:
        return None
    before = _free(learned, f"before-{_stamp(now)}")
    before.mkdir()
    for path in there:
        path.rename(before / path.name)
    return before


def _moved_aside(path: Path, now: datetime) -> Path | None:
    """Give a damaged file another name; None where there is none, or it cannot be moved."""
    try:
        return path.rename(_free(path.parent, f"{path.name}.damaged-{_stamp(now)}"))
    except OSError:
        return None


def _free(folder: Path, name: str) -> Path:
    """A name that is not taken yet."""
    names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
    return next((folder / free for free in names if not (folder / free).exists()), folder / name)


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _read_model(path: Path, runtime: Runtime | None) -> SceneModel:
    model = SceneModel.load(path, runtime)
    if model.supported_per_day is None or model.knowledge.places is None:
        raise ModelError(f"{path}: has not learned a camera")
    return model


def _exact_in_half(model: SceneModel) -> bool:
    """Whether 16 bits hold all kernels as they are: those of the base model, whose networks then stay shared."""
    return all(
        tensor.ndim != 4 or tensor.dtype != torch.float32 or bool(tensor.half().float().equal(tensor))
        for tensor in model.detector.state().values()
    )


def _as_of(model: SceneModel, progress: Progress) -> Progress:
    """Progress that fits a model newer than it."""
    refreshes = model.header.training.get("refreshes", 0)
    known = model.header.trained_on.get("footage_seconds", progress.model_seconds)
    return Progress(
        started=progress.started,
        watched=progress.watched,
        model_seconds=max(float(known), progress.model_seconds),
        refreshes=int(refreshes),
    )


def _state(progress: Progress, learn_seconds: float, now: datetime) -> dict[str, Any]:
    """One light's part of the state: for people first, then for the next run."""
    left = learn_seconds - progress.watched
    started = None
    if progress.started is not None:
        with suppress(OverflowError, ValueError, OSError):
            started = datetime.fromtimestamp(progress.started, UTC).isoformat(timespec="seconds")
    return {
        "started_at": started,
        # At the earliest: the time of another light, and time without pictures, does not count.
        "provisional_until": (now + timedelta(seconds=left)).isoformat(timespec="seconds") if left > 0 else None,
        **progress.to_json(),
    }

"""Learning one camera properly (``avid-watch fit``): minutes of training, the best checkpoint, calibration."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from detectors.avid.batches import TrainingScene
from detectors.avid.settings import AvidSettings, recipe
from detectors.avid.simulate import SceneScale
from detectors.avid.system import Avid
from detectors.avid.training import AvidTrainer, StepLosses
from detectors.avid.validation import held_out_residual, validate
from detectors.calibration import TailPrior
from detectors.checkpoint import ModelHeader, current_versions
from detectors.evidence import Fusion
from detectors.inference import choose_runtime
from detectors.learning import Budget, LearnProgress, calibrate_scene, read_bank, read_measure
from detectors.loss_curve import save_loss_curve
from detectors.scene import choose_windows, scale_at
from detectors.scene_model import DECISIONS, Knowledge, SceneModel, preprocessing_json
from preprocess.errors import InputError, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detectors.bank import WindowBank
    from detectors.inference import Runtime
    from preprocess.pictures import Footage, WindowSettings

HELD_OUT = 0.2  # share of the windows, the last ones, that train nothing: they choose the checkpoint and calibrate
CHECKPOINTS = 6  # times a training is looked at
CLEARLY_BETTER = 0.005  # ranking by which an earlier state must be better to be kept: later ones have settled more
LEAST_WINDOWS = 20
LEAST_READING = 60.0  # seconds that reading may take, however short the training
FITTED_FUSION = Fusion(0.5, 0.5)  # after minutes on a camera both networks know it: none is preferred, no label asked
RESUME_EVERY = 30.0  # seconds between two savings of the training state


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How to fit.

    Attributes:
        preset: name of the recipe, ``default`` or ``paper``.
        seconds: time for the training; None where ``steps`` says.
        steps: number of steps; the same seed then gives the same weights to the bit on a CPU.
        seed: of everything random.
        resume_file: where the training state is kept, and read from with ``resume``. Delete it once the model is saved
            whose header says ``training.finished``.
        resume: go on from that state.
        loss_curve: where the picture of the losses is saved.
    """

    preset: str = "default"
    seconds: float | None = 600.0
    steps: int | None = None
    seed: int = 0
    resume_file: Path | None = None
    resume: bool = False
    loss_curve: Path | None = None


def fit_scene(
    footage: Footage,
    options: FitOptions,
    *,
    start: SceneModel | None = None,
    runtime: Runtime | None = None,
    progress: Callable[[LearnProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> SceneModel:
    """Fit a model of one camera.

    Args:
        footage: normal footage of the camera.
        options: recipe and budget.
        start: the base model; its weights are the start of the default recipe and its knowledge fills what the
            footage is too short for.
        runtime: device and precision; chosen for this machine by default.
        progress: told how far it is.
        stop: asked at every step; True ends the training there, the model is made from what was learned.

    Raises:
        InputError: the footage is too short.
        ModelError: the training state to resume does not fit.
        UsageError: no such preset.
    """
    runtime = runtime if runtime is not None else choose_runtime()
    settings = recipe(options.preset)
    budget = Budget(time.monotonic(), options.seconds or float("inf"), stop, progress)
    progress(LearnProgress("reading", 0.0))
    measure = read_measure(footage)
    windows = choose_windows(measure, mode=settings.mode)
    began, in_time = time.monotonic(), True

    def keep_going() -> bool:
        """Whether reading has taken less time than the training will: a day of footage takes an hour to decode."""
        nonlocal in_time
        in_time = options.seconds is None or time.monotonic() - began < max(options.seconds, LEAST_READING)
        return in_time

    bank = read_bank(footage, windows, keep_going=keep_going, spread=True)
    if len(bank) < LEAST_WINDOWS:
        raise InputError(f"only {len(bank)} windows of normal footage; fit wants at least {LEAST_WINDOWS}: give more")
    _refuse_too_small(settings, windows, options.preset)
    body, step = scale_at(measure, windows)
    scale = SceneScale(body, step)
    cut = max(1, round(len(bank) * (1 - HELD_OUT)))
    learned, held_out = bank.part(0, cut), bank.part(cut, len(bank))
    same = start is not None and start.detector.settings.inpainter == settings.inpainter
    same = same and start is not None and start.detector.settings.mode == settings.mode
    same = same and start is not None and start.detector.settings.detector == settings.detector
    weights = start.detector.state() if start is not None and same else None
    trainer = AvidTrainer(
        settings,
        [TrainingScene(learned, scale)],
        seed=options.seed,
        start=weights,
        reduced_precision=runtime.precision == torch.bfloat16,
        device=str(runtime.device),
    )
    blur = settings.blur * body
    # What was read until time was up is not to the picture the same the next time: it is told by its windows alone.
    learned_from = [*preprocessing_json(windows).values(), body, step, *([len(bank)] if in_time else [])]
    training = _Training(trainer, settings, held_out, scale, blur, runtime, options, learned_from)
    best = training.run(progress, stop)
    detector = Avid(settings, best, blur=blur, runtime=runtime)
    known = (
        replace(start.knowledge, fusion=FITTED_FUSION)
        if start is not None and options.preset != "paper"
        else Knowledge(Fusion(), 0.2, {decision: TailPrior() for decision in DECISIONS}, {}, None)
    )
    progress(LearnProgress("calibrating", 1.0))
    knowledge = calibrate_scene(held_out, detector, known, replace(budget, seconds=float("inf")), places_from=bank)
    header = ModelHeader(
        detector=Avid.name,
        detector_settings={**settings.to_json(), "blur_pixels": blur},
        preprocessing=preprocessing_json(windows),
        calibration={**knowledge.to_json(), "body": body, "step": step, "precision": str(runtime.precision)},
        versions=current_versions(),
        trained_on={
            "footage_seconds": round(bank.seconds, 3),
            "windows": len(bank),
            "pictures": len(bank.pictures),
            "moved": measure.body is not None,
            "one_stretch_in": bank.every,
            "read_to_the_end": in_time,
            "started_from": start.header.trained_on if start is not None and weights is not None else {},
        },
        training={
            "preset": options.preset,
            "steps": trainer.steps,
            "best_step": training.best_step,
            "finished": training.finished,
            "seed": trainer.seed,
            "checkpoints": training.checkpoints,
        },
    )
    return SceneModel(detector, windows, knowledge, header, "fitted")


def _refuse_too_small(settings: AvidSettings, windows: WindowSettings, preset: str) -> None:
    least = settings.detector.smallest_input
    if min(windows.width, windows.height) < least:
        raise InputError(
            f"pictures of {windows.width}x{windows.height} are too small for --preset {preset}, whose detector needs"
            f" {least} pixels each way; leave the preset out"
        )


class _Training:
    """One training run: steps, checkpoints on held-out footage, resumable state, the loss curve."""

    def __init__(
        self,
        trainer: AvidTrainer,
        settings: AvidSettings,
        held_out: WindowBank,
        scale: SceneScale,
        blur: float,
        runtime: Runtime,
        options: FitOptions,
        footage: list[Any],
    ) -> None:
        self.trainer = trainer
        self.settings = settings
        self.held_out = held_out
        self.scale = scale
        self.blur = blur
        self.runtime = runtime
        self.options = options
        self.losses: list[tuple[float, float, float, float]] = []
        self.checkpoints: list[list[float]] = []
        self.best_step = 0
        self._best: dict[str, torch.Tensor] = trainer.weights()
        self._best_figure = -np.inf
        self._next_look = 0.0
        self._spent = 0.0
        self._footage = footage
        self.finished = False

    def run(self, progress: Callable[[LearnProgress], None], stop: Callable[[], bool]) -> dict[str, torch.Tensor]:
        """Train to the end of the budget; the weights of the best checkpoint."""
        if self.options.resume:
            self._resume()
        started = time.monotonic() - self._spent
        saved = time.monotonic()
        while (share := self._share(started)) < 1 and not stop():
            if share >= self._next_look:
                self._look()
                self._next_look = share + 1 / CHECKPOINTS
            losses = self.trainer.step(share)
            self._note(losses)
            progress(LearnProgress("training", share, f"step {self.trainer.steps}, loss {losses.reconstruction:.4f}"))
            if time.monotonic() - saved > RESUME_EVERY:
                self._spent = time.monotonic() - started
                self._save()
                saved = time.monotonic()
        self.finished = self._share(started) >= 1
        # Saved before the last look, which a training that goes on would not have had here. Also a finished one is kept
        # until whoever asked for it has saved the model: calibration takes a minute or two, and a disk may be full.
        self._spent = time.monotonic() - started
        self._save()
        self._look()
        if self.options.loss_curve is not None:
            save_loss_curve(self.options.loss_curve, self.losses, self.checkpoints, self.best_step)
        return self._best

    def _share(self, started: float) -> float:
        if self.options.steps is not None:
            return self.trainer.steps / self.options.steps
        return (time.monotonic() - started) / max(self.options.seconds or 1e-9, 1e-9)

    def _look(self) -> None:
        """Judge the present weights on held-out normal footage and keep them where they are the best so far."""
        weights = self.trainer.weights()
        detector = Avid(self.settings, weights, blur=self.blur, runtime=self.runtime)
        if self.settings.training.simulated_weight:
            figure = validate(detector, self.held_out, self.scale, self.options.seed)
        else:
            # The paper's stopping rule: the smallest reconstruction error on held-out normal windows.
            figure = -held_out_residual(detector, self.held_out, self.options.seed)
        self.checkpoints.append([float(self.trainer.steps), float(figure)])
        if self.trainer.steps == 0:
            return
        # The figures of neighbouring states differ by the draw; those of a falling learning rate are the calmer ones.
        margin = CLEARLY_BETTER if self.settings.training.simulated_weight else 0.0
        if figure >= self._best_figure - margin:
            self._best, self.best_step = weights, self.trainer.steps
            self._best_figure = max(figure, self._best_figure)

    def _note(self, losses: StepLosses) -> None:
        self.losses.append((losses.simulated, losses.inpainted, losses.reconstruction, losses.adversarial))

    def _save(self) -> None:
        path = self.options.resume_file
        if path is None:
            return
        state: dict[str, Any] = {
            "trainer": self.trainer.state(),
            "losses": self.losses,
            "checkpoints": self.checkpoints,
            "best": self._best,
            "best_figure": float(self._best_figure),
            "best_step": self.best_step,
            "next_look": self._next_look,
            "spent": self._spent,
            "preset": self.options.preset,
            "footage": self._footage,
        }
        part = path.with_name(path.name + ".part")
        # Nowhere to keep the state is no reason to stop a training: its model may still be written, to another disk.
        try:
            torch.save(state, part)
            part.replace(path)
        except (OSError, RuntimeError):
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _resume(self) -> None:
        path = self.options.resume_file
        if path is None or not path.exists():
            raise ModelError(f"{path}: no interrupted training to resume; leave --resume out to begin anew")
        try:
            state = torch.load(path, weights_only=True)
            preset, footage = state["preset"], state.get("footage", self._footage)
            if preset == self.options.preset and footage == self._footage:
                self.trainer.restore(state["trainer"])
                self.losses, self.checkpoints = list(state["losses"]), list(state["checkpoints"])
                self._best, self._best_figure = state["best"], state["best_figure"]
                self.best_step, self._spent = state["best_step"], state["spent"]
                self._next_look = state["next_look"]
        except Exception as error:
            raise ModelError(f"{path}: the training state is damaged or does not fit; begin anew") from error
        if preset != self.options.preset:
            raise ModelError(f"{path}: was trained with --preset {preset}; resume with the same")
        if footage != self._footage:
            raise ModelError(f"{path}: was trained on other footage; give the same, or leave --resume out")

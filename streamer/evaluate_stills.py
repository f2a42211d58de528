"""``avid-watch evaluate ir-mnist PATH``: AVID's still preset on grids of digits, measured per cell.

Grids are built from MNIST's files, the still preset learns from the normal ones, and every cell of the test grids is
scored. Training state and scores are kept under ``DIR/cache``; stopped at any moment, the same command goes on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detectors.evaluation.datasets.ir_mnist import PAPER_TEST, PAPER_TRAIN, build_ir_mnist
from detectors.evaluation.metrics.curves import roc
from detectors.evaluation.protocol import EvaluationSet
from detectors.evaluation.record import SeedResult, results_document
from preprocess.errors import InputError, UsageError
from streamer.evaluate_output import machine
from streamer.evaluate_scores import StoppedError
from streamer.evaluate_stills_cache import StillCache, StillScores, still_key
from streamer.evaluate_stills_output import write_stills
from streamer.requests import EvaluateOutcome
from streamer.settings import by_option_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detectors.evaluation.datasets.ir_mnist import IrMnist
    from detectors.evaluation.record import Figures
    from detectors.evaluation.stills.networks import StillTrainer
    from detectors.evaluation.stills.system import NormalDigits, StillSystem
    from detectors.inference import Runtime
    from streamer.console import Console
    from streamer.requests import EvaluateRequest
    from streamer.settings import EvaluateSettings

STILL_SET = "ir-mnist"
TITLE = "IR-MNIST"
TRAIN_PICTURES, TEST_PICTURES = PAPER_TRAIN, PAPER_TEST
NETWORKS_SHARE = 0.9
"""Of the time to train, what the networks get; the rest is for the memory and for what is usual of every part."""
SAVED_EVERY = 60.0
"""Seconds of training that a power cut may cost."""
NOTES = (
    "grids built from MNIST's files: 11 x 11 upright cells of 28 pixels; the authors' own pictures were not at hand",
    "no figure per cell was seen in print, neither in the paper nor by others",
)


def evaluate_stills(request: EvaluateRequest, folder: Path, runtime: Runtime, console: Console) -> EvaluateOutcome:
    """Measure the still preset.

    Args:
        request: checked settings; its path holds MNIST's four files.
        folder: for results and cache, there already.
        runtime: where the networks run.
        console: tells progress; its ``stop`` ends the work politely.

    Raises:
        InputError: MNIST cannot be read, or is too small to learn from.
        OutputError: results cannot be written.
    """
    settings = request.settings
    seeds = range(settings.seed, settings.seed + settings.seeds)
    done: list[tuple[SeedResult, StillScores]] = []
    try:
        for number, seed in enumerate(seeds):
            label = f"seed {number + 1} of {settings.seeds}" if settings.seeds > 1 else TITLE
            done.append(_Seed(request, folder, runtime, console, seed, label).result())
    except StoppedError:
        return EvaluateOutcome(folder, interrupted=True)
    results = results_document(
        EvaluationSet(STILL_SET, TITLE, (), NOTES),
        [result for result, _ in done],
        detector=settings.detector,
        score=settings.score,
        settings=by_option_name(settings),
        machine=machine(runtime),
    )
    write_stills(folder, results, [scores for _, scores in done], settings.docs)
    return EvaluateOutcome(folder, results)


def refuse_what_stills_lack(settings: EvaluateSettings) -> None:
    """Refuse settings that are about video; raises UsageError."""
    refused = {
        f"--detector {settings.detector}": settings.detector != "avid",
        f"--preset {settings.preset}": settings.preset != "default",
        "--score paper": settings.score == "paper",
        "--model": settings.model is not None,
        "--look-ahead": settings.look_ahead is not None,
    }
    for option, given in refused.items():
        if given:
            raise UsageError(f"{option}: {STILL_SET} is of still pictures, with a preset of their own; leave it out")


def cell_figures(scores: StillScores, score: str) -> Figures:
    """AUC and EER over all cells of all grids, of the score asked for; and the AUC of every part beside it.

    The area under the curve of cells found against normal cells flagged, ties as in scikit-learn's ``roc_auc_score``.

    Raises:
        InputError: the test grids hold only one kind of cell.
    """
    truth = scores.irregular.ravel()
    if truth.all() or not truth.any():
        raise InputError(f"{TITLE}: the test grids need both normal and held-out digits; check MNIST's t10k files")
    curves = {name: roc(truth, part.ravel()) for name, part in scores.parts.items()}
    parts = {f"cell_auc_{name}": curve.area() for name, curve in curves.items()}
    return {"cell_auc": curves[score].area(), "cell_eer": curves[score].equal_error_rate(), **parts}


@dataclass(slots=True)
class _Seed:
    """One seed: its own grids, training and scores."""

    request: EvaluateRequest
    folder: Path
    runtime: Runtime
    console: Console
    seed: int
    label: str

    def result(self) -> tuple[SeedResult, StillScores]:
        settings = self.request.settings
        key = still_key(self.request, self.runtime, (TRAIN_PICTURES, TEST_PICTURES), self.seed)
        cache = StillCache(self.folder, self.seed, key)
        scores = cache.scores()
        if scores is None:
            scores = self._scored(cache)
            cache.write_scores(scores)
        result = SeedResult(
            seed=self.seed,
            pooled=cell_figures(scores, settings.score),
            per_scene={},
            per_clip={},
            training_seconds={TITLE: scores.training_seconds},
            frames=len(scores.irregular),
            scoring_seconds=scores.scoring_seconds,
        )
        return result, scores

    def _scored(self, cache: StillCache) -> StillScores:
        self._go_on()
        built = build_ir_mnist(self.request.path, seed=self.seed, count_train=TRAIN_PICTURES, count_test=TEST_PICTURES)
        began = time.monotonic()
        system, earlier = self._fitted(built, cache)
        training_seconds = earlier + time.monotonic() - began
        began = time.monotonic()
        with self.console.phase(f"{self.label}: scoring", total=float(len(built.test)), unit="grids") as phase:

            def each(share: float) -> None:
                self._go_on()
                phase.advance(share * len(built.test))

            parts = system.score(built.test, each)
        return StillScores(
            parts=parts,
            irregular=built.irregular,
            pictures=built.test,
            training_seconds=training_seconds,
            scoring_seconds=time.monotonic() - began,
        )

    def _fitted(self, built: IrMnist, cache: StillCache) -> tuple[StillSystem, float]:
        """The system, and the seconds that an earlier, interrupted run spent on it."""
        import torch  # noqa: PLC0415 - loaded after its threads are set up

        from detectors.evaluation.stills.networks import StillTrainer  # noqa: PLC0415 - as above
        from detectors.evaluation.stills.system import StillSystem, normal_digits  # noqa: PLC0415 - as above

        began = time.monotonic()
        try:
            digits = normal_digits(built.train, seed=self.seed)
        except ValueError as error:
            raise InputError(f"{self.request.path}: {error}; give MNIST's own files") from error
        trainer = StillTrainer(torch.from_numpy(digits.learned), self.runtime, seed=self.seed)
        earlier = cache.restore(trainer)
        self._train(trainer, cache, earlier, began)
        return self._standardised(StillSystem.of(trainer, digits, self.runtime, seed=self.seed), digits), earlier

    def _train(self, trainer: StillTrainer, cache: StillCache, earlier: float, began: float) -> None:
        settings = self.request.settings
        budget = None if settings.training_seconds is None else NETWORKS_SHARE * settings.training_seconds
        unit, total = ("steps", float(settings.steps or 0)) if budget is None else ("seconds", budget)
        saved = time.monotonic()

        def progress() -> float:
            done = trainer.steps if budget is None else earlier + time.monotonic() - began
            return done / total

        with self.console.phase(f"{self.label}: training", total=total, unit=unit) as phase:
            while (share := progress()) < 1:
                losses = trainer.step(share)
                phase.at(share * total)
                phase.note(f"I {losses.inpainter:.4f}, D {losses.detector:.3f}")
                stopping = self.console.stop.is_set()
                if stopping or time.monotonic() - saved > SAVED_EVERY:
                    cache.save(trainer, earlier + time.monotonic() - began)
                    saved = time.monotonic()
                if stopping:
                    raise StoppedError
        cache.save(trainer, earlier + time.monotonic() - began)

    def _standardised(self, system: StillSystem, digits: NormalDigits) -> StillSystem:
        with self.console.phase(f"{self.label}: what is usual", total=1.0, unit="parts") as phase:
            system.standardise(digits.kept_out, self._counted(phase.advance))
        return system

    def _counted(self, advance: Callable[[float], None]) -> Callable[[float], None]:
        def each(share: float) -> None:
            self._go_on()
            advance(share)

        return each

    def _go_on(self) -> None:
        if self.console.stop.is_set():
            raise StoppedError

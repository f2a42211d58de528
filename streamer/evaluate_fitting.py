"""One model per scene of a benchmark: the one given, the one kept from before, or fitted as ``avid-watch fit`` does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from preprocess.errors import InputError, ModelError, UsageError
from streamer.evaluate_footage import ClipFootage
from streamer.evaluate_scores import StoppedError
from streamer.networks import FitFiles
from streamer.settings import FitSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detectors.evaluation.protocol import EvaluationScene
    from detectors.inference import Runtime
    from detectors.learning import LearnProgress
    from detectors.scene_model import SceneModel
    from preprocess.pictures import Footage
    from streamer.console import Console
    from streamer.evaluate_cache import SceneCache
    from streamer.settings import EvaluateSettings

AVID = "avid"
ENERGY = "energy"
FACTS_EVERY = 30.0
"""Seconds of training whose time a kill may leave uncounted; as often as its state is saved."""


class BenchmarkNetworks(Protocol):
    """What fits and loads models; :class:`streamer.networks.TorchNetworks` is one."""

    @property
    def runtime(self) -> Runtime:
        """Device and precision."""
        ...

    @property
    def batch_size(self) -> int:
        """Windows per run of the networks."""
        ...

    def load(self, path: Path) -> SceneModel:
        """Read a model file; raises ModelError."""
        ...

    def fit(
        self,
        footage: Footage,
        settings: FitSettings,
        files: FitFiles,
        *,
        progress: Callable[[LearnProgress], None],
        stop: Callable[[], bool],
    ) -> SceneModel:
        """Fit a model as ``avid-watch fit`` does."""
        ...


def refuse_unknown_detector(name: str) -> None:
    """Refuse what cannot be evaluated.

    Raises:
        UsageError: no such detector, or one that has no way to be fitted to a scene.
    """
    import detectors.evaluation.energy  # noqa: F401, PLC0415 - makes the baseline known; loads torch
    from detectors.registry import detector_factory  # noqa: PLC0415 - as above

    detector_factory(name)
    if name not in (AVID, ENERGY):
        raise UsageError(f"--detector {name}: cannot be fitted to video; known here: {AVID}, {ENERGY}")


def fitted(
    scene: EvaluationScene,
    settings: EvaluateSettings,
    seed: int,
    cache: SceneCache,
    networks: BenchmarkNetworks,
    console: Console,
    label: str,
) -> SceneModel:
    """The scene's model; the time a fit took is among the facts of ``cache``.

    Raises:
        StoppedError: the user asked to stop; the training goes on from there the next time.
        InputError: the normal clips cannot be read or are too short.
        ModelError: the model given cannot be used.
        UsageError: an unknown preset.
    """
    if settings.model is not None:
        return networks.load(settings.model.expanduser())
    if settings.detector == ENERGY:
        return _baseline(scene, cache, console, label)
    facts = cache.facts()
    if facts.get("complete") and cache.model.is_file():
        try:
            return networks.load(cache.model)
        except ModelError as error:
            console.detail(f"{error}; fitted again")
    return _fit(scene, settings, seed, cache, networks, console, label)


def _fit(
    scene: EvaluationScene,
    settings: EvaluateSettings,
    seed: int,
    cache: SceneCache,
    networks: BenchmarkNetworks,
    console: Console,
    label: str,
) -> SceneModel:
    cache.make()
    resume = cache.training.is_file()
    earlier = float(cache.facts().get("training_seconds", 0.0)) if resume else 0.0
    fit_settings = FitSettings(
        output=cache.model,
        preset=settings.preset,
        seconds=settings.training_seconds,
        steps=settings.steps,
        resume=resume,
        seed=seed,
        device=settings.device,
        precision=settings.precision,
    )
    files = FitFiles(training=cache.training, loss_curve=cache.path / "losses.png")
    total = float(settings.steps) if settings.steps is not None else float(settings.training_seconds or 0.0)
    unit = "steps" if settings.steps is not None else "seconds"
    began = time.monotonic()
    with console.phase(f"{label}: fitting", total=total, unit=unit) as phase:
        told = began

        def show(progress: LearnProgress) -> None:
            nonlocal told
            phase.at(progress.done * total)
            phase.note(f"{progress.stage} {progress.note}".strip())
            if time.monotonic() - told > FACTS_EVERY:
                told = time.monotonic()
                cache.write_facts({"complete": False, "training_seconds": earlier + told - began})

        stop = console.stop.is_set
        footage = ClipFootage(scene.normal, scene.ignored, keep_going=lambda: not stop())
        try:
            model = networks.fit(footage, fit_settings, files, progress=show, stop=stop)
        except InputError as error:
            if stop():
                raise StoppedError from error
            raise InputError(f"{scene.name}: {error}") from error
        except ModelError:
            if not resume:
                raise
            # A damaged state of an interrupted training is nothing to keep a benchmark from.
            cache.training.unlink(missing_ok=True)
            return _fit(scene, settings, seed, cache, networks, console, label)
    seconds = earlier + time.monotonic() - began
    if not model.header.training["finished"]:
        cache.write_facts({"complete": False, "training_seconds": seconds})
        raise StoppedError
    model.save(cache.model)
    cache.write_facts({"complete": True, "training_seconds": seconds})
    cache.training.unlink(missing_ok=True)
    if stop():  # after the training had come to its end: that is not lost
        raise StoppedError
    # From the file, as watching does: what was fitted and what is measured are the same to the bit.
    return networks.load(cache.model)


def _baseline(scene: EvaluationScene, cache: SceneCache, console: Console, label: str) -> SceneModel:
    from detectors.evaluation.energy import fit_energy  # noqa: PLC0415 - loads torch

    stop = console.stop.is_set
    began = time.monotonic()
    with console.phase(f"{label}: calibrating the baseline") as phase:
        footage = ClipFootage(scene.normal, scene.ignored, keep_going=lambda: not stop())
        try:
            model = fit_energy(footage, progress=lambda progress: phase.note(progress.stage), stop=stop)
        except InputError as error:
            if stop():
                raise StoppedError from error
            raise InputError(f"{scene.name}: {error}") from error
    if stop():
        raise StoppedError
    cache.write_facts({"complete": True, "training_seconds": time.monotonic() - began})
    return model

"""``avid-watch evaluate DATASET PATH``: fit every scene, score its test clips as watching would, and measure.

Everything slow is kept under ``DIR/cache`` as soon as it is there; stopped at any moment, the same command goes on.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from detectors.evaluation.datasets import read_set
from detectors.evaluation.datasets.masks import MaskPictures
from detectors.evaluation.record import AS_FITTED, SeedResult, results_document
from preprocess.errors import InputError, UsageError
from streamer.evaluate_cache import SceneCache
from streamer.evaluate_fitting import fitted, refuse_unknown_detector
from streamer.evaluate_footage import facts_of
from streamer.evaluate_look_ahead import recording_looking_ahead
from streamer.evaluate_measure import MeasuredClip, clip_figures, in_sequence, measure, summary_of
from streamer.evaluate_output import RESULTS, fit_settings, machine, write_outputs
from streamer.evaluate_scores import StoppedError, score_clip
from streamer.evaluate_stills import STILL_SET, evaluate_stills, refuse_what_stills_lack
from streamer.evaluate_text import OWN_FOOTAGE
from streamer.networks import TorchNetworks
from streamer.requests import EvaluateOutcome
from streamer.settings import WatchSettings, by_option_name
from streamer.sinks.writing import told_as_output_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from detectors.evaluation.protocol import Clip, EvaluationScene, EvaluationSet, TestClip
    from detectors.scene_model import SceneModel
    from streamer.console import Console
    from streamer.evaluate_fitting import BenchmarkNetworks
    from streamer.evaluate_scores import ClipScores
    from streamer.requests import EvaluateRequest
    from streamer.settings import EvaluateSettings

CACHE = "cache"
DEFAULT_FOLDER = Path("evaluation")
SHIPPED_RATE = float(WatchSettings().false_alarms_per_day)
"""False alarms per day that the threshold of events is set for: what watching does unless told otherwise."""


def evaluate(
    request: EvaluateRequest, console: Console, *, networks: BenchmarkNetworks | None = None
) -> EvaluateOutcome:
    """Measure a detector on a data set.

    Args:
        request: checked settings.
        console: tells progress; its ``stop`` ends the work politely.
        networks: what fits and loads models; by default the real ones.

    Raises:
        InputError: the set or a clip of it cannot be read, or does not fit its truth.
        OutputError: results cannot be written.
        UsageError: no such set, detector or preset.
        ModelError: the model given cannot be used.
    """
    settings = request.settings
    if request.dataset == STILL_SET:
        return _on_stills(request, console, networks)
    evaluated = with_rate(read_set(request.dataset, request.path), settings.frame_rate)
    if settings.model is not None and len(evaluated.scenes) > 1:
        raise UsageError(
            f"--model: {evaluated.name} has {len(evaluated.scenes)} cameras, a model knows one; leave it out"
        )
    _refuse_results_of_another(request, evaluated)
    _refuse_masks_of_another_size(evaluated)
    folder = _folder_of(request)
    networks = networks if networks is not None else TorchNetworks(settings)
    networks.runtime  # noqa: B018 - sets threads up before anything below loads torch
    return _Benchmark(evaluated, folder, settings, networks, console).run()


def _on_stills(request: EvaluateRequest, console: Console, networks: BenchmarkNetworks | None) -> EvaluateOutcome:
    refuse_what_stills_lack(request.settings)
    folder = _folder_of(request)
    networks = networks if networks is not None else TorchNetworks(request.settings)
    return evaluate_stills(request, folder, networks.runtime, console)


def _refuse_results_of_another(request: EvaluateRequest, evaluated: EvaluationSet) -> None:
    """Refuse to replace what another set of one's own gave, where no folder was asked for; raises UsageError."""
    if request.settings.out is not None:
        return
    folder = DEFAULT_FOLDER / request.dataset
    try:
        title = json.loads((folder / RESULTS).read_text(encoding="utf-8"))["title"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if title != evaluated.title:
        raise UsageError(f"{folder}: holds the results of {title}; give {evaluated.title} another folder with --out")


def _refuse_masks_of_another_size(evaluated: EvaluationSet) -> None:
    """Refuse masks that no picture of their clip can fit, before anything is fitted; raises InputError."""
    for test in (test for scene in evaluated.scenes for test in scene.test):
        if evaluated.name != OWN_FOOTAGE or not isinstance(test.masks, MaskPictures):
            continue
        height, width = test.masks(0).shape
        size = facts_of(test.clip).size
        if size != (width, height):
            raise InputError(
                f"{test.clip.uri}: its pictures are {size[0]}x{size[1]}, its masks {width}x{height}; masks are of the"
                " pictures' size"
            )


def _folder_of(request: EvaluateRequest) -> Path:
    folder = (request.settings.out or DEFAULT_FOLDER / request.dataset).expanduser()
    with told_as_output_errors(folder):
        (folder / CACHE).mkdir(parents=True, exist_ok=True)
    return folder


def with_rate(evaluated: EvaluationSet, frame_rate: float | None) -> EvaluationSet:
    """The set with a frame rate for clips that have none of their own; as it is where none was asked for."""
    if frame_rate is None:
        return evaluated
    rate = Fraction(str(frame_rate))

    def timed(clip: Clip) -> Clip:
        return replace(clip, frame_rate=rate) if clip.frame_rate is None else clip

    def tested(clips: tuple[TestClip, ...]) -> tuple[TestClip, ...]:
        return tuple(replace(test, clip=timed(test.clip)) for test in clips)

    scenes = (
        replace(
            scene,
            normal=tuple(timed(clip) for clip in scene.normal),
            test=tested(scene.test),
            variants={name: tested(clips) for name, clips in scene.variants.items()},
        )
        for scene in evaluated.scenes
    )
    return replace(evaluated, scenes=tuple(scenes))


@dataclass(slots=True)
class _Benchmark:
    """All seeds and scenes of one set."""

    evaluated: EvaluationSet
    folder: Path
    settings: EvaluateSettings
    networks: BenchmarkNetworks
    console: Console

    def run(self) -> EvaluateOutcome:
        refuse_unknown_detector(self.settings.detector)
        try:
            seeds = [self._seed(self.settings.seed + number, number) for number in range(self.settings.seeds)]
        except StoppedError:
            return EvaluateOutcome(self.folder, interrupted=True)
        results = results_document(
            self.evaluated,
            [seed for seed, _ in seeds],
            detector=self.settings.detector,
            score=self.settings.score,
            settings=by_option_name(self.settings),
            machine=machine(self.networks.runtime),
        )
        write_outputs(self.folder, results, [measured for _, measured in seeds], self.settings.docs, self.console)
        return EvaluateOutcome(self.folder, results)

    def _seed(self, seed: int, number: int) -> tuple[SeedResult, list[MeasuredClip]]:
        measured: list[MeasuredClip] = []
        per_scene = {}
        variants = {}
        training: dict[str, float | None] = {}
        of_seed = f"seed {number + 1} of {self.settings.seeds}, " if self.settings.seeds > 1 else ""
        for scene in self.evaluated.scenes:
            work = _SceneWork(scene, seed, self, f"{of_seed}{scene.name}")
            here = work.measured(scene.test)
            per_scene[scene.name] = summary_of(here).metrics
            if scene.variants:
                rates = {AS_FITTED: per_scene[scene.name].get("frame_auc")}
                rates |= {name: work.frame_auc(clips) for name, clips in scene.variants.items()}
                variants[scene.name] = {name: auc for name, auc in rates.items() if auc is not None}
            measured += here
            training[scene.name] = work.training_seconds
        result = SeedResult(
            seed=seed,
            pooled=summary_of(measured).metrics,
            per_scene=per_scene,
            per_clip={clip.name: clip_figures(clip) for clip in measured},
            variants=variants,
            training_seconds=training,
            frames=sum(len(clip.scores) for clip in measured),
            unscored=sum(len(clip.scores) - len(clip.scores.rows) for clip in measured),
            scoring_seconds=sum(clip.scores.seconds for clip in measured),
        )
        return result, measured


class _SceneWork:
    """One scene with one seed; a model is made or read only where scores are missing."""

    def __init__(self, scene: EvaluationScene, seed: int, benchmark: _Benchmark, label: str) -> None:
        self._scene = scene
        self._seed = seed
        self._settings = benchmark.settings
        self._networks = benchmark.networks
        self._console = benchmark.console
        self._label = label
        self._model: SceneModel | None = None
        fitted_with = fit_settings(benchmark.settings, benchmark.networks.runtime)
        self._cache: SceneCache = SceneCache(benchmark.folder / CACHE, scene, seed, fitted_with)
        self._scored_with = {"score": self._settings.score, "rate": SHIPPED_RATE, "batch": self._networks.batch_size}
        self._look_ahead = self._settings.look_ahead or 0.0

    @property
    def training_seconds(self) -> float | None:
        """Time the fit took; None where a model was given."""
        seconds = self._cache.facts().get("training_seconds")
        return None if seconds is None else float(seconds)

    def measured(self, clips: Iterable[TestClip]) -> list[MeasuredClip]:
        """Scores and pixel figures of clips, from the cache as far as they are there.

        Raises:
            StoppedError: the user asked to stop.
            InputError: a clip cannot be read or does not fit its truth.
        """
        ranked_by = {**self._scored_with, **({"look ahead": self._look_ahead} if self._look_ahead else {})}
        return in_sequence(
            measure(self._scene, test, scores, self._cache, ranked_by, self._console, self._label)
            for test, scores in self._scored(clips)
        )

    def frame_auc(self, clips: Iterable[TestClip]) -> float | None:
        """Frame AUC over some clips alone; None where there are not both kinds of frames."""
        found = in_sequence(
            MeasuredClip(self._scene, test, test.truth(scores.times), scores) for test, scores in self._scored(clips)
        )
        return summary_of(found).metrics.get("frame_auc")

    def _scored(self, clips: Iterable[TestClip]) -> Iterator[tuple[TestClip, ClipScores]]:
        """Clips with what they are ranked by; files of one recording look into each other."""
        recordings: list[list[TestClip]] = []
        for test in clips:
            if test.continues and recordings:
                recordings[-1].append(test)
            else:
                recordings.append([test])
        for files in recordings:
            causal = [self._scores(test) for test in files]
            yield from zip(files, recording_looking_ahead(causal, self._look_ahead), strict=True)

    def _scores(self, test: TestClip) -> ClipScores:
        if self._console.stop.is_set():
            raise StoppedError
        kept = self._cache.read(test.clip, self._scored_with)
        if kept is not None:
            return kept
        model = self._fitted()
        label = f"{self._label}: scoring {test.clip.name}"
        with self._console.phase(label, total=facts_of(test.clip).frames) as phase:

            def each() -> None:
                if self._console.stop.is_set():
                    raise StoppedError
                phase.advance()

            scores = score_clip(
                model,
                test.clip,
                self._scene.ignored,
                score=self._settings.score,
                false_alarms_per_day=SHIPPED_RATE,
                batch_size=self._networks.batch_size,
                each=each,
            )
        self._cache.write(test.clip, self._scored_with, scores)
        return scores

    def _fitted(self) -> SceneModel:
        if self._model is None:
            began = time.monotonic()
            self._model = fitted(
                self._scene, self._settings, self._seed, self._cache, self._networks, self._console, self._label
            )
            self._console.detail(f"{self._label}: a model after {time.monotonic() - began:.1f} s")
        return self._model

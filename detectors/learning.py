"""Learning one scene in a few seconds: choose its windows, adapt the base networks, learn its places, calibrate.

Everything fits into a time budget on any machine. What is not reached in time is left as the base model has it:
first the adaptation of the networks is cut short or left out, then places and calibration see fewer windows. It never
ends in an error for lack of time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from detectors.avid.batches import TrainingScene
from detectors.avid.simulate import SceneScale
from detectors.avid.system import Avid
from detectors.avid.training import AvidTrainer
from detectors.avid.validation import validate
from detectors.bank import WindowBank, build_bank
from detectors.calibration import calibrate
from detectors.checkpoint import ModelHeader, current_versions
from detectors.evidence import learn_places, something_moves
from detectors.ground import Ground, as_statistic, background_on_cells, feet, learn_novelty
from detectors.scene import MOST_PICTURES, SceneMeasure, choose_windows, measure_scene, scale_at
from detectors.scene_model import DECISIONS, Knowledge, SceneModel, preprocessing_json
from preprocess.errors import InputError
from preprocess.pictures import Picture
from preprocess.temporal import to_working_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from detectors.base import Scores
    from detectors.calibration import Calibration
    from detectors.evidence import Decision, Places
    from detectors.inference import Runtime
    from preprocess.pictures import Footage, PictureStream, WindowSettings

MEASURED_PICTURES = 700  # pictures the scene is measured on; at 640 pixels of width they take 160 MB at most
LEAST_MEASURED = 50  # pictures left at the end that are worth a look
MEASURED_WIDTH = 640
READING_SHARE = 0.45  # of the budget; reading stops there with what it has
LEAST_READ = 2  # seconds of unbroken footage that are read even where no time is left: less leaves nothing to calibrate
MOST_UNASKED = 500  # pictures after which a spent budget ends the reading of broken footage all the same
CALIBRATION_SHARE = 0.3  # of the budget, kept for places and calibration at least
LARGEST_CALIBRATION_SHARE = 0.6  # of the budget, kept for them where a timed batch asks for it
HELD_OUT = 0.3  # share of the windows, the last ones, that adapt no network and choose between before and after
LEAST_ADAPTED = 60  # windows below which the networks are left alone
ADAPTATION_STEPS = 150  # most steps of a short learning: more of them only learn the few windows by heart
ADAPTATION_RATE = 2e-4
ADAPTATION_GAIN = 0.01  # ranking of held-out cells by which adapted networks must be better to be kept
TOLERATED = 0.05  # share of the learning footage that may be irregular
MOST_PLACE_WINDOWS = 2000
SPARE = 1.5  # times the time a batch says that all windows take: the first run is slow, and others use the machine
BATCH = 8


@dataclass(frozen=True, slots=True)
class LearnProgress:
    """How far learning is.

    Attributes:
        stage: what goes on, in a few words.
        done: share of the whole done, 0..1.
        note: a figure worth showing, or empty.
    """

    stage: str
    done: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """A deadline, and who may end things earlier."""

    started: float
    seconds: float
    stop: Callable[[], bool]
    progress: Callable[[LearnProgress], None]

    def share_used(self) -> float:
        """Share of the time used, from 0."""
        return (time.monotonic() - self.started) / max(self.seconds, 1e-9)

    def before(self, share: float) -> bool:
        """Whether less than this share is used and nobody asked to stop."""
        return self.share_used() < share and not self.stop()

    def tell(self, stage: str, note: str = "") -> None:
        """Tell the progress so far."""
        self.progress(LearnProgress(stage, min(1.0, self.share_used()), note))


def learn_scene(
    footage: Footage,
    base: SceneModel,
    *,
    budget_seconds: float = 45.0,
    seed: int = 0,
    runtime: Runtime | None = None,
    progress: Callable[[LearnProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    adapt: bool = True,
) -> SceneModel:
    """Learn a scene from the base model within a time budget.

    Args:
        footage: normal pictures of the scene; a few irregular ones (5 %) do no harm.
        base: the model to start from.
        budget_seconds: for everything: decoding, scene choice, training and calibration.
        seed: of everything random.
        runtime: device and precision; the base model's by default.
        progress: told how far it is.
        stop: asked often; True ends learning early with what there is.
        adapt: train the networks for the scene where that serves it; else only places and calibration are learned, and
            the base model's networks stay shared.

    Raises:
        InputError: the footage is too short or too broken for a single window.
    """
    runtime = runtime if runtime is not None else base.detector.runtime
    budget = Budget(time.monotonic(), budget_seconds, stop, progress)
    budget.tell("reading")
    measure = read_measure(footage, budget)
    windows = choose_windows(measure, mode=base.detector.settings.mode)
    bank = read_bank(footage, windows, budget)
    body, step = scale_at(measure, windows)
    scale = SceneScale(body, step)
    blur = base.detector.settings.blur * body
    detector, steps, gain = _unadapted(base, blur, runtime), 0, 0.0
    if adapt:
        detector, steps, gain = _adapt(bank, scale, base, detector, seed, budget)
    knowledge = calibrate_scene(bank, detector, base.knowledge, budget)
    header = ModelHeader(
        detector=Avid.name,
        detector_settings={**detector.settings.to_json(), "blur_pixels": detector.blur},
        preprocessing=preprocessing_json(windows),
        calibration={**knowledge.to_json(), "body": body, "step": step, "precision": str(runtime.precision)},
        versions=current_versions(),
        trained_on={
            "footage_seconds": round(bank.seconds, 3),
            "windows": len(bank),
            "started_from": base.header.trained_on,
        },
        training={"steps": steps, "seed": seed, "budget_seconds": budget_seconds, "gain": gain},
    )
    budget.tell("done")
    return SceneModel(detector, windows, knowledge, header, "learned from this source")


def read_measure(footage: Footage, budget: Budget | None = None) -> SceneMeasure:
    """Measure a scene on the first pictures of its footage in which something moves.

    Raises:
        InputError: there are not two pictures.
    """
    pictures: list[Picture] = []
    size = (0, 0)
    found: list[tuple[SceneMeasure, tuple[int, int]]] = []
    stream = footage.pictures()
    try:
        for number, picture in enumerate(_affordable(stream, budget, READING_SHARE / 3, LEAST_READ), 1):
            height, width = picture.luma.shape
            if (width, height) != size:
                if len(pictures) >= LEAST_MEASURED:
                    continue
                pictures, size = [], (width, height)
            shrink = max(1.0, width / MEASURED_WIDTH)
            small = to_working_size(picture.luma, round(width / shrink), round(height / shrink))
            pictures.append(Picture(small, picture.pts, picture.segment))
            if len(pictures) < MEASURED_PICTURES:
                continue
            found += _measured(pictures, size)
            pictures = []
            if number >= MOST_PICTURES or (found and found[-1][0].body is not None):
                break
    finally:
        stream.close()
    if not found or (found[-1][0].body is None and len(pictures) >= LEAST_MEASURED):
        found += _measured(pictures, size)
    if not found:
        raise InputError("nothing to learn from: fewer than two pictures in a row; give longer footage")
    measure, size = found[-1]
    shrink = size[0] / measure.width
    return replace(
        measure,
        body=measure.body * shrink if measure.body else None,
        speed=measure.speed * shrink if measure.speed else None,
        fast_speed=measure.fast_speed * shrink if measure.fast_speed else None,
        width=size[0],
        height=size[1],
    )


def _measured(pictures: list[Picture], size: tuple[int, int]) -> list[tuple[SceneMeasure, tuple[int, int]]]:
    """The measure of some pictures with the source's size; none where there are no two in a row."""
    try:
        return [(measure_scene(pictures), size)]
    except (ValueError, IndexError):
        return []


def read_bank(
    footage: Footage,
    windows: WindowSettings,
    budget: Budget | None = None,
    *,
    keep_going: Callable[[], bool] = lambda: True,
    spread: bool = False,
) -> WindowBank:
    """Read footage into a bank, as far as the budget allows.

    Args:
        footage: normal pictures.
        windows: of the scene.
        budget: what time there is; None: any.
        keep_going: asked at every picture; False ends the reading with what is there.
        spread: of footage too long for memory keep stretches spread over all of it, not its beginning.

    Raises:
        InputError: there is not one window.
    """
    stream = footage.pictures()
    try:
        pictures = _affordable(stream, budget, READING_SHARE, LEAST_READ + 5 * windows.spacing)
        bank = build_bank(pictures, windows, keep_going=keep_going, spread=spread)
    finally:
        stream.close()
    if len(bank) == 0:
        needed = float(5 * windows.spacing)
        raise InputError(f"nothing to learn from: no {needed:.2g} s of unbroken pictures; give longer footage")
    return bank


def _affordable(
    stream: PictureStream, budget: Budget | None, share: float, least: Fraction | float
) -> Iterator[Picture]:
    """Pictures until this share of the budget is used, but at least ``least`` seconds in a row of them."""
    first: Picture | None = None
    enough = False
    for count, picture in enumerate(stream, 1):
        yield picture
        if budget is None:
            continue
        if first is None or picture.segment != first.segment:
            first = picture
        enough = enough or picture.pts - first.pts >= least or count >= MOST_UNASKED
        if enough and not budget.before(share):
            return


def _unadapted(base: SceneModel, blur: float, runtime: Runtime) -> Avid:
    """The base model's networks with a scene's blur; no weight is copied where they run on the same device."""
    if runtime == base.detector.runtime:
        return base.detector.with_blur(blur)
    return Avid(base.detector.settings, base.detector.state(), blur=blur, runtime=runtime)


def _adapt(
    bank: WindowBank, scale: SceneScale, base: SceneModel, unadapted: Avid, seed: int, budget: Budget
) -> tuple[Avid, int, float]:
    """Adapt the base networks to the scene, and keep the result only where held-out normal footage is better served.

    Returns:
        The detector to use, the steps behind it (0: the base networks) and its gain over them.
    """
    settings, runtime = base.detector.settings, unadapted.runtime
    cut = round(len(bank) * (1 - HELD_OUT))
    end = 1 - _calibration_share(bank, unadapted, budget)
    if cut < LEAST_ADAPTED or not settings.training.simulated_weight or not budget.before(end):
        return unadapted, 0, 0.0
    learned, held_out = bank.part(0, cut), bank.part(cut, len(bank))
    recipe = replace(
        settings.training,
        inpainter_rate=ADAPTATION_RATE,
        detector_rate=ADAPTATION_RATE,
        warm_up=0.15,
        adversarial_every=ADAPTATION_STEPS + 1,
        average_decay=0.98,
        frozen_norms=True,
    )
    trainer = AvidTrainer(
        replace(settings, training=recipe),
        [TrainingScene(learned, scale)],
        seed=seed,
        start=base.detector.state(),
        reduced_precision=runtime.precision == torch.bfloat16,
        device=str(runtime.device),
    )
    started = budget.share_used()
    while trainer.steps < ADAPTATION_STEPS and budget.before(end):
        by_time = (budget.share_used() - started) / max(end - started, 1e-6)
        losses = trainer.step(max(trainer.steps / ADAPTATION_STEPS, by_time))
        budget.tell("training", f"step {trainer.steps}, loss {losses.reconstruction:.4f}")
    if trainer.steps == 0:
        return unadapted, 0, 0.0
    adapted = Avid(settings, trainer.weights(), blur=unadapted.blur, runtime=runtime)
    gain = validate(adapted, held_out, scale, seed) - validate(unadapted, held_out, scale, seed)
    return (adapted, trainer.steps, gain) if gain > ADAPTATION_GAIN else (unadapted, 0, 0.0)


def _calibration_share(bank: WindowBank, detector: Avid, budget: Budget) -> float:
    """Share of the budget to keep for scoring every window: on a slow or busy machine the adaptation must wait.

    Too few windows calibrate a scene badly, while the base networks serve it well without adaptation.
    """
    rows = list(range(min(BATCH, len(bank))))
    if not budget.before(1 - LARGEST_CALIBRATION_SHARE):
        return LARGEST_CALIBRATION_SHARE
    started = time.monotonic()
    detector.score(torch.from_numpy(bank.windows(rows)))
    needed = SPARE * (time.monotonic() - started) / len(rows) * len(bank)
    return float(np.clip(needed / max(budget.seconds, 1e-9), CALIBRATION_SHARE, LARGEST_CALIBRATION_SHARE))


def calibrate_scene(
    bank: WindowBank, detector: Avid, known: Knowledge, budget: Budget, *, places_from: WindowBank | None = None
) -> Knowledge:
    """Learn places and calibration from the windows there is time for, in a few unbroken stretches.

    Args:
        bank: normal windows to calibrate on.
        detector: the networks.
        known: fusion, smoothing and tails from the base model.
        budget: what time there is.
        places_from: windows the places are learned from; the same bank by default.
    """
    scored = list(_scores(bank, detector, _affordable_rows(bank, detector, budget), budget))
    usual = scored
    if places_from is not None:
        rows = list(range(0, len(places_from), max(1, len(places_from) // MOST_PLACE_WINDOWS)))
        usual = list(_scores(places_from, detector, rows, budget))
    places = learn_places(scores for scores, _ in usual)
    moves = np.concatenate([something_moves(scores.motion.cpu().numpy()) for scores, _ in scored])
    calibrations: dict[Decision, Calibration] = {}
    for decision in DECISIONS:
        segments = frame_statistics(scored, bank, places, known, decision)
        calibrations[decision] = calibrate(
            segments,
            _frame_rates(bank, [row for _, part in scored for row in part], segments),
            known.priors[decision],
            tolerated=TOLERATED,
            moving=as_segments(moves, segments),
        )
    seen = [scores for scores, _ in usual]
    visits = np.sum([feet(scores.motion.cpu().numpy()).sum(0) for scores in seen], axis=0)
    background = (places_from or bank).background
    size = (bank.settings.width, bank.settings.height)
    novelty = learn_novelty(visits, background_on_cells(background, seen[0].grid, size))
    learned = replace(known, places=places, calibrations=calibrations)
    return with_ground(learned, ground_of(learned, novelty))


def ground_of(known: Knowledge, novelty: NDArray[np.float32] | None) -> Ground | None:
    """The places people walk at; None where too few did, or the base model does not know how rare novelty is.

    Args:
        known: with this scene's calibrations, of one cause of false events each.
        novelty: of every place, ``(h, w)``, see :func:`detectors.ground.learn_novelty`.
    """
    if novelty is None or known.novelty_tail is None:
        return None
    return Ground(as_statistic(novelty, known.calibrations["joint"], known.novelty_tail))


def with_ground(known: Knowledge, ground: Ground | None) -> Knowledge:
    """Knowledge with the ground as a second cause of false events, as frequent as the first at every threshold."""
    if ground is None:
        return replace(known, ground=None)
    joint = known.calibrations["joint"]
    doubled = replace(joint, event_rate=2 * joint.event_rate, causes=2.0)
    return replace(known, calibrations={**known.calibrations, "joint": doubled}, ground=ground)


def _affordable_rows(bank: WindowBank, detector: Avid, budget: Budget) -> list[int]:
    """Rows of the bank in order; fewer where a timed batch shows that the budget does not reach for all."""
    first = list(range(min(BATCH, len(bank))))
    started = time.monotonic()
    detector.score(torch.from_numpy(bank.windows(first)))
    seconds = time.monotonic() - started
    left = max(0.0, (1 - budget.share_used()) * budget.seconds)
    affordable = max(BATCH, 0.8 * left / max(seconds, 1e-6) * len(first))  # endless where the budget is
    if affordable >= len(bank):
        return list(range(len(bank)))
    # Stretches stay unbroken, because smoothing and event rates live on neighbouring frames.
    stretches = 4
    each = max(1, int(affordable) // stretches)
    starts = np.linspace(0, len(bank) - each, stretches).astype(int)
    return sorted({row for start in starts for row in range(start, start + each)})


def _scores(bank: WindowBank, detector: Avid, rows: list[int], budget: Budget) -> Iterator[tuple[Scores, list[int]]]:
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        scores = detector.score(torch.from_numpy(bank.windows(part)))
        yield replace(scores, inpainter=torch.empty(0)), part  # I's map at pixels is large and not needed here
        budget.tell("calibrating")


def frame_statistics(
    scored: list[tuple[Scores, list[int]]], bank: WindowBank, places: Places, known: Knowledge, decision: Decision
) -> list[np.ndarray]:
    """Largest statistic of every frame, one array per unbroken stretch of windows."""
    stream = replace(known, ground=None).stream(places, decision)
    values: list[float] = []
    rows: list[int] = []
    for scores, part in scored:
        evidence = stream.push(scores, [bank.times[row] for row in part], [bank.segments[row] for row in part])
        values.extend(evidence.statistic.max((1, 2)).tolist())
        rows.extend(part)
    breaks = [
        i + 1
        for i in range(len(rows) - 1)
        if rows[i + 1] != rows[i] + 1 or bank.segments[rows[i + 1]] != bank.segments[rows[i]]
    ]
    return list(np.split(np.array(values), breaks))


def as_segments(values: NDArray[np.bool_], segments: Sequence[NDArray[np.floating]]) -> list[NDArray[np.bool_]]:
    """Split the values of all frames as their statistics are."""
    return np.split(values, np.cumsum([len(segment) for segment in segments])[:-1])


def _frame_rates(bank: WindowBank, rows: list[int], segments: Sequence[NDArray[np.floating]]) -> list[float]:
    """Windows a second in each segment; clips of different rates may be learned from together."""
    usual = _window_period(bank.times) or float(bank.settings.spacing)
    times = [bank.times[row] for row in rows]
    ends = np.cumsum([len(segment) for segment in segments]).tolist()
    return [
        1.0 / (_window_period(times[end - len(segment) : end]) or usual)
        for end, segment in zip(ends, segments, strict=True)
    ]


def _window_period(times: Sequence[Fraction]) -> float | None:
    """Seconds between neighbouring windows; None where there are no two."""
    steps = [float(b - a) for a, b in pairwise(times) if b > a]
    return float(np.median(steps)) if steps else None

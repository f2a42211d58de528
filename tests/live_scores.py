"""Scores of a small scene as the networks would give them, for tests of what learns from them: no network runs.

Noise everywhere, and now and then a body that stays two seconds at one cell, with exponentially distributed evidence.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch

from detectors.base import Scores
from detectors.calibration import SECONDS_PER_DAY, TailPrior, calibrate
from detectors.evidence import Fusion, learn_places
from detectors.learning import TOLERATED
from detectors.live_learning import LiveLearner, Use, refreshed
from detectors.refreshing import alarm_bound
from detectors.scene_model import DECISIONS, SceneModel, preprocessing_json
from preprocess.pictures import WindowSettings
from tests.scenes import tiny_base

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RATE = 10  # frames a second
EVERY = 20.0  # seconds between bodies, on average
STAY = 2  # seconds a body stays
LOWEST = 2.0  # evidence every body has at least
NOISE = 0.1
PRIOR = TailPrior(0.0, 0.8, 0.55, event_shape=0.0, event_scale=1.1, event_rate=0.09, seconds=1800.0)


def small_base() -> SceneModel:
    """A base model whose windows have a handful of cells; its networks are never run."""
    base = tiny_base(0)
    priors = dict.fromkeys(DECISIONS, PRIOR)
    knowledge = replace(base.knowledge, fusion=Fusion(0.15, 0.85), memory=0.0, priors=priors)
    windows = WindowSettings(Fraction(1, 10), 32, 32)
    header = replace(base.header, preprocessing=preprocessing_json(windows))
    return replace(base, windows=windows, knowledge=knowledge, header=header)


def film(
    base: SceneModel, seconds: float, seed: int | list[int], first: float = 0.0
) -> tuple[Scores, list[Fraction], list[int]]:
    """Scores of frames with their times and segments."""
    random = np.random.default_rng(seed)
    count = round(seconds * RATE)
    shape = (base.grid.rows, base.grid.columns)
    maps = random.normal(0, 0.8, (2, count, *shape)).astype(np.float32)
    start = int(random.exponential(EVERY * RATE)) + 1
    while start < count:
        y, x = random.integers(shape[0]), random.integers(shape[1])
        there = maps[:, start : start + STAY * RATE, y, x]
        there[:] = LOWEST + random.exponential() + random.normal(0, NOISE, there.shape)
        start += STAY * RATE + int(random.exponential(EVERY * RATE)) + 1
    motion = np.full((count, *shape), 0.5, np.float32)
    scores = Scores(torch.empty(0), *(torch.from_numpy(part) for part in (maps[0], maps[1], motion)), base.grid)
    return scores, [Fraction(round(first * RATE) + n, RATE) for n in range(count)], [0] * count


def first_model(base: SceneModel, seconds: float = 45, seed: int = 900) -> SceneModel:
    """What the first minute teaches."""
    scores, times, segments = film(base, seconds, seed)
    places = learn_places([scores])
    calibrations = {}
    for decision in DECISIONS:
        statistic = base.knowledge.stream(places, decision).push(scores, times, segments).statistic.max((1, 2))
        calibrations[decision] = calibrate([statistic], RATE, base.knowledge.priors[decision], tolerated=TOLERATED)
    knowledge = replace(base.knowledge, places=places, calibrations=calibrations)
    return replace(base, knowledge=knowledge, header=replace(base.header, calibration=knowledge.to_json()))


def judged(model: SceneModel, scores: Scores, asked: float) -> list[Use]:
    """What each frame is good for when this model watches."""
    places = model.knowledge.places
    assert places is not None
    times = [Fraction(n, RATE) for n in range(len(scores))]
    statistic = model.knowledge.stream(places, "joint").push(scores, times, [0] * len(times)).statistic.max((1, 2))
    bound = alarm_bound(model.knowledge.calibrations["joint"], asked)
    return [Use.ALARM if value >= bound else Use.NORMAL for value in statistic]


def watch(
    learner: LiveLearner,
    seconds: float,
    *,
    first: float = 0.0,
    seed: int = 0,
    refreshed_to: Callable[[SceneModel], None] = lambda _: None,
) -> float:
    """Watch for so long, refresh when that is due, and return the time it is then."""
    asked = learner.settings.false_alarms_per_day
    for minute in range(round(seconds / 60)):
        scores, times, segments = film(learner.model, 60, [seed, minute], first + 60 * minute)
        learner.take(scores, times, segments, judged(learner.model, scores, asked))
        if learner.due:
            refreshed_to(learner.adopt(refreshed(learner.snapshot())))
    return first + seconds


def events_per_day(model: SceneModel, asked: float, draws: int = 100_000) -> float:
    """How many false events a day the model's threshold lets through in this scene; only bodies can reach it."""
    random = np.random.default_rng(5)
    places, length = model.knowledge.places, round(0.3 * RATE)
    assert places is not None
    y, x = (random.integers(side, size=draws) for side in places.inpainter_mean.shape)
    level = LOWEST + random.exponential(size=draws)
    bound = alarm_bound(model.knowledge.calibrations["joint"], asked)

    def evidence(mean: NDArray[np.float32], spread: NDArray[np.float32]) -> NDArray[np.float32]:
        seen = level[:, None] + random.normal(0, NOISE, (draws, STAY * RATE))
        return np.asarray((seen - mean[y, x][:, None]) / spread[y, x][:, None], np.float32)

    statistic = model.knowledge.fusion.join(
        evidence(places.inpainter_mean, places.inpainter_spread), evidence(places.detector_mean, places.detector_spread)
    )
    lasting = np.min([statistic[:, n : n + STAY * RATE - length + 1] for n in range(length)], axis=0)
    return float((lasting.max(1) >= bound).mean() * SECONDS_PER_DAY / (EVERY + STAY))

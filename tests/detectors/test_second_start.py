"""A camera whose first minute was no sample of its day gets out of alarming for ever; no event is learned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detectors.learning_progress import Progress
from detectors.live_learning import LearningSettings, LiveLearner, Use, refreshed
from detectors.second_start import FIRST_DAY, FIRST_WAIT, SLICE, SecondStart
from tests.live_scores import RATE, film, first_model, judged, small_base

if TYPE_CHECKING:
    from fractions import Fraction

    from detectors.base import Scores

BASE = small_base()
FIRST = first_model(BASE)
SETTINGS = LearningSettings(learn_seconds=1e9)
ALARM = [Use.ALARM] * 60 * RATE
NORMAL = [Use.NORMAL] * 60 * RATE
MAPS = np.zeros((3, BASE.grid.rows, BASE.grid.columns), np.float16)


def traffic(minute: int) -> tuple[Scores, list[Fraction], list[int]]:
    """A minute in which one thing after the other drives by, each twice as strange as all that was learned."""
    scores, times, segments = film(BASE, 60, minute, 60.0 * minute)
    random = np.random.default_rng([7, minute])
    start = 0
    while start < len(times):
        stay = int(random.integers(2 * RATE, 6 * RATE))
        y, x = random.integers(BASE.grid.rows), random.integers(BASE.grid.columns)
        level = 12 + random.exponential()
        for part in (scores.residual, scores.detector):
            there = part[start : start + stay, y, x]
            there[:] = level + torch.from_numpy(random.normal(0, 0.1, len(there)).astype(np.float32))
        start += stay
    return scores, times, segments


def told(learner: LiveLearner, minutes: range, uses: list[Use]) -> float:
    """Judge minutes of noise as asked; seconds of the second start that is due afterwards."""
    for minute in minutes:
        learner.take(*film(BASE, 60, 0, 60.0 * minute), uses)
    return learner.snapshot().second_start if learner.due else 0.0


def test_traffic_behind_an_empty_first_minute_becomes_normal_after_half_an_hour() -> None:
    found = LiveLearner(FIRST, SETTINGS)
    shares, seconds = [], []
    for minute in range(37):
        scores, times, segments = traffic(minute)
        uses = judged(found.model, scores, 1.0)
        shares.append(uses.count(Use.ALARM) / len(uses))
        found.take(scores, times, segments, uses)
        if found.due:
            snapshot = found.snapshot()
            seconds.append(snapshot.second_start)
            found.adopt(refreshed(snapshot))
    assert min(shares[:30]) > 0.9
    assert seconds == [FIRST_WAIT]
    assert np.mean(shares[-5:]) < 0.1
    assert found.progress.second_starts == 1
    assert found.model.knowledge.calibrations["joint"].seconds > FIRST_WAIT / 2


def test_an_event_of_twenty_minutes_is_no_second_start() -> None:
    found = LiveLearner(FIRST, SETTINGS)
    assert told(found, range(20), ALARM) == 0
    assert told(found, range(20, 26), NORMAL) == 0
    assert told(found, range(26, 46), ALARM) == 0


def test_what_alarms_less_than_half_of_the_time_is_no_second_start() -> None:
    uses = [Use.ALARM if n % 100 < 45 else Use.NORMAL for n in range(60 * RATE)]
    assert told(LiveLearner(FIRST, SETTINGS), range(40), uses) == 0


def test_every_further_second_start_takes_twice_as_long_over_restarts_too() -> None:
    found = LiveLearner(FIRST, SETTINGS)
    assert told(found, range(31), ALARM) == FIRST_WAIT
    found.abandon()
    assert told(found, range(31, 85), ALARM) == 0
    again = LiveLearner(FIRST, SETTINGS, progress=found.progress)
    assert told(again, range(55), ALARM) == 0
    assert told(again, range(55, 62), ALARM) == 2 * FIRST_WAIT


@pytest.mark.parametrize(("watched", "learn_seconds"), [(FIRST_DAY, 1e9), (0.0, 600.0)])
def test_there_is_none_after_the_first_day_or_once_learning_is_over(watched: float, learn_seconds: float) -> None:
    settings = replace(SETTINGS, learn_seconds=learn_seconds)
    found = LiveLearner(FIRST, settings, progress=Progress(watched=watched, model_seconds=45.0))
    assert told(found, range(40), ALARM) == 0
    assert found.progress.second_starts == 0


def test_frames_that_could_not_be_judged_are_no_time_and_are_not_gathered() -> None:
    found = LiveLearner(FIRST, SETTINGS)
    assert told(found, range(29), ALARM) == 0
    assert told(found, range(29, 40), [Use.UNUSABLE] * 60 * RATE) == 0
    assert told(found, range(40, 42), ALARM) == FIRST_WAIT


def test_memory_stays_bounded_while_everything_alarms() -> None:
    found = LiveLearner(FIRST, replace(SETTINGS, memory_bytes=200_000))
    for minute in range(45):
        found.take(*film(BASE, 60, 0, 60.0 * minute), NORMAL if minute < 10 else ALARM)
        assert found.nbytes <= 200_000
    assert found.due


def test_nothing_is_gathered_before_something_is_wrong_nor_kept_once_it_is_right() -> None:
    second = SecondStart(BASE.grid, 10**6, seed=0)
    for n in range(round(SLICE * RATE) + 10):
        second.hear(n / RATE, 1 / RATE, MAPS, alarmed=n % 3 == 0)
    assert second.gathered is None
    for n in range(round(2 * SLICE * RATE)):
        second.hear(1000 + n / RATE, 1 / RATE, MAPS, alarmed=True)
    assert second.gathered is not None
    assert second.gathered.seconds > 0
    for n in range(round(2 * SLICE * RATE)):
        second.hear(2000 + n / RATE, 1 / RATE, MAPS, alarmed=False)
    assert second.gathered is None
    assert second.nbytes == 0


def test_progress_saved_before_there_were_second_starts_is_read() -> None:
    values = Progress(second_starts=2).to_json()
    assert Progress.from_json(values).second_starts == 2
    del values["second_starts"]
    assert Progress.from_json(values).second_starts == 0

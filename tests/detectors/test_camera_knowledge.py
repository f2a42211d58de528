"""Day and night are learned apart, each from the base model on."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.camera_knowledge import CameraKnowledge, Learned
from detectors.learning_progress import Progress
from detectors.live_learning import LearningSettings, Use
from tests.live_scores import film, first_model, small_base, watch

BASE = small_base()
DAY, NIGHT = (first_model(BASE, seed=seed) for seed in (900, 901))
SETTINGS = LearningSettings(learn_seconds=240.0, memory_bytes=400_000)


def test_a_light_never_seen_is_provisional_and_has_no_learner() -> None:
    knowledge = CameraKnowledge(SETTINGS)
    assert knowledge.learner("colour") is None
    assert knowledge.provisional("colour")
    knowledge.begin("colour", DAY)
    with pytest.raises(ValueError, match="already"):
        knowledge.begin("colour", DAY)


def test_day_and_night_do_not_learn_from_each_other() -> None:
    knowledge = CameraKnowledge(SETTINGS)
    day = knowledge.begin("colour", DAY)
    watch(day, 300)
    assert not knowledge.provisional("colour")
    assert knowledge.provisional("infrared")
    model = day.model
    night = knowledge.begin("infrared", NIGHT)
    watch(night, 120, first=300.0)
    assert day.model is model
    assert knowledge.provisional("infrared")
    assert not knowledge.provisional("colour")
    assert night.progress.watched == pytest.approx(120, abs=1)
    assert night.model.knowledge.places is not model.knowledge.places


def test_both_lights_together_keep_to_the_memory_of_one_camera() -> None:
    knowledge = CameraKnowledge(LearningSettings(memory_bytes=400_000))
    for light, model in (("colour", DAY), ("infrared", NIGHT)):
        learner = knowledge.begin(light, model)
        for minute in range(15):
            scores, times, segments = film(BASE, 60, minute, 60.0 * minute)
            learner.take(scores, times, segments, [Use.NORMAL] * len(times))
    assert 200_000 < knowledge.nbytes <= 400_000


def test_what_was_learned_before_goes_on() -> None:
    knowledge = CameraKnowledge(SETTINGS)
    watch(knowledge.begin("infrared", NIGHT), 120)
    later = CameraKnowledge(SETTINGS, knowledge.learned())
    assert later.learner("colour") is None
    assert later.learned() == knowledge.learned()
    done = {"colour": Learned(DAY, Progress(watched=1e6, model_seconds=1e6))}
    assert not CameraKnowledge(SETTINGS, done).provisional("colour")


def test_cells_that_cannot_alarm_are_asked_for_each_model() -> None:
    asked = []

    def watched(model: object) -> np.ndarray:
        asked.append(model)
        return np.ones((BASE.grid.rows, BASE.grid.columns), bool)

    CameraKnowledge(SETTINGS, watched=watched).begin("colour", DAY)
    assert asked == [DAY]

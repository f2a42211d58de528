"""Learning a scene keeps its budget, never fails for lack of time, and is not fooled by a few irregular frames."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detectors import learning
from detectors.avid import validation
from detectors.evidence import Places
from detectors.learning import Budget, LearnProgress, learn_scene, read_bank, read_measure
from preprocess.errors import InputError
from preprocess.pictures import Picture, WindowSettings
from preprocess.temporal import WindowBuilder
from tests.scenes import CPU32, Body, Recorded, Scene, tiny_base, tiny_settings, walkers

if TYPE_CHECKING:
    from detectors.base import Verdict
    from detectors.scene_model import SceneModel

SCENE = walkers()
AMPLE = 600.0  # seconds: a budget that decides nothing
RATES = (1e-3, 1.0, 1e3)


@pytest.fixture(scope="module")
def base() -> SceneModel:
    return tiny_base(4)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "ADAPTATION_STEPS", 12)
    monkeypatch.setattr(validation, "BATCHES", 1)
    monkeypatch.setattr(validation, "CROPS", 6)


def assert_usable(model: SceneModel, size: tuple[int, int] = (96, 64)) -> None:
    """A model that can watch: finite thresholds at any rate, and verdicts."""
    for decision in ("joint", "paper"):
        for rate in RATES:
            scorer = model.scorer(size, false_alarms_per_day=rate, decision=decision)
            assert 0 < scorer.threshold < 16
    assert watched(model, SCENE.film(10, 1.5, start=100), rate=1.0)


def watched(model: SceneModel, pictures: list[Picture], *, rate: float) -> list[Verdict]:
    height, width = pictures[0].luma.shape
    builder = WindowBuilder(model.windows)
    windows = [window for picture in pictures if (window := builder.push(picture)) is not None]
    return model.scorer((width, height), false_alarms_per_day=rate).verdicts(windows)


def test_a_scene_is_learned_and_can_be_watched(base: SceneModel) -> None:
    footage = Recorded(SCENE.film(10, 14))
    model = learn_scene(footage, base, budget_seconds=AMPLE)
    assert footage.opened == footage.closed == 2
    assert model.windows == WindowSettings(Fraction(1, 10), 96, 64)
    assert model.header.trained_on["windows"] == 135
    assert model.header.trained_on["footage_seconds"] == pytest.approx(14)
    assert model.knowledge.places is not None
    assert model.knowledge.places.inpainter_mean.shape == (model.grid.rows, model.grid.columns)
    for calibration in model.knowledge.calibrations.values():
        assert calibration.seconds == pytest.approx(13.5, rel=0.02)
    assert_usable(model)


def test_the_same_seed_learns_nearly_the_same_scene(base: SceneModel) -> None:
    """To the bit only ``fit`` repeats by steps: here the learning rate follows the clock."""
    footage = Recorded(SCENE.film(10, 10))
    one, two = (learn_scene(footage, base, budget_seconds=AMPLE, seed=3) for _ in range(2))
    assert one.header.training["steps"] == two.header.training["steps"]
    assert one.header.training["gain"] == pytest.approx(two.header.training["gain"], abs=0.02)
    for name in Places.__slots__:
        assert np.allclose(getattr(one.knowledge.places, name), getattr(two.knowledge.places, name), atol=0.1)


def test_networks_are_adapted_where_that_serves_held_out_footage_and_otherwise_left_alone(
    base: SceneModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    footage = Recorded(SCENE.film(10, 12))
    figures = iter([0.8, 0.6])
    monkeypatch.setattr(learning, "validate", lambda *_: next(figures))
    better = learn_scene(footage, base, budget_seconds=AMPLE)
    assert better.header.training["steps"] == 12
    assert better.header.training["gain"] == pytest.approx(0.2)
    name = "inpainter.output.weight"
    assert not better.detector.state()[name].equal(base.detector.state()[name])
    figures = iter([0.6, 0.8])
    worse = learn_scene(footage, base, budget_seconds=AMPLE)
    assert worse.header.training["steps"] == 0
    assert worse.detector.state()[name].equal(base.detector.state()[name])


def test_without_adaptation_the_networks_stay_those_of_the_base_model_and_are_shared(base: SceneModel) -> None:
    model = learn_scene(Recorded(SCENE.film(10, 12)), base, budget_seconds=AMPLE, adapt=False)
    assert model.header.training["steps"] == 0
    assert model.detector.networks_id == base.detector.networks_id
    assert model.detector.blur != base.detector.blur
    assert_usable(model)


def test_a_budget_is_kept(base: SceneModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "ADAPTATION_STEPS", 1_000_000)
    started = time.monotonic()
    model = learn_scene(Recorded(SCENE.film(10, 20)), base, budget_seconds=3.0)
    assert time.monotonic() - started < 9
    assert_usable(model)


@pytest.mark.parametrize("budget", [0.0, 1e-9, 0.01])
def test_next_to_no_budget_leaves_calibration_alone_and_is_no_error(base: SceneModel, budget: float) -> None:
    model = learn_scene(Recorded(SCENE.film(10, 20)), base, budget_seconds=budget)
    assert model.header.training["steps"] == 0
    assert model.detector.state()["inpainter.output.weight"].equal(base.detector.state()["inpainter.output.weight"])
    assert_usable(model)


@pytest.mark.parametrize("rate", [4, 30, 120])
def test_next_to_no_budget_suffices_at_any_frame_rate(base: SceneModel, rate: int) -> None:
    assert_usable(learn_scene(Recorded(SCENE.film(rate, 6)), base, budget_seconds=1e-9))


def test_learning_ends_when_it_is_asked_to_and_gives_what_it_has(base: SceneModel) -> None:
    footage = Recorded(SCENE.film(10, 20))
    model = learn_scene(footage, base, budget_seconds=AMPLE, stop=lambda: True)
    assert model.header.training["steps"] == 0
    assert model.header.trained_on["windows"] < 195
    assert footage.closed == footage.opened
    assert_usable(model)


def test_learning_that_is_asked_to_end_while_it_trains_trains_no_further(
    base: SceneModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "ADAPTATION_STEPS", 1_000_000)
    figures = iter([0.8, 0.6])
    monkeypatch.setattr(learning, "validate", lambda *_: next(figures))
    stages: list[str] = []
    model = learn_scene(
        Recorded(SCENE.film(10, 12)),
        base,
        budget_seconds=AMPLE,
        progress=lambda told: stages.append(told.stage),
        stop=lambda: stages.count("training") >= 3,
    )
    assert model.header.training["steps"] == 3
    assert_usable(model)


def test_progress_rises_from_nothing_to_the_whole_through_its_stages(base: SceneModel) -> None:
    told: list[LearnProgress] = []
    learn_scene(Recorded(SCENE.film(10, 12)), base, budget_seconds=AMPLE, progress=told.append)
    shares = [progress.done for progress in told]
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
    stages = list(dict.fromkeys(progress.stage for progress in told))
    assert stages == ["reading", "training", "calibrating", "done"]
    assert all("step" in progress.note for progress in told if progress.stage == "training")


def test_a_budget_over_is_told_as_the_whole() -> None:
    told: list[LearnProgress] = []
    Budget(time.monotonic() - 9, 3.0, lambda: False, told.append).tell("training")
    assert told[0].done == 1.0


@pytest.mark.parametrize(
    "pictures",
    [
        [],
        SCENE.film(10, 0.1),
        SCENE.film(10, 0.4),
        [p for n in range(30) for p in SCENE.film(10, 0.2, start=n, segment=n)],
    ],
    ids=["no picture", "one picture", "less than a window", "only pieces"],
)
@pytest.mark.parametrize("budget", [AMPLE, 1e-9])
def test_footage_too_short_or_too_broken_is_an_input_error_that_says_what_to_do(
    base: SceneModel, pictures: list[Picture], budget: float
) -> None:
    footage = Recorded(pictures)
    with pytest.raises(InputError, match=r"nothing to learn from[^\n]*give longer footage"):
        learn_scene(footage, base, budget_seconds=budget)
    assert footage.opened == footage.closed


def test_a_broken_first_second_does_not_spoil_the_rest(base: SceneModel) -> None:
    pieces = [p for n in range(5) for p in SCENE.film(10, 0.1, start=n, segment=n)]
    assert_usable(learn_scene(Recorded(pieces + SCENE.film(10, 8, start=9, segment=9)), base, budget_seconds=AMPLE))


def test_pictures_of_another_size_do_not_spoil_the_measure() -> None:
    other = walkers(width=128, height=96).film(10, 2, start=50, segment=1)
    measure = read_measure(Recorded(SCENE.film(10, 8) + other))
    assert (measure.width, measure.height) == (96, 64)
    assert measure.body == pytest.approx(read_measure(Recorded(SCENE.film(10, 8))).body, rel=0.2)


def test_large_pictures_are_measured_in_their_own_pixels() -> None:
    large = walkers(3, width=1280, height=200, body=40, speed=160)
    measure = read_measure(Recorded(large.film(10, 2)))
    assert (measure.width, measure.height) == (1280, 200)
    assert 40 / 1.5 < measure.body < 40 * 1.5
    assert 160 / 1.5 < measure.speed < 160 * 1.5


def test_a_scene_where_nothing_moves_can_be_learned(base: SceneModel) -> None:
    model = learn_scene(Recorded(Scene().film(10, 8)), base, budget_seconds=AMPLE)
    assert_usable(model)


def test_too_few_windows_leave_the_networks_alone(base: SceneModel) -> None:
    model = learn_scene(Recorded(SCENE.film(10, 4)), base, budget_seconds=AMPLE)
    assert model.header.training["steps"] == 0
    assert_usable(model)


def test_the_paper_s_systems_are_calibrated_and_not_adapted() -> None:
    paper = tiny_base(0, replace(tiny_settings(simulated_weight=0.0), mode="mean"))
    model = learn_scene(Recorded(SCENE.film(10, 12)), paper, budget_seconds=AMPLE)
    assert model.windows.mode == "mean"
    assert model.header.training["steps"] == 0
    assert_usable(model)


def test_the_bank_is_read_at_working_size_and_as_far_as_the_budget_goes() -> None:
    windows = WindowSettings(Fraction(1, 10), 64, 40)
    whole = read_bank(Recorded(SCENE.film(10, 20)), windows)
    assert whole.pictures.shape == (200, 40, 64)
    spent = Budget(time.monotonic() - 10, 1.0, lambda: False, lambda _: None)
    some = read_bank(Recorded(SCENE.film(10, 20)), windows, spent)
    assert 0 < len(some) < len(whole)


INTRUDER = Body(width=14, speed=70, start=0, top=20, brightness=105, texture=4)


def test_a_twentieth_of_irregular_frames_does_not_hide_the_same_irregularity_afterwards(base: SceneModel) -> None:
    """Thresholds move only a little, and what was in the learning part still alarms."""
    scene = walkers(6)
    stretch = replace(INTRUDER, since=9.0, until=10.0)  # 1 s of 20 s
    dirty = replace(scene, bodies=(*scene.bodies, stretch))
    after = replace(scene, bodies=(*scene.bodies, INTRUDER)).film(10, 3, start=60)
    calm = scene.film(10, 3, start=60)
    per_day = 2000.0  # what a learning of 20 s can support
    models = [
        learn_scene(Recorded(taken.film(10, 20)), base, budget_seconds=AMPLE, runtime=CPU32) for taken in (scene, dirty)
    ]
    clean, mixed = (model.knowledge.calibrations["joint"] for model in models)
    thresholds = [c.statistic(c.threshold(per_day)) for c in (clean, mixed)]
    alarms = [[v.alarm for v in watched(model, after, rate=per_day)] for model in models]
    assert np.mean([v.alarm for v in watched(models[1], calm, rate=per_day)]) < 0.1
    assert np.mean(alarms[0]) > 0.5
    assert np.mean(alarms[1]) > 0.5
    assert thresholds[1] < 1.5 * thresholds[0]


def test_a_scene_is_measured_where_something_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "MEASURED_PICTURES", 60)
    moving = SCENE.film(10, 7, start=20)
    alone = read_measure(Recorded(moving))
    late = read_measure(Recorded(Scene().film(10, 20) + moving))
    assert late.body == pytest.approx(alone.body, rel=0.2)
    assert late.fast_speed == pytest.approx(alone.fast_speed, rel=0.3)
    monkeypatch.setattr(learning, "MOST_PICTURES", 60)  # the search ends
    assert read_measure(Recorded(Scene().film(10, 20) + moving)).body is None


def test_something_that_moves_at_the_very_end_is_measured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "MEASURED_PICTURES", 150)
    measure = read_measure(Recorded(Scene().film(10, 15) + SCENE.film(10, 7, start=20)))
    assert measure.body is not None


def test_a_first_picture_of_another_size_is_forgotten() -> None:
    other = walkers(width=128, height=96).film(10, 0.2, segment=1)
    assert len(other) == 2
    measure = read_measure(Recorded([*other, *SCENE.film(10, 8, start=1, segment=2)]))
    assert (measure.width, measure.height) == (96, 64)
    assert measure.body is not None


def test_clips_of_different_rates_count_by_their_time(base: SceneModel) -> None:
    pictures = SCENE.film(10, 12) + SCENE.film(30, 6, start=20, segment=1)
    model = learn_scene(Recorded(pictures), base, budget_seconds=AMPLE, adapt=False)
    for calibration in model.knowledge.calibrations.values():
        assert calibration.seconds == pytest.approx(18 - 2 * 0.5, abs=0.5)

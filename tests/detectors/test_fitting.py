"""Fitting repeats to the bit by steps, can be interrupted and resumed, and shows its losses."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch

from detectors import fitting
from detectors.avid import validation
from detectors.avid.presets import paper_detector
from detectors.avid.training import AvidTrainer
from detectors.fitting import FitOptions, fit_scene
from detectors.learning import read_bank
from detectors.loss_curve import save_loss_curve
from detectors.scene_model import Knowledge, SceneModel
from preprocess.errors import InputError, ModelError, OutputError, UsageError
from preprocess.temporal import WindowBuilder
from tests.scenes import CPU32, Recorded, Scene, tiny_base, tiny_settings, walkers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detectors.avid.settings import AvidSettings
    from detectors.bank import WindowBank
    from detectors.learning import LearnProgress

SCENE = walkers()
BARE = tiny_base().knowledge
FOOTAGE = Recorded(SCENE.film(10, 8))


def tiny_recipe(name: str) -> AvidSettings:
    """The recipes by their names, with networks a test can train."""
    if name == "paper":
        paper = tiny_settings(simulated_weight=0.0, adversarial_every=1, average_decay=0.0, history=0, optimiser="sgd")
        return replace(paper, mode="mean")
    if name != "default":
        raise UsageError(f"no AVID preset is called {name!r}")
    return tiny_settings()


@pytest.fixture(autouse=True)
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "recipe", tiny_recipe)
    monkeypatch.setattr(fitting, "CHECKPOINTS", 3)
    monkeypatch.setattr(validation, "BATCHES", 1)
    monkeypatch.setattr(validation, "CROPS", 6)


def fitted(steps: int = 6, **options: object) -> SceneModel:
    return fit_scene(FOOTAGE, FitOptions(steps=steps, seconds=None, **options), runtime=CPU32)


def assert_same_weights(one: SceneModel, two: SceneModel) -> None:
    first, second = one.detector.state(), two.detector.state()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def scores_of(model: SceneModel) -> list[float]:
    builder = WindowBuilder(model.windows)
    windows = [w for p in SCENE.film(10, 2, start=30) if (w := builder.push(p)) is not None]
    return [verdict.score for verdict in model.scorer((96, 64)).verdicts(windows)]


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_number_of_steps_and_a_seed_give_the_same_model_to_the_bit(preset: str) -> None:
    one, two = (fitted(preset=preset, seed=5) for _ in range(2))
    assert_same_weights(one, two)
    assert one.header.training == two.header.training
    assert one.header.training["steps"] == 6
    assert one.header.training["preset"] == preset
    assert one.knowledge.calibrations == two.knowledge.calibrations
    assert scores_of(one) == scores_of(two)


def test_another_seed_gives_another_model() -> None:
    one, two = fitted(seed=1), fitted(seed=2)
    assert not torch.equal(
        one.detector.state()["inpainter.output.weight"], two.detector.state()["inpainter.output.weight"]
    )


def test_a_fitted_model_watches_and_survives_its_file(tmp_path: Path) -> None:
    model = fitted()
    assert model.header.trained_on["windows"] == 75
    for decision in ("joint", "paper"):
        assert 0 < model.scorer((96, 64), decision=decision).threshold < 16
    model.save(tmp_path / "gate.avid")
    assert scores_of(SceneModel.load(tmp_path / "gate.avid", CPU32)) == scores_of(model)


def test_the_weights_kept_are_those_of_the_best_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = iter([0.9, 0.5, 0.8, 0.6])  # before the first step, which is no checkpoint, and at steps 2, 4 and 6
    monkeypatch.setattr(fitting, "validate", lambda *_: next(figures))
    model = fitted()
    assert model.header.training["checkpoints"] == [[0, 0.9], [2, 0.5], [4, 0.8], [6, 0.6]]
    assert model.header.training["best_step"] == 4
    figures = iter([0.9, 0.5, 0.8, 0.9])
    assert fitted().header.training["best_step"] == 6


def test_of_states_that_rank_alike_the_later_one_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = iter([0.9, 0.5, 0.8, 0.8 - 0.9 * fitting.CLEARLY_BETTER])
    monkeypatch.setattr(fitting, "validate", lambda *_: next(figures))
    assert fitted().header.training["best_step"] == 6


def test_the_paper_s_recipe_keeps_the_smallest_held_out_residual(monkeypatch: pytest.MonkeyPatch) -> None:
    residuals = iter([9.0, 3.0, 1.0, 2.0])
    monkeypatch.setattr(fitting, "held_out_residual", lambda *_: next(residuals))
    assert fitted(preset="paper").header.training["best_step"] == 4


def test_time_ends_a_training_too() -> None:
    started = time.monotonic()
    model = fit_scene(FOOTAGE, FitOptions(seconds=1.0), runtime=CPU32)
    assert time.monotonic() - started < 8
    assert model.header.training["steps"] > 0


def test_progress_is_told_from_nothing_to_the_whole() -> None:
    told: list[LearnProgress] = []
    fit_scene(FOOTAGE, FitOptions(steps=5, seconds=None), runtime=CPU32, progress=told.append)
    training = [progress for progress in told if progress.stage == "training"]
    assert [progress.done for progress in training] == [0, 0.2, 0.4, 0.6, 0.8]
    assert "step 5" in training[-1].note
    assert all(0 <= progress.done <= 1 for progress in told)


def test_the_loss_curve_is_a_readable_picture(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    fitted(loss_curve=path)
    picture = cv2.imread(str(path))
    assert picture is not None
    assert min(picture.shape[:2]) > 300
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10  # lines in several colours


@pytest.mark.parametrize(
    ("losses", "checkpoints"),
    [([], []), ([(0.0, 0.0, 0.5, 0.0)], [[0.0, 0.5]]), ([(0.5, 0.0, 0.5, float(n % 4 == 0)) for n in range(400)], [])],
    ids=["nothing", "one step", "terms that are not in every step"],
)
def test_a_loss_curve_can_be_drawn_of_any_training(
    tmp_path: Path, losses: list[tuple[float, ...]], checkpoints: list[list[float]]
) -> None:
    save_loss_curve(tmp_path / "curve.png", losses, checkpoints, 0)
    assert cv2.imread(str(tmp_path / "curve.png")) is not None


def test_a_loss_curve_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"curve\.png: cannot be written"):
        save_loss_curve(tmp_path / "nowhere" / "curve.png", [(1.0, 1.0, 1.0, 1.0)], [], 0)


class Interrupt:
    """Asks to stop once so many steps were told."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.steps = 0

    def progress(self, told: LearnProgress) -> None:
        self.steps += told.stage == "training"

    def __call__(self) -> bool:
        return self.steps >= self.after


def interrupted(path: Path, *, steps: int = 6, after: int = 3, preset: str = "default") -> SceneModel:
    stop = Interrupt(after)
    options = FitOptions(preset=preset, steps=steps, seconds=None, resume_file=path)
    return fit_scene(FOOTAGE, options, runtime=CPU32, progress=stop.progress, stop=stop)


@pytest.mark.parametrize("preset", ["default", "paper"])
@pytest.mark.parametrize("after", [1, 3, 4])
def test_an_interrupted_fit_is_resumed_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str, after: int
) -> None:
    path = tmp_path / "state"
    monkeypatch.setattr(fitting, "calibrate_scene", lambda *_, **__: BARE)  # the weights are what counts here
    part = interrupted(path, after=after, preset=preset)
    assert part.header.training["steps"] == after
    assert path.exists()
    resumed = fitted(preset=preset, resume_file=path, resume=True)
    whole = fitted(preset=preset)
    assert resumed.header.training == whole.header.training
    assert_same_weights(resumed, whole)
    assert resumed.header.training["finished"]
    assert not part.header.training["finished"]
    assert path.exists()  # whoever saves the model deletes it then


def test_a_training_killed_while_it_is_calibrated_goes_on_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"

    def killed(*_: object, **__: object) -> Knowledge:
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "calibrate_scene", killed)
    with pytest.raises(KeyboardInterrupt):
        fitted(resume_file=path)
    assert path.exists()
    monkeypatch.setattr(fitting, "calibrate_scene", lambda *_, **__: BARE)
    with monkeypatch.context() as patched:
        patched.setattr(AvidTrainer, "step", lambda *_: pytest.fail("it was trained already"))
        resumed = fitted(resume_file=path, resume=True)
    assert_same_weights(resumed, fitted())


def test_an_interrupted_fit_gives_a_model_of_what_was_learned(tmp_path: Path) -> None:
    model = interrupted(tmp_path / "state")
    assert 0 < model.header.training["best_step"] <= 3
    assert 0 < model.scorer((96, 64)).threshold < 16


def test_a_fit_stopped_before_its_first_step_still_gives_a_model(tmp_path: Path) -> None:
    model = interrupted(tmp_path / "state", after=0)
    assert model.header.training["steps"] == 0
    assert scores_of(model)


def test_a_state_is_saved_while_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "RESUME_EVERY", 0.0)
    path, seen = tmp_path / "state", []
    options = FitOptions(steps=4, seconds=None, resume_file=path)
    fit_scene(FOOTAGE, options, runtime=CPU32, progress=lambda _: seen.append(path.exists()))
    assert any(seen)
    assert list(tmp_path.iterdir()) == [path]  # and nothing half written


def test_resuming_with_another_preset_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path / "state", preset="paper")
    with pytest.raises(ModelError, match=r"state: was trained with --preset paper[^\n]*$"):
        fitted(resume_file=tmp_path / "state", resume=True)


def test_resuming_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no interrupted training to resume"):
        fitted(resume_file=tmp_path / "state", resume=True)


@pytest.mark.parametrize("content", [b"", b"no state at all", b"PK\x03\x04 half a file"])
def test_resuming_from_a_damaged_state_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(ModelError, match=r"state: the training state is damaged[^\n]*$"):
        fitted(resume_file=tmp_path / "state", resume=True)


def test_resuming_from_a_state_of_other_networks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(tmp_path / "state")
    other = replace(tiny_settings(), inpainter=replace(tiny_settings().inpainter, channels=(4, 4)))
    monkeypatch.setattr(fitting, "recipe", lambda _: other)
    with pytest.raises(ModelError, match="damaged or does not fit"):
        fitted(resume_file=tmp_path / "state", resume=True)


def test_resuming_a_state_runs_no_code_of_it(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (open, (str(tmp_path / "written"), "w"))

    torch.save({"preset": "default", "trainer": Evil()}, tmp_path / "state")
    with pytest.raises(ModelError, match="damaged or does not fit"):
        fitted(resume_file=tmp_path / "state", resume=True)
    assert not (tmp_path / "written").exists()


def test_an_unknown_preset_is_refused_before_anything_is_read() -> None:
    footage = Recorded([])
    with pytest.raises(UsageError, match="no AVID preset"):
        fit_scene(footage, FitOptions(preset="fancy", steps=1), runtime=CPU32)
    assert footage.opened == 0


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.4, 1.8])
def test_footage_too_short_to_fit_on_is_an_input_error(seconds: float) -> None:
    with pytest.raises(InputError, match="give"):
        fit_scene(Recorded(SCENE.film(10, seconds)), FitOptions(steps=1, seconds=None), runtime=CPU32)


def test_the_default_recipe_starts_from_the_base_model_where_their_networks_are_the_same() -> None:
    base = tiny_base(3)
    start = base.detector.state()["inpainter.output.weight"]
    options = FitOptions(steps=1, seconds=None)
    from_base = fit_scene(FOOTAGE, options, start=base, runtime=CPU32)
    alone = fit_scene(FOOTAGE, options, runtime=CPU32)
    assert from_base.header.trained_on["started_from"] == base.header.trained_on
    assert alone.header.trained_on["started_from"] == {}
    distances = [
        float((model.detector.state()["inpainter.output.weight"] - start).abs().max()) for model in (from_base, alone)
    ]
    assert distances[0] < 0.1 * distances[1]
    other = replace(tiny_settings(), inpainter=replace(tiny_settings().inpainter, channels=(4, 4)))
    unlike = fit_scene(FOOTAGE, options, start=tiny_base(0, other), runtime=CPU32)
    assert unlike.header.trained_on["started_from"] == {}


def test_the_tails_of_the_base_model_serve_the_default_recipe_only() -> None:
    base = tiny_base()
    prior = replace(base.knowledge.priors["joint"], shape=0.25)
    base = replace(base, knowledge=replace(base.knowledge, priors={"joint": prior, "paper": prior}))
    options = FitOptions(steps=1, seconds=None)
    ours = fit_scene(FOOTAGE, options, start=base, runtime=CPU32)
    paper = fit_scene(FOOTAGE, replace(options, preset="paper"), start=base, runtime=CPU32)
    assert ours.knowledge.calibrations["joint"].shape == 0.25
    assert paper.knowledge.calibrations["joint"].shape != 0.25


def test_resuming_on_other_footage_is_refused_and_the_seed_is_that_of_the_training(tmp_path: Path) -> None:
    interrupted(tmp_path / "state")
    options = FitOptions(steps=6, seconds=None, resume_file=tmp_path / "state", resume=True, seed=7)
    with pytest.raises(ModelError, match=r"state: was trained on other footage; give the same[^\n]*$"):
        fit_scene(Recorded(walkers(width=128, height=96).film(10, 14)), options, runtime=CPU32)
    assert fit_scene(FOOTAGE, options, runtime=CPU32).header.training["seed"] == 0


def test_footage_that_was_read_in_part_is_resumed_though_another_part_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = iter([50, 70])

    def in_part(*given: object, keep_going: Callable[[], bool], **named: object) -> WindowBank:
        monkeypatch.setattr(fitting, "LEAST_READING", -1.0)
        assert not keep_going()
        bank = read_bank(*given, **named)
        return bank.part(0, next(parts))

    monkeypatch.setattr(fitting, "read_bank", in_part)
    monkeypatch.setattr(fitting, "calibrate_scene", lambda *_, **__: BARE)
    path, stop = tmp_path / "state", Interrupt(1)
    options = FitOptions(seconds=1e-9, resume_file=path)
    fit_scene(FOOTAGE, options, runtime=CPU32, progress=stop.progress, stop=stop)
    model = fit_scene(FOOTAGE, replace(options, resume=True), runtime=CPU32)
    assert not model.header.trained_on["read_to_the_end"]


def test_a_state_that_cannot_be_kept_does_not_end_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:672]")

    monkeypatch.setattr(fitting.torch, "save", full)
    monkeypatch.setattr(fitting, "RESUME_EVERY", 0.0)
    model = fitted(resume_file=tmp_path / "state")
    assert model.header.training["finished"]
    assert list(tmp_path.iterdir()) == []


def test_pictures_too_small_for_a_preset_are_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(tiny_settings(), detector=paper_detector())
    monkeypatch.setattr(fitting, "recipe", lambda _: settings)
    monkeypatch.setattr(fitting, "AvidTrainer", lambda *_, **__: pytest.fail("nothing is to be trained"))
    small = walkers(width=48, height=40).film(10, 6)
    with pytest.raises(InputError, match=r"pictures of 48x40 are too small for --preset default, .* needs 51 pixels"):
        fit_scene(Recorded(small), FitOptions(steps=1, seconds=None), runtime=CPU32)


def test_reading_takes_no_longer_than_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "calibrate_scene", lambda *_, **__: BARE)
    options = FitOptions(seconds=1e-9)
    assert fit_scene(FOOTAGE, options, runtime=CPU32).header.trained_on["read_to_the_end"]
    monkeypatch.setattr(fitting, "LEAST_READING", 0.0)
    with pytest.raises(InputError, match=r"only 0 windows of normal footage|nothing to learn from"):
        fit_scene(FOOTAGE, options, runtime=CPU32)


def test_whether_anything_moved_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "calibrate_scene", lambda *_, **__: BARE)
    assert fitted().header.trained_on["moved"]
    assert fitted().header.trained_on["one_stretch_in"] == 1
    still = fit_scene(Recorded(Scene().film(10, 8)), FitOptions(steps=1, seconds=None), runtime=CPU32)
    assert not still.header.trained_on["moved"]


def test_a_loss_curve_is_a_png_whatever_its_name(tmp_path: Path) -> None:
    save_loss_curve(tmp_path / "curve.txt", [(1.0, 1.0, 1.0, 1.0)], [], 0)
    assert (tmp_path / "curve.txt").read_bytes().startswith(b"\x89PNG")

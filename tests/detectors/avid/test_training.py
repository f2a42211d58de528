"""Training repeats to the bit, goes on to the bit where it was left, and its terms come when the recipe says."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detectors.avid.batches import TrainingScene
from detectors.avid.detector import DetectorLayer, DetectorNetwork, DetectorSettings
from detectors.avid.inpainter import InpainterSettings
from detectors.avid.rendered import RenderedTruth
from detectors.avid.settings import AvidSettings, paper_recipe
from detectors.avid.simulate import SceneScale, SimulatedBatch
from detectors.avid.training import AvidTrainer, StepLosses
from tests.scenes import TINY_SCALE, Scene, tiny_bank, tiny_settings, walkers

if TYPE_CHECKING:
    from pathlib import Path

    from detectors.bank import WindowBank


@pytest.fixture(scope="module")
def bank() -> WindowBank:
    return tiny_bank()


def trainer_on(bank: WindowBank, settings: AvidSettings | None = None, **options: object) -> AvidTrainer:
    return AvidTrainer(settings or tiny_settings(), [TrainingScene(bank, TINY_SCALE)], **options)


def trained(trainer: AvidTrainer, steps: int, of: int | None = None) -> list[StepLosses]:
    of = of or steps
    return [trainer.step(trainer.steps / of) for _ in range(steps)]


def assert_same(one: AvidTrainer, two: AvidTrainer) -> None:
    first, second = one.weights(), two.weights()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def paper_in_small() -> AvidSettings:
    """The paper's recipe with networks of its kind but small: unpadded, without batch norm in D, mean channels."""
    settings = paper_recipe()
    return replace(
        settings,
        inpainter=InpainterSettings(channels=(4, 8, 4), decoder_channels=(8, 4), upsampling="bilinear_aligned"),
        detector=DetectorSettings(
            layers=(DetectorLayer(6, kernel=5, stride=2), DetectorLayer(6, kernel=3, stride=2)),
            batch_norm=False,
            leak=0.0,
            output_bias=False,
            output="normality",
        ),
        training=replace(settings.training, batch=4, inpainter_crop=24),
    )


@pytest.mark.parametrize("reduced", [False, True], ids=["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_weights_to_the_bit(bank: WindowBank, reduced: bool) -> None:
    one, two = (trainer_on(bank, seed=3, reduced_precision=reduced) for _ in range(2))
    assert trained(one, 6) == trained(two, 6)
    assert_same(one, two)


def test_another_seed_gives_other_weights(bank: WindowBank) -> None:
    one, two = trainer_on(bank, seed=3), trainer_on(bank, seed=4)
    assert not torch.equal(one.weights()["inpainter.output.weight"], two.weights()["inpainter.output.weight"])
    assert trained(one, 1) != trained(two, 1)


def test_what_others_draw_at_random_changes_nothing_and_is_not_changed(bank: WindowBank) -> None:
    one = trainer_on(bank)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    two = trainer_on(bank)
    trained(two, 2)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    np.random.default_rng().random()
    trained(one, 2)
    assert_same(one, two)


@pytest.mark.parametrize("settings", [tiny_settings(), paper_in_small()], ids=["default", "paper"])
def test_a_training_goes_on_to_the_bit_where_its_state_was_taken(bank: WindowBank, settings: AvidSettings) -> None:
    whole = trainer_on(bank, settings, seed=1)
    losses = trained(whole, 7, of=10)
    first = trainer_on(bank, settings, seed=1)
    assert trained(first, 4, of=10) == losses[:4]
    state = copy.deepcopy(first.state())
    trained(first, 1)  # what happens after the state was taken is not in it
    resumed = trainer_on(bank, settings, seed=2)
    resumed.restore(state)
    assert resumed.steps == 4
    assert trained(resumed, 3, of=10) == losses[4:]
    assert_same(whole, resumed)


def test_a_training_state_survives_a_file_that_can_run_no_code(bank: WindowBank, tmp_path: Path) -> None:
    one = trainer_on(bank)
    trained(one, 2, of=6)
    torch.save(one.state(), tmp_path / "state")
    trained(one, 2, of=6)
    two = trainer_on(bank)
    two.restore(torch.load(tmp_path / "state", weights_only=True))
    trained(two, 2, of=6)
    assert_same(one, two)


def test_losses_are_finite_and_the_inpainter_learns(bank: WindowBank) -> None:
    losses = trained(trainer_on(bank), 40)
    assert all(math.isfinite(value) for step in losses for value in (step.simulated, step.reconstruction))
    early, late = (np.mean([step.reconstruction for step in part]) for part in (losses[:5], losses[-5:]))
    assert late < 0.6 * early
    early, late = (np.mean([step.simulated for step in part]) for part in (losses[:5], losses[-5:]))
    assert late < early


def test_the_adversarial_terms_come_at_every_k_th_step_only(bank: WindowBank) -> None:
    losses = trained(trainer_on(bank, tiny_settings(adversarial_every=3)), 7)
    playing = [n % 3 == 0 for n in range(7)]
    assert [step.adversarial != 0 for step in losses] == playing
    assert [step.inpainted != 0 for step in losses] == playing
    assert all(step.simulated > 0 and step.reconstruction > 0 for step in losses)


def test_a_term_of_weight_zero_is_not_computed(bank: WindowBank) -> None:
    settings = tiny_settings(adversarial_every=1, adversarial_weight=0.0, inpainted_weight=0.0, simulated_weight=0.0)
    trainer = trainer_on(bank, settings)
    before = {name: value.clone() for name, value in trainer.detector.state_dict().items()}
    losses = trained(trainer, 2)
    assert all((step.adversarial, step.inpainted, step.simulated) == (0, 0, 0) for step in losses)
    after = trainer.detector.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_adversarial_term_reaches_the_inpainter_and_leaves_the_detector_alone(bank: WindowBank) -> None:
    settings = tiny_settings(
        adversarial_every=1, reconstruction_weight=0.0, adversarial_weight=1.0, inpainted_weight=0.0, simulated_weight=0
    )
    trainer = trainer_on(bank, settings)
    before = {name: value.clone() for name, value in trainer.inpainter.named_parameters()}
    fixed = {name: value.clone() for name, value in trainer.detector.named_parameters()}
    trained(trainer, 1)
    assert any(not torch.equal(before[name], value) for name, value in trainer.inpainter.named_parameters())
    assert all(torch.equal(fixed[name], value) for name, value in trainer.detector.named_parameters())
    assert all(parameter.requires_grad for parameter in trainer.detector.parameters())
    assert trainer.detector.training


def test_the_paper_s_recipe_trains_with_its_own_optimiser_noise_and_channels(bank: WindowBank) -> None:
    settings = paper_in_small()
    trainer = trainer_on(bank, settings)
    assert isinstance(trainer.inpainter_optimiser, torch.optim.SGD)
    assert trainer.averages is None
    assert trainer.history is None
    before = trainer.weights()
    losses = trained(trainer, 3)
    for step in losses:
        assert step.simulated == 0
        assert all(math.isfinite(value) for value in (step.inpainted, step.adversarial, step.reconstruction))
        assert step.inpainted > 0
        assert step.adversarial > 0
    after = trainer.weights()
    for prefix in ("inpainter.", "detector."):
        assert any(not torch.equal(before[n], after[n]) for n in before if n.startswith(prefix))
    assert trainer.maker.noise(torch.Size((4, 3, 64, 64)), np.random.default_rng(1)).std().item() == pytest.approx(
        102 / 64, rel=0.03
    )


def test_the_paper_s_own_networks_train_on_tiny_crops(bank: WindowBank) -> None:
    settings = paper_recipe()
    recipe = replace(settings.training, batch=2, inpainter_crop=32)
    losses = trained(trainer_on(bank, replace(settings, training=recipe)), 1)
    assert math.isfinite(losses[0].inpainted)
    assert math.isfinite(losses[0].adversarial)


def test_the_weights_used_are_the_running_average(bank: WindowBank) -> None:
    trainer = trainer_on(bank, tiny_settings(average_decay=0.9))
    assert trainer.averages is not None
    follow = {f"inpainter.{name}": value.clone() for name, value in trainer.inpainter.state_dict().items()}
    for update in range(4):
        trainer.step(0.2)
        share = 1 - min(0.9, (1 + update) / (10 + update))
        for name, value in trainer.inpainter.state_dict().items():
            kept = follow[f"inpainter.{name}"]
            follow[f"inpainter.{name}"] = kept + share * (value - kept) if value.is_floating_point() else value.clone()
    used = trainer.weights()
    for name, value in follow.items():
        if "running_" in name or name.endswith("num_batches_tracked"):
            continue  # measured for the averaged weights themselves
        assert torch.allclose(used[name].float(), value.float(), atol=1e-6)
    last = trainer.inpainter.state_dict()["output.weight"]
    assert not torch.equal(used["inpainter.output.weight"], last)
    plain = trainer_on(bank, tiny_settings(average_decay=0.0))
    plain.step(0.2)
    assert torch.equal(plain.weights()["inpainter.output.weight"], plain.inpainter.state_dict()["output.weight"])


def test_the_batch_norms_of_the_weights_used_are_measured_for_them(bank: WindowBank) -> None:
    settings = tiny_settings()
    trainer = trainer_on(bank, replace(settings, training=replace(settings.training, average_decay=0.9)))
    trained(trainer, 12)
    used = DetectorNetwork(settings.detector)
    weights = {
        name.removeprefix("detector."): t for name, t in trainer.weights().items() if name.startswith("detector")
    }
    used.load_state_dict(weights)
    random = np.random.default_rng(5)
    batches = torch.cat([trainer.maker.simulated(random).differences() for _ in range(4)])
    with torch.no_grad():
        fixed = used.eval()(batches)
        as_trained = used.train()(batches)
    assert float((fixed - as_trained).abs().mean()) < 0.25 * float(as_trained.std())


def test_frozen_batch_norms_stay_as_they_were_given(bank: WindowBank) -> None:
    start = trainer_on(bank).weights()
    settings = tiny_settings()
    frozen = trainer_on(bank, replace(settings, training=replace(settings.training, frozen_norms=True)), start=start)
    trained(frozen, 3)
    after = frozen.weights()
    names = [name for name in start if "running_" in name]
    assert names
    assert all(torch.equal(start[name], after[name]) for name in names)


def test_rates_rise_and_fall_over_the_training(bank: WindowBank) -> None:
    trainer = trainer_on(bank, tiny_settings(warm_up=0.2, inpainter_rate=1e-2, detector_rate=1e-3))

    def rates(progress: float) -> tuple[float, float]:
        trainer._set_rates(progress)
        return trainer.inpainter_optimiser.param_groups[0]["lr"], trainer.detector_optimiser.param_groups[0]["lr"]

    assert 0 < rates(0.0)[0] < 1e-3
    assert rates(0.2) == pytest.approx((1e-2, 1e-3), rel=0.02)
    falling = [rates(progress)[0] for progress in (0.2, 0.4, 0.6, 0.8, 1.0)]
    assert falling == sorted(falling, reverse=True)
    assert 0 < falling[-1] < 1e-4
    constant = trainer_on(bank, tiny_settings(warm_up=0.0, inpainter_rate=1e-2))
    constant._set_rates(0.9)
    assert constant.inpainter_optimiser.param_groups[0]["lr"] == 1e-2


def test_a_training_starts_from_given_weights(bank: WindowBank) -> None:
    first = trainer_on(bank, seed=1)
    trained(first, 3)
    second = trainer_on(bank, seed=2, start=first.weights())
    assert_same(first, second)


def test_several_scenes_of_different_sizes_are_learned_from_together(bank: WindowBank) -> None:
    other = tiny_bank(walkers(width=64, height=48, seed=9))
    trainer = AvidTrainer(
        tiny_settings(), [TrainingScene(bank, TINY_SCALE), TrainingScene(other, SceneScale(6, 1.0))], seed=0
    )
    assert all(math.isfinite(step.simulated + step.reconstruction) for step in trained(trainer, 4))


def test_footage_without_a_window_cannot_be_learned_from() -> None:
    empty = tiny_bank(Scene(), seconds=0.3)
    with pytest.raises(ValueError, match="at least one window"):
        trainer_on(empty)


def test_pictures_and_truth_are_mirrored_together(bank: WindowBank) -> None:
    """Where the detector's labels say irregular, the very patch that was pasted there must be seen."""
    marker = 255.0
    pictures = np.full_like(bank.pictures, 90)
    left = np.zeros((len(pictures), bank.pictures.shape[1] // 4, bank.pictures.shape[2] // 4), np.uint8)
    pictures[::2, :, :24] = marker  # the left quarter blinks, and that is what is irregular
    left[:, :, :6] = 255
    blinking = replace(bank, pictures=pictures)
    trainer = AvidTrainer(
        tiny_settings(rendered_share=1.0, detector_crop=64),
        [TrainingScene(blinking, TINY_SCALE, RenderedTruth(blinking, left))],
    )
    sides, random = set(), np.random.default_rng(5)
    for _ in range(12):
        batch = trainer.maker.simulated(random)
        assert isinstance(batch, SimulatedBatch)
        seen = (batch.differences().abs().amax(1) > 1).float()
        known = batch.covered[:, 0]
        assert torch.equal(seen, known)
        for crop in known:
            if crop.any() and not crop.all():
                sides.add("left" if crop[:, 0].any() else "right")
    assert sides == {"left", "right"}

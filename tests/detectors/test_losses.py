"""The losses by hand, and the two memories of training: old fakes and averaged weights."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from detectors.avid.losses import AdversarialLoss, FakeHistory, WeightAverage, reconstruction_loss

REAL = torch.tensor([[[1.0, 0.5]]])
FAKE = torch.tensor([[[0.0, 0.25]]])


def test_least_squares_draws_real_cells_to_one_and_inpainted_cells_to_zero() -> None:
    loss = AdversarialLoss("least_squares")
    assert loss.detector(REAL, FAKE).item() == pytest.approx((0 + 0.25) / 2 + (0 + 0.0625) / 2)
    assert loss.inpainter(FAKE).item() == pytest.approx((1 + 0.5625) / 2)


def test_a_perfect_detector_has_no_least_squares_loss() -> None:
    assert AdversarialLoss().detector(torch.ones(2, 3, 3), torch.zeros(2, 3, 3)).item() == 0.0


def test_the_papers_log_form_is_what_its_formula_says() -> None:
    probability_real, probability_fake = 0.8, 0.3
    real = torch.full((1, 2, 2), math.log(0.8 / 0.2))
    fake = torch.full((1, 2, 2), math.log(0.3 / 0.7))
    loss = AdversarialLoss("log", "normality_logit")
    by_hand = -(math.log(probability_real**2) + math.log((1 - probability_fake) ** 2))
    assert loss.detector(real, fake).item() == pytest.approx(by_hand, rel=1e-5)
    assert loss.inpainter(fake).item() == pytest.approx(math.log((1 - probability_fake) ** 2), rel=1e-5)
    gentle = AdversarialLoss("log_nonsaturating", "normality_logit")
    assert gentle.detector(real, fake).item() == pytest.approx(by_hand, rel=1e-5)
    assert gentle.inpainter(fake).item() == pytest.approx(-math.log(probability_fake**2), rel=1e-5)


def test_an_undecided_detector_has_four_times_log_two() -> None:
    undecided = torch.zeros(1, 11, 11)
    loss = AdversarialLoss("log", "irregular_logit")
    assert loss.detector(undecided, undecided).item() == pytest.approx(4 * math.log(2))


@pytest.mark.parametrize("form", ["least_squares", "log", "log_nonsaturating"])
def test_a_detector_that_speaks_of_irregularity_is_trained_as_its_mirror_image(form: str) -> None:
    normal, irregular = AdversarialLoss(form, "normality_logit"), AdversarialLoss(form, "irregular_logit")
    assert irregular.detector(-REAL, -FAKE).item() == pytest.approx(normal.detector(REAL, FAKE).item())
    assert irregular.inpainter(-FAKE).item() == pytest.approx(normal.inpainter(FAKE).item())


@pytest.mark.parametrize("form", ["least_squares", "log", "log_nonsaturating"])
def test_both_players_pull_the_map_of_inpainted_windows_in_opposite_directions(form: str) -> None:
    fake = torch.zeros(1, 2, 2, requires_grad=True)
    loss = AdversarialLoss(form, "normality_logit")
    (detector_pull,) = torch.autograd.grad(loss.detector(torch.zeros(1, 2, 2), fake), fake)
    (inpainter_pull,) = torch.autograd.grad(loss.inpainter(fake), fake)
    assert (detector_pull > 0).all()
    assert (inpainter_pull < 0).all()


def test_the_log_form_stays_finite_however_sure_the_detector_is() -> None:
    sure = torch.full((1, 2, 2), 1e4)
    for form in ("log", "log_nonsaturating"):
        loss = AdversarialLoss(form, "normality_logit")
        assert torch.isfinite(loss.detector(-sure, sure))
        assert torch.isfinite(loss.inpainter(-sure))


def test_the_log_form_needs_a_logit() -> None:
    with pytest.raises(ValueError, match="needs a detector whose output is a logit"):
        AdversarialLoss("log", "normality")
    with pytest.raises(ValueError, match="adversarial form"):
        AdversarialLoss("hinge")


def test_reconstruction_is_the_mean_error() -> None:
    restored, clean = torch.tensor([[[[1.0, 4.0]]]]), torch.tensor([[[[0.0, 1.0]]]])
    assert reconstruction_loss(restored, clean).item() == pytest.approx(5.0)
    assert reconstruction_loss(restored, clean, kind="absolute").item() == pytest.approx(2.0)


def test_reconstruction_of_another_shape_is_refused_rather_than_broadcast() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        reconstruction_loss(torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4))


def fakes(first: int, count: int = 8) -> torch.Tensor:
    """A batch whose pictures carry their own numbers."""
    return torch.arange(first, first + count, dtype=torch.float32).reshape(-1, 1, 1, 1)


def test_half_of_each_fake_batch_is_old_once_there_is_a_history() -> None:
    history = FakeHistory(capacity=100, seed=1)
    assert history.mix(fakes(0)).equal(fakes(0))
    mixed = history.mix(fakes(100)).flatten()
    assert mixed[:4].tolist() == [100, 101, 102, 103]
    assert (mixed[4:] < 8).all()


@settings(max_examples=50, deadline=None)
@given(
    capacity=st.integers(1, 20), batches=st.lists(st.integers(1, 9), min_size=1, max_size=12), seed=st.integers(0, 9)
)
def test_a_history_never_outgrows_its_capacity_and_never_invents_pictures(
    capacity: int, batches: list[int], seed: int
) -> None:
    history = FakeHistory(capacity, seed)
    shown: set[float] = set()
    for number, count in enumerate(batches):
        batch = fakes(100 * number, count)
        shown |= set(batch.flatten().tolist())
        mixed = history.mix(batch)
        assert mixed.shape == batch.shape
        assert set(mixed.flatten().tolist()) <= shown
        assert mixed.flatten().unique().numel() == count
        assert 1 <= len(history) <= capacity


def test_a_full_history_forgets_old_fakes_for_new_ones() -> None:
    history = FakeHistory(capacity=4, seed=0)
    for number in range(60):
        history.mix(fakes(100 * number))
    assert history.state()["pictures"].min() > 1000


def test_a_restored_history_goes_on_to_the_bit() -> None:
    first = FakeHistory(capacity=6, seed=3)
    for number in range(5):
        first.mix(fakes(100 * number))
    second = FakeHistory(capacity=6)
    second.restore(first.state())
    for number in range(5, 10):
        assert first.mix(fakes(100 * number)).equal(second.mix(fakes(100 * number)))


def test_a_history_keeps_no_gradient() -> None:
    history = FakeHistory(capacity=6)
    history.mix(fakes(0).requires_grad_())
    assert not history.mix(fakes(10).requires_grad_()).requires_grad


def test_a_history_refuses_pictures_of_another_size() -> None:
    history = FakeHistory(capacity=6)
    history.mix(torch.zeros(2, 3, 8, 8))
    with pytest.raises(ValueError, match="holds pictures"):
        history.mix(torch.zeros(2, 3, 4, 4))


def one_weight(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def test_the_average_of_weights_starts_quickly_and_then_follows_slowly() -> None:
    layer = one_weight(0.0)
    average = WeightAverage(layer, decay=0.5)
    nn.init.constant_(layer.weight, 1.0)
    average.update(layer)  # decay min(0.5, 1/10)
    assert average.state()["weight"].item() == pytest.approx(0.9)
    average.update(layer)  # decay min(0.5, 2/11)
    assert average.state()["weight"].item() == pytest.approx(1 - 0.1 * 2 / 11)
    for _ in range(20):
        average.update(layer)
    nn.init.constant_(layer.weight, 3.0)
    average.update(layer)  # decay 0.5 at last
    assert average.state()["weight"].item() == pytest.approx(2.0, abs=1e-4)


def test_the_average_covers_running_statistics_and_copies_counts() -> None:
    norm = nn.BatchNorm2d(1)
    average = WeightAverage(norm, decay=0.9)
    norm.running_mean.fill_(10.0)
    norm.num_batches_tracked.fill_(7)
    average.update(norm)
    assert average.state()["running_mean"].item() == pytest.approx(9.0)
    assert average.state()["num_batches_tracked"].item() == 7


def test_a_restored_average_goes_on_to_the_bit() -> None:
    layer = one_weight(1.0)
    first = WeightAverage(layer, decay=0.99)
    nn.init.constant_(layer.weight, 2.0)
    first.update(layer)
    second = WeightAverage(one_weight(5.0), decay=0.99)
    second.restore(first.state(), first.updates)
    for average in (first, second):
        average.update(layer)
    target = one_weight(0.0)
    second.copy_to(target)
    assert target.weight.item() == first.state()["weight"].item()


def test_senseless_memories_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        FakeHistory(0)
    with pytest.raises(ValueError, match="decay"):
        WeightAverage(one_weight(0.0), decay=1.0)

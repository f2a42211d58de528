"""Batches made ahead: the same for every number of threads, in order, and errors reach who asks."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
import torch

from detectors.avid import training
from detectors.avid.batches import Ahead, BatchMaker, TrainingScene
from detectors.avid.training import AvidTrainer
from tests.scenes import TINY_SCALE, tiny_bank, tiny_settings, walkers

if TYPE_CHECKING:
    from detectors.bank import WindowBank


@pytest.fixture(scope="module")
def bank() -> WindowBank:
    return tiny_bank(walkers())


def maker_on(bank: WindowBank, seed: int = 3, **recipe: object) -> BatchMaker:
    settings = tiny_settings(**recipe)
    trainer = AvidTrainer(settings, [TrainingScene(bank, TINY_SCALE)])
    return BatchMaker(settings, [TrainingScene(bank, TINY_SCALE)], trainer.detector.grid, seed=seed)


def test_a_batch_follows_from_seed_and_step_alone(bank: WindowBank) -> None:
    one, other = maker_on(bank), maker_on(bank)
    late = one.batch(7)
    for step in (3, 7):
        again = other.batch(step)
    assert torch.equal(late.normal, again.normal)
    assert torch.equal(late.noise, again.noise)
    assert late.simulated is not None
    assert again.simulated is not None
    assert torch.equal(late.simulated, again.simulated)
    assert late.labels is not None
    assert again.labels is not None
    assert torch.equal(late.labels, again.labels)
    assert not torch.equal(one.batch(8).noise, late.noise)
    assert not torch.equal(maker_on(bank, seed=4).batch(7).noise, late.noise)


def test_where_d_learns_no_irregularities_none_are_made(bank: WindowBank) -> None:
    batch = maker_on(bank, simulated_weight=0.0).batch(0)
    assert batch.simulated is None
    assert batch.labels is None


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_things_come_in_order_whatever_the_number_of_threads(workers: int) -> None:
    def make(step: int) -> int:
        time.sleep(0.001 * (step % 3))
        return step * step

    ahead = Ahead(make, workers)
    assert [ahead.get(step) for step in range(40)] == [step * step for step in range(40)]


def test_asking_for_another_step_than_expected_gives_that_one() -> None:
    ahead = Ahead(lambda step: step, 2)
    assert [ahead.get(step) for step in (0, 1, 9, 10, 4)] == [0, 1, 9, 10, 4]


def test_the_next_thing_is_made_while_the_present_one_is_used() -> None:
    begun = {step: threading.Event() for step in range(8)}

    def make(step: int) -> int:
        begun[step].set()
        return step

    ahead = Ahead(make, 1)
    ahead.get(0)
    assert begun[1].wait(5)
    assert not begun[4].is_set(), "not all at once: each holds memory"


def test_an_error_reaches_who_asks_for_that_step() -> None:
    def make(step: int) -> int:
        if step == 2:
            raise ValueError("no window")
        return step

    ahead = Ahead(make, 1)
    assert [ahead.get(0), ahead.get(1)] == [0, 1]
    with pytest.raises(ValueError, match="no window"):
        ahead.get(2)


def test_a_training_gives_the_same_weights_for_every_number_of_threads(
    bank: WindowBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for workers in (0, 2):
        monkeypatch.setattr(training, "_workers", lambda _, workers=workers: workers)
        trainer = AvidTrainer(tiny_settings(), [TrainingScene(bank, TINY_SCALE)], seed=1)
        for step in range(4):
            trainer.step(step / 4)
        found.append(trainer.weights())
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_threads_for_batches_leave_the_networks_theirs() -> None:
    before = torch.get_num_threads()
    ahead = Ahead(lambda _: torch.get_num_threads(), 1)
    assert ahead.get(0) == 1
    assert torch.get_num_threads() == before

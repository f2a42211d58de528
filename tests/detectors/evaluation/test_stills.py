"""The still preset: cells and grids, the memory of normal digits, simulated irregular ones, and both networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detectors.avid.detector import DetectorNetwork
from detectors.evaluation.datasets.ir_mnist import CELL
from detectors.evaluation.stills.cells import cells_of, distinct, grid_of, upright
from detectors.evaluation.stills.irregular import KINDS, irregular, warped
from detectors.evaluation.stills.memory import NormalMemory
from detectors.evaluation.stills.networks import StillTrainer, still_detector
from detectors.evaluation.stills.system import LEAST_DIGITS, PARTS, NormalDigits, StillSystem, normal_digits
from detectors.inference import Runtime

CPU = Runtime(torch.device("cpu"), torch.float32)


def bars(count: int, seed: int = 0, *, lean: float = 0.0) -> np.ndarray:
    """Bars of two kinds, upright and level, at slightly different places: ``(count, 28, 28)``."""
    random = np.random.default_rng(seed)
    digits = np.zeros((count, CELL, CELL), np.uint8)
    for number, digit in enumerate(digits):
        at, brightness = random.integers(11, 15), random.integers(180, 255)
        for y in range(5, 23):
            left = at + round(lean * (13.5 - y))
            digit[y, left : left + 3] = brightness
        if number % 2:
            digit[:] = digit.T.copy()
    return digits


@pytest.fixture(scope="module")
def trainer() -> StillTrainer:
    return StillTrainer(torch.from_numpy(bars(20)), CPU, seed=0)


def test_cells_and_grids_are_two_views_of_one_picture():
    picture = np.arange(9 * CELL * CELL, dtype=np.uint32).reshape(1, 3 * CELL, 3 * CELL).astype(np.uint8)
    cells = cells_of(picture, CELL)
    assert cells.shape == (1, 3, 3, CELL, CELL)
    np.testing.assert_array_equal(cells[0, 1, 2], picture[0, CELL : 2 * CELL, 2 * CELL :])
    np.testing.assert_array_equal(grid_of(torch.from_numpy(cells.reshape(9, CELL, CELL)), 3)[0, 0].numpy(), picture[0])


def test_a_digit_that_stands_in_many_cells_counts_once():
    digits = bars(4)
    once, which = distinct(digits[[2, 0, 2, 3, 0]])
    np.testing.assert_array_equal(once, digits[[2, 0, 3]])
    assert which.tolist() == [0, 1, 0, 2, 1]


def test_a_leaning_stroke_is_made_upright_and_centred():
    (leaning,) = upright(bars(1, lean=0.4))
    columns = np.flatnonzero(leaning.max(axis=0) > 60)
    assert columns.max() - columns.min() <= 4  # 3 wide; it leaned over 7 more
    assert np.average(np.arange(CELL), weights=leaning.sum(axis=0)) == pytest.approx(13.5, abs=0.3)


def test_a_blank_cell_stays_blank():
    blank = np.zeros((1, CELL, CELL), np.uint8)
    np.testing.assert_array_equal(upright(blank), blank)
    assert np.isfinite(NormalMemory(bars(3)).distances(blank)).all()


def test_what_is_remembered_is_at_no_distance_and_what_is_new_is_far():
    memory = NormalMemory(bars(10))
    known = memory.distances(bars(10))
    moved = memory.distances(np.roll(bars(1), 1, axis=2))
    new = memory.distances(np.maximum(bars(2)[:1], bars(2)[1:]))  # a cross
    np.testing.assert_allclose(known, 0, atol=1e-6)
    assert 0 <= moved[0] < new[0]


def test_progress_of_the_memory_adds_up_to_all_digits():
    counted: list[int] = []
    NormalMemory(bars(3)).distances(bars(70), counted.append)
    assert sum(counted) == 70
    assert len(counted) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_irregular_digit_is_repeatable_and_in_range(kind):
    digits = torch.from_numpy(bars(20))
    one, same = (KINDS[kind][1](digits, 6, torch.Generator().manual_seed(3)) for _ in range(2))
    assert one.shape == (6, CELL, CELL)
    assert torch.equal(one, same)
    assert one.min() >= 0
    assert one.max() <= 1.001


def test_as_many_irregular_digits_come_as_were_asked_for():
    for count in (1, 7, 96):
        found = irregular(torch.from_numpy(bars(20)), count, torch.Generator().manual_seed(0))
        assert len(found) == count
        assert warped(found, torch.Generator().manual_seed(0)).shape == found.shape


def test_the_detector_has_one_judgement_per_cell():
    detector = DetectorNetwork(still_detector()).eval()
    assert detector(torch.zeros(1, 1, 11 * CELL, 11 * CELL)).shape == (1, 11, 11)
    grid = detector.grid(11 * CELL, 11 * CELL)
    assert (grid.stride, grid.rows, grid.columns) == (CELL, 11, 11)


def test_the_same_steps_give_the_same_weights_and_a_training_goes_on_to_the_bit(trainer):
    digits = torch.from_numpy(bars(20))
    whole, part = StillTrainer(digits, CPU, seed=1), StillTrainer(digits, CPU, seed=1)
    for number in range(2):
        whole.step(number / 2)
    part.step(0.0)
    resumed = StillTrainer(digits, CPU, seed=9)
    resumed.restore(part.state())
    resumed.step(0.5)
    assert resumed.steps == whole.steps == 2
    for network in ("inpainter", "detector"):
        for one, other in zip(
            getattr(whole, network).parameters(), getattr(resumed, network).parameters(), strict=True
        ):
            assert torch.equal(one, other)


def test_kept_out_digits_are_not_learned_from():
    pictures = np.concatenate(list(bars(121)))[None].reshape(1, 121 * CELL, CELL)
    grid = grid_of(torch.from_numpy(pictures.reshape(121, CELL, CELL)), 11)[:, 0].numpy()
    with pytest.raises(ValueError, match="too few to learn from"):
        normal_digits(grid[:, : 2 * CELL, : 2 * CELL], seed=0)
    random = np.random.default_rng(0).integers(0, 255, (2, 11 * CELL, 11 * CELL)).astype(np.uint8)
    digits = normal_digits(random, seed=0)
    assert len(digits.kept_out) == 242 // 20
    assert len(digits.learned) + len(digits.kept_out) == 242 >= LEAST_DIGITS
    learned = {digit.tobytes() for digit in digits.learned}
    assert not any(digit.tobytes() in learned for digit in digits.kept_out)


def test_every_cell_gets_a_score_of_every_part_and_the_joint_one_is_their_mean(trainer):
    system = StillSystem.of(trainer, NormalDigits(bars(20), bars(9, seed=5)), CPU, seed=0)
    system.standardise(bars(9, seed=5))
    shares: list[float] = []
    pictures = grid_of(torch.from_numpy(bars(2 * 9, seed=7)), 3)[:, 0].numpy()
    scores = system.score(pictures, shares.append)
    assert set(scores) == {*PARTS, "joint"}
    assert all(part.shape == (2, 3, 3) and np.isfinite(part).all() for part in scores.values())
    np.testing.assert_allclose(scores["joint"], np.mean([scores[name] for name in PARTS], axis=0), rtol=1e-5)
    assert sum(shares) == pytest.approx(1)
    again = system.score(pictures)
    np.testing.assert_array_equal(again["joint"], scores["joint"])

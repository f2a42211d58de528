"""Both maps on one scale per place: what is usual is learned from moving normal samples, and joined two ways."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detectors.base import Scores
from detectors.evidence import (
    MOVING,
    PLACE_WEIGHT,
    SMALLEST_SPREAD,
    Fusion,
    Places,
    decide,
    learn_places,
    something_moves,
)
from preprocess.geometry import CellGrid

ROWS, COLUMNS = 12, 20
GRID = CellGrid(stride=8.0, offset=0.0, receptive_field=43, rows=ROWS, columns=COLUMNS)
SHAPE = (ROWS, COLUMNS)


def scores_of(residual: np.ndarray, logit: np.ndarray, moving: np.ndarray) -> Scores:
    """Scores of ``B`` windows from maps on cells ``(B, h, w)``; ``moving`` tells which cells move."""
    as_tensor = [torch.from_numpy(np.asarray(part, np.float32)) for part in (residual, logit)]
    motion = torch.from_numpy(np.where(moving, 2 * MOVING, 0.5 * MOVING).astype(np.float32))
    return Scores(torch.zeros(len(residual), 8, 8), as_tensor[1], as_tensor[0], motion, GRID)


def random_scores(count: int, seed: int = 0, *, mean: float = -3.0, spread: float = 0.8) -> Scores:
    random = np.random.default_rng(seed)
    residual = random.normal(mean, spread, (count, *SHAPE))
    logit = random.normal(-2.0, 1.5, (count, *SHAPE))
    return scores_of(residual, logit, np.ones((count, *SHAPE), bool))


def test_evidence_counts_spreads_above_what_is_usual_at_each_place() -> None:
    usual = Places(
        inpainter_mean=np.full(SHAPE, -4.0, np.float32),
        inpainter_spread=np.full(SHAPE, 0.5, np.float32),
        detector_mean=np.full(SHAPE, 1.0, np.float32),
        detector_spread=np.full(SHAPE, 2.0, np.float32),
    )
    usual.inpainter_mean[3, 4] = -2.0
    usual.detector_spread[3, 4] = 4.0
    scores = scores_of(np.full((1, *SHAPE), -3.0), np.full((1, *SHAPE), 5.0), np.ones((1, *SHAPE)))
    inpainter, detector = usual.evidence(scores)
    assert inpainter[0, 0, 0] == 2.0
    assert detector[0, 0, 0] == 2.0
    assert inpainter[0, 3, 4] == -2.0
    assert detector[0, 3, 4] == 1.0


def test_the_joint_score_of_independent_unit_maps_has_unit_variance() -> None:
    random = np.random.default_rng(0)
    one, two = random.normal(size=(2, 40, *SHAPE)).astype(np.float32)
    for fusion in (Fusion(), Fusion(1.0, 0.2), Fusion(0.0, 3.0)):
        assert fusion.join(one, two).std() == pytest.approx(1.0, abs=0.03)
    assert Fusion(3.0, 4.0).join(np.float32([[5.0]]), np.float32([[10.0]]))[0, 0] == pytest.approx(11.0)


def test_the_paper_s_decision_is_the_smaller_evidence_of_the_two() -> None:
    one = np.float32([[[1.0, 5.0, -2.0]]])
    two = np.float32([[[4.0, 2.0, -1.0]]])
    assert decide(one, two, "paper", Fusion()).tolist() == [[[1.0, 2.0, -2.0]]]
    joint = decide(one, two, "joint", Fusion(1.0, 1.0))
    assert joint[0, 0].tolist() == pytest.approx([5 / 2**0.5, 7 / 2**0.5, -3 / 2**0.5])


def test_the_paper_s_thresholds_say_the_same_as_its_statistic() -> None:
    learned = learn_places([random_scores(30)])
    scores = random_scores(20, seed=5)
    for statistic in (-0.5, 0.7, 2.0):
        alpha, zeta = learned.thresholds(statistic)
        assert alpha.shape == zeta.shape == SHAPE
        residual = np.exp(scores.residual.numpy().astype(np.float64))
        normality = 1 / (1 + np.exp(scores.detector.numpy().astype(np.float64)))
        by_rule = (residual > alpha) & (normality < zeta)
        by_statistic = decide(*learned.evidence(scores), "paper", Fusion()) > statistic
        assert (by_rule == by_statistic).mean() > 0.9999
        assert 0 < by_rule.mean() < 1


def test_places_of_an_even_scene_are_the_scene_s_mean_and_spread() -> None:
    learned = learn_places([random_scores(50, seed) for seed in range(4)])
    assert np.allclose(learned.inpainter_mean, -3.0, atol=0.1)
    assert np.allclose(learned.inpainter_spread, 0.8, atol=0.1)
    assert np.allclose(learned.detector_mean, -2.0, atol=0.2)
    assert np.allclose(learned.detector_spread, 1.5, atol=0.2)
    evidence = learned.evidence(random_scores(50, 9))
    for part in evidence:
        assert part.mean() == pytest.approx(0, abs=0.05)
        assert part.std() == pytest.approx(1, abs=0.05)


def test_how_the_windows_are_batched_does_not_matter() -> None:
    one = random_scores(12)
    parts = [
        Scores(one.inpainter[i : i + 5], one.detector[i : i + 5], one.residual[i : i + 5], one.motion[i : i + 5], GRID)
        for i in range(0, 12, 5)
    ]
    whole, pieces = learn_places([one]), learn_places(parts)
    for name in Places.__slots__:
        assert np.allclose(getattr(whole, name), getattr(pieces, name), atol=1e-5)


def test_still_samples_say_nothing_of_what_is_usual_for_moving_things() -> None:
    moving = random_scores(40)
    still = scores_of(np.full((200, *SHAPE), -9.0), np.full((200, *SHAPE), -9.0), np.zeros((200, *SHAPE), bool))
    with_still, without = learn_places([moving, still]), learn_places([moving])
    for name in Places.__slots__:
        assert np.allclose(getattr(with_still, name), getattr(without, name), atol=1e-5)


def two_places(samples: int) -> Places:
    """A scene at -3 whose right half, far from the border, is at 0 in ``samples`` windows of its own."""
    base = random_scores(900, spread=0.4)
    left = np.zeros(SHAPE, bool)
    left[:, :8] = True
    base.motion[:] = torch.from_numpy(np.where(left, 2 * MOVING, 0).astype(np.float32))
    random = np.random.default_rng(1)
    shape = (samples, *SHAPE)
    own = scores_of(random.normal(0, 0.4, shape), random.normal(-2, 1.5, shape), np.broadcast_to(~left, shape))
    return learn_places([base, own] if samples else [base])


def test_a_place_with_many_samples_has_its_own_figures() -> None:
    learned = two_places(900)
    assert learned.inpainter_mean[6, 2] == pytest.approx(-3.0, abs=0.25)
    assert learned.inpainter_mean[6, 17] == pytest.approx(0.0, abs=0.25)
    assert learned.inpainter_spread[6, 2] < 0.8
    # A residual that is usual on the right is evidence on the left.
    left, right = (
        learned.evidence(scores_of(np.zeros((1, *SHAPE)), *np.zeros((2, 1, *SHAPE))))[0][0, 6, c] for c in (2, 17)
    )
    assert left > 3
    assert abs(right) < 1


def test_a_place_without_samples_has_the_scene_s_figures() -> None:
    learned = two_places(0)
    assert learned.inpainter_mean[6, 17] == pytest.approx(-3.0, abs=0.05)
    assert learned.inpainter_spread[6, 17] == pytest.approx(0.4, abs=0.05)


def test_a_place_is_drawn_from_the_scene_s_figures_to_its_own_as_its_samples_grow() -> None:
    means = [float(two_places(samples).inpainter_mean[6, 17]) for samples in (0, 1, 6, 60)]
    assert means == sorted(means)
    assert means[1] < -1.5 < means[3]


def test_a_neighbourhood_counts_as_many_samples_as_moved_in_it() -> None:
    """With one sample per cell a place weighs its neighbourhood's area; that much own weight against PLACE_WEIGHT."""
    learned = two_places(1)
    own = 2 * np.pi * 1.5**2
    right = ~np.r_[[True] * 8, [False] * 12]
    samples = 60 * 8 * ROWS + right.sum() * ROWS
    scene = (60 * 8 * ROWS * -3.0) / samples
    assert learned.inpainter_mean[6, 17] == pytest.approx(PLACE_WEIGHT * scene / (own + PLACE_WEIGHT), abs=0.15)


def test_a_scene_without_motion_takes_stillness_for_usual() -> None:
    still = scores_of(np.full((10, *SHAPE), -8.0), np.full((10, *SHAPE), -6.0), np.zeros((10, *SHAPE), bool))
    learned = learn_places([still])
    assert np.allclose(learned.inpainter_mean, -8)
    assert np.allclose(learned.detector_mean, -6)
    assert np.allclose(learned.inpainter_spread, 1)
    assert all(np.allclose(part, 0) for part in learned.evidence(still))


def test_spreads_are_bounded_below_so_that_even_samples_do_not_turn_noise_into_evidence() -> None:
    even = scores_of(np.full((40, *SHAPE), -3.0), np.full((40, *SHAPE), 1.0), np.ones((40, *SHAPE), bool))
    learned = learn_places([even])
    assert np.allclose(learned.inpainter_spread, SMALLEST_SPREAD)
    assert np.allclose(learned.detector_spread, SMALLEST_SPREAD)


def test_places_cannot_be_learned_from_nothing() -> None:
    with pytest.raises(ValueError, match="at least one window"):
        learn_places([])


def test_tables_are_plain_32_bit_numbers_on_the_cells() -> None:
    learned = learn_places([random_scores(3)])
    for name in Places.__slots__:
        table = getattr(learned, name)
        assert table.shape == SHAPE
        assert table.dtype == np.float32
        assert np.isfinite(table).all()


def test_something_moves_where_two_cells_that_count_do() -> None:
    motion = np.zeros((4, 3, 5), np.float32)
    motion[1, 0, 0] = motion[2, 0, :2] = motion[3, :, 4] = 2 * MOVING
    assert something_moves(motion).tolist() == [False, False, True, True]
    cells = np.ones((3, 5), np.bool_)
    cells[:, 4] = False
    assert something_moves(motion, cells).tolist() == [False, False, True, False]

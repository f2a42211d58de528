"""The figures that choose between checkpoints: a ranking of simulated over normal cells, and the paper's residual."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from detectors.avid.simulate import SceneScale
from detectors.avid.system import Avid
from detectors.avid.validation import held_out_residual, ranking, validate
from detectors.base import Scores
from tests.scenes import CPU32, TINY_SCALE, Scene, tiny_bank, tiny_settings, trained_weights, walkers

if TYPE_CHECKING:
    from detectors.bank import WindowBank


@pytest.fixture(scope="module")
def bank() -> WindowBank:
    return tiny_bank()


def system(bank: WindowBank, steps: int) -> Avid:
    settings = tiny_settings()
    return Avid(settings, trained_weights(settings, bank, steps), blur=4.0, runtime=CPU32)


def test_ranking_is_the_share_of_pairs_in_the_right_order() -> None:
    truth = np.array([True, True, False, False, False])
    assert ranking(truth, np.array([5.0, 4, 3, 2, 1])) == 1.0
    assert ranking(truth, np.array([1.0, 2, 3, 4, 5])) == 0.0
    assert ranking(truth, np.array([3.0, 1, 2, 0, 5])) == pytest.approx(3 / 6)
    assert ranking(truth, np.zeros(5)) == 0.5


def test_ranking_is_chance_where_one_side_is_missing() -> None:
    assert ranking(np.ones(4, bool), np.arange(4.0)) == 0.5
    assert ranking(np.zeros(4, bool), np.arange(4.0)) == 0.5
    assert ranking(np.zeros(0, bool), np.zeros(0)) == 0.5


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40))
def test_ranking_counts_pairs_and_halves_ties(rows: list[tuple[bool, int]]) -> None:
    truth, scores = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    positive, negative = scores[truth], scores[~truth]
    if len(positive) and len(negative):
        difference = positive[:, None] - negative[None, :]
        assert ranking(truth, scores) == pytest.approx(((difference > 0) + 0.5 * (difference == 0)).mean())


class Oracle:
    """Knows that the simulated is what moves most."""

    def __init__(self, avid: Avid, sign: float) -> None:
        self.settings = avid.settings
        self._avid, self._sign = avid, sign

    def score(self, windows: torch.Tensor) -> Scores:
        scores = self._avid.score(windows)
        told = self._sign * scores.motion
        return Scores(scores.inpainter, told, told, scores.motion, scores.grid)


def test_a_system_that_knows_better_is_ranked_higher(bank: WindowBank) -> None:
    avid = system(bank, 0)
    good, bad = (validate(Oracle(avid, sign), bank, TINY_SCALE, 0) for sign in (1.0, -1.0))
    assert good > 0.7
    assert good + bad == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_figure(bank: WindowBank) -> None:
    avid = system(bank, 2)
    figures = [validate(avid, bank, TINY_SCALE, seed) for seed in (3, 3, 4)]
    assert figures[0] == figures[1] != figures[2]
    assert all(0 <= figure <= 1 for figure in figures)


def test_training_raises_the_figure(bank: WindowBank) -> None:
    held_out = tiny_bank(walkers(seed=0), seconds=5)
    raw, trained = system(bank, 0), system(bank, 40)
    assert validate(trained, held_out, TINY_SCALE, 0) > validate(raw, held_out, TINY_SCALE, 0) + 0.05


def test_the_paper_s_figure_is_the_mean_square_of_what_is_not_restored(bank: WindowBank) -> None:
    avid = system(bank, 0)
    figures = []
    for share in (0.0, 0.5, 1.0):
        avid._networks = replace(avid._networks, inpainter=GivesBack(share))
        figures.append(held_out_residual(avid, bank, 0))
    assert figures == pytest.approx([figures[0], figures[0] / 4, 0.0])
    assert figures[0] > 0


class GivesBack(torch.nn.Module):
    """An inpainter that gives back a fixed share of what it is shown."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        return self.share * windows


def test_little_footage_and_small_pictures_can_be_validated_on() -> None:
    few = tiny_bank(Scene(width=64, height=48), seconds=0.7)
    assert len(few) == 2
    figure = validate(system(few, 0), few, SceneScale(6, 1), 0)
    assert 0 <= figure <= 1

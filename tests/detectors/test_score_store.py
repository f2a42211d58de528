"""What is kept of the scores fits its memory and is spread over the whole time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detectors.score_store import PIECE, Stretch, StretchStore
from tests.scenes import tiny_settings


def stretch(first: float, frames: int = 20) -> Stretch:
    random = np.random.default_rng(round(first))
    maps = random.normal(0, 3, (3, frames, 4, 5)).astype(np.float16)
    return Stretch(maps, first + np.arange(frames) / 10, {"joint": np.zeros(frames, np.float32)}, 0)


def test_memory_is_bounded_and_used() -> None:
    store = StretchStore(100_000, 0)
    for number in range(500):
        store.add(stretch(number, 10 + number % 30))
        assert store.nbytes <= 100_000
        assert store.nbytes == sum(kept.nbytes for kept in store.stretches())
    assert store.nbytes > 80_000


def test_a_stretch_larger_than_the_memory_is_not_kept() -> None:
    store = StretchStore(100, 0)
    store.add(stretch(0))
    assert store.stretches() == ()
    assert store.nbytes == 0


def test_what_is_kept_is_spread_over_the_whole_time_in_order() -> None:
    means = []
    for seed in range(20):
        store = StretchStore(60_000, seed)
        for number in range(400):
            store.add(stretch(number))
        firsts = [kept.times[0] for kept in store.stretches()]
        assert firsts == sorted(firsts)
        means.append(np.mean(firsts))
    assert np.mean(means) == pytest.approx(200, abs=25)


def test_the_same_seed_keeps_the_same() -> None:
    kept = []
    for _ in range(2):
        store = StretchStore(30_000, 7)
        for number in range(100):
            store.add(stretch(number))
        kept.append([one.times[0] for one in store.stretches()])
    assert kept[0] == kept[1]


def test_frames_come_back_as_scores_in_pieces() -> None:
    grid = tiny_settings().detector.grid(32, 40)
    whole = stretch(3, 2 * PIECE + 5)
    pieces = list(whole.pieces(grid))
    assert [len(scores) for scores, _ in pieces] == [PIECE, PIECE, 5]
    assert [float(time) for _, times in pieces for time in times] == pytest.approx(whole.times.tolist())
    residual = torch.cat([scores.residual for scores, _ in pieces]).numpy()
    assert np.array_equal(residual, whole.maps[0].astype(np.float32))
    assert whole.seconds == pytest.approx((len(whole) - 1) / 10)

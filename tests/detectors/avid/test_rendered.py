"""Crops of rendered footage carry the truth of the very pixels they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from detectors.avid.rendered import TRUTH_PIXELS, RenderedTruth, rendered_crops
from tests.scenes import Body, Scene, tiny_bank, walkers


@pytest.fixture(scope="module")
def truth() -> RenderedTruth:
    """A scene without noise whose irregular body is the one bright thing in it, between 2 and 4 seconds."""
    dark = tuple(replace(body, brightness=-60.0) for body in walkers(3, width=128, height=96).bodies)
    plain = Scene(width=128, height=96, bodies=dark, noise=0.0)
    bodies = (*plain.bodies, Body(16, 15, start=20, top=40, since=2, until=4, brightness=110, texture=1.0))
    bank = tiny_bank(replace(plain, bodies=bodies), seconds=6)
    without = tiny_bank(plain, seconds=6)
    different = (np.abs(bank.pictures.astype(float) - without.pictures) > 20).astype(np.float32)
    count, height, width = different.shape
    squares = different.reshape(count, height // TRUTH_PIXELS, TRUTH_PIXELS, width // TRUTH_PIXELS, TRUTH_PIXELS)
    return RenderedTruth(bank, (255 * squares.mean((2, 4))).astype(np.uint8))


def test_irregular_rows_are_the_windows_that_show_anything_irregular(truth: RenderedTruth) -> None:
    (rows,) = truth.irregular_rows()
    times = [float(truth.bank.times[row]) for row in rows]
    assert min(times) == 2.0
    assert max(times) == pytest.approx(3.9 + 0.5)  # the oldest of six pictures still shows it
    assert len(rows) == 25


def test_crops_show_what_their_truth_says(truth: RenderedTruth) -> None:
    crops = rendered_crops(truth, truth.irregular_rows(), 30, 48, np.random.default_rng(0))
    assert crops.pictures.shape == (30, 6, 48, 48)
    assert crops.covered.shape == (30, 1, 48, 48)
    assert set(crops.kinds.tolist()) == {-2}
    bright = (crops.pictures > 200).any(1)  # nothing normal is so bright
    covered = crops.covered[:, 0] > 0.9
    assert covered.flatten(1).any(1).float().mean() > 0.5
    assert bright[covered].float().mean() > 0.95
    assert not bright[crops.covered[:, 0] == 0].any()


def test_crops_lie_within_the_picture_and_hold_one_window_each(truth: RenderedTruth) -> None:
    crops = rendered_crops(truth, truth.irregular_rows(), 4, 96, np.random.default_rng(1))
    bank = truth.bank
    for pictures in crops.pictures.numpy().astype(np.uint8):
        windows = [bank.pictures[bank.tables[1][row]] for row in truth.irregular_rows()[0]]
        assert any(
            np.array_equal(window[:, :, left : left + 96], pictures)
            for window in windows
            for left in range(0, 33, TRUTH_PIXELS)
        )


def test_short_stretches_are_drawn_as_often_as_long_ones(truth: RenderedTruth) -> None:
    (rows,) = truth.irregular_rows()
    one, other = rows[:2], rows[8:]  # what window 8 and later show lies elsewhere
    crops = rendered_crops(truth, (one, other), 200, 96, np.random.default_rng(3))
    early = [truth.bank.pictures[truth.bank.tables[1][row]] for row in one]
    drawn = sum(
        any(
            np.array_equal(window[:, :, left : left + 96], pictures)
            for window in early
            for left in (0, 4, 8, 12, 16, 20, 24, 28, 32)
        )
        for pictures in crops.pictures.numpy().astype(np.uint8)
    )
    assert 0.35 < drawn / 200 < 0.65


def test_the_same_seed_cuts_the_same_crops(truth: RenderedTruth) -> None:
    rows = truth.irregular_rows()
    first, second = (rendered_crops(truth, rows, 8, 48, np.random.default_rng(2)) for _ in range(2))
    assert torch.equal(first.pictures, second.pictures)
    assert torch.equal(first.covered, second.covered)


def test_footage_without_irregularities_has_no_irregular_row(truth: RenderedTruth) -> None:
    assert len(RenderedTruth(truth.bank, np.zeros_like(truth.covered)).irregular_rows()) == 0

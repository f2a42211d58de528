"""Pixel and dual-pixel level: exact, against hand-computed cases and against trying every threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.evaluation.metrics import PixelTally, dual_pixel_curve, pixel_curve
from detectors.evaluation.metrics.pixel import highest, judge_irregular


@st.composite
def maps_with_masks(draw):
    """A small map with many ties, and a mask with at least one pixel."""
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = rng.integers(0, draw(st.sampled_from([3, 12, 1000])), (height, width)).astype(np.float32)
    mask = rng.random((height, width)) < draw(st.sampled_from([0.05, 0.3, 0.9]))
    mask[rng.integers(height), rng.integers(width)] = True
    return levels, mask


def tallied(*frames):
    tally = PixelTally(regions=False)
    for levels, mask in frames:
        tally.add(np.asarray(levels, np.float32), np.asarray(mask, bool))
    return tally.result()


def test_forty_percent_of_five_pixels_are_two() -> None:
    levels = np.array([[5, 4, 3, 2, 1, 9, 9]], np.float32)
    mask = np.array([[1, 1, 1, 1, 1, 0, 0]], bool)
    assert judge_irregular(levels, mask).covered_from == 4
    assert judge_irregular(levels, mask, covered=0.41).covered_from == 3
    assert judge_irregular(levels, mask, covered=1.0).covered_from == 1


def test_dual_pixels_lose_a_detection_once_too_much_is_flagged() -> None:
    levels = np.arange(30, 0, -1, dtype=np.float32).reshape(5, 6)
    mask = np.zeros((5, 6), bool)
    mask[0, 1] = True  # level 29
    frame = judge_irregular(levels, mask)
    assert frame.covered_from == 29
    # One true pixel is a tenth of ten flagged ones (levels 30 .. 21), and less of eleven.
    np.testing.assert_array_equal(frame.dual_from, [29])
    np.testing.assert_array_equal(frame.dual_until, [20])


def test_a_dual_detection_can_come_back() -> None:
    levels = np.array([[9, 8, 8, 8, 7, 7, 7, 1]], np.float32)
    mask = np.array([[1, 0, 0, 0, 1, 1, 1, 0]], bool)
    frame = judge_irregular(levels, mask, covered=0.25, true_share=0.5)
    np.testing.assert_array_equal(frame.dual_from, [9, 7])  # 1 of 1; 1 of 4 is too little; 4 of 7; 4 of 8
    np.testing.assert_array_equal(frame.dual_until, [8, -np.inf])


@given(maps_with_masks(), st.sampled_from([0.4, 1.0, 0.05]), st.sampled_from([0.1, 0.5, 1.0]))
def test_every_threshold_agrees_with_counting_pixels(pair, covered, true_share) -> None:
    levels, mask = pair
    frame = judge_irregular(levels, mask, covered, true_share)
    for threshold in np.unique(np.concatenate((levels.ravel(), levels.ravel() - 0.5, [levels.max() + 1]))):
        flagged = levels >= threshold
        pixel = (flagged & mask).sum() >= covered * mask.sum() - 1e-9
        dual = pixel and (flagged & mask).sum() >= true_share * flagged.sum() - 1e-9
        assert (threshold <= frame.covered_from) == pixel
        assert ((frame.dual_from >= threshold) & (threshold > frame.dual_until)).any() == dual


def test_a_hand_computed_pixel_curve() -> None:
    truth = np.array([[1, 1, 0, 0, 0]], bool)
    none = np.zeros((1, 5), bool)
    result = tallied(
        ([[6, 1, 0, 0, 0]], truth),  # one of two pixels is enough: detected from 6
        ([[2, 1, 9, 0, 0]], truth),  # flagged beside the truth from 9: a miss until 2, never a false positive
        ([[3, 0, 0, 0, 0]], none),
        ([[1, 0, 0, 0, 0]], none),
    )
    curve = pixel_curve([result])
    assert curve is not None
    np.testing.assert_array_equal(curve.thresholds, [np.inf, 6, 3, 2, 1])
    np.testing.assert_allclose(curve.true_positive, [0, 0.5, 0.5, 1, 1])
    np.testing.assert_allclose(curve.false_positive, [0, 0, 0.5, 0.5, 1])
    assert curve.area() == pytest.approx(0.75)
    assert curve.equal_error_rate() == pytest.approx(0.5)


def test_flagging_everything_pleases_the_pixel_level_and_not_the_dual_one() -> None:
    truth = np.zeros((10, 10), bool)
    truth[0, :5] = True  # a twentieth of the picture
    flat, quiet = np.full((10, 10), 5.0), np.ones((10, 10))
    result = tallied((flat, truth), (quiet, np.zeros_like(truth)))
    pixel, dual = pixel_curve([result]), dual_pixel_curve([result])
    assert pixel is not None
    assert dual is not None
    assert pixel.area() == 1
    assert dual.area() == 0
    assert dual.equal_error_rate() == 1


@given(st.lists(st.tuples(maps_with_masks(), st.booleans()), min_size=2, max_size=6))
def test_dual_figures_are_never_better_and_rising_transforms_change_nothing(pairs) -> None:
    frames = [(levels, mask & located) for (levels, mask), located in pairs]
    curves = []
    for transform in (lambda x: x, lambda x: x**3 + 2):
        # Every frame as a clip of its own: sizes may differ.
        results = [tallied((transform(levels), mask)) for levels, mask in frames]
        curves.append((pixel_curve(results), dual_pixel_curve(results)))
    (pixel, dual), (pixel_after, dual_after) = curves
    if pixel is None or dual is None:
        assert len({bool(mask.any()) for _, mask in frames}) == 1
        return
    assert 0 <= dual.area() <= pixel.area() + 1e-9
    assert pixel.area() <= 1 + 1e-9
    assert 0 <= pixel.equal_error_rate() <= dual.equal_error_rate() + 1e-9
    assert (pixel_after.area(), dual_after.area()) == (pixel.area(), dual.area())
    assert pixel_after.equal_error_rate() == pixel.equal_error_rate()


def test_a_pixel_that_is_no_number_is_not_flagged() -> None:
    levels = np.array([[np.nan, 2, 1]], np.float32)
    assert highest(levels) == 2
    assert judge_irregular(levels, np.array([[1, 0, 0]], bool)).covered_from == -np.inf


def test_a_mask_without_a_pixel_and_a_mask_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="without an irregular pixel"):
        judge_irregular(np.zeros((2, 2), np.float32), np.zeros((2, 2), bool))
    with pytest.raises(ValueError, match="not of one picture"):
        judge_irregular(np.zeros((2, 2), np.float32), np.ones((2, 3), bool))

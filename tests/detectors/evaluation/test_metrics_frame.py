"""Frame level: curve, area and equal error rate against hand-computed cases, scikit-learn and what must always hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from detectors.evaluation.metrics import fill_unscored, macro_area, roc
from preprocess.errors import InputError

sklearn_metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed (test extra)")


@st.composite
def scored_frames(draw):
    """Both kinds of frames, with scores that often tie."""
    size = draw(st.integers(2, 40))
    truth = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    truth[:2] = (True, False)
    scores = np.array(draw(st.lists(st.integers(-5, 5), min_size=size, max_size=size)), np.float64)
    return truth, scores


def test_a_hand_computed_curve() -> None:
    curve = roc(np.array([True, True, False, True, False]), np.array([0.9, 0.7, 0.7, 0.3, 0.1]))
    np.testing.assert_allclose(curve.false_positive, [0, 0, 1 / 2, 1 / 2, 1])
    np.testing.assert_allclose(curve.true_positive, [0, 1 / 3, 2 / 3, 1, 1])
    np.testing.assert_array_equal(curve.thresholds, [np.inf, 0.9, 0.7, 0.3, 0.1])
    # Of six pairs of an irregular and a normal frame four are in order, one ties, one (0.3 below 0.7) is not.
    assert curve.area() == pytest.approx(4.5 / 6)
    # From (0, 1/3) to (1/2, 2/3): FPR = x, TPR = 1/3 + 2x/3 = 1 - x at x = 2/5.
    assert curve.equal_error_rate() == pytest.approx(0.4)


def test_perfect_reversed_and_constant_scores() -> None:
    truth = np.array([True, True, False, False])
    for scores, area, error in (([4, 3, 2, 1], 1, 0), ([1, 2, 3, 4], 0, 1), ([7, 7, 7, 7], 0.5, 0.5)):
        curve = roc(truth, np.array(scores, np.float64))
        assert curve.area() == pytest.approx(area)
        assert curve.equal_error_rate() == pytest.approx(error)


@given(scored_frames())
def test_the_curve_and_its_area_are_those_of_scikit_learn(frames) -> None:
    truth, scores = frames
    curve = roc(truth, scores)
    false, true, thresholds = sklearn_metrics.roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive, false)
    np.testing.assert_allclose(curve.true_positive, true)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    assert curve.area() == pytest.approx(sklearn_metrics.roc_auc_score(truth, scores))


def test_a_long_curve_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(5000) < 0.3
    scores = (rng.normal(size=5000) + truth).astype(np.float32)
    curve = roc(truth, scores)
    assert curve.area() == pytest.approx(sklearn_metrics.roc_auc_score(truth, scores), abs=1e-12)
    false, true, _ = sklearn_metrics.roc_curve(truth, scores, drop_intermediate=False)
    crossing = brentq(lambda x: 1 - x - np.interp(x, false, true), 0, 1)
    assert curve.equal_error_rate() == pytest.approx(crossing, abs=1e-9)


@given(scored_frames())
def test_the_equal_error_rate_lies_where_the_curve_meets_the_diagonal(frames) -> None:
    curve = roc(*frames)
    rate = curve.equal_error_rate()
    assert 0 <= rate <= 1
    # Left of it more is missed than falsely flagged, right of it less.
    left, right = curve.false_positive < rate, curve.false_positive > rate
    assert (curve.false_positive + curve.true_positive)[left].max(initial=0) <= 1 + 1e-9
    assert (curve.false_positive + curve.true_positive)[right].min(initial=2) >= 1 - 1e-9


@given(scored_frames(), st.sampled_from([np.exp, np.cbrt, np.arctan, lambda x: 3 * x - 7]))
def test_a_rising_transform_of_the_scores_changes_nothing(frames, transform) -> None:
    truth, scores = frames
    before, after = roc(truth, scores), roc(truth, transform(scores))
    assert after.area() == before.area()
    assert after.equal_error_rate() == before.equal_error_rate()


@given(scored_frames())
def test_swapped_labels_and_reversed_scores_mirror_the_area(frames) -> None:
    truth, scores = frames
    area = roc(truth, scores).area()
    assert 0 <= area <= 1
    assert roc(~truth, scores).area() == pytest.approx(1 - area)
    assert roc(truth, -scores).area() == pytest.approx(1 - area)
    assert roc(~truth, -scores).area() == pytest.approx(area)
    assert roc(~truth, -scores).equal_error_rate() == pytest.approx(roc(truth, scores).equal_error_rate())


def test_infinite_scores_have_their_place() -> None:
    curve = roc(np.array([True, False, True]), np.array([np.inf, 0.0, -np.inf]))
    assert curve.area() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("truth", "scores"),
    [([True, True], [1.0, 2.0]), ([False], [1.0]), ([True, False], [np.nan, 1.0]), ([True, False], [1.0])],
)
def test_no_curve_without_both_kinds_or_with_holes(truth, scores) -> None:
    with pytest.raises(ValueError, match=r"frames|NaN|length"):
        roc(np.array(truth), np.array(scores))


def test_the_first_frames_take_the_first_score_and_later_ones_keep_the_last() -> None:
    nan = np.nan
    filled, count = fill_unscored(np.array([nan, nan, 3.0, 1.0, nan, nan, 2.0, nan]))
    np.testing.assert_array_equal(filled, [3, 3, 3, 1, 1, 1, 2, 2])
    assert count == 5
    follower, _ = fill_unscored(np.array([nan, nan, 3.0, nan]), before=0.5)
    assert follower.tolist() == [0.5, 0.5, 3.0, 3.0]
    whole, none = fill_unscored(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(whole, [1, 2])
    assert none == 0


def test_a_clip_without_any_score_is_an_error_that_names_it() -> None:
    with pytest.raises(InputError, match="Test004"):
        fill_unscored(np.full(3, np.nan), "Test004")


def test_the_macro_area_is_the_mean_over_clips_of_both_kinds() -> None:
    mixed = np.array([True, False])
    clips = [
        (mixed, np.array([2.0, 1.0])),
        (mixed, np.array([1.0, 2.0])),
        (mixed, np.array([5.0, 1.0])),
        (np.array([True, True]), np.array([0.0, 9.0])),
    ]
    assert macro_area(clips) == pytest.approx(2 / 3)
    assert macro_area(clips[3:]) is None

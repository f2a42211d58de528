"""Truth regions and their tracks: what is a region, what continues what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.evaluation.metrics.tracks import TrackLinker, overlaps, truth_boxes


def boxes(*rows):
    return np.array(rows, np.int32).reshape(-1, 4)


def test_regions_have_at_least_twenty_pixels_and_hold_together_by_corners() -> None:
    mask = np.zeros((30, 40), bool)
    mask[2:6, 3:8] = True  # 20 pixels
    mask[2:6, 20:24] = True  # 16 pixels: a crumb
    mask[20:24, 10:14] = True
    mask[24:28, 14:18] = True  # touches the one above by a corner
    np.testing.assert_array_equal(truth_boxes(mask), boxes((3, 2, 8, 6), (10, 20, 18, 28)))
    assert truth_boxes(np.zeros((5, 5), bool)).shape == (0, 4)


def test_hand_computed_overlaps() -> None:
    found = overlaps(boxes((0, 0, 10, 10)), boxes((0, 0, 10, 10), (5, 0, 15, 10), (10, 0, 20, 10), (2, 2, 4, 4)))
    np.testing.assert_allclose(found, [[1, 50 / 150, 0, 4 / 100]])


@given(st.lists(st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(1, 20)] * 2), min_size=2, max_size=2))
def test_overlap_is_symmetric_and_a_share(rows) -> None:
    one, other = (boxes((x, y, x + width, y + height)) for x, y, width, height in rows)
    shared = overlaps(one, other).item()
    assert 0 <= shared <= 1
    assert shared == overlaps(other, one).item()


def test_a_walker_is_one_track_and_a_far_newcomer_another() -> None:
    linker = TrackLinker()
    assert linker.next_frame(boxes((0, 0, 10, 10))).tolist() == [0]
    assert linker.next_frame(boxes((3, 0, 13, 10), (50, 0, 60, 10))).tolist() == [0, 1]
    assert linker.next_frame(boxes((51, 0, 61, 10), (6, 0, 16, 10))).tolist() == [1, 0]
    assert linker.count == 2


@pytest.mark.parametrize(("gap", "continued"), [(0, True), (1, True), (2, True), (3, False)])
def test_a_track_may_be_unseen_for_two_frames(gap, continued) -> None:
    linker = TrackLinker()
    linker.next_frame(boxes((0, 0, 10, 10)))
    for _ in range(gap):
        linker.next_frame(boxes())
    assert (linker.next_frame(boxes((0, 0, 10, 10))).item() == 0) == continued


def test_links_are_one_to_one_and_the_highest_overlap_wins() -> None:
    linker = TrackLinker()
    linker.next_frame(boxes((0, 0, 10, 10), (12, 0, 22, 10)))
    # Both candidates overlap track 0, the second one more; the first one then overlaps nothing that is free.
    assert linker.next_frame(boxes((0, 5, 10, 15), (1, 0, 11, 10))).tolist() == [2, 0]


@pytest.mark.parametrize(("left", "continued"), [(8, True), (9, False)])
def test_a_link_needs_an_overlap_of_a_tenth(left, continued) -> None:
    linker = TrackLinker()  # 20 of 180 pixels, 10 of 190
    linker.next_frame(boxes((0, 0, 10, 10)))
    assert (linker.next_frame(boxes((left, 0, left + 10, 10))).item() == 0) == continued

"""Of footage too long for memory whole stretches are kept, spread over all of it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.bank import build_bank
from detectors.stretches import SpreadPictures
from preprocess.pictures import Picture, WindowSettings
from tests.scenes import walkers

LUMA = np.zeros((2, 2), np.uint8)


def taken(count: int, most: int, stretch: int) -> SpreadPictures:
    sample = SpreadPictures(most, stretch)
    for number in range(count):
        if sample.wants:
            sample.keep(Picture(LUMA, Fraction(number), number // 70), LUMA)
        else:
            sample.skip()
    return sample


@given(st.integers(0, 2000), st.integers(1, 300), st.integers(1, 60))
def test_no_more_is_kept_than_there_is_room_for_and_stretches_stay_whole(count: int, most: int, stretch: int) -> None:
    sample = taken(count, most, stretch)
    kept = [int(time) for time in sample.times]
    assert len(kept) == len(sample.lumas) == len(sample.segments) <= most
    if count <= most:
        assert kept == list(range(count))
        assert sample.every == 1
    assert kept == [n for n in range(count) if n // sample.stretch % sample.every == 0][: len(kept)]
    assert sample.segments == [n // 70 for n in kept]
    starts = [row for row in range(len(kept)) if row == 0 or kept[row] != kept[row - 1] + 1 or kept[row] % 70 == 0]
    assert [start for start, _ in sample.runs()] == starts
    assert len(set(sample.numbers())) == len(starts)


def test_what_is_kept_is_spread_over_all_of_it() -> None:
    sample = taken(10_000, 1000, 100)
    assert sample.every == 16
    kept = np.array([int(time) for time in sample.times])
    assert len(kept) > 500
    assert kept.max() > 9000
    assert np.diff(kept).max() == 1501


@pytest.mark.parametrize("spread", [False, True])
def test_a_bank_of_long_footage_ends_early_or_is_spread(spread: bool) -> None:
    film = walkers().film(10, 60)
    windows = WindowSettings(Fraction(1, 10), 96, 64)
    bank = build_bank(film, windows, most_pictures=200, spread=spread)
    whole = build_bank(film, windows)
    assert len(bank.pictures) <= 200
    if not spread:
        assert (bank.every, bank.segments) == (1, whole.segments[: len(bank)])
        assert bank.times == whole.times[:195]
        return
    assert bank.every == 4
    assert max(bank.times) > 40
    assert len(set(bank.segments)) == 2
    assert bank.seconds == pytest.approx(20, abs=0.5)
    # The windows themselves are those of the whole footage: none reaches over what was left out.
    same = {time: row for row, time in enumerate(whole.times)}
    rows = [same[time] for time in bank.times]
    np.testing.assert_array_equal(bank.windows(range(len(bank))), whole.windows(rows))
    assert build_bank(film, windows, spread=True).segments == whole.segments

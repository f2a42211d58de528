"""The rules of time and segments, whatever the container says."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.frames import SourceCounts
from streamer.sources.segments import Place, Timeline
from streamer.sources.stray_times import is_stray

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE = (64, 48)
STEP = Fraction(1, 25)

times = st.one_of(st.none(), st.fractions(min_value=-100, max_value=100, max_denominator=1000))


def placed(raw: Sequence[Fraction | None], step: Fraction = STEP) -> tuple[list[Place], SourceCounts]:
    counts = SourceCounts()
    timeline = Timeline(step, counts)
    return [timeline.place(time, SIZE) for time in raw], counts


def seconds(*frame_numbers: int, step: Fraction = STEP) -> list[Fraction | None]:
    return [number * step for number in frame_numbers]


@given(st.lists(st.tuples(times, st.sampled_from([SIZE, (80, 60)]), st.booleans(), st.booleans()), max_size=120))
def test_time_always_goes_on_and_segments_grow_by_at_most_one(
    pictures: list[tuple[Fraction | None, tuple[int, int], bool, bool]],
) -> None:
    timeline = Timeline(STEP, SourceCounts())
    places = [timeline.place(raw, size, corrupt=corrupt, broken=broken) for raw, size, corrupt, broken in pictures]
    for before, after in pairwise(places):
        assert after.pts > before.pts
        assert after.segment - before.segment in {0, 1}
    if places:
        assert places[0].segment == 0


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from([SIZE, (80, 60)])), min_size=2, max_size=60))
def test_nothing_lies_between_two_sound_pictures_of_one_segment(
    pictures: list[tuple[bool, bool, tuple[int, int]]],
) -> None:
    timeline = Timeline(STEP, SourceCounts())
    places = [
        timeline.place(number * STEP, size, corrupt=corrupt, broken=broken)
        for number, (corrupt, broken, size) in enumerate(pictures)
    ]
    sound = [k for k, (corrupt, _, _) in enumerate(pictures) if not corrupt]
    for first, second in pairwise(sound):
        damaged = second - first > 1
        broken = any(pictures[k][1] for k in range(first + 1, second + 1))
        resized = any(pictures[k][2] != pictures[k - 1][2] for k in range(first + 1, second + 1))
        parted = places[second].segment > places[first].segment
        assert parted == (damaged or broken or resized)


@given(
    st.fractions(min_value=-10, max_value=1000, max_denominator=90000),
    st.lists(st.integers(min_value=1, max_value=24), min_size=1, max_size=100),
)
def test_growing_times_without_a_gap_are_kept_as_they_are(start: Fraction, steps: list[int]) -> None:
    raw = list(accumulate((step * STEP for step in steps), initial=start))
    places, counts = placed(raw)
    assert [place.pts for place in places] == raw
    assert {place.segment for place in places} == {0}
    assert counts == SourceCounts()


@given(st.lists(st.integers(0, 200).map(lambda hundredths: Fraction(hundredths, 100)), min_size=1, max_size=80))
def test_a_step_over_the_limit_always_parts(steps: list[Fraction]) -> None:
    """The median of steps of up to 2 s is at most 2 s, so 11 s are a gap for certain."""
    raw = list(accumulate([*steps, Fraction(11)], initial=Fraction(0)))
    places, counts = placed(raw)
    assert places[-1].segment == places[-2].segment + 1
    assert counts.gaps >= 1


def test_a_step_of_a_second_is_no_gap_and_a_longer_one_is() -> None:
    places, counts = placed([*seconds(*range(10)), Fraction(9, 25) + 1])
    assert places[-1].segment == 0
    places, counts = placed([*seconds(*range(10)), Fraction(9, 25) + Fraction(1001, 1000)])
    assert places[-1].segment == 1
    assert counts.gaps == 1


def test_slow_recordings_have_a_longer_limit() -> None:
    half = Fraction(1, 2)
    places, _ = placed([*seconds(*range(10), 14, step=half)], step=half)
    assert places[-1].segment == 0  # 2.5 s is five steps
    places, _ = placed([*seconds(*range(10), 15, step=half)], step=half)
    assert places[-1].segment == 1


def test_a_picture_a_minute_becomes_normal_even_where_the_header_says_otherwise() -> None:
    places, _ = placed([Fraction(60 * k) for k in range(30)])
    assert places[-1].segment == 1


def test_a_step_back_carries_time_on_by_a_median_step() -> None:
    places, counts = placed(seconds(*range(20), *range(20)))
    assert [place.pts for place in places] == seconds(*range(40))
    assert [place.segment for place in places] == [0] * 20 + [1] * 20
    assert (counts.pts_jumps, counts.gaps) == (1, 0)


def test_a_doubled_time_is_moved_by_half_a_step_and_disturbs_nothing_else() -> None:
    places, counts = placed(seconds(0, 1, 2, 2, 3, 4))
    assert [place.pts / STEP for place in places] == [0, 1, 2, Fraction(5, 2), 3, 4]
    assert {place.segment for place in places} == {0}
    assert counts.duplicate_pts == 1


def test_a_clock_that_stands_still_is_carried_on_by_whole_steps() -> None:
    places, counts = placed(seconds(0, 1, 2, *[2] * 100))
    assert counts.duplicate_pts == 100
    assert places[-1].pts - places[3].pts == 99 * STEP
    assert places[-1].pts.denominator <= 50
    assert {place.segment for place in places} == {0}


def test_missing_times_are_filled_in_without_a_segment() -> None:
    places, counts = placed([*seconds(0, 1, 2), None, None, *seconds(5, 6)])
    assert [place.pts for place in places] == seconds(0, 1, 2, 3, 4, 5, 6)
    assert {place.segment for place in places} == {0}
    assert counts.missing_pts == 2


def test_times_that_come_late_are_joined_to_the_assumed_ones() -> None:
    places, counts = placed([None, None, None, *seconds(0, 1, 2)])
    assert [place.pts for place in places] == seconds(0, 1, 2, 3, 4, 5)
    assert (counts.missing_pts, counts.pts_jumps, counts.gaps) == (3, 0, 0)


def test_a_step_that_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Timeline(Fraction(0), SourceCounts())


@pytest.mark.parametrize(
    ("before", "time", "after", "stray"),
    [
        (1, 90_000, 2, True),
        (1, 0, 2, True),
        (1, Fraction(3, 2), 2, False),
        (1, 50, 51, False),  # a real gap
        (50, 1, 2, False),  # a real restart
        (1, 1, 2, False),
        (None, 90_000, 2, False),
        (1, None, 2, False),
    ],
)
def test_only_a_time_that_leaps_from_its_ordered_neighbours_is_stray(
    before: int | None, time: Fraction | int | None, after: int, stray: bool
) -> None:
    values = [None if value is None else Fraction(value) for value in (before, time, after)]
    assert is_stray(*values) is stray

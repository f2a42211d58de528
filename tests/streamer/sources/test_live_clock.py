"""One time over all connections of a camera."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamer.frames import SourceCounts
from streamer.sources.live_clock import LiveClock
from streamer.sources.segments import Place

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
STEP = Fraction(1, 10)
SIZE = (320, 240)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def started() -> tuple[LiveClock, SourceCounts]:
    counts = SourceCounts()
    clock = LiveClock(counts)
    clock.restart(STEP)
    return clock, counts


def test_the_first_picture_gets_our_time_and_the_next_ones_the_pace_of_the_camera() -> None:
    clock, _ = started()
    places = [clock.place(7 + k * STEP, SIZE, at(float(k * STEP) + 0.02 * (k % 3))) for k in range(5)]
    assert [place.pts for place in places] == [int(NOON.timestamp()) + k * STEP for k in range(5)]
    assert {place.segment for place in places} == {0}


def test_another_connection_goes_on_at_our_time_in_a_new_segment() -> None:
    clock, _ = started()
    before = clock.place(Fraction(500), SIZE, at(0))
    clock.restart(STEP)
    after = clock.place(Fraction(0), SIZE, at(4))
    assert after == Place(before.pts + 4, before.segment + 1)


def test_a_clock_of_ours_that_was_set_back_does_not_take_the_times_along() -> None:
    clock, _ = started()
    before = clock.place(Fraction(0), SIZE, at(0))
    clock.restart(STEP)
    after = clock.place(Fraction(0), SIZE, at(-3600))
    assert after.pts == before.pts + STEP
    later = [clock.place(k * STEP, SIZE, at(-3600 + 0.1 * k)) for k in range(1, 50)]
    assert {place.segment for place in later} == {1}
    assert all(a.pts < b.pts for a, b in pairwise([after, *later]))


def test_a_camera_whose_clock_is_set_an_hour_ahead_stays_at_our_time() -> None:
    clock, counts = started()
    for k in range(10):
        clock.place(k * STEP, SIZE, at(0.1 * k))
    place = clock.place(3600 + 10 * STEP, SIZE, at(1.0))
    assert abs(place.pts - int(NOON.timestamp()) - 1) < Fraction(1, 5)
    assert place.segment == 1
    assert counts.pts_jumps == 1
    assert clock.place(3600 + 11 * STEP, SIZE, at(1.1)).segment == 1


def test_a_camera_whose_clock_is_set_back_goes_on_in_a_new_segment() -> None:
    clock, counts = started()
    places = [clock.place(100 + k * STEP, SIZE, at(0.1 * k)) for k in range(10)]
    places += [clock.place(k * STEP, SIZE, at(1 + 0.1 * k)) for k in range(10)]
    assert all(b.pts - a.pts == STEP for a, b in pairwise(places))
    assert [place.segment for place in places] == [0] * 10 + [1] * 10
    assert counts.pts_jumps == 1


def test_a_clock_that_drifts_for_days_is_slowed_without_a_gap() -> None:
    clock, counts = started()
    raw = Fraction(0)
    for k in range(25_000):
        raw += STEP * Fraction(10_008, 10_000)
        place = clock.place(raw, SIZE, at(0.1 * k))
    assert abs(place.pts - int(NOON.timestamp()) - 2_500) < 1.1
    assert place.segment == 0
    assert counts.pts_jumps == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["picture", "connection", "none"]),
            st.fractions(-100, 100, max_denominator=90_000),
            st.floats(-50, 50),
            st.booleans(),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_times_only_go_on_and_segments_never_go_back_whatever_the_clocks_do(
    steps: list[tuple[str, Fraction, float, bool]],
) -> None:
    clock, _ = started()
    raw, now = Fraction(0), 0.0
    places = []
    for kind, step, wait, corrupt in steps:
        if kind == "connection":
            clock.restart(STEP)
        raw, now = raw + step, now + wait
        places.append(clock.place(None if kind == "none" else raw, SIZE, at(now), corrupt=corrupt))
    for before, after in pairwise(places):
        assert after.pts > before.pts
        assert after.segment >= before.segment

"""Event level: recall, false events per hour of normal footage, delay; in time and, where it is known, in place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.evaluation.metrics import Alarm, AlarmBox, EventTruth, event_level
from detectors.evaluation.metrics.events import stretches_of

SECONDS = np.arange(20) / 2.0  # two frames a second, ten seconds


def truth(*ranges, boxes=None):
    irregular = np.zeros(20, bool)
    for start, stop in ranges:
        irregular[start:stop] = True
    if boxes is None:
        return EventTruth(irregular, SECONDS)
    frames = np.flatnonzero(irregular)
    return EventTruth(irregular, SECONDS, frames, np.tile(np.array(boxes, np.int32), (frames.size, 1)))


def test_a_stretch_lasts_until_the_next_normal_frame() -> None:
    given_truth = truth((2, 4), (18, 20))
    np.testing.assert_allclose(stretches_of(given_truth.irregular, SECONDS), [[1, 2], [9, 10]])
    assert stretches_of(np.zeros(0, bool), np.zeros(0)).shape == (0, 2)


def test_a_hand_computed_clip() -> None:
    alarms = [Alarm(0.5, 1.0), Alarm(3.0, 3.5), Alarm(6.5, 7.0)]  # of the first stretch, false, of the second
    figures = event_level([(truth((2, 4), (12, 16), (18, 20)), alarms)])
    assert (figures.stretches, figures.found, figures.events, figures.false) == (3, 2, 3, 1)
    assert figures.recall() == pytest.approx(2 / 3)
    np.testing.assert_allclose(figures.delays, [0, 0.5])  # on before the first stretch; 6.5 s in one from 6 s
    assert figures.delay() == pytest.approx(0.25)
    assert figures.normal_seconds == pytest.approx(6)
    assert figures.false_per_hour() == pytest.approx(600)


def test_an_event_that_ends_before_or_starts_after_a_stretch_does_not_find_it() -> None:
    figures = event_level([(truth((4, 8)), [Alarm(1.0, 1.9), Alarm(4.0, 5.0)])])
    assert (figures.found, figures.false) == (0, 2)
    assert figures.delay() is None


def test_one_event_may_find_two_stretches_and_is_never_false_then() -> None:
    figures = event_level([(truth((4, 6), (8, 10)), [Alarm(2.0, 5.0)])])
    assert (figures.found, figures.false) == (2, 0)


def test_an_event_elsewhere_in_the_picture_finds_nothing_but_is_not_counted_as_false() -> None:
    where = truth((4, 8), boxes=(10, 10, 30, 40))
    for box, found in (
        (AlarmBox(2.5, 25, 20, 10, 10), 1),
        (AlarmBox(2.5, 30, 20, 10, 10), 0),  # begins where the truth ends
        (AlarmBox(2.5, 100, 20, 10, 10), 0),
        (AlarmBox(5.0, 25, 20, 10, 10), 0),  # the right place a second and a half too late
    ):
        figures = event_level([(where, [Alarm(2.5, 5.0, (box,))])])
        assert (figures.found, figures.false) == (found, 0)


def test_the_delay_counts_from_the_event_in_the_right_place() -> None:
    where = truth((4, 12), boxes=(10, 10, 30, 40))
    elsewhere = Alarm(2.0, 2.5, (AlarmBox(2.0, 100, 0, 5, 5),))
    there = Alarm(3.5, 5.0, (AlarmBox(3.5, 12, 12, 5, 5),))
    np.testing.assert_allclose(event_level([(where, [elsewhere, there])]).delays, [1.5])


def test_time_alone_decides_where_either_does_not_say_where() -> None:
    boxed = Alarm(2.5, 3.0, (AlarmBox(2.5, 0, 0, 1, 1),))
    assert event_level([(truth((4, 8)), [boxed])]).found == 1
    assert event_level([(truth((4, 8), boxes=(10, 10, 30, 40)), [Alarm(2.5, 3.0)])]).found == 1


def test_clips_are_pooled_and_figures_without_a_base_are_absent() -> None:
    none = event_level([(truth((0, 20)), [])])
    assert (none.recall(), none.false_per_hour(), none.delay()) == (0, None, None)
    quiet = event_level([(truth(), [])])
    assert (quiet.recall(), quiet.false_per_hour()) == (None, 0)
    both = event_level([(truth((0, 20)), [Alarm(1, 2)]), (truth(), [Alarm(1, 2)])])
    assert (both.recall(), both.false, both.false_per_hour()) == (1, 1, 360)


def test_times_must_rise_and_fit() -> None:
    for times in (SECONDS[:5], SECONDS[::-1]):
        with pytest.raises(ValueError, match="times must rise"):
            event_level([(EventTruth(np.zeros(20, bool), times), [])])


@given(
    st.lists(st.booleans(), min_size=20, max_size=20),
    st.lists(st.tuples(st.integers(-5, 25), st.integers(0, 10)), max_size=5),
    st.integers(0, 100_000),
)
def test_figures_stay_in_bounds_and_do_not_depend_on_where_the_clock_starts(irregular, spans, offset) -> None:
    frames = np.array(irregular)
    alarms = [Alarm(start / 2, (start + length) / 2) for start, length in spans]
    figures = event_level([(EventTruth(frames, SECONDS), alarms)])
    assert 0 <= figures.found <= figures.stretches
    assert 0 <= figures.false <= figures.events == len(spans)
    assert figures.normal_seconds == pytest.approx(0.5 * (~frames).sum())
    assert (figures.delays >= 0).all()
    later = event_level(
        [(EventTruth(frames, SECONDS + offset), [Alarm(a.start + offset, a.end + offset) for a in alarms])]
    )
    assert (later.found, later.false) == (figures.found, figures.false)
    np.testing.assert_allclose(later.delays, figures.delays, atol=1e-6)

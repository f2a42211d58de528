"""When events begin and end, for every sequence of verdicts."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import Region, Verdict
from streamer.events import MAX_TRACK_BOXES, EventMachine, EventSettings, MessageKind, exact_seconds

LEVELS = np.zeros((1, 1), dtype=np.float32)
ENTER, EXIT = 4.0, 3.5
DEFAULTS = EventSettings(ENTER, EXIT)
# One letter per frame: a quiet one, an alarm, a strong alarm, one between the levels, one that was not scored.
SCORES = {".": 1.0, "A": 4.5, "B": 6.0, "h": 3.7, "-": None}
SCRIPTS = st.text(alphabet="....AAAABh-", max_size=120)


def verdict(score, regions=1):
    alarm = score >= ENTER
    found = tuple(Region(10 * i, 5, 20, 30, score, 600) for i in range(regions)) if alarm else ()
    return Verdict(score, 10.0**-score, 0.0, 0.0, alarm, LEVELS, found)


def play(script, configured=DEFAULTS, rate=10, learning=0):
    """Push a script of frames; return all messages and the frames' times."""
    machine = EventMachine("gate", configured)
    messages, times = [], []
    for index, letter in enumerate(script):
        pts = Fraction(index, rate)
        times.append(pts)
        score = SCORES[letter]
        judged = None if score is None else verdict(score)
        messages += machine.push(pts, judged, in_learning=index < learning)
    return messages + machine.close(), times


def ended(messages):
    return [message.event for message in messages if message.kind is MessageKind.END]


def events_of(script, configured=DEFAULTS, rate=10):
    return ended(play(script, configured, rate)[0])


def runs(script):
    """First and last index of every stretch of entering frames."""
    found, start = [], None
    for index, letter in enumerate(script + "."):
        if letter in "AB" and start is None:
            start = index
        if letter not in "AB" and start is not None:
            found.append((start, index - 1))
            start = None
    return found


def test_an_alarm_of_the_minimum_duration_is_an_event_and_a_shorter_one_is_not():
    (event,) = events_of("...AABA......")
    assert (event.start, event.peak, event.end, event.frames) == (
        Fraction(3, 10),
        Fraction(5, 10),
        Fraction(6, 10),
        4,
    )
    assert event.id == "gate-300"
    assert (event.peak_level, event.peak_p_value) == (6.0, pytest.approx(1e-6))
    assert not events_of("...AAA........")


@pytest.mark.parametrize("script", ["A", "B...........B", "A..A..A..A", "..A.A..", "A-A", "A-----A", "Ahhhhhhhhh"])
def test_lone_spikes_raise_nothing_however_they_are_spread(script):
    assert not play(script)[0]


def test_a_flickering_thing_is_found_where_most_of_its_frames_alarm():
    (event,) = events_of("AA.AA.AA.AA")
    assert (event.start, event.end, event.frames) == (0, 1, 8)


def test_gaps_shorter_than_the_merge_gap_are_bridged_and_longer_ones_are_not():
    assert len(events_of("AAAA" + "." * 8 + "AAAA")) == 1
    assert len(events_of("AAAA" + "." * 9 + "AAAA")) == 2  # exactly 1.0 s is not shorter
    assert len(events_of("AAAA" + "-" * 8 + "AAAA")) == 1


def test_an_event_stays_open_down_to_the_exit_level_but_is_not_entered_there():
    (event,) = events_of("hhAAAAhhh..........hhh")
    assert (event.start, event.end, event.frames) == (Fraction(2, 10), Fraction(8, 10), 7)


def test_the_messages_of_an_event_share_its_id_and_come_in_order():
    messages, _ = play("A" * 35 + "." * 12)
    assert [message.kind.value for message in messages] == ["new", "update", "update", "update", "end"]
    assert len({message.event.id for message in messages}) == 1
    assert [float(message.event.end) for message in messages] == [0.3, 1.3, 2.3, 3.3, 3.4]


def test_an_event_longer_than_the_maximum_is_split_without_a_gap():
    configured = EventSettings(ENTER, EXIT, maximum_duration=2)
    first, second, third = events_of("A" * 50, configured)
    assert (first.start, first.end) == (0, 2)
    assert (second.start, second.end, second.continues) == (Fraction(21, 10), Fraction(41, 10), first.id)
    assert (third.start, third.end, third.continues) == (Fraction(42, 10), Fraction(49, 10), second.id)
    assert first.continues is None


def test_nothing_begins_within_the_cooldown():
    configured = EventSettings(ENTER, EXIT, merge_gap=0.2, cooldown=2)
    script = "AAAA" + "." * 5 + "AAAAAAA" + "." * 8 + "AAAA"
    first, second = events_of(script, configured)
    assert (first.end, second.start) == (Fraction(3, 10), Fraction(24, 10))
    assert len(events_of(script, EventSettings(ENTER, EXIT, merge_gap=0.2))) == 3


def test_an_event_belongs_to_the_learning_part_only_where_all_of_it_does():
    def flags(learning):
        return [event.in_learning for event in ended(play("AAAAAA", learning=learning)[0])]

    assert flags(6) == [True]
    assert flags(5) == [False]


def test_a_clock_that_jumps_back_ends_the_event_and_ids_stay_unique():
    machine = EventMachine("gate", DEFAULTS)
    messages = []
    for _ in range(3):
        for index in range(5):
            messages += machine.push(Fraction(index, 10), verdict(5.0))
    found = ended(messages + machine.close())
    assert [event.id for event in found] == ["gate-0", "gate-0-2", "gate-0-3"]
    assert all(event.start <= event.end for event in found)


def test_the_peak_carries_its_regions_and_the_picture_kept_is_the_peaks():
    machine = EventMachine("gate", DEFAULTS)
    kept, messages = None, []
    for index, (score, regions) in enumerate([(4.5, 1), (4.2, 2), (6.0, 3), (6.0, 1), (5.0, 2), (1.0, 0)]):
        messages += machine.push(Fraction(index, 10), verdict(score, regions))
        if machine.at_peak:
            kept = index
    (event,) = ended(messages + machine.close())
    assert kept == 2
    assert (event.peak, len(event.regions), len(event.track)) == (Fraction(2, 10), 3, 9)


def test_the_track_of_an_endless_event_is_thinned_and_still_spans_it():
    machine = EventMachine("gate", EventSettings(ENTER, EXIT, maximum_duration=100_000))
    for index in range(9000):
        machine.push(Fraction(index, 10), verdict(5.0, 2))
    ((message),) = machine.close()
    track = message.event.track
    assert MAX_TRACK_BOXES / 3 < len(track) <= MAX_TRACK_BOXES
    assert track[0].pts == 0
    assert track[-1].pts > 880
    steps = {later.pts - earlier.pts for earlier, later in pairwise(track[::2])}
    assert len(steps) == 1


def test_floats_count_as_the_decimal_number_they_print_as():
    assert exact_seconds(0.3) == Fraction(3, 10)


def test_settings_that_contradict_themselves_are_refused():
    with pytest.raises(ValueError, match="exit level"):
        EventSettings(4.0, 4.5)
    with pytest.raises(ValueError, match="negative"):
        EventSettings(4.0, 3.0, cooldown=-1)
    with pytest.raises(ValueError, match="maximum"):
        EventSettings(4.0, 3.0, maximum_duration=0.2)
    assert EventSettings.at(5.0).exit_level == pytest.approx(4.5)


@settings(max_examples=300)
@given(script=SCRIPTS)
def test_events_are_in_order_apart_from_each_other_and_hold_their_peak(script):
    events = events_of(script)
    for event in events:
        assert event.start <= event.peak <= event.end
        assert event.end - event.start >= Fraction(3, 10)
        assert event.peak_level >= ENTER
        assert event.regions
        assert event.frames >= 2
    for earlier, later in pairwise(events):
        assert later.start - earlier.end >= 1


@settings(max_examples=300)
@given(script=SCRIPTS, rate=st.sampled_from([5, 10, 30]))
def test_every_alarm_that_lasts_lies_in_exactly_one_event(script, rate):
    events = events_of(script, rate=rate)
    for first, last in runs(script):
        if Fraction(last - first, rate) < Fraction(3, 10) or last == first:
            continue
        start, end = Fraction(first, rate), Fraction(last, rate)
        assert sum(event.start <= start and end <= event.end for event in events) == 1


@settings(max_examples=200)
@given(script=SCRIPTS, maximum=st.sampled_from([1, 2, Fraction(7, 2)]))
def test_a_split_loses_no_lasting_alarm_and_no_part_is_longer_than_the_maximum(script, maximum):
    events = events_of(script, EventSettings(ENTER, EXIT, maximum_duration=maximum))
    assert all(event.end - event.start <= maximum for event in events)
    assert all(earlier.end < later.start for earlier, later in pairwise(events))
    for first, last in runs(script):
        if last - first < 3:
            continue
        covered = [
            any(event.start <= Fraction(index, 10) <= event.end for event in events) for index in range(first, last + 1)
        ]
        assert all(covered)


@settings(max_examples=200)
@given(gaps=st.lists(st.integers(1, 40), max_size=20))
def test_spikes_of_one_frame_apart_from_each_other_raise_nothing(gaps):
    assert not play("".join("A" + "." * (gap + 1) for gap in gaps))[0]


@settings(max_examples=200)
@given(script=SCRIPTS)
def test_every_event_is_announced_once_and_ended_once_with_nothing_after(script):
    messages, _ = play(script)
    seen = Counter((message.event.id, message.kind) for message in messages)
    identities = {message.event.id for message in messages}
    assert all(seen[i, MessageKind.NEW] == seen[i, MessageKind.END] == 1 for i in identities)
    order = [message.event.id for message in messages]
    assert [i for i, following in pairwise([*order, None]) if i != following] == list(dict.fromkeys(order))
    for identity in identities:
        ends = [message.event.end for message in messages if message.event.id == identity]
        assert ends == sorted(ends)


@settings(max_examples=100)
@given(script=st.text(alphabet="..AABh-", max_size=80), jumps=st.sets(st.integers(1, 79), max_size=3))
def test_ids_are_unique_even_where_the_clock_jumps(script, jumps):
    machine = EventMachine("gate", DEFAULTS)
    found, pts = [], Fraction(0)
    for index, letter in enumerate(script):
        pts = Fraction(0) if index in jumps else pts + Fraction(1, 10)
        score = SCORES[letter]
        found += ended(machine.push(pts, None if score is None else verdict(score)))
    found += ended(machine.close())
    assert len({event.id for event in found}) == len(found)

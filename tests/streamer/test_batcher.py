"""Batches of many cameras: fair, bounded and in order, whatever comes when."""

from __future__ import annotations

import math
import threading
import time
from itertools import pairwise

import pytest

from streamer.batcher import LONGEST_WAIT, SHORTEST_WAIT, Batcher, BatchLimits
from streamer.camera_queue import DropReason
from streamer.channels import AbortedError
from streamer.frames import Pace
from tests.streamer.virtual_time import VirtualTime

PERIOD = 0.1


def made(**limits):
    """A batcher in virtual time."""
    clock = VirtualTime()
    return Batcher(BatchLimits(**limits), clock=clock, changed=clock), clock


def live(batcher, *names, group="base", most_waiting=5):
    for name in names:
        batcher.add(name, group=group, pace=Pace.LATEST, most_waiting=most_waiting)


def recordings(batcher, *names, group="base", most_waiting=8):
    for name in names:
        batcher.add(name, group=group, pace=Pace.EVERY_FRAME, most_waiting=most_waiting)


def film(batcher, clock, name, *, until, period=PERIOD, start=0.0):
    """Plan a camera's windows ``(name, number)``."""
    for number in range(math.ceil((until - start) / period)):
        clock.at(start + number * period, lambda number=number: batcher.put(name, (name, number)))


def batches(batcher, clock, *, until, takes=0.02):
    """Everything that is taken by networks that need ``takes`` seconds a batch, with the moment it was taken at."""
    found = []
    while clock.now < until:
        batch = batcher.take(0.05)
        if batch is not None:
            found.append((clock.now, batch))
            clock.pass_by(takes)
    return found


def test_cameras_of_one_rate_come_in_one_batch_each_time():
    batcher, clock = made()
    live(batcher, *"abcd")
    for place, name in enumerate("abcd"):
        film(batcher, clock, name, until=3, start=0.01 * place)
    found = batches(batcher, clock, until=3)
    settled = [batch for moment, batch in found if moment > 0.5]
    assert all(sorted(name for name, _ in batch.parts) == list("abcd") for batch in settled)
    # It goes as soon as the last of them is there, not when the time is over.
    assert max(batch.waited for batch in settled) == pytest.approx(0.03, abs=1e-6)


def test_a_batch_waits_the_fastest_period_less_what_the_networks_need():
    batcher, clock = made()
    live(batcher, "steady", "away")
    film(batcher, clock, "steady", until=6, period=0.08)
    film(batcher, clock, "away", until=6, period=0.9)  # slow: is awaited, and hardly ever comes in time
    found = batches(batcher, clock, until=5.5, takes=0.03)
    waited = [batch.waited for moment, batch in found if moment > 3 and len(batch.parts) == 1]
    assert min(waited) == pytest.approx(0.08 - 0.03, abs=0.002)
    assert max(waited) == pytest.approx(0.08 - 0.03, abs=0.002)


def test_slow_networks_leave_the_shortest_wait_and_slow_cameras_the_longest():
    for period, takes, expected in ((0.05, 0.2, SHORTEST_WAIT), (0.8, 0.01, LONGEST_WAIT)):
        batcher, clock = made()
        live(batcher, "one", "other")
        film(batcher, clock, "one", until=20, period=period)
        batcher.put("other", ("other", 0))
        batches(batcher, clock, until=15, takes=takes)
        clock.pass_by(period)
        batcher.take(1.0)
        batcher.put("other", ("other", 1))
        began = clock.now
        assert batcher.take(1.0) is not None
        assert clock.now - began <= expected + 1e-6


def test_no_batch_waits_longer_than_the_settings_allow():
    batcher, clock = made(most_wait=0.01)
    live(batcher, "one", "other")
    film(batcher, clock, "one", until=6, period=0.8)
    film(batcher, clock, "other", until=6, period=0.9)
    found = batches(batcher, clock, until=5.5, takes=0.01)
    assert max(batch.waited for moment, batch in found if moment > 2) <= 0.01 + 1e-6


def test_a_camera_that_went_silent_is_not_waited_for():
    batcher, clock = made()
    live(batcher, "there", "gone")
    film(batcher, clock, "there", until=3)
    film(batcher, clock, "gone", until=1)
    found = batches(batcher, clock, until=2.9)
    late = [batch for moment, batch in found if moment > 1.5]
    assert len(late) > 10
    assert max(batch.waited for batch in late) < 1e-6


def test_live_windows_that_waited_too_long_are_dropped_and_counted():
    batcher, clock = made()
    live(batcher, "gate")
    batcher.put("gate", "old")
    clock.pass_by(0.51)
    assert batcher.take(0.05) is None
    assert batcher.dropped("gate") == {DropReason.QUEUE_FULL: 0, DropReason.TOO_OLD: 1, DropReason.REMOVED: 0}


def test_a_full_live_queue_drops_its_oldest_windows_one_by_one():
    batcher, _ = made(quota=8)
    live(batcher, "gate", most_waiting=3)
    for number in range(5):
        batcher.put("gate", number)
    assert batcher.take(1.0).parts == (("gate", (2, 3, 4)),)
    assert batcher.dropped("gate")[DropReason.QUEUE_FULL] == 2


def test_what_waits_is_bounded_in_bytes_too():
    batcher, _ = made(quota=8, most_bytes=100)
    live(batcher, "gate", most_waiting=50)
    for number in range(5):
        batcher.put("gate", number, 40)
    assert batcher.take(1.0).parts == (("gate", (3, 4)),)
    batcher.put("gate", "a single large one passes", 1000)
    assert len(batcher.take(1.0)) == 1


def test_a_recording_waits_for_room_and_loses_nothing_however_old_it_gets():
    batcher, clock = made(quota=2, most=2)
    recordings(batcher, "clip", most_waiting=2)
    found = []
    for moment in (1, 2, 3, 4):
        clock.at(moment, lambda: found.extend(batcher.take(0.0).parts[0][1]))
    for number in range(10):
        batcher.put("clip", number)
    assert clock.now == pytest.approx(4)
    batcher.end("clip")
    while not batcher.finished:
        found.extend(batcher.take(0.2).parts[0][1])
    assert found == list(range(10))
    assert sum(batcher.dropped("clip").values()) == 0


def test_recordings_fill_their_share_of_a_batch_before_it_goes():
    batcher, clock = made(most=16, quota=4)
    recordings(batcher, "one", "two")
    for name in ("one", "two"):
        film(batcher, clock, name, until=2, period=0.005)
    assert {len(batch) for _, batch in batches(batcher, clock, until=1, takes=0.01)} == {8}


def test_all_windows_of_a_batch_are_of_one_group_and_groups_take_turns():
    batcher, clock = made()
    live(batcher, *"abc", group="base")
    live(batcher, "x", group="own model")
    for name in "abcx":
        film(batcher, clock, name, until=5)
    found = [batch for moment, batch in batches(batcher, clock, until=4.9, takes=0.06) if moment > 0.5]
    for batch in found:
        assert {name for name, _ in batch.parts} <= ({"x"} if batch.group == "own model" else set("abc"))
    of_own = [batch.group == "own model" for batch in found]
    # Both have windows at every moment: the networks are too slow for all of them.
    assert 0.45 < sum(of_own) / len(of_own) < 0.55


def test_a_camera_that_changes_its_group_keeps_its_order_and_every_window_the_group_it_was_made_for():
    batcher, _ = made(quota=8)
    recordings(batcher, "gate", group="before", most_waiting=20)
    for number in range(3):
        batcher.put("gate", number)
    batcher.regroup("gate", "after")
    for number in range(3, 5):
        batcher.put("gate", number)
    batcher.end("gate")
    found = [batcher.take(1.0), batcher.take(1.0)]
    assert [(batch.group, batch.parts[0][1]) for batch in found] == [("before", (0, 1, 2)), ("after", (3, 4))]


def test_a_batch_larger_than_it_may_be_goes_round_the_cameras():
    batcher, _ = made(most=3, quota=2)
    recordings(batcher, *"abcde")
    for name in "abcde":
        for number in range(3):
            batcher.put(name, number)
    served = [[name for name, _ in batcher.take(0.0).parts] for _ in range(5)]
    assert served == [list("abc"), list("dea"), list("bcd"), list("eab"), list("cde")]


def test_past_saturation_every_camera_is_seen_and_the_delay_stays_bounded():
    batcher, clock = made(most=8, quota=1)
    cameras = [f"camera-{number}" for number in range(40)]
    live(batcher, *cameras, most_waiting=4)
    for number, name in enumerate(cameras):
        film(batcher, clock, name, until=60, period=1.0, start=0.001 * number)
    found = batches(batcher, clock, until=58, takes=0.4)  # serves 20 windows a second of 40
    seen = {name: [moment for moment, batch in found for part, _ in batch.parts if part == name] for name in cameras}
    for moments in seen.values():
        assert max(later - earlier for earlier, later in pairwise(moments)) < 6.0
    assert max(batch.waited for _, batch in found) < 2.5
    for name in cameras:
        counts = batcher.counts(name)
        assert counts.put == counts.taken + counts.waiting + sum(counts.dropped.values())


def test_saturated_networks_see_the_newest_windows():
    batcher, clock = made(most=8, quota=1)
    live(batcher, *"abcd", most_waiting=2)
    for name in "abcd":
        film(batcher, clock, name, until=20)
    found = batches(batcher, clock, until=19, takes=0.35)
    assert max(batch.waited for _, batch in found) <= 2 * PERIOD + 1e-6
    assert batcher.dropped("a")[DropReason.QUEUE_FULL] > 100


def test_a_camera_taken_away_leaves_with_its_counts_and_no_one_waits_for_it():
    batcher, clock = made()
    live(batcher, "gate", "yard")
    for name in ("gate", "yard"):
        film(batcher, clock, name, until=0.35)
    batches(batcher, clock, until=0.35)
    batcher.put("gate", "last")
    counts = batcher.remove("gate")
    assert counts.put == 5
    assert counts.dropped[DropReason.REMOVED] == 1
    assert counts.put == counts.taken + sum(counts.dropped.values())
    with pytest.raises(AbortedError):
        batcher.put("gate", "one more")
    batcher.end("gate")
    batcher.put("yard", "here")
    assert batcher.take(1.0).waited == 0


def test_what_is_left_after_the_end_is_still_taken():
    batcher, _ = made()
    recordings(batcher, "clip")
    batcher.put("clip", 0)
    batcher.end("clip")
    assert not batcher.finished
    assert len(batcher.take(1.0)) == 1
    assert batcher.finished
    assert batcher.take(1.0) is None
    with pytest.raises(ValueError, match="has ended"):
        batcher.put("clip", 1)


def test_without_cameras_taking_waits_for_one_to_come():
    batcher, clock = made()
    clock.at(0.3, lambda: live(batcher, "gate"))
    clock.at(0.4, lambda: batcher.put("gate", 0))
    assert not batcher.finished
    assert batcher.take(1.0).parts == (("gate", (0,)),)


def test_a_name_is_given_once_and_bounds_let_something_pass():
    batcher, _ = made()
    live(batcher, "gate")
    with pytest.raises(ValueError, match="gate"):
        live(batcher, "gate")
    for limits in ({"most": 0}, {"quota": 0}):
        with pytest.raises(ValueError, match="at least one"):
            BatchLimits(**limits)


def test_closing_wakes_who_waits_in_real_threads():
    batcher = Batcher()
    recordings(batcher, "clip", most_waiting=1)
    ended = []

    def read():
        try:
            for number in range(10**9):
                batcher.put("clip", number)
        except AbortedError:
            ended.append("reader")

    def score():
        while not batcher.finished:
            batcher.take(5.0)
        ended.append("networks")

    threads = [threading.Thread(target=work, daemon=True) for work in (read, score)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    batcher.close()
    for thread in threads:
        thread.join(5.0)
    assert sorted(ended) == ["networks", "reader"]
    counts = batcher.counts("clip")
    assert counts.put == counts.taken + sum(counts.dropped.values())


def test_many_real_threads_lose_nothing_and_keep_every_order():
    batcher = Batcher(BatchLimits(most=5, quota=2))
    names = [f"clip-{number}" for number in range(6)]
    recordings(batcher, *names, most_waiting=3)

    def read(name):
        for number in range(60):
            batcher.put(name, number)
        batcher.end(name)

    threads = [threading.Thread(target=read, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    found = {name: [] for name in names}
    while not batcher.finished:
        batch = batcher.take(1.0)
        for name, items in () if batch is None else batch.parts:
            found[name].extend(items)
    assert all(numbers == list(range(60)) for numbers in found.values())

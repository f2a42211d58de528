"""Whoever gives a job never waits; jobs are done in order, within bounds, and an error is no end."""

from __future__ import annotations

import threading
import time

from streamer.sinks.worker import Worker


def make(**options):
    errors = []
    options = {"most_jobs": 100, "most_bytes": 1000, "tick_seconds": 3600, **options}
    return Worker("avid-test", failed=errors.append, **options), errors


def test_jobs_are_done_in_order_and_what_waits_is_done_before_the_end():
    worker, errors = make()
    done = []
    for number in range(50):
        assert worker.give(lambda number=number: done.append(number))
    assert worker.close(5)
    assert done == list(range(50))
    assert errors == []
    assert not worker.give(lambda: done.append("late"))


def test_a_full_queue_refuses_by_number_and_by_bytes_but_for_what_must_be():
    worker, _ = make(most_jobs=3)
    go_on = threading.Event()
    worker.give(go_on.wait)
    while worker.waiting:
        time.sleep(0.001)
    assert worker.give(int, 900)
    assert not worker.give(int, 101)
    assert worker.give(int, 100)
    assert worker.give(int, 0)
    assert not worker.give(int, 0)
    assert worker.give(int, 10**6, must=True)
    assert worker.refused == 2
    assert not worker.drain(0.01)
    go_on.set()
    assert worker.drain(5)
    assert worker.close(5)


def test_an_error_is_told_and_the_next_job_is_done():
    worker, errors = make()
    done = []
    worker.give(lambda: 1 / 0)
    worker.give(lambda: done.append(1))
    assert worker.close(5)
    assert done == [1]
    assert [type(error) for error in errors] == [ZeroDivisionError]


def test_closing_does_not_wait_longer_than_it_was_told():
    worker, _ = make()
    go_on = threading.Event()
    worker.give(go_on.wait)
    worker.give(int)
    began = time.monotonic()
    assert not worker.close(0.05)
    assert time.monotonic() - began < 2
    go_on.set()


def test_it_ticks_also_while_jobs_come():
    ticks = []
    worker, _ = make(tick=lambda: ticks.append(1), tick_seconds=0.005)
    until = time.monotonic() + 5
    while len(ticks) < 3 and time.monotonic() < until:
        worker.give(lambda: time.sleep(0.001))
        time.sleep(0.001)
    assert len(ticks) >= 3
    assert worker.close(5)

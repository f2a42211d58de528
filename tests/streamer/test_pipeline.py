"""Stages side by side: in order, bounded, and ended by whatever ends any of them."""

from __future__ import annotations

import random
import threading
import time

import pytest

from streamer.channels import AbortedError, Channel
from streamer.pipeline import Stages, run_stages


def run(read=None, score=None, write=None, *, stop=None, give_up=None, **options):
    """Numbers through three stages; returns what was written."""
    written = []
    ended = threading.Event()

    def numbers():
        for number in range(60):
            if ended.is_set():
                return
            yield number, 1

    def passed(items):
        for number in items:
            yield number, 1

    stages = Stages(
        read or numbers,
        score or passed,
        write or written.extend,
        give_up or ended.set,
    )
    run_stages(stages, stop=stop or threading.Event(), **{"tick": 0.005, **options})
    return written


def jittery(items, seed):
    wait = random.Random(seed)
    for item in items:
        time.sleep(wait.choice([0, 0, 0.001, 0.004]))
        yield item


@pytest.mark.parametrize("most_waiting", [1, 3, 32])
def test_order_is_kept_however_unevenly_the_stages_work(most_waiting):
    written = []
    run(
        lambda: jittery(((number, 1) for number in range(60)), 1),
        lambda items: jittery(((number, 1) for number in items), 2),
        lambda results: written.extend(jittery(results, 3)),
        most_waiting=most_waiting,
    )
    assert written == list(range(60))


def test_the_stages_work_at_the_same_time():
    met = threading.Barrier(3, timeout=5)

    def read():
        yield 0, 1
        met.wait()  # while the first item is being scored and the second stage's first result is being written
        yield 1, 1

    def score(items):
        for number in items:
            yield number, 1
            if number == 0:
                met.wait()

    def write(results):
        for number in results:
            if number == 0:
                met.wait()

    run(read, score, write)


@pytest.mark.parametrize("where", ["read", "score", "write"])
@pytest.mark.parametrize("at", [0, 20])
def test_an_error_in_any_stage_ends_the_run_with_that_error(where, at):
    def failing(items):
        for number, item in enumerate(items):
            if number == at:
                raise OSError(where)
            yield item

    stages = {
        "read": lambda: failing((number, 1) for number in range(60)),
        "score": lambda items: failing((number, 1) for number in items),
        "write": lambda results: [None for _ in failing(results)],
    }
    with pytest.raises(OSError, match=where):
        run(**{where: stages[where]}, most_waiting=2)


def test_the_first_error_counts():
    def read():
        yield 1, 1
        time.sleep(0.05)
        raise OSError("second")

    def write(results):
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        run(read, None, write)


def test_a_failing_stage_is_not_kept_waiting_by_a_full_channel():
    def write(results):
        next(iter(results))
        time.sleep(0.05)  # the others fill their channels meanwhile
        raise OSError("disk full")

    began = time.monotonic()
    with pytest.raises(OSError, match="disk full"):
        run(None, None, write, most_waiting=1)
    assert time.monotonic() - began < 2


def test_reading_ends_in_its_own_thread_and_is_closed_there():
    closed_in = []

    def read():
        try:
            yield from ((number, 1) for number in range(1000))
        finally:
            closed_in.append(threading.current_thread().name)

    def write(results):
        next(iter(results))
        raise OSError(28, "disk full")

    with pytest.raises(OSError, match="disk full"):
        run(read, None, write, most_waiting=2)
    assert closed_in == ["avid-read"]


def test_what_has_passed_a_failing_stage_is_still_written():
    def score(items):
        for number in items:
            if number == 30:
                raise OSError("networks gone")
            yield number, 1

    written = []

    def write(results):
        time.sleep(0.05)  # much waits when the error comes
        written.extend(results)

    with pytest.raises(OSError, match="networks gone"):
        run(None, score, write)
    assert written == list(range(30))


def test_what_was_read_before_the_reader_failed_is_scored_and_written():
    def read():
        yield from ((number, 1) for number in range(40))
        raise OSError("disk gone")

    def score(items):
        yield from [(number, 1) for number in items]  # all in one batch, at the end

    written = []
    with pytest.raises(OSError, match="disk gone"):
        run(read, score, written.extend)
    assert written == list(range(40))


def test_a_stop_ends_the_reading_and_everything_read_is_written():
    stop = threading.Event()
    given = []

    def read():
        for number in range(100_000):
            given.append(number)
            yield number, 1
            if number == 10:
                stop.set()
            time.sleep(0.001)

    written = run(read, stop=stop)
    assert 10 < len(written) < 100_000
    assert written == given


def test_a_reader_that_waits_for_its_source_is_made_to_end():
    stop = threading.Event()
    gone = threading.Event()

    def read():
        yield 1, 1
        stop.set()
        gone.wait(10)

    began = time.monotonic()
    assert run(read, stop=stop, give_up=gone.set, patience=0.05) == [1]
    assert time.monotonic() - began < 3


def test_a_second_signal_ends_everything_soon():
    def look():
        raise KeyboardInterrupt

    def read():
        for number in range(100_000):
            yield number, 1
            time.sleep(0.001)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(read, look=look)
    assert time.monotonic() - began < 3


def test_nothing_read_is_nothing_written():
    assert run(lambda: (item for item in ())) == []


def test_a_channel_is_bounded_by_number():
    channel: Channel[int] = Channel(3, 1000)
    putting = _putting(channel, [1] * 10)
    time.sleep(0.05)
    assert putting.done == 3
    taken = iter(channel)
    next(taken)
    time.sleep(0.05)
    assert putting.done == 4
    channel.abort()
    putting.thread.join(2)


def test_a_channel_is_bounded_by_bytes_and_lets_a_single_large_item_through():
    channel: Channel[int] = Channel(100, 10)
    putting = _putting(channel, [25, 4, 4, 4])
    time.sleep(0.05)
    assert putting.done == 1
    taken = iter(channel)
    next(taken)
    time.sleep(0.05)
    assert putting.done == 3
    channel.abort()
    putting.thread.join(2)


def test_an_aborted_channel_wakes_its_taker():
    channel: Channel[int] = Channel(1, 1)
    threading.Timer(0.05, channel.abort).start()
    with pytest.raises(AbortedError):
        next(iter(channel))
    with pytest.raises(AbortedError):
        channel.put(1)


def test_what_waits_in_an_ended_channel_is_still_taken():
    channel: Channel[int] = Channel(4, 100)
    for number in range(3):
        channel.put(number)
    channel.end()
    assert not channel.empty
    assert list(channel) == [0, 1, 2]
    assert channel.empty


class _putting:  # noqa: N801 - reads as a verb
    def __init__(self, channel, sizes):
        self.done = 0
        self.thread = threading.Thread(target=self._put, args=(channel, sizes), daemon=True)
        self.thread.start()

    def _put(self, channel, sizes):
        for number, size in enumerate(sizes):
            try:
                channel.put(number, size)
            except AbortedError:
                return
            self.done += 1

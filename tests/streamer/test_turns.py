"""Turns: no more at work than places, first come first served, and a place is never lost."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.turns import Turns, step_back


@settings(max_examples=20, deadline=None)
@given(places=st.integers(1, 3), threads=st.integers(1, 6), pieces=st.integers(1, 8))
def test_never_more_at_work_than_places_and_everybody_gets_his_turns(places: int, threads: int, pieces: int) -> None:
    turns, lock = Turns(places), threading.Lock()
    at_work, most, done = 0, 0, [0] * threads

    def work(number: int) -> None:
        nonlocal at_work, most
        for _ in range(pieces):
            with turns:
                with lock:
                    at_work += 1
                    most = max(most, at_work)
                time.sleep(0)
                with lock:
                    at_work -= 1
                    done[number] += 1

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(10)
    assert done == [pieces] * threads
    assert most <= places


def test_the_place_goes_to_who_waited_longest() -> None:
    turns, order = Turns(1), []
    turns.__enter__()
    waiting = []
    for number in range(4):
        before = len(turns._waiting)

        def wait(number: int = number) -> None:
            with turns:
                order.append(number)

        waiting.append(threading.Thread(target=wait))
        waiting[-1].start()
        until = time.monotonic() + 5
        while len(turns._waiting) == before and time.monotonic() < until:
            time.sleep(0.001)
    turns.__exit__()
    for thread in waiting:
        thread.join(5)
    assert order == [0, 1, 2, 3]


def test_work_that_fails_gives_its_place_back() -> None:
    turns = Turns(1)
    with pytest.raises(ZeroDivisionError), turns:
        raise ZeroDivisionError
    entered = threading.Event()

    def enter() -> None:
        with turns:
            entered.set()

    threading.Thread(target=enter, daemon=True).start()
    assert entered.wait(5)


def test_somebody_must_be_able_to_work() -> None:
    with pytest.raises(ValueError, match="work"):
        Turns(0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows priorities of single threads")
def test_a_thread_that_steps_back_takes_only_those_it_starts_along() -> None:
    mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    seen: list[int] = []

    def child() -> None:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    def parent() -> None:
        step_back(mine + 3)
        child()
        thread = threading.Thread(target=child)
        thread.start()
        thread.join(5)

    thread = threading.Thread(target=parent)
    thread.start()
    thread.join(5)
    assert seen == [mine + 3, mine + 3]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine

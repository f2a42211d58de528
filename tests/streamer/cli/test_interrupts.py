"""Signals are sent for real: to this process, and to one of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from streamer.interrupts import STOPPING, stop_on_signals

ROOT = Path(__file__).parents[3]
FOREVER = """
import sys, time
from streamer.interrupts import stop_on_signals
with stop_on_signals(lambda text: print(text, flush=True), grace_seconds=0.5) as stop:
    try:
        print("ready", flush=True)
        while True:
            time.sleep(0.01)
            {inside}
    finally:
        {closing}
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_says_so_once(number):
    said = []
    with stop_on_signals(said.append) as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(5)
        deadline = time.monotonic() + 5
        while not said and time.monotonic() < deadline:
            time.sleep(0.01)
    assert said == [STOPPING]


def test_the_second_signal_interrupts_at_once():
    def press_twice():
        with stop_on_signals(lambda _: None) as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.wait(5)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        press_twice()


def test_the_handlers_of_before_are_put_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stop_on_signals(lambda _: None):
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_beside_the_main_thread_nothing_is_installed():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def elsewhere():
        with stop_on_signals(lambda _: None) as stop:
            seen.append((stop.is_set(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


def _run(inside: str, closing: str, signals: int) -> tuple[int, float]:
    code = FOREVER.format(inside=inside, closing=closing)
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline().strip() == STOPPING
        if signals > 1:
            process.send_signal(signal.SIGINT)
        return process.wait(30), time.monotonic() - began


def test_a_process_that_is_asked_once_ends_by_itself():
    code, _ = _run("stop.is_set() and sys.exit(130)", "pass", signals=1)
    assert code == 130


def test_a_process_that_cannot_close_its_files_ends_all_the_same_when_asked_twice():
    code, seconds = _run("pass", "time.sleep(60)", signals=2)
    assert code == 130
    assert seconds < 10


def test_the_command_line_hands_the_request_to_the_work(call, watching):
    from streamer.requests import WatchOutcome

    def until_asked(request, console):
        os.kill(os.getpid(), signal.SIGINT)
        return WatchOutcome((), interrupted=console.stop.wait(5))

    watching.answer = until_asked
    said = call("gate.mp4")
    assert said.code == 130
    assert STOPPING in said.refusal

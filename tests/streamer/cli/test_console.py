from __future__ import annotations

import io
import threading
import time

import pytest

from preprocess.errors import InputError
from streamer.console import Console
from streamer.requests import SourceOutcome

SUMMARY = {"name": "gate", "events": {"alarms": 0, "in_learning": 0}}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _an_ordinary_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def test_a_terminal_sees_what_goes_on_how_fast_and_how_long_still():
    err = Terminal()
    console = Console(out=io.StringIO(), err=err)
    with console.phase("watching gate.mp4", total=100) as phase:
        for _ in range(50):
            phase.advance()
            time.sleep(0.002)
        phase.note("2 alarms")
        time.sleep(0.8)
    shown = err.getvalue()
    for words in ["watching gate.mp4", "50 %", "frames/s", " left", "2 alarms"]:
        assert words in shown


def test_a_pipe_sees_nothing_until_the_summary():
    out, err = io.StringIO(), io.StringIO()
    console = Console(out=out, err=err)
    with console.phase("learning", total=45, unit="seconds") as phase:
        phase.at(20)
        phase.at(30, total=60)
        phase.advance(5)
        phase.note("loss 0.3")
    assert (out.getvalue(), err.getvalue()) == ("", "")
    console.finished(SourceOutcome("gate.mp4", summary=SUMMARY))
    assert out.getvalue().startswith("gate\n")
    assert "\x1b" not in out.getvalue()
    assert err.getvalue() == ""


def test_quiet_shows_no_bar_and_no_warning_on_a_terminal_either():
    err = Terminal()
    console = Console(quiet=True, out=io.StringIO(), err=err)
    with console.phase("watching", total=1):
        console.warn("the sound is left out")
        console.detail("spacing 0.12 s")
    assert err.getvalue() == ""
    console.error("gate.mp4: not a video;\ncheck it")
    assert "avid-watch: gate.mp4: not a video; check it" in err.getvalue()


def test_details_are_for_those_who_ask():
    said = {}
    for verbose in (False, True):
        err = io.StringIO()
        Console(verbose=verbose, out=io.StringIO(), err=err).detail("spacing 0.12 s")
        said[verbose] = err.getvalue()
    assert said == {False: "", True: "spacing 0.12 s\n"}


def test_a_long_line_stays_one_line_and_brackets_stay_as_they_are():
    err = io.StringIO()
    Console(out=io.StringIO(), err=err).warn("[bold]" + "camera " * 60)
    assert err.getvalue().count("\n") == 1
    assert "[bold]camera" in err.getvalue()


def test_a_source_is_reported_once_however_often_it_is_handed_in():
    out, err = io.StringIO(), io.StringIO()
    console = Console(out=out, err=err)
    failed = SourceOutcome("a.mp4", error=InputError("a.mp4: not a video; check it"))
    done = SourceOutcome("gate.mp4", summary=SUMMARY)
    for outcome in (failed, done, failed, done):
        console.finished(outcome)
    assert out.getvalue().count("gate\n") == 1
    assert err.getvalue().count("not a video") == 1


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch):
    out = Terminal()
    Console(out=out, err=io.StringIO()).finished(SourceOutcome("gate.mp4", summary=SUMMARY))
    assert "\x1b[32m" in out.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    Console(out=plain, err=io.StringIO()).finished(SourceOutcome("gate.mp4", summary=SUMMARY))
    assert "\x1b[32m" not in plain.getvalue()


def advance_often(phase):
    for _ in range(100):
        phase.advance()


def test_phases_may_be_nested_and_driven_from_many_threads():
    console = Console(out=io.StringIO(), err=Terminal())
    with console.phase("outer", total=400) as outer, console.phase("inner", total=None) as inner:
        threads = [threading.Thread(target=advance_often, args=(phase,)) for phase in [outer, inner] * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        console.finished(SourceOutcome("gate.mp4", summary=SUMMARY))
    with console.phase("later") as phase:
        phase.advance()


def test_a_phase_that_fails_leaves_the_terminal_as_it_was():
    err = Terminal()
    console = Console(out=io.StringIO(), err=err)
    with pytest.raises(InputError), console.phase("watching", total=10):
        raise InputError("gate.mp4: gone; plug it in")
    hidden, shown = (err.getvalue().rfind(code) for code in ("\x1b[?25l", "\x1b[?25h"))
    assert shown > hidden >= 0

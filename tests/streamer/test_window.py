"""The window of ``--show``, without a screen."""

from __future__ import annotations

import subprocess
import threading

import cv2
import numpy as np
import pytest

from preprocess.errors import UsageError
from streamer import window
from streamer.requests import WatchRequest
from streamer.watch import watch


@pytest.fixture
def screen(monkeypatch):
    """Notes what OpenCV is asked to show; ``key`` is what the user presses next."""

    class Screen:
        shown: list[np.ndarray] = []  # noqa: RUF012 - one per test
        closed = 0
        key = -1

    Screen.shown = []
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "resizeWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda _, picture: Screen.shown.append(picture))
    monkeypatch.setattr(cv2, "waitKey", lambda _: Screen.key)
    monkeypatch.setattr(cv2, "destroyWindow", lambda _: setattr(Screen, "closed", Screen.closed + 1))
    return Screen


def test_the_latest_picture_is_shown_and_only_once(screen):
    with window.Window("gate", threading.Event()) as shown:
        shown.look()
        for level in (1, 2, 3):
            shown.give(np.full((4, 6, 3), level, np.uint8))
        shown.look()
        shown.look()
    assert [picture[0, 0, 0] for picture in screen.shown] == [3]
    assert screen.closed == 1


@pytest.mark.parametrize("key", [ord("q"), 27])
def test_q_and_escape_stop_the_run(screen, key):
    stop = threading.Event()
    with window.Window("gate", stop) as shown:
        shown.give(np.zeros((4, 6, 3), np.uint8))
        screen.key = key
        shown.look()
    assert stop.is_set()


def test_a_window_never_opened_is_not_closed(screen):
    with window.Window("gate", threading.Event()):
        pass
    assert screen.closed == 0


def test_a_run_shows_its_annotated_pictures(screen, clip, networks, settings, console, monkeypatch):
    monkeypatch.setattr("streamer.watch.refuse_without_display", lambda: None)
    monkeypatch.setattr("streamer.source_run.TICK", 0.001)
    request = WatchRequest((str(clip(60)),), settings(show=True, video=False))
    (source,) = watch(request, console, networks=networks).sources
    assert source.error is None
    assert screen.shown
    assert {picture.shape for picture in screen.shown} == {(96, 160, 3)}
    assert screen.closed == 1


def test_a_display_that_no_window_opens_on_is_refused_and_the_program_lives_on(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(UsageError, match="no window can be opened"):
        window.refuse_without_display()


def test_a_display_that_does_not_answer_is_refused(monkeypatch):
    def wait(*args, **options):
        raise subprocess.TimeoutExpired("probe", 1)

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(subprocess, "run", wait)
    with pytest.raises(UsageError, match="no window can be opened"):
        window.refuse_without_display()

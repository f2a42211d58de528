"""A live source: learned from its first pictures, then watched in the present."""

from __future__ import annotations

import threading
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from streamer.frames import Frame, Pace, SourceCounts, SourceInfo
from streamer.live_footage import LiveFootage
from streamer.requests import WatchRequest
from streamer.sinks.score_table import read_scores
from streamer.watch import watch

RATE = 100
SIZE = (160, 96)


class Picture:
    def __init__(self, luma):
        self._luma = luma

    def bgr(self):
        return cv2.cvtColor(self._luma, cv2.COLOR_GRAY2BGR)


class Camera:
    """Shows a hundred pictures a second until it is closed; whoever is late misses some."""

    pace = Pace.LATEST

    def __init__(self, name, *, silent_after=None):
        self.info = SourceInfo(
            "device:0", name, *SIZE, Fraction(RATE), None, None, None, "raw", "gray", 0, has_audio=False
        )
        self.counts = SourceCounts()
        self.readings = 0
        self._closed = threading.Event()
        self._silent_after = silent_after

    def frames(self):
        self.readings += 1
        number = 0
        while not self._closed.wait(1 / RATE):
            if self._silent_after is not None and number >= self._silent_after:
                self._closed.wait()
                return
            luma = np.full(SIZE[::-1], 90, np.uint8)
            luma[40:50, number % 100 : number % 100 + 10] = 160
            self.counts.decoded += 1
            yield Frame(self.info.name, number, Fraction(number, RATE), None, 0, luma, Picture(luma))
            number += 1

    def close(self):
        self._closed.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture
def live(monkeypatch, console, networks, settings):
    def run(camera, **values):
        monkeypatch.setattr("streamer.watch.open_source", lambda uri, *, name, frame_rate: camera)
        request = WatchRequest(("device:0",), settings(**values))
        return watch(request, console, networks=networks)

    return run


def test_a_camera_is_learned_from_once_and_watched_from_there_on(live, console, networks, after):
    camera = Camera("yard")
    after(1.5, console.stop.set)
    (source,) = live(camera, learn=0.4).sources
    assert source.error is None
    assert camera.readings == 1
    assert [windows for _, windows in networks.learned] == [36]
    rows = list(read_scores(source.folder / "scores.csv"))
    assert rows[0].index == 41
    assert not any(row.learning for row in rows)
    counts = source.summary["counts"]
    assert counts["unscored"]["learning"] == 41
    assert counts["decoded"] == len(rows) + 41
    assert source.summary["status"] == "interrupted"


def test_a_silent_camera_does_not_keep_the_run_from_ending(live, console, after):
    after(1.2, console.stop.set)
    (source,) = live(Camera("yard", silent_after=60), learn=0.3).sources
    assert source.error is None
    assert source.summary["counts"]["scored"] > 0


def test_live_frames_do_not_wait_for_a_whole_batch(live, console, networks, after):
    networks.batch_size = 10_000
    after(1.2, console.stop.set)
    live(Camera("yard"), learn=0.3)
    assert len(networks.models[0].scorers[0].batches) > 10


def frames(count, *, width=160, height=96, corrupt=()):
    for number in range(count):
        luma = np.full((height, width), number, np.uint8)
        yield Frame("yard", number, Fraction(number, 10), None, 0, luma, None, corrupt=number in corrupt)


def test_footage_is_gathered_for_the_time_asked_and_the_rest_stays():
    footage, source = LiveFootage("yard"), frames(50, corrupt=(3,))
    footage.gather(source, Fraction(2), stop=lambda: False, told=lambda _: None)
    assert footage.frames == 21
    assert next(source).index == 21
    for _ in range(2):
        assert [int(picture.luma[0, 0]) for picture in footage.pictures()] == [n for n in range(21) if n != 3]


def test_memory_for_footage_is_bounded():
    footage = LiveFootage("yard")
    footage.gather(frames(50), Fraction(100), stop=lambda: False, told=lambda _: None, most_bytes=10 * 160 * 96)
    assert footage.full
    assert footage.frames == 10


def test_large_pictures_are_kept_shrunk():
    footage = LiveFootage("yard")
    footage.gather(frames(2, width=1920, height=1080), Fraction(1), stop=lambda: False, told=lambda _: None)
    assert {picture.luma.shape for picture in footage.pictures()} == {(360, 640)}


def test_gathering_ends_when_the_user_stops():
    footage = LiveFootage("yard")
    footage.gather(frames(50), Fraction(100), stop=lambda: footage.frames == 5, told=lambda _: None)
    assert footage.frames == 5


def test_the_time_a_camera_was_away_is_no_footage():
    footage = LiveFootage("yard")
    shown = list(frames(20))
    late = replace(shown[-1], index=20, pts=shown[-1].pts + 36_000, segment=1)
    assert not any(footage.take(frame, Fraction(5)) for frame in (*shown, late))
    assert footage.seconds == pytest.approx(1.9 + 1.0)

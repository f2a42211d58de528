"""Trying cameras: all side by side, each with its own time-out, and every outcome in a few words."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from types import SimpleNamespace

import pytest

from preprocess.errors import InputError, UsageError
from streamer.cli.check_text import render_check
from streamer.live.camera_source import Cause
from streamer.live.check import CameraCheck, check_cameras
from streamer.live.config import LiveConfig
from streamer.live.schedule import WEEKDAYS

INFO = SimpleNamespace(width=640, height=360, codec="h264", frame_rate=None)


class Source:
    """A camera that does what its address says."""

    def __init__(self, camera, listener):
        self.kind = camera.address.partition("://")[2].partition("/")[0]
        self.listener = listener
        self.info = None
        self.closed = threading.Event()
        self.released = threading.Event()
        self.closes = 0

    def frames(self):
        if self.kind == "denied":
            self.listener.lost(Cause.AUTHENTICATION, "401 Unauthorized", None)
            return
        if self.kind == "unreadable":
            raise InputError("x: cannot be read; check it")
        if self.kind == "bug":
            raise ZeroDivisionError
        if self.kind == "hangs":
            self.closed.wait(60)
            return
        if self.kind == "deaf":
            self.released.wait(60)
            return
        self.info = INFO
        number = 0
        while not self.closed.wait(0.002):
            yield SimpleNamespace(pts=Fraction(number, 25), corrupt=self.kind == "damaged" and number % 4 == 0)
            number += 1

    def close(self):
        self.closes += 1
        self.closed.set()


@pytest.fixture
def check():
    opened = []

    def opener(camera, listener, timeout):
        if "refused" in camera.uri:
            raise UsageError("no such address; give another")
        opened.append(Source(camera, listener))
        return opened[-1]

    def run(*cameras, stop=None, timeout=0.3, measure=0.1):
        config = LiveConfig.model_validate({"cameras": list(cameras)})
        stop = stop if stop is not None else threading.Event()
        return check_cameras(config.cameras, timeout=timeout, measure=measure, stop=stop, opener=opener)

    run.opened = opened
    return run


def test_what_came_is_told_by_size_rate_codec_and_delay(check):
    (one,) = check("rtsp://fine/1")
    assert (one.name, one.ok, one.verdict) == ("fine_1", True, "fine")
    assert (one.width, one.height, one.codec, one.frame_rate) == (640, 360, "h264", 25)
    assert one.delay is not None
    assert 0 <= one.delay < 0.3
    assert one.pictures > 2
    assert check.opened[0].closes >= 1


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        ("denied", "authentication: 401 Unauthorized"),
        ("unreadable", "x: cannot be read; check it"),
        ("refused", "no such address; give another"),
        ("bug", "ZeroDivisionError, see avid-watch info"),
        ("hangs", "time-out: no picture within 0.3 s"),
    ],
)
def test_what_is_wrong_is_told_in_a_few_words(check, kind, verdict):
    (one,) = check(f"rtsp://viewer:hunter2@{kind}/1")
    assert (one.ok, one.verdict, one.width) == (False, verdict, None)
    assert "hunter2" not in repr(one)


def test_cameras_are_tried_side_by_side_and_told_in_their_order(check):
    began = time.monotonic()
    checks = check(*(f"rtsp://hangs/{number}" for number in range(8)), "rtsp://fine/1", timeout=0.4)
    assert time.monotonic() - began < 2
    assert [one.ok for one in checks] == [False] * 8 + [True]
    assert [one.name for one in checks[:2]] == ["hangs_0", "hangs_1"]


def test_many_damaged_pictures_are_told(check):
    (one,) = check("rtsp://damaged/1")
    assert one.ok
    assert one.verdict == f"fine, but {one.corrupt} of {one.pictures} pictures damaged"


def test_a_camera_that_is_not_enabled_is_named_and_not_tried(check):
    off, fine = check({"uri": "rtsp://hangs/1", "enabled": False}, "rtsp://fine/1")
    assert (off.verdict, off.ok, fine.ok) == ("not enabled", False, True)
    assert len(check.opened) == 1


def test_a_model_that_is_not_there_is_told_though_the_picture_came(check, tmp_path):
    (one,) = check({"uri": "rtsp://fine/1", "model": str(tmp_path / "none.avid")})
    assert not one.ok
    assert "none.avid: no such model file" in one.verdict
    assert one.width == 640


def test_a_request_to_stop_ends_it_at_once(check):
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    checks = check("rtsp://hangs/1", stop=stop, timeout=30)
    assert time.monotonic() - began < 2
    assert not checks[0].ok


def test_a_camera_that_cannot_even_be_closed_is_left_behind(check, monkeypatch):
    monkeypatch.setattr("streamer.live.check._SECONDS_TO_CLOSE", 0.1)
    began = time.monotonic()
    (one,) = check("rtsp://deaf/1", timeout=0.1)
    assert time.monotonic() - began < 2
    assert one.verdict == "time-out: no picture within 0.1 s"
    check.opened[0].released.set()


def test_the_table_has_a_line_for_each_camera_and_counts_the_fine_ones():
    fine = CameraCheck("gate", "rtsp://gate", ok=True, verdict="fine", width=640, height=360, codec="h264", delay=0.25)
    bad = CameraCheck("a-long-name", "rtsp://b", ok=False, verdict="time-out: no picture within 15 s")
    off = replace(bad, name="off", verdict="not enabled")
    lines = render_check([replace(fine, frame_rate=12.5), bad, off]).plain.splitlines()
    assert lines[0].split() == ["camera", "picture", "rate", "codec", "delay", "verdict"]
    assert lines[1].split() == ["gate", "640x360", "12.5", "fps", "h264", "0.2", "s", "fine"]
    assert lines[2].startswith("a-long-name  -")
    assert lines[2].endswith("time-out: no picture within 15 s")
    assert len({line.index(word) for line, word in zip(lines, ("verdict", "fine", "time-out"), strict=False)}) == 1
    assert lines[-1] == "1 of 2 cameras are fine"


def test_where_a_camera_has_a_schedule_the_table_tells_until_or_from_when_it_is_armed(check):
    hours = {"time_zone": "Asia/Tokyo"}
    checks = check(
        {"uri": "rtsp://fine/1", "name": "plain"},
        {"uri": "rtsp://fine/2", "name": "off", "schedule": {"daily": "never"}, **hours},
        {"uri": "rtsp://fine/3", "name": "days", "schedule": {"daily": "00:00-12:00"}, **hours},
        {"uri": "rtsp://fine/4", "name": "nights", "schedule": {"daily": "12:00-00:00"}, **hours},
    )
    plain, off, days, nights = checks
    assert (plain.armed, plain.armed_changes) == (True, None)
    assert (off.armed, off.armed_changes) == (False, None)
    assert days.armed is not nights.armed
    assert days.armed_changes == nights.armed_changes
    assert days.armed_changes[10:] in ("T12:00+09:00", "T00:00+09:00")
    lines = render_check(checks).plain.splitlines()
    day = WEEKDAYS[datetime.fromisoformat(days.armed_changes).weekday()].capitalize()
    clock = days.armed_changes[11:16]
    words = {True: "until", False: "from"}
    assert lines[0].split()[-2:] == ["armed", "verdict"]
    assert [line.split()[7] for line in lines[1:3]] == ["always", "never"]
    assert f"{words[days.armed]} {day} {clock}" in lines[3]
    assert f"{words[nights.armed]} {day} {clock}" in lines[4]


def test_a_recording_played_as_if_live_is_tried_for_real():
    from pathlib import Path

    clip = Path(__file__).parents[3] / "samples" / "walkway.mp4"
    config = LiveConfig.model_validate({"cameras": [{"uri": str(clip), "realtime": True}]})
    (one,) = check_cameras(config.cameras, timeout=20, measure=0.5, stop=threading.Event())
    assert one.ok
    assert (one.name, one.codec) == ("walkway", "h264")
    assert one.frame_rate is not None

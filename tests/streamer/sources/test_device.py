"""Camera devices: read through a recording that stands in for the driver."""

from __future__ import annotations

import errno
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.errors import InputError
from streamer.frames import Pace
from streamer.sources import open_source
from streamer.sources.backlog import Backlog
from streamer.sources.device import Camera, device_path

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from av.container import InputContainer

    from streamer.frames import Frame


@pytest.fixture
def camera(write_clip: Callable[..., Path], square: list[np.ndarray]) -> Camera:
    clip = write_clip("camera.mkv", square, codec="mjpeg", pixel_format="yuvj420p")
    return Camera(Path("/dev/video7"), uri="device:7", name="video7", opener=lambda *_: av.open(str(clip)))


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("device:0", "/dev/video0"),
        ("device:/dev/video3", "/dev/video3"),
        ("/dev/video1", "/dev/video1"),
        ("/dev/v4l/by-id/usb-cam", "/dev/v4l/by-id/usb-cam"),
        ("video0.mp4", None),
        ("device:", None),
    ],
)
def test_device_addresses_are_told_from_files(uri: str, path: str | None) -> None:
    assert device_path(uri) == (None if path is None else Path(path))


def test_a_camera_that_is_not_there_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"device:97: (no such camera device|camera devices are read)") as refusal:
        open_source("device:97")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "group"),
        (OSError(errno.EBUSY, "Device or resource busy"), "another program"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    ],
)
def test_a_camera_that_does_not_open_says_why(error: OSError, says: str) -> None:
    def opener(*_: object) -> InputContainer:
        raise error

    with pytest.raises(InputError, match=says):
        Camera(Path("/dev/video0"), uri="device:0", name="video0", opener=opener)


def test_a_camera_delivers_its_pictures_with_the_moment_of_arrival(camera: Camera) -> None:
    before = datetime.now(UTC)
    with camera:
        assert camera.pace is Pace.LATEST
        assert (camera.info.width, camera.info.height, camera.info.frames) == (96, 64, None)
        frame = next(camera.frames())
        assert frame.luma.shape == (64, 96)
        assert frame.source == "video7"
        assert frame.wall_clock is not None
        assert abs((frame.wall_clock - before).total_seconds()) < 60


def test_a_camera_that_goes_away_ends_with_an_error_after_its_last_picture(camera: Camera) -> None:
    seen: list[Frame] = []
    with camera, pytest.raises(InputError, match="stopped delivering"):
        seen.extend(camera.frames())
    assert len(seen) + camera.counts.dropped == 30


def test_pictures_not_taken_in_time_are_dropped_counted_and_part_the_segments(camera: Camera) -> None:
    with camera:
        reading = camera.frames()
        deadline = time.monotonic() + 10
        while camera._backlog._dropped == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        frames: list[Frame] = []
        with pytest.raises(InputError):
            frames.extend(reading)
        assert camera.counts.dropped >= 8
        assert camera.counts.dropped + len(frames) == 30


def test_a_camera_is_read_once(camera: Camera) -> None:
    with camera:
        camera.frames()
        with pytest.raises(ValueError, match="once"):
            camera.frames()


def test_closing_a_camera_wakes_whoever_waits_for_a_picture(camera: Camera) -> None:
    backlog: Backlog[int] = Backlog(4)
    taken: list[tuple[int | None, int]] = []
    waiting = threading.Thread(target=lambda: taken.append(backlog.take()))
    waiting.start()
    backlog.end()
    waiting.join(10)
    assert taken == [(None, 0)]
    camera.close()
    camera.close()


@given(st.integers(1, 20), st.lists(st.booleans(), max_size=200))
def test_a_backlog_is_bounded_in_order_and_accounts_for_every_item(most: int, puts: list[bool]) -> None:
    backlog: Backlog[int] = Backlog(most)
    put, dropped = 0, 0
    taken: list[int] = []
    for is_put in puts:
        if is_put:
            backlog.put(put)
            put += 1
        elif len(taken) + dropped < put and backlog._items:
            item, lost = backlog.take()
            assert item is not None
            taken.append(item)
            dropped += lost
        assert len(backlog._items) <= most
    backlog.end()
    while True:
        item, lost = backlog.take()
        if item is None:
            break
        taken.append(item)
        dropped += lost
    assert taken == sorted(taken)
    assert len(taken) + dropped == put

"""How each kind of live address is opened."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from preprocess.errors import UsageError
from streamer.sources.live import is_live
from streamer.sources.stream_options import CameraOptions, opening_of


def test_rtsp_is_told_its_transport_and_its_time_limit_in_microseconds() -> None:
    opening = opening_of("rtsp://me:s3cret@gate/stream", CameraOptions(transport="udp", stall_seconds=1.5))
    assert opening.options["rtsp_transport"] == "udp"
    assert opening.options["timeout"] == "1500000"
    assert "stimeout" not in opening.options
    assert opening.may_lose
    assert "s3cret" not in repr(opening)


def test_only_rtsp_over_udp_loses_packets_in_silence() -> None:
    udp = CameraOptions(transport="udp")
    addresses = ("rtsp://h/x", "rtsps://h/x", "http://h/x", "rtmp://h/x", "device:0", "clip.mp4")
    assert [opening_of(uri, udp).may_lose for uri in addresses] == [True, False, False, False, False, False]
    assert not opening_of("rtsp://h/x", CameraOptions()).may_lose


def test_rtmp_is_not_made_to_wait_for_a_sender() -> None:
    options = opening_of("rtmp://h/live/x", CameraOptions(stall_seconds=2)).options
    assert "timeout" not in options
    assert options["rw_timeout"] == "2000000"


@pytest.mark.parametrize("uri", ["http://h/live.m3u8", "https://h/a/LIVE.M3U8?token=x"])
def test_hls_is_paced_and_has_a_time_limit_of_its_own(uri: str) -> None:
    opening = opening_of(uri, CameraOptions(stall_seconds=2))
    assert opening.paced
    assert opening.timeout == (6, 2)


def test_recordings_end_and_cameras_do_not() -> None:
    recording = opening_of("two words.mp4", CameraOptions())
    assert (recording.target, recording.paced, recording.endless) == ("file:two words.mp4", True, False)
    assert opening_of("http://h/video.mjpg", CameraOptions()).endless


def test_a_camera_device_is_asked_for_the_rate() -> None:
    opening = opening_of("device:2", CameraOptions(), frame_rate=Fraction(15, 2))
    assert opening.device == Path("/dev/video2")
    assert opening.options == {"framerate": "15/2"}


def test_an_address_nothing_live_comes_from_is_refused_without_its_password() -> None:
    with pytest.raises(UsageError, match="rtsp://") as refusal:
        opening_of("ftp://me:s3cret@host/x", CameraOptions())
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    "options",
    [
        {"stall_seconds": 0},
        {"backlog_seconds": -1},
        {"least_wait": 5, "most_wait": 2},
        {"max_reconnects": -1},
        {"transport": "sctp"},
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        CameraOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uri", "live"),
    [
        ("rtsp://h/x", True),
        ("RTSPS://h/x", True),
        ("http://h/x.m3u8", True),
        ("rtmp://h/x", True),
        ("device:0", True),
        ("/dev/video0", True),
        ("clip.mp4", False),
        ("file:///clip.mp4", False),
        ("ftp://h/x", False),
    ],
)
def test_live_addresses_are_told_from_recordings(uri: str, live: bool) -> None:
    assert is_live(uri) is live

"""What live sources are called, and that no password is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.sources import source_name
from streamer.sources.naming import LONGEST_NAME, host_path, is_misspelled_address, without_password

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("rtsp://user:pw@gate.local:554/stream", "gate.local_554_stream"),
        ("rtsp://gate", "gate"),
        ("rtsp://h:554/cam/realmonitor?channel=1&subtype=0", "h_554_cam_realmonitor_channel=1_subtype=0"),
        ("http://h/video.cgi?user=admin&password=s3cret&channel=2", "h_video.cgi_channel=2"),
        ("rtsp://h/user=admin_password=s3_cret_channel=1_stream=0.sdp", "h_channel=1_stream=0.sdp"),
        ("rtsp://u:p@[fe80::1]:554/s", "fe80_1_554_s"),
        ("https://h/a.m3u8?access_token=s3cret&x-api-key=2", "h_a.m3u8"),
    ],
)
def test_a_network_source_is_named_by_its_host_and_path(uri: str, name: str) -> None:
    assert source_name(uri) == name


def test_long_names_are_cut_and_stay_apart() -> None:
    names = {host_path(f"rtsp://h/{'a' * 100}{number}") for number in range(3)}
    assert len(names) == 3
    assert max(map(len, names)) <= LONGEST_NAME


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://a:p@ss@host/x", "rtsp://host/x"),
        ("rtsp://a:p/ss@host/x@y", "rtsp://host/x@y"),
        ("rtsp://host:554/x@y", "rtsp://host:554/x@y"),
        ("http://h/v?user=a&pwd=s3cret&channel=2", "http://h/v?user=a&pwd=***&channel=2"),
        ("http://h/v?PASSWORD=s3cret#top", "http://h/v?PASSWORD=***#top"),
        ("cannot open 'rtsp://u:p@h/x?token=s3cret': refused", "cannot open 'rtsp://h/x?token=***': refused"),
        ("rtsp://h/user=admin_password=s3_cret_channel=1", "rtsp://h/user=admin_password=***_channel=1"),
        ("rtsp://h/keyhole/monkey=1", "rtsp://h/keyhole/monkey=1"),
        ("rtsp:/u:pw@host/x", "***@host/x"),
        ("rtsp//u:pw@host/x", "***@host/x"),
        ("rtsp:u:p@w@host", "***@host"),
        ("u:p/w@host/x?then=http://h/x@y", "***@host/x?then=http://h/x@y"),
        ("cannot open 'rtsp:/u:pw@host/x': refused", "cannot open '***@host/x': refused"),
        ("rtsp:///u:pw@host/x", "rtsp://host/x"),
        ("rtsp:///u:p/w@host/x", "rtsp://host/x"),
        ("file:///a:b/c@d.mp4", "file:///a:b/c@d.mp4"),
        ("[rtsp @ 0x55d]: method 12:30 failed, ask a@b", "[rtsp @ 0x55d]: method 12:30 failed, ask a@b"),
    ],
)
def test_passwords_are_taken_out_wherever_they_stand(text: str, shown: str) -> None:
    assert without_password(text) == shown


def test_an_address_that_begins_like_none_is_told_from_paths_and_devices(tmp_path: Path) -> None:
    recording = tmp_path / "12:30 gate@home.mp4"
    assert is_misspelled_address(str(recording))
    recording.touch()
    for fine in (recording, "gate@home.mp4", "gate@12:30.mp4", "rtsp://u:p@h", "device:cam@usb", "/dev/video0"):
        assert not is_misspelled_address(str(fine))
    assert without_password(str(recording)) == str(recording)
    for slip in ("rtsp:/u:p@h/x", "rtsp//u:p@h/x", "u:p@h", " rtsp://u:p@h", "u:p@h/" + "x" * 5000, "u:\0@h"):
        assert is_misspelled_address(slip)


_WORD = st.text("abcdefgh0123456789%!$", min_size=6, max_size=12)


@given(_WORD, _WORD, st.sampled_from(["password", "pwd", "token", "auth", "api_key", "Passwd"]))
def test_no_password_is_left_in_an_address_or_a_name(user: str, secret: str, key: str) -> None:
    for uri in (f"rtsp://{user}:{secret}Z@gate.net:554/s", f"http://gate.net/s?a=1&{key}={secret}Z&b=2"):
        for shown in (without_password(uri), host_path(uri)):
            assert f"{secret}Z" not in shown
            assert "gate.net" in shown

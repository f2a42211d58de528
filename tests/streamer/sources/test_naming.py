"""What live sources are called, and that no password is in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.sources import source_name
from streamer.sources.naming import LONGEST_NAME, host_path, without_password


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
    ],
)
def test_passwords_are_taken_out_wherever_they_stand(text: str, shown: str) -> None:
    assert without_password(text) == shown


_WORD = st.text("abcdefgh0123456789%!$", min_size=6, max_size=12)


@given(_WORD, _WORD, st.sampled_from(["password", "pwd", "token", "auth", "api_key", "Passwd"]))
def test_no_password_is_left_in_an_address_or_a_name(user: str, secret: str, key: str) -> None:
    for uri in (f"rtsp://{user}:{secret}Z@gate.net:554/s", f"http://gate.net/s?a=1&{key}={secret}Z&b=2"):
        for shown in (without_password(uri), host_path(uri)):
            assert f"{secret}Z" not in shown
            assert "gate.net" in shown

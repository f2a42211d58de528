"""Live cameras over RTMP and HTTPS, against servers that end, fall silent and ask for a password."""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from streamer.live.camera_source import Cause
from tests.streamer.live.servers import (
    Guarded,
    motion_jpeg,
    self_signed,
    serving,
)
from tests.streamer.live.watching import Heard, check, frames_of, silent, watch
from tests.streamer.sources.rtmp_camera import RtmpCamera, refusing_rtmp

if TYPE_CHECKING:
    from pathlib import Path


USER = "me:s3cret"


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.mark.parametrize("sound", [False, True], ids=["pictures alone", "with sound"])
def test_rtmp_is_watched_and_connected_to_again_when_its_server_goes(heard: Heard, sound: bool) -> None:
    with RtmpCamera(sound=sound) as server:
        camera = watch(f"{server.uri(USER)}?token=hush", heard, stall_seconds=2)
        frames = frames_of(
            camera,
            at={15: server.drop_viewers},
            until=lambda seen: seen[-1].segment > 0 and len(seen) > 30,
        )
    check(frames, heard)
    assert heard.causes == [Cause.ENDED]
    assert camera.reconnects == 1
    assert camera.info is not None
    assert (camera.info.codec, camera.info.width, camera.info.height) == ("h264", 128, 96)
    assert camera.info.has_audio is sound
    steps = [b.pts - a.pts for a, b in pairwise(frames) if a.segment == b.segment]
    assert all(abs(step - Fraction(1, 20)) < Fraction(1, 500) for step in steps)


def test_evidence_of_rtmp_can_be_decoded_again_from_its_first_packet(heard: Heard) -> None:
    with RtmpCamera() as server:
        frames_of(watch(server.uri(), heard, stall_seconds=2), until=lambda seen: len(seen) == 5)
    stream = heard.streams[0]
    decoder = av.CodecContext.create(stream.codec, "r")
    decoder.extradata = stream.extradata
    assert heard.packets[0].is_keyframe
    pictures = [picture for packet in heard.packets for picture in decoder.decode(av.Packet(packet.data))]  # type: ignore[attr-defined]
    assert [(picture.width, picture.height) for picture in pictures[:5]] == [(128, 96)] * 5


def test_an_rtmp_server_that_turns_a_viewer_away_is_told_as_that(heard: Heard) -> None:
    with refusing_rtmp() as address:
        assert frames_of(watch(f"rtmp://{USER}@{address}/live/gate", heard, max_reconnects=0)) == []
    ((cause, detail, _),) = heard.losses
    assert cause is Cause.BROKEN
    assert detail == "the server turned this viewer away: check user, password and the stream's name"
    silent(heard)


def test_rtmp_that_falls_silent_is_a_stall(heard: Heard) -> None:
    with RtmpCamera() as server:
        camera = watch(server.uri(), heard, stall_seconds=1.5, max_reconnects=0)
        frames = frames_of(camera, at={5: server.fall_silent})
    assert len(frames) >= 5
    assert heard.causes == [Cause.STALLED]


def test_motion_jpeg_inside_tls_needs_no_certificate_that_somebody_signed(heard: Heard, tmp_path: Path) -> None:
    with motion_jpeg(certificate=self_signed(tmp_path), user=USER, ends_after=12) as uri:
        camera = watch(uri, heard)
        frames = frames_of(camera, until=lambda seen: len(seen) == 30)
    check(frames, heard)
    assert heard.causes == [Cause.ENDED, Cause.ENDED]
    assert {frame.segment for frame in frames} == {0, 1, 2}
    assert heard.infos[0].uri.startswith("https://127.0.0.1:")


def test_motion_jpeg_that_ends_is_connected_to_again(heard: Heard) -> None:
    with motion_jpeg(ends_after=12) as uri:
        frames = frames_of(watch(uri, heard), until=lambda seen: len(seen) == 15)
    check(frames, heard)
    assert heard.causes == [Cause.ENDED]


@pytest.mark.parametrize("path", ["video.mjpg", "live.m3u8"])
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_wrong_password_over_http_is_told_apart_and_never_shown(
    heard: Heard, tmp_path: Path, secure: bool, path: str
) -> None:
    certificate = self_signed(tmp_path) if secure else None
    with motion_jpeg(certificate=certificate, user=USER) as uri:
        wrong = uri.replace("s3cret", "wr0ng").replace("video.mjpg", path)
        assert frames_of(watch(wrong, heard, max_reconnects=0)) == []
    assert heard.causes == [Cause.AUTHENTICATION]
    silent(heard)


@pytest.mark.parametrize("scheme", ["http", "https", "rtmp"])
def test_an_unknown_host_is_not_found(heard: Heard, scheme: str) -> None:
    frames_of(watch(f"{scheme}://{USER}@camera.invalid/x", heard, max_reconnects=0))
    assert heard.causes == [Cause.NOT_FOUND]
    silent(heard)


class _Flv(Guarded):
    """An endless recording without sound, as some cameras send over HTTP."""

    def do_GET(self) -> None:  # noqa: N802 - the name is http.server's
        self.send_response(200)
        self.send_header("Content-Type", "video/x-flv")
        self.end_headers()
        try:
            self._pictures()
        except (OSError, av.error.FFmpegError):
            return  # the client went away

    def _pictures(self) -> None:
        container = av.open(self.wfile, "w", format="flv")
        coding = {"g": "20", "preset": "ultrafast", "tune": "zerolatency"}
        stream = container.add_stream("libx264", rate=20, options=coding)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for number in range(10_000):
            picture = np.full((96, 128), 60 + number % 100, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 20)
            container.mux(stream.encode(frame))
            if getattr(self.server, "stopping", False):
                return
            time.sleep(1 / 20)


def test_flv_over_http_without_sound_does_not_wait_for_sound(heard: Heard) -> None:
    with serving(_Flv) as server:
        uri = f"http://127.0.0.1:{server.server_address[1]}/flv?user=me&password=s3cret"
        frames = frames_of(watch(uri, heard), until=lambda seen: len(seen) == 20)
    check(frames, heard)

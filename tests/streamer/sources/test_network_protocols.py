"""Live cameras over RTMP, HTTPS and HLS, against servers that end, fall silent and ask for a password."""

from __future__ import annotations

import time
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler
from itertools import pairwise
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from streamer.live.camera_source import Cause
from tests.streamer.live.servers import (
    Guarded,
    files_over_http,
    hls_stream,
    motion_jpeg,
    self_signed,
    serving,
)
from tests.streamer.live.watching import Heard, frames_of, watch
from tests.streamer.sources.rtmp_camera import RtmpCamera

if TYPE_CHECKING:
    from pathlib import Path

    from streamer.frames import Frame

USER = "me:s3cret"
SECRETS = ("s3cret", "wr0ng", "me:", "hush")


@pytest.fixture
def heard() -> Heard:
    return Heard()


def check(frames: list[Frame], heard: Heard) -> None:
    """Times rise, over reconnects too, are those of the wall clock, and no password was told."""
    assert all(a.pts < b.pts and a.index + 1 == b.index for a, b in pairwise(frames))
    for frame in frames:
        assert frame.wall_clock is not None
        assert abs(float(frame.pts) - frame.wall_clock.timestamp()) < 2
    silent(heard)


def silent(heard: Heard) -> None:
    told = repr(heard.losses) + repr(heard.infos) + repr([(stream.codec, stream.epoch) for stream in heard.streams])
    assert not any(secret in told for secret in SECRETS)


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


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_hls_is_watched_with_a_password_for_the_playlist_and_its_pieces(
    heard: Heard, tmp_path: Path, secure: bool
) -> None:
    certificate = self_signed(tmp_path) if secure else None
    folder = tmp_path / "served"
    folder.mkdir()
    with hls_stream(folder), files_over_http(folder, certificate=certificate, user=USER) as address:
        camera = watch(f"{address}live.m3u8", heard, stall_seconds=4)
        frames = frames_of(camera, until=lambda seen: len(seen) == 15)
    check(frames, heard)
    assert heard.causes == []
    assert camera.counts.dropped == 0
    assert len({frame.segment for frame in frames}) == 1


def test_hls_that_ends_is_connected_to_again(heard: Heard, tmp_path: Path) -> None:
    with hls_stream(tmp_path), files_over_http(tmp_path) as address:
        frames_of(watch(f"{address}live.m3u8", Heard(), stall_seconds=4), until=lambda seen: len(seen) == 10)
    with files_over_http(tmp_path) as address:
        frames = frames_of(watch(f"{address}live.m3u8", heard), until=lambda seen: seen[-1].segment == 1)
    check(frames, heard)
    assert heard.causes == [Cause.ENDED]


def test_hls_behind_an_address_that_does_not_say_so_comes_at_the_pace_of_its_pictures(
    heard: Heard, tmp_path: Path
) -> None:
    class Files(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.path = {"/stream": "/live.m3u8"}.get(self.path, self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    with hls_stream(tmp_path, seconds_per_piece=1), serving(partial(Files, directory=str(tmp_path))) as server:
        uri = f"http://127.0.0.1:{server.server_address[1]}/stream"
        camera = watch(uri, heard, stall_seconds=4, backlog_seconds=0.3)
        frames = frames_of(camera, until=lambda seen: len(seen) == 30)
    check(frames, heard)
    walls = [frame.wall_clock.timestamp() for frame in frames if frame.wall_clock is not None]
    # Unpaced, the pictures of a piece come all at once.
    assert max(b - a for a, b in pairwise(walls[:20])) < 0.5 * (walls[19] - walls[0])
    assert walls[19] - walls[0] > 0.8 * 19 / 20


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

"""Live cameras against real servers: they stay, whatever happens to the stream behind them."""

from __future__ import annotations

import threading
import time
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from preprocess.errors import InputError, UsageError
from streamer.live.camera_source import Cause
from streamer.sources.network import open_camera
from tests.streamer.live import servers
from tests.streamer.live.lossy_relay import LossyRelay
from tests.streamer.live.servers import RtspServer, free_port, hls_stream, motion_jpeg, self_signed
from tests.streamer.live.watching import Heard, frames_of, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from streamer.frames import Frame

FPS = 20
RIGHT = "s3cret"


@pytest.fixture(scope="module")
def gate() -> Iterator[RtspServer]:
    """A camera that stays well."""
    with RtspServer(fps=FPS, gop=10) as server:
        yield server


@pytest.fixture
def heard() -> Heard:
    return Heard()


def strictly_increasing(frames: list[Frame]) -> bool:
    return all(a.pts < b.pts and a.index + 1 == b.index for a, b in pairwise(frames))


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_pictures_arrive_with_times_on_the_wall_clock(gate: RtspServer, heard: Heard, transport: str) -> None:
    camera = watch(gate.uri, heard, transport=transport)
    assert camera.info is None
    frames = frames_of(camera, until=lambda seen: len(seen) == 15)
    assert strictly_increasing(frames)
    assert {(frame.segment, frame.luma.shape, frame.corrupt) for frame in frames} == {(0, (240, 320), False)}
    steps = [b.pts - a.pts for a, b in pairwise(frames)]
    assert all(abs(step - Fraction(1, FPS)) < Fraction(1, 1000) for step in steps[1:])
    for frame in frames:
        assert frame.wall_clock is not None
        assert abs(float(frame.pts) - frame.wall_clock.timestamp()) < 0.5
    assert heard.attempts == [0]
    assert heard.infos == [camera.info]
    assert camera.info is not None
    assert (camera.info.codec, camera.info.frame_rate, camera.info.name) == ("h264", FPS, "gate")
    assert heard.streams[0].width == 320
    assert camera.reconnects == 0


def test_a_killed_server_is_connected_to_again_in_a_new_segment(heard: Heard) -> None:
    with RtspServer(fps=FPS, gop=10) as server:
        camera = watch(server.uri, heard)
        frames = frames_of(
            camera,
            at={10: lambda: threading.Thread(target=server.restart).start()},
            until=lambda seen: seen[-1].segment > 0 and len(seen) > 20,
        )
    assert strictly_increasing(frames)
    assert [frame.segment for frame in frames] == sorted(frame.segment for frame in frames)
    assert camera.reconnects >= 1
    assert heard.causes[0] is Cause.ENDED
    assert set(heard.causes[1:]) <= {Cause.REFUSED, Cause.BROKEN, Cause.TIME_OUT, Cause.ENDED}
    assert {packet.epoch for packet in heard.packets} == {stream.epoch for stream in heard.streams}
    assert len(heard.streams) == camera.reconnects + 1
    second = next(frame for frame in frames if frame.segment > 0)
    assert second.wall_clock is not None
    assert abs(float(second.pts) - second.wall_clock.timestamp()) < 0.5


def test_a_silent_server_is_noticed_in_time_and_closing_does_not_hang(heard: Heard) -> None:
    with RtspServer(fps=FPS, gop=10) as server:
        camera = watch(server.uri, heard, max_reconnects=0)
        frozen: list[float] = []

        def freeze() -> None:
            server.freeze()
            frozen.append(time.monotonic())

        frames_of(camera, at={10: freeze})
        server.thaw()
    assert heard.causes == [Cause.STALLED]
    assert heard.losses[0][2] is None
    assert 0.5 < heard.lost_at[0] - frozen[0] < 2.0


def test_a_server_that_never_answers_is_a_time_out(heard: Heard) -> None:
    with RtspServer() as server:
        server.freeze()
        frames_of(watch(server.uri, heard, max_reconnects=0))
        server.thaw()
    assert heard.causes == [Cause.TIME_OUT]


@pytest.mark.parametrize("digest", [False, True], ids=["basic", "digest"])
def test_a_wrong_password_is_told_apart_and_never_shown(heard: Heard, digest: bool) -> None:
    options = {"digest": True} if digest else {}
    with RtspServer(user="me", password=RIGHT, fps=FPS, **options) as server:
        camera = watch(server.uri_at(server.port, "me:wr0ng"), heard, max_reconnects=1)
        assert frames_of(camera) == []
        assert heard.causes == [Cause.AUTHENTICATION] * 2
        assert heard.attempts == [0, 1]
        # Cameras lock accounts after a few wrong passwords: the wait is longer than the longest ordinary one.
        assert heard.losses[0][2] is not None
        assert heard.losses[0][2] >= 0.3
        assert frames_of(watch(server.uri_at(server.port, "me:s3cret"), heard), until=lambda seen: len(seen) == 2)
        assert heard.infos[0].uri == server.uri
        assert not any(word in repr(heard) + repr(camera.info) for word in ("wr0ng", "s3cret", "me:"))


def test_rtsp_inside_tls_needs_no_certificate_that_somebody_signed(heard: Heard, tmp_path: Path) -> None:
    with RtspServer(fps=FPS, certificate=self_signed(tmp_path), user="me", password=RIGHT) as server:
        uri = server.uri_at(server.port, f"me:{RIGHT}").replace("rtsp://", "rtsps://")
        frames = frames_of(watch(uri, heard), until=lambda seen: len(seen) == 5)
    assert len(frames) == 5


def test_a_path_that_is_not_there_is_not_found(gate: RtspServer, heard: Heard) -> None:
    frames_of(watch(gate.uri.replace("/stream", "/nothing"), heard, max_reconnects=0))
    assert heard.causes == [Cause.NOT_FOUND]


def test_a_port_where_nobody_listens_is_refused_and_attempts_are_counted(heard: Heard) -> None:
    frames_of(watch(f"rtsp://127.0.0.1:{free_port()}/x", heard, max_reconnects=2))
    assert heard.causes == [Cause.REFUSED] * 3
    assert heard.attempts == [0, 1, 2]
    assert [wait is None for _, _, wait in heard.losses] == [False, False, True]


def test_an_unknown_host_is_not_found(heard: Heard) -> None:
    frames_of(watch("rtsp://me:s3cret@camera.invalid/x", heard, max_reconnects=0))
    assert heard.causes == [Cause.NOT_FOUND]
    assert "s3cret" not in repr(heard)


def test_a_slow_reader_is_shown_the_present_and_what_it_missed_is_counted(gate: RtspServer, heard: Heard) -> None:
    camera = watch(gate.uri, heard, backlog_seconds=0.6)
    delays: list[float] = []

    def look(frames: list[Frame]) -> bool:
        assert frames[-1].wall_clock is not None
        delays.append(time.time() - frames[-1].wall_clock.timestamp())
        return len(frames) == 30

    frames = frames_of(camera, until=look, each=0.15)
    assert camera.counts.dropped > 20
    assert max(delays) < 0.6 + 0.3
    assert len(heard.packets) > len(frames) + 20
    assert strictly_increasing(frames)
    for before, after in pairwise(frames):
        if after.pts - before.pts > Fraction(2, FPS):
            assert after.segment > before.segment


def test_closing_ends_the_frames_within_a_second(gate: RtspServer, heard: Heard) -> None:
    camera = watch(gate.uri, heard)
    closed: list[float] = []

    def close() -> None:
        closed.append(time.monotonic())
        camera.close()
        closed.append(time.monotonic())

    reading = camera.frames()
    next(reading)
    threading.Timer(0.2, close).start()
    for _ in reading:
        pass
    ended = time.monotonic()
    assert ended - closed[0] < 1.0
    time.sleep(0.6)
    assert closed[1] - closed[0] < 1.0
    camera.close()
    assert heard.losses == []


def test_closing_interrupts_a_wait_between_two_attempts(heard: Heard) -> None:
    camera = watch(f"rtsp://127.0.0.1:{free_port()}/x", heard, least_wait=60, most_wait=60)
    threading.Timer(0.3, camera.close).start()
    began = time.monotonic()
    assert list(camera.frames()) == []
    assert time.monotonic() - began < 1.5
    with pytest.raises(ValueError, match="once"):
        camera.frames()


def test_packets_of_a_connection_can_be_decoded_again(gate: RtspServer, heard: Heard) -> None:
    frames = frames_of(watch(gate.uri, heard), until=lambda seen: len(seen) == 12)
    stream = heard.streams[0]
    decoder = av.CodecContext.create(stream.codec, "r")
    decoder.extradata = stream.extradata
    assert heard.packets[0].is_keyframe
    pictures = []
    for encoded in heard.packets:
        packet = av.Packet(encoded.data)
        packet.pts, packet.dts, packet.time_base = encoded.pts, encoded.dts, encoded.time_base
        pictures += decoder.decode(packet)  # type: ignore[attr-defined]
    assert (pictures[0].width, pictures[0].height) == (stream.width, stream.height)
    for frame, picture in zip(frames, pictures, strict=False):
        assert abs(frame.luma.astype(int) - picture.to_ndarray(format="gray")).max() <= 1


def test_a_camera_that_changes_its_resolution_goes_on_in_a_new_segment(heard: Heard) -> None:
    with RtspServer(fps=FPS, gop=10, resize_after=1.0) as server:
        camera = watch(server.uri, heard)
        frames = frames_of(camera, until=lambda seen: seen[-1].luma.shape == (120, 160))
    assert {frame.luma.shape for frame in frames} == {(240, 320), (120, 160)}
    assert frames[-1].segment > frames[-2].segment
    assert strictly_increasing(frames)
    assert camera.info is not None
    assert (camera.info.width, camera.info.height) == (160, 120)
    assert [(stream.width, stream.height) for stream in heard.streams] == [(320, 240), (160, 120)]
    last = heard.packets[-1]
    assert last.epoch == heard.streams[-1].epoch


def test_motion_jpeg_over_http_is_timed_by_its_arrival(heard: Heard) -> None:
    with motion_jpeg() as uri:
        camera = watch(uri, heard)
        frames = frames_of(camera, until=lambda seen: len(seen) == 20)
    assert strictly_increasing(frames)
    assert camera.info is not None
    assert camera.info.codec == "mjpeg"
    span = float(frames[-1].pts - frames[5].pts)
    assert frames[-1].wall_clock is not None
    assert frames[5].wall_clock is not None
    assert abs(span - (frames[-1].wall_clock - frames[5].wall_clock).total_seconds()) < 0.1


def test_motion_jpeg_that_falls_silent_is_connected_to_again(heard: Heard) -> None:
    with motion_jpeg(silent_after=8) as uri:
        camera = watch(uri, heard, stall_seconds=0.5)
        frames = frames_of(camera, until=lambda seen: seen[-1].segment == 1)
    assert len(frames) == 9
    assert heard.causes == [Cause.STALLED]


def test_hls_comes_at_the_pace_of_its_pictures(heard: Heard, tmp_path: Path) -> None:
    with hls_stream(tmp_path) as uri:
        camera = watch(uri, heard, stall_seconds=4)
        frames = frames_of(camera, until=lambda seen: len(seen) == 40, seconds=20)
    assert strictly_increasing(frames)
    assert camera.counts.dropped == 0
    walls = [frame.wall_clock.timestamp() for frame in frames if frame.wall_clock is not None]
    assert walls[-1] - walls[0] > 0.8 * 39 / 20


def test_a_recording_is_played_at_its_own_pace_and_ends(
    heard: Heard, write_clip: Callable[..., Path], square: list[np.ndarray]
) -> None:
    camera = watch(str(write_clip("gate.mp4", square)), heard)
    began = time.monotonic()
    frames = frames_of(camera)
    assert len(frames) == 30
    assert 1.0 < time.monotonic() - began < 2.5
    assert frames[-1].pts - frames[0].pts == Fraction(29, 25)
    assert abs(float(frames[0].pts) - time.time()) < 10
    assert heard.causes == [Cause.ENDED]
    assert heard.losses[0][2] is None
    assert camera.counts.dropped == 0


def test_a_recording_without_times_is_played_at_the_rate_asked_for(heard: Heard, media: Path) -> None:
    camera = open_camera(str(media / "missing_pts_annexb.h264"), name="raw", listener=heard, frame_rate=Fraction(50))
    began = time.monotonic()
    frames = frames_of(camera)
    assert len(frames) == 75
    assert 1.2 < time.monotonic() - began < 3
    assert frames[-1].pts - frames[0].pts == Fraction(74, 50)
    assert [(stream.width, stream.height) for stream in heard.streams] == [(320, 240), (480, 360)]
    assert [frame.segment for frame in frames] == [0] * 50 + [1] * 25


def test_what_is_no_camera_is_refused_without_its_password(heard: Heard, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not supported") as refusal:
        open_camera("ftp://me:s3cret@host/x", name="x", listener=heard)
    assert "s3cret" not in str(refusal.value)
    with pytest.raises(InputError, match="no such file"):
        open_camera(str(tmp_path / "none.mp4"), name="x", listener=heard)


def textured(number: int) -> np.ndarray:
    """A picture with enough detail that every one of them fills several RTP packets."""
    random = np.random.default_rng(number)
    ground = np.random.default_rng(1000).integers(60, 180, (30, 44), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    ground[80:140, 4 * number % 250 : 4 * number % 250 + 60] = np.random.default_rng(7).integers(0, 255, (60, 60))
    return np.clip(ground + random.normal(0, 2, ground.shape), 0, 255).astype(np.uint8)


def test_no_damaged_picture_of_a_lossy_network_passes_for_sound(heard: Heard, write_clip: Callable[..., Path]) -> None:
    pictures = [np.repeat(textured(number)[:, :, None], 3, axis=2) for number in range(60)]
    coding = {"preset": "veryfast", "tune": "zerolatency", "g": "6", "sc_threshold": "0", "crf": "24"}
    clip = write_clip("texture.mp4", pictures, rate=2 * FPS, options={**coding, "x264-params": "sliced-threads=0"})
    with av.open(str(clip)) as container:
        clean = [frame.to_ndarray(format="gray").astype(np.int16) for frame in container.decode(video=0)]

    with RtspServer(file=clip) as server, LossyRelay(server.port, loss=0.0) as relay:
        camera = watch(server.uri_at(relay.port), heard, transport="udp", stall_seconds=3)

        def begin_to_lose() -> None:
            relay.loss = 0.05

        frames = frames_of(camera, at={5: begin_to_lose}, until=lambda seen: len(seen) == 100, seconds=20)
    assert relay.lost > 10
    sound = [frame for frame in frames if not frame.corrupt]
    assert 15 < len(sound) < len(frames) - 15
    shown = {}
    for frame in sound:
        off = [abs(picture - frame.luma).mean() for picture in clean]
        assert min(off) < 0.05
        shown[frame.index] = int(np.argmin(off))
    for before, after in pairwise(frames):
        if before.corrupt and not after.corrupt:
            assert after.segment > before.segment
        if before.segment == after.segment and {before.index, after.index} <= shown.keys():
            assert (shown[after.index] - shown[before.index]) % len(clean) == 1


@pytest.mark.parametrize(("required", "outcome"), [("", "skipped"), ("1", "failed")])
def test_a_server_that_is_not_installed_skips_tests_unless_it_is_required(
    monkeypatch: pytest.MonkeyPatch, required: str, outcome: str
) -> None:
    monkeypatch.setattr(servers, "_rtsp_is_here", lambda: False)
    monkeypatch.setenv("AVID_WATCH_REQUIRE_SERVERS", required)
    expected = {"skipped": pytest.skip.Exception, "failed": pytest.fail.Exception}[outcome]
    with pytest.raises(expected, match="python3-gi"):
        servers.require_rtsp_server()

"""Recordings made on the spot: what is in the file comes out, with honest times and counts."""

from __future__ import annotations

import itertools
import os
import struct
import threading
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from preprocess.errors import InputError
from streamer.frames import Pace
from streamer.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DISPLAY_MATRIX = {  # 16.16 fixed point, as in the track header of an MP4; the name is the counter-clockwise turn
    0: (1, 0, 0, 1),
    90: (0, -1, 1, 0),
    180: (-1, 0, 0, -1),
    270: (0, 1, -1, 0),
}


def set_display_matrix(path: Path, degrees: int) -> None:
    """Write a turn into the track header of an MP4, as a phone held sideways does."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd")
    matrix = header + 4 + 4 + 20 + 16  # after version, times, ids, duration, layer and volume
    a, b, c, d = (value << 16 for value in DISPLAY_MATRIX[degrees])
    assert struct.unpack_from(">9i", data, matrix)[8] == 1 << 30
    struct.pack_into(">9i", data, matrix, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_rotated_recording_comes_upright(
    write_clip: Callable[..., Path], square: list[np.ndarray], degrees: int
) -> None:
    """The reference is the display matrix itself: stored (x, y) is shown at (a x + c y, b x + d y)."""
    path = write_clip("turned.mp4", square[:3])
    set_display_matrix(path, degrees)
    a, b, c, d = DISPLAY_MATRIX[degrees]
    x, y = -0.45, -0.45  # the white corner, seen from the middle of the picture
    shown_x, shown_y = a * x + c * y, b * x + d * y
    with open_source(path) as source:
        frame = next(iter(source.frames()))
        assert source.info.rotation == degrees
        assert (source.info.width, source.info.height) == frame.luma.shape[::-1]
        for picture in (frame.luma, frame.image.bgr()[..., 1]):
            height, width = picture.shape
            assert picture[round((0.5 + shown_y) * height), round((0.5 + shown_x) * width)] > 230
            corners = [picture[2, 2], picture[2, -3], picture[-3, 2], picture[-3, -3]]
            assert sum(int(level) > 230 for level in corners) == 1


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mp4", "libx264", "yuvj420p"),
        ("a.mkv", "libx264", "yuv420p10le"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.avi", "libx264", "yuv420p"),
        ("a.mov", "mjpeg", "yuvj422p"),
        ("a.ts", "libx264", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.mkv", "ffv1", "bgra"),
        ("a.mkv", "ffv1", "gray"),
    ],
)
def test_every_container_and_format_gives_the_same_grey(
    write_clip: Callable[..., Path], square: list[np.ndarray], name: str, codec: str, pixel_format: str
) -> None:
    path = write_clip(name, square, codec=codec, pixel_format=pixel_format)
    with open_source(path) as source:
        frames = list(source.frames())
        assert source.pace is Pace.EVERY_FRAME
        counts = source.counts
    assert len(frames) == len(square) == counts.decoded
    assert [float(after.pts - before.pts) for before, after in itertools.pairwise(frames)] == pytest.approx(
        [1 / 25] * 29, abs=0.0011
    )
    assert {frame.segment for frame in frames} == {0}
    assert (counts.pts_jumps, counts.gaps, counts.duplicate_pts, counts.decode_errors) == (0, 0, 0, 0)
    for frame, picture in zip(frames, square, strict=True):
        truth = picture[..., 0].astype(int)
        assert np.abs(frame.luma.astype(int) - truth).mean() < 4
        assert abs(float(frame.image.bgr().mean()) - float(truth.mean())) < 4


def test_a_variable_frame_rate_keeps_its_times(write_clip: Callable[..., Path], square: list[np.ndarray]) -> None:
    times = [0, 1, 2, 5, 6, 12, 13, 14, 20, 30]
    path = write_clip("vfr.mkv", square[:10], times=times)
    with open_source(path) as source:
        assert [round(frame.pts * 25) for frame in source.frames()] == times
        assert source.counts.gaps == 0


def test_a_hole_of_more_than_a_second_starts_a_segment(
    write_clip: Callable[..., Path], square: list[np.ndarray]
) -> None:
    path = write_clip("hole.mp4", square[:20], times=[*range(10), *range(100, 110)])
    with open_source(path) as source:
        frames = list(source.frames())
        assert source.counts.gaps == 1
    assert [frame.segment for frame in frames] == [0] * 10 + [1] * 10
    assert frames[10].pts == 4


def test_two_recordings_in_one_file_go_on_in_time(write_clip: Callable[..., Path], square: list[np.ndarray]) -> None:
    """Recorders that simply append: the times start anew and the size may change."""
    small = write_clip("small.ts", square).read_bytes()
    large = [np.kron(picture, np.ones((2, 2, 1), np.uint8)) for picture in square]
    path = write_clip("large.ts", large)
    path.write_bytes(small + path.read_bytes())
    with open_source(path) as source:
        frames = list(source.frames())
        assert (source.counts.pts_jumps, source.counts.size_changes) == (1, 1)
    assert len(frames) == 60
    assert {(frame.segment, frame.luma.shape) for frame in frames} == {(0, (64, 96)), (1, (128, 192))}
    assert all(after.pts > before.pts for before, after in itertools.pairwise(frames))


def test_lost_packets_are_counted_and_their_smear_is_not_scored(
    write_clip: Callable[..., Path], square: list[np.ndarray], tmp_path: Path
) -> None:
    whole = write_clip("whole.mp4", square, options={"g": "20", "bf": "0", "x264-params": "scenecut=0"})
    path = tmp_path / "lost.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.dts is None:
                continue
            written: av.Packet[Any] = packet
            if number == 10:
                written = av.Packet(b"\x00\x00\x00\x05\xff\xff\xff\xff\xff" + b"\xff" * 40)
                written.pts, written.dts, written.time_base = packet.pts, packet.dts, packet.time_base
            written.stream = stream
            target.mux(written)
    with open_source(path) as source:
        frames = {round(frame.pts * 25): frame for frame in source.frames()}
        assert source.counts.decode_errors == 1
        assert source.counts.corrupt == sum(frame.corrupt for frame in frames.values())
    assert 10 not in frames
    assert [frames[number].corrupt for number in range(11, 20)] == [True] * 9
    sound = [number for number, frame in frames.items() if not frame.corrupt]
    assert {frames[number].segment for number in sound if number < 10} == {0}
    assert len({frames[number].segment for number in sound if number >= 20}) == 1
    assert frames[20].segment > frames[9].segment


def test_a_file_cut_off_ends_early_and_says_so(write_clip: Callable[..., Path], square: list[np.ndarray]) -> None:
    path = write_clip("whole.mkv", square, codec="mjpeg", pixel_format="yuvj420p")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with open_source(path) as source:
        assert 10 < len(list(source.frames())) < 25
        assert source.info.frames is None


def test_the_clock_on_the_wall_comes_from_the_creation_time(
    write_clip: Callable[..., Path], square: list[np.ndarray]
) -> None:
    path = write_clip("clock.mp4", square, created="2024-05-06T07:08:09.000000Z")
    moment = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    with open_source(path) as source:
        frames = list(source.frames())
        assert source.info.start == moment
    assert frames[10].wall_clock == moment + timedelta(seconds=0.4)


@pytest.mark.parametrize("created", [None, "1904-01-01T00:00:00.000000Z", "1970-01-01T00:00:00.000000Z"])
def test_a_camera_without_a_clock_has_no_time_on_the_wall(
    write_clip: Callable[..., Path], square: list[np.ndarray], created: str | None
) -> None:
    with open_source(write_clip("clock.mp4", square[:3], created=created)) as source:
        assert source.info.start is None
        assert next(iter(source.frames())).wall_clock is None


def test_a_recording_can_be_read_again(write_clip: Callable[..., Path], square: list[np.ndarray]) -> None:
    with open_source(write_clip("again.mp4", square)) as source:
        first = [frame.luma for frame in source.frames()]
        second = [frame.luma for frame in source.frames()]
        assert source.counts.decoded == 30
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_closing_ends_a_reading_and_forbids_another(write_clip: Callable[..., Path], square: list[np.ndarray]) -> None:
    source = open_source(write_clip("close.mp4", square))
    reading = source.frames()
    next(reading)
    source.close()
    source.close()
    assert list(reading) == []
    with pytest.raises(ValueError, match="closed"):
        source.frames()


def test_closing_from_another_thread_ends_the_reading(
    write_clip: Callable[..., Path], square: list[np.ndarray]
) -> None:
    source = open_source(write_clip("close.mp4", square))
    entered, seen = threading.Event(), []

    def read() -> None:
        for frame in source.frames():
            seen.append(frame.index)
            entered.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert entered.wait(10)
    source.close()
    reader.join(10)
    assert not reader.is_alive()


def test_no_file_stays_open(write_clip: Callable[..., Path], square: list[np.ndarray]) -> None:
    path = write_clip("open.mp4", square)

    def open_files() -> int:
        folder = "/proc/self/fd"
        links = (os.path.join(folder, name) for name in os.listdir(folder))  # noqa: PTH118, PTH208 - they vanish
        return sum(os.path.lexists(link) and os.path.realpath(link) == str(path.resolve()) for link in links)

    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        pytest.skip("open files are counted through /proc")
    with open_source(path) as source:
        assert open_files() == 0
        list(source.frames())
        assert open_files() == 0
        reading = source.frames()
        next(reading)
        assert open_files() == 1
    assert open_files() == 0


def test_a_colon_in_a_name_is_no_protocol(write_clip: Callable[..., Path], square: list[np.ndarray]) -> None:
    path = write_clip("plain.mp4", square[:3])
    odd = path.rename(path.with_name("gate 07:30 #1%20.mp4"))
    with open_source(odd) as source:
        assert len(list(source.frames())) == 3
        assert source.info.name == "gate_07_30_1_20"


def test_the_number_to_expect_is_estimated_where_the_header_is_silent(
    write_clip: Callable[..., Path], square: list[np.ndarray]
) -> None:
    with open_source(write_clip("silent.mkv", square)) as source:
        assert source.info.frames is None
        assert source.info.expected_frames == 30
        assert source.info.duration == pytest.approx(Fraction(6, 5), abs=0.05)


def test_a_video_stream_without_a_decodable_picture_is_refused(
    write_clip: Callable[..., Path], square: list[np.ndarray]
) -> None:
    path = write_clip("hollow.mp4", square)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    with pytest.raises(InputError, match="no picture of its video stream"):
        open_source(path)

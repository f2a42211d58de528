"""A camera's packets, muxed again without its container, are the same pictures at the same times."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import av
import pytest

from streamer.sinks.elementary import Elementary
from streamer.sinks.packet_file import PacketFile, ending_for
from tests.streamer.packets import RATE, START, creation_time, pictures, send

WAYS = [
    ("h264", "mpegts", 0),
    ("h264", "mpegts", 2),
    ("h264", "mp4", 0),
    ("h264", "mp4", 2),
    ("h264", "matroska", 0),
    ("h264", "flv", 0),
    ("hevc", "mpegts", 0),
    ("hevc", "mp4", 0),
    ("mpeg4", "mp4", 0),
    ("mjpeg", "avi", 0),
    ("vp9", "matroska", 0),
    ("vp8", "matroska", 0),
    ("av1", "mp4", 0),
]


def write(path, sent, packets=None):
    file = PacketFile(path, sent.stream)
    for packet in sent.packets if packets is None else packets:
        file.write(packet)
    file.close()
    return file


@pytest.mark.parametrize(("codec", "container", "bframes"), WAYS)
def test_the_pictures_and_their_times_come_back_from_the_middle_on(tmp_path, codec, container, bframes):
    sent = send(30, codec=codec, container=container, bframes=bframes)
    begin = next(number for number, packet in enumerate(sent.packets) if number >= 10 and packet.is_keyframe)
    path = tmp_path / f"clip{ending_for(sent.stream)}"
    file = write(path, sent, sent.packets[begin:])
    read = pictures(path)
    assert [number for _, number in read] == [number % 24 for number in range(begin, 30)]
    assert [time for time, _ in read] == pytest.approx([number / RATE for number in range(30 - begin)], abs=0.002)
    assert creation_time(path) == sent.packets[begin].arrived
    assert file.packets == 30 - begin
    assert path.suffix == (".mp4" if codec in {"h264", "hevc", "av1", "mpeg4"} else ".mkv")


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_parameter_sets_sent_only_beforehand_are_put_before_the_first_picture(tmp_path, codec):
    sent = send(20, codec=codec, container="mp4")
    elementary = Elementary(sent.stream)
    beforehand = replace(sent.stream, extradata=elementary.header)
    assert elementary.header.startswith(b"\x00\x00\x00\x01")
    packets = [replace(packet, data=elementary.convert(packet.data)) for packet in sent.packets]
    write(tmp_path / "clip.mp4", replace(sent, stream=beforehand), packets)
    assert [number for _, number in pictures(tmp_path / "clip.mp4")] == list(range(20))


def test_a_camera_that_sends_no_parameter_sets_is_no_crash(tmp_path):
    sent = send(20)
    bare = replace(sent.packets[0], data=b"\x00\x00\x00\x01\x65" + bytes(range(1, 100)))
    file = PacketFile(tmp_path / "clip.mp4", replace(sent.stream, extradata=b""))
    for number in range(300):
        file.write(replace(bare, pts=number * 9000, dts=number * 9000))
    file.close()
    assert file.bytes > 300 * 99  # nothing waits in memory for what never comes


def test_a_file_that_is_there_is_never_replaced(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_text("evidence")
    with pytest.raises(FileExistsError):
        PacketFile(path, send(1).stream)
    assert path.read_text() == "evidence"


@pytest.mark.parametrize("codec", ["rawvideo", "no_such_codec"])
def test_what_no_container_holds_is_refused_and_leaves_nothing(tmp_path, codec):
    with pytest.raises(ValueError, match=r"rawvideo|codec"):
        PacketFile(tmp_path / "clip.mkv", replace(send(1).stream, codec=codec))
    assert list(tmp_path.iterdir()) == []


def shifted(sent, times, *, dts=True):
    """The packets with other times of the camera's own clock, in seconds; None: it says none."""
    ticks = [None if time is None else round(time * 90000) for time in times]
    return [
        replace(packet, pts=tick, dts=tick if dts else None, duration=None)
        for packet, tick in zip(sent.packets, ticks, strict=True)
    ]


JUMPS = {
    "back": [100 + number / RATE - (40 if number >= 10 else 0) for number in range(30)],
    "forward": [number / RATE + (5000 if number >= 10 else 0) for number in range(30)],
    "absent": [None] * 30,
    "late": [None] * 3 + [2.5 + number / RATE for number in range(27)],
    "standing still": [number // 2 / RATE * 2 for number in range(30)],
}


@pytest.mark.parametrize("clock", JUMPS)
@pytest.mark.parametrize("dts", [True, False])
def test_a_camera_whose_clock_jumps_makes_a_file_without_a_hole(tmp_path, clock, dts):
    sent = send(30)
    path = tmp_path / "clip.mp4"
    write(path, sent, shifted(sent, JUMPS[clock], dts=dts))
    read = pictures(path)
    assert [number for _, number in read] == [number % 24 for number in range(30)]
    assert [time for time, _ in read] == pytest.approx([number / RATE for number in range(30)], abs=0.11)


def test_a_pause_of_the_camera_is_a_pause_of_the_file(tmp_path):
    sent = send(30)
    later = [
        replace(packet, arrived=packet.arrived + timedelta(seconds=20 if number >= 10 else 0))
        for number, packet in enumerate(shifted(sent, [n / RATE + (20 if n >= 10 else 0) for n in range(30)]))
    ]
    write(tmp_path / "clip.mp4", sent, later)
    assert pictures(tmp_path / "clip.mp4")[10][0] == pytest.approx(21.0, abs=0.01)


def test_packets_before_the_first_key_frame_are_left_out(tmp_path):
    sent = send(30)
    file = write(tmp_path / "clip.mp4", sent, sent.packets[4:])
    assert file.packets == 20
    assert pictures(tmp_path / "clip.mp4")[0] == (0.0, 10)
    assert creation_time(tmp_path / "clip.mp4") == START + timedelta(seconds=1)


def test_a_file_without_a_packet_is_taken_away(tmp_path):
    sent = send(30)
    file = write(tmp_path / "clip.mp4", sent, sent.packets[1:10])
    file.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        file.write(sent.packets[0])


def test_the_file_is_an_ordinary_seekable_one_in_the_end(tmp_path):
    sent = send(100)
    write(tmp_path / "clip.mp4", sent)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.frames == 100
        assert container.duration == pytest.approx(10_000_000, abs=1000)
        container.seek(7_000_000)
        assert next(container.decode(stream)).time == pytest.approx(7.0)


@pytest.mark.parametrize("cut", range(0, 60, 3))
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_damaged_parameter_sets_and_packets_are_no_crash(codec, cut):
    sent = send(3, codec=codec, container="mp4")
    elementary = Elementary(replace(sent.stream, extradata=sent.stream.extradata[:cut]))
    data = elementary.convert(sent.packets[0].data[: 5 * cut])
    assert isinstance(elementary.with_header(data), bytes)

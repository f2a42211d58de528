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

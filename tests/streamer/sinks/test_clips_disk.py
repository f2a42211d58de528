"""Clips survive a kill and a full disk; the watching never notices either."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from preprocess.errors import OutputError
from streamer.events import MessageKind
from streamer.frames import SourceInfo
from streamer.live.folder import LiveFolder
from streamer.sinks.clips import ClipWriter, EvidenceRecorder, EvidenceSettings
from streamer.sinks.packet_file import PacketFile
from streamer.sinks.storage import StorageWatch
from streamer.sinks.video import AnnotatedVideo
from tests.streamer.packets import START, event_at, pictures, send

ROOT = Path(__file__).resolve().parents[3]

RECORD_UNTIL_KILLED = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from streamer.live.folder import LiveFolder
from streamer.sinks.clips import ClipWriter, EvidenceRecorder, EvidenceSettings
from streamer.sinks.storage import StorageWatch
from tests.streamer.packets import event_at, send

sent = send(200, codec=sys.argv[2])
folder = LiveFolder.open(Path(sys.argv[1]), "gate")
writer = ClipWriter(StorageWatch(print))
recorder = EvidenceRecorder(folder, EvidenceSettings(pre_roll=5), writer)
recorder.stream(sent.stream)
for packet in sent.packets[:100]:
    recorder.packet(packet)
recorder.began(event_at(9))
for packet in sent.packets[100:]:
    recorder.packet(packet)
writer.drain(30)
print("written", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_a_kill_leaves_the_evidence_so_far(tmp_path, codec):
    with subprocess.Popen(
        [sys.executable, "-c", RECORD_UNTIL_KILLED, str(tmp_path), codec], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as program:
        assert program.stdout.readline() == "written\n"
        program.send_signal(signal.SIGKILL)
        program.wait(10)
    (clip,) = (tmp_path / "gate.avid" / "clips").iterdir()
    numbers = [number for _, number in pictures(clip)]
    assert numbers == [number % 24 for number in range(40, 40 + len(numbers))]
    assert len(numbers) >= 150  # of 160: less than a second is lost


class SmallDisk:
    """A folder on a disk of one megabyte."""

    def __init__(self, path):
        self.path = path
        self.clock = 0.0
        self.told = []

    def fill(self, but):
        free = shutil.disk_usage(self.path).free
        (self.path / "others").write_bytes(bytes(max(0, free - but)))

    def make_room(self):
        (self.path / "others").unlink()


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only the superuser may mount a small disk")
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    yield SmallDisk(path)
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_stops_recording_with_one_event_and_recording_goes_on_by_itself(small_disk):
    sent = send(400, codec="mjpeg", size=(320, 240))
    assert sum(len(packet.data) for packet in sent.packets) > 400_000
    finished = []
    with LiveFolder.open(small_disk.path, "gate") as folder:
        small_disk.fill(but=150_000)
        storage = StorageWatch(
            small_disk.told.append, check_seconds=10, room_bytes=500_000, clock=lambda: small_disk.clock
        )
        writer = ClipWriter(storage, tick_seconds=3600)
        recorder = EvidenceRecorder(
            folder,
            EvidenceSettings(pre_roll=1, post_roll=1),
            writer,
            finished=lambda event, clip: finished.append(clip),
            now=lambda: START + timedelta(seconds=1),
        )
        recorder.stream(sent.stream)
        recorder.packet(sent.packets[0])
        recorder.began(event_at(0))
        slowest = 0.0
        for packet in sent.packets[1:200]:
            began = time.perf_counter()
            recorder.packet(packet)
            slowest = max(slowest, time.perf_counter() - began)
        assert writer.drain(20)
        assert slowest < 0.2  # the camera's thread never waits for the disk
        (message,) = small_disk.told
        assert (message.kind, message.event.detail) == (MessageKind.NEW, "recording stopped: the disk is full")
        small_disk.make_room()
        small_disk.clock = 10.0
        for packet in sent.packets[200:]:
            recorder.packet(packet)
        path = recorder.ended(event_at(0, 39))
        assert recorder.close(20)
        assert writer.close(20)
        assert [message.kind for message in small_disk.told] == [MessageKind.NEW, MessageKind.END]
        assert finished == [path]
        before = [number for _, number in pictures(folder.path / path)]
        assert len(before) > 20
        assert before == [number % 24 for number in range(len(before))]
        after = [number for _, number in pictures(folder.clips / f"{event_at(0).id}-part2.mkv")]
        assert after == [number % 24 for number in range(200, 400)]


def write_all(file, sent):
    for packet in sent.packets:
        file.write(packet)


def draw_all(video):
    for index in range(60):
        video.write_at(Fraction(index, 25), np.zeros((64, 96, 3), np.uint8))


def file_handles():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_failing_again_and_again_on_a_full_disk_costs_no_file_handles(small_disk):
    sent = send(30)
    info = SourceInfo("", "gate", 96, 64, None, None, None, None, "h264", "yuv420p", 0, has_audio=False)
    small_disk.fill(but=0)
    before = file_handles()
    for number in range(5):
        file = PacketFile(small_disk.path / f"{number}.mp4", sent.stream)
        with pytest.raises(OSError, match="No space left"):
            write_all(file, sent)
        with suppress(OSError):
            file.close()
        video = AnnotatedVideo(small_disk.path / f"annotated{number}.mp4", info)
        with pytest.raises(OutputError, match="No space left"):
            draw_all(video)
        video.close()
    assert file_handles() == before


def test_on_a_disk_full_from_the_start_there_is_no_clip_and_no_rubble(small_disk):
    sent = send(100)
    finished = []
    with LiveFolder.open(small_disk.path, "gate") as folder:
        small_disk.fill(but=0)
        storage = StorageWatch(small_disk.told.append)
        writer = ClipWriter(storage, tick_seconds=3600)
        recorder = EvidenceRecorder(
            folder, EvidenceSettings(), writer, finished=lambda event, clip: finished.append(clip), now=lambda: START
        )
        recorder.stream(sent.stream)
        for packet in sent.packets[:50]:
            recorder.packet(packet)
        recorder.began(event_at(4))
        for packet in sent.packets[50:]:
            recorder.packet(packet)
        assert writer.drain(20)
        assert recorder.ended(event_at(4, 8)) is None
        assert recorder.close(20)
        assert writer.close(20)
        assert finished == [None]
        assert len(small_disk.told) == 1
        assert list(folder.clips.iterdir()) == []

"""The continuous recording: files of ten minutes, new ones after breaks, readable after a kill, no reason to stop."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta, timezone
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from preprocess.errors import OutputError
from streamer.live.folder import LiveFolder
from streamer.sinks.recorder import SegmentedRecorder
from streamer.sinks.storage import StorageWatch
from streamer.sinks.video import AnnotatedVideo
from tests.streamer.packets import RATE, START, pictures

ROOT = Path(__file__).resolve().parents[3]
BEGIN = Fraction(round(START.timestamp()))


def grey_picture(number, size=(96, 64)):
    # Limited range: the level that is read back is the one of the file.
    return np.full((size[1], size[0], 3), round((30 + 8 * (number % 24) - 16) * 255 / 219), np.uint8)


def feed(recorder, numbers, *, shift=0.0, size=(96, 64)):
    for number in numbers:
        seconds = number / RATE + shift
        recorder.write(BEGIN + Fraction(str(seconds)), START + timedelta(seconds=seconds), grey_picture(number, size))
        assert recorder._worker.drain(20)


def recordings(folder):
    return sorted(str(path.relative_to(folder.recordings)) for path in folder.recordings.rglob("*.mp4"))


def numbers_of(folder, name):
    return [number for _, number in pictures(folder.recordings / name)]


@pytest.fixture
def gate(tmp_path):
    with LiveFolder.open(tmp_path, "gate") as folder:
        yield folder


@pytest.fixture
def told():
    return []


@pytest.fixture
def record(gate, told):
    made = []

    def make(**options):
        storage = options.pop("storage", None) or StorageWatch(told.append)
        made.append(SegmentedRecorder(gate, storage, **{"tick_seconds": 3600, **options}))
        return made[-1]

    yield make
    for recorder in made:
        recorder.close(10)


def test_it_is_written_in_files_named_by_the_cameras_own_time(gate, record):
    recorder = record(segment_seconds=2, zone=timezone(timedelta(hours=-9)))
    feed(recorder, range(50))
    assert recorder.close(10)
    assert recordings(gate) == [f"2026-02-28/23-00-0{second}.mp4" for second in (0, 2, 4)]
    assert numbers_of(gate, "2026-02-28/23-00-02.mp4") == [number % 24 for number in range(20, 40)]
    assert (recorder.written, recorder.segments, recorder.lost) == (50, 3, 0)
    assert all(path not in gate.files for path in gate.recordings.rglob("*.mp4"))


def test_another_size_a_pause_and_a_reconnect_begin_new_files(gate, record):
    recorder = record()
    feed(recorder, range(10))
    feed(recorder, range(10, 20), size=(128, 96))
    feed(recorder, range(20, 30), shift=10, size=(128, 96))
    recorder.cut()
    feed(recorder, range(30, 40), shift=10, size=(128, 96))
    feed(recorder, range(20, 22), shift=0, size=(128, 96))  # back in time
    assert recorder.close(10)
    # Two that begin within one second have names of their own.
    assert recordings(gate) == [f"2026-03-01/08-00-{ending}.mp4" for ending in ("00", "01", "02", "12", "13")]
    assert [number for _, number in pictures(gate.recordings / "2026-03-01/08-00-13.mp4")] == [
        number % 24 for number in range(30, 40)
    ]


def test_files_that_begin_within_one_second_do_not_replace_each_other(gate, record):
    recorder = record()
    for number in range(3):
        recorder.cut()
        feed(recorder, [number])
    recorder.close(10)
    assert recordings(gate) == [f"2026-03-01/08-00-00{ending}.mp4" for ending in ("-2", "-3", "")]


def test_a_camera_gone_quiet_leaves_a_complete_file(gate, told):
    seconds = [0.0]
    recorder = SegmentedRecorder(gate, StorageWatch(told.append), clock=lambda: seconds[0], tick_seconds=0.01)
    feed(recorder, range(10))
    (path,) = gate.recordings.rglob("*.mp4")
    assert path in gate.files
    seconds[0] = 31
    until = time.monotonic() + 5
    while path in gate.files and time.monotonic() < until:
        time.sleep(0.01)
    assert path not in gate.files
    assert len(pictures(path)) == 10
    recorder.close(10)


def test_a_slow_disk_costs_pictures_and_never_the_camera(gate, record):
    recorder = record(most_bytes=5 * 96 * 64 * 3)
    go_on = threading.Event()
    recorder._worker.give(go_on.wait, must=True)
    for number in range(20):
        recorder.write(BEGIN + Fraction(number, RATE), START, grey_picture(number))
    assert recorder.lost == 15
    go_on.set()
    assert recorder.close(10)
    assert recorder.written == 5


def test_a_full_disk_stops_recording_and_it_goes_on_in_a_new_file(gate, told, record, monkeypatch):
    seconds, full = [0.0], [False]
    storage = StorageWatch(told.append, clock=lambda: seconds[0], free=lambda path: 10**12)
    recorder = record(storage=storage)
    really = AnnotatedVideo.write_at

    def write(video, pts, picture):
        if full[0]:
            raise OutputError(f"cannot write {video.path}") from OSError(errno.ENOSPC, "no space")
        really(video, pts, picture)

    monkeypatch.setattr(AnnotatedVideo, "write_at", write)
    feed(recorder, range(10))
    full[0] = True
    feed(recorder, range(10, 20))
    full[0] = False
    feed(recorder, range(20, 30))  # not yet looked
    seconds[0] = 10.0
    feed(recorder, range(30, 40))
    assert recorder.close(10)
    assert [message.kind.value for message in told] == ["new", "end"]
    assert (recorder.written, recorder.lost) == (20, 20)
    assert [numbers_of(gate, name) for name in recordings(gate)] == [
        list(range(10)),
        [number % 24 for number in range(30, 40)],
    ]


def test_pictures_no_video_can_hold_are_left_out(gate, told, record):
    recorder = record()
    feed(recorder, [0], size=(95, 63))
    feed(recorder, range(1, 5))
    assert recorder.close(10)
    assert (recorder.written, recorder.lost) == (4, 1)
    assert "does not fit" in recorder.fault
    assert told == []


RECORD_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from streamer.live.folder import LiveFolder
from streamer.sinks.recorder import SegmentedRecorder
from streamer.sinks.storage import StorageWatch
from tests.streamer.sinks.test_recorder import feed

recorder = SegmentedRecorder(LiveFolder.open(Path(sys.argv[1]), "gate"), StorageWatch(print))
feed(recorder, range(100))
print("written", flush=True)
time.sleep(60)
"""


def test_a_kill_leaves_the_recording_so_far(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", RECORD_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as program:
        assert program.stdout.readline() == "written\n"
        program.send_signal(signal.SIGKILL)
        program.wait(10)
    with LiveFolder.open(tmp_path, "gate") as folder:
        (name,) = recordings(folder)
        found = numbers_of(folder, name)
    assert found == [number % 24 for number in range(len(found))]
    assert len(found) >= 85


def test_a_segment_without_length_is_refused(gate):
    with pytest.raises(ValueError, match="has a length"):
        SegmentedRecorder(gate, StorageWatch(print), segment_seconds=0)

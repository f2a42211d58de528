"""The oldest evidence goes first, the bounds hold, and what is not evidence stays."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.live.folder import LiveFolder
from streamer.sinks.evidence_files import EvidenceFiles
from streamer.sinks.retention import Retention, RetentionSettings
from streamer.sinks.storage import StorageWatch

NOW = 1_800_000_000.0
DAY = 86400.0
PLACES = ("clips/a{}.mp4", "clips/b{}.mkv", "snapshots/c{}.jpg", "recordings/2026-03-01/{}.mp4", "scores/d{}.csv")


def put(folder, name, *, age=0.0, size=100):
    path = folder.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (NOW - age * DAY, NOW - age * DAY))
    return path


@pytest.fixture
def gate(tmp_path):
    with LiveFolder.open(tmp_path, "gate") as folder:
        yield folder


@pytest.fixture
def yard(tmp_path):
    with LiveFolder.open(tmp_path, "yard") as folder:
        yield folder


def keep(folders, storage=None, free=lambda path: 10**12, **bounds):
    bounds = {"age_days": None, "most_bytes": None, "free_bytes": 0, **bounds}
    return Retention(folders, RetentionSettings(**bounds), storage, now=lambda: NOW, free=free)


def names(folder):
    kinds = ("clips", "snapshots", "recordings", "scores")
    return sorted(path.name for kind in kinds for path in (folder.path / kind).rglob("*") if path.is_file())


def test_files_older_than_the_age_go_and_younger_ones_stay(gate, yard):
    for number, age in enumerate((40, 31, 29, 1)):
        put(gate, f"clips/{number}.mp4", age=age)
    put(yard, "snapshots/old.jpg", age=31)
    retention = keep([gate, yard], age_days=30)
    assert retention.look() == 3
    assert (names(gate), names(yard)) == (["2.mp4", "3.mp4"], [])
    assert (retention.counts.files, retention.counts.bytes, retention.counts.kept_files) == (3, 300, 2)


def test_the_oldest_go_first_over_all_cameras_and_kinds(gate, yard):
    for number, place in enumerate(PLACES):
        put(gate if number % 2 else yard, place.format(number), age=10 - number)
    retention = keep([gate, yard], most_bytes=200)
    assert retention.look() == 3
    assert names(gate) == ["3.mp4"]
    assert names(yard) == ["d4.csv"]
    assert retention.look() == 0


@settings(max_examples=60)
@given(
    files=st.lists(
        st.tuples(st.sampled_from(PLACES), st.floats(0, 60), st.integers(0, 500), st.booleans()), max_size=25
    ),
    age=st.none() | st.integers(1, 60),
    most=st.none() | st.integers(0, 4000),
)
def test_whatever_there_is_the_bounds_hold_and_no_younger_file_goes_before_an_older_one(
    tmp_path_factory, files, age, most
):
    with ExitStack() as opened:
        directory = tmp_path_factory.mktemp("cameras")
        cameras = [opened.enter_context(LiveFolder.open(directory, name)) for name in ("gate", "yard")]
        put_there = {}
        for number, (place, days, size, being_written) in enumerate(files):
            folder = cameras[number % 2]
            path = put(folder, place.format(number), age=days, size=size)
            put_there[path] = (path.stat().st_mtime, size)
            if being_written:
                folder.files.add(path)
        retention = keep(cameras, age_days=age, most_bytes=most)
        retention.look()
        left = {path for path in put_there if path.exists()}
        held = {path for path in put_there if any(path in folder.files for folder in cameras)}
        assert held <= left
        gone = put_there.keys() - left
        free_to_go = left - held
        for path in gone:
            assert all(put_there[path][0] <= put_there[other][0] for other in free_to_go)
        if age is not None:
            assert all(put_there[path][0] >= NOW - age * DAY for path in free_to_go)
        kept = sum(put_there[path][1] for path in left)
        assert most is None or kept <= most or not free_to_go
        # Nothing goes that did not have to.
        if gone:
            last = max(gone, key=lambda path: (put_there[path][0], str(path)))
            too_old = age is not None and put_there[last][0] < NOW - age * DAY
            assert too_old or (most is not None and kept + put_there[last][1] > most)
        assert (retention.counts.kept_files, retention.counts.kept_bytes) == (len(left), kept)
        assert retention.counts.files == len(gone)


def test_what_is_not_evidence_is_never_deleted(gate):
    stays = [
        put(gate, name, age=1000)
        for name in (
            "events.jsonl",
            "learned/model.avid",
            "events.sqlite",
            "clips/notes.txt",
            "camera.json",
            "mine.mp4",
        )
    ]
    outside = put(gate, "learned/outside.mp4", age=1000)
    link = gate.clips / "link.mp4"
    link.symlink_to(outside)
    goes = put(gate, "clips/a.mp4", age=1000)
    assert keep([gate], age_days=1, most_bytes=0).look() == 1
    assert all(path.exists() for path in [*stays, outside])
    assert link.is_symlink()
    assert not goes.exists()


def test_a_day_of_recordings_goes_with_its_last_file(gate):
    put(gate, "recordings/2026-03-01/08-00-00.mp4", age=31)
    put(gate, "recordings/2026-03-02/08-00-00.mp4", age=1)
    keep([gate], age_days=30).look()
    assert [day.name for day in gate.recordings.iterdir()] == ["2026-03-02"]


def test_what_a_kill_left_half_written_goes_after_a_while(gate):
    put(gate, "snapshots/.a.jpg.tmp", age=31)
    put(gate, "snapshots/.b.jpg.tmp", age=0)
    keep([gate], age_days=30).look()
    assert names(gate) == [".b.jpg.tmp"]


class Disk:
    """Free bytes that grow with every file deleted."""

    def __init__(self, folder, size):
        self.folder, self.size = folder, size

    def free(self, path):
        used = sum(file.stat().st_size for file in self.folder.path.rglob("*.mp4"))
        return self.size - used


def test_below_the_free_bytes_the_oldest_go_until_there_is_room(gate):
    for number in range(10):
        put(gate, f"clips/{number}.mp4", age=10 - number)
    told = []
    retention = keep([gate], StorageWatch(told.append), Disk(gate, 1200).free, free_bytes=450)
    assert retention.look() == 3
    assert names(gate)[0] == "3.mp4"
    assert told == []
    assert retention.look() == 0


def test_where_deleting_does_not_help_recording_stops_until_there_is_room(gate):
    put(gate, "clips/1.mp4", age=1)
    told = []
    seconds, free = [0.0], [10 * 2**20]
    storage = StorageWatch(told.append, clock=lambda: seconds[0], free=lambda path: free[0])
    retention = keep([gate], storage, lambda path: free[0], free_bytes=100 * 2**20)
    retention.look()
    retention.look()
    (message,) = told
    assert message.event.detail == "recording stopped: only 10 MB are free on the disk"
    seconds[0], free[0] = 10.0, 99 * 2**20
    assert not storage.may_write()
    seconds[0], free[0] = 20.0, 100 * 2**20
    assert storage.may_write()


def test_evidence_is_not_thrown_away_where_that_frees_nothing(gate):
    """Somebody else fills the disk as fast as files are deleted."""
    for number in range(40):
        with put(gate, f"clips/{number:02}.mp4", age=50 - number).open("r+b") as file:
            file.truncate(32 * 2**20)
        os.utime(gate.clips / f"{number:02}.mp4", (NOW - 9999 + number, NOW - 9999 + number))
    told = []
    keep([gate], StorageWatch(told.append), lambda path: 5, free_bytes=10).look()
    assert len(names(gate)) == 32
    assert len(told) == 1


def test_a_file_that_cannot_be_deleted_is_counted_and_the_others_go(gate, monkeypatch):
    put(gate, "clips/a.mp4", age=3)
    put(gate, "clips/b.mp4", age=2)
    unlink = Path.unlink

    def refuse(path, **options):
        if path.name == "a.mp4":
            raise PermissionError(1, "no")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", refuse)
    retention = keep([gate], age_days=1)
    assert retention.look() == 1
    assert retention.counts.refused == 1
    assert names(gate) == ["a.mp4"]


def test_folders_that_did_not_change_are_not_listed_again(gate):
    files = EvidenceFiles(gate)
    now = time.time()
    for number in range(50):
        put(gate, f"clips/{number}.mp4", age=1)
    files.refresh(now + 10)
    assert (files.count, files.bytes, files.listings) == (50, 5000, 3)
    files.refresh(now + 70)
    files.refresh(now + 130)
    assert files.listings == 3
    put(gate, "clips/new.mp4", age=1)
    (gate.clips / "7.mp4").unlink()
    files.refresh(now + 190)
    assert (files.count, files.bytes, files.listings) == (50, 5000, 4)


def test_a_file_that_grows_is_counted_as_it_is(gate):
    files = EvidenceFiles(gate)
    path = put(gate, "clips/a.mp4", size=10)
    files.refresh(NOW)
    path.write_bytes(bytes(5000))
    os.utime(path, (NOW, NOW))
    files.refresh(NOW + 60)
    assert files.bytes == 5000


def test_a_table_that_is_gone_on_with_after_hours_is_counted_as_it_is(gate):
    files = EvidenceFiles(gate)
    path = put(gate, "scores/a.csv", size=10, age=1)
    for later in (0, 60, 120):
        files.refresh(NOW + later)
    gate.files.add(path)
    path.write_bytes(bytes(700))
    os.utime(path, (NOW, NOW))
    files.refresh(NOW + 180)
    assert files.bytes == 700


def test_cameras_come_and_go(gate, yard):
    put(gate, "clips/a.mp4", age=3)
    put(yard, "clips/b.mp4", age=3)
    retention = keep([gate], age_days=1)
    retention.watch([yard])
    assert retention.look() == 1
    assert (names(gate), names(yard)) == (["a.mp4"], [])


def test_it_looks_by_itself_and_at_once_when_asked(gate):
    put(gate, "clips/a.mp4", age=3)
    retention = keep([gate], age_days=1)
    retention.start()
    until = time.monotonic() + 5
    while names(gate) and time.monotonic() < until:
        time.sleep(0.01)
    assert names(gate) == []
    put(gate, "clips/b.mp4", age=3)
    while names(gate) and time.monotonic() < until:
        retention.hurry()
        time.sleep(0.01)
    assert names(gate) == []
    retention.close(5)
    retention.close(5)


@pytest.mark.parametrize("wrong", [{"age_days": -1}, {"most_bytes": -1}, {"free_bytes": -1}])
def test_negative_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match="must not be negative"):
        RetentionSettings(**wrong)

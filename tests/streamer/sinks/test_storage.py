"""A full disk stops recording with one event, and recording goes on by itself."""

from __future__ import annotations

import errno
import json
from datetime import timedelta
from fractions import Fraction
from importlib.resources import files

import jsonschema
import pytest

from preprocess.errors import OutputError
from streamer.events import MessageKind
from streamer.sinks.event_log import event_record
from streamer.sinks.json_text import json_bytes
from streamer.sinks.storage import StorageWatch, storage_reason
from streamer.sinks.writing import told_as_output_errors
from tests.streamer.packets import START

SCHEMA = json.loads(files("streamer").joinpath("schemas/event.schema.json").read_text())


class Disk:
    """A disk whose free bytes the test says, and a clock of its own."""

    def __init__(self):
        self.told = []
        self.seconds = 0.0
        self.free = 0
        self.looks = 0
        self.storage = StorageWatch(
            self.told.append,
            check_seconds=10,
            room_bytes=1000,
            clock=lambda: self.seconds,
            now=lambda: START + timedelta(seconds=self.seconds),
            free=self.look,
        )

    def look(self, path):
        self.looks += 1
        return self.free


@pytest.fixture
def disk():
    return Disk()


def test_there_is_one_event_however_many_files_fail(disk, tmp_path):
    assert disk.storage.may_write()
    disk.storage.failed("gate", tmp_path, "the disk is full")
    disk.storage.failed("yard", tmp_path, "the disk is full")
    (message,) = disk.told
    assert (message.kind, message.event.kind, message.event.source) == (MessageKind.NEW, "storage_full", "gate")
    assert message.event.detail == "recording stopped: the disk is full"
    assert message.event.start == Fraction(START.timestamp())
    assert disk.storage.full
    jsonschema.validate(json.loads(json_bytes(event_record(message.event))), SCHEMA)


def test_recording_goes_on_once_there_is_room_and_only_then(disk, tmp_path):
    disk.storage.failed("gate", tmp_path, "the disk is full")
    disk.free, disk.seconds = 10**6, 9.9
    assert not disk.storage.may_write()  # it is not yet time to look
    assert disk.looks == 0
    disk.free, disk.seconds = 999, 10
    assert not disk.storage.may_write()
    disk.free = 1000
    assert not disk.storage.may_write()
    assert disk.looks == 1
    disk.seconds = 20
    assert disk.storage.may_write()
    new, end = disk.told
    assert (end.kind, end.event.id) == (MessageKind.END, new.event.id)
    assert end.event.end - end.event.start == 20
    assert (disk.storage.stops, disk.storage.full) == (1, False)
    assert list(tmp_path.iterdir()) == []  # what it tried with is gone


def test_a_disk_with_room_that_takes_nothing_is_not_room(disk, tmp_path):
    disk.storage.failed("gate", tmp_path / "unmounted" / "clips", "the folder is gone")
    disk.free, disk.seconds = 10**9, 10
    assert not disk.storage.may_write()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_somebody_deleted_is_made_again(disk, tmp_path):
    disk.storage.failed("gate", tmp_path / "clips", "the folder is gone")
    disk.free, disk.seconds = 10**9, 10
    assert disk.storage.may_write()
    assert (tmp_path / "clips").is_dir()


def test_who_asks_for_more_room_gets_it(disk, tmp_path):
    disk.storage.failed("gate", tmp_path, "only 5 MB are free", room_bytes=5000)
    disk.free, disk.seconds = 4999, 10
    assert not disk.storage.may_write()
    disk.free, disk.seconds = 5000, 20
    assert disk.storage.may_write()


def test_an_error_says_whether_it_is_the_disks(tmp_path):
    assert storage_reason(OSError(errno.ENOSPC, "x")) == "the disk is full"
    assert storage_reason(ValueError("a packet")) is None
    assert storage_reason(OSError(errno.EINVAL, "x")) is None
    with pytest.raises(OutputError) as told, told_as_output_errors(tmp_path):
        raise OSError(errno.EROFS, "x")
    assert storage_reason(told.value) == "the disk is read-only"

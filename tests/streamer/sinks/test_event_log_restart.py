"""A log goes on across restarts and full disks, with whole lines only."""

from __future__ import annotations

import errno
import json

import pytest

from preprocess.errors import OutputError
from streamer.sinks.event_log import EventLog, read_events
from tests.streamer.packets import event_at


def ids(path):
    return [record["id"] for record in read_events(path)]


def test_a_restart_appends(tmp_path):
    path = tmp_path / "events.jsonl"
    for moment in (1, 2, 3):
        with EventLog(path, append=True) as log:
            log.write(event_at(moment))
            assert log.written == 1
    assert ids(path) == [event_at(moment).id for moment in (1, 2, 3)]


@pytest.mark.parametrize("cut", [1, 2, 30, 300])
def test_a_line_that_a_kill_cut_off_is_repaired(tmp_path, cut):
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log.write(event_at(1))
        log.write(event_at(2))
    path.write_bytes(path.read_bytes()[:-cut])
    with EventLog(path, append=True) as log:
        log.write(event_at(3))
    # A line that lacks only its end is whole.
    wanted = [1, 2, 3] if cut == 1 else [1, 3]
    assert ids(path) == [event_at(moment).id for moment in wanted]


def test_a_run_still_begins_an_empty_log(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text("old\n")
    EventLog(path).close()
    assert path.read_bytes() == b""


class FullDisk:
    """Takes some bytes more, and then none."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, content):
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "no space left on device")
        part = content[: self.room]
        self.room -= len(part)
        return self.file.write(part)

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("room", [0, 100])
def test_on_a_full_disk_no_half_line_stays_and_no_event_is_lost(tmp_path, room):
    path = tmp_path / "events.jsonl"
    with EventLog(path, append=True) as log:
        assert log.offer(event_at(1)) is None
        really = log._file
        log._file = FullDisk(really, room)
        for moment in (2, 3):
            assert "no space left" in str(log.offer(event_at(moment)))
        with pytest.raises(OutputError, match="free some space"):
            log.write(event_at(4))
        assert log.waiting == 2
        assert ids(path) == [event_at(1).id]
        assert path.read_bytes().endswith(b"\n")
        log._file = really
        assert log.offer() is None
        assert log.offer(event_at(5)) is None
        assert (log.waiting, log.written) == (0, 4)
    assert ids(path) == [event_at(moment).id for moment in (1, 2, 3, 5)]
    assert all(json.loads(line) for line in path.read_text().splitlines())

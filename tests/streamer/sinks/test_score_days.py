"""One table per day of the camera's time zone, whole lines only, and no disk that stops the watching."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.base import Region, Verdict
from streamer.live.folder import LiveFolder
from streamer.sinks import score_days
from streamer.sinks.score_days import COLUMNS, ScoreDays, read_day
from streamer.sinks.score_table import ScoreRow
from streamer.sinks.storage import StorageWatch
from streamer.sinks.tails import cut_torn_line
from tests.streamer.packets import START


@pytest.fixture
def gate(tmp_path):
    with LiveFolder.open(tmp_path, "gate") as folder:
        yield folder


def row(index, note="", *, alarm=True):
    regions = (Region(8, 16, 24, 32, 5.0, 700), Region(1, 2, 3, 4, 4.0, 12)) if alarm else ()
    verdict = Verdict(5.25, 10.0**-5.25, 0.4, 0.6, alarm, np.zeros((1, 1), np.float32), regions)
    return ScoreRow.scored(index, Fraction(1772352000) + Fraction(index, 10), verdict, note=note)


def put(days, seconds, index=0, note=""):
    days.write(START + timedelta(seconds=seconds), row(index, note))


def tables(folder):
    return sorted(path.name for path in folder.scores.iterdir())


def test_a_row_says_when_how_much_and_why_not(gate):
    with ScoreDays(gate, ZoneInfo("Europe/Berlin")) as days:
        put(days, 0.125, note="held back: lighting change")
        days.write(START, ScoreRow.unscored(1, Fraction(3, 2), "warm-up"))
    scored, unscored = read_day(gate.scores / "2026-03-01.csv")
    assert scored == {
        "time": "2026-03-01T09:00:00.125+01:00",
        "pts": "1772352000",
        "score": "5.25",
        "p_value": "5.62341e-06",
        "inpainter": "0.4",
        "detector": "0.6",
        "alarm": "1",
        "regions": "8 16 24 32;1 2 3 4",
        "note": "held back: lighting change",
    }
    assert (unscored["score"], unscored["alarm"], unscored["note"]) == ("", "0", "warm-up")


def test_the_day_is_the_cameras_own(gate):
    with ScoreDays(gate, ZoneInfo("Asia/Tokyo")) as days:
        for hour in range(0, 30, 3):
            put(days, hour * 3600)
    assert tables(gate) == ["2026-03-01.csv", "2026-03-02.csv"]
    assert [entry["time"][:13] for entry in read_day(gate.scores / "2026-03-02.csv")] == [
        f"2026-03-02T{hour:02}" for hour in range(2, 21, 3)
    ]


def test_the_hour_that_comes_twice_is_told_apart(gate):
    night = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    with ScoreDays(gate, ZoneInfo("Europe/Berlin")) as days:
        days.write(night, row(0))
        days.write(night + timedelta(hours=1), row(1))
    first, second = read_day(gate.scores / "2026-10-25.csv")
    assert (first["time"][11:], second["time"][11:]) == ("02:30:00.000+02:00", "02:30:00.000+01:00")


def test_rows_reach_the_file_once_a_second(gate):
    seconds = [0.0]
    days = ScoreDays(gate, clock=lambda: seconds[0])
    for index in range(5):
        put(days, index / 10)
    assert tables(gate) == []
    assert days.waiting == 5
    seconds[0] = 1.0
    put(days, 1)
    assert len(list(read_day(gate.scores / "2026-03-01.csv"))) == 6
    put(days, 1.1)
    days.flush()
    assert len(list(read_day(gate.scores / "2026-03-01.csv"))) == 7
    assert gate.scores / "2026-03-01.csv" in gate.files
    days.close()
    days.close()
    assert gate.scores / "2026-03-01.csv" not in gate.files
    assert (days.written, days.lost) == (7, 0)


def test_a_restart_goes_on_in_the_days_table_and_repairs_its_last_line(gate):
    with ScoreDays(gate) as days:
        put(days, 0)
        put(days, 1)
    path = gate.scores / "2026-03-01.csv"
    path.write_bytes(path.read_bytes()[:-9])
    assert len(list(read_day(path))) == 1
    with ScoreDays(gate) as days:
        put(days, 2)
    assert [entry["time"][17:19] for entry in read_day(path)] == ["00", "02"]
    assert path.read_text().count(",".join(COLUMNS)) == 1


def test_a_table_whose_heading_was_cut_off_gets_it_again(gate):
    path = gate.scores / "2026-03-01.csv"
    path.write_text("time,pt")
    with ScoreDays(gate) as days:
        put(days, 0)
    assert path.read_text().startswith(",".join(COLUMNS) + "\n")


@given(lines=st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b""))), torn=st.binary(max_size=99))
def test_cutting_a_torn_line_leaves_all_whole_ones(tmp_path_factory, lines, torn):
    path = tmp_path_factory.mktemp("tail") / "file"
    torn = torn.replace(b"\n", b"")
    whole = b"".join(line + b"\n" for line in lines)
    path.write_bytes(whole + torn)
    assert cut_torn_line(path) == len(torn)
    assert path.read_bytes() == whole


def test_a_torn_line_longer_than_any_block_is_cut(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"whole\n" + b"x" * 200_000)
    assert cut_torn_line(path) == 200_000
    assert path.read_bytes() == b"whole\n"
    assert cut_torn_line(tmp_path / "absent") == 0


def test_while_the_disk_is_full_rows_wait_and_then_they_are_written(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("this machine lets nobody mount a small disk")
    told, seconds = [], [0.0]
    try:
        with LiveFolder.open(disk, "gate") as folder:
            storage = StorageWatch(told.append, room_bytes=100_000, clock=lambda: seconds[0])
            days = ScoreDays(folder, storage=storage, clock=lambda: seconds[0])
            (disk / "others").write_bytes(bytes(230_000))
            for index in range(2000):
                seconds[0] += 0.01
                put(days, index / 100, index)
            assert [message.kind.value for message in told] == ["new"]
            assert days.waiting > 500
            (disk / "others").unlink()
            seconds[0] += 20
            put(days, 30, 2000)
            days.close()
            assert [message.kind.value for message in told] == ["new", "end"]
            assert (days.written, days.lost) == (2001, 0)
            pts = [entry["pts"] for entry in read_day(folder.scores / "2026-03-01.csv")]
            assert len(pts) == len(set(pts)) == 2001
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_what_waits_is_bounded(gate, monkeypatch):
    monkeypatch.setattr(score_days, "MOST_ROWS", 10)
    storage = StorageWatch(lambda message: None, free=lambda path: 0)
    storage.failed("gate", gate.path, "the disk is full")
    days = ScoreDays(gate, storage=storage, clock=lambda: 0.0)
    for index in range(25):
        put(days, index, index)
    assert (days.waiting, days.lost) == (10, 15)
    days.close()
    assert [entry["time"][17:19] for entry in read_day(gate.scores / "2026-03-01.csv")] == [
        str(second) for second in range(15, 25)
    ]

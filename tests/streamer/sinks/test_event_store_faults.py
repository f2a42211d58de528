"""The event store when things go wrong: kills, damage, full disks, and what it lets go of."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from preprocess.errors import OutputError
from streamer.sinks import store_file
from streamer.sinks.event_store import EventStore
from tests.streamer.sinks.notices_for_tests import AT, told
from tests.streamer.sinks.store_for_tests import Opener, full, kinds, roomy

ROOT = Path(__file__).parents[3]


@pytest.fixture
def opened(tmp_path):
    opener = Opener(tmp_path / "events.sqlite3")
    yield opener
    opener.close()


CHILD = """
import sys
from pathlib import Path
from tests.streamer.sinks.notices_for_tests import told
from streamer.sinks.event_store import EventStore

store = EventStore(Path(sys.argv[1]))
store.register("all")
for number in range(1, 1_000_000):
    print(store.append(told("new", number=number)), flush=True)
"""


@pytest.mark.parametrize("lines", [1, 150])
def test_every_append_that_returned_survives_a_kill(tmp_path, lines):
    path = tmp_path / "events.sqlite3"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    told_of = [int(child.stdout.readline()) for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    told_of += [int(line) for line in child.stdout.read().splitlines()]
    child.wait()
    warnings: list[str] = []
    with EventStore(path, warn=warnings.append) as store:
        stored = [message.sequence for message in store.pending("all", limit=1_000_000)]
        assert len(store.end_open_events()) == len(stored)
    assert warnings == []
    assert stored[: len(told_of)] == told_of
    assert len(stored) <= len(told_of) + 1  # the one under way


def test_others_read_while_it_writes(opened):
    path = opened.path
    store = opened()
    store.register("all")
    failures: list[object] = []
    done = threading.Event()

    def read() -> None:
        before = 0
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            while not done.is_set():
                (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
                whole = connection.execute("SELECT record FROM events").fetchall()
                if count < before or not all(json.loads(record) for (record,) in whole):
                    failures.append(count)
                before = count

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(100):
        store.append(told("new", number=1 + number))
    done.set()
    for reader in readers:
        reader.join(10)
    assert failures == []
    assert store.waiting == 0
    assert len(store.pending("all", limit=1000)) == 100


@pytest.mark.parametrize("damage", ["garbage", "middle", "header", "empty"])
def test_a_damaged_file_is_moved_aside_with_one_warning_and_a_new_one_begun(opened, damage):
    path, warnings, clock = opened.path, opened.warnings, opened.clock
    store = opened()
    store.register("all")
    with store.together():
        for number in range(100):
            last = store.append(told("new", number=1 + number))
    store.close()
    data = bytearray(path.read_bytes())
    if damage == "garbage":
        data = bytearray(b"no database " * 1000)
    elif damage == "middle":
        data[4096 * 2 :] = b"\xa5" * (len(data) - 4096 * 2)
    elif damage == "header":
        data[:16] = b"\0" * 16
    else:
        data = bytearray()
    path.write_bytes(data)
    clock.pass_by(60)
    store = opened()
    if damage == "empty":  # an empty file is a database without tables
        assert warnings == []
    else:
        (warning,) = warnings
        (aside,) = [other for other in path.parent.iterdir() if "damaged" in other.name]
        assert aside.name in warning
        assert aside.read_bytes() == data
    store.register("all")
    assert store.append(told("new", number=1000)) > last
    assert kinds(store) == ["new"]


def test_damage_met_while_it_runs_costs_what_was_not_delivered_and_no_more(opened, monkeypatch):
    path, warnings = opened.path, opened.warnings
    monkeypatch.setattr(store_file, "CHECKED_BYTES", 0)
    store = opened()
    store.register("all")
    with store.together():
        for number in range(200):
            store.append(told("new", number=1 + number))
    store = opened()  # nothing of it in SQLite's memory
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    assert store.pending("all") == []
    assert store.lost("all") == 200
    assert len(warnings) == 1
    store.append(told("new", number=1000))
    assert kinds(store) == ["new"]
    assert len(store.events()) == 1
    store = opened()
    assert kinds(store) == ["new"]
    assert store.lost("all") == 200


def test_on_a_full_disk_messages_wait_in_memory_and_are_delivered_from_there(opened):
    warnings, clock = opened.warnings, opened.clock
    store = opened()
    store.register("all")
    first = store.append(told("new", number=1))
    full(store)
    store.append(told("new", number=2, detail="x" * 20_000))
    store.append(told("end", number=2))
    assert store.waiting == 2
    assert [message.document["event"]["id"] for message in store.pending("all")] == ["gate-1000", *["gate-2000"] * 2]
    assert [message.kind for message in store.pending("all", limit=2)] == ["new", "new"]
    store.delivered("all", first + 1)
    assert kinds(store) == ["end"]
    assert store.queued("all") == 1
    assert not store.flush()
    roomy(store)
    clock.pass_by(2)
    assert store.flush()
    assert store.waiting == 0
    assert [text.split("; ")[0].split(": ", 1)[1] for text in warnings] == [
        "nothing can be stored (the disk is full)",
        "events are stored again",
    ]
    store = opened()
    assert kinds(store) == ["end"]
    assert {row.id: row.end_at is None for row in store.events()} == {"gate-1000": True, "gate-2000": False}


@contextmanager
def no_room_for_a_log(path):
    """Keep SQLite from making its write-ahead log, as a full disk does after a clean end took the last one away."""
    obstacle = path.with_name(path.name + "-wal")
    obstacle.mkdir()
    yield
    obstacle.rmdir()


def delivered(store, sink) -> list[int]:
    sequences = [message.sequence for message in store.pending(sink, limit=1000)]
    for sequence in sequences:
        store.delivered(sink, sequence)
    return sequences


def test_a_start_on_a_full_disk_delivers_everything_once_and_stores_it_when_there_is_room(opened):
    path, warnings, clock = opened.path, opened.warnings, opened.clock
    store = opened()
    store.register("quick")
    store.register("slow")
    known = [store.append(told(step, number=1)) for step in ("new", "end")]
    assert delivered(store, "quick") == known
    store.close()
    with no_room_for_a_log(path):
        store = opened()
        assert store.register("quick") == known[-1]
        store.register("late")
        added = [store.append(told(step, number=2)) for step in ("new", "end")]
        assert added == [known[-1] + 1, known[-1] + 2]
        assert store.waiting == 2
        assert delivered(store, "quick") == delivered(store, "late") == added
        assert delivered(store, "slow") == [*known, *added]  # what was stored before can still be read
        assert [row.id for row in store.events()] == ["gate-1000"]
        assert store.prune(clock.now + timedelta(days=1)) == 0
        assert not store.flush()
        clock.pass_by(2)
        assert not store.flush()
    clock.pass_by(2)
    assert store.flush()
    added.append(store.append(told("new", number=3)))
    assert added[-1] == added[-2] + 1
    assert delivered(store, "quick") == delivered(store, "slow") == delivered(store, "late") == added[-1:]
    assert [text.split("; ")[0].split(": ", 1)[1] for text in warnings] == [
        "nothing can be stored (it cannot be opened)",
        "events are stored again",
    ]
    store = opened()
    assert [store.pending(sink) for sink in ("quick", "slow", "late")] == [[], [], []]
    assert [row.id for row in store.events()] == ["gate-3000", "gate-2000", "gate-1000"]
    assert [message.sequence for message in store.pending("quick", after=0)] == known + added


def test_a_number_that_went_out_from_memory_is_not_given_again(opened):
    clock = opened.clock
    store = opened()
    store.register("all")
    full(store)
    gone = [store.append(told("new", number=number, detail="x" * 20_000)) for number in (1, 2)]
    assert delivered(store, "all") == gone
    store.close()
    clock.pass_by(1)
    store = opened()
    assert store.pending("all") == []
    assert store.append(told("new", number=3)) > gone[-1]
    assert (len(kinds(store)), store.queued("all"), store.lost("all")) == (1, 1, 0)


def test_room_is_noticed_where_nothing_happens(opened):
    path, clock = opened.path, opened.clock
    opened().close()
    with no_room_for_a_log(path):
        store = opened()
        clock.pass_by(2)
        assert store.flush()  # nothing waits
    clock.pass_by(2)
    assert store.flush()
    assert opened.warnings[-1].endswith("events are stored again")


def test_events_left_open_are_ended_once_on_a_full_disk(opened):
    path, clock = opened.path, opened.clock
    store = opened()
    store.register("all")
    store.append(told("new"))
    store.close()
    with no_room_for_a_log(path):
        store = opened()
        assert len(store.end_open_events()) == 1
        assert store.end_open_events() == store.open_events() == []
        assert kinds(store) == ["new", "end"]
    clock.pass_by(2)
    assert store.flush()
    assert kinds(opened()) == ["new", "end"]


def test_what_a_log_beside_the_database_holds_is_not_passed_over(opened):
    path = opened.path
    opened().close()
    store_file.open_for_reading(path).close()
    path.with_name(path.name + "-wal").write_bytes(b"what a kill left")
    with pytest.raises(sqlite3.OperationalError, match="log cannot be read"):
        store_file.open_for_reading(path)


@pytest.mark.parametrize("content", [None, b""])
def test_a_full_disk_without_a_database_is_refused(opened, content):
    path = opened.path
    if content is not None:
        path.write_bytes(content)
    with no_room_for_a_log(path), pytest.raises(OutputError, match="free some space, or choose another folder"):
        opened()


def test_on_a_full_disk_the_database_of_another_program_is_still_refused(opened):
    path = opened.path
    with closing(sqlite3.connect(path)) as other:
        other.executescript("PRAGMA journal_mode=WAL; CREATE TABLE theirs (a)")
    with no_room_for_a_log(path), pytest.raises(OutputError, match="another program"):
        opened()


def test_what_a_full_disk_never_took_is_told_at_the_end(opened):
    warnings = opened.warnings
    store = opened()
    full(store)
    store.append(told("new", detail="x" * 20_000))
    store.close()
    assert warnings[-1].endswith("1 messages could not be stored before the end and are lost")
    assert opened().events() == []


def test_what_waits_in_memory_is_bounded_and_updates_go_first(opened):
    clock = opened.clock
    store = opened(waiting=10)
    store.register("all")
    full(store)
    store.append(told("new", number=1, detail="x" * 40_000))
    for _ in range(15):
        store.append(told("update", number=1))
    store.append(told("end", number=1))
    for number in range(2, 6):
        store.append(told("new", number=number))
    assert (store.waiting, store.dropped, store.lost("all")) == (10, 11, 11)
    assert kinds(store) == ["new", *["update"] * 4, "end", *["new"] * 4]
    for number in range(6, 16):
        store.append(told("new", number=number))
    assert kinds(store) == ["new"] * 10
    roomy(store)
    clock.pass_by(2)
    assert store.flush()
    assert opened().lost("all") == store.lost("all") == 21


def test_a_database_that_somebody_holds_is_waited_for(opened, monkeypatch):
    path, clock, warnings = opened.path, opened.clock, opened.warnings
    monkeypatch.setattr(store_file, "BUSY_SECONDS", 0.05)
    store = opened()
    store.register("all")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.append(told("new"))
        assert (store.waiting, kinds(store)) == (1, ["new"])
        other.execute("COMMIT")
    clock.pass_by(2)
    assert store.flush()
    assert "another program holds it" in warnings[0]


def test_pruning_keeps_what_sinks_still_need_up_to_an_age(opened):
    clock = opened.clock
    store = opened(undelivered=timedelta(days=7))
    store.register("quick")
    store.register("slow")
    for day in range(10):
        for step in ("new", "end"):
            notice = told(step, number=1 + day, start_time=clock.now, end_time=clock.now)
            last = store.append(replace(notice, at=clock.now))
        clock.pass_by(86400)
    store.append(replace(told("new", number=100, start_time=AT), at=clock.now))
    store.delivered("quick", last)
    assert store.prune(clock.now - timedelta(days=5)) == 6 + 5  # messages of days 0 to 2, events of days 0 to 4
    assert (store.lost("quick"), store.lost("slow")) == (0, 6)
    assert len(store.pending("slow")) == 15
    assert len(store.open_events()) == 1  # however old
    store.delivered("slow", last)
    assert store.prune(clock.now - timedelta(days=5)) == 4
    assert store.prune(clock.now - timedelta(days=5)) == 0
    store = opened()
    assert store.lost("slow") == 6


def test_pruning_keeps_the_number_of_messages_and_gives_up_updates_first(opened):
    store = opened(messages=20, events=3)
    store.register("away")
    for number in range(1, 11):
        for step in ("new", "update", "update", "end"):
            moment = AT + timedelta(seconds=number)
            store.append(told(step, number=number, start_time=moment, end_time=moment))
    assert store.prune(AT - timedelta(days=1)) == 20 + 7
    assert kinds(store, "away") == ["new", "end"] * 10
    assert store.lost("away") == 20
    assert [row.id for row in store.events()] == ["gate-10000", "gate-9000", "gate-8000"]


def test_what_everybody_has_goes_before_what_somebody_needs(opened):
    store = opened(messages=5)
    store.register("all")
    for number in range(1, 11):
        sequence = store.append(told("new", number=number))
    store.delivered("all", sequence - 4)
    store.prune(AT - timedelta(days=1))
    assert (len(store.pending("all")), store.lost("all")) == (4, 0)


def test_the_file_shrinks_when_it_is_pruned(opened):
    path = opened.path
    store = opened()
    with store.together():
        for number in range(1, 200):
            for step in ("new", "end"):
                store.append(told(step, number=number, detail="x" * 2000))
    store = opened()
    before = path.stat().st_size
    store.prune(AT + timedelta(days=1))
    store.close()
    assert path.stat().st_size < before / 4

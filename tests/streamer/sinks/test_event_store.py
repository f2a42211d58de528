"""What the event store promises: nothing that was stored is gone, whatever happens to the program or the disk."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.errors import OutputError, UsageError
from streamer.sinks import store_file
from streamer.sinks.event_store import ENDED_BY_A_STOP, EventStore
from streamer.sinks.messages import utc_text
from streamer.sinks.store_pruning import StoreLimits
from tests.streamer.sinks.notices_for_tests import AT, FOLDER, state, told

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads(files("streamer").joinpath("schemas/message.schema.json").read_text())
EVENT_SCHEMA = json.loads(files("streamer").joinpath("schemas/event.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


class Clock:
    """A wall clock and a stopwatch that stand still until they are told."""

    def __init__(self) -> None:
        self.now = AT
        self.seconds = 0.0

    def pass_by(self, seconds) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds

    def wall(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "events.sqlite3"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def opened(path, clock, warnings):
    """Opens the store, and closes what is open before it opens it again."""
    stores: list[EventStore] = []

    def begin(**limits) -> EventStore:
        for store in stores:
            store.close()
        known = {"limits": StoreLimits(**limits), "clock": clock.wall, "monotonic": clock.monotonic}
        stores.append(EventStore(path, warn=warnings.append, **known))
        return stores[-1]

    yield begin
    for store in stores:
        store.close()


def kinds(store, sink="all") -> list[str]:
    return [message.kind for message in store.pending(sink)]


def full(store, *, more_pages=0):
    """Leave the database no room to grow: SQLite then fails as on a full disk."""
    connection = store._core._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages + more_pages}")


def roomy(store):
    store._core._connection.execute("PRAGMA max_page_count=1000000")


def test_what_was_stored_is_there_after_a_restart(opened):
    store = opened()
    store.register("all")
    sequences = [store.append(state("watching")), store.append(told("new", zones=("door",))), store.append(told("end"))]
    assert sequences == sorted(set(sequences))
    store = opened()
    messages = store.pending("all")
    assert [(message.sequence, message.kind) for message in messages] == list(
        zip(sequences, ["state", "new", "end"], strict=True)
    )
    assert [message.folder for message in messages] == [None, FOLDER, FOLDER]
    (row,) = store.events()
    assert (row.id, row.camera, row.kind, row.start_at) == ("gate-1000", "gate", "anomaly", "2026-03-01T08:00:12.300Z")
    assert row.end_at == "2026-03-01T08:00:12.300Z"
    assert (row.peak_level, row.provisional) == (6.5, 0)
    jsonschema.Draft202012Validator(EVENT_SCHEMA).validate(row.document)
    assert store.cameras()["gate"].state == "watching"


def test_every_message_follows_the_documented_schema(opened):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    store = opened()
    store.register("all")
    for notice in (state("offline", cause="time-out"), told("new"), told("update"), told("end", clip="clips/a.mp4")):
        store.append(notice)
    for message in store.pending("all"):
        VALIDATOR.validate(message.document)
        assert message.document["sequence"] == message.sequence
        assert message.document["message"] == message.kind


def test_the_schema_of_messages_knows_every_field_of_an_event_but_its_track():
    event = SCHEMA["$defs"]["event"]["properties"]
    assert event == {name: value for name, value in EVENT_SCHEMA["properties"].items() if name != "track"}


def test_a_new_sink_begins_at_the_present_and_a_known_one_where_it_stopped(opened):
    store = opened()
    store.register("all")
    store.append(told("new"))
    second = store.append(told("end"))
    store.register("late")
    assert kinds(store, "late") == []
    store.delivered("all", second - 1)
    store = opened()
    assert store.register("all") == second - 1
    assert kinds(store) == ["end"]
    assert store.register("late") == second
    assert store.queued("all") == 1
    store.unregister("late")
    assert opened().sinks() == ("all",)


def test_every_new_has_its_end_also_after_a_kill(opened, clock):
    store = opened()
    store.register("all")
    store.append(told("new", number=1))
    store.append(told("end", number=1))
    store.append(told("new", number=2, detail="dark"))
    store.append(told("new", camera="yard"))
    assert {row.id for row in store.open_events()} == {"gate-2000", "yard-1000"}
    clock.pass_by(60)
    store = opened()
    ends = store.end_open_events()
    assert [message.kind for message in ends] == ["end", "end"]
    assert kinds(store) == ["new", "end", "new", "new", "end", "end"]
    details = {message.document["event"]["id"]: message.document["event"]["detail"] for message in ends}
    assert details == {"gate-2000": f"dark; {ENDED_BY_A_STOP}", "yard-1000": ENDED_BY_A_STOP}
    for message in ends:
        VALIDATOR.validate(message.document)
        assert message.document["at"] == utc_text(AT + timedelta(seconds=60))
    assert store.open_events() == []
    assert store.end_open_events() == []


def test_a_late_update_with_the_clip_does_not_open_an_event_again(opened):
    store = opened()
    for notice in (told("new"), told("end"), told("update", clip="clips/gate-1000.mp4")):
        store.append(notice)
    with store.together():
        for notice in (told("new", number=2), told("end", number=2), told("update", number=2, clip="b.mp4")):
            store.append(notice)
    assert store.open_events() == []
    assert [row.clip for row in store.events()] == ["b.mp4", "clips/gate-1000.mp4"]


def test_events_are_found_by_camera_kind_and_time(opened):
    store = opened()
    for hour in range(4):
        moment = AT + timedelta(hours=hour)
        store.append(told("new", number=1 + hour, start_time=moment))
        store.append(told("new", "yard", 1 + hour, kind="camera_covered", start_time=moment))
    assert [row.id for row in store.events(camera="yard", limit=2)] == ["yard-4000", "yard-3000"]
    assert {row.camera for row in store.events(kind="anomaly")} == {"gate"}
    found = store.events(since=AT + timedelta(hours=1), until=AT + timedelta(hours=2))
    assert {row.id for row in found} == {"gate-2000", "yard-2000"}
    with closing(sqlite3.connect(store.path)) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM events WHERE camera = 'a' AND start_at > 'b' ORDER BY start_at"
        ).fetchall()
    assert "events_by_camera" in str(plan)


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
def test_every_append_that_returned_survives_a_kill(path, lines):
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


def test_others_read_while_it_writes(opened, path):
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


def test_threads_get_numbers_of_their_own(opened):
    store = opened()
    store.register("all")
    threads = [
        threading.Thread(target=lambda c=camera: [store.append(told("new", c, n)) for n in range(1, 21)])
        for camera in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    sequences = [message.sequence for message in store.pending("all", limit=1000)]
    assert len(sequences) == len(set(sequences)) == 80
    assert sequences == sorted(sequences)


@pytest.mark.parametrize("damage", ["garbage", "middle", "header", "empty"])
def test_a_damaged_file_is_moved_aside_with_one_warning_and_a_new_one_begun(opened, path, warnings, clock, damage):
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


def test_damage_met_while_it_runs_costs_what_was_not_delivered_and_no_more(opened, path, warnings, monkeypatch):
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


def test_on_a_full_disk_messages_wait_in_memory_and_are_delivered_from_there(opened, warnings, clock):
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


def test_what_a_full_disk_never_took_is_told_at_the_end(opened, warnings):
    store = opened()
    full(store)
    store.append(told("new", detail="x" * 20_000))
    store.close()
    assert warnings[-1].endswith("1 messages could not be stored before the end and are lost")
    assert opened().events() == []


def test_what_waits_in_memory_is_bounded_and_updates_go_first(opened, clock):
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


def test_a_database_that_somebody_holds_is_waited_for(opened, path, monkeypatch, clock, warnings):
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


def test_pruning_keeps_what_sinks_still_need_up_to_an_age(opened, clock):
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


def test_pruning_keeps_the_number_of_messages_and_gives_up_updates_first(opened, clock):
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


def test_the_file_shrinks_when_it_is_pruned(opened, path):
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


def test_a_second_writer_is_refused_and_told_why(opened, path):
    opened()
    with pytest.raises(UsageError, match="another avid-watch"):
        EventStore(path)


def test_a_database_of_a_newer_version_or_another_program_is_left_alone(opened, path, tmp_path):
    opened().close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={len(store_file.MIGRATIONS) + 1}")
    with pytest.raises(OutputError, match="newer avid-watch"):
        EventStore(path)
    foreign = tmp_path / "foreign.sqlite3"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE own (a)")
    before = foreign.read_bytes()
    with pytest.raises(OutputError, match="another program"):
        EventStore(foreign)
    assert foreign.read_bytes() == before


def test_an_older_database_is_brought_up_to_date_with_all_it_holds(opened, path, monkeypatch):
    store = opened()
    store.register("all")
    store.append(told("new"))
    store.close()
    later = (*store_file.MIGRATIONS, "ALTER TABLE events ADD COLUMN seen_by TEXT")
    monkeypatch.setattr(store_file, "MIGRATIONS", later)
    store = opened()
    assert kinds(store) == ["new"]
    store.append(told("end"))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT seen_by FROM events").fetchall() == [(None,)]


def test_a_folder_that_cannot_be_written_to_is_told_in_one_line():
    with pytest.raises(OutputError, match="cannot be written") as caught:
        EventStore(Path("/proc/events.sqlite3"))
    assert "\n" not in str(caught.value)


def test_a_closed_store_takes_nothing(opened):
    store = opened()
    store.register("all")
    store.close()
    for ask in (
        lambda: store.append(told("new")),
        lambda: store.pending("all"),
        lambda: store.delivered("all", 1),
        store.flush,
    ):
        with pytest.raises(ValueError, match="closed"):
            ask()


def test_names_that_are_no_utf8_are_stored_escaped(opened):
    store = opened()
    store.register("all")
    store.append(told("new", camera="ga\udce4te", folder=Path("/a/\udce4")))
    store.append(state("watching", camera="ga\udce4te"))
    store = opened()
    assert [message.camera for message in store.pending("all")] == ["ga\\udce4te"] * 2


ZONES = st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=ZONES), st.datetimes(timezones=ZONES))
def test_times_in_the_store_sort_like_the_moments_they_stand_for(one, other):
    try:
        texts = utc_text(one), utc_text(other)
    except OverflowError:  # the first and the last day of the calendar, in another time zone
        return
    assert (texts[0] < texts[1]) <= (one < other)
    assert abs(datetime.fromisoformat(texts[0]) - one) < timedelta(milliseconds=1)


def test_a_moment_without_a_time_zone_is_refused_and_nothing_is_stored(opened):
    store = opened()
    store.register("all")
    with pytest.raises(ValueError, match="time zone"):
        store.append(replace(told("new"), at=datetime(2026, 3, 1)))  # noqa: DTZ001 - the mistake tested
    assert kinds(store) == []

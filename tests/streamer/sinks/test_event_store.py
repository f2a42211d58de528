"""What the event store holds, for whom, and since when."""

from __future__ import annotations

import json
import sqlite3
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
from tests.streamer.sinks.notices_for_tests import AT, FOLDER, state, told
from tests.streamer.sinks.store_for_tests import Opener, kinds

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads(files("streamer").joinpath("schemas/message.schema.json").read_text())
EVENT_SCHEMA = json.loads(files("streamer").joinpath("schemas/event.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


@pytest.fixture
def opened(tmp_path):
    opener = Opener(tmp_path / "events.sqlite3")
    yield opener
    opener.close()


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


def test_every_new_has_its_end_also_after_a_kill(opened):
    clock = opened.clock
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


def test_a_second_writer_is_refused_and_told_why(opened):
    path = opened.path
    opened()
    with pytest.raises(UsageError, match="another avid-watch"):
        EventStore(path)


def test_a_database_of_a_newer_version_or_another_program_is_left_alone(opened, tmp_path):
    path = opened.path
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


def test_an_older_database_is_brought_up_to_date_with_all_it_holds(opened, monkeypatch):
    path = opened.path
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

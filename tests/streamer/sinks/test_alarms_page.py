"""docs/alarms.md: its queries run, its signature check works, its messages are what goes out."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streamer.sinks.event_store import EventStore
from streamer.sinks.sink_names import apprise_names, webhook_names
from streamer.sinks.store_pruning import StoreLimits
from streamer.sinks.webhook import signature
from tests.streamer.sinks.notices_for_tests import state, told

PAGE = (Path(__file__).parents[3] / "docs" / "alarms.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The first fenced block of a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_queries_run_and_use_columns_that_exist(tmp_path):
    path = tmp_path / "events.sqlite3"
    now = datetime.now(UTC)
    with EventStore(path) as store:
        store.register("webhook alarms.example")
        store.append(told("new", zones=("door",), start_time=now, snapshot="snapshots/gate-1000.jpg"))
        offline = told("end", number=2, kind="camera_offline", start_time=now, end_time=now + timedelta(minutes=5))
        store.append(offline)
        store.append(replace(state("offline"), at=now))
    queries = [query for query in block("sql").split(";") if query.strip()]
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        answers = [connection.execute(query).fetchall() for query in queries]
    strongest, open_ones, per_day, offline_minutes, in_zone, behind = answers
    assert strongest[0][1:] == ("gate", 6.5, "/nowhere/gate.avid/snapshots/gate-1000.jpg")
    assert [row[:2] for row in open_ones] == [("gate", "anomaly")]
    assert per_day[0][2] == 2
    assert offline_minutes == [("gate", 5.0)]
    assert [row[0] for row in in_zone] == ["gate-1000"]
    assert behind == [("webhook alarms.example", 3, 0, "")]


def test_the_tables_named_have_the_columns_named(tmp_path):
    path = tmp_path / "events.sqlite3"
    EventStore(path).close()
    rows = re.findall(r"^\| `(events|messages|cameras|sinks)` \| [^|]* \| (.*) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 4
    with closing(sqlite3.connect(path)) as connection:
        for table, columns in rows:
            known = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            assert re.findall(r"`(\w+)`", columns) == known


def test_the_signature_check_takes_what_is_genuine_and_nothing_else():
    names: dict[str, object] = {}
    exec(block("python"), names)  # noqa: S102 - our own page
    is_genuine = names["is_genuine"]
    body, stamp = b'{"version":1}', str(int(time.time()))
    headers = {"X-Avid-Watch-Timestamp": stamp, "X-Avid-Watch-Signature": signature(b"secret", stamp, body)}
    assert is_genuine(headers, body, "secret")
    assert not is_genuine(headers, body + b" ", "secret")
    assert not is_genuine(headers, body, "other")
    assert not is_genuine({}, body, "secret")
    assert not is_genuine(headers | {"X-Avid-Watch-Timestamp": str(int(stamp) + 1)}, body, "secret")
    old = str(int(stamp) - 1000)
    replayed = {"X-Avid-Watch-Timestamp": old, "X-Avid-Watch-Signature": signature(b"secret", old, body)}
    assert not is_genuine(replayed, body, "secret")


def test_the_messages_shown_have_the_fields_of_real_ones(tmp_path):
    with EventStore(tmp_path / "events.sqlite3") as store:
        store.register("all")
        store.append(told("new"))
        store.append(state("offline"))
        real = [message.document for message in store.pending("all")]
    decoder, text, shown = json.JSONDecoder(), block("json").strip(), []
    while text:
        document, end = decoder.raw_decode(text)
        shown.append(document)
        text = text[end:].lstrip()
    assert [document.keys() for document in shown] == [document.keys() for document in real]
    assert shown[0]["event"].keys() <= real[0]["event"].keys()


def test_the_limits_named_are_those_of_the_store():
    limits = StoreLimits()
    assert f"waits {limits.undelivered.days} days at most" in PAGE
    assert f"outbox holds {limits.messages:,} messages" in PAGE
    assert f"kept in memory ({limits.waiting:,};" in PAGE


@pytest.mark.parametrize("names", [webhook_names, apprise_names])
def test_names_of_sinks_are_distinct_stable_and_hold_no_secret(names):
    urls = ["https://user:hidden@a.example/hidden", "https://a.example/hidden-2?hidden", "json://hidden/x", "hidden"]
    first = names([*urls, urls[0]])
    assert len(set(first)) == 5
    assert "hidden" not in str(first).replace("webhook hidden", "")  # there the host
    assert names(urls[::-1]) == names(urls)[::-1]


def test_a_sink_whose_host_is_its_own_is_named_after_it():
    assert webhook_names(["https://a.example/x", "https://b.example/x"]) == ["webhook a.example", "webhook b.example"]
    assert apprise_names(["tgram://token/chat"]) == ["apprise tgram"]

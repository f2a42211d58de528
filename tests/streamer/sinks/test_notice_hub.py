"""Every notice goes into the store first and then to everybody; nobody's trouble is anybody else's."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from streamer.sinks.event_store import EventStore
from streamer.sinks.notice_hub import NoticeHub
from streamer.sinks.outbox_worker import IDLE_SECONDS, DeliveryError, OutboxWorker, SinkCounts
from streamer.sinks.store_sink import StoreSink
from tests.streamer.sinks.notices_for_tests import AT, score, state, told


class Receiver:
    """Takes messages; a list of those whose deliveries fail."""

    def __init__(self, name="receiver", *, away=False, hangs=None) -> None:
        self.name = name
        self.away = away
        self.hangs = hangs
        self.got: list[tuple[int, str]] = []

    def deliver(self, message) -> None:
        if self.hangs is not None:
            self.hangs.wait(30)
        if self.away:
            raise DeliveryError("nobody listens there", retry=True)
        self.got.append((message.sequence, message.kind))

    def close(self) -> None:
        pass


class Plain:
    """A sink that takes notices itself, as the one of a camera's folder."""

    def __init__(self, name="plain", *, broken=False) -> None:
        self.name = name
        self.broken = broken
        self.got: list[object] = []
        self.closed = False

    def give(self, notice) -> None:
        if self.broken:
            raise RuntimeError("broken")
        self.got.append(notice)

    def close(self, seconds) -> None:
        self.closed = True


@pytest.fixture
def store(tmp_path):
    with EventStore(tmp_path / "events.sqlite3", clock=lambda: AT) as one:
        yield one


def eventually(holds, seconds=10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.005)
    return False


def test_an_alarm_is_with_the_receiver_long_before_anybody_would_look(store):
    receiver = Receiver()
    hub = NoticeHub(StoreSink(store), [OutboxWorker(store, receiver)])
    time.sleep(0.1)  # all are idle by now
    began = time.monotonic()
    hub.give(told("new"))
    assert eventually(lambda: receiver.got)
    assert time.monotonic() - began < IDLE_SECONDS / 2
    hub.close(5)


def test_every_notice_reaches_everybody_in_order_and_is_counted(store):
    receiver, plain = Receiver(), Plain()
    hub = NoticeHub(StoreSink(store), [OutboxWorker(store, receiver), plain])
    notices = [state("watching"), told("new"), score(5.0), told("update"), told("end")]
    for notice in notices:
        hub.give(notice)
    assert eventually(lambda: len(receiver.got) == 4)
    assert [kind for _, kind in receiver.got] == ["state", "new", "update", "end"]
    assert plain.got == notices
    counts = hub.counts()
    assert counts == {
        "store": SinkCounts(queued=0, delivered=4, failed=0, lost=0),
        "receiver": SinkCounts(queued=0, delivered=4, failed=0, lost=0),
        "plain": SinkCounts(queued=0, delivered=0, failed=0, lost=0),
    }
    hub.close(5)
    assert plain.closed
    with pytest.raises(ValueError, match="closed"):
        store.flush()


def test_a_sink_that_fails_hangs_or_is_away_costs_nobody_else_anything(store):
    well, away, hanging = Receiver("well"), Receiver("away", away=True), Receiver("hanging", hangs=threading.Event())
    broken = Plain("broken", broken=True)
    sinks = [broken, *(OutboxWorker(store, one) for one in (away, hanging, well))]
    hub = NoticeHub(StoreSink(store), sinks)
    began = time.monotonic()
    for number in range(1, 101):
        hub.give(told("new", number=number))
    assert time.monotonic() - began < 1
    assert eventually(lambda: len(well.got) == 100)
    counts = hub.counts()
    assert (counts["broken"].failed, counts["away"].queued, counts["hanging"].queued) == (100, 100, 100)
    began = time.monotonic()
    hub.close(0.5)
    assert time.monotonic() - began < 3
    hanging.hangs.set()


def test_closing_stores_and_delivers_what_was_given_just_before(store):
    receiver = Receiver()
    hub = NoticeHub(StoreSink(store), [OutboxWorker(store, receiver)])
    for number in range(1, 301):
        hub.give(told("new", number=number))
    hub.close(30)
    assert len(receiver.got) == 300


def test_two_sinks_of_one_name_are_refused(store):
    with pytest.raises(ValueError, match="called plain"):
        NoticeHub(StoreSink(store, start=False), [Plain(), Plain()])


def test_a_slow_disk_slows_no_camera_and_updates_are_given_up_first(store):
    sink = StoreSink(store, capacity=4, start=False)
    for kind in ("new", "update", "update", "end"):
        sink.give(told(kind))
    sink.give(told("new", number=2))
    sink.give(told("end", number=2))
    assert sink.counts == SinkCounts(queued=4, delivered=0, failed=0, lost=2)
    sink.give(told("new", number=3))
    store.register("all")
    sink.step()
    kinds = [(message.kind, message.document["event"]["id"]) for message in store.pending("all")]
    assert kinds == [("end", "gate-1000"), ("new", "gate-2000"), ("end", "gate-2000"), ("new", "gate-3000")]
    assert sink.counts == SinkCounts(queued=0, delivered=4, failed=0, lost=3)


def test_the_lock_of_a_store_that_writes_is_not_in_the_way_of_giving(store):
    sink = StoreSink(store, start=False)
    counted = threading.Thread(target=lambda: sink.counts, daemon=True)
    with store.together():  # somebody writes, for long
        counted.start()
        began = time.monotonic()
        sink.give(told("new"))
        assert time.monotonic() - began < 1
    counted.join(10)


def test_events_left_open_by_a_kill_are_ended_before_anything_new_is_stored(store):
    store.register("all")
    store.append(told("new", number=1))
    woken: list[bool] = []
    sink = StoreSink(store, appended=lambda: woken.append(True), start=False, wall_clock=lambda: AT)
    sink.give(told("new", number=2))
    sink.step()
    sink.step()
    assert [(message.kind, message.document["event"]["id"]) for message in store.pending("all")] == [
        ("new", "gate-1000"),
        ("end", "gate-1000"),
        ("new", "gate-2000"),
    ]
    assert woken == [True, True]


def test_a_notice_that_cannot_be_stored_costs_no_other_one(store):
    warnings: list[str] = []
    sink = StoreSink(store, warn=warnings.append, start=False)
    for notice in (told("new", number=1), told("new", number=2, detail=b"bytes"), told("new", number=3)):
        sink.give(notice)
    sink.step()
    assert sink.counts == SinkCounts(queued=0, delivered=2, failed=1, lost=0)
    assert {row.id for row in store.events()} == {"gate-1000", "gate-3000"}
    (warning,) = warnings
    assert warning.startswith("gate: a message could not be stored (TypeError")


def test_the_store_is_pruned_every_hour(store, monkeypatch):
    now = [0.0]
    asked: list[object] = []
    monkeypatch.setattr(store, "prune", lambda before: asked.append(before) or 0)
    sink = StoreSink(store, keep=timedelta(days=30), wall_clock=lambda: AT, clock=lambda: now[0], start=False)
    for _ in range(181):
        sink.step()
        now[0] += 60
    assert asked == [AT - timedelta(days=30)] * 4


def test_what_a_full_disk_left_in_memory_is_written_without_a_new_notice(tmp_path):
    with EventStore(tmp_path / "e.sqlite3", clock=lambda: AT) as store:
        receiver = Receiver()
        hub = NoticeHub(sink := StoreSink(store), [OutboxWorker(store, receiver)])
        assert eventually(lambda: sink._ended_open)
        with store.together():
            connection = store._core._connection
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages}")
        hub.give(told("new", detail="x" * 20_000))
        assert eventually(lambda: receiver.got)  # alarms go out all the same
        assert sink.counts.queued == 1
        with store.together():
            connection.execute("PRAGMA max_page_count=100000")
        assert eventually(lambda: sink.counts.queued == 0)
        assert len(store.events()) == 1
        hub.close(5)


def test_a_thread_that_stumbles_goes_on(store, monkeypatch):
    warnings: list[str] = []
    monkeypatch.setattr(store, "flush", lambda: 1 / 0)
    sink = StoreSink(store, warn=warnings.append)
    assert eventually(lambda: warnings)
    sink.give(told("new"))
    assert eventually(store.events)
    sink.close(2)
    assert "ZeroDivisionError" in warnings[0]

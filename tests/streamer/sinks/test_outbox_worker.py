"""Messages reach a receiver in order, all of them, at the latest when it is back; and a dead one costs nobody else."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.sinks.event_store import EventStore
from streamer.sinks.outbox_worker import IDLE_SECONDS, BackOff, DeliveryError, OutboxWorker, SinkCounts
from tests.streamer.sinks.notices_for_tests import score, state, told


class Receiver:
    """Takes messages, or does with them what the next entry of its plan says."""

    name = "receiver"

    def __init__(self, *plan) -> None:
        self.plan = list(plan)
        self.got: list[int] = []
        self.scores: list[float] = []
        self.tries: list[int] = []
        self.closed = False

    def deliver(self, message) -> None:
        self.tries.append(message.sequence)
        trouble = self.plan.pop(0) if self.plan else None
        if trouble is not None:
            raise trouble
        self.got.append(message.sequence)

    def deliver_score(self, notice) -> None:
        trouble = self.plan.pop(0) if self.plan else None
        if trouble is not None:
            raise trouble
        self.scores.append(notice.level)

    def close(self) -> None:
        self.closed = True


class Setting:
    """A store, a worker that is stepped by hand, and a clock that stands still."""

    def __init__(self, path, receiver, **more) -> None:
        self.now = 100.0
        self.warnings: list[str] = []
        self.receiver = receiver
        self.store = EventStore(path, monotonic=lambda: self.now)
        known = {"clock": lambda: self.now, "draw": lambda: 0.999999, "warn": self.warnings.append, "start": False}
        self.worker = OutboxWorker(self.store, receiver, **(known | more))

    def append(self, count=1) -> list[int]:
        with self.store.together():
            return [self.store.append(told("new", number=1 + number)) for number in range(count)]

    def run(self, seconds) -> list[float]:
        """Step for so long; the waits between the steps."""
        until = self.now + seconds
        waits = []
        while self.now <= until:
            waits.append(self.worker.step())
            self.now += waits[-1]
        return waits


@pytest.fixture
def setting(tmp_path):
    made: list[Setting] = []

    def make(*plan, **more) -> Setting:
        made.append(Setting(tmp_path / "events.sqlite3", Receiver(*plan), **more))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


def away(text="nobody listens there", after=None) -> DeliveryError:
    return DeliveryError(text, retry=True, after=after)


def unwanted() -> DeliveryError:
    return DeliveryError("answers 400", retry=False)


def test_messages_are_delivered_in_order_and_once(setting):
    one = setting()
    sequences = one.append(120)
    assert [one.worker.step() for _ in range(3)] == [0.0, 0.0, IDLE_SECONDS]
    assert one.receiver.got == sequences
    assert one.worker.counts == SinkCounts(queued=0, delivered=120, failed=0, lost=0)
    one.worker.step()
    assert one.receiver.got == sequences


def test_while_the_receiver_is_away_the_waits_double_and_nothing_overtakes(setting):
    one = setting(*[away()] * 7, back_off=BackOff(1.0, 30.0))
    sequences = one.append(3)
    waits = one.run(120)
    assert [round(wait) for wait in waits[:8]] == [1, 2, 4, 8, 16, 30, 30, IDLE_SECONDS]
    assert one.receiver.tries == [sequences[0]] * 7 + sequences
    assert one.receiver.got == sequences
    assert one.warnings == ["receiver: nobody listens there; it is tried again", "receiver: reached again"]


def test_the_waits_are_drawn_between_half_and_all_of_their_length():
    back_off = BackOff(first=2.0, longest=20.0)
    assert [back_off.seconds(failures, 0.0) for failures in (1, 2, 3, 4, 5, 1000)] == [1, 2, 4, 8, 10, 10]
    assert back_off.seconds(2, 0.5) == 3


def test_new_messages_do_not_cut_a_wait_short(setting):
    one = setting(away(), away())
    one.append()
    one.worker.step()
    for _ in range(5):
        one.append()
        one.worker.give(told("new"))
        assert one.worker.step() > 0
    assert len(one.receiver.tries) == 1


def test_a_receiver_that_asks_for_a_pause_gets_it_up_to_a_limit(setting):
    one = setting(away(after=60.0), away(after=86400.0))
    one.append()
    assert one.worker.step() == 60
    one.now += 60
    assert one.worker.step() == 300


def test_a_message_that_is_not_wanted_is_passed_over_after_three_tries(setting):
    one = setting(unwanted(), unwanted(), unwanted())
    first, second = one.append(2)
    one.run(20)
    assert one.receiver.tries == [first] * 3 + [second]
    assert one.receiver.got == [second]
    assert one.worker.counts == SinkCounts(queued=0, delivered=1, failed=1, lost=0)
    assert one.warnings[-1] == f"receiver: message {first} was refused (answers 400) and is passed over"


def test_failures_for_other_reasons_do_not_count_as_refusals(setting):
    one = setting(*[away()] * 5, unwanted(), unwanted())
    sequences = one.append(2)
    one.run(200)
    assert one.receiver.got == sequences
    assert one.worker.counts.failed == 0


def test_where_a_sink_stands_survives_a_restart(setting):
    one = setting(None, *[away("time-out")] * 100)
    first, second, third = one.append(3)
    one.run(20)
    assert one.store.sink("receiver").last_error == "time-out"
    assert one.store.sink("receiver").attempts == len(one.receiver.tries) - 1
    one.store.close()
    two = setting()
    two.run(1)
    assert one.receiver.got == [first]
    assert two.receiver.got == [second, third]
    assert two.store.sink("receiver").last_error == ""


def test_an_unexpected_error_is_a_refusal_and_its_text_goes_nowhere(setting):
    error = RuntimeError("https://user:secret@host/token")
    one = setting(*[error] * 3)
    one.append(2)
    one.run(20)
    assert len(one.receiver.got) == 1
    told_of = [*one.warnings, one.store.sink("receiver").last_error, repr(one.store.sink("receiver"))]
    assert "unexpected RuntimeError" in one.warnings[0]
    assert not any("secret" in text or "token" in text for text in told_of)


def test_only_the_latest_score_of_a_camera_waits(setting):
    receiver_wants = Receiver()
    one = setting(scores=receiver_wants.deliver_score)
    for level in (1.0, 2.0, 3.0):
        one.worker.give(score(level))
    one.worker.give(score(0.5, "yard"))
    one.worker.step()
    assert receiver_wants.scores == [3.0, 0.5]
    assert one.worker.counts.lost == 2


def test_scores_of_endless_cameras_do_not_fill_the_memory(setting):
    one = setting(scores=Receiver().deliver_score)
    for number in range(1000):
        one.worker.give(score(1.0, f"camera {number}"))
    assert len(one.worker._scores) == 256
    assert one.worker.counts.lost == 744


def test_a_score_that_cannot_be_delivered_is_lost_and_the_receiver_left_alone_for_a_while(setting):
    receiver = Receiver(away())
    one = setting(scores=receiver.deliver_score)
    one.worker.give(score(1.0))
    one.worker.give(score(1.0, "yard"))
    assert one.worker.step() >= 0.5
    assert one.worker.counts.lost == 2
    assert one.worker.away


def test_a_sink_that_wants_no_scores_keeps_none(setting):
    one = setting()
    one.worker.give(score(1.0))
    one.worker.step()
    assert one.worker.counts == SinkCounts(0, 0, 0, 0)


@given(st.lists(st.sampled_from(["ok", "away", "unwanted", "broken"]), max_size=20), st.integers(1, 6))
@settings(max_examples=20)
def test_whatever_the_receiver_does_the_order_holds_and_only_refused_messages_are_missing(
    tmp_path_factory, plan, count
):
    troubles = {"ok": None, "away": away(), "unwanted": unwanted(), "broken": KeyError("x")}
    one = Setting(tmp_path_factory.mktemp("store") / "e.sqlite3", Receiver(*[troubles[step] for step in plan]))
    try:
        sequences = one.append(count)
        while one.store.queued("receiver"):
            one.now += one.worker.step()
        counts = one.worker.counts
        assert one.receiver.got == sorted(set(one.receiver.got))
        assert one.receiver.tries == sorted(one.receiver.tries)
        assert set(one.receiver.got) <= set(sequences)
        assert counts.delivered == len(one.receiver.got) == count - counts.failed
        assert (counts.queued, counts.lost) == (0, 0)
    finally:
        one.store.close()


def eventually(holds, seconds=10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.005)
    return False


def test_its_thread_delivers_as_soon_as_it_is_woken(tmp_path):
    receiver = Receiver()
    with EventStore(tmp_path / "e.sqlite3") as store:
        worker = OutboxWorker(store, receiver)
        time.sleep(0.05)  # idle by now
        store.append(state("watching"))
        began = time.monotonic()
        worker.give(state("watching"))
        assert eventually(lambda: receiver.got)
        assert time.monotonic() - began < IDLE_SECONDS / 2
        worker.close(5)
        assert receiver.closed


def test_closing_tries_once_more_and_keeps_the_rest_for_the_next_run(tmp_path):
    receiver = Receiver(away(), None, away("gone for good"))
    with EventStore(tmp_path / "e.sqlite3") as store:
        worker = OutboxWorker(store, receiver, back_off=BackOff(1000, 1000))
        sequences = [store.append(told("new", number=1 + number)) for number in range(3)]
        worker.wake()
        assert eventually(lambda: worker.away)
        began = time.monotonic()
        worker.close(5)
        assert time.monotonic() - began < 3
        assert receiver.got == sequences[:1]
        assert [message.sequence for message in store.pending("receiver")] == sequences[1:]


def test_a_deliverer_that_hangs_does_not_hold_up_the_end(tmp_path):
    class Hanging(Receiver):
        def deliver(self, message) -> None:
            hung.wait(30)

    hung = threading.Event()
    with EventStore(tmp_path / "e.sqlite3") as store:
        worker = OutboxWorker(store, Hanging())
        store.append(told("new"))
        worker.wake()
        time.sleep(0.05)
        began = time.monotonic()
        worker.close(0.2)
        assert time.monotonic() - began < 2
    hung.set()


def test_a_store_that_fails_ends_no_worker(tmp_path, monkeypatch):
    receiver, warnings = Receiver(), []
    with EventStore(tmp_path / "e.sqlite3") as store:
        pending = store.pending
        monkeypatch.setattr(store, "pending", lambda *_args, **_more: 1 / 0)
        worker = OutboxWorker(store, receiver, warn=warnings.append)
        assert eventually(lambda: warnings)
        monkeypatch.setattr(store, "pending", pending)
        store.append(told("new"))
        worker.wake()
        assert eventually(lambda: receiver.got)
        worker.close(5)
    assert warnings == ["receiver: delivery failed (ZeroDivisionError); it is tried again"]

"""The queue before the decoder: bounded in time, cut at key pictures only, and nothing lost without being counted."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.live.camera_source import EncodedPacket
from streamer.sources.packet_queue import PacketQueue


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def packet(number: int, *, key: bool = False) -> EncodedPacket:
    return EncodedPacket(b"", number, number, 1, Fraction(1, 25), key, datetime.now(UTC), 0)


def test_packets_come_out_in_order() -> None:
    queue = PacketQueue(1.0)
    for number in range(3):
        queue.put(packet(number, key=number == 0))
    assert [queue.take(0)[0].pts for _ in range(3)] == [0, 1, 2]
    assert queue.take(0) == (None, 0)


def test_what_waits_too_long_is_thrown_away_up_to_the_next_key_picture() -> None:
    clock = Hand()
    queue = PacketQueue(1.0, clock=clock)
    for number in range(15):
        queue.put(packet(number, key=number in {0, 14}))
        clock.now += 0.1
    taken, dropped = queue.take(0)
    assert taken is not None
    assert (taken.pts, dropped) == (14, 14)


def test_a_key_picture_that_already_waits_is_kept() -> None:
    clock = Hand()
    queue = PacketQueue(1.0, clock=clock)
    for number in range(12):
        queue.put(packet(number, key=number in {0, 6}))
        clock.now += 0.1
    taken, dropped = queue.take(0)
    assert taken is not None
    assert (taken.pts, dropped) == (6, 6)


def test_the_end_is_told_after_the_last_packet() -> None:
    queue = PacketQueue(1.0)
    queue.put(packet(0, key=True))
    queue.end(ValueError("gone"))
    queue.end()
    queue.put(packet(1))
    assert queue.take(0)[0] is not None
    with pytest.raises(ValueError, match="gone"):
        queue.take(0)


def test_an_end_wakes_whoever_waits() -> None:
    queue = PacketQueue(1.0)
    threading.Timer(0.05, queue.end).start()
    began = time.monotonic()
    assert queue.take(10) == (None, 0)
    assert time.monotonic() - began < 5
    assert queue.ended


@given(
    st.integers(1, 9),
    st.lists(st.tuples(st.floats(0, 0.5), st.booleans(), st.integers(0, 3)), max_size=150),
)
def test_the_queue_is_bounded_in_time_begins_anew_at_key_pictures_and_accounts_for_every_packet(
    backlog: int, steps: list[tuple[float, bool, int]]
) -> None:
    clock = Hand()
    queue = PacketQueue(backlog / 3, clock=clock)
    taken: list[int] = []
    keys: set[int] = {0}
    dropped = 0
    for number, (wait, is_key, takes) in enumerate(steps):
        clock.now += wait
        if is_key:
            keys.add(number)
        queue.put(packet(number, key=number in keys))
        assert not queue._items or clock.now - queue._items[0][0] <= backlog / 3
        for _ in range(takes):
            got, lost = queue.take(0)
            if got is not None:
                assert got.pts is not None
                dropped += lost
                assert lost == 0 or got.pts in keys
                assert got.pts == len(taken) + dropped
                taken.append(got.pts)
    assert len(taken) + dropped + queue._dropped + len(queue._items) == len(steps)

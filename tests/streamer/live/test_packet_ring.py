"""The ring holds enough for the pre-roll, never more than its bound, and begins where a decoder can."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.live.camera_source import EncodedPacket, EncodedStream
from streamer.live.packet_ring import PacketRing
from tests.streamer.packets import START

STREAM = EncodedStream(0, "h264", 64, 64, b"", Fraction(1, 90000))


def packet(seconds, *, key=False, size=100, epoch=0):
    return EncodedPacket(bytes(size), round(seconds * 90000), None, None, STREAM.time_base, key, at(seconds), epoch)


def at(seconds):
    return START + timedelta(seconds=seconds)


def times(piece):
    return [(packet.arrived - START).total_seconds() for packet in piece.packets]


def filled(seconds=5, count=200, gop=10, most_bytes=10**6, size=100):
    ring = PacketRing(seconds, most_bytes)
    ring.begin(STREAM)
    for number in range(count):
        ring.add(packet(number / 10, key=number % gop == 0, size=size))
    return ring


def test_what_is_given_begins_with_the_last_key_frame_before_the_moment():
    (piece,) = filled().since(at(17.45))
    assert (times(piece)[0], times(piece)[-1]) == (17.0, 19.9)
    assert piece.packets[0].is_keyframe
    (exact,) = filled().since(at(17))
    assert times(exact)[0] == 17.0


def test_a_moment_before_everything_kept_gives_all_there_is():
    ring = filled()
    (piece,) = ring.since(at(-100))
    assert times(piece)[0] == 14.0
    assert len(piece.packets) == 60
    assert ring.bytes == 6000


def test_packets_before_the_first_key_frame_are_not_kept():
    ring = PacketRing(5)
    assert not ring.add(packet(0, key=True))  # nobody has said yet what it is
    ring.begin(STREAM)
    assert [ring.add(packet(number / 10, key=number == 3)) for number in range(5)] == [False] * 3 + [True] * 2
    assert not ring.add(packet(0.6, key=True, epoch=1))


def test_every_connection_is_a_piece_of_its_own():
    ring = filled(count=30)
    second = replace(STREAM, epoch=1)
    ring.begin(second)
    for number in range(30, 45):
        ring.add(packet(number / 10 + 0.5, key=number % 10 == 2, epoch=1))
    old, new = ring.since(at(2.5))
    assert (old.stream.epoch, times(old)[0], times(old)[-1]) == (0, 2.0, 2.9)
    assert (new.stream.epoch, times(new)[0], times(new)[-1]) == (1, 3.7, 4.9)
    (only,) = ring.since(at(3.2))  # the first connection had ended by then
    assert only.stream.epoch == 1


def test_what_came_an_hour_ago_is_no_pre_roll():
    ring = filled(count=30)
    ring.begin(replace(STREAM, epoch=1))
    ring.add(packet(3600, key=True, epoch=1))
    (piece,) = ring.since(at(3599))
    assert times(piece) == [3600]
    assert ring.since(at(3601)) == []


def test_what_came_before_the_wall_clock_was_set_back_is_forgotten():
    ring = filled()
    for number in range(20):
        ring.add(packet(number / 10 - 3600, key=number % 10 == 5))
    (piece,) = ring.since(at(-3599))
    assert (times(piece)[0], times(piece)[-1]) == (-3599.5, -3598.1)
    assert ring.bytes == 1500


def test_a_camera_without_key_frames_does_not_fill_the_memory():
    ring = filled(count=100, gop=1000, most_bytes=5000)
    assert ring.bytes <= 5000
    assert ring.shortened == 1
    assert ring.since(at(0)) == []
    ring.add(packet(20, key=True))
    (piece,) = ring.since(at(0))
    assert times(piece) == [20]


@given(
    keys=st.lists(st.booleans(), min_size=1, max_size=80),
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=20),
    seconds=st.sampled_from([0, 0.5, 2, 5]),
    most=st.integers(200, 20000),
    moment=st.floats(-1, 9),
)
def test_the_bound_holds_and_every_piece_can_be_decoded(keys, sizes, seconds, most, moment):
    ring = PacketRing(seconds, most)
    ring.begin(STREAM)
    came = [packet(number / 10, key=key, size=sizes[number % len(sizes)]) for number, key in enumerate(keys)]
    for one in came:
        ring.add(one)
        assert ring.bytes <= most
    kept = [one for piece in ring.since(at(-5)) for one in piece.packets]
    assert kept == came[len(came) - len(kept) :]  # without a hole up to the newest
    assert sum(len(one.data) for one in kept) == ring.bytes
    if kept:
        assert kept[0].is_keyframe
    if not ring.shortened and keys[0]:
        assert kept[0].arrived <= max(at((len(keys) - 1) / 10 - seconds), START)
    for piece in ring.since(at(moment)):
        assert piece.packets[0].is_keyframe
        later_keys = [one for one in piece.packets[1:] if one.is_keyframe]
        assert piece.packets[0].arrived <= at(moment) or piece.packets[0] == kept[0]
        assert all(one.arrived > at(moment) for one in later_keys)


def test_it_is_read_while_it_is_filled():
    ring = PacketRing(1)
    ring.begin(STREAM)
    failures = []

    def read():
        for _ in range(300):
            failures.extend(piece for piece in ring.since(at(0)) if not piece.packets[0].is_keyframe)

    reader = Thread(target=read)
    reader.start()
    for number in range(3000):
        ring.add(packet(number / 100, key=number % 7 == 0))
    reader.join()
    assert failures == []


@pytest.mark.parametrize(("seconds", "most"), [(-1, 10), (1, 0)])
def test_bounds_that_make_no_sense_are_refused(seconds, most):
    with pytest.raises(ValueError, match="keeps some seconds and some bytes"):
        PacketRing(seconds, most)

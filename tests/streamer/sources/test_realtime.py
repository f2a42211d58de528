"""When packets are due."""

from __future__ import annotations

from streamer.sources.realtime import Pacer


def test_packets_are_due_at_the_pace_of_their_times() -> None:
    now = 100.0
    pacer = Pacer(lambda: now)
    assert pacer.wait_for(7.0) == 0
    assert abs(pacer.wait_for(7.5) - 0.5) < 1e-9
    now = 100.4
    assert abs(pacer.wait_for(7.5) - 0.1) < 1e-9
    assert pacer.wait_for(None) == 0


def test_a_late_packet_does_not_move_the_ones_behind_it() -> None:
    now = 0.0
    pacer = Pacer(lambda: now)
    pacer.wait_for(0.0)
    now = 2.0
    assert pacer.wait_for(1.0) == 0
    assert abs(pacer.wait_for(2.5) - 0.5) < 1e-9


def test_a_time_that_jumps_does_not_hold_anything_up() -> None:
    pacer = Pacer(lambda: 0.0)
    pacer.wait_for(0.0)
    assert pacer.wait_for(3600.0) == 0
    assert abs(pacer.wait_for(3600.1) - 0.1) < 1e-6
    assert pacer.wait_for(0.0) == 0

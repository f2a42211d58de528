"""What a playlist shows again is left out, and a camera that shows a still picture is not lost for it."""

from __future__ import annotations

from streamer.sources.replays import LONGEST_SKIP, Replays


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def kept(replays: Replays, packets: str) -> str:
    """What is not skipped; capitals are key pictures."""
    return "".join(p for p in packets if not replays.skips(p.encode(), is_keyframe=p.isupper()))


def test_a_new_connection_leaves_out_what_was_shown_before_and_what_hangs_on_it() -> None:
    replays = Replays(Clock())
    replays.begin()
    assert kept(replays, "AxxBxx") == "AxxBxx"
    replays.begin()
    assert kept(replays, "AxxBxxCxxAxx") == "CxxAxx"


def test_nothing_is_left_out_within_a_connection() -> None:
    replays = Replays(Clock())
    replays.begin()
    assert kept(replays, "AxAxAx") == "AxAxAx"


def test_a_still_picture_is_shown_in_the_end() -> None:
    clock = Clock()
    replays = Replays(clock)
    replays.begin()
    assert kept(replays, "Ax") == "Ax"
    replays.begin()
    assert kept(replays, "AxAx") == ""
    clock.now += LONGEST_SKIP
    assert kept(replays, "AxAx") == "AxAx"

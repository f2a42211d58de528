"""Every frame goes on, with its window or with the reason why it has none."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.pictures import WindowSettings
from preprocess.temporal import window_of
from streamer.frames import Frame
from streamer.sinks.score_table import CORRUPT, GAP, WARM_UP
from streamer.windowing import FramePreparer, prepared

STEP = Fraction(1, 25)
WINDOWS = WindowSettings(2 * STEP, 32, 24)
LUMA = np.zeros((48, 64), np.uint8)


def frame(index, *, segment=0, corrupt=False, luma=LUMA):
    return Frame("gate", index, index * STEP, None, segment, luma, image=None, corrupt=corrupt)


def notes(frames):
    return [item.note if item.window is None else "scored" for item, _ in prepared(frames, WINDOWS)]


def test_the_first_five_spacings_of_a_segment_have_no_score():
    assert notes(frame(index) for index in range(14)) == [WARM_UP] * 10 + ["scored"] * 4


def test_a_new_segment_warms_up_again():
    frames = [frame(index, segment=int(index >= 12)) for index in range(24)]
    assert notes(frames) == [WARM_UP] * 10 + ["scored"] * 2 + [WARM_UP] * 10 + ["scored"] * 2


def test_a_corrupt_frame_is_named_so_and_enters_no_window():
    frames = [frame(index, segment=int(index > 12), corrupt=index == 12) for index in range(24)]
    assert notes(frames) == [WARM_UP] * 10 + ["scored"] * 2 + [CORRUPT] + [WARM_UP] * 10 + ["scored"]


def test_a_missing_picture_is_a_gap_once_the_segment_is_warm():
    missing = 14
    frames = [frame(index) for index in range(30) if index != missing]
    named = dict(zip([f.index for f in frames], notes(frames), strict=True))
    gaps = {index for index, note in named.items() if note == GAP}
    # The windows that want it, and no other, by the spacing of two steps.
    assert gaps == {missing + 2 * k for k in range(1, 6)}


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0, 0, 0, 0, 1])), max_size=60))
def test_no_frame_is_lost_and_none_that_is_corrupt_is_scored(choices):
    segment, frames = 0, []
    for index, (corrupt, jump) in enumerate(choices):
        segment += jump
        frames.append(frame(index, segment=segment, corrupt=corrupt and index % 7 == 3))
    items = [item for item, _ in prepared(frames, WINDOWS)]
    assert [item.frame.index for item in items] == list(range(len(frames)))
    for item in items:
        assert (item.window is None) == bool(item.note)
        assert not (item.frame.corrupt and item.window is not None)
        if item.window is not None:
            assert item.window.pts == item.frame.pts
            assert item.window.segment == item.frame.segment


def test_a_frame_weighs_what_it_holds():
    preparer = FramePreparer(WINDOWS)
    sizes = [preparer.prepare(frame(index)).size for index in range(12)]
    assert sizes[0] == 4 * LUMA.size
    assert sizes[-1] == 4 * LUMA.size + 3 * 32 * 24 * 4


def test_a_window_made_later_is_the_one_made_at_once():
    at_once, later = FramePreparer(WINDOWS), FramePreparer(WINDOWS)
    numbers, made = np.random.default_rng(1), 0
    for index in range(14):
        given_frame = frame(index, luma=numbers.integers(0, 256, LUMA.shape, dtype=np.uint8))
        whole, collected = at_once.prepare(given_frame), later.collect(given_frame)
        assert collected.note == whole.note
        if whole.window is None:
            assert collected.pictures is None
            continue
        window = window_of(collected.pictures)
        assert np.array_equal(window.channels, whole.window.channels)
        assert (window.pts, window.segment) == (whole.window.pts, whole.window.segment)
        assert collected.size < whole.size, "what may be dropped holds no window"
        made += 1
    assert made == 4

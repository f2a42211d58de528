"""The network stage: batches in, verdicts back to their own frames."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from preprocess.pictures import Window
from streamer.batching import judged
from streamer.channels import Channel
from streamer.frames import Frame
from streamer.windowing import Prepared

STEP = Fraction(1, 25)


def item(index, *, scored=True, size=(160, 96), level=0.0):
    frame = Frame("gate", index, index * STEP, None, 0, np.zeros(size[::-1], np.uint8), image=None)
    window = Window(np.full((3, 64, 96), level, np.float32), frame.pts, 0) if scored else None
    return Prepared(frame, window, "" if scored else "warm-up")


def channel_of(items):
    channel = Channel(1000, 2**40)
    for entry in items:
        channel.put(entry, entry.size)
    channel.end()
    return channel


@pytest.fixture
def scorer(networks):
    return networks.load("gate.avid").scorer((160, 96), false_alarms_per_day=1.0)


def test_windows_go_in_batches_and_the_rest_at_the_end(scorer):
    list(judged(channel_of([item(index) for index in range(19)]), scorer, batch_size=8))
    assert scorer.batches == [8, 8, 3]


def test_frames_without_a_window_keep_their_place_and_fill_no_batch(scorer):
    items = [item(index, scored=index % 3 != 0) for index in range(20)]
    results = [result for result, _ in judged(channel_of(items), scorer, batch_size=4)]
    assert [result.frame.index for result in results] == list(range(20))
    assert [result.verdict is None for result in results] == [index % 3 == 0 for index in range(20)]
    assert scorer.batches == [4, 4, 4, 1]


def test_frames_before_the_first_window_do_not_wait_for_a_batch(scorer):
    results = judged(channel_of([item(0, scored=False), item(1)]), scorer, batch_size=8)
    assert next(results)[0].note == "warm-up"
    assert scorer.batches == []


@pytest.mark.parametrize("batch_size", [1, 3, 8, 64])
def test_scores_do_not_depend_on_the_batch(scorer, batch_size):
    items = [item(index, level=index / 30) for index in range(30)]
    scores = [result.verdict.score for result, _ in judged(channel_of(items), scorer, batch_size=batch_size)]
    single = [scorer.verdicts([entry.window])[0].score for entry in items]
    assert scores == single


def test_a_live_source_does_not_wait_for_a_batch_to_fill(scorer):
    channel = Channel(100, 2**40)
    channel.put(item(0))
    results = judged(channel, scorer, batch_size=8, eager=True)
    assert next(results)[0].frame.index == 0
    channel.end()


def test_large_pictures_close_a_batch_early(scorer):
    list(judged(channel_of([item(index) for index in range(9)]), scorer, batch_size=8, most_bytes=4 * item(0).size))
    assert scorer.batches == [4, 4, 1]


def test_what_is_handed_on_no_longer_weighs_its_window(scorer):
    entry = item(0)
    ((_, size),) = judged(channel_of([entry]), scorer, batch_size=1)
    assert size == entry.size - entry.window.channels.nbytes


def test_regions_are_in_the_pixels_of_their_own_frame_after_a_change_of_size(scorer):
    small, large = item(0, level=2.0), item(1, level=2.0, size=(320, 192))
    results = [result for result, _ in judged(channel_of([small, large]), scorer, batch_size=2)]
    boxes = [
        [(region.x, region.y, region.width, region.height) for region in result.verdict.regions] for result in results
    ]
    assert boxes == [[(0, 0, 160, 96)], [(0, 0, 320, 192)]]
    assert results[0].verdict.score == results[1].verdict.score

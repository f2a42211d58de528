"""Annotated clips hold the annotated pictures from before the event until after it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from streamer.live.folder import LiveFolder
from streamer.sinks.annotated_clips import MOST_CLIPS, AnnotatedClips
from streamer.sinks.clips import EvidenceSettings
from streamer.sinks.storage import StorageWatch
from tests.streamer.packets import RATE, event_at, pictures
from tests.streamer.sinks.test_recorder import BEGIN, grey_picture


@pytest.fixture
def gate(tmp_path):
    with LiveFolder.open(tmp_path, "gate") as folder:
        yield folder


@pytest.fixture
def clips(gate):
    made = []

    def make(**options):
        finished = []
        storage = options.pop("storage", None) or StorageWatch(lambda message: None)
        settings = EvidenceSettings(pre_roll=2, post_roll=1, notice_delay=1)
        clips = AnnotatedClips(gate, settings, storage, finished=lambda event, clip: finished.append(clip), **options)
        made.append(clips)
        return clips, finished

    yield make
    for one in made:
        one.close(10)


def feed(clips, numbers, size=(96, 64)):
    for number in numbers:
        clips.picture(BEGIN + Fraction(number, RATE), grey_picture(number, size))


def test_a_clip_begins_before_the_event_and_ends_after_it(gate, clips):
    made, finished = clips()
    feed(made, range(60))
    made.began(event_at(5.5))
    feed(made, range(60, 80))
    made.ended(event_at(5.5, 7))
    feed(made, range(80, 100))
    assert made.close(20)
    assert finished == [f"clips/{event_at(5.5).id}-annotated.mp4"]
    read = pictures(gate.path / finished[0])
    assert [number for _, number in read] == [number % 24 for number in range(35, 81)]
    assert [time for time, _ in read] == pytest.approx([number / RATE for number in range(46)], abs=0.001)


def test_the_pictures_in_memory_are_bounded(clips):
    made, _ = clips(most_bytes=3000)
    feed(made, range(200))
    assert 0 < made._bytes <= 3000
    made, _ = clips()
    feed(made, range(200))
    assert len(made._kept) == 31  # pre-roll and the delay of the notice


def test_the_end_of_the_program_completes_the_clip(gate, clips):
    made, finished = clips()
    feed(made, range(30))
    made.began(event_at(2))
    assert made.close(20)
    assert len(pictures(gate.path / finished[0])) == 30


def test_pictures_of_another_size_are_left_out(gate, clips):
    made, finished = clips()
    feed(made, range(30))
    made.began(event_at(2))
    feed(made, range(30, 35), size=(128, 96))
    assert made.close(20)
    assert made.lost == 5
    assert len(pictures(gate.path / finished[0])) == 30


def test_while_the_disk_is_full_there_is_no_clip_and_no_rubble(gate, clips):
    storage = StorageWatch(lambda message: None, free=lambda path: 0)
    storage.failed("gate", gate.path, "the disk is full")
    made, finished = clips(storage=storage)
    feed(made, range(30))
    made.began(event_at(2))
    assert made.close(20)
    assert finished == [None]
    assert list(gate.clips.iterdir()) == []


def test_many_events_at_once_have_no_more_clips_than_the_bound(clips):
    made, _ = clips()
    feed(made, range(3))
    for number in range(MOST_CLIPS + 2):
        made.began(event_at(0, number=number))
        made.began(event_at(0, number=number))
    assert made.refused == 4
    made.ended(event_at(9))  # nobody said that it began

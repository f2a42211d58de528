"""Every event has its clip: the right pictures at the right times, complete when it is said to be."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from streamer.live.folder import LiveFolder
from streamer.sinks.clips import MOST_CLIPS, ClipWriter, EvidenceRecorder, EvidenceSettings
from streamer.sinks.storage import StorageWatch
from tests.streamer.packets import RATE, START, creation_time, event_at, pictures, send


@dataclass
class Bench:
    """A camera's recorder with a clock of its own."""

    folder: LiveFolder
    storage: StorageWatch
    writer: ClipWriter
    recorder: EvidenceRecorder
    told: list
    finished: list
    now: float = 0.0
    ticks: float = 0.0

    def feed(self, sent, first=None, last=None, moment=None):
        """Hand on packets first to last - 1, and move the clock along."""
        for packet in sent.packets[first:last]:
            self.now = (packet.arrived - START).total_seconds()
            self.recorder.packet(packet)

    def begin(self, sent):
        self.recorder.stream(sent.stream)

    def clips(self):
        return sorted(path.name for path in self.folder.clips.iterdir())

    def done(self):
        assert self.writer.drain(20)
        return [clip for _, clip in self.finished]


@pytest.fixture
def bench(tmp_path):
    benches = []

    def make(**settings):
        folder = LiveFolder.open(tmp_path, "gate")
        told, finished = [], []
        storage = StorageWatch(told.append)
        writer = ClipWriter(storage, tick_seconds=3600)
        recorder = EvidenceRecorder(
            folder,
            EvidenceSettings(**{"pre_roll": 2, "post_roll": 2, **settings}),
            writer,
            finished=lambda event, clip: finished.append((event, clip)),
            clock=lambda: made.ticks,
            now=lambda: START + timedelta(seconds=made.now),
        )
        made = Bench(folder, storage, writer, recorder, told, finished)
        benches.append(made)
        return made

    yield make
    for made in benches:
        made.recorder.close(5)
        assert made.writer.close(5)
        made.folder.close()


@pytest.fixture(scope="module")
def sent():
    """20 s of H.264 at ten pictures a second, a key frame every second."""
    return send(200)


def numbers(path):
    return [number for _, number in pictures(path)]


def test_a_clip_shows_what_was_before_the_event_and_after_it(bench, sent):
    made = bench()
    made.begin(sent)
    made.feed(sent, 0, 76)
    made.recorder.began(event_at(7.2))  # told 0.4 s later
    made.feed(sent, 76, 105)
    path = made.recorder.ended(event_at(7.2, 9.2))
    assert path == f"clips/{event_at(7.2).id}.mp4"
    made.feed(sent, 105, 200)
    assert made.done() == [path]
    clip = made.folder.path / path
    read = pictures(clip)
    # From the key frame at or before 7.2 - 2 s up to 9.2 + 2 s.
    assert [number for _, number in read] == [number % 24 for number in range(50, 113)]
    assert [time for time, _ in read] == pytest.approx([number / RATE for number in range(63)], abs=0.002)
    assert creation_time(clip) == START + timedelta(seconds=5)
    assert made.finished[0][0].end == event_at(7.2, 9.2).end
    assert clip not in made.folder.files


def test_a_clip_can_be_read_while_the_event_goes_on(bench, sent):
    made = bench()
    made.begin(sent)
    made.feed(sent, 0, 60)
    made.recorder.began(event_at(6))
    made.feed(sent, 60, 120)
    assert made.writer.drain(20)
    (name,) = made.clips()
    clip = made.folder.clips / name
    assert clip in made.folder.files  # the retention leaves it alone
    assert len(numbers(clip)) >= 70  # of 80: half a second and a key frame's way behind


def test_events_that_overlap_roll_over_or_follow_closely_have_a_clip_each(bench, sent):
    made = bench()
    made.begin(sent)
    made.feed(sent, 0, 60)
    events = [event_at(5, 8), event_at(8, 10), event_at(10.5, 11)]
    made.recorder.began(events[0])
    made.feed(sent, 60, 80)
    made.recorder.ended(events[0])
    made.recorder.began(events[1])
    made.feed(sent, 80, 105)
    made.recorder.ended(events[1])
    made.recorder.began(events[2])
    made.recorder.began(events[2])  # twice is once
    made.feed(sent, 105, 112)
    assert made.recorder.open == 2
    made.recorder.ended(events[2])
    made.feed(sent, 112, 200)
    assert len(made.done()) == 3
    for event, first, last in zip(events, (30, 60, 80), (101, 121, 131), strict=True):
        assert numbers(made.folder.clips / f"{event.id}.mp4") == [number % 24 for number in range(first, last)]


def test_a_reconnect_within_a_clip_begins_a_second_part(bench, sent):
    made = bench()
    again = send(60, epoch=1, first=12, start=START + timedelta(seconds=10), size=(128, 96))
    made.begin(sent)
    made.feed(sent, 0, 80)
    made.recorder.began(event_at(7))
    made.recorder.lost()
    made.begin(again)
    made.feed(again, 3, 30)  # it comes in the middle of a group: from the next key frame on
    path = made.recorder.ended(event_at(7, 12))
    made.feed(again, 30, 60)
    assert made.done() == [path]
    assert made.clips() == [f"{event_at(7).id}-part2.mp4", f"{event_at(7).id}.mp4"]
    assert numbers(made.folder.path / path) == [number % 24 for number in range(50, 80)]
    assert numbers(made.folder.clips / made.clips()[0]) == [(12 + number) % 24 for number in range(10, 41)]


def test_a_camera_that_comes_and_goes_does_not_fill_the_folder_with_parts(bench, sent):
    made = bench(most_parts=3)
    made.begin(sent)
    made.feed(sent, 0, 21)
    made.recorder.began(event_at(2))
    for epoch in range(1, 8):
        stream = replace(sent.stream, epoch=epoch)
        made.recorder.stream(stream)
        for packet in sent.packets[20:24]:
            made.recorder.packet(replace(packet, epoch=epoch))
    made.recorder.close(5)
    assert len(made.clips()) == 3


def test_a_clip_ends_although_its_camera_sends_nothing_any_more(bench, sent):
    made = bench()
    made.begin(sent)
    made.feed(sent, 0, 80)
    made.recorder.began(event_at(7))
    path = made.recorder.ended(event_at(7, 7.9))
    made.now = 11.8
    made.recorder.tick()
    assert made.done() == []
    made.now = 12.0
    made.recorder.tick()
    assert made.done() == [path]
    assert len(numbers(made.folder.path / path)) == 30


def test_a_clip_ends_although_the_wall_clock_is_set_back_by_an_hour(bench, sent):
    made = bench()
    made.begin(sent)
    made.feed(sent, 0, 80)
    made.recorder.began(event_at(7))
    path = made.recorder.ended(event_at(7, 7.9))
    for packet in sent.packets[80:130]:
        made.recorder.packet(replace(packet, arrived=packet.arrived - timedelta(hours=1)))
    made.now = -3588
    made.recorder.tick()
    assert made.done() == []
    made.ticks = 4.5
    made.recorder.tick()
    assert made.done() == [path]
    read = pictures(made.folder.path / path)
    assert [number for _, number in read] == [number % 24 for number in range(50, 130)]
    assert read[-1][0] == pytest.approx(7.9, abs=0.2)


def test_the_file_of_a_quiet_camera_is_completed_while_its_event_lasts(bench, sent):
    made = bench(quiet_seconds=10)
    made.begin(sent)
    made.feed(sent, 0, 80)
    made.recorder.began(event_at(7))
    assert made.writer.drain(20)
    (name,) = made.clips()
    made.ticks = 11.0
    made.writer.give(made.recorder.tick, must=True)
    assert made.writer.drain(20)
    assert made.folder.clips / name not in made.folder.files
    made.feed(sent, 85, 200)  # the same connection after all
    made.recorder.ended(event_at(7, 9))
    assert made.done() == [f"clips/{name}"]
    assert numbers(made.folder.clips / f"{event_at(7).id}-part2.mp4")[0] == 90 % 24


def test_what_a_camera_showed_before_it_went_away_is_evidence_of_that(bench, sent):
    made = bench()
    made.begin(sent)
    made.feed(sent, 0, 100)
    made.now = 30
    made.recorder.began(event_at(30, kind="camera_offline"))  # found out twenty seconds later
    path = made.recorder.ended(event_at(30, 40, kind="camera_offline"))
    made.recorder.close(5)
    assert numbers(made.folder.path / path) == [number % 24 for number in range(70, 100)]


def test_the_end_of_the_program_completes_all_clips_as_they_are(bench, sent):
    made = bench()
    made.begin(sent)
    made.feed(sent, 0, 80)
    made.recorder.began(event_at(7))
    assert made.recorder.close(5)
    assert made.done() == [f"clips/{event_at(7).id}.mp4"]
    made.feed(sent, 80, 90)
    made.recorder.began(event_at(8))
    assert made.recorder.open == 0


def test_without_pictures_there_is_no_clip(bench, sent):
    made = bench()
    made.recorder.began(event_at(1))
    assert made.recorder.ended(event_at(1, 2)) is None
    made.recorder.stream(replace(sent.stream, codec="rawvideo"))
    made.feed(sent, 0, 50)
    made.recorder.began(event_at(3))
    assert made.recorder.ended(event_at(3, 4)) is None
    assert made.recorder.ended(event_at(17)) is None  # nobody said that it began
    made.recorder.close(5)
    assert made.done() == [None, None]
    assert made.clips() == []


def test_an_event_that_begins_before_its_camera_sends_has_what_comes_then(bench, sent):
    made = bench()
    made.recorder.began(event_at(0))
    made.begin(sent)
    made.feed(sent, 5, 40)
    path = made.recorder.ended(event_at(0, 1))
    assert path == f"clips/{event_at(0).id}.mp4"
    assert made.done() == [path]
    assert numbers(made.folder.path / path) == [number % 24 for number in range(10, 40)]


def test_no_evidence_is_ever_overwritten(bench, sent):
    made = bench()
    there = made.folder.clips / f"{event_at(7).id}.mp4"
    there.write_text("evidence")
    made.begin(sent)
    made.feed(sent, 0, 80)
    made.recorder.began(event_at(7))
    path = made.recorder.ended(event_at(7))
    made.recorder.close(5)
    assert there.read_text() == "evidence"
    assert path == f"clips/{event_at(7).id}-again2.mp4"
    assert numbers(made.folder.path / path)


def test_packets_that_cannot_be_muxed_end_the_clip_and_say_nothing_of_the_disk(bench, sent):
    made = bench()
    made.recorder.stream(replace(sent.stream, codec="no_such_codec"))
    made.feed(sent, 0, 80)
    made.recorder.began(event_at(7))
    made.recorder.close(5)
    assert made.done() == [None]
    assert made.clips() == []
    assert made.told == []


def test_many_events_at_once_have_no_more_clips_than_the_bound(bench, sent):
    made = bench()
    made.begin(sent)
    made.feed(sent, 0, 20)
    for number in range(MOST_CLIPS + 3):
        made.recorder.began(event_at(1, number=number))
    assert (made.recorder.open, made.recorder.refused) == (MOST_CLIPS, 3)


def test_a_slow_disk_costs_pictures_and_never_the_camera(tmp_path, sent):
    """The writer stands still; the camera's thread does not, and the clip goes on at a key frame."""
    with LiveFolder.open(tmp_path, "gate") as folder:
        size = sum(len(packet.data) for packet in sent.packets[60:75])
        writer = ClipWriter(StorageWatch(lambda message: None), most_bytes=size, tick_seconds=3600)
        recorder = EvidenceRecorder(folder, EvidenceSettings(pre_roll=0), writer, now=lambda: START)
        recorder.stream(sent.stream)
        for packet in sent.packets[:60]:
            recorder.packet(packet)
        go_on = threading.Event()
        writer.give(go_on.wait, must=True)
        recorder.began(event_at(5.9))
        for packet in sent.packets[60:100]:
            recorder.packet(packet)
        assert writer.refused > 0
        go_on.set()
        assert writer.drain(20)
        for packet in sent.packets[100:130]:
            recorder.packet(packet)
            assert writer.drain(20)
        assert recorder.close(20)
        assert writer.close(20)
        (clip,) = folder.clips.iterdir()
        read = pictures(clip)
        found = [number for _, number in read]
        lost = next(at for at in range(1, len(found)) if found[at] != (found[at - 1] + 1) % 24)
        assert found[lost:] == [number % 24 for number in range(100, 130)]
        assert read[lost][0] == pytest.approx(5.0, abs=0.002)  # the hole takes as long as it took


@pytest.mark.parametrize("wrong", [{"pre_roll": -1}, {"post_roll": -1}, {"most_parts": 0}, {"quiet_seconds": 0}])
def test_settings_that_make_no_clip_are_refused(wrong):
    with pytest.raises(ValueError, match="pre-roll and post-roll"):
        EvidenceSettings(**wrong)


def test_clips_lie_in_the_cameras_folder_by_relative_paths(bench, sent):
    made = bench()
    made.begin(sent)
    made.feed(sent, 0, 80)
    made.recorder.began(event_at(7))
    path = made.recorder.ended(event_at(7))
    assert not Path(path).is_absolute()
    made.recorder.close(5)
    assert (made.folder.path / path).is_file()


def test_the_clip_of_an_event_without_an_end_is_bounded_by_the_time_the_camera_was_there(bench, sent):
    made = bench(longest=4.0)
    made.begin(sent)
    made.feed(sent, 0, 51)
    covered = event_at(5, kind="camera_covered")
    made.recorder.began(covered)
    anomaly = event_at(5, number=1)
    made.recorder.began(anomaly)
    made.feed(sent, 51, 200)
    assert made.writer.drain(20)
    clip, rolling = (made.folder.clips / f"{event.id}.mp4" for event in (covered, anomaly))
    assert len(numbers(clip)) == 20 + 1 + 40  # pre-roll, the first one that is counted from, and 4 s
    assert clip not in made.folder.files  # the retention may have it
    assert rolling in made.folder.files
    ended = event_at(5, 17, kind="camera_covered")
    assert made.recorder.ended(ended) == f"clips/{covered.id}.mp4"
    assert made.recorder.open == 1


def test_a_camera_that_comes_back_after_hours_still_shows_it_in_its_clip(bench, sent):
    made = bench(longest=4.0)
    made.begin(sent)
    made.feed(sent, 0, 21)
    made.recorder.began(event_at(2, kind="camera_offline"))
    made.recorder.lost()
    later = [replace(packet, arrived=packet.arrived + timedelta(hours=9)) for packet in sent.packets]
    made.feed(replace(sent, packets=later), 30, 50)
    assert made.writer.drain(20)
    second, first = (len(numbers(made.folder.clips / name)) for name in made.clips())
    assert (first, second >= 15) == (21, True)  # of 20: the rest is not on the disk yet

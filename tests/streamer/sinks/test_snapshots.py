"""The picture written is that of the event's peak."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from detectors.base import Region, Verdict
from preprocess.errors import OutputError
from streamer.events import EventMachine, EventSettings, MessageKind
from streamer.sinks.run_folder import RunFolder
from streamer.sinks.snapshots import SnapshotKeeper


def run(folder, levels, maximum=600):
    """Drive machine and keeper as the pipeline does; a picture's grey is its frame number."""
    machine = EventMachine("gate", EventSettings(4.0, 3.5, maximum_duration=maximum))
    keeper, events = SnapshotKeeper(folder), []
    for index, level in enumerate(levels):
        regions = (Region(0, 0, 9, 9, level, 81),) if level >= 4 else ()
        verdict = Verdict(level, 10.0**-level, 0, 0, level >= 4, np.zeros((1, 1), np.float32), regions)
        messages = machine.push(Fraction(index, 10), verdict)
        events += [keeper.finish(message.event) for message in messages if message.kind is MessageKind.END]
        if machine.at_peak:
            keeper.keep(np.full((48, 64, 3), index, np.uint8))
    return events + [keeper.finish(message.event) for message in machine.close()]


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.at(tmp_path, "gate")
    folder.create()
    return folder


def test_every_event_gets_the_picture_of_its_own_peak(folder):
    levels = [1] * 5 + [9] + [1] * 9 + [5, 6, 8, 7, 5] + [1] * 12 + [5] * 8 + [7, 5, 5]
    events = run(folder, levels)
    assert [event.snapshot for event in events] == ["snapshots/gate-1500.jpg", "snapshots/gate-3200.jpg"]
    for event in events:
        picture = cv2.imread(str(folder.path / event.snapshot))
        assert picture.shape == (48, 64, 3)
        assert abs(picture.mean() - float(event.peak * 10)) < 1


def test_the_parts_of_a_split_event_have_pictures_of_their_own(folder):
    events = run(folder, [5] * 10 + [6] + [5] * 20 + [6] + [5] * 5, maximum=2)
    greys = [cv2.imread(str(folder.path / event.snapshot)).mean() for event in events]
    assert [round(grey) for grey in greys] == [round(event.peak * 10) for event in events] == [10, 31]


def test_an_event_without_a_picture_says_so_and_a_picture_that_cannot_be_written_is_an_error(folder):
    (event,) = run(folder, [5] * 9)
    keeper = SnapshotKeeper(folder)
    assert keeper.finish(event) == event
    keeper.keep(np.zeros((8, 8, 3), np.uint8))
    for picture in folder.snapshots.iterdir():
        picture.unlink()
    folder.snapshots.rmdir()
    with pytest.raises(OutputError, match="cannot be written"):
        keeper.finish(event)
    keeper.keep(np.zeros((1, 70000, 3), np.uint8))
    with pytest.raises(OutputError, match="70000x1 cannot be stored"):
        keeper.finish(event)

"""Re-thresholding a stored run gives what watching at that threshold would have given."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.regions import Placement, verdict_of
from preprocess.errors import InputError, UsageError
from preprocess.geometry import CellGrid
from streamer.events import EventMachine, EventSettings, MessageKind
from streamer.sinks.event_log import EventLog, event_record, read_events
from streamer.sinks.map_store import MapWriter
from streamer.sinks.run_folder import RunFolder
from streamer.sinks.score_table import CORRUPT, MUTED, WARM_UP, ScoreRow, ScoreTable, read_scores
from streamer.sinks.summary import write_summary
from streamer.tune import retune

GRID = CellGrid(stride=16.0, offset=9.0, receptive_field=51, rows=9, columns=20)
PLACEMENT = Placement((320, 144), (640, 360))
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
RATE = Fraction(30000, 1001)


def scene(frames, seed):
    """Maps of normal noise with a few blobs that come, move and go, of varied strength."""
    rng = np.random.default_rng(seed)
    levels = rng.exponential(0.3, (frames, GRID.rows, GRID.columns)).astype(np.float32)
    for _ in range(5):
        first, length = int(rng.integers(0, frames)), int(rng.integers(3, 60))
        row, column, strength = int(rng.integers(0, 7)), float(rng.uniform(0, 15)), float(rng.uniform(2, 9))
        for frame in range(first, min(first + length, frames)):
            x = int(column + 0.05 * (frame - first))
            blob = strength * rng.uniform(0.7, 1.0, (2, 3))
            levels[frame, row : row + 2, x : x + 3] += blob[:, : GRID.columns - x].astype(np.float32)
    return levels


def watch(folder, levels, threshold, min_cells=1, *, maps=None):
    """The live path: verdicts, events and outputs, with some frames unscored and some muted."""
    folder.create()
    machine, events = EventMachine(folder.name, EventSettings.at(threshold)), []
    with (
        ScoreTable(folder.scores) as table,
        MapWriter(folder.maps, GRID, PLACEMENT.working_size) as store,
        EventLog(folder.events) as log,
    ):
        for index, level in enumerate(levels):
            pts = index / RATE
            learning = index < len(levels) // 4
            note = WARM_UP if index < 15 else CORRUPT if index % 97 == 50 else MUTED if index % 83 > 80 else ""
            verdict = None
            if note in {"", MUTED}:
                verdict = verdict_of(level, GRID, PLACEMENT, threshold, min_cells=min_cells)
                table.write(ScoreRow.scored(index, pts, verdict, learning=learning, note=note))
                if maps is None or index < maps:
                    store.append(index, level, PLACEMENT.source_size)
            else:
                table.write(ScoreRow.unscored(index, pts, note, learning=learning))
            wall = START + timedelta(microseconds=round(pts * 1_000_000))
            messages = machine.push(pts, None if note else verdict, in_learning=learning, wall_clock=wall)
            events += [message.event for message in messages if message.kind is MessageKind.END]
        events += [message.event for message in machine.close()]
        for event in events:
            log.write(event)
    summary = {"format": 1, "name": folder.name, "source": {"start": START.isoformat()}, "calibration": {"slope": 2.0}}
    write_summary(folder.summary, summary)
    return events


def times(events):
    """Everything of an event but its regions, with times to the microsecond, as the log holds them."""
    records = [event_record(event) for event in events]
    return [{key: value for key, value in record.items() if key not in {"regions", "track"}} for record in records]


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=st.floats(2.0, 6.0))
def test_the_same_threshold_gives_the_same_events(tmp_path_factory, seed, threshold):
    folder = RunFolder.at(tmp_path_factory.mktemp("run"), "gate")
    live = watch(folder, scene(400, seed), threshold)
    outcome = retune(folder.path, threshold_level=threshold)
    assert times(outcome.events) == times(live)
    assert outcome.frames == 400
    assert outcome.maps_lost == 0


def test_boxes_come_back_to_within_the_eight_bits_and_most_of_them_exactly(tmp_path):
    folder = RunFolder.at(tmp_path, "gate")
    watch(folder, scene(600, 4), 3.0)
    before = {row.index: row for row in read_scores(folder.scores)}
    after = []
    retune(folder.path, threshold_level=3.0, each=lambda frame: after.append(frame.row))
    alarms = [row for row in after if row.alarm]
    assert alarms
    assert [row.index for row in alarms] == [row.index for row in before.values() if row.alarm]
    equal = [row.regions == before[row.index].regions for row in alarms]
    assert np.mean(equal) > 0.8


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), stored=st.floats(2.0, 6.0), asked=st.floats(2.0, 6.0))
def test_another_threshold_gives_the_events_watching_at_it_would_have_given(tmp_path_factory, seed, stored, asked):
    levels = scene(300, seed)
    folder = RunFolder.at(tmp_path_factory.mktemp("run"), "gate")
    watch(folder, levels, stored)
    there = watch(RunFolder.at(tmp_path_factory.mktemp("other"), "gate"), levels, asked)
    assert times(retune(folder.path, threshold_level=asked).events) == times(there)


def test_a_smallest_region_leaves_out_small_ones(tmp_path):
    folder = RunFolder.at(tmp_path, "gate")
    levels = np.zeros((120, 9, 20), np.float32)
    levels[40:100, 3, 4] = 6.0
    watch(folder, levels, 4.0)
    assert len(retune(folder.path, threshold_level=4.0).events) == 1
    assert not retune(folder.path, threshold_level=4.0, min_cells=2).events


def test_a_rate_goes_through_the_runs_own_calibration(tmp_path):
    folder = RunFolder.at(tmp_path, "gate")
    watch(folder, scene(300, 1), 3.0)
    outcome = retune(
        folder.path, false_alarms_per_day=2.0, level_for_rate=lambda calibration, rate: calibration["slope"] + rate
    )
    assert outcome.threshold == 4.0


def test_new_files_take_their_places_at_the_end_and_events_get_their_snapshots(tmp_path):
    folder = RunFolder.at(tmp_path, "gate")
    watch(folder, scene(600, 2), 2.0)
    outcome = retune(
        folder.path, threshold_level=4.0, results=folder, finish=lambda event: event.with_snapshot("snapshots/x.jpg")
    )
    records = read_events(folder.events)
    assert [record["id"] for record in records] == [event.id for event in outcome.events]
    assert outcome.events
    assert {record["snapshot"] for record in records} == {"snapshots/x.jpg"}
    rows = list(read_scores(folder.scores))
    assert len(rows) == 600
    assert sum(row.alarm for row in rows) == outcome.alarming
    assert not [path for path in folder.path.iterdir() if path.name.endswith(".tmp")]
    again = retune(folder.path, threshold_level=4.0)
    assert [replace(event, snapshot="snapshots/x.jpg") for event in again.events] == list(outcome.events)


def test_a_pass_that_fails_replaces_nothing(tmp_path):
    folder = RunFolder.at(tmp_path, "gate")
    watch(folder, scene(300, 2), 2.0)
    damaged = bytearray(folder.maps.read_bytes())
    damaged[600] ^= 1
    folder.maps.write_bytes(damaged)
    before = folder.events.read_bytes(), folder.scores.read_bytes()
    with pytest.raises(InputError, match="damaged"):
        retune(folder.path, threshold_level=3.0, results=folder)
    assert (folder.events.read_bytes(), folder.scores.read_bytes()) == before
    assert not [path for path in folder.path.iterdir() if path.name.endswith(".tmp")]


def test_frames_whose_maps_were_lost_keep_their_alarms_and_are_counted(tmp_path):
    folder = RunFolder.at(tmp_path, "gate")
    levels = np.zeros((200, 9, 20), np.float32)
    levels[150:190, 3, 4] = 6.0
    watch(folder, levels, 4.0, maps=100)
    outcome = retune(folder.path, threshold_level=5.0)
    (event,) = outcome.events
    assert outcome.maps_lost > 90
    assert event.regions


def test_thresholds_the_maps_cannot_tell_and_runs_without_their_files_are_refused(tmp_path):
    folder = RunFolder.at(tmp_path, "gate")
    watch(folder, scene(50, 1), 3.0)
    for level in (0.3, 16.5):
        with pytest.raises(UsageError, match="threshold"):
            retune(folder.path, threshold_level=level)
    with pytest.raises(UsageError, match="every frame"):
        retune(folder.path, threshold_level=-1.0)
    with pytest.raises(ValueError, match="needs a threshold"):
        retune(folder.path)
    folder.summary.unlink()
    with pytest.raises(InputError, match=r"summary\.json: cannot be read"):
        retune(folder.path, false_alarms_per_day=1.0, level_for_rate=lambda *_: 3.0)
    folder.maps.unlink()
    with pytest.raises(InputError, match=r"maps\.avmaps: cannot be read"):
        retune(folder.path, threshold_level=3.0)


KILLED = """
import sys, time
sys.path[:0] = {paths!r}
import test_tune as t
folder = t.RunFolder.at(t.Path(sys.argv[1]), "gate")
folder.create()
levels = t.np.zeros((9, 20), t.np.float32)
table, store = t.ScoreTable(folder.scores), t.MapWriter(folder.maps, t.GRID, t.PLACEMENT.working_size)
log, machine = t.EventLog(folder.events), t.EventMachine("gate", t.EventSettings.at(4.0))
for index in range(10**9):
    levels[3, 4] = 6.0 if index % 40 < 20 else 0.0
    verdict = t.verdict_of(levels, t.GRID, t.PLACEMENT, 4.0)
    table.write(t.ScoreRow.scored(index, t.Fraction(index, 10), verdict))
    store.append(index, levels, t.PLACEMENT.source_size)
    for message in machine.push(t.Fraction(index, 10), verdict):
        if message.kind is t.MessageKind.END:
            log.write(message.event)
    if index == 2000:
        print("go", flush=True)
    time.sleep(0.0002)
"""


def test_what_a_kill_leaves_is_readable_and_can_be_tuned(tmp_path):
    here = Path(__file__).parent
    code = KILLED.format(paths=[str(here), str(here.parents[1])])
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline().strip() == b"go"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    folder = RunFolder.at(tmp_path, "gate")
    rows, events = list(read_scores(folder.scores)), read_events(folder.events)
    assert [row.index for row in rows] == list(range(len(rows)))
    assert len(events) >= 49
    outcome = retune(folder.path, threshold_level=4.0)
    found = [event.id for event in outcome.events]
    common = min(len(found), len(events)) - 1
    assert common >= 10
    assert found[:common] == [event["id"] for event in events][:common]

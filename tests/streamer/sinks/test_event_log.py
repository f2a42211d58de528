"""Every line of the log is an event of the documented schema, out of the program's hands at once."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import Region, Verdict
from preprocess.errors import InputError, OutputError
from streamer.events import EventMachine, EventSettings, MessageKind
from streamer.sinks.event_log import EventLog, event_record, read_events
from streamer.sinks.json_text import json_bytes

SCHEMA = json.loads(files("streamer").joinpath("schemas/event.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
FULL = Path("/dev/full")
START = datetime(2026, 3, 1, 8, tzinfo=UTC)


def events(levels, rate=10, *, wall=True, maximum=600):
    machine = EventMachine("gate", EventSettings(4.0, 3.5, maximum_duration=maximum))
    messages = []
    for index, level in enumerate(levels):
        regions = (Region(8, 16, 24, 32, min(level, 300.0), 700),) if level >= 4 else ()
        verdict = Verdict(level, 10.0**-level, 0.4, 0.6, level >= 4, np.zeros((1, 1), np.float32), regions)
        moment = START + timedelta(seconds=float(index / rate)) if wall else None
        messages += machine.push(Fraction(index, rate), verdict, wall_clock=moment)
    return [m.event for m in messages + machine.close() if m.kind is MessageKind.END]


def test_the_schema_is_a_valid_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_line_is_there_as_soon_as_it_is_written(tmp_path):
    path = tmp_path / "events.jsonl"
    (event,) = events([1, 5, 6, 6.5, 5, 1])
    with EventLog(path) as log:
        assert read_events(path) == []
        log.write(event.with_snapshot("snapshots/gate-100.jpg"))
        (record,) = read_events(path)
        assert log.written == 1
    VALIDATOR.validate(record)
    assert (record["id"], record["start"], record["peak"], record["end"]) == ("gate-100", 0.1, 0.3, 0.4)
    assert record["peak_time"] == "2026-03-01T08:00:00.300+00:00"
    assert record["regions"] == [{"x": 8, "y": 16, "width": 24, "height": 32, "level": 6.5, "area": 700}]
    assert record["track"][0] == [0.1, 8, 16, 24, 32]


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        for event in events([5] * 9 + [1] * 20 + [5] * 9):
            log.write(event)
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    assert [record["id"] for record in read_events(path)] == ["gate-0"]


@pytest.mark.parametrize("damage", [b"garbage{", b"5", b"\xff\xfe", b"\0\0\0", b"[" * 100_000])
def test_a_damaged_line_is_an_input_error_that_names_it(tmp_path, damage):
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        for event in events([5] * 9 + [1] * 20 + [5] * 9):
            log.write(event)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage + b"\n" + second)
    with pytest.raises(InputError, match=r"events\.jsonl: line 2 is damaged; "):
        read_events(path)
    path.write_bytes(first + b"\n" + second + damage)  # without its end it is what a kill left
    assert len(read_events(path)) == 2


@settings(max_examples=60)
@given(
    levels=st.lists(st.sampled_from([1.0, 3.6, 4.0, 5.5, 15.0, 400.0, math.inf, math.nan]), max_size=60),
    rate=st.sampled_from([5, 10, Fraction(30000, 1001)]),
    wall=st.booleans(),
)
def test_every_event_there_can_be_is_a_line_of_the_schema(levels, rate, wall):
    for event in events(levels, rate, wall=wall, maximum=2):
        record = json.loads(json_bytes(event_record(event)))
        VALIDATOR.validate(record)
        assert record["start"] <= record["peak"] <= record["end"]


def test_numbers_that_are_not_finite_and_names_that_are_no_text_become_valid_json():
    value = {"a": math.inf, "b": [float("nan"), np.float32(0.5)], "c": Fraction(1, 3), "d": "x\udcff", "e": np.bool_(1)}
    read = json.loads(json_bytes(value))
    assert read == {"a": None, "b": [None, 0.5], "c": 0.333333, "d": "x\udcff", "e": True}
    with pytest.raises(TypeError, match="no place in JSON"):
        json_bytes({"a": object()})
    with pytest.raises(TypeError, match="no place in JSON"):
        json_bytes(b"bytes")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_told_with_the_file_and_the_way_out():
    (event,) = events([5] * 9)
    log = EventLog(FULL)
    with pytest.raises(OutputError, match=r"/dev/full: cannot be written \(no space left on device\); free some space"):
        log.write(event)

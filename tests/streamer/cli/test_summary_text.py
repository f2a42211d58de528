"""What the summary says, read as a person reads it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.calibration import TailPrior, calibrate
from streamer.frames import SourceCounts, SourceInfo
from streamer.page import roughly
from streamer.requests import FitOutcome
from streamer.settings import WatchSettings, by_option_name
from streamer.sinks.summary import (
    EventCounts,
    FrameCounts,
    LearningSummary,
    ModelSummary,
    RunSummary,
    ThresholdSummary,
    Timings,
)
from streamer.summary_text import lowest_rate, render_fit, render_summary

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SOURCE = SourceInfo(
    uri="recordings/gate.mp4",
    name="gate",
    width=640,
    height=360,
    frame_rate=Fraction(25, 2),
    frames=1050,
    duration=Fraction(84),
    start=None,
    codec="h264",
    pixel_format="yuv420p",
    rotation=0,
    has_audio=False,
)
MODEL = ModelSummary("base.avid", "avid", "default", "generated scenes", adapted=True)
EVENTS = [
    {"kind": "anomaly", "start": 41.28, "end": 45.0, "peak": 42.6, "peak_p_value": 3.1e-6, "in_learning": False},
    {"kind": "anomaly", "start": 61.0, "end": 75.1, "peak": 62.6, "peak_p_value": 3.1e-8, "in_learning": False},
    {"kind": "anomaly", "start": 12.3, "end": 13.0, "peak": 12.6, "peak_p_value": 3.1e-5, "in_learning": True},
]


def summary(**changes):
    """A run as it is written to summary.json, so that both sides agree on the names."""
    run = {
        "status": "done",
        "exit_code": 0,
        "name": "gate",
        "started": NOW,
        "ended": NOW,
        "source": SOURCE,
        "counts": FrameCounts(SourceCounts(decoded=1050), scored=1045, unscored={"start": 5}),
        "events": EventCounts(alarms=2, in_learning=1),
        "timings": Timings.of(learning=41.3, watching=21.0, frames=1050, footage=84.0),
        "settings": by_option_name(WatchSettings()),
        "outputs": {"video": "annotated.mp4", "events": "events.jsonl"},
        "model": MODEL,
        "learning": LearningSummary(33.6, 1250, 45.0, 0.12, (320, 184), "difference", "trained"),
        "threshold": ThresholdSummary(5.9, 5.3, 2, 1.0, 340.0),
    }
    return RunSummary(**{**run, **changes}).to_json()


def lines(*args, **changes):
    text = render_summary(summary(**changes), *args).plain
    return {line.split()[0]: line for line in text.splitlines() if line.split()}, text


def test_an_ordinary_run_reads_like_this():
    assert render_summary(summary(), EVENTS, Path("nowhere/gate.avid")).plain.splitlines() == [
        "recordings/gate.mp4  (640x360, 12.5 fps, 1m24s)",
        "  learned   from its first 34s, 1,250 steps, took 41s",
        "  alarms    2 alarms, and 1 event in the learning part",
        "                 at    for  peak at           rarity",
        "            00:12.3   0.7s  00:12.6      1 in 32,000  learning part",
        "            00:41.2   3.7s  00:42.6     1 in 320,000",
        "            01:01.0  14.1s  01:02.6  1 in 32 million",
        "  threshold set for 1 false alarm a day",
        "            the footage behind it supports 14.2 false alarms an hour by itself; more supports fewer",
        "  speed     50 frames/s, 4.0x real time, took 21s",
        "  skipped   0 dropped, 0 corrupt, 0 decode errors, 0 gaps; 5 frames without a score (start 5)",
        "  outputs   nowhere/gate.avid",
        "            annotated.mp4, events.jsonl",
    ]


def test_what_was_learned_from_is_named():
    elsewhere = by_option_name(WatchSettings(normal=("monday.mp4", "sunday.mp4")))
    assert "from 34s of monday.mp4, sunday.mp4," in lines(settings=elsewhere)[1]
    untrained = LearningSummary(33.6, 0, 45.0, 0.12, (320, 184), "difference", "calibrated")
    assert "from its first 34s, calibration alone, took 41s" in lines(learning=untrained)[1]
    assert "nothing new: watched with base.avid" in lines(learning=None)[1]


def test_no_alarm_is_said_too():
    assert lines(events=EventCounts())[0]["alarms"].split() == ["alarms", "none"]


def test_losses_are_counted_by_kind_and_in_the_right_number():
    counts = FrameCounts(SourceCounts(corrupt=16, gaps=1, size_changes=2), unscored={"corrupt": 16, "start": 10})
    said = lines(counts=counts)[0]["skipped"]
    assert "0 dropped, 16 corrupt, 0 decode errors, 1 gap, 2 changes of size" in said
    assert "26 frames without a score (corrupt 16, start 10)" in said


def test_a_rate_the_footage_supports_needs_no_warning():
    threshold = ThresholdSummary(3.0, 2.7, 2, 10.0, 8.0)
    assert lines(threshold=threshold)[0]["threshold"].endswith(
        "10 false alarms a day, which the normal footage supports"
    )
    assert "supports" not in lines(threshold=ThresholdSummary(3.0, 2.7, 2, 10.0, None))[1]


@pytest.mark.parametrize("causes", [1.0, 2.0])
def test_the_rate_that_is_said_to_be_set_is_the_one_that_is_set(causes):
    statistics = np.random.default_rng(4).exponential(size=5000)
    backed = replace(calibrate([statistics], 25.0, TailPrior(seconds=20_000.0)), causes=causes)
    values = {"decision": "joint", "joint": backed.to_json()}
    assert lowest_rate(values) == pytest.approx(backed.lowest_per_day)
    per_day = backed.rate_set(3.0)
    said = render_summary(summary(threshold=ThresholdSummary(3.0, 2.7, 2, 3.0, 340.0), calibration=values)).plain
    assert f"3 false alarms a day asked for; set for {per_day:.3g} false alarms a day, the fewest that can be" in said


def test_warnings_and_an_early_end_are_repeated_at_the_end():
    text = lines(status="interrupted", warnings=("--learn cut to 34s, 40 % of the recording",))[1]
    assert "note      --learn cut to 34s" in text
    assert "note      stopped on request" in text


def test_a_run_that_came_to_nothing_is_still_told():
    text = lines(model=None, learning=None, threshold=None, outputs={}, events=EventCounts())[1]
    assert "alarms    none" in text
    assert "threshold" not in text


def test_of_many_events_the_alarms_come_first_and_the_rest_is_counted():
    many = [{**EVENTS[0], "start": float(n), "end": n + 1.0, "in_learning": n < 20} for n in range(30)]
    text = render_summary(summary(), many).plain
    assert text.count("learning part\n") == 3  # the two of the table's twelve rows that alarms left, and the line above
    assert "and 18 more in events.jsonl" in text


def test_what_was_fitted_and_what_to_do_with_it():
    outcome = FitOutcome(
        Path("gate.avid"), 9000, 900.0, 4210, 600.3, 1.0, 12.0, Path("gate.png"), details={"spacing": "0.12s"}
    )
    text = render_fit(outcome).plain
    assert "learned   from 15m of normal footage, 9,000 frames" in text
    assert "next      avid-watch --model gate.avid SOURCE" in text
    assert "--resume goes on" not in text


@given(
    st.dictionaries(st.sampled_from([*summary(), "junk"]), st.none() | st.text() | st.integers() | st.lists(st.text()))
)
def test_a_strange_summary_is_shown_as_far_as_it_goes(record):
    assert isinstance(render_summary(record, [record]).plain, str)


@given(st.floats(min_value=1e-300, max_value=1.0))
def test_every_probability_can_be_told(p_value):
    text = render_summary(summary(), [{**EVENTS[0], "peak_p_value": p_value}]).plain
    assert " 1 in " in text


def test_lengths_of_time_are_as_precise_as_a_person_wants_them():
    assert [roughly(seconds) for seconds in (0.04, 8.44, 59.6, 90.2, 7530)] == ["0s", "8.4s", "1m", "1m30s", "2h6m"]

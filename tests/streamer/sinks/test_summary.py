"""The summary says everything, in valid JSON, in one step."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from preprocess.errors import InputError, OutputError
from streamer.frames import SourceCounts, SourceInfo
from streamer.sinks.score_table import WARM_UP, ScoreRow
from streamer.sinks.summary import (
    EventCounts,
    FrameCounts,
    LearningSummary,
    ModelSummary,
    RunSummary,
    ThresholdSummary,
    Timings,
    read_summary,
    write_summary,
)

SCHEMA = json.loads(files("streamer").joinpath("schemas/summary.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
SOURCE = SourceInfo(
    "gate.mp4", "gate", 640, 360, Fraction(30000, 1001), 900, Fraction(30), None, "h264", "yuv420p", 0, has_audio=True
)


def full(**changes):
    counts = FrameCounts(SourceCounts(decoded=15, corrupt=1, gaps=2), scored=9)
    counts.count(ScoreRow.unscored(0, Fraction(0), WARM_UP))
    counts.count(ScoreRow(1, Fraction(1), 1.0, 0.1, 0.5, 0.5, alarm=False, regions=(), learning=False))
    values = {
        "status": "done",
        "exit_code": 0,
        "name": "gate",
        "started": NOW,
        "ended": NOW,
        "source": SOURCE,
        "counts": counts,
        "events": EventCounts(2, 1),
        "timings": Timings.of(learning=3.0, watching=5.0, frames=150, footage=15.0),
        "settings": {"output": Path("results"), "learn": None, "normal": ()},
        "outputs": {"events": "events.jsonl"},
        "model": ModelSummary("base.avid", "avid", "light", "generated scenes", adapted=True),
        "learning": LearningSummary(12.0, 80, 45.0, 0.1, (320, 184), "difference", "trained"),
        "threshold": ThresholdSummary(5.1, 4.6, 2, 1.0, float("inf")),
        "calibration": {"scale": [1.0, float("nan")]},
        "audio": "copied",
        "warnings": ("learning cut to 40 %",),
    }
    return RunSummary(**{**values, **changes})


def test_the_schema_is_a_valid_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "changes",
    [{}, {"model": None, "learning": None, "threshold": None, "calibration": None, "status": "failed", "error": "x"}],
)
def test_a_summary_is_of_the_schema_and_comes_back_as_written(tmp_path, changes):
    path = tmp_path / "summary.json"
    written = write_summary(path, full(**changes))
    VALIDATOR.validate(written)
    assert read_summary(path) == written
    assert [file.name for file in tmp_path.iterdir()] == ["summary.json"]


def test_zeros_are_said_and_numbers_that_are_not_finite_are_null():
    content = full().to_json()
    assert content["counts"] == {
        "decoded": 15,
        "scored": 10,
        "unscored": {"warm-up": 1},
        "alarming": 0,
        "corrupt": 1,
        "dropped": 0,
        "decode_errors": 0,
        "gaps": 2,
        "pts_jumps": 0,
        "size_changes": 0,
        "missing_pts": 0,
        "duplicate_pts": 0,
        "missing_at_end": 0,
        "undecoded": 0,
    }
    assert content["threshold"]["supported_false_alarms_per_day"] is None
    assert content["calibration"] == {"scale": [1.0, None]}
    assert content["timings"]["frames_per_second"] == 30
    assert Timings.of(learning=0, watching=0, frames=0, footage=0).frames_per_second is None
    assert content["versions"]["python"].startswith("3.")


def test_a_summary_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    write_summary(path, full())
    before = path.read_bytes()

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OutputError, match="free some space"):
        write_summary(path, full(status="failed"))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["summary.json"]


def test_a_missing_foreign_or_damaged_summary_is_refused(tmp_path):
    path = tmp_path / "summary.json"
    for content, words in (
        (None, "cannot be read"),
        (b"{", "is damaged"),
        (b"[]", "no summary"),
        (b"{}", "no summary"),
    ):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError, match=words):
            read_summary(path)

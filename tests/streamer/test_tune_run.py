"""A finished run at another threshold: what watching at that threshold would have given, without a network."""

from __future__ import annotations

import json
import os
import sys
from importlib.resources import files
from pathlib import Path

import av
import cv2
import jsonschema
import pytest

from preprocess.errors import InputError, OutputError, UsageError
from streamer.requests import TuneRequest, WatchRequest
from streamer.settings import TuneSettings
from streamer.sinks.event_log import read_events
from streamer.sinks.map_store import MapReader
from streamer.sinks.score_table import read_scores
from streamer.tune_run import tune
from streamer.watch import watch

SUMMARY = jsonschema.Draft202012Validator(
    json.loads(files("streamer").joinpath("schemas/summary.schema.json").read_text())
)
FEW, MANY = 1e-6, 3000.0
"""Rates at which the clip's event is held back, and at which it alarms."""


@pytest.fixture
def run(clip, networks, settings, console):
    def watched(rate=1.0, **values):
        path = clip(100, events=((20, 32), (60, 75)))
        request = WatchRequest((str(path),), settings(false_alarms_per_day=rate, force=True, **values))
        return watch(request, console, networks=networks).sources[0].folder

    return watched


@pytest.fixture
def tuned(console):
    def at(folder, rate, **values):
        return tune(TuneRequest(folder, TuneSettings(false_alarms_per_day=rate, **values)), console)

    return at


def told(folder):
    events = read_events(folder / "events.jsonl")
    return [(event["id"], event["start"], event["end"], event["peak"]) for event in events]


def snapshot_names(folder):
    return sorted(path.name for path in (folder / "snapshots").iterdir())


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("rate", [0.001, 1.0, MANY])
def test_tuning_gives_the_events_and_alarms_of_watching_at_that_rate(run, tuned, rate):
    wanted = run(rate)
    events, alarms = told(wanted), [row.alarm for row in read_scores(wanted / "scores.csv")]
    folder = run(FEW)
    outcome = tuned(folder, rate)
    assert outcome.folder == folder
    assert told(folder) == events
    assert [row.alarm for row in read_scores(folder / "scores.csv")] == alarms
    assert outcome.alarms == sum(not event["in_learning"] for event in read_events(folder / "events.jsonl"))


def test_the_summary_follows(run, tuned):
    folder = run(FEW)
    before = json.loads((folder / "summary.json").read_text())
    outcome = tuned(folder, 1.0)
    after = json.loads((folder / "summary.json").read_text())
    SUMMARY.validate(after)
    assert after == json.loads(json.dumps(outcome.summary))
    assert after["events"] == {"alarms": 1, "in_learning": 1}
    assert after["threshold"]["asked_false_alarms_per_day"] == after["settings"]["false-alarms-per-day"] == 1.0
    assert after["threshold"]["level"] < before["threshold"]["level"]
    assert after["counts"]["alarming"] > before["counts"]["alarming"]
    assert {name: after[name] for name in ("source", "model", "timings", "calibration")} == {
        name: before[name] for name in ("source", "model", "timings", "calibration")
    }
    assert (outcome.alarms_before, outcome.alarms) == (before["events"]["alarms"], 1)


def test_new_snapshots_are_drawn_and_old_ones_go(run, tuned):
    folder = run(1.0)
    names = snapshot_names(folder)
    assert len(names) == 2
    tuned(folder, 1e-12)
    assert snapshot_names(folder) == [Path(event["snapshot"]).name for event in read_events(folder / "events.jsonl")]
    tuned(folder, 1.0)
    assert snapshot_names(folder) == names
    assert cv2.imread(str(folder / "snapshots" / names[0])).shape == (96, 160, 3)
    assert not (folder / ".tuning").exists()


def test_snapshots_are_those_of_watching(run, tuned):
    wanted = {name: data for name, data in content(run(1.0)).items() if name.endswith(".jpg")}
    folder = run(FEW)
    tuned(folder, 1.0)
    for name, data in wanted.items():
        watched, drawn = (cv2.imdecode(_array(item), cv2.IMREAD_COLOR) for item in (data, content(folder)[name]))
        assert cv2.absdiff(watched, drawn).mean() < 2  # maps are kept in sixteenths of a level


def _array(data):
    import numpy as np

    return np.frombuffer(data, np.uint8)


def test_the_video_is_drawn_anew_where_asked(run, tuned):
    folder = run(FEW, video=False)
    tuned(folder, 1.0, video=True)
    with av.open(str(folder / "annotated.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 100
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["outputs"]["video"] == "annotated.mp4"
    assert summary["warnings"] == []


def test_a_video_that_still_shows_the_earlier_threshold_is_said(run, tuned):
    folder = run(FEW)
    for _ in range(2):
        warnings = tuned(folder, 1.0).summary["warnings"]
        assert warnings == ["annotated.mp4 still shows the earlier threshold; --video draws it anew"]
    assert tuned(folder, 1.0, video=True).summary["warnings"] == []


def test_without_the_recording_events_are_still_found_and_the_lack_is_said(run, tuned, tmp_path):
    folder = run(1.0)
    (tmp_path / "gate.mp4").unlink()
    outcome = tuned(folder, 2.0)
    assert len(read_events(folder / "events.jsonl")) == 2
    assert any("no new snapshots" in warning for warning in outcome.summary["warnings"])
    # The pictures of the same moments are kept.
    kept = sorted(event["snapshot"] for event in read_events(folder / "events.jsonl"))
    assert kept == [f"snapshots/{name}" for name in snapshot_names(folder)]


def test_without_the_recording_there_is_no_video(run, tuned, tmp_path):
    folder = run(1.0)
    (tmp_path / "gate.mp4").unlink()
    before = content(folder)
    with pytest.raises(InputError, match="--video needs"):
        tuned(folder, 2.0, video=True)
    assert content(folder) == before


def test_another_recording_in_its_place_is_refused(run, tuned, clip):
    folder = run(1.0)
    clip(100, rate=24, events=())
    before = content(folder)
    with pytest.raises(InputError, match="not the recording this run has watched"):
        tuned(folder, 2.0)
    assert content(folder) == before


def test_the_recording_is_found_beside_the_run(run, tuned, clip, networks, settings, console, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip(100, events=((60, 75),))
    request = WatchRequest(("gate.mp4",), settings(output=tmp_path))
    folder = watch(request, console, networks=networks).sources[0].folder
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert tuned(folder, 2.0).summary["warnings"] == [
        "annotated.mp4 still shows the earlier threshold; --video draws it anew"
    ]
    assert len(snapshot_names(folder)) == 1


def test_results_elsewhere_make_a_whole_run_of_their_own(run, tuned, tmp_path):
    folder, other = run(FEW), tmp_path / "tuned.avid"
    before = content(folder)
    outcome = tuned(folder, 1.0, output=other, video=True)
    assert content(folder) == before
    assert outcome.folder == other
    assert sorted(content(other)) == sorted(
        ["annotated.mp4", "events.jsonl", "maps.avmaps", "scores.csv", "summary.json", *snapshot_names(other)]
    )
    with MapReader(other / "maps.avmaps") as maps:
        assert len(maps) == 95
    assert tuned(other, 1.0).alarms == outcome.alarms


def test_results_elsewhere_overwrite_nothing_unasked(run, tuned, tmp_path):
    folder, other = run(1.0), tmp_path / "tuned.avid"
    tuned(folder, 2.0, output=other)
    with pytest.raises(OutputError, match="--force"):
        tuned(folder, 3.0, output=other)
    tuned(folder, 3.0, output=other, force=True)


def test_stopped_it_leaves_everything_as_it_was(run, tuned, console):
    folder = run(FEW)
    before = content(folder)
    console.stop.set()
    outcome = tuned(folder, 1.0)
    assert outcome.interrupted
    assert content(folder) == before


def test_a_run_that_was_killed_has_no_calibration_to_tune_with(run, tuned):
    folder = run(1.0)
    (folder / "summary.json").unlink()
    with pytest.raises(InputError, match=r"summary\.json: cannot be read"):
        tuned(folder, 2.0)


def test_a_damaged_calibration_is_refused(run, tuned):
    folder = run(1.0)
    summary = json.loads((folder / "summary.json").read_text())
    summary["calibration"]["joint"]["knots"] = [1.0, 0.0]
    (folder / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(InputError, match="calibration is damaged"):
        tuned(folder, 2.0)


def test_a_rate_that_the_maps_cannot_tell_is_refused(run, tuned):
    folder = run(1.0)
    summary = json.loads((folder / "summary.json").read_text())
    summary["calibration"]["joint"]["event_start"] = 0.1
    (folder / "summary.json").write_text(json.dumps(summary))
    before = content(folder)
    with pytest.raises(UsageError, match="ask for a rate in between"):
        tuned(folder, 86400)
    assert content(folder) == before


def test_no_network_is_loaded(run, tmp_path):
    import subprocess

    folder = run(FEW)
    program = (
        "import sys; from streamer.cli import main; code = main(sys.argv[1:]);"
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    argv = ["tune", str(folder), "--false-alarms-per-day", "1", "--video"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program, *argv], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "0 alarms; now 1 alarm" in done.stdout

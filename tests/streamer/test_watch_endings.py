"""However a run ends - stopped, failed, killed - what was written until then is closed and readable."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from preprocess.errors import OutputError
from streamer import outputs, source_run
from streamer.cli.exit_codes import ExitCode, code_for
from streamer.requests import WatchRequest
from streamer.sinks.event_log import read_events
from streamer.sinks.map_store import MapReader
from streamer.sinks.score_table import read_scores
from streamer.sinks.snapshots import SnapshotKeeper
from streamer.sources.recording import Recording
from streamer.watch import watch

FAKES = Path(__file__).with_name("conftest.py")
PROGRAM = """
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location("fakes", sys.argv[1])
fakes = importlib.util.module_from_spec(spec)
sys.modules["fakes"] = fakes
spec.loader.exec_module(fakes)
import streamer.watch
fake = fakes.FakeNetworks(delay=lambda: time.sleep(float(sys.argv[2])))
streamer.watch.TorchNetworks = lambda settings: fake
from streamer.cli import main
sys.exit(main(sys.argv[3:]))
"""


@pytest.fixture
def run(console, networks, settings):
    def watched(*sources, **values):
        return watch(WatchRequest(tuple(map(str, sources)), settings(**values)), console, networks=networks)

    return watched


def readable(folder: Path, *, finished: bool) -> int:
    """Check that everything in the folder can be read; the number of rows."""
    rows = list(read_scores(folder / "scores.csv"))
    assert [row.index for row in rows] == list(range(len(rows)))
    read_events(folder / "events.jsonl")
    with MapReader(folder / "maps.avmaps") as maps:
        list(maps)
        if finished:
            assert not maps.truncated
    with av.open(str(folder / "annotated.mp4")) as video:
        pictures = sum(1 for _ in video.decode(video=0))
    if finished:
        assert pictures == len(rows)
    return len(rows)


def slow(networks, seconds=0.02):
    networks.delay = lambda: time.sleep(seconds)


class Once:
    """Does something at its n-th call."""

    def __init__(self, at, action):
        self.left, self.action = at, action

    def __call__(self):
        self.left -= 1
        if self.left == 0:
            self.action()


def test_stopped_once_it_finishes_what_it_has_begun(run, clip, networks, console):
    networks.delay = Once(12, console.stop.set)
    path = clip(1000, events=((400, 420),))
    outcome = run(path, clip(50, name="next.mp4"))
    assert outcome.interrupted
    assert code_for(outcome, fail_on_alarm=False) == ExitCode.INTERRUPTED
    (source,) = outcome.sources  # the next one was not begun
    assert source.error is None
    assert source.summary["status"] == "interrupted"
    assert source.summary["exit_code"] == 130
    written = readable(source.folder, finished=True)
    assert 0 < written < 1000
    assert source.summary["counts"]["decoded"] == written


def test_stopped_while_learning_it_leaves_nothing(run, clip, networks, console, tmp_path):
    networks.during = console.stop.set
    outcome = run(clip(100), clip(50, name="next.mp4"))
    assert outcome.interrupted
    assert [source.summary for source in outcome.sources] == [None]
    assert not (tmp_path / "out" / "gate.avid").exists()


def test_stopped_before_there_was_a_window_is_no_failure_of_the_source(run, clip, networks, console):
    networks.during = console.stop.set
    outcome = run(clip(3, events=()))
    assert [source.error for source in outcome.sources] == [None]
    assert code_for(outcome, fail_on_alarm=False) == ExitCode.INTERRUPTED


class Broken:
    """Raises at its n-th call."""

    def __init__(self, call, at, error):
        self.call, self.left, self.error = call, at, error

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            raise self.error
        return self.call(*args, **kwargs)


def test_an_error_of_the_decoder_ends_the_run_with_it(run, clip, monkeypatch, tmp_path):
    frames = Recording.frames

    def failing(self):
        for frame in frames(self):
            if frame.index == 150:
                raise RuntimeError("decoder gone")
            yield frame

    monkeypatch.setattr(Recording, "frames", failing)
    with pytest.raises(RuntimeError, match="decoder gone"):
        run(clip(200))
    folder = tmp_path / "out" / "gate.avid"
    assert readable(folder, finished=True) == 150
    assert json.loads((folder / "summary.json").read_text())["counts"]["scored"] == 145


def test_an_error_of_the_networks_ends_the_run_with_it(run, clip, networks, tmp_path):
    networks.delay = Broken(lambda: None, 5, MemoryError("no memory left"))
    with pytest.raises(MemoryError):
        run(clip(200))
    folder = tmp_path / "out" / "gate.avid"
    # Frames without a window and four batches came through before.
    assert readable(folder, finished=True) == 5 + 4 * 8
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["status"], summary["exit_code"]) == ("failed", 70)
    assert summary["error"] == "internal error: MemoryError: no memory left"


@pytest.mark.parametrize(
    ("target", "method"),
    [(outputs.ScoreTable, "write"), (outputs.MapWriter, "append"), (outputs.AnnotatedVideo, "write")],
)
def test_a_full_disk_ends_the_run_with_an_error_of_the_source(run, clip, monkeypatch, target, method):
    error = OutputError("scores.csv: cannot be written (no space left on device)")
    monkeypatch.setattr(target, method, _method(Broken(getattr(target, method), 60, error)))
    outcome = run(clip(200), clip(50, name="next.mp4"))
    failed, done = outcome.sources
    assert failed.error is error
    assert (failed.summary["status"], failed.summary["exit_code"]) == ("failed", 2)
    assert done.error is None
    assert readable(failed.folder, finished=False) >= 50
    assert code_for(outcome, fail_on_alarm=False) == ExitCode.PARTIAL


def _method(broken):
    def method(self, *args, **kwargs):
        return broken(self, *args, **kwargs)

    return method


def test_a_snapshot_that_cannot_be_written_ends_the_run_too(run, clip, monkeypatch):
    error = OutputError("snapshots: cannot be written")
    monkeypatch.setattr(SnapshotKeeper, "finish", _method(Broken(SnapshotKeeper.finish, 1, error)))
    (source,) = run(clip(200)).sources
    assert source.error is error


def test_an_output_that_cannot_be_closed_is_an_error_of_the_source(run, clip, monkeypatch):
    error = OutputError("maps.avmaps: cannot be written")

    def close(self):
        raise error

    monkeypatch.setattr(outputs.MapWriter, "close", close)
    (source,) = run(clip(60)).sources
    assert source.error is error
    assert source.summary["status"] == "failed"
    assert len(list(read_scores(source.folder / "scores.csv"))) == 60


def test_the_second_signal_still_closes_the_files_and_writes_the_summary(run, clip, networks, tmp_path, monkeypatch):
    slow(networks, 0.01)
    began = time.monotonic()

    def look():
        if time.monotonic() - began > 0.5:
            raise KeyboardInterrupt

    original = source_run.run_stages
    monkeypatch.setattr(source_run, "run_stages", lambda *args, **options: original(*args, **{**options, "look": look}))
    with pytest.raises(KeyboardInterrupt):
        run(clip(2000))
    folder = tmp_path / "out" / "gate.avid"
    assert 0 < readable(folder, finished=True) < 2000
    assert json.loads((folder / "summary.json").read_text())["status"] == "interrupted"


def started(tmp_path, *argv, delay=0.03):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(FAKES), str(delay), *argv],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_rows(folder, least):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        table = folder / "scores.csv"
        if table.is_file() and sum(1 for _ in read_scores(table)) >= least:
            return
        time.sleep(0.05)
    raise AssertionError("the run did not begin")


def test_a_kill_leaves_everything_readable(clip, tmp_path):
    path = clip(3000, size=(96, 64), events=((100, 120),))
    process = started(tmp_path, str(path))
    folder = tmp_path / "gate.avid"
    wait_for_rows(folder, 250)
    process.kill()
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL
    assert 250 <= readable(folder, finished=False) < 3000
    with av.open(str(folder / "annotated.mp4")) as video:
        # All but about the last second.
        assert sum(1 for _ in video.decode(video=0)) >= 250 - 30
    assert [event["id"] for event in read_events(folder / "events.jsonl")] == ["gate-4000"]
    assert not (folder / "summary.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_closes_everything_and_prints_the_summary(clip, tmp_path, number):
    path = clip(3000, size=(96, 64), events=())
    process = started(tmp_path, str(path))
    folder = tmp_path / "gate.avid"
    wait_for_rows(folder, 30)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "stopped on request" in out
    assert err.splitlines() == ["avid-watch: finishing the current batch; press again to stop now"]
    assert 30 <= readable(folder, finished=True) < 3000
    assert json.loads((folder / "summary.json").read_text())["status"] == "interrupted"


def test_two_signals_end_it_at_once(clip, tmp_path):
    path = clip(3000, size=(96, 64), events=())
    process = started(tmp_path, str(path), delay=0.5)
    folder = tmp_path / "gate.avid"
    wait_for_rows(folder, 13)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == ExitCode.INTERRUPTED
    assert time.monotonic() - began < 6
    readable(folder, finished=False)


def test_the_second_signal_while_learning_leaves_nothing(run, clip, networks, tmp_path):
    def press():
        raise KeyboardInterrupt

    networks.during = press
    with pytest.raises(KeyboardInterrupt):
        run(clip(100))
    assert not (tmp_path / "out" / "gate.avid").exists()

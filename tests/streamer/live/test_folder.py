"""A live camera's folder is state: a restart goes on in it, and nobody else's folder is taken for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from preprocess.errors import OutputError
from streamer.live.folder import FOLDERS, LiveFolder, live_path
from streamer.sinks.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[3]
URI = "rtsp://someone:secret@gate.example/stream"


def at(year):
    return lambda: datetime(year, 3, 1, 8, tzinfo=UTC)


def test_a_new_folder_has_its_parts_and_its_marker_without_the_password(tmp_path):
    with LiveFolder.open(tmp_path / "deep" / "er", "gate", URI, at(2026)) as folder:
        assert folder.path == tmp_path / "deep" / "er" / "gate.avid"
        assert all((folder.path / part).is_dir() for part in FOLDERS)
        marker = json.loads((folder.path / "camera.json").read_text())
    assert marker == {
        "format": 1,
        "name": "gate",
        "created": "2026-03-01T08:00:00.000+00:00",
        "uri": "rtsp://gate.example/stream",
    }
    assert "secret" not in "".join(path.read_text() for path in folder.path.rglob("*") if path.is_file())


def test_a_restart_goes_on_in_the_same_folder_and_deletes_nothing(tmp_path):
    with LiveFolder.open(tmp_path, "gate", URI, at(2026)) as folder:
        folder.events.write_text("a line\n")
        (folder.learned / "state").write_text("learned")
        (folder.clips / "one.mp4").write_text("clip")
        before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*") if path.name != ".lock"}
    with LiveFolder.open(tmp_path, "gate", URI, at(2027)) as again:
        assert again.path == folder.path
        assert again.created.year == 2026
        assert before == {path: path.stat().st_mtime_ns for path in again.path.rglob("*") if path.name != ".lock"}


def test_another_address_is_noted_and_the_folder_stays_the_same(tmp_path):
    LiveFolder.open(tmp_path, "gate", URI, at(2026)).close()
    with LiveFolder.open(tmp_path, "gate", "rtsp://new.example/stream", at(2027)) as folder:
        marker = json.loads((folder.path / "camera.json").read_text())
        assert (marker["uri"], marker["created"][:4]) == ("rtsp://new.example/stream", "2026")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"format": "x", "created": 3}'])
def test_a_damaged_marker_is_written_anew(tmp_path, content):
    LiveFolder.open(tmp_path, "gate", URI, at(2026)).close()
    (tmp_path / "gate.avid" / "camera.json").write_text(content)
    with LiveFolder.open(tmp_path, "gate", URI, at(2027)) as folder:
        assert json.loads((folder.path / "camera.json").read_text())["name"] == "gate"


def test_a_folder_of_a_newer_version_is_left_alone(tmp_path):
    LiveFolder.open(tmp_path, "gate", URI, at(2026)).close()
    marker = tmp_path / "gate.avid" / "camera.json"
    marker.write_text(marker.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(OutputError, match="newer avid-watch"):
        LiveFolder.open(tmp_path, "gate", URI)
    assert '"format": 2' in marker.read_text()


def test_two_programs_never_write_into_one_folder(tmp_path):
    with LiveFolder.open(tmp_path, "gate"):
        with pytest.raises(OutputError, match=rf"another avid-watch \(process {os.getpid()}\) writes into it; stop"):
            LiveFolder.open(tmp_path, "gate")
        LiveFolder.open(tmp_path, "yard").close()
    LiveFolder.open(tmp_path, "gate").close()


def test_a_kill_leaves_no_lock_behind(tmp_path):
    program = "import sys, time; from pathlib import Path; from streamer.live.folder import LiveFolder\n"
    program += "folder = LiveFolder.open(Path(sys.argv[1]), 'gate'); print('open', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(OutputError, match=f"process {other.pid}"):
            LiveFolder.open(tmp_path, "gate")
        other.send_signal(signal.SIGKILL)
        other.wait(10)
    LiveFolder.open(tmp_path, "gate").close()


def test_a_recording_of_the_same_name_keeps_its_folder(tmp_path):
    run = RunFolder.at(tmp_path, "gate")
    run.create()
    run.summary.write_text("{}")
    with LiveFolder.open(tmp_path, "gate") as folder:
        assert folder.path == tmp_path / "gate-live.avid"
        assert folder.name == "gate"
    run.summary.unlink()
    run.discard_if_empty()
    assert not run.path.exists()
    # What was learned is found again, also where the recording's folder is gone by now.
    assert live_path(tmp_path, "gate") == tmp_path / "gate-live.avid"


def test_where_both_names_are_taken_the_camera_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "gate.avid").mkdir()
    (tmp_path / "gate.avid" / "scores.csv").write_text("")
    (tmp_path / "gate-live.avid").write_text("a file")
    with pytest.raises(OutputError, match=r"something other than a live camera.*choose another name with --name"):
        LiveFolder.open(tmp_path, "gate")


def test_a_kill_while_the_folder_was_made_does_not_keep_the_camera_out(tmp_path):
    (tmp_path / "gate.avid").mkdir()
    (tmp_path / "gate.avid" / ".lock").write_text("17")
    (tmp_path / "gate.avid" / ".camera.json.tmp").write_text("{")
    with LiveFolder.open(tmp_path, "gate") as folder:
        assert folder.path == tmp_path / "gate.avid"


@pytest.mark.parametrize("force", [False, True])
def test_no_run_replaces_a_cameras_folder(tmp_path, force):
    LiveFolder.open(tmp_path, "gate").close()
    with pytest.raises(OutputError, match="is the folder of a live camera, which no run replaces; choose"):
        RunFolder.at(tmp_path, "gate").create(force=force)


def test_a_file_being_written_is_not_deleted(tmp_path):
    with LiveFolder.open(tmp_path, "gate") as folder:
        path = folder.clips / "a.mp4"
        path.write_text("x")
        folder.files.add(path)
        assert not folder.files.delete(path)
        assert path.exists()
        folder.files.discard(path)
        assert folder.files.delete(path)
        assert not path.exists()

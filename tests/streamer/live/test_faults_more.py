"""A whole live run whose disk fills up, and one that is killed: what is kept, and what goes on."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest
import yaml

from streamer.live.config import LiveConfig
from streamer.live.notices import CameraState
from streamer.live.receivers import STORE
from streamer.sinks.storage import StorageWatch
from tests.streamer.live.live_run import NormalScene, Run, commanded_camera, normal_scene

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).resolve().parents[3]
SMALL = 12 * 2**20


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> NormalScene:
    return normal_scene(tmp_path_factory.mktemp("scene"), seconds=8)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own; the disk of the tests must not be filled."""
    folder = tmp_path / "out"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder)]
    mounted = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def logged(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "gate.avid" / "events.jsonl").read_text().splitlines()]


def pictures_in(clip: Path) -> int:
    with av.open(str(clip)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_full_disk_stops_the_evidence_with_one_event_and_never_the_watching(
    scene: NormalScene, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.live.run.StorageWatch", partial(StorageWatch, check_seconds=0.5))
    with commanded_camera(scene.pictures) as camera:
        config = LiveConfig.model_validate(
            {
                "output": small_disk,
                "retention": {"free": "1MB"},
                "cameras": [{"name": "gate", "uri": camera.uri, "model": scene.model}],
            }
        )
        with Run(config) as run:
            run.wait_for("gate", CameraState.WATCHING)
            run.wait_scored("gate")
            filler = small_disk / "filler"
            fill(filler)
            run.wait(lambda: "storage full" in run.out.getvalue())
            run.wait_scored("gate", 10)
            camera.mode = "black"
            run.wait(lambda: "camera covered" in run.out.getvalue())
            camera.mode = "normal"
            run.wait(lambda: "camera covered over" in run.out.getvalue(), 30)
            filler.unlink()
            run.wait(lambda: "storage full over" in run.out.getvalue())
            run.wait_scored("gate", 5)
            camera.mode = "black"  # there is evidence again
            run.wait(lambda: run.out.getvalue().count("camera covered:") > 1, 30)
            camera.mode = "normal"
            run.wait_scored("gate", 15)
            scored = run.run.cameras["gate"]
        stored = [(m.kind, m.event["kind"]) for m in run.messages() if m.kind in {"new", "end"}]
        events = logged(small_disk)
        rows = [row for day in (small_disk / "gate.avid" / "scores").iterdir() for row in read(day)]
    covered = [("new", "camera_covered"), ("end", "camera_covered")]
    assert sorted(stored) == sorted([*covered, *covered, ("new", "storage_full"), ("end", "storage_full")])
    assert sorted(event["kind"] for event in events) == ["camera_covered", "camera_covered", "storage_full"]
    assert sum(1 for row in rows if row["score"]) == scored.outputs.scored
    clips = [event["clip"] for event in events if event["kind"] == "camera_covered"]
    assert pictures_in(small_disk / "gate.avid" / str(clips[-1])) > 10


def test_what_a_kill_leaves_can_be_read_at_once(scene: NormalScene, tmp_path: Path) -> None:
    path = tmp_path / "cameras.yaml"
    with commanded_camera(scene.pictures) as camera:
        gate = {"name": "gate", "uri": camera.uri, "model": str(scene.model)}
        path.write_text(yaml.safe_dump({"output": str(tmp_path / "out"), "cameras": [gate]}))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "streamer.cli", "--config", str(path)]
        process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE)
        assert process.stdout is not None
        for line in process.stdout:
            if "gate: watching" in line and camera.mode == "normal":
                time.sleep(1.5)
                camera.mode = "black"
            elif "camera covered" in line:
                break
        time.sleep(1.5)
        process.kill()
        process.communicate(timeout=20)
    with closing(sqlite3.connect(f"file:{tmp_path / 'out' / STORE}?mode=ro", uri=True)) as store:
        assert store.execute("SELECT kind, end_at FROM events").fetchall() == [("camera_covered", None)]
    clips = list((tmp_path / "out" / "gate.avid" / "clips").iterdir())
    assert [pictures_in(clip) > 10 for clip in clips] == [True]


def read(day: Path) -> list[dict[str, str]]:
    with day.open(newline="") as file:
        return list(csv.DictReader(file))

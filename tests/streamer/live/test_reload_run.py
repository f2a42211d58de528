"""The real program is sent SIGHUP: it reads its cameras file again, and cameras that stay the same do not notice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
import yaml

from tests.streamer.live.live_run import NormalScene, commanded_camera, normal_scene

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 40.0


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> NormalScene:
    return normal_scene(tmp_path_factory.mktemp("scene"), seconds=6)


def soon(what: Callable[[], object], otherwise: Callable[[], str]) -> None:
    until = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < until, otherwise()
        time.sleep(0.05)


class Program:
    """``avid-watch`` as a process of its own, and what it has said so far."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "streamer.cli", *arguments]
        self.said = ""
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said += line

    def until_said(self, words: str, times: int = 1) -> None:
        soon(lambda: self.said.count(words) >= times, lambda: f"not {words!r} but {self.said}")

    def hang_up(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        code = self._process.wait(SECONDS)
        self._reader.join(10)
        return code

    def end(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)


class CamerasFile:
    """A cameras file whose time and size never change, so that only who is told reads it again."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.path = folder / "cameras.yaml"
        self._folder, self._model = folder, model

    def write(self, text: str) -> None:
        assert len(text) < 4000
        self.path.write_text(text + "\n" + "#" * (4000 - len(text)))
        os.utime(self.path, ns=(10**18, 10**18))

    def watch(self, **cameras: str) -> None:
        listed = [{"name": name, "uri": uri, "model": str(self._model)} for name, uri in cameras.items()]
        self.write(yaml.safe_dump({"output": str(self._folder / "out"), "cameras": listed}))

    def events(self, camera: str) -> list[dict[str, object]]:
        log = self._folder / "out" / f"{camera}.avid" / "events.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []


def test_sighup_begins_new_cameras_ends_old_ones_politely_and_leaves_the_others_alone(
    scene: NormalScene, tmp_path: Path
) -> None:
    pictures = scene.pictures
    with commanded_camera(pictures) as one, commanded_camera(pictures) as two, commanded_camera(pictures) as three:
        file = CamerasFile(tmp_path, scene.model)
        file.watch(one=one.uri, two=two.uri)
        with Program(tmp_path, "--config", str(file.path)) as program:
            program.until_said("one: connecting")
            program.hang_up()  # before all is at work: kills nothing
            program.until_said("one: watching")
            program.until_said("two: watching")
            two.mode = "black"
            program.until_said("two: camera covered")

            file.watch(one=one.uri, three=three.uri)
            program.hang_up()
            program.until_said("three: watching")
            soon(lambda: not two.viewers, lambda: program.said)
            ended = file.events("two")
            assert [event["kind"] for event in ended] == ["camera_covered"]
            assert ended[0]["end"]

            file.write("cameras:\n  - name: one\n    uri: rtsp://gate/x\n    learn: often")
            program.hang_up()
            program.until_said("cameras.yaml line 4")
            program.until_said("everything goes on with the settings of before")
            program.hang_up()
            program.until_said("cameras.yaml line 4", times=2)
            three.mode = "black"
            program.until_said("three: camera covered")
            assert (one.connections, one.viewers) == (1, 1)
            assert (two.connections, three.connections) == (1, 1)

            assert program.end() == 0, program.said
        assert program.said.count("one: watching") == 1
        assert (tmp_path / "out" / "three.avid" / "events.jsonl").is_file()


def test_sighup_without_a_cameras_file_ends_the_run_politely(scene: NormalScene, tmp_path: Path) -> None:
    with commanded_camera(scene.pictures) as camera:
        options = ("--model", str(scene.model), "-o", str(tmp_path / "out"), "--name", "gate")
        with Program(tmp_path, camera.uri, *options) as program:
            program.until_said("gate: watching")
            camera.mode = "black"
            program.until_said("gate: camera covered")
            program.hang_up()
            assert program.wait() == 0, program.said
    log = (tmp_path / "out" / "gate.avid" / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in log] == ["camera_covered"]

"""A live run from its start to its end, a kill included: what it learns, keeps, and goes on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest
import yaml

from preprocess.errors import AvidWatchError, InputError, OutputError
from streamer.live.config import LiveConfig
from streamer.live.config_file import read_config
from streamer.live.notices import CameraState
from tests.streamer.live.live_run import NormalScene, Run, commanded_camera, normal_scene
from tests.streamer.live.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.timeout(240)

WATCHING, LEARNING = CameraState.WATCHING, CameraState.LEARNING
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> NormalScene:
    return normal_scene(tmp_path_factory.mktemp("scene"), seconds=20)


def settings(folder: Path, *cameras: dict[str, object], **more: object) -> LiveConfig:
    return LiveConfig.model_validate({"output": folder / "out", "cameras": list(cameras), **more})


def soon(what: Callable[[], object], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f"{seconds} s in vain"
        time.sleep(0.05)


def test_a_camera_learns_by_itself_and_a_restart_goes_on_with_what_it_learned(
    scene: NormalScene, tmp_path: Path
) -> None:
    with commanded_camera(scene.pictures) as camera:
        config = settings(tmp_path, {"name": "gate", "uri": camera.uri, "learn": "3s"})
        with Run(config) as run:
            run.wait_for("gate", LEARNING)
            run.wait_for("gate", WATCHING, seconds=60)
            run.wait_scored("gate")
        learned = tmp_path / "out" / "gate.avid" / "learned"
        soon((learned / "state.json").is_file)
        state = json.loads((learned / "state.json").read_text())
        assert set(state["lights"]) == {"colour"}
        first = (learned / "colour.avid").read_bytes()
        with Run(config) as run:
            run.wait_for("gate", WATCHING)
            run.wait_scored("gate")
            states = [m.document["state"] for m in run.messages() if m.kind == "state"]
        assert "learning" not in states[states.index("watching") + 1 :]
        assert (learned / "colour.avid").read_bytes() == first


def test_anomalies_of_a_camera_that_still_learns_are_provisional_and_recorded(
    scene: NormalScene, tmp_path: Path
) -> None:
    with commanded_camera(scene.pictures) as camera:
        zone = {"name": "bench", "kind": "watch", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}
        gate = {"name": "gate", "uri": camera.uri, "learn": "3s", "false_alarms_per_day": 86400, "zones": [zone]}
        gate |= {"record": "10m", "clips": {"annotated": True, "post_roll": "1s"}}
        with Run(settings(tmp_path, gate)) as run:
            run.wait_for("gate", WATCHING, seconds=60)
            camera.mode = "fast"
            run.wait(lambda: run.events("gate", "anomaly"), 40)
            message = run.events("gate", "anomaly")[0]
            assert message.event["provisional"] is True
            assert message.event["zones"] == ["bench"]
            assert (tmp_path / "out" / "gate.avid" / message.event["snapshot"]).is_file()
        folder = tmp_path / "out" / "gate.avid"
        videos = [*folder.glob("recordings/*/*.mp4"), *folder.glob("clips/*-annotated.mp4")]
        assert len(videos) >= 2
        for video in videos:
            with av.open(str(video)) as container:
                assert sum(1 for _ in container.decode(video=0)) > 5


def test_a_camera_with_normal_recordings_learns_from_them_before_its_own_pictures(
    scene: NormalScene, tmp_path: Path
) -> None:
    with commanded_camera(scene.pictures) as camera:
        gate = {"name": "gate", "uri": camera.uri, "learn": "10m", "normal": [str(scene.clip)]}
        with Run(settings(tmp_path, gate)) as run:
            run.wait_for("gate", WATCHING, seconds=60)
            run.wait_scored("gate")


def test_a_changed_cameras_file_begins_new_cameras_and_leaves_the_others_alone(
    scene: NormalScene, tmp_path: Path
) -> None:
    with commanded_camera(scene.pictures) as one, commanded_camera(scene.pictures) as two:
        path = tmp_path / "cameras.yaml"

        def write(*cameras: tuple[str, str]) -> None:
            listed = [{"name": name, "uri": uri, "model": str(scene.model)} for name, uri in cameras]
            path.write_text(yaml.safe_dump({"output": str(tmp_path / "out"), "cameras": listed}))

        write(("one", one.uri), ("two", two.uri))
        with Run(read_config(path), config_file=path) as run:
            run.wait_for("one", WATCHING)
            run.wait_for("two", WATCHING)
            kept = run.run.cameras["one"]
            write(("one", one.uri), ("three", two.uri))
            run.wait(lambda: set(run.run.cameras) == {"one", "three"})
            run.wait_for("three", WATCHING)
            assert run.run.cameras["one"] is kept
            assert kept.source.reconnects == 0
            path.write_text("cameras: nonsense")
            run.wait(lambda: "goes on with the settings of before" in run.err.getvalue())
            run.wait_scored("one")


def test_a_camera_that_cannot_be_begun_with_concerns_no_other_one_and_can_be_put_right(
    scene: NormalScene, tmp_path: Path
) -> None:
    with commanded_camera(scene.pictures) as one, commanded_camera(scene.pictures) as two:
        path = tmp_path / "cameras.yaml"

        def write(*cameras: tuple[str, str, Path]) -> None:
            listed = [{"name": name, "uri": uri, "model": str(model)} for name, uri, model in cameras]
            path.write_text(yaml.safe_dump({"output": str(tmp_path / "out"), "cameras": listed}))

        first, missing = ("one", one.uri, scene.model), tmp_path / "missing.avid"
        write(first)
        with Run(read_config(path), config_file=path) as run:
            run.wait_for("one", WATCHING)
            kept = run.run.cameras["one"]
            for name in ("two", "three"):
                write(first, (name, two.uri, missing))
                run.wait(lambda: f"{name}: {missing}" in run.err.getvalue())  # noqa: B023 - waited for within its turn
            write(first, ("three", two.uri, scene.model))
            run.wait(lambda: "three" in run.run.cameras)
            run.wait_for("three", WATCHING)
            assert run.run.cameras["one"] is kept
            assert (one.connections, kept.source.reconnects) == (1, 0)
        assert "the other cameras go on" in run.err.getvalue()


def test_the_windows_that_wait_are_measured(
    scene: NormalScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with commanded_camera(scene.pictures) as camera:
        gate = {"name": "gate", "uri": camera.uri, "model": str(scene.model)}
        with Run(settings(tmp_path, gate)) as run:
            run.wait_for("gate", WATCHING)
            counts = run.run._batcher.counts
            monkeypatch.setattr(run.run._batcher, "counts", lambda name: replace(counts(name), waiting=7))
            run.wait(lambda: b'avid_watch_queue_depth{queue="windows"} 7.0' in run.run.metrics.render())


def test_a_model_that_has_learned_no_camera_is_refused_before_anything_is_watched(tmp_path: Path) -> None:
    camera = {"uri": f"rtsp://127.0.0.1:{free_port()}/x", "model": str(ROOT / "detectors" / "weights" / "base.avid")}
    with pytest.raises(AvidWatchError, match="has not learned a camera yet"), Run(settings(tmp_path, camera)):
        pass


def test_an_output_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"), Run(settings(tmp_path, {"uri": "rtsp://127.0.0.1/x"})):
        pass


def test_a_run_whose_cameras_have_all_given_up_ends_with_an_error_for_each(tmp_path: Path) -> None:
    dead = [
        {"name": f"dead{number}", "uri": f"rtsp://127.0.0.1:{free_port()}/stream", "max_reconnects": 1}
        for number in range(2)
    ]
    with Run(settings(tmp_path, *dead)) as run:
        run.wait(lambda: run.outcome is not None)
    assert [type(source.error) for source in run.outcome.sources] == [InputError, InputError]
    assert all("refused" in str(source.error) for source in run.outcome.sources)


def test_motion_where_nothing_may_move_alarms(scene: NormalScene, tmp_path: Path) -> None:
    zone = {"name": "safe", "kind": "nothing_may_move", "polygon": [[0.02, 0.02], [0.2, 0.02], [0.2, 0.2], [0.02, 0.2]]}
    with commanded_camera(scene.pictures) as camera:
        camera.mode = "calm"
        gate = {"name": "gate", "uri": camera.uri, "model": scene.model, "zones": [zone]}
        with Run(settings(tmp_path, gate)) as run:
            run.wait_for("gate", WATCHING)
            run.wait_scored("gate", 40)
            camera.mode = "hand"
            run.wait(lambda: run.events("gate", "forbidden_motion"), 30)
            assert run.events("gate", "forbidden_motion")[0].event["zones"] == ["safe"]


def command(tmp_path: Path, scene: NormalScene, uri: str) -> list[str]:
    path = tmp_path / "cameras.yaml"
    camera = {"name": "gate", "uri": uri, "model": str(scene.model)}
    path.write_text(yaml.safe_dump({"output": str(tmp_path / "out"), "cameras": [camera]}))
    return [sys.executable, "-m", "streamer.cli", "--config", str(path)]


def start(arguments: list[str], tmp_path: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        arguments, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def until_said(process: subprocess.Popen[str], words: str) -> str:
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"ended without saying {words!r}: {said}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_stopped_ends_its_events_and_exits_with_0(
    scene: NormalScene, tmp_path: Path, number: signal.Signals
) -> None:
    with commanded_camera(scene.pictures) as camera:
        process = start(command(tmp_path, scene, camera.uri), tmp_path)
        until_said(process, "gate: watching")
        camera.mode = "black"
        until_said(process, "camera covered")
        process.send_signal(number)
        said = process.communicate(timeout=40)[0]
    assert process.returncode == 0, said
    events = [json.loads(line) for line in (tmp_path / "out" / "gate.avid" / "events.jsonl").read_text().splitlines()]
    assert [event["kind"] for event in events] == ["camera_covered"]


def test_a_program_that_is_killed_has_lost_no_event_and_goes_on_in_the_same_folder(
    scene: NormalScene, tmp_path: Path
) -> None:
    with commanded_camera(scene.pictures) as camera:
        arguments = command(tmp_path, scene, camera.uri)
        process = start(arguments, tmp_path)
        until_said(process, "gate: watching")
        camera.mode = "black"
        until_said(process, "camera covered")
        time.sleep(1.5)
        process.kill()
        process.communicate(timeout=20)
        camera.mode = "normal"
        process = start(arguments, tmp_path)
        until_said(process, "gate: watching")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=40)
    assert process.returncode == 0
    log = (tmp_path / "out" / "gate.avid" / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in log]
    assert [event["kind"] for event in events] == ["camera_covered"]
    assert "the program ended" in events[0]["detail"] or "program" in events[0]["detail"]
    clips = list((tmp_path / "out" / "gate.avid" / "clips").iterdir())
    assert clips
    assert clips[0].stat().st_size > 1000


def test_what_goes_wrong_while_one_camera_is_written_down_is_told_once_and_concerns_no_other(
    scene: NormalScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with commanded_camera(scene.pictures) as one, commanded_camera(scene.pictures) as two:
        cameras = [{"name": name, "uri": camera.uri, "model": scene.model} for name, camera in (("a", one), ("b", two))]
        with Run(settings(tmp_path, *cameras)) as run:
            run.wait_for("a", WATCHING)
            run.wait_for("b", WATCHING)
            broken = run.run.cameras["a"].outputs

            def fail(*_: object) -> None:
                raise RuntimeError("no such thing")

            monkeypatch.setattr(broken, "take", fail)
            run.wait_scored("b", 15)
            assert run.err.getvalue().count("no such thing") == 1
            monkeypatch.undo()
            run.wait_scored("a")

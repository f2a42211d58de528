"""What goes wrong with live cameras, all of it at once: one run, nine cameras, a broker and a receiver that go away.

Nothing here may disturb another camera, lose an event or raise a false alarm. docs/reliability.md has the table;
``tests/benchmarks/live_faults.py`` measures it with the times of earnest runs.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import pytest

from streamer.live.config import LiveConfig
from streamer.live.notices import CameraState
from tests.mosquitto import Listener, Mosquitto
from tests.streamer.live.live_run import Message, NormalScene, Run, commanded_camera, jumping_clip, normal_scene
from tests.streamer.live.lossy_relay import LossyRelay
from tests.streamer.live.servers import RtspServer, free_port, require_rtsp_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(240)

WATCHING, OFFLINE, CONNECTING, DEGRADED = (
    CameraState.WATCHING,
    CameraState.OFFLINE,
    CameraState.CONNECTING,
    CameraState.DEGRADED,
)
PASSWORD = "not-to-be-seen"  # noqa: S105 - of a server in this test


@dataclass
class Receiver:
    """A webhook's other end, which can go away and come back under the same address."""

    port: int = field(default_factory=free_port)
    got: list[dict[str, Any]] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    def start(self) -> Self:
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@dataclass
class Story:
    """What happened in the run."""

    folder: Path
    messages: list[Message]
    published: list[dict[str, Any]]
    posted: list[dict[str, Any]]
    said: str
    scored: dict[str, int]
    reconnects: dict[str, int]
    segments_lost: int
    exit_errors: list[str | None]

    def of(self, camera: str, kind: str) -> list[Message]:
        return [m for m in self.messages if m.camera == camera and m.event.get("kind") == kind]

    def states(self, camera: str) -> list[str]:
        return [m.document["state"] for m in self.messages if m.camera == camera and m.kind == "state"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> NormalScene:
    require_rtsp_server()
    return normal_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def story(scene: NormalScene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("faults")
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    listener = Listener(broker.port)
    receiver = Receiver().start()
    jumping = jumping_clip(scene.clip, folder / "jumping.ts", at=6.0, back=30.0)
    file = {"file": scene.clip}
    try:
        with (
            RtspServer(**file) as killed,
            RtspServer(**file) as stopped,
            RtspServer(**file) as lossy,
            RtspServer(**file, user="me", password=PASSWORD) as locked,
            RtspServer(**file) as healthy,
            LossyRelay(lossy.port, loss=0.05) as relay,
            commanded_camera(scene.pictures) as commanded,
        ):
            cameras: list[dict[str, object]] = [
                {"name": "killed", "uri": killed.uri},
                {"name": "stopped", "uri": stopped.uri},
                {"name": "lossy", "uri": lossy.uri_at(relay.port), "transport": "udp"},
                {"name": "commanded", "uri": commanded.uri},
                {"name": "jumping", "uri": str(jumping), "realtime": True},
                {"name": "locked", "uri": locked.uri_at(locked.port, f"me:{PASSWORD}-wrong"), "max_reconnects": 1},
                {"name": "dead", "uri": f"rtsp://127.0.0.1:{free_port()}/stream"},
                {"name": "healthy", "uri": healthy.uri_at(healthy.port)},
            ]
            config = LiveConfig.model_validate(
                {
                    "output": folder / "out",
                    "mqtt": f"mqtt://127.0.0.1:{broker.port}",
                    "webhooks": [f"http://127.0.0.1:{receiver.port}/hook"],
                    "metrics": 0,
                    "instance": "test",
                    "defaults": {"model": scene.model, "stall": 1.5},
                    "cameras": cameras,
                }
            )
            with Run(config) as run:
                yield _played(run, folder, killed, stopped, commanded, broker, listener, receiver)
    finally:
        listener.close()
        broker.stop()
        receiver.stop()


def _played(run, folder, killed, stopped, commanded, broker, listener, receiver) -> Story:
    for camera in ("killed", "stopped", "lossy", "commanded", "jumping", "healthy"):
        run.wait_for(camera, WATCHING)
    run.wait_scored("healthy")
    # Everything goes wrong at once, and whoever should hear of it is away.
    broker.stop()
    receiver.stop()
    killed.kill()
    stopped.freeze()
    commanded.mode = "black"
    run.wait(lambda: run.events("killed", "camera_offline"))
    run.wait(lambda: run.events("stopped", "camera_offline"))
    run.wait(lambda: run.events("commanded", "camera_covered"))
    run.wait_scored("healthy")
    killed.start()
    stopped.thaw()
    commanded.mode = "normal"
    for camera in ("killed", "stopped", "commanded"):
        run.wait_for(camera, WATCHING)
        run.wait_scored(camera)
    broker.start()
    receiver.start()
    commanded.mode = "frozen"
    run.wait(lambda: run.events("commanded", "camera_frozen"))
    commanded.mode = "normal"
    run.wait_for("commanded", WATCHING)
    commanded.mode = "small"
    run.wait(lambda: run.run.cameras["commanded"].source.counts.size_changes >= 1)
    run.wait_scored("commanded")
    run.wait_scored("healthy")
    ended = [m for m in run.messages() if m.kind in {"new", "end"}]
    run.wait(lambda: len([m for m in receiver.got if m["message"] in {"new", "end"}]) >= len(ended), 30)
    listener.wait(lambda _: len(_published(listener)) >= len(ended), 30)
    scored = {name: camera.outputs.scored for name, camera in run.run.cameras.items()}
    reconnects = {name: camera.source.reconnects for name, camera in run.run.cameras.items()}
    jumps = run.run.cameras["jumping"].source.counts.pts_jumps
    run.stop()
    assert run.error is None
    return Story(
        folder=folder,
        messages=run.messages(),
        published=_published(listener),
        posted=list(receiver.got),
        said=run.out.getvalue() + run.err.getvalue(),
        scored=scored,
        reconnects=reconnects,
        segments_lost=jumps,
        exit_errors=[None if s.error is None else str(s.error) for s in run.outcome.sources],
    )


def _published(listener: Listener) -> list[dict[str, Any]]:
    return [json.loads(heard.payload) for heard in listener.heard if heard.topic.endswith("/events") and heard.payload]


def test_nothing_of_all_this_raises_an_anomaly_alarm(story: Story) -> None:
    assert [m.event["id"] for m in story.messages if m.event.get("kind") == "anomaly"] == []


@pytest.mark.parametrize("camera", ["killed", "stopped"])
def test_a_camera_that_goes_away_is_told_of_and_comes_back(story: Story, camera: str) -> None:
    kinds = [m.kind for m in story.of(camera, "camera_offline") if m.kind != "update"]
    assert kinds == ["new", "end"]
    assert story.reconnects[camera] >= 1
    assert story.states(camera)[-1] == "watching"


def test_a_covered_camera_alarms_and_recovers(story: Story) -> None:
    assert [m.kind for m in story.of("commanded", "camera_covered") if m.kind != "update"][:2] == ["new", "end"]


def test_a_frozen_camera_alarms_and_recovers(story: Story) -> None:
    assert [m.kind for m in story.of("commanded", "camera_frozen") if m.kind != "update"][:2] == ["new", "end"]


def test_lost_packets_over_udp_leave_the_camera_watching(story: Story) -> None:
    assert story.scored["lossy"] > 10
    assert story.of("lossy", "camera_offline") == []


def test_a_clock_that_is_set_back_leaves_the_camera_watching(story: Story) -> None:
    assert story.segments_lost >= 1
    assert story.scored["jumping"] > 70


def test_a_wrong_password_is_told_as_such_and_ends_after_the_attempts_allowed(story: Story) -> None:
    assert any("authentication" in m.document.get("cause", "") for m in story.messages if m.camera == "locked") or any(
        "authentication" in (m.event.get("detail") or "") for m in story.messages if m.camera == "locked"
    )
    assert any(error and "authentication" in error for error in story.exit_errors)


def test_a_camera_that_was_never_there_disturbs_nobody(story: Story) -> None:
    assert [m.kind for m in story.of("dead", "camera_offline") if m.kind != "update"] == ["new", "end"]
    assert story.scored["healthy"] > 30
    assert set(story.states("healthy")) <= {"connecting", "learning", "watching"}


@pytest.mark.parametrize("receiver", ["posted", "published"])
def test_no_event_is_lost_while_its_receiver_is_away(story: Story, receiver: str) -> None:
    stored = [m.sequence for m in story.messages if m.event]
    got = [document["sequence"] for document in getattr(story, receiver) if document["message"] != "state"]
    first = list(dict.fromkeys(got))
    assert first == sorted(first)
    before_the_end = [number for number in stored if number <= max(first)]
    assert set(before_the_end) <= set(first)


def test_every_event_is_written_to_its_camera_s_log_with_a_clip_that_is_there(story: Story) -> None:
    path = story.folder / "out" / "killed.avid"
    events = [json.loads(line) for line in (path / "events.jsonl").read_text().splitlines()]
    assert [event["kind"] for event in events] == ["camera_offline"]
    assert (path / events[0]["clip"]).stat().st_size > 1000


def test_no_password_is_written_or_said(story: Story) -> None:
    assert PASSWORD not in story.said
    for path in (story.folder / "out").rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path

"""A whole live run in a thread, with cameras whose pictures a test commands."""

from __future__ import annotations

import io
import json
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Self

import av
import cv2
import numpy as np

from detectors.learning import learn_scene
from detectors.scene_model import SceneModel
from samples.clip import write_clip
from samples.settings import SceneSettings
from streamer.console import Console
from streamer.footage import RecordedFootage
from streamer.live.health import HealthSettings
from streamer.live.receivers import STORE
from streamer.live.run import LiveRun, LiveTimes, watch_live
from streamer.requests import LiveRequest
from tests.scenes import CPU32
from tests.streamer.live.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from streamer.live.config import LiveConfig
    from streamer.live.notices import CameraState
    from streamer.requests import WatchOutcome

QUICK = LiveTimes(
    health=HealthSettings(offline_after=1.0, online_after=0.5, covered_after=1.0, clear_after=1.0, settle=0.5),
    learn_budget=20.0,
    connect_seconds=2.0,
    least_wait=0.3,
    most_wait=1.0,
)
"""Short times, for tests; what they are in earnest stands in :class:`LiveTimes`."""

RATE = 10
ENDLESS = 1e9


@dataclass(frozen=True)
class NormalScene:
    """Normal footage of one scene, as a file and as pictures, and a model that has learned it."""

    clip: Path
    model: Path
    pictures: list[np.ndarray]


def normal_scene(folder: Path, *, seconds: float = 40.0, seed: int = 41) -> NormalScene:
    """Render a scene in which nothing irregular happens, and calibrate the base model on it."""
    clip, model = folder / "normal.mp4", folder / "normal.avid"
    write_clip(SceneSettings(seed=seed, layout="plaza", width=320, height=180, duration=seconds), clip)
    learned = learn_scene(RecordedFootage([clip]), SceneModel.base(CPU32), budget_seconds=ENDLESS, adapt=False)
    learned.save(model)
    with av.open(str(clip)) as container:
        pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    return NormalScene(clip, model, pictures)


@dataclass
class Commanded:
    """An HTTP camera (motion JPEG) that shows what it is told to."""

    uri: str = ""
    mode: str = (
        "normal"  # normal, black, frozen, small, fast (three times), calm (noise alone), hand (moves in a corner)
    )
    infrared: bool = False  # by night: no colour, another light
    connections: int = 0  # so far
    viewers: int = 0  # just now


def infrared(picture: np.ndarray) -> np.ndarray:
    """What a camera shows by its own lamp: foliage and red things bright, the sky dark, and brightest in the middle."""
    height, width = picture.shape[:2]
    grey = picture @ np.array([0.1, 0.3, 0.6])
    across, down = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
    return np.clip(grey * (1.1 - 0.4 * (across**2 + down**2) / 2), 0, 255).astype(np.uint8)


@contextmanager
def commanded_camera(pictures: list[np.ndarray]) -> Iterator[Commanded]:
    """Show the pictures over and over at 10 a second; there and back again, so that nothing jumps."""
    camera = Commanded()
    course = [*pictures, *pictures[-2:0:-1]]
    noise = np.random.default_rng(0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.end_headers()
            began, still = time.monotonic(), course[0]
            camera.connections += 1
            camera.viewers += 1
            try:
                while not getattr(self.server, "stopping", False):
                    number = round((time.monotonic() - began) * RATE)
                    picture = course[number * (3 if camera.mode == "fast" else 1) % len(course)]
                    if camera.mode in {"calm", "hand"}:
                        picture = cv2.add(course[0], noise.integers(0, 4, course[0].shape, dtype=np.uint8))
                    if camera.mode == "hand":
                        left = 8 + 6 * (number % 6)
                        picture[8:30, left : left + 14] = 255 - picture[8:30, left : left + 14]
                    if camera.mode == "frozen":
                        picture = still
                    still = picture
                    if camera.mode == "black":
                        picture = noise.integers(0, 3, picture.shape, dtype=np.uint8)
                    if camera.mode == "small":
                        picture = cv2.resize(picture, None, fx=0.5, fy=0.5)
                    data = cv2.imencode(".jpg", infrared(picture) if camera.infrared else picture)[1].tobytes()
                    head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    self.wfile.write(head.encode() + data + b"\r\n")
                    time.sleep(max(0.0, began + (number + 1) / RATE - time.monotonic()))
            except OSError:
                return
            finally:
                camera.viewers -= 1

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    with serving(Handler) as server:
        camera.uri = f"http://127.0.0.1:{server.server_address[1]}/video.mjpg"
        yield camera


def jumping_clip(clip: Path, target: Path, *, at: float, back: float) -> Path:
    """The same packets as a transport stream whose clock is set back on the way (two streams, one behind the other)."""
    parts = [target.with_suffix(f".{number}.ts") for number in range(2)]
    with av.open(str(clip)) as source:
        stream = source.streams.video[0]
        with av.open(str(parts[0]), "w") as first, av.open(str(parts[1]), "w") as second:
            outputs = [(part, part.add_stream_from_template(stream)) for part in (first, second)]
            later = False
            for packet in source.demux(stream):
                if packet.dts is None or packet.pts is None:
                    continue
                later = later or (packet.is_keyframe and packet.pts * packet.time_base >= at)
                shift = round((0.0 if later else back) / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                written, out = outputs[later]
                packet.stream = out
                written.mux(packet)
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target


@dataclass
class Message:
    """A message of the store."""

    sequence: int
    at: str
    camera: str
    kind: str
    document: dict[str, Any]

    @property
    def event(self) -> dict[str, Any]:
        return self.document.get("event") or {}


@dataclass
class Run:
    """A live run on a thread of its own. Usable as a context manager, which stops it."""

    config: LiveConfig
    times: LiveTimes = QUICK
    config_file: Path | None = None
    out: io.StringIO = field(default_factory=io.StringIO)
    err: io.StringIO = field(default_factory=io.StringIO)
    outcome: WatchOutcome | None = None
    error: BaseException | None = None

    def __enter__(self) -> Self:
        self.console = Console(out=self.out, err=self.err)
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        assert self._started.wait(60), "the run did not start"
        if self.error is not None:
            raise self.error
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _watch(self) -> None:
        def started(run: LiveRun) -> None:
            self.run = run
            self._started.set()

        try:
            request = LiveRequest(self.config, self.config_file)
            self.outcome = watch_live(request, self.console, times=self.times, started=started)
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.error = error
        finally:
            self._started.set()

    def stop(self) -> None:
        self.console.stop.set()
        self._thread.join(40)
        assert not self._thread.is_alive(), "the run did not end"

    def state(self, camera: str) -> CameraState:
        return self.run.cameras[camera].state

    def wait(self, what: Callable[[], object], seconds: float = 20.0) -> float:
        """Wait until ``what`` is true; the seconds that took."""
        began = time.monotonic()
        while not what():
            assert time.monotonic() - began < seconds, f"{seconds} s in vain; said: {self.out.getvalue()[-2000:]}"
            assert self.error is None, self.error
            time.sleep(0.05)
        return time.monotonic() - began

    def wait_for(self, camera: str, *states: CameraState, seconds: float = 20.0) -> float:
        return self.wait(lambda: self.state(camera) in states, seconds)

    def scored(self, camera: str) -> int:
        return self.run.cameras[camera].outputs.scored

    def wait_scored(self, camera: str, more: int = 5, seconds: float = 20.0) -> float:
        before = self.scored(camera)
        return self.wait(lambda: self.scored(camera) >= before + more, seconds)

    def messages(self) -> list[Message]:
        """What is in the store by now."""
        path = self.config.output / STORE
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT sequence, at, camera, kind, body FROM messages ORDER BY sequence")
            return [Message(*row[:4], json.loads(row[4])) for row in rows.fetchall()]

    def events(self, camera: str, kind: str | None = None) -> list[Message]:
        return [
            message
            for message in self.messages()
            if message.camera == camera and message.event and kind in {None, message.event.get("kind")}
        ]

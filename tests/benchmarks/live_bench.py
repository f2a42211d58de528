"""What the benchmarks of live watching share: a scene with its model, cameras, a receiver, and reading ``/metrics``."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

from detectors.learning import learn_scene  # noqa: E402
from detectors.scene_model import SceneModel  # noqa: E402
from samples.clip import write_clip  # noqa: E402
from samples.settings import SceneSettings  # noqa: E402
from streamer.footage import RecordedFootage  # noqa: E402
from tests.scenes import CPU32  # noqa: E402
from tests.streamer.live.servers import free_port  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CAMERAS = Path(__file__).with_name("live_cameras.py")
LONGEST_START = 60.0
"""Seconds a server may take to start."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Footage in which nothing irregular happens, and a model that has learned it.

    Attributes:
        clip: an H.264 file, 10 pictures a second.
        model: the base model calibrated on it.
    """

    clip: Path
    model: Path


def scene_of(folder: Path, size: tuple[int, int], *, seconds: float = 40.0, seed: int = 41) -> Scene:
    """Render a scene and learn it; both are kept in ``folder`` for the next time."""
    name = f"plaza-{seed}-{size[0]}x{size[1]}-{seconds:g}s"
    scene = Scene(folder / f"{name}.mp4", folder / f"{name}.avid")
    if not scene.model.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        say(f"making a scene of {size[0]}x{size[1]} and its model, once ...")
        write_clip(
            SceneSettings(seed=seed, layout="plaza", width=size[0], height=size[1], duration=seconds), scene.clip
        )
        model = learn_scene(RecordedFootage([scene.clip]), SceneModel.base(CPU32), budget_seconds=1e9, adapt=False)
        model.save(scene.model)
    return scene


class Cameras:
    """A process with motion JPEG cameras; usable as a context manager, which ends it."""

    def __init__(self, scene: Scene, count: int, *, rate: float = 10.0) -> None:
        self._command = [sys.executable, str(CAMERAS), str(scene.clip), "--cameras", str(count), "--rate", str(rate)]
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        # In a group of its own: a Ctrl-C meant for the watching must not reach it.
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        timer = threading.Timer(LONGEST_START, self._process.kill)
        timer.start()
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        timer.cancel()
        if not line.startswith("ready"):
            raise RuntimeError(f"the cameras did not start: {line!r}")
        self.port = int(line.split()[1])
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid if self._process is not None else 0

    def uri(self, number: int) -> str:
        """Where a camera is."""
        return f"http://127.0.0.1:{self.port}/video/{number}"

    def show(self, number: int, mode: str) -> float:
        """Have a camera show something else; the moment, seconds since 1970."""
        before = time.time()
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/mode/{number}/{mode}", timeout=10).close()
        return before


@dataclass
class Receiver:
    """The other end of a webhook, which can go away and come back under the same address.

    Attributes:
        got: messages in the order they came, with the moment of each, seconds since 1970.
    """

    port: int = field(default_factory=free_port)
    got: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/hook"

    def start(self) -> Self:
        """Be there."""
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got.append((time.time(), json.loads(body)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        """Go away; may be called twice."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class Counts:
    """What ``/metrics`` said at one moment."""

    def __init__(self, text: str) -> None:
        self.at = time.monotonic()
        self._samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples if sample.value
        ]

    def total(self, name: str, **labels: str) -> float:
        """Sum of all series of a name that have these labels; 0 where there is none."""
        name = f"avid_watch_{name}"
        wanted = labels.items()
        return sum(s.value for s in self._samples if s.name == name and wanted <= s.labels.items())

    def by(self, name: str, label: str) -> dict[str, float]:
        """The series of a name summed by a label."""
        found: dict[str, float] = {}
        for sample in self._samples:
            if sample.name == f"avid_watch_{name}":
                found[sample.labels[label]] = found.get(sample.labels[label], 0.0) + sample.value
        return found

    def mean(self, name: str, since: Counts | None = None, **labels: str) -> float:
        """Mean of a histogram, of what was observed since an earlier moment where one is given."""
        number = self.total(f"{name}_count", **labels) - (since.total(f"{name}_count", **labels) if since else 0.0)
        amount = self.total(f"{name}_sum", **labels) - (since.total(f"{name}_sum", **labels) if since else 0.0)
        return amount / number if number else 0.0

    def grown(self, name: str, label: str, since: Counts) -> dict[str, float]:
        """By how much the series of a name grew, by a label; those that did not are left out."""
        before = since.by(name, label)
        grown = {key: value - before.get(key, 0.0) for key, value in self.by(name, label).items()}
        return {key: value for key, value in grown.items() if value}


def fetched(url: str) -> Counts:
    """Read ``/metrics`` over HTTP."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own address
        return Counts(answer.read().decode())


@dataclass(frozen=True, slots=True)
class Process:
    """What a process holds, as the system counts it.

    Attributes:
        rss: bytes of memory.
        threads, files: how many; open file handles, sockets among them.
        cpu: seconds of a core used so far.
    """

    rss: int
    threads: int
    files: int
    cpu: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """Look at a process.

        Raises:
            OSError: it is gone.
        """
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return cls(
            rss=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
            threads=int(fields[17]),
            files=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
            cpu=(int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        )


def busy() -> float:
    """Seconds of all cores that the whole machine has been at work so far."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]
    user, nice, system, _idle, _waiting, interrupts, soft, _stolen = map(int, fields)
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


def machine() -> str:
    """What all this ran on, in a line."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{len(os.sched_getaffinity(0))} cores of {model}, load {os.getloadavg()[0]:.1f} before"


def quantile(values: Iterable[float], share: float) -> float | None:
    """The value that a share of them does not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))] if ordered else None


def table_of(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)

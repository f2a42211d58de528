"""Whether live watching stays as it is: memory, threads, file handles and delay of eight cameras over time.

    python tests/benchmarks/live_soak.py --minutes 20                    # what docs/reliability.md shows
    python tests/benchmarks/live_soak.py --minutes 1440 --every 300      # a day

The program runs as a service does: a process of its own, ``--config cameras.yaml``, ``/metrics`` read over HTTP. Half
of the cameras are RTSP servers that play a recording over and over, half are motion JPEG cameras; they learn by
themselves and go on learning. Every minute an intruder passes one of the latter, every three minutes one is covered
for eight seconds, so that events, snapshots, clips and a webhook have their share. What memory, threads, files and
delay do is judged by a straight line through all samples after the first ten minutes, or the first quarter of a longer
time: until then the memory of what was learned from fills up.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import yaml  # noqa: E402 - the checkout must be found first

from tests.benchmarks.live_bench import (  # noqa: E402
    Cameras,
    Process,
    Receiver,
    fetched,
    machine,
    say,
    scene_of,
    table_of,
)
from tests.streamer.live.servers import RtspServer, free_port  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STAGES = ("decode", "prepare", "wait", "network", "write")
INTRUDER_EVERY, INTRUDER_FOR = 60.0, 2.0
COVER_EVERY, COVER_FOR = 180.0, 8.0
FILLED = 10.0
"""Minutes until the 24 MiB in which a camera remembers scores while it learns are full, at 10 pictures a second."""
FLAT = 0.02
"""Of its level: growth per hour below this counts as none, and so does what the samples' scatter can explain."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the program.

    Attributes:
        minutes: since the start.
        rss: MB of memory.
        threads, files: of the process.
        cpu: share of a core since the sample before.
        frames, scored, dropped: pictures a second since then, all cameras together.
        delay: milliseconds from a picture's arrival until its verdict was written, mean since then.
        watching: cameras in that state.
    """

    minutes: float
    rss: float
    threads: int
    files: int
    cpu: float
    frames: float
    scored: float
    dropped: float
    delay: float
    watching: int

    @property
    def cells(self) -> tuple[str, ...]:
        """As text."""
        return (
            f"{self.minutes:.1f}",
            f"{self.rss:.1f}",
            str(self.threads),
            str(self.files),
            f"{100 * self.cpu:.0f} %",
            f"{self.frames:.1f}",
            f"{self.scored:.1f}",
            f"{self.dropped:.1f}",
            f"{self.delay:.0f}",
            str(self.watching),
        )


HEAD = ("minute", "RSS MB", "threads", "files", "CPU", "frames/s", "scored/s", "dropped/s", "delay ms", "watching")


class Watch:
    """Takes samples of a running program."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self._pid = process.pid
        self._url = url
        self._began = time.monotonic()
        self._counts = self._first = fetched(url)
        self._process = Process.of(self._pid)

    def sample(self) -> Sample:
        """Look now."""
        counts, process = fetched(self._url), Process.of(self._pid)
        before, was = self._counts, self._process
        self._counts, self._process = counts, process
        seconds = counts.at - before.at

        def rate(name: str) -> float:
            return (counts.total(name) - before.total(name)) / seconds

        return Sample(
            minutes=(time.monotonic() - self._began) / 60,
            rss=process.rss / 1e6,
            threads=process.threads,
            files=process.files,
            cpu=(process.cpu - was.cpu) / seconds,
            frames=rate("camera_frames_total"),
            scored=rate("camera_frames_scored_total"),
            dropped=rate("camera_frames_dropped_total"),
            delay=1000 * sum(counts.mean("stage_seconds", before, stage=stage) for stage in STAGES),
            watching=round(counts.total("camera_state", state="watching")),
        )

    def stages(self) -> str:
        """Mean time in each stage since the start."""
        means = {stage: 1000 * self._counts.mean("stage_seconds", self._first, stage=stage) for stage in STAGES}
        return ", ".join(f"{stage} {mean:.1f} ms" for stage, mean in means.items())

    def dropped(self) -> dict[str, float]:
        """Dropped pictures since the start, by reason."""
        return self._counts.by("camera_frames_dropped_total", "reason")


@dataclass
class Life:
    """What happens before the motion JPEG cameras meanwhile, on a thread of its own.

    Attributes:
        intrusions, covers: how often so far.
    """

    cameras: Cameras
    count: int
    intrusions: int = 0
    covers: int = 0

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=given, daemon=True)
            for given in (("intruder", INTRUDER_EVERY, INTRUDER_FOR), ("black", COVER_EVERY, COVER_FOR))
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def _run(self, mode: str, every: float, seconds: float) -> None:
        turn = 0
        while not self._stop.wait(every - seconds):
            # Never the camera that the other one has just now.
            number = (2 * turn + (mode == "black")) % self.count if self.count > 1 else 0
            self.cameras.show(number, mode)
            self.intrusions += mode == "intruder"
            self.covers += mode == "black"
            self._stop.wait(seconds)
            self.cameras.show(number, "normal")
            turn += 1


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through values over time.

    Attributes:
        level: mean.
        slope, error: per hour, and its standard error.
    """

    level: float
    slope: float
    error: float

    @classmethod
    def of(cls, minutes: Sequence[float], values: Sequence[float]) -> Trend:
        """Least squares; at least three values."""
        hours = [minute / 60 for minute in minutes]
        middle, level = statistics.fmean(hours), statistics.fmean(values)
        spread = sum((hour - middle) ** 2 for hour in hours)
        slope = sum((h - middle) * (v - level) for h, v in zip(hours, values, strict=True)) / spread
        rest = sum((v - level - slope * (h - middle)) ** 2 for h, v in zip(hours, values, strict=True))
        return cls(level, slope, math.sqrt(rest / (len(values) - 2) / spread))

    @property
    def flat(self) -> bool:
        """Whether it does not grow."""
        return self.slope <= max(FLAT * self.level, 2 * self.error)


def verdicts(samples: Sequence[Sample]) -> list[str]:
    """A line each for memory, threads, files and delay, on what came after the start."""
    last = samples[-1].minutes
    start = max(last / 4, min(FILLED, last / 2))
    later = [sample for sample in samples if sample.minutes >= start]
    if len(later) < 4:
        return ["too few samples to judge"]
    lines = []
    for name, unit, values in (
        ("memory", "MB", [s.rss for s in later]),
        ("threads", "", [float(s.threads) for s in later]),
        ("files", "", [float(s.files) for s in later]),
        ("delay", "ms", [s.delay for s in later]),
    ):
        trend = Trend.of([s.minutes for s in later], values)
        word = "flat" if trend.flat else "GROWS"
        lines.append(
            f"{name:8} {word}: {trend.level:.1f} {unit}, {trend.slope:+.2f} +/- {trend.error:.2f} {unit} per hour, "
            f"from {min(values):.1f} to {max(values):.1f}".replace("  ", " ")
        )
    return lines


@contextmanager
def program(settings: dict[str, object], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program itself with these settings; stopped as a service is."""
    path = folder / "cameras.yaml"
    path.write_text(yaml.safe_dump(settings))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "said.txt").open("ab") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamer.cli", "--config", str(path)], env=environment, stdout=said, stderr=said
        )
        try:
            yield process
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            status = process.wait(60)
            print(f"stopped after {time.monotonic() - began:.1f} s with exit status {status}")
        finally:
            process.kill()
            process.wait(20)


def soak(options: argparse.Namespace, folder: Path, ending: ExitStack) -> None:
    """Run, sample and judge."""
    width, height = (int(side) for side in options.size.split("x"))
    scene = scene_of(options.keep, (width, height))
    over_http = max(1, options.cameras // 2)
    cameras = ending.enter_context(Cameras(scene, over_http))
    servers = [ending.enter_context(RtspServer(file=scene.clip)) for _ in range(options.cameras - over_http)]
    receiver = ending.enter_context(Receiver())
    uris = [*(cameras.uri(number) for number in range(over_http)), *(server.uri for server in servers)]
    port = free_port()
    settings: dict[str, object] = {
        "output": str(folder / "out"),
        "metrics": port,
        "webhooks": [receiver.url],
        "retention": {"free": "1MB"},
        "defaults": {"model": str(scene.model)} if options.learned else {},
        "cameras": [{"name": f"cam{number}", "uri": uri} for number, uri in enumerate(uris)],
    }
    url = f"http://127.0.0.1:{port}/metrics"
    samples: list[Sample] = []
    with program(settings, folder) as process:
        until = time.monotonic() + 60
        while True:
            with suppress(urllib.error.URLError, OSError):
                watch = Watch(process, url)
                break
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((folder / "said.txt").read_text()[-2000:])
            time.sleep(0.2)
        with Life(cameras, over_http) as life:
            began = time.monotonic()
            for number in range(1, max(4, round(60 * options.minutes / options.every)) + 1):
                time.sleep(max(0.0, began + number * options.every - time.monotonic()))
                samples.append(watch.sample())
                say(" ".join(f"{name} {cell}," for name, cell in zip(HEAD, samples[-1].cells, strict=True)))
    step = max(1, len(samples) // 10)
    print(table_of(HEAD, [sample.cells for sample in samples[step - 1 :: step]]))
    print("\n".join(verdicts(samples)))
    print(f"stages   {watch.stages()}")
    reasons = ", ".join(f"{reason} {number:.0f}" for reason, number in watch.dropped().items())
    print(f"dropped  {reasons or 'nothing'}")
    news = [(m["camera"], m["event"]["kind"]) for _, m in receiver.got if m["message"] == "new"]
    kinds = ", ".join(f"{sum(k == kind for _, k in news)} {kind}" for kind in sorted({k for _, k in news}))
    by_rtsp = sum(1 for c, k in news if k == "anomaly" and int(c[3:]) >= over_http)
    print(
        f"events   {kinds}; sent were {life.intrusions} intruders, {life.covers} covers; {by_rtsp} anomalies elsewhere"
    )
    size = sum(path.stat().st_size for path in (folder / "out").rglob("*") if path.is_file())
    print(f"written  {size / 1e6:.1f} MB")
    if options.out is not None:
        with options.out.open("w", newline="") as file:
            csv.writer(file).writerows([HEAD, *(sample.cells for sample in samples)])


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--size", default="320x180", metavar="WIDTHxHEIGHT")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two samples")
    parser.add_argument("--learned", action="store_true", help="give the cameras a finished model: nothing is learned")
    parser.add_argument("--keep", type=Path, default=Path("runs/live"), help="scene and model, made once")
    parser.add_argument("--out", type=Path, help="also write all samples as CSV")
    options = parser.parse_args()
    print(f"{machine()}; {options.cameras} cameras of {options.size}, 10 pictures a second, on the same cores")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ending:
        soak(options, Path(folder), ending)


if __name__ == "__main__":
    main()

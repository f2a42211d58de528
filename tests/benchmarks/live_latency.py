"""From the picture to the alarm: how long, for how many cameras, and what happens when there are too many.

    python tests/benchmarks/live_latency.py                                # 1, 4, 8, 16 and 24 cameras: eight minutes
    python tests/benchmarks/live_latency.py --cameras 8 --seconds 300 --size 1280x720

Every camera is a motion JPEG camera of a process beside this one (``live_cameras.py``). It stamps each picture, in the
picture, when it is taken; what a real camera's own encoder needs comes on top. In turn every camera shows an intruder
for two seconds, and rests for four. Measured is, from the stamp on:

- until the verdict: every score, until its row and its event were dealt with;
- until the alarm: the first picture with an intruder, until the ``new`` message has come in at a webhook's receiver.
  The event's minimum duration (0.3 s) is a part of it.

Everything runs as shipped, evidence and event store included; each camera has a calibration of its own on the base
weights, which the networks run once for all. A count of cameras is one run of its own. The cameras have no cores of
their own: what their process takes, and whatever else runs on the machine, is told in per cent of one core.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program does, before anything loads torch

from streamer.live.camera import LiveCamera
from streamer.live.config import LiveConfig
from streamer.live.notices import CameraState
from streamer.live.outputs import CameraOutputs, Outcome
from streamer.live.run import LiveTimes
from tests.benchmarks.live_bench import (
    Cameras,
    Counts,
    Process,
    Receiver,
    Scene,
    busy,
    machine,
    quantile,
    say,
    scene_of,
    table_of,
)
from tests.benchmarks.live_cameras import stamp_of
from tests.streamer.live.live_run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from streamer.frames import SourceInfo
    from streamer.live.camera_source import EncodedPacket

INTRUSION = 2.0  # seconds
CYCLE = 6.0  # seconds from one intrusion of a camera to its next one
AFTER = 2.0
"""Seconds after an intrusion in which its alarm may still begin."""

HEAD = (
    "cameras",
    "frames in",
    "scored",
    "dropped",
    "to the verdict p50 / p95 / worst",
    "to the alarm p50 / p95",
    "alarms of intrusions (false)",
    "batch",
    "CPU: program + cameras + others",
)


@dataclass
class Stamps:
    """What the stamps in the pictures say.

    Attributes:
        verdicts: seconds from the taking of a picture until its score was written; with the moment it was.
        intrusions: per camera, when the first picture of each intrusion was taken.
    """

    verdicts: list[tuple[float, float]] = field(default_factory=list)
    intrusions: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _taken: dict[tuple[str, datetime], float] = field(default_factory=dict)
    _mode: dict[str, str] = field(default_factory=dict)

    def packet(self, camera: str, packet: EncodedPacket) -> None:
        """A picture came."""
        stamp = stamp_of(packet.data)
        if stamp is None:
            return
        self._taken[camera, packet.arrived] = stamp[0]
        if stamp[1] == "intruder" and self._mode.get(camera) != "intruder":
            self.intrusions[camera].append(stamp[0])
        self._mode[camera] = stamp[1]

    def written(self, camera: str, outcome: Outcome) -> None:
        """A picture's row is written."""
        arrived = outcome.frame.wall_clock
        taken = None if arrived is None else self._taken.pop((camera, arrived), None)
        if taken is not None and outcome.verdict is not None:
            now = time.time()
            self.verdicts.append((now, now - taken))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """See every packet and every written row of the run within."""
        packet, take = LiveCamera.packet, CameraOutputs.take

        def seen(camera: LiveCamera, given: EncodedPacket) -> None:
            self.packet(camera.name, given)
            packet(camera, given)

        def written(outputs: CameraOutputs, outcome: Outcome, info: SourceInfo | None) -> None:
            take(outputs, outcome, info)
            self.written(outputs._config.name, outcome)

        with patch.object(LiveCamera, "packet", seen), patch.object(CameraOutputs, "take", written):
            yield


@dataclass
class Intruder:
    """Sends intruders past the cameras, one camera after the other, on a thread of its own."""

    cameras: Cameras
    count: int
    stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        began = time.monotonic()
        steps = [(CYCLE * n / self.count, n, "intruder") for n in range(self.count)]
        steps += [((at + INTRUSION) % CYCLE, n, "normal") for at, n, _ in steps]
        for turn in range(10_000):
            for at, number, mode in sorted(steps):
                if self.stop.wait(max(0.0, began + turn * CYCLE + at - time.monotonic())):
                    return
                self.cameras.show(number, mode)


def measured(scene: Scene, count: int, seconds: float, warm: float) -> tuple[str, ...]:
    """One run with so many cameras; its row of the table."""
    stamps, receiver = Stamps(), Receiver()
    with tempfile.TemporaryDirectory() as folder, Cameras(scene, count) as cameras, receiver, stamps.listening():
        config = LiveConfig.model_validate(
            {
                "output": Path(folder) / "out",
                "webhooks": [receiver.url],
                "retention": {"free": "1MB"},
                "defaults": {"model": scene.model},
                "cameras": [{"name": f"cam{number:02}", "uri": cameras.uri(number)} for number in range(count)],
            }
        )
        with Run(config, LiveTimes()) as run:
            for name in run.run.cameras:
                run.wait_for(name, CameraState.WATCHING, seconds=60)
            time.sleep(warm)
            with Intruder(cameras, count):
                before, own, theirs, all_before = _looked(run), Process.of(os.getpid()), Process.of(cameras.pid), busy()
                began = time.time()
                time.sleep(seconds)
                after, ended = _looked(run), time.time()
                own_cpu = Process.of(os.getpid()).cpu - own.cpu
                their_cpu = Process.of(cameras.pid).cpu - theirs.cpu
                others_cpu = busy() - all_before - own_cpu - their_cpu
            time.sleep(AFTER)
    verdicts = [delay for at, delay in stamps.verdicts if began <= at <= ended]
    alarms, intrusions, false = _alarms(receiver, stamps, began, ended)
    frames = after.total("camera_frames_total") - before.total("camera_frames_total")
    scored = after.total("camera_frames_scored_total") - before.total("camera_frames_scored_total")
    dropped = after.grown("camera_frames_dropped_total", "reason", before)
    took = ended - began
    say(f"{count} cameras: stages {_stages(before, after)}")
    return (
        str(count),
        f"{frames / took:.1f}/s",
        f"{scored / took:.1f}/s",
        ", ".join(f"{reason.replace('_', ' ')} {number / took:.1f}/s" for reason, number in dropped.items()) or "0",
        " / ".join(_ms(quantile(verdicts, share)) for share in (0.5, 0.95, 1.0)),
        " / ".join(_ms(quantile(alarms, share)) for share in (0.5, 0.95)),
        f"{len(alarms)} of {intrusions} ({false})",
        f"{after.mean('batch_size', before):.1f}",
        " + ".join(f"{100 * max(0.0, cpu) / took:.0f} %" for cpu in (own_cpu, their_cpu, others_cpu)),
    )


def _looked(run: Run) -> Counts:
    return Counts(run.run.metrics.render().decode())


def _alarms(receiver: Receiver, stamps: Stamps, began: float, ended: float) -> tuple[list[float], int, int]:
    """Delays of the alarms of intrusions, how many intrusions there were, and alarms that belong to none."""
    news: dict[str, list[float]] = defaultdict(list)
    for at, message in receiver.got:
        if message["message"] == "new" and message["event"]["kind"] == "anomaly":
            news[message["camera"]].append(at)
    delays, intrusions, false = [], 0, 0
    for camera, moments in stamps.intrusions.items():
        false += sum(1 for at in news[camera] if not any(0 <= at - m <= INTRUSION + AFTER for m in moments))
        for moment in moments:
            if began <= moment <= ended - INTRUSION - AFTER:
                intrusions += 1
                first = next((at - moment for at in news[camera] if 0 <= at - moment <= INTRUSION + AFTER), None)
                delays += [] if first is None else [first]
    return delays, intrusions, false


def _stages(before: Counts, after: Counts) -> str:
    stages = ("decode", "prepare", "wait", "network", "write")
    return ", ".join(f"{stage} {1000 * after.mean('stage_seconds', before, stage=stage):.1f} ms" for stage in stages)


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.0f} ms"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 4, 8, 16, 24])
    parser.add_argument("--size", default="640x360", metavar="WIDTHxHEIGHT")
    parser.add_argument("--seconds", type=float, default=60.0, help="measured per count of cameras")
    parser.add_argument("--warm", type=float, default=10.0, help="seconds before that, which do not count")
    parser.add_argument("--keep", type=Path, default=Path("runs/live"), help="scene and model, made once")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    scene = scene_of(options.keep, (width, height))
    print(
        f"{machine()}; {options.size}, 10 pictures a second, {options.seconds:g} s each; the cameras on the same cores"
    )
    rows = []
    for count in options.cameras:
        rows.append(measured(scene, count, options.seconds, options.warm))
        say(" | ".join(rows[-1]))
    print(table_of(HEAD, rows))


if __name__ == "__main__":
    main()

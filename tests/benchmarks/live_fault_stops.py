"""Rows of the fault table in which the whole program is stopped, killed, or left without a disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.benchmarks.live_fault_bench import Bench, Row, pictures_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
DISK_BYTES = 24 * 2**20


def disk(bench: Bench) -> Row:
    """The disk fills up while an intruder passes and the camera is covered, and has room again later."""
    bench.out.mkdir()
    with small_disk(bench.out):
        cameras = bench.http()
        with bench.watch({"name": "gate", "uri": cameras.uri(0)}, wait=("gate",)) as run:
            filler = bench.out / "filler"
            fill(filler)
            detected = run.wait(lambda: told(bench, "storage_full", "new"), 60)
            before, began = run.scored("gate"), time.monotonic()
            at = cameras.show(0, "intruder")
            bench.intrusions.append(("gate", at))
            alarm = run.wait(lambda: told(bench, "anomaly", "new"), 20)
            cameras.show(0, "normal")
            run.wait(lambda: told(bench, "anomaly", "end"), 20)
            rate = (run.scored("gate") - before) / (time.monotonic() - began)
            filler.unlink()
            recovered = run.wait(lambda: told(bench, "storage_full", "end"), 60)
            time.sleep(4)
        return bench.row(
            "disk full",
            detected=detected,
            recovered=recovered,
            note=f"full, it scored {rate:.1f} pictures/s and alarmed {alarm:.1f} s after the intruder",
            expected=[("gate", "anomaly")],
        )


def ctrl_c(bench: Bench) -> Row:
    """Ctrl-C in the middle of an event."""
    cameras = bench.http()
    with program(bench, cameras.uri(0)) as process:
        until(lambda: watching(bench), process)
        time.sleep(5)
        bench.intrusions.append(("gate", cameras.show(0, "intruder")))
        until(lambda: told(bench, "anomaly", "new"), process)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        status = process.wait(60)
        took = time.monotonic() - began
    return bench.row(
        "Ctrl-C during an event",
        note=f"ended after {took:.1f} s with exit status {status}; the event ended, its clip complete",
        expected=[("gate", "anomaly")],
    )


def sigkill(bench: Bench) -> Row:
    """The whole program is killed in the middle of an event, and started again."""
    cameras = bench.http()
    with program(bench, cameras.uri(0)) as process:
        until(lambda: watching(bench), process)
        time.sleep(6)
        bench.intrusions.append(("gate", cameras.show(0, "intruder")))
        until(lambda: told(bench, "anomaly", "new"), process)
        time.sleep(1.5)
        process.kill()
        process.wait(20)
    clips = [pictures_of(path) for path in (bench.out / "gate.avid" / "clips").iterdir()]
    cameras.show(0, "normal")
    again = len(bench.receiver.got)
    began = time.monotonic()
    with program(bench, cameras.uri(0)) as process:
        until(lambda: watching(bench, since=again), process)
        recovered = time.monotonic() - began
        time.sleep(4)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    shown = f"{min(clips)} pictures of evidence readable" if clips and min(clips) else "NO EVIDENCE READABLE"
    return bench.row(
        "SIGKILL during an event, started again",
        recovered=recovered,
        note=f"{shown} at once; the event is ended at the restart",
        expected=[("gate", "anomaly")],
    )


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a small disk at a folder; takes root."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def fill(path: Path) -> None:
    """Write until nothing is free."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@contextmanager
def program(bench: Bench, uri: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program itself, watching a camera called gate."""
    path = bench.folder / "cameras.yaml"
    path.write_text(yaml.safe_dump(bench.settings({"name": "gate", "uri": uri})))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (bench.folder / "said.txt").open("ab") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamer.cli", "--config", str(path)], env=environment, stdout=said, stderr=said
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


def until(what: Callable[[], object], process: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
    """Wait for something that a running program does.

    Raises:
        RuntimeError: it ended, or took too long.
    """
    deadline = time.monotonic() + seconds
    while not what():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"in vain; the program's exit status is {process.poll()}")
        time.sleep(0.05)


def told(bench: Bench, kind: str, message: str) -> bool:
    """Whether the receiver has heard of an event."""
    return any(
        m["message"] == message and m["event"]["kind"] == kind for _, m in list(bench.receiver.got) if "event" in m
    )


def watching(bench: Bench, since: int = 0) -> bool:
    """Whether the receiver has heard that the camera is watched."""
    return any(m.get("state") == "watching" for _, m in list(bench.receiver.got)[since:])

"""What goes wrong with live cameras, one fault after the other: how soon it is noticed, and what it costs.

    python tests/benchmarks/live_faults.py                          # every row: seven minutes
    python tests/benchmarks/live_faults.py --rows killed frozen loss --stall 5

Every row is a run of its own against real servers on this machine (GStreamer's RTSP server, mosquitto, HTTP), with the
times the program has by default. Beside the camera that suffers, a healthy one is watched, and a webhook's receiver
takes all messages. ``detected`` is from the fault to the alarm about it, ``recovered`` from the end of the fault to the
next score, or to the last message delivered. An event is lost where it is missing in the store, in its camera's
``events.jsonl``, or at a receiver. An anomaly alarm is false where nobody sent an intruder past that camera.

Packet loss takes a network namespace of its own, in which iptables drops 5 % of all UDP; without root, a relay that
drops RTP packets. The full disk is a tmpfs, for which root is needed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program does, before anything loads torch

import yaml

from streamer.live.config import LiveConfig
from streamer.live.config_file import read_config
from streamer.live.notices import CameraState
from streamer.live.run import LiveTimes
from tests.benchmarks.live_bench import machine, say, scene_of, table_of
from tests.benchmarks.live_fault_bench import HEALTHY, WATCHING, Bench, Row, published
from tests.benchmarks.live_fault_stops import ctrl_c, disk, sigkill
from tests.mosquitto import Listener, Mosquitto
from tests.streamer.live.live_run import Run, jumping_clip
from tests.streamer.live.lossy_relay import LossyRelay
from tests.streamer.live.servers import RtspServer, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

LOSS = 0.05
IN_NAMESPACE = "AVID_WATCH_IN_NAMESPACE"
"""Set for the child that already is in a network namespace with loss."""
PASSWORD = "right"  # noqa: S105 - of a server of this benchmark


def killed(bench: Bench) -> Row:
    """The server is killed, and started again ten seconds later."""
    server = bench.rtsp()
    with bench.watch({"name": "gate", "uri": server.uri}, wait=("gate",)) as run:
        server.kill()
        state = run.wait_for("gate", CameraState.CONNECTING, CameraState.OFFLINE)
        detected = state + run.wait(lambda: run.events("gate", "camera_offline"), 60)
        time.sleep(max(0.0, 10 - detected))
        server.start()
        recovered = run.wait_scored("gate", 1, 90)
        time.sleep(6)
    return bench.row(
        "server killed, restarted after 10 s",
        detected=detected,
        recovered=recovered,
        note=f"state after {state:.1f} s",
        expected=[("gate", "camera_offline")],
    )


def frozen(bench: Bench) -> Row:
    """The server stands still (SIGSTOP): connections stay open, and nothing comes."""
    server = bench.rtsp()
    with bench.watch({"name": "gate", "uri": server.uri}, wait=("gate",)) as run:
        server.freeze()
        detected = run.wait(lambda: run.events("gate", "camera_offline"), bench.stall + 60)
        server.thaw()
        recovered = run.wait_scored("gate", 1, 90)
        time.sleep(6)
    return bench.row(
        "server frozen (SIGSTOP)",
        detected=detected,
        recovered=recovered,
        note=f"stall {bench.stall:g} s",
        expected=[("gate", "camera_offline")],
    )


def password(bench: Bench) -> Row:
    """The password is wrong, until somebody corrects it in the cameras file."""
    server = bench.rtsp(user="me", password=PASSWORD)
    path = bench.folder / "cameras.yaml"
    healthy = bench.healthy()

    def write(word: str) -> None:
        gate = {"name": "gate", "uri": server.uri, "user": "me", "password": word}
        path.write_text(yaml.safe_dump(bench.settings(gate, healthy)))

    write("wrong")
    with Run(read_config(path), LiveTimes(), config_file=path) as run:
        detected = run.wait(lambda: run.events("gate", "camera_offline"), 60)
        told = run.events("gate", "camera_offline")[0].event["detail"] or ""
        write(PASSWORD)
        recovered = run.wait(lambda: "gate" in run.run.cameras and run.scored("gate"), 90)
        time.sleep(2)
    note = "told as authentication" if "authentication" in told else f"told as {told!r}"
    return bench.row(
        "wrong password, then corrected in cameras.yaml",
        detected=detected,
        recovered=recovered,
        note=note,
        expected=[("gate", "camera_offline")],
    )


def loss(bench: Bench) -> Row:
    """5 % of the packets are lost over UDP."""
    server = bench.rtsp()
    uri, means = server.uri, "iptables in a network namespace"
    if not os.environ.get(IN_NAMESPACE):
        relay = bench.ending.enter_context(LossyRelay(server.port, loss=LOSS))
        uri, means = server.uri_at(relay.port), "a relay"
    with bench.watch({"name": "gate", "uri": uri, "transport": "udp"}, wait=("gate",)) as run:
        counts, before, scored = run.run.cameras["gate"].source.counts, 0, run.scored("gate")
        before, corrupt = counts.decoded, counts.corrupt
        time.sleep(30)
        decoded, corrupt = counts.decoded - before, counts.corrupt - corrupt
        share = (run.scored("gate") - scored) / max(1, decoded)
        states = [m.document["state"] for m in run.messages() if m.camera == "gate" and m.kind == "state"]
    return bench.row(
        f"5 % packet loss over UDP ({means})",
        note=f"{corrupt} of {decoded} pictures found damaged, {100 * share:.0f} % scored; "
        f"degraded {states.count('degraded')} times, offline {states.count('offline')} times",
        expected=[],
    )


def in_namespace(options: argparse.Namespace) -> Row | None:
    """The row of the packet loss from a process in a namespace that loses packets; None where there can be none."""
    rule = f"iptables -A INPUT -i lo -p udp -m statistic --mode random --probability {LOSS} -j DROP"
    words = [sys.executable, __file__, "--rows", "loss", "--stall", str(options.stall), "--keep", str(options.keep)]
    script = f'ip link set lo up && {rule} && echo ready >&2 && exec "$@" --json'
    environment = {**os.environ, IN_NAMESPACE: "1"}
    ended = subprocess.run(
        ["unshare", "--net", "sh", "-c", script, "sh", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if ended.returncode == 0:
        return Row.from_json(ended.stdout.splitlines()[-1])
    if "ready" in ended.stderr:
        raise RuntimeError(f"the row of the packet loss failed: {ended.stderr[-2000:]}")
    say(f"no namespace with packet loss here ({ended.stderr.strip()[-200:]}): a relay drops the packets")
    return None


def resolution(bench: Bench) -> Row:
    """The camera sends pictures of half the size from one moment on."""
    cameras = bench.http()
    with bench.watch({"name": "gate", "uri": cameras.uri(0)}, wait=("gate",)) as run:
        counts = run.run.cameras["gate"].source.counts
        cameras.show(0, "small")
        detected = run.wait(lambda: counts.size_changes >= 1)
        recovered = run.wait_scored("gate", 1)
        time.sleep(15)
    return bench.row(
        "camera changes resolution", detected=detected, recovered=recovered, note="a new segment", expected=[]
    )


def times(bench: Bench) -> Row:
    """The camera's clock is set back by half a minute."""
    clip = jumping_clip(bench.scene.clip, bench.folder / "jumping.ts", at=12.0, back=30.0)
    with bench.watch({"name": "gate", "uri": str(clip), "realtime": True}, wait=("gate",)) as run:
        counts = run.run.cameras["gate"].source.counts
        run.wait(lambda: counts.pts_jumps >= 1, 60)
        recovered = run.wait_scored("gate", 1)
        time.sleep(10)
    return bench.row(
        "PTS jumps back by 30 s", recovered=recovered, note="a new segment, at the very picture", expected=[]
    )


def picture(bench: Bench) -> Row:
    """The picture goes black for ten seconds, and freezes later."""
    cameras = bench.http()
    with bench.watch({"name": "gate", "uri": cameras.uri(0)}, wait=("gate",)) as run:
        found = []
        for mode, kind in (("black", "camera_covered"), ("frozen", "camera_frozen")):
            cameras.show(0, mode)
            detected = run.wait(lambda kind=kind: run.events("gate", kind), 60)
            time.sleep(max(0.0, 10 - detected))
            cameras.show(0, "normal")
            recovered = run.wait_for("gate", WATCHING)
            found.append((detected, recovered))
            run.wait(lambda kind=kind: "end" in [m.kind for m in run.events("gate", kind)], 60)
            time.sleep(8)
    return bench.row(
        "picture black for 10 s, then frozen",
        detected=max(detected for detected, _ in found),
        recovered=max(recovered for _, recovered in found),
        note=", ".join(
            f"{name} found after {found_after:.1f} s"
            for name, (found_after, _) in zip(("black", "frozen"), found, strict=True)
        ),
        expected=[("gate", "camera_covered"), ("gate", "camera_frozen")],
    )


def dead(bench: Bench) -> Row:
    """One of eight cameras is not there, and comes later."""
    server = bench.rtsp()
    absent = RtspServer(file=bench.scene.clip, port=free_port())
    others: list[dict[str, object]] = [{"name": f"cam{number}", "uri": server.uri} for number in range(6)]
    config = bench.settings({"name": "gate", "uri": absent.uri}, *others, bench.healthy())
    began, started = time.monotonic(), time.time()
    with Run(LiveConfig.model_validate(config), LiveTimes()) as run:
        seven = [*(str(other["name"]) for other in others), HEALTHY]
        run.wait(lambda: all(run.scored(camera) for camera in seven), 60)
        watched = time.monotonic() - began
        run.wait(lambda: run.events("gate", "camera_offline"), 60)
        message = run.events("gate", "camera_offline")[0]
        detected = datetime.fromisoformat(message.at).timestamp() - started
        bench.ending.enter_context(absent)
        recovered = run.wait_scored("gate", 1, 90)
        time.sleep(2)
    return bench.row(
        "one of eight cameras dead from the start, there later",
        detected=detected,
        recovered=recovered,
        note=f"the other seven watched {watched:.1f} s after the start",
        expected=[("gate", "camera_offline")],
    )


def broker(bench: Bench) -> Row:
    """The MQTT broker goes away; an intruder comes meanwhile; the broker is back after a quarter of a minute."""
    folder = bench.folder / "broker"
    folder.mkdir()
    server = Mosquitto(folder)
    bench.ending.callback(server.stop)
    listener = Listener(server.port)
    bench.ending.callback(listener.close)
    cameras = bench.http()
    address = f"mqtt://127.0.0.1:{server.port}"
    with bench.watch({"name": "gate", "uri": cameras.uri(0)}, wait=("gate",), mqtt=address) as run:
        server.stop()
        said = len(run.err.getvalue())
        detected = run.wait(lambda: "MQTT broker" in run.err.getvalue()[said:], 30)
        bench.intrude(run, cameras, "gate")
        time.sleep(5)
        server.start()
        wanted = {m.sequence for m in run.messages() if m.event}
        recovered = run.wait(lambda: wanted <= {m["sequence"] for m in published(listener)}, 90)
        time.sleep(1)
    bench.more_receivers.append(published(listener))
    return bench.row(
        "MQTT broker restarted, an intruder meanwhile",
        detected=detected,
        recovered=recovered,
        note="recovered: everything delivered",
        expected=[("gate", "anomaly")],
    )


def webhook(bench: Bench) -> Row:
    """The webhook's receiver is away for a minute; an intruder comes, and the camera is covered."""
    cameras = bench.http()
    with bench.watch({"name": "gate", "uri": cameras.uri(0)}, wait=("gate",)) as run:
        bench.receiver.stop()
        away = time.monotonic()
        bench.intrude(run, cameras, "gate")
        cameras.show(0, "black")
        run.wait(lambda: run.events("gate", "camera_covered"), 30)
        cameras.show(0, "normal")
        time.sleep(max(0.0, away + 60 - time.monotonic()))
        wanted = {m.sequence for m in run.messages()}
        bench.receiver.start()
        recovered = run.wait(lambda: wanted <= {m["sequence"] for _, m in bench.receiver.got}, 90)
    return bench.row(
        "webhook receiver away for a minute, an intruder meanwhile",
        recovered=recovered,
        note=f"{len(wanted)} messages kept, sent in order",
        expected=[("gate", "anomaly"), ("gate", "camera_covered")],
    )


ROWS: dict[str, Callable[[Bench], Row]] = {
    "killed": killed,
    "frozen": frozen,
    "password": password,
    "loss": loss,
    "resolution": resolution,
    "times": times,
    "picture": picture,
    "dead": dead,
    "broker": broker,
    "webhook": webhook,
    "disk": disk,
    "ctrl-c": ctrl_c,
    "sigkill": sigkill,
}


def measured(name: str, options: argparse.Namespace) -> Row:
    """One row; a failure is a row too."""
    scene = scene_of(options.keep, (320, 180))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ending:
        try:
            if name == "loss" and not os.environ.get(IN_NAMESPACE):
                found = in_namespace(options)
                if found is not None:
                    return found
            return ROWS[name](Bench(scene, Path(folder), options.stall, ending))
        except (AssertionError, RuntimeError, OSError, LookupError, subprocess.SubprocessError) as error:
            if options.json:
                raise
            return Row(
                name, note=f"FAILED: {type(error).__name__}: {str(error)[-300:]}".replace("\n", " "), failed=True
            )


def main() -> None:
    """Measure the rows asked for and print the table; exits with 1 where an event was lost or an alarm was false."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--stall", type=float, default=20.0, help="seconds; the program's default is 20")
    parser.add_argument("--keep", type=Path, default=Path("runs/live"), help="scene and model, made once")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    if not options.json:
        print(f"{machine()}; cameras of 320x180, 10 pictures a second; stall {options.stall:g} s")
    rows = []
    for name in options.rows:
        began = time.monotonic()
        rows.append(measured(name, options))
        say(f"{name} ({time.monotonic() - began:.0f} s): {rows[-1]}")
    if options.json:
        print("\n".join(row.to_json() for row in rows))
        return
    print(table_of(Row.HEAD, [row.cells for row in rows]))
    sys.exit(any(row.failed or row.lost or row.false for row in rows))


if __name__ == "__main__":
    main()

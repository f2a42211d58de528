"""How fast a recording is watched from end to end: decoding, networks, drawing and encoding, on this machine.

    python tests/benchmarks/throughput.py [RECORDING] [--repeats 5] [--no-video]

A model of the recording's scene is learned first and not counted. Then the recording is watched several times as
``avid-watch --model`` watches it, and once more in a single thread with a clock at every stage, which tells where the
time goes. The target is 20 frames a second at 640x360 on two otherwise idle cores.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from streamer.batching import Judged  # noqa: E402 - the checkout must be found first
from streamer.console import Console  # noqa: E402
from streamer.footage import RecordedFootage  # noqa: E402
from streamer.networks import TorchNetworks  # noqa: E402
from streamer.outputs import Outputs, OutputSettings  # noqa: E402
from streamer.requests import WatchRequest  # noqa: E402
from streamer.settings import WatchSettings  # noqa: E402
from streamer.sinks.run_folder import RunFolder  # noqa: E402
from streamer.sources import open_source  # noqa: E402
from streamer.watch import watch  # noqa: E402
from streamer.windowing import FramePreparer  # noqa: E402

STAGES = ("decode", "windows", "networks", "draw, encode, write")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", nargs="?", default=str(ROOT / "samples" / "walkway.mp4"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--learn-seconds", type=float, default=20.0, help="budget of the learning, not counted")
    parser.add_argument("--no-video", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_source(options.recording) as source:
        info = source.info
        part = RecordedFootage([options.recording], until=Fraction(30))
        learned = TorchNetworks(WatchSettings()).learn(
            part, budget_seconds=options.learn_seconds, seed=0, progress=lambda _: None, stop=lambda: False
        )
        model = Path(folder) / "scene.avid"
        learned.save(model)
        settings = WatchSettings(model=model, output=Path(folder), force=True, video=not options.no_video)
        print(f"machine    {machine()}")
        print(f"recording  {Path(options.recording).name}, {info.width}x{info.height}, {info.frames} frames")
        windows = learned.windows
        print(f"windows    {windows.width}x{windows.height}, {float(windows.spacing):.3g} s apart")
        speeds = [speed_of(options.recording, settings) for _ in range(options.repeats)]
        shown = ", ".join(f"{speed:.1f}" for speed in speeds)
        print(f"watching   {statistics.median(speeds):.1f} frames/s (median of {len(speeds)}: {shown}); load {load()}")
        spent = stages_of(options.recording, settings, Path(folder))
        frames, whole = spent.pop("frames"), sum(spent.values())
        print(f"one thread {frames / whole:.1f} frames/s, of which")
        for name, seconds in spent.items():
            print(f"           {name:22s} {1000 * seconds / frames:6.2f} ms a frame, {100 * seconds / whole:3.0f} %")


def speed_of(recording: str, settings: WatchSettings) -> float:
    """Frames per second of one whole run."""
    (outcome,) = watch(WatchRequest((recording,), settings), Console(quiet=True)).sources
    if outcome.error is not None or outcome.summary is None:
        raise SystemExit(f"the run failed: {outcome.error}")
    timings = outcome.summary["timings"]
    return float(timings["frames_per_second"])  # type: ignore[index]


def stages_of(recording: str, settings: WatchSettings, folder: Path) -> dict[str, float]:
    """Seconds spent in every stage, one after the other in one thread, and the number of frames."""
    networks = TorchNetworks(settings)
    run = RunFolder.at(folder, "staged")
    run.create(force=True)
    spent = dict.fromkeys(STAGES, 0.0)
    frames = 0
    with open_source(recording) as source:
        model = networks.load(settings.model or Path())
        scorer = model.scorer((source.info.width, source.info.height), false_alarms_per_day=1.0)
        preparer = FramePreparer(scorer.windows)
        reading = source.frames()
        kept = OutputSettings(learned=Fraction(0), video=settings.video)
        with Outputs(run, source.info, scorer, kept) as outputs:
            ended = False
            while not ended:
                items, windows = [], []
                while len(windows) < networks.batch_size:
                    began = time.perf_counter()
                    frame = next(reading, None)
                    decoded = time.perf_counter()
                    spent["decode"] += decoded - began
                    if frame is None:
                        ended = True
                        break
                    item = preparer.prepare(frame)
                    spent["windows"] += time.perf_counter() - decoded
                    items.append(item)
                    windows += [item.window] if item.window is not None else []
                began = time.perf_counter()
                verdicts = iter(scorer.verdicts(windows) if windows else [])
                scored = time.perf_counter()
                spent["networks"] += scored - began
                for item in items:
                    verdict = None if item.window is None else next(verdicts)
                    outputs.take(Judged(item.frame, verdict, item.note))
                spent["draw, encode, write"] += time.perf_counter() - scored
                frames += len(items)
            outputs.finish()
    return {**spent, "frames": frames}


def machine() -> str:
    """Processor and cores this process may use."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, load {load()}"


def load() -> str:
    """The load of the machine, which says whether it was idle."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


if __name__ == "__main__":
    main()

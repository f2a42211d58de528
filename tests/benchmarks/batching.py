"""What one batch over all cameras is worth: windows a second together against one camera at a time, on the base model.

    python tests/benchmarks/batching.py --threads 1
    python tests/benchmarks/batching.py --device cuda --cameras 1 4 8 16 40

Every camera has a blur, places and a calibration of its own, and one new window per round, as live cameras have. Both
ways take turns within one run, so that the ratio holds on a busy machine too; the figures are the medians of all
rounds. Everything from the window to the verdict is counted.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from detectors.threads import configure_threads, usable_cores  # noqa: E402 - the checkout must be found first
from streamer.networks import BATCH_ON_CPU, BATCH_ON_GPU  # noqa: E402


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--size", default="320x184", help="working size, WIDTHxHEIGHT, multiples of 8")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--threads", type=int, default=None, help="of torch; all cores by default")
    parser.add_argument("--batch", type=int, default=None, help="most windows in one run; 8 on a CPU, 32 on a GPU")
    parser.add_argument("--rounds", type=int, default=30, help="of each way, after two that are not counted")
    options = parser.parse_args()
    policy = configure_threads(options.threads)

    from detectors.inference import choose_runtime

    runtime = choose_runtime(options.device, options.precision)
    batch = options.batch or (BATCH_ON_CPU if runtime.device.type == "cpu" else BATCH_ON_GPU)
    width, height = (int(side) for side in options.size.split("x"))
    print(f"machine    {processor()}, {usable_cores()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"networks   base model, {width}x{height}, {runtime.device}, {runtime.precision}, {policy.threads} threads")
    print(f"batches    of up to {batch} windows")
    print("cameras    one at a time    together    gain")
    for count in options.cameras:
        alone, together = speeds(count, (width, height), runtime, options.rounds, batch)
        print(f"{count:7d} {alone:10.1f} w/s {together:10.1f} w/s {together / alone:7.2f}")


def speeds(count, size, runtime, rounds, batch):
    """Windows a second of ``count`` cameras, one at a time and together."""
    from detectors.joint_scoring import score_together

    cameras = scorers(count, size, runtime)
    random = np.random.default_rng(0)
    spent = {"alone": [], "together": []}
    for number in range(rounds + 2):
        windows = [window(random, size, number) for _ in cameras]
        began = time.perf_counter()
        for scorer, own in zip(cameras, windows, strict=True):
            scorer.verdicts([own])
        middle = time.perf_counter()
        parts = [(scorer, [own]) for scorer, own in zip(cameras, windows, strict=True)]
        for start in range(0, count, batch):
            score_together(parts[start : start + batch])
        spent["alone"].append(middle - began)
        spent["together"].append(time.perf_counter() - middle)
    return tuple(count / statistics.median(seconds[2:]) for seconds in spent.values())


def scorers(count, size, runtime):
    """Cameras on the base weights that differ in all that is a camera's own."""
    from detectors.calibration import calibrate
    from detectors.evidence import Places
    from detectors.scene_model import SceneModel
    from detectors.scorer import Scorer
    from preprocess.pictures import WindowSettings

    base = SceneModel.base(runtime)
    known, grid = base.knowledge, base.detector.grid(size[1], size[0])
    found = []
    for number in range(count):
        random = np.random.default_rng(number)
        means, spreads = ([random.uniform(0.5, 1.5, (grid.rows, grid.columns)) for _ in range(2)] for _ in range(2))
        places = Places(*(np.float32(table) for pair in zip(means, spreads, strict=True) for table in pair))
        calibration = calibrate([random.normal(0, 1, 600)], 10, known.priors["joint"])
        found.append(
            Scorer(
                base.detector.with_blur(18.0 + 0.3 * number),
                WindowSettings(Fraction(1, 10), *size),
                grid,
                known.stream(places, "joint"),
                calibration,
                source_size=(1280, 720),
                threshold=calibration.threshold(1.0),
            )
        )
    return found


def window(random, size, number):
    """A window of sensor noise with something that moves in it."""
    from preprocess.pictures import Window

    channels = random.normal(0, 0.03, (3, size[1], size[0])).astype(np.float32)
    channels[:, 40:80, 20 : 20 + size[0] // 8] += 0.8
    return Window(channels, Fraction(number, 10), 0)


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()

"""Whether memory grows with the length of a recording: peak memory of a short and a twenty times longer one.

    python tests/benchmarks/memory.py [RECORDING] [--minutes 1 20] [--learn-budget 10]

Both recordings are made of the given one (the shipped sample by default), repeated without encoding it anew, and both
are watched by a process of its own, learning included, exactly as ``avid-watch RECORDING`` does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", nargs="?", default=str(ROOT / "samples" / "walkway.mp4"))
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 20])
    parser.add_argument("--learn-budget", type=float, default=10.0)
    parser.add_argument("--learn", default="20s", help="the same for all lengths, so that only the length differs")
    options = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in options.minutes:
            clip = Path(folder) / f"{minutes:g}min.mp4"
            frames = repeat(Path(options.recording), clip, 60 * minutes)
            words = ["--learn", options.learn, "--learn-budget", str(options.learn_budget), "-q", "-o", folder]
            peak, seconds = peak_of([str(clip), *words])
            peaks.append(peak)
            size = sum(path.stat().st_size for path in clip.with_suffix(".avid").rglob("*") if path.is_file())
            print(
                f"{minutes:5g} min  {frames:7,} frames  peak {peak / 2**20:7.1f} MiB  "
                f"{frames / seconds:5.1f} frames/s, learning included  outputs {size / 2**20:.1f} MiB",
                flush=True,
            )
    if len(peaks) > 1:
        print(f"growth     {(peaks[-1] - peaks[0]) / 2**20:+.1f} MiB from the first to the last")


def repeat(recording: Path, target: Path, seconds: float) -> int:
    """Copy the packets of a recording, again and again, until they span so many seconds; the number of frames."""
    frames = 0
    with av.open(str(target), "w") as written:
        stream = None
        offset = 0
        while True:
            end = 0
            with av.open(str(recording)) as read:
                source = read.streams.video[0]
                if stream is None:
                    stream = written.add_stream_from_template(source)
                    stream.time_base = source.time_base
                limit = seconds / float(source.time_base)
                for packet in read.demux(source):
                    if packet.pts is None or packet.dts is None:
                        continue
                    end = max(end, packet.pts + (packet.duration or 0))
                    packet.pts += offset
                    packet.dts += offset
                    if packet.dts >= limit:
                        return frames
                    packet.stream = stream
                    written.mux(packet)
                    frames += 1
            offset += end


def peak_of(argv: list[str]) -> tuple[int, float]:
    """Peak resident memory in bytes, and seconds, of a whole run in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "streamer.cli", *argv], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"the run ended with {process.returncode}")
    # Kibibytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit, time.monotonic() - began


if __name__ == "__main__":
    main()

"""Events found and false events on generated clips that had no part in the base model.

    python tests/benchmarks/generated_clips.py --clips 20 --first-seed 1000

Every clip is watched with the shipped defaults, learning included. An event is found when an alarm overlaps it in time
and one of the alarm's regions reaches an IoU of 0.1 with one of its boxes in the same frame. An alarm that overlaps no
event within half a second is false; alarms of the learning part count as false, too. Layouts are taken in turn; the
car park had no part in the base model at all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

LEAST_IOU = 0.1
SLACK_SECONDS = 0.5


@dataclass
class Tally:
    """What came of all clips."""

    events: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    by_layout: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    false: list[int] = field(default_factory=list)


def iou(first: list[float], second: list[float]) -> float:
    """Intersection over union of two boxes ``(x, y, width, height)``."""
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (first[2] * first[3] + second[2] * second[3] - shared)


def judge(truth: dict[str, Any], alarms: list[dict[str, Any]]) -> tuple[list[tuple[str, bool, float]], int]:
    """Kind, found or not, and best IoU of every true event; and the number of false alarms."""
    results = []
    for event in truth["events"]:
        boxes = {round(frame["pts"], 2): frame["boxes"] for frame in event["frames"]}
        best = 0.0
        for alarm in alarms:
            if alarm["end"] < event["start"] or alarm["start"] > event["end"]:
                continue
            for pts, *region in alarm["track"]:
                best = max([best, *(iou(region, box) for box in boxes.get(round(pts, 2), []))])
        results.append((event["kind"], best >= LEAST_IOU, best))
    false = sum(
        not any(
            alarm["start"] <= event["end"] + SLACK_SECONDS and alarm["end"] >= event["start"] - SLACK_SECONDS
            for event in truth["events"]
        )
        for alarm in alarms
    )
    return results, false


def watch_clip(clip: Path, folder: Path, extra: list[str]) -> list[dict[str, Any]]:
    """Watch a clip with the shipped defaults; the lines of its ``events.jsonl``."""
    from streamer.cli import main as avid_watch

    code = avid_watch([str(clip), "-o", str(folder), "--no-video", "-q", "--force", *extra])
    if code != 0:
        raise SystemExit(f"{clip}: avid-watch ended with {code}")
    lines = (folder / f"{clip.stem}.avid" / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def main() -> None:
    """Render, watch, judge, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=75.0)
    parser.add_argument("--out", type=Path, default=Path("runs/generated"), help="clips and results (kept)")
    parser.add_argument("--clip", type=Path, help="judge this clip with its truth beside it instead")
    options, extra = parser.parse_known_args()

    from samples.clip import write_clip
    from samples.settings import LAYOUTS, SceneSettings

    options.out.mkdir(parents=True, exist_ok=True)
    clips = []
    for number in range(options.clips if options.clip is None else 0):
        seed = options.first_seed + number
        clip = options.out / f"clip{seed}.mp4"
        if not clip.with_suffix(".truth.json").exists():
            layout = LAYOUTS[number % len(LAYOUTS)]
            write_clip(SceneSettings(seed=seed, layout=layout, duration=options.seconds, events="auto"), clip)
        clips.append(clip)
    if options.clip is not None:
        clips = [options.clip]
    tally = Tally()
    began = time.monotonic()
    for clip in clips:
        truth = json.loads(clip.with_suffix(".truth.json").read_text())
        alarms = watch_clip(clip, options.out, extra)
        results, false = judge(truth, alarms)
        tally.false.append(false)
        for kind, found, _ in results:
            tally.events[kind].append(found)
            tally.by_layout[truth["layout"]].append(found)
        told = ", ".join(f"{kind} {'found' if found else 'MISSED'} (IoU {best:.2f})" for kind, found, best in results)
        print(f"{clip.stem} {truth['layout']}: {told}; false {false}", flush=True)
    report(tally, time.monotonic() - began)


def report(tally: Tally, seconds: float) -> None:
    """Print the tables."""
    print("\n| kind | events | found | recall |\n|---|---|---|---|")
    for kind, found in sorted(tally.events.items()):
        print(f"| {kind} | {len(found)} | {sum(found)} | {100 * sum(found) / len(found):.0f} % |")
    everything = [found for kind in tally.events.values() for found in kind]
    print(f"| all | {len(everything)} | {sum(everything)} | {100 * sum(everything) / max(1, len(everything)):.0f} % |")
    print("\n| layout | events | found |\n|---|---|---|")
    for layout, found in sorted(tally.by_layout.items()):
        print(f"| {layout} | {len(found)} | {sum(found)} |")
    clips = len(tally.false)
    print(f"\nfalse events: {sum(tally.false)} in {clips} clips, {sum(tally.false) / max(1, clips):.2f} per clip")
    print(f"{seconds:.0f} s on {os.cpu_count()} cores, {platform.processor() or platform.machine()}")


if __name__ == "__main__":
    main()

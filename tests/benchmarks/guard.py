"""False anomaly events while the light, the weather or the lens change, with the guard of live cameras and without it.

    python tests/benchmarks/guard.py                      # every disturbance on two scenes, 20 minutes or so
    python tests/benchmarks/guard.py --scenes 4 --first-seed 7200 --size 640x360
    python tests/benchmarks/guard.py --disturbances rain snow --seconds 60

Every piece is a generated scene in which nothing irregular happens, as an H.264 file, read as the program reads it. The
base model learns its calibration from the first 30 s, without training; then a disturbance comes and, mostly, goes. All
scores count; events come from the shipped event machine at the scorer's own threshold, once with every verdict and once
without those that the camera's health holds back. Events of the health itself are counted beside them. A piece is
scored once and kept under ``--out``; an interrupted run goes on with what is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import av  # noqa: E402 - the checkout must be found first

from detectors.learning import learn_scene  # noqa: E402
from preprocess.conditions import ConditionMonitor  # noqa: E402
from preprocess.errors import UsageError  # noqa: E402
from samples import LAYOUTS, Painter, SceneSettings, plan_scene  # noqa: E402
from samples.disturbances import DISTURBANCES, Disturbance, effect_of  # noqa: E402
from streamer.events import EventMachine, EventSettings, MessageKind  # noqa: E402
from streamer.footage import RecordedFootage  # noqa: E402
from streamer.live.camera import SWITCHING  # noqa: E402
from streamer.live.colour_watch import ColourWatch  # noqa: E402
from streamer.live.health import CameraHealth  # noqa: E402
from streamer.live.notices import EventNotice  # noqa: E402
from streamer.networks import TorchNetworks  # noqa: E402
from streamer.settings import MachineSettings  # noqa: E402
from streamer.sources import open_source  # noqa: E402
from streamer.windowing import FramePreparer  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from detectors.base import Verdict
    from detectors.scene_model import SceneModel
    from detectors.scorer import Scorer
    from preprocess.pictures import Window
    from samples.truth import Picture
    from streamer.events import EventMessage
    from streamer.frames import Frame

LEARNED = 30.0
UNDISTURBED = "undisturbed"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 8


@dataclass(slots=True)
class Result:
    """One piece, watched once.

    Attributes:
        disturbance, scene: what it is.
        seconds: watched after the learning part.
        events: false anomaly events without the guard, ``(first, last)`` moment in seconds.
        guarded: the same with the guard.
        held: seconds in which alarms were held back, by reason.
        longest: the longest unbroken such time, seconds.
        health: new events of the camera's health, by kind.
        detected: seconds from the start of the disturbance to the first held-back frame; None where there was none.
    """

    disturbance: str
    scene: str
    seconds: float
    events: list[tuple[float, float]] = field(default_factory=list)
    guarded: list[tuple[float, float]] = field(default_factory=list)
    held: dict[str, float] = field(default_factory=dict)
    longest: float = 0.0
    health: dict[str, int] = field(default_factory=dict)
    detected: float | None = None


def frames_of(scene: SceneSettings) -> list[Picture]:
    """All pictures of a scene, in colour; every disturbance of it begins with them."""
    painter = Painter(plan_scene(scene))
    return [painter.frame(index).picture for index in range(scene.frame_count)]


def disturbed(pictures: Sequence[Picture], scene: SceneSettings, disturbance: Disturbance | None) -> Iterator[Picture]:
    """The pictures as a disturbed camera gives them."""
    effect = effect_of(disturbance, (scene.width, scene.height)) if disturbance else None
    held: Picture | None = None
    for index, picture in enumerate(pictures):
        pts = Fraction(index) / scene.frame_rate
        if disturbance is None or effect is None:
            yield picture
        elif disturbance.name == "frozen":
            here = disturbance.start <= pts < disturbance.start + disturbance.seconds
            held = (picture if held is None else held) if here else None
            yield picture if held is None else held
        else:
            yield effect(picture, pts)


def write(pictures: Iterator[Picture], scene: SceneSettings, path: Path) -> None:
    """Encode as a camera would."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=scene.frame_rate)
        stream.width, stream.height, stream.pix_fmt = scene.width, scene.height, "yuv420p"
        stream.options = {"crf": "23", "preset": "veryfast", "threads": "1"}
        stream.codec_context.gop_size = round(4 * scene.frame_rate)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))


class Watcher:
    """The chain of a live camera for one piece: conditions, health, windows, scores, events."""

    def __init__(
        self, model: SceneModel, scene: SceneSettings, disturbance: Disturbance | None, result: Result
    ) -> None:
        self.scorer: Scorer = model.scorer((scene.width, scene.height), period=1 / scene.frame_rate)
        self._preparer = FramePreparer(self.scorer.windows)
        self._monitor = ConditionMonitor()
        self._now = EPOCH
        self._health = CameraHealth("gate", Path(), clock=lambda: self._now)
        self._health.connected()
        self._health.learned()
        settings = EventSettings.at(self.scorer.threshold)
        self._machines = [EventMachine("gate", settings), EventMachine("gate", settings)]
        self._disturbance = disturbance
        self._result = result
        self._period = 1 / scene.frame_rate
        self._held = 0.0
        self._waiting: list[tuple[Frame, bool, str]] = []
        self._windows: list[Window] = []
        self._colour = ColourWatch()

    def watch(self, path: Path) -> None:
        """Watch a file from its first frame on; only what comes after the learning part counts."""
        with open_source(path) as source:
            for frame in source.frames():
                self._take(frame)
        self._score()
        for machine, events in zip(self._machines, (self._result.events, self._result.guarded), strict=True):
            self._note(machine.close(), events)

    def _take(self, frame: Frame) -> None:
        self._now = EPOCH + timedelta(seconds=float(frame.pts))
        self._colour.look(frame)
        condition = self._monitor.push(frame.luma, frame.pts, infrared=self._colour.light == "infrared")
        said = self._health.frame(condition, corrupt=frame.corrupt, wall_clock=self._now, pts=frame.pts)
        reason = self._health.hold_back(frame.pts) or (SWITCHING if self._colour.in_doubt else "")
        if frame.pts >= LEARNED:
            self._count(frame, reason)
            kinds = [
                notice.message.event.kind
                for notice in said
                if isinstance(notice, EventNotice) and notice.message.kind is MessageKind.NEW
            ]
            self._result.health = dict(Counter(self._result.health) + Counter(kinds))
        window = self._preparer.prepare(frame).window if frame.pts >= LEARNED - 2 else None
        self._waiting.append((frame, window is not None, reason))
        if window is not None:
            self._windows.append(window)
        if len(self._windows) >= BATCH:
            self._score()

    def _count(self, frame: Frame, reason: str) -> None:
        result = self._result
        result.seconds += float(self._period)
        self._held = self._held + float(self._period) if reason else 0.0
        result.longest = max(result.longest, round(self._held, 3))
        if reason:
            kind = reason.partition(":")[0]
            result.held[kind] = round(result.held.get(kind, 0.0) + float(self._period), 3)
            if result.detected is None and self._disturbance is not None and frame.pts >= self._disturbance.start:
                result.detected = float(frame.pts) - self._disturbance.start

    def _score(self) -> None:
        verdicts = iter(self.scorer.verdicts(self._windows) if self._windows else [])
        for frame, has_window, reason in self._waiting:
            verdict: Verdict | None = next(verdicts) if has_window else None
            if frame.pts < LEARNED:
                continue
            plain, guarded = self._machines
            self._note(plain.push(frame.pts, verdict), self._result.events)
            self._note(guarded.push(frame.pts, None if reason else verdict), self._result.guarded)
        self._waiting, self._windows = [], []

    @staticmethod
    def _note(messages: Sequence[EventMessage], events: list[tuple[float, float]]) -> None:
        events += [(float(m.event.start), float(m.event.end)) for m in messages if m.kind is MessageKind.END]


class Bench:
    """All pieces of one run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.base = TorchNetworks(MachineSettings(seed=0)).base()
        self.store = options.out / "pieces.jsonl"

    def kept(self) -> dict[str, Result]:
        """Results of earlier runs, by key."""
        rows = self.store.read_text(encoding="utf-8").splitlines() if self.store.is_file() else []
        loaded = [json.loads(row) for row in rows]
        return {row["key"]: Result(**row["result"]) for row in loaded}

    def run(self) -> list[Result]:
        """Watch what is missing."""
        options, results = self.options, []
        done = {} if options.anew else self.kept()
        for number in range(options.scenes):
            scene = SceneSettings(
                seed=options.first_seed + number,
                layout=LAYOUTS[number % len(LAYOUTS)],
                width=options.size[0],
                height=options.size[1],
                duration=LEARNED + 10 + options.seconds,
            )
            keys = {name: f"{scene}/{name}" for name in options.disturbances}
            missing = [name for name in options.disturbances if keys[name] not in done]
            pictures = frames_of(scene) if missing else []
            model: SceneModel | None = None
            for name in missing:
                began = time.monotonic()
                model, done[keys[name]] = self._watched(pictures, scene, name, model)
                with self.store.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": keys[name], "result": asdict(done[keys[name]])}) + "\n")
                say(f"{scene.layout}-{scene.seed} {name}: {time.monotonic() - began:.0f} s; {done[keys[name]]}")
            results += [done[key] for key in keys.values()]
        return results

    def _watched(
        self, pictures: Sequence[Picture], scene: SceneSettings, name: str, model: SceneModel | None
    ) -> tuple[SceneModel | None, Result]:
        result = Result(name, f"{scene.layout}-{scene.seed}", 0.0)
        start = LEARNED + 10
        length = self.options.seconds
        # Most of them end before the clip does: what comes back disturbs as well.
        lasting = length if name == "dawn" else 0.6 * length
        disturbance = None
        if name != UNDISTURBED:
            begin = LEARNED if name == "dawn" else start
            disturbance = Disturbance(name, begin, lasting + (start - begin), scene.seed)  # type: ignore[arg-type]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scene.mp4"
            write(disturbed(pictures, scene, disturbance), scene, path)
            learned = model
            if learned is None or name == "dawn":
                footage = RecordedFootage([path], until=Fraction(LEARNED))
                learned = learn_scene(footage, self.base, budget_seconds=600.0, adapt=False)
            Watcher(learned, scene, disturbance, result).watch(path)
        return (learned if name != "dawn" else model), result


def table_of(results: Sequence[Result]) -> str:
    """One line per disturbance, in Markdown."""
    lines = [
        "| disturbance | watched | false events | with the guard | held back | longest | after | its own events |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(result.disturbance for result in results):
        some = [result for result in results if result.disturbance == name]
        seconds = sum(result.seconds for result in some)
        health: Counter[str] = sum((Counter(result.health) for result in some), Counter())
        found = [result.detected for result in some if result.detected is not None]
        held = sum(sum(result.held.values()) for result in some)
        without, guarded = (_rate(sum(map(len, events)), seconds) for events in _events(some))
        lines.append(
            f"| {name.replace('_', ' ')} | {seconds:.0f} s"
            f" | {without} | {guarded} | {held:.1f} s"
            f" | {max(r.longest for r in some):.1f} s | {f'{max(found):.1f} s' if found else '-'}"
            f" | {', '.join(f'{count} {kind}' for kind, count in sorted(health.items())) or '-'} |"
        )
    return "\n".join(lines)


def _events(results: Sequence[Result]) -> tuple[list[list[tuple[float, float]]], list[list[tuple[float, float]]]]:
    return [result.events for result in results], [result.guarded for result in results]


def _rate(count: int, seconds: float) -> str:
    return f"{count} ({3600 * count / seconds:.0f} per hour)" if count else "0"


def main(arguments: Sequence[str] | None = None) -> None:
    """Watch what is missing, print the table and keep it."""
    options = parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    results = Bench(options).run()
    table = table_of(results)
    print(f"\n{table}")
    (options.out / "guard.md").write_text(table + "\n", encoding="utf-8")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    names = [UNDISTURBED, *DISTURBANCES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--disturbances", nargs="+", choices=names, default=names)
    parser.add_argument("--scenes", type=int, default=2, help="layouts in turn, seeds counting up")
    parser.add_argument("--first-seed", type=int, default=7200)
    parser.add_argument("--seconds", type=float, default=80.0, help="watched from the start of the disturbance on")
    parser.add_argument("--size", type=_size, default=(320, 180), metavar="WIDTHxHEIGHT")
    parser.add_argument("--anew", action="store_true", help="score again what is kept")
    parser.add_argument("--out", type=Path, default=Path("runs/guard"), help="pieces and table (kept)")
    return parser.parse_args(arguments)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise UsageError(f"--size {text}: write WIDTHxHEIGHT, for example 640x360")
    return int(width), int(height)


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

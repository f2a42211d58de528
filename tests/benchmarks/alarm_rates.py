"""Whether ``--false-alarms-per-day`` means what it says: false events on normal footage that nothing was learned from.

    python tests/benchmarks/alarm_rates.py --footage ped2 umn clips
    python tests/benchmarks/alarm_rates.py --footage generated --hours 3

Real footage: a model is fitted on the first 60 % of Ped2's training clips and watches the others; one is fitted to each
scene of UMN and watches what comes after the fitted part and before the escapes; the recorded clips are learned from as
``avid-watch CLIP`` does and their rest is watched. Generated footage: scenes without events, of seeds that had no part
in the base model, each learned from its first minute and watched for the rest.

Every piece of footage is scored once, causally, and leaves one line in ``pieces.jsonl``; the shipped event machine
then counts events at every rate asked for. An interrupted run goes on with what is missing. ``--part 1/2`` and
``--part 2/2`` share the work between two processes. A table (``alarm_rates.md``) and all figures
(``alarm_rates.json``) are written at the end, of whatever pieces are there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from detectors.evaluation.datasets import umn  # noqa: E402 - the checkout must be found first
from detectors.evaluation.protocol import Clip, Rectangle  # noqa: E402
from preprocess.errors import InputError  # noqa: E402
from samples.clip import Encoding, write_clip  # noqa: E402
from samples.settings import LAYOUTS, SceneSettings  # noqa: E402
from streamer.evaluate_cache import code_digest, digest, footage_identity  # noqa: E402
from streamer.evaluate_footage import ClipFootage, facts_of  # noqa: E402
from streamer.evaluate_scores import score_clip  # noqa: E402
from streamer.footage import RecordedFootage  # noqa: E402
from streamer.learning_part import learning_part  # noqa: E402
from streamer.networks import FitFiles, TorchNetworks  # noqa: E402
from streamer.settings import FIT_SECONDS, FitSettings, MachineSettings  # noqa: E402
from tests.benchmarks.alarm_counts import Piece, line_of, table_of  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from detectors.scene_model import SceneModel

FOOTAGE = ("ped2", "umn", "clips", "generated")
TITLES = {
    "ped2": "UCSD Ped2, held-out training clips",
    "umn": "UMN, before the escapes",
    "clips": "recorded clips",
    "generated": "generated scenes",
}
LEAST_FRAMES = 10  # of a test clip of UMN before its escape: fewer hardly hold a window
FITTED_SHARE = 0.6  # of Ped2's training clips, the first ones
BEFORE_FIRST_WINDOW = 1.0  # seconds at most, of a generated scene, that nothing is said of


@dataclass(frozen=True, slots=True)
class Job:
    """A piece that may still have to be scored.

    Attributes:
        key: names everything that decides what comes out.
        footage, name: as of the piece.
        run: scores it; None where nothing of it can be scored.
    """

    key: str
    footage: str
    name: str
    run: Callable[[], Piece | None]


def scored(
    footage: str, model: SceneModel, clip: Clip, ignored: Sequence[Rectangle], networks: TorchNetworks
) -> Piece | None:
    """Watch a clip; None, and a word about it, where it is too short for a single window."""
    try:
        scores = score_clip(
            model, clip, ignored, score="joint", false_alarms_per_day=1.0, batch_size=networks.batch_size
        )
    except InputError as error:
        say(f"{clip.name}: left out: {error}")
        return None
    return Piece(footage, clip.name, model.knowledge.calibrations["joint"], scores.times, scores.statistic)


class Bench:
    """Makes the jobs of one run from its options."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.networks = TorchNetworks(MachineSettings(seed=options.seed))
        self.given = dict(pair.split("=", 1) for pair in options.model)

    def jobs(self) -> Iterator[Job]:
        """All pieces, in order; footage that is not at hand is left out with a word."""
        makers = {"ped2": self.ped2, "umn": self.umn, "clips": self.clips, "generated": self.generated}
        for name in self.options.footage:
            try:
                yield from makers[name]()
            except InputError as error:
                say(f"{name}: left out: {error}")

    def ped2(self) -> Iterator[Job]:
        """The first training clips are fitted on, the others watched."""
        folder = self.options.data / "ucsd_ped2" / "train"
        clips = [Clip(path.stem, str(path)) for path in sorted(folder.glob("*.mkv"))]
        if not clips:
            raise InputError(f"{folder}: no training clips there; --data names another place")
        cut = round(FITTED_SHARE * len(clips))
        yield from self._fitted_jobs("ped2", "ped2", clips[:cut], clips[cut:], ())

    def umn(self) -> Iterator[Job]:
        """One model per scene; test clips end where people begin to run."""
        for scene in umn.read(self.options.data / "umn").scenes:
            normal = []
            for test in scene.test:
                truth = np.asarray(test.irregular, np.bool_)
                frames = int(truth.argmax()) if truth.any() else len(truth)
                if frames >= LEAST_FRAMES:
                    normal.append(replace(test.clip, stop=test.clip.start + frames * test.clip.every))
            yield from self._fitted_jobs("umn", f"umn-{scene.name}", scene.normal, normal, scene.ignored)

    def _fitted_jobs(
        self, footage: str, name: str, learned: Sequence[Clip], watched: Sequence[Clip], ignored: Sequence[Rectangle]
    ) -> Iterator[Job]:
        options = self.options
        given = self.given.get(name)
        source: object = hashlib.sha256(Path(given).read_bytes()).hexdigest() if given else None
        source = source or [options.fit_seconds, options.steps, options.seed, footage_identity(learned, ignored)]
        key = digest(code_digest(), name, source)

        @cache
        def model() -> SceneModel:
            return self.networks.load(Path(given)) if given else self._fit(name, key, learned, ignored)

        def watch(clip: Clip) -> Piece | None:
            return scored(footage, model(), clip, ignored, self.networks)

        for clip in watched:
            yield Job(digest(key, footage_identity([clip], ignored)), footage, clip.name, partial(watch, clip))

    def _fit(self, name: str, key: str, clips: Sequence[Clip], ignored: Sequence[Rectangle]) -> SceneModel:
        """A model as ``avid-watch fit`` makes it; one kept from before, where nothing has changed since."""
        path = self.options.out / f"{name}-{key}.avid"
        if path.is_file():
            return self.networks.load(path)
        say(f"{name}: fitting")
        files = FitFiles(path.with_suffix(".training"), path.with_suffix(".png"))
        settings = FitSettings(
            output=path,
            seconds=None if self.options.steps else self.options.fit_seconds,
            steps=self.options.steps,
            seed=self.options.seed,
            resume=files.training.is_file(),
        )
        model = self.networks.fit(
            ClipFootage(clips, ignored), settings, files, progress=lambda _: None, stop=lambda: False
        )
        model.save(path)
        files.training.unlink(missing_ok=True)
        return model

    def clips(self) -> Iterator[Job]:
        """Recordings, learned from and watched as ``avid-watch CLIP`` does."""
        folder = self.options.data / "clips"
        paths = sorted(folder.glob("*.mp4"))
        if not paths:
            raise InputError(f"{folder}: no recordings there; --data names another place")
        for path in paths:
            clip = Clip(path.stem, str(path))
            key = digest(code_digest(), self.options.learn_budget, self.options.seed, footage_identity([clip], ()))
            yield Job(key, "clips", clip.name, partial(self._learned, "clips", path, None))

    def generated(self) -> Iterator[Job]:
        """Scenes without events, until enough is watched; layouts and sizes in turn."""
        options = self.options
        watched = options.scene_seconds - options.learn_seconds - BEFORE_FIRST_WINDOW
        scenes = math.ceil(options.hours * 3600 / watched)
        for number in range(scenes):
            scene = SceneSettings(
                seed=options.first_seed + number,
                layout=LAYOUTS[number % len(LAYOUTS)],
                width=options.sizes[number // len(LAYOUTS) % len(options.sizes)][0],
                height=options.sizes[number // len(LAYOUTS) % len(options.sizes)][1],
                duration=options.scene_seconds,
                events=(),
            )
            learned = [options.learn_seconds, options.learn_budget, options.seed]
            key = digest(code_digest(), samples_digest(), repr(scene), learned)
            yield Job(key, "generated", f"{scene.layout}-{scene.seed}", partial(self._rendered, scene))

    def _rendered(self, scene: SceneSettings) -> Piece | None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{scene.layout}-{scene.seed}.mp4"
            write_clip(scene, path, encoding=Encoding(grey=True))
            return self._learned("generated", path, self.options.learn_seconds)

    def _learned(self, footage: str, path: Path, seconds: float | None) -> Piece | None:
        clip = Clip(path.stem, str(path))
        facts = facts_of(clip)
        if facts.period is None or facts.frames is None:
            raise InputError(f"{path}: tells no frame rate or length; recode it")
        part = learning_part(facts.frames * facts.period, seconds).seconds
        model = self.networks.learn(
            RecordedFootage([path], until=part),
            budget_seconds=self.options.learn_budget,
            seed=self.options.seed,
            progress=lambda _: None,
            stop=lambda: False,
        )
        rest = replace(clip, start=math.ceil(part / facts.period))
        return scored(footage, model, rest, (), self.networks)


@cache
def samples_digest() -> str:
    """Of the generator's code."""
    found = hashlib.sha256()
    for path in sorted((ROOT / "samples").glob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def read_pieces(path: Path) -> dict[str, Piece]:
    """The pieces kept so far, by key; a line that an interruption cut short is left out."""
    pieces = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
            pieces[row["key"]] = Piece.from_json(row)
        except (ValueError, KeyError):
            say(f"{path}: a line cannot be read; its piece is scored again")
    return pieces


def main(arguments: Sequence[str] | None = None) -> None:
    """Score what is missing, count, write the table."""
    options = parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    store = options.out / "pieces.jsonl"
    jobs = list(Bench(options).jobs())
    part, parts = options.part
    done = read_pieces(store).keys()
    for number, job in enumerate(jobs):
        if number % parts != part - 1 or job.key in done:
            continue
        began = time.monotonic()
        piece = job.run()
        if piece is not None:
            with store.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": job.key, **piece.to_json()}) + "\n")
            took = time.monotonic() - began
            say(f"{number + 1} of {len(jobs)}: {job.name}: {piece.seconds:.0f} s watched, {took:.0f} s taken")
    kept = read_pieces(store)
    write_report(options, [kept[job.key] for job in jobs if job.key in kept], len(jobs))


def write_report(options: argparse.Namespace, pieces: Sequence[Piece], asked_for: int) -> None:
    """Print the table, and write it and all figures."""
    lines = []
    for name in options.footage:
        if some := [piece for piece in pieces if piece.footage == name]:
            rates = options.low_rates if name == "generated" else options.rates
            lines += [line_of(TITLES[name], some, asked) for asked in rates]
    real = [piece for piece in pieces if piece.footage != "generated"]
    if len({piece.footage for piece in real}) > 1:
        lines += [line_of("all real footage", real, asked) for asked in options.rates]
    table = table_of(lines)
    print(f"\n{table}\n\n{len(pieces)} of {asked_for} pieces")
    (options.out / "alarm_rates.md").write_text(table + "\n", encoding="utf-8")
    rates = sorted({*options.rates, *options.low_rates})
    figures = {
        "options": {name: str(value) for name, value in vars(options).items()},
        "code": [code_digest(), samples_digest()],
        "pieces_missing": asked_for - len(pieces),
        "lines": [line.to_json() for line in lines],
        "pieces": [
            {
                "footage": piece.footage,
                "name": piece.name,
                "seconds": piece.seconds,
                "lowest_per_day": piece.calibration.lowest_per_day,
                "events": {f"{asked:g}": piece.events(asked) for asked in rates},
            }
            for piece in pieces
        ],
    }
    (options.out / "alarm_rates.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--footage", nargs="+", choices=FOOTAGE, default=list(FOOTAGE))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real sets")
    parser.add_argument("--rates", type=float, nargs="+", default=[1000, 3000, 10000, 30000], help="on real footage")
    parser.add_argument("--low-rates", type=float, nargs="+", default=[1, 100, 300, 1000, 3000], help="on generated")
    parser.add_argument("--fit-seconds", type=float, default=FIT_SECONDS, help="training of each fitted model")
    parser.add_argument("--steps", type=int, help="train so many steps instead")
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="use this model for ped2, umn-scene1 or umn-scene3; it must not know the footage that is watched here",
    )
    parser.add_argument("--hours", type=float, default=3.0, help="of generated footage to watch")
    parser.add_argument(
        "--sizes", type=_size, nargs="+", default=[(640, 360), (320, 180)], metavar="WxH", help="of generated scenes"
    )
    parser.add_argument("--first-seed", type=int, default=3000)
    parser.add_argument("--scene-seconds", type=float, default=300.0, help="length of a generated scene")
    parser.add_argument("--learn-seconds", type=float, default=60.0, help="of a generated scene, at most 40 %% of it")
    parser.add_argument("--learn-budget", type=float, default=45.0, help="longest time a learning takes")
    parser.add_argument("--seed", type=int, default=0, help="of fitting and learning")
    parser.add_argument("--part", type=_part, default=(1, 1), metavar="K/N", help="do only the K-th of N shares")
    parser.add_argument("--out", type=Path, default=Path("runs/alarm_rates"), help="pieces, models, table (kept)")
    return parser.parse_args(arguments)


def _size(text: str) -> tuple[int, int]:
    width, height = (int(number) for number in text.split("x"))
    return width, height


def _part(text: str) -> tuple[int, int]:
    part, parts = (int(number) for number in text.split("/"))
    if not 1 <= part <= parts:
        raise argparse.ArgumentTypeError(f"{text}: write 1/2 for the first of two shares")
    return part, parts


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

"""Whether D has learned "irregular" or just the kinds it was shown: each kind in turn is left out of its training.

    python tests/benchmarks/held_out_kinds.py UCSDped2/Train/Train001 UCSDped2/Train/Train002 ... --steps 400

For every kind of simulated irregularity, the default recipe is trained from nothing (the base model knows all kinds) on
the first 70 % of the footage without that kind. Then D alone ranks cells of the last 30 %: irregular cells of the kind
it never saw against normal cells that move. Printed: the area under the ROC curve of the kind left out, of the kinds
that were learned, and of the same kind where nothing was left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from streamer.networks import share_the_machine

share_the_machine()

import numpy as np  # noqa: E402 - threads are set up before torch is loaded
import torch  # noqa: E402

from detectors.avid.batches import TrainingScene  # noqa: E402
from detectors.avid.settings import default_recipe  # noqa: E402
from detectors.avid.simulate import IRREGULAR, Kind, SceneScale, simulate  # noqa: E402
from detectors.avid.system import Avid  # noqa: E402
from detectors.avid.training import AvidTrainer  # noqa: E402
from detectors.avid.validation import CROP, MOVING, ranking  # noqa: E402
from detectors.bank import pairs_to_channels  # noqa: E402
from detectors.inference import choose_runtime  # noqa: E402
from detectors.learning import read_bank, read_measure  # noqa: E402
from detectors.scene import choose_windows, scale_at  # noqa: E402
from streamer.footage import RecordedFootage  # noqa: E402

if TYPE_CHECKING:
    from detectors.bank import WindowBank

LEARNED = 0.7
BATCHES = 12
CROPS = 24


def main() -> None:
    """Train once per kind, and once with all; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("footage", nargs="+", help="normal footage of one camera")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bank, scale = read(options.footage)
    cut = round(len(bank) * LEARNED)
    learned, held_out = bank.part(0, cut), bank.part(cut, len(bank))
    print(
        f"{len(bank)} windows of {bank.settings.width}x{bank.settings.height}, {options.steps} steps each; "
        f"{os.cpu_count()} cores of {platform.machine()}",
        flush=True,
    )
    everything = trained(learned, scale, IRREGULAR, options)
    print(f"{'left out':<18} {'that kind':>9} {'the others':>10} {'that kind, learned':>18}", flush=True)
    areas = []
    for kind in IRREGULAR:
        began = time.monotonic()
        others = tuple(other for other in IRREGULAR if other != kind)
        detector = trained(learned, scale, others, options)
        unseen = area(detector, held_out, scale, (kind,), options.seed)
        seen = area(detector, held_out, scale, others, options.seed)
        taught = area(everything, held_out, scale, (kind,), options.seed)
        areas.append(unseen)
        print(
            f"{kind.name.lower():<18} {unseen:9.3f} {seen:10.3f} {taught:18.3f}   {time.monotonic() - began:.0f} s",
            flush=True,
        )
    print(f"{'mean':<18} {np.mean(areas):9.3f}   smallest {min(areas):.3f}")


def read(footage: list[str]) -> tuple[WindowBank, SceneScale]:
    """All windows of the footage, at the scale the shipped command chooses."""
    recorded = RecordedFootage(footage)
    measure = read_measure(recorded)
    windows = choose_windows(measure, mode="difference")
    body, step = scale_at(measure, windows)
    return read_bank(recorded, windows), SceneScale(body, step)


def trained(bank: WindowBank, scale: SceneScale, kinds: tuple[Kind, ...], options: argparse.Namespace) -> Avid:
    """The default recipe, from nothing, with these kinds."""
    runtime = choose_runtime("auto", "auto")
    settings = default_recipe()
    trainer = AvidTrainer(
        settings,
        [TrainingScene(bank, scale)],
        seed=options.seed,
        reduced_precision=runtime.precision == torch.bfloat16,
        device=str(runtime.device),
        kinds=kinds,
    )
    for step in range(options.steps):
        trainer.step(step / options.steps)
    return Avid(settings, trainer.weights(), blur=settings.blur * scale.body, runtime=runtime)


def area(detector: Avid, held_out: WindowBank, scale: SceneScale, kinds: tuple[Kind, ...], seed: int) -> float:
    """How well D alone ranks irregular cells of these kinds over normal cells that move; 0.5 is chance."""
    random = np.random.default_rng(seed + 1)
    size = min(CROP, *held_out.pictures.shape[1:]) // 8 * 8
    truth, logits = [], []
    for _ in range(BATCHES):
        batch = simulate(held_out, scale, CROPS, size, random, kinds=kinds)
        scores = detector.score(pairs_to_channels(batch.pictures, detector.settings.mode))
        labels = batch.labels(scores.grid).numpy()
        judged = (labels > 0) | ((labels == 0) & (scores.motion.cpu().numpy() > MOVING))
        truth.append(labels[judged] > 0)
        logits.append(scores.detector.cpu().numpy()[judged])
    return ranking(np.concatenate(truth), np.concatenate(logits))


if __name__ == "__main__":
    main()

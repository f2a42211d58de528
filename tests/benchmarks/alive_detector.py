"""Whether D is alive: how far apart a recipe's D holds real patches and those that I makes of them.

    python tests/benchmarks/alive_detector.py UCSDped2/Train/Train0* --presets paper default

Each recipe is trained from nothing on the first 70 % of the footage, for so many seconds. Then moving crops of the last
30 % are shown to D as they are, and as I restores them from noise, as in training. Printed: D's normality (1: real,
0: not) of both, its spread, and how well it ranks the one over the other. The known failed reproduction of the paper
ended with a D at 0.5 for everything.
"""

from __future__ import annotations

import argparse
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
from detectors.avid.detector import irregular_logit, normality  # noqa: E402
from detectors.avid.settings import recipe  # noqa: E402
from detectors.avid.training import AvidTrainer  # noqa: E402
from detectors.avid.validation import ranking  # noqa: E402
from detectors.bank import draw_crops, pairs_to_channels  # noqa: E402
from detectors.inference import choose_runtime  # noqa: E402
from preprocess.pictures import GREY_LEVELS_PER_UNIT  # noqa: E402
from tests.benchmarks.held_out_kinds import LEARNED, read  # noqa: E402

if TYPE_CHECKING:
    from detectors.bank import WindowBank

CROPS, BATCHES = 32, 6


def main() -> None:
    """Train each recipe and print its line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("footage", nargs="+", help="normal footage of one camera")
    parser.add_argument("--presets", nargs="+", default=["paper", "default"])
    parser.add_argument("--seconds", type=float, default=300.0, help="of training each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bank, scale = read(options.footage)
    cut = round(len(bank) * LEARNED)
    learned, held_out = bank.part(0, cut), bank.part(cut, len(bank))
    print(f"{'recipe':<14} {'steps':>6} {'D(real)':>8} {'D(inpainted)':>12} {'spread':>7} {'ranking':>8}", flush=True)
    for name in options.presets:
        settings = recipe(name)
        trainer = AvidTrainer(
            settings,
            [TrainingScene(learned, scale)],
            seed=options.seed,
            reduced_precision=choose_runtime("auto", "auto").precision == torch.bfloat16,
        )
        began = time.monotonic()
        while (share := (time.monotonic() - began) / options.seconds) < 1:
            trainer.step(share)
        real, made, ranked = judged(trainer, held_out, options.seed)
        spread = float(np.concatenate([real, made]).std())
        print(
            f"{name:<14} {trainer.steps:6} {real.mean():8.3f} {made.mean():12.3f} {spread:7.3f} {ranked:8.3f}",
            flush=True,
        )


@torch.inference_mode()
def judged(trainer: AvidTrainer, held_out: WindowBank, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """D's normality of real and of inpainted crops, and how well it ranks real over inpainted ones."""
    settings = trainer.settings
    random, noise = np.random.default_rng(seed + 5), torch.Generator().manual_seed(seed)
    inpainter, detector = trainer.inpainter.eval(), trainer.detector.eval()
    size = min(settings.training.inpainter_crop, *held_out.pictures.shape[1:])
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    for _ in range(BATCHES):
        pictures = torch.from_numpy(draw_crops(held_out, CROPS, size, random, moving_share=1.0)[0]).float()
        clean = pairs_to_channels(pictures, settings.mode)
        deviation = settings.training.noise / GREY_LEVELS_PER_UNIT
        restored = inpainter(clean + torch.randn(clean.shape, generator=noise) * deviation).float()
        raw = [detector(shown).float() for shown in (clean, restored)]
        values = [normality(map_, settings.detector.output).numpy().ravel() for map_ in raw]
        logits = [irregular_logit(map_, settings.detector.output).numpy().ravel() for map_ in raw]
        found.append((*values, *logits))
    real, made, real_logit, made_logit = (np.concatenate(column) for column in zip(*found, strict=True))
    truth = np.concatenate([np.zeros(len(real_logit), np.bool_), np.ones(len(made_logit), np.bool_)])
    return real, made, ranking(truth, np.concatenate([real_logit, made_logit]))


if __name__ == "__main__":
    main()

"""How the shipped base model was made: ``python -m samples.base_model --scenes FOLDER --minutes 25``.

Trained on generated scenes alone: their normal parts for I and for simulated irregularities, their events for D.
Fusion and tails come from further scenes that trained nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from detectors.threads import configure_threads

if TYPE_CHECKING:
    from detectors.avid.settings import AvidSettings
    from samples.training_scenes import RenderedScene

TRAINING_SCENES = 96
VALIDATION_SCENES = 16
NORMAL_SCENES = 16
SCENE_SECONDS = 70.0
NORMAL_SECONDS = 120.0
FIRST_VALIDATION_SEED = 500
FIRST_NORMAL_SEED = 600
REPORT_EVERY = 100


def main() -> None:
    """Make the base model."""
    parser = argparse.ArgumentParser(prog="python -m samples.base_model", description=__doc__)
    parser.add_argument("--scenes", type=Path, required=True, help="folder in which rendered scenes are kept")
    parser.add_argument("--minutes", type=float, default=25.0, help="training time (default 25)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path("detectors/weights/base.avid"))
    parser.add_argument("--weights", type=Path, help="skip the training: take weights and settings from this model")
    options = parser.parse_args()
    configure_threads()
    options.scenes.mkdir(parents=True, exist_ok=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    from detectors.checkpoint import load_model  # noqa: PLC0415 - threads are configured before torch is loaded

    if options.weights is not None:
        from detectors.avid.settings import AvidSettings  # noqa: PLC0415

        header, tensors = load_model(options.weights)
        settings, steps = AvidSettings.from_json(header.detector_settings), int(header.training["steps"])
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("places")}
    else:
        settings, tensors, steps = _train(options.scenes, options.minutes * 60, options.seed)
        _save(options.output, settings, tensors, steps, options.seed)
    from samples.base_knowledge import learn_knowledge  # noqa: PLC0415

    knowledge = learn_knowledge(
        [_scene(options.scenes, "val", FIRST_VALIDATION_SEED + i, SCENE_SECONDS) for i in range(VALIDATION_SCENES)],
        [_scene(options.scenes, "norm", FIRST_NORMAL_SEED + i, NORMAL_SECONDS) for i in range(NORMAL_SCENES)],
        settings,
        tensors,
    )
    for line in knowledge.report:
        _say(line)
    _save(options.output, settings, tensors, steps, options.seed, knowledge.values)
    _say(f"{options.output}: {options.output.stat().st_size / 2**20:.2f} MiB")


def _scene(folder: Path, purpose: str, seed: int, seconds: float) -> RenderedScene:
    from samples.training_scenes import rendered_scene  # noqa: PLC0415

    return rendered_scene(folder, purpose, seed, seconds)  # type: ignore[arg-type]


def base_settings() -> AvidSettings:
    """Networks of the base model, and of everything adapted from it."""
    from detectors.avid.settings import default_recipe  # noqa: PLC0415

    return default_recipe()


def _train(folder: Path, seconds: float, seed: int) -> tuple[AvidSettings, dict, int]:  # type: ignore[type-arg]
    import numpy as np  # noqa: PLC0415

    from detectors.avid.batches import TrainingScene  # noqa: PLC0415
    from detectors.avid.training import AvidTrainer  # noqa: PLC0415
    from detectors.inference import choose_runtime, multiplies_bfloat16  # noqa: PLC0415

    scenes = []
    for number in range(1, TRAINING_SCENES + 1):
        scene = _scene(folder, "train", number, SCENE_SECONDS)
        scenes.append(TrainingScene(scene.bank(scene.learning), scene.scale, scene.truth()))
        _say(f"scene {number} of {TRAINING_SCENES}")
    settings = base_settings()
    runtime = choose_runtime()
    trainer = AvidTrainer(
        settings, scenes, seed=seed, reduced_precision=multiplies_bfloat16(runtime.device), device=str(runtime.device)
    )
    started, losses = time.monotonic(), []
    while (share := (time.monotonic() - started) / seconds) < 1:
        step = trainer.step(share)
        losses.append((step.simulated, step.inpainted, step.reconstruction, step.adversarial))
        if trainer.steps % REPORT_EVERY == 0:
            means = np.mean(losses[-REPORT_EVERY:], axis=0).round(4).tolist()
            _say(
                f"step {trainer.steps}, {100 * share:.0f} %: simulated, inpainted, reconstruction, adversarial {means}"
            )
    return settings, trainer.weights(), trainer.steps


def _save(path: Path, settings: AvidSettings, tensors: dict, steps: int, seed: int, values: object = None) -> None:  # type: ignore[type-arg]
    from detectors.avid.system import Avid  # noqa: PLC0415
    from detectors.calibration import TailPrior  # noqa: PLC0415
    from detectors.checkpoint import ModelHeader, current_versions, save_model  # noqa: PLC0415
    from detectors.evidence import Fusion  # noqa: PLC0415
    from detectors.scene_model import DECISIONS, Knowledge  # noqa: PLC0415

    known = values if isinstance(values, Knowledge) else None
    if known is None:
        known = Knowledge(Fusion(), 0.0, {decision: TailPrior() for decision in DECISIONS}, {}, None)
    body = 9.0
    header = ModelHeader(
        detector=Avid.name,
        detector_settings={**settings.to_json(), "blur_pixels": settings.blur * body},
        preprocessing={"spacing": "1/10", "width": 320, "height": 184, "mode": settings.mode},
        calibration=known.to_json(),
        versions=current_versions(),
        trained_on={"generated_scenes": TRAINING_SCENES, "seconds_each": SCENE_SECONDS, "first_seed": 1},
        training={"steps": steps, "seed": seed, "command": "python -m samples.base_model"},
    )
    save_model(path, replace(header), tensors, half_kernels=True)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

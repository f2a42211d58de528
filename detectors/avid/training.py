"""Training I and D against each other on normal windows: one D step and one I step per batch.

D learns normal against simulated irregularities and against what I makes; I learns to restore noisy normal windows
and to make what D takes for normal. All draws come from one seed, so that a number of steps gives the same weights
to the bit on a CPU.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch.nn import functional

from detectors.avid.batches import Ahead, BatchMaker, TrainingBatch, TrainingScene
from detectors.avid.detector import DetectorNetwork
from detectors.avid.inpainter import Inpainter
from detectors.avid.losses import AdversarialLoss, FakeHistory, WeightAverage, reconstruction_loss
from detectors.avid.simulate import IRREGULAR, Kind
from detectors.bank import pairs_to_channels
from detectors.threads import leave_cores, usable_cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detectors.avid.settings import AvidSettings

Network = TypeVar("Network", bound=torch.nn.Module)
GRADIENT_BOUND = 5.0
MOST_WORKERS = 8
"""Threads that make batches for a GPU: a batch takes one of them 0.1 s, and the GPU a tenth of that."""
NORM_BATCHES = 24  # batches over which the batch norms' statistics of finished weights are measured


@dataclass(frozen=True, slots=True)
class StepLosses:
    """The losses of one step (means over the batch; zero where a term is switched off)."""

    simulated: float
    inpainted: float
    reconstruction: float
    adversarial: float


class AvidTrainer:
    """Holds the networks, optimisers and random state of one training; can be saved and resumed to the bit."""

    def __init__(
        self,
        settings: AvidSettings,
        scenes: Sequence[TrainingScene],
        *,
        seed: int = 0,
        start: dict[str, torch.Tensor] | None = None,
        reduced_precision: bool = False,
        device: str = "cpu",
        kinds: tuple[Kind, ...] = IRREGULAR,
    ) -> None:
        """Prepare a training.

        Args:
            settings: networks and recipe.
            scenes: normal footage; at least one scene with a window.
            seed: of weights, crops, irregularities and noise.
            start: state of a trained system to go on from (:meth:`weights`).
            reduced_precision: multiply in bfloat16 where the processor is fast at it.
            device: ``cpu`` or ``cuda``.
            kinds: of simulated irregularities D learns; one is left out to test on it.
        """
        self.settings = settings
        self.seed = seed
        self.device = torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.inpainter = Inpainter(settings.inpainter)
            self.detector = DetectorNetwork(settings.detector)
        if start is not None:
            load_weights(self.inpainter, self.detector, start)
        for network in (self.inpainter, self.detector):
            self._to_training(network)
            network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        recipe = settings.training
        self.inpainter_optimiser = _optimiser(self.inpainter, settings, recipe.inpainter_rate)
        self.detector_optimiser = _optimiser(self.detector, settings, recipe.detector_rate)
        self.adversarial = AdversarialLoss(recipe.adversarial_form, settings.detector.output)
        self.history = FakeHistory(recipe.history, seed) if recipe.history else None
        decay = recipe.average_decay
        self.averages = (WeightAverage(self.inpainter, decay), WeightAverage(self.detector, decay)) if decay else None
        self.reduced_precision = reduced_precision
        self.steps = 0
        self.maker = BatchMaker(settings, scenes, self.detector.grid, seed=seed, kinds=kinds)
        self._batches = Ahead(self.maker.batch, _workers(self.device))

    def step(self, progress: float) -> StepLosses:
        """One step of D and one of I.

        Args:
            progress: share of the training done, 0..1; sets the learning rates.
        """
        with leave_cores(self._batches.workers):
            return self._step(progress)

    def _step(self, progress: float) -> StepLosses:
        self._set_rates(progress)
        recipe = self.settings.training
        batch = self._batches.get(self.steps)
        clean = self._to_device(batch.normal)
        noisy = clean + self._to_device(batch.noise)
        with self._precision():
            restored = self.inpainter(noisy)
        restored = restored.float()
        simulated, inpainted = self._train_detector(batch, clean, restored.detach())
        reconstruction = reconstruction_loss(restored, clean)
        adversarial = torch.zeros((), device=self.device)
        playing = self.steps % recipe.adversarial_every == 0
        if recipe.adversarial_weight and playing:
            self.detector.eval().requires_grad_(requires_grad=False)
            with self._precision():
                judged = self.detector(restored)
            adversarial = self.adversarial.inpainter(judged.float())
            self._to_training(self.detector).requires_grad_(requires_grad=True)
        loss = recipe.reconstruction_weight * reconstruction + recipe.adversarial_weight * adversarial
        _descend(self.inpainter_optimiser, loss)
        if self.averages is not None:
            self.averages[0].update(self.inpainter)
            self.averages[1].update(self.detector)
        self.steps += 1
        return StepLosses(simulated, inpainted, reconstruction.item(), adversarial.item())

    def _train_detector(self, batch: TrainingBatch, clean: torch.Tensor, restored: torch.Tensor) -> tuple[float, float]:
        recipe = self.settings.training
        loss = torch.zeros((), device=self.device)
        simulated = inpainted = 0.0
        if batch.simulated is not None and batch.labels is not None:
            labels = batch.labels.to(self.device)
            windows = self._to_device(batch.simulated)
            with self._precision():
                judged = self.detector(windows)
            known = labels >= 0
            term = functional.binary_cross_entropy_with_logits(judged.float()[known], labels[known])
            simulated = term.item()
            loss = loss + recipe.simulated_weight * term
        if recipe.inpainted_weight and self.steps % recipe.adversarial_every == 0:
            fakes = self.history.mix(restored) if self.history is not None else restored
            # Running statistics here: batches of fakes must not move what D expects of real windows.
            self.detector.train(mode=not self.settings.detector.batch_norm)
            with self._precision():
                real, fake = self.detector(clean), self.detector(fakes)
            self._to_training(self.detector)
            term = self.adversarial.detector(real.float(), fake.float())
            inpainted = term.item()
            loss = loss + recipe.inpainted_weight * term
        if loss.requires_grad:
            _descend(self.detector_optimiser, loss)
        return simulated, inpainted

    def _to_training(self, network: Network) -> Network:
        network.train()
        if self.settings.training.frozen_norms:
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval()
        return network

    def _to_device(self, windows: torch.Tensor) -> torch.Tensor:
        return windows.to(self.device, memory_format=torch.channels_last)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.reduced_precision)

    def _set_rates(self, progress: float) -> None:
        recipe = self.settings.training
        share = 1.0
        if recipe.warm_up:
            rising = min(1.0, (progress + 1e-3) / recipe.warm_up)
            falling = 0.5 * (1 + math.cos(math.pi * max(0.0, progress - recipe.warm_up) / (1 - recipe.warm_up)))
            share = rising * max(falling, 1e-3)
        for optimiser, rate in (
            (self.inpainter_optimiser, recipe.inpainter_rate),
            (self.detector_optimiser, recipe.detector_rate),
        ):
            for group in optimiser.param_groups:
                group["lr"] = rate * share

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights to use: averaged where the recipe says so; ``inpainter.*`` and ``detector.*``, on the CPU.

        The batch norms' statistics are measured anew for exactly these weights (Izmailov et al., "Averaging Weights
        Leads to Wider Optima", UAI 2018, section 3.2): neither an average of statistics nor the last steps' are those
        of the averaged weights, and D's logits of still cells moved from -12 to -1 by that alone.
        """
        networks = (copy.deepcopy(self.inpainter), copy.deepcopy(self.detector))
        if self.averages is not None:
            for network, average in zip(networks, self.averages, strict=True):
                average.copy_to(network)
        if self.steps and not self.settings.training.frozen_norms:
            self._measure_norms(*networks)
        return {
            f"{prefix}.{name}": value.detach().cpu().clone()
            for prefix, network in zip(("inpainter", "detector"), networks, strict=True)
            for name, value in network.state_dict().items()
        }

    @torch.no_grad()
    def _measure_norms(self, inpainter: Inpainter, detector: DetectorNetwork) -> None:
        """Measure the statistics of both networks' batch norms over batches as they are trained on."""
        norms = [[m for m in n.modules() if isinstance(m, torch.nn.BatchNorm2d)] for n in (inpainter, detector)]
        for norm in (*norms[0], *norms[1]):
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
        inpainter.train()
        detector.train()
        random = np.random.default_rng((self.seed, self.steps, 1))  # no draw of a step
        for _ in range(NORM_BATCHES):
            if norms[0]:
                clean = self.maker.normal(random)
                inpainter(self._to_device(clean + self.maker.noise(clean.shape, random)))
            if norms[1]:
                pictures = self.maker.simulated(random).pictures
                detector(self._to_device(pairs_to_channels(pictures, self.settings.mode)))

    def state(self) -> dict[str, Any]:
        """Everything needed to go on to the bit (tensors, numbers and plain containers only)."""
        return {
            "steps": self.steps,
            "seed": self.seed,
            "inpainter": self.inpainter.state_dict(),
            "detector": self.detector.state_dict(),
            "optimisers": [self.inpainter_optimiser.state_dict(), self.detector_optimiser.state_dict()],
            "averages": [(average.state(), average.updates) for average in self.averages or ()],
            "history": self.history.state() if self.history is not None else {},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken, with the same settings and footage."""
        self.steps, self.seed = int(state["steps"]), int(state["seed"])
        self.maker = self.maker.with_seed(self.seed)
        self._batches = Ahead(self.maker.batch, _workers(self.device))
        self.inpainter.load_state_dict(state["inpainter"])
        self.detector.load_state_dict(state["detector"])
        self.inpainter_optimiser.load_state_dict(state["optimisers"][0])
        self.detector_optimiser.load_state_dict(state["optimisers"][1])
        for average, (tensors, updates) in zip(self.averages or (), state["averages"], strict=True):
            average.restore(tensors, int(updates))
        if self.history is not None:
            self.history.restore(state["history"])


def _workers(device: torch.device) -> int:
    """Threads that make batches: one beside networks on a CPU; as many as a GPU may need to be kept at work."""
    spare = usable_cores() - 1
    return min(spare, 1 if device.type == "cpu" else MOST_WORKERS)


def load_weights(inpainter: Inpainter, detector: DetectorNetwork, tensors: dict[str, torch.Tensor]) -> None:
    """Give two networks ``inpainter.*`` and ``detector.*``; KeyError or RuntimeError where they do not fit."""
    for prefix, network in (("inpainter.", inpainter), ("detector.", detector)):
        own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        network.load_state_dict(
            {name: value.float() if value.is_floating_point() else value for name, value in own.items()}
        )


def _optimiser(network: torch.nn.Module, settings: AvidSettings, rate: float) -> torch.optim.Optimizer:
    recipe = settings.training
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    return torch.optim.Adam(network.parameters(), lr=rate, betas=recipe.betas)


def _descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    for group in optimiser.param_groups:
        torch.nn.utils.clip_grad_norm_(group["params"], GRADIENT_BOUND)
    optimiser.step()

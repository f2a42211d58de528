"""I and D of the still preset, and their training on normal grids.

I is a U-Net that restores digits of which half is hidden by noise; D is fully convolutional, one judgement per digit,
and learns normal digits against simulated irregular ones. Both see whole grids, neighbours included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn import functional

from detectors.avid.detector import DetectorLayer, DetectorNetwork, DetectorSettings
from detectors.avid.inpainter import Inpainter, InpainterSettings
from detectors.evaluation.stills.cells import blurred, grid_of
from detectors.evaluation.stills.irregular import drawn, irregular, sides, warped

if TYPE_CHECKING:
    from detectors.inference import Runtime

HIDING_NOISE: Final = 0.4
"""Standard deviation of the noise in a hidden half, of the range from black to white: the paper's strength."""
_OPEN_NOISE: Final = 0.1  # in the half that is shown
_DETECTOR_BLUR: Final = 0.8  # pixels; strokes joined or cut must not be told by their edges
_DETECTOR_NOISE: Final = 0.03
_HIDE_OFFSET: Final = 3.0
_RATE: Final = 3e-3
_WARM_UP: Final = 0.1
_GRADIENT_BOUND: Final = 5.0
_TRAINING_SIDE: Final = 4  # cells along the grids that are trained on
_TRAINING_GRIDS: Final = 12


def still_inpainter() -> InpainterSettings:
    """Three levels of 16, 32 and 48 channels, grey, no skip at full resolution: 62,000 parameters."""
    return InpainterSettings(channels=(16, 32, 48), input_channels=1, finest_skip=False)


def still_detector() -> DetectorSettings:
    """Five padded 3x3 layers to a quarter of the resolution, then one 7x7 layer that spans a cell of 28 pixels."""
    body = [
        DetectorLayer(width, kernel=3, stride=stride, padding=1)
        for width, stride in ((24, 1), (32, 2), (48, 1), (64, 2), (64, 1))
    ]
    return DetectorSettings(layers=(*body, DetectorLayer(128, kernel=7, stride=7)), input_channels=1)


@dataclass(frozen=True, slots=True)
class StillLosses:
    """Losses of one step: mean squared error of what I restored, cross-entropy of D."""

    inpainter: float
    detector: float


class StillTrainer:
    """Both networks, their optimisers and random state; resumable."""

    def __init__(self, digits: torch.Tensor, runtime: Runtime, *, seed: int) -> None:
        """Prepare a training on upright normal digits ``(K, 28, 28)`` uint8."""
        self._digits = digits
        self._runtime = runtime
        self.steps = 0
        self._random = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.inpainter = Inpainter(still_inpainter())
            self.detector = DetectorNetwork(still_detector())
        self._optimisers = []
        for network in (self.inpainter, self.detector):
            network.to(runtime.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._optimisers.append(torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=1e-4))

    def step(self, progress: float) -> StillLosses:
        """One step of each; ``progress``, 0..1, is the share of the training done and sets the rate."""
        rising = min(1.0, (progress + 1e-3) / _WARM_UP)
        falling = 0.5 * (1 + math.cos(math.pi * max(0.0, progress - _WARM_UP) / (1 - _WARM_UP)))
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = _RATE * rising * max(falling, 1e-3)
        losses = StillLosses(self._step_inpainter(), self._step_detector())
        self.steps += 1
        return losses

    def _step_inpainter(self) -> float:
        count = max(1, _TRAINING_GRIDS // 2) * _TRAINING_SIDE**2  # a step of I costs about twice one of D
        cells = warped(drawn(self._digits, count, self._random), self._random)
        clean = grid_of(cells, _TRAINING_SIDE)
        hidden = torch.sigmoid(4 * sides(count, cells.shape[-1], self._random, offset=_HIDE_OFFSET))
        noisy = hide(clean, grid_of(hidden, _TRAINING_SIDE), self._random)
        self.inpainter.train()
        with self._runtime.autocast():
            restored = self.inpainter(self._runtime.upload(noisy))
        loss = functional.mse_loss(restored.float(), clean.to(self._runtime.device))
        return self._descend(0, loss)

    def _step_detector(self) -> float:
        count = _TRAINING_GRIDS * _TRAINING_SIDE**2
        half = count // 2
        normal = drawn(self._digits, count - half, self._random)
        cells = torch.cat([irregular(self._digits, half, self._random), normal])
        labels = torch.cat([torch.ones(half), torch.zeros(count - half)])
        order = torch.randperm(count, generator=self._random)
        pictures = seen_by_detector(grid_of(warped(cells[order], self._random), _TRAINING_SIDE))
        pictures = pictures + _DETECTOR_NOISE * torch.randn(pictures.shape, generator=self._random)
        truth = labels[order].view(-1, _TRAINING_SIDE, _TRAINING_SIDE).to(self._runtime.device)
        self.detector.train()
        with self._runtime.autocast():
            judged = self.detector(self._runtime.upload(pictures))
        return self._descend(1, functional.binary_cross_entropy_with_logits(judged.float(), truth))

    def _descend(self, which: int, loss: torch.Tensor) -> float:
        optimiser = self._optimisers[which]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], _GRADIENT_BOUND)
        optimiser.step()
        return float(loss.item())

    def state(self) -> dict[str, Any]:
        """Everything needed to go on: tensors, numbers and plain containers."""
        return {
            "steps": self.steps,
            "inpainter": self.inpainter.state_dict(),
            "detector": self.detector.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "random": self._random.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`; KeyError, TypeError, ValueError or RuntimeError where it does not fit."""
        self.inpainter.load_state_dict(state["inpainter"])
        self.detector.load_state_dict(state["detector"])
        for optimiser, kept in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self._random.set_state(state["random"])
        self.steps = int(state["steps"])


def hide(clean: torch.Tensor, hidden: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Pictures with noise alone where ``hidden`` is 1 and little noise elsewhere; both ``(B, 1, H, W)``."""
    noise = torch.randn(clean.shape, generator=random)
    return clean * (1 - hidden) + noise * (hidden * HIDING_NOISE + (1 - hidden) * _OPEN_NOISE)


def seen_by_detector(pictures: torch.Tensor) -> torch.Tensor:
    """What D sees of pictures ``(B, 1, H, W)``, grey 0..1."""
    return blurred(pictures, _DETECTOR_BLUR)

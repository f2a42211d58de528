"""What I and D are trained with: the adversarial game over D's map, the tie to the clean window, old fakes, averages.

X is a normal window, X~ the same with noise, I(X~) the inpainted one; D's map has one value per region.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from detectors.avid.detector import DetectorOutput, normality

if TYPE_CHECKING:
    from torch import nn

AdversarialForm = Literal["least_squares", "log", "log_nonsaturating"]


@dataclass(frozen=True, slots=True)
class AdversarialLoss:
    """The game between I and D, averaged over all cells of all pictures; real windows are 1, inpainted ones 0.

    ``least_squares`` (Mao et al., ICCV 2017, equation 9 with a, b, c = 0, 1, 1; the form published with AVID):
        D minimises ``mean (D(X) - 1)^2 + mean D(I(X~))^2``, I minimises ``mean (D(I(X~)) - 1)^2``.
    ``log`` (Sabokrou et al., AVID, ACCV 2018, its objective; the norm read cell by cell, D through a sigmoid):
        ``min_I max_D mean log D(X)^2 + mean log (1 - D(I(X~)))^2``.
    ``log_nonsaturating``: the same for D, while I maximises ``mean log D(I(X~))^2``, which keeps a gradient when D is
        sure (Goodfellow et al., NIPS 2014, section 3).

    Attributes:
        form: which of these.
        output: what D's raw map says. Logits are turned to normality; the log forms need a logit.
    """

    form: AdversarialForm = "least_squares"
    output: DetectorOutput = "normality"

    def __post_init__(self) -> None:
        """Refuse the log form over a linear map: outside 0..1 it has no logarithm."""
        if self.form not in ("least_squares", "log", "log_nonsaturating"):
            raise ValueError(f"the adversarial form is least_squares, log or log_nonsaturating, not {self.form}")
        if self.form != "least_squares" and self.output == "normality":
            raise ValueError(f"the {self.form} form needs a detector whose output is a logit, not linear normality")

    def detector(self, real: torch.Tensor, inpainted: torch.Tensor) -> torch.Tensor:
        """What D minimises: scalar, from its raw maps ``(B, h, w)`` of normal and of (detached) inpainted windows."""
        if self.form == "least_squares":
            towards_one = (normality(real, self.output) - 1).square().mean()
            return towards_one + normality(inpainted, self.output).square().mean()
        # log s(x)^2 = -2 softplus(-x) and log (1 - s(x))^2 = -2 softplus(x), which never meets log 0.
        return (
            2 * functional.softplus(-self._logit(real)).mean() + 2 * functional.softplus(self._logit(inpainted)).mean()
        )

    def inpainter(self, inpainted: torch.Tensor) -> torch.Tensor:
        """What I minimises: scalar, from D's raw map ``(B, h, w)`` of what I made."""
        if self.form == "least_squares":
            return (normality(inpainted, self.output) - 1).square().mean()
        if self.form == "log":
            return -2 * functional.softplus(self._logit(inpainted)).mean()
        return 2 * functional.softplus(-self._logit(inpainted)).mean()

    def _logit(self, raw: torch.Tensor) -> torch.Tensor:
        return raw if self.output == "normality_logit" else -raw


def reconstruction_loss(
    restored: torch.Tensor, clean: torch.Tensor, *, kind: Literal["squared", "absolute"] = "squared"
) -> torch.Tensor:
    """The tie of I(X~) to X, scalar: mean squared (Sabokrou et al., ALOCC, CVPR 2018, equation 4) or absolute error.

    Args:
        restored: I(X~), ``(B, C, H, W)``.
        clean: X, the same shape and units.
        kind: ``absolute`` (SimGAN's self-regularisation) keeps edges sharper and weighs outliers less.

    Raises:
        ValueError: the shapes differ (broadcasting would hide a mistake).
    """
    if restored.shape != clean.shape:
        raise ValueError(f"shapes differ: {tuple(restored.shape)} and {tuple(clean.shape)}")
    error = restored - clean
    return error.square().mean() if kind == "squared" else error.abs().mean()


class FakeHistory:
    """Old fakes for D, so that it cannot forget what I used to do (Shrivastava et al., SimGAN, CVPR 2017, section 2.3).

    Half of each fake batch is new and half comes from the history; afterwards half a batch of the history is
    replaced at random by new fakes. Bounded by ``capacity``; repeatable by ``seed``; resumable by :meth:`state`.
    """

    def __init__(self, capacity: int, seed: int = 0) -> None:
        """Hold at most ``capacity`` pictures (at least 1; a few batches suffice at these sizes)."""
        if capacity < 1:
            raise ValueError(f"a history holds at least one picture, not {capacity}")
        self.capacity = capacity
        self._pictures: torch.Tensor | None = None
        self._random = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        """Pictures held."""
        return 0 if self._pictures is None else len(self._pictures)

    def mix(self, fakes: torch.Tensor) -> torch.Tensor:
        """Exchange half of a batch with the history.

        Args:
            fakes: ``(B, C, H, W)``, the current I's; never kept with its graph. All batches share ``C, H, W``.

        Returns:
            ``(B, C, H, W)`` without gradient: the first ``B - k`` are current, the last ``k`` are old, where ``k`` is
            half the batch, or fewer while the history is filling.

        Raises:
            ValueError: pictures of another shape than those held.
        """
        fakes = fakes.detach()
        held = self._pictures if self._pictures is not None else fakes[:0].clone()
        if held.shape[1:] != fakes.shape[1:]:
            raise ValueError(f"the history holds pictures {tuple(held.shape[1:])}, got {tuple(fakes.shape[1:])}")
        half = len(fakes) // 2
        old = held[self._draw(len(held), min(half, len(held)))]
        mixed = torch.cat([fakes[: len(fakes) - len(old)], old])
        added = fakes[self._draw(len(fakes), max(half, 1))]
        room = min(self.capacity - len(held), len(added))
        replaced = added[room : room + len(held)]
        held[self._draw(len(held), len(replaced))] = replaced
        self._pictures = torch.cat([held, added[:room]])
        return mixed

    def _draw(self, total: int, count: int) -> torch.Tensor:
        return torch.randperm(total, generator=self._random)[:count]

    def state(self) -> dict[str, torch.Tensor]:
        """What :meth:`restore` needs to go on to the bit: the pictures held and the state of the random numbers."""
        state = {"random": self._random.get_state()}
        if self._pictures is not None:
            state["pictures"] = self._pictures.clone()
        return state

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on where :meth:`state` was taken."""
        self._random.set_state(state["random"])
        self._pictures = state["pictures"].clone() if "pictures" in state else None


class WeightAverage:
    """Exponential moving average of a network's weights and running statistics, used instead of the last step's.

    Adversarial training swings from step to step; the average does not. The decay starts low,
    ``min(decay, (1 + n) / (10 + n))`` after ``n`` updates, so that a short training is not averaged with its
    random start. Integer buffers (counts) are copied.
    """

    def __init__(self, network: nn.Module, decay: float = 0.999) -> None:
        """Start from the network's present weights; ``decay`` in [0, 1)."""
        if not 0 <= decay < 1:
            raise ValueError(f"the decay lies in [0, 1), not {decay}")
        self.decay = decay
        self.updates = 0
        self._average = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the network's present weights; call once after each step."""
        share = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in network.state_dict().items():
            average = self._average[name]
            if average.is_floating_point():
                average.lerp_(value.to(average.dtype), share)
            else:
                average.copy_(value)
        self.updates += 1

    def copy_to(self, network: nn.Module) -> None:
        """Give a network of the same settings the averaged weights."""
        network.load_state_dict(self._average)

    def state(self) -> dict[str, torch.Tensor]:
        """The averaged tensors (copies) by name, as ``network.state_dict()`` names them."""
        return {name: value.clone() for name, value in self._average.items()}

    def restore(self, state: dict[str, torch.Tensor], updates: int) -> None:
        """Go on where :meth:`state` was taken after ``updates`` updates; KeyError where a tensor is missing."""
        self._average = {name: state[name].clone() for name in self._average}
        self.updates = updates

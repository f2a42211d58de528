"""Networks as one call on a CPU: all their operators run behind Python's back, without its lock between them.

Every operator that Python calls gives the interpreter's lock away and takes it again. Beside the threads that read
sixteen cameras that wait was a fifth of the networks' time: eight windows of 440x248 on two cores 250 ms, recorded as
one call 200 ms; alone on one core 126 and 113 ms. The numbers that come out are the same to the last bit.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from detectors.inference import Runtime

    Recorded = Callable[[torch.Tensor], torch.Tensor]

SEEN_BEFORE: Final = 2
"""Times a shape runs as it is before it is recorded: recording takes as long as two runs, and some shapes come once."""

MOST_SHAPES: Final = 32
"""Shapes that stay recorded; the one that was not used for longest goes."""


class Traced(nn.Module):
    """A network that takes one tensor and gives one, recorded per shape by ``torch.jit.trace``.

    The shape decides padding and sizes within the network, so every shape has a recording of its own; all of them
    share the network's weights. Several threads may use it.
    """

    def __init__(self, network: nn.Module) -> None:
        """Record nothing yet.

        Args:
            network: ready to score; its weights never change again.
        """
        super().__init__()
        self.network = network
        self._recorded: OrderedDict[tuple[int, ...], Recorded] = OrderedDict()
        self._seen: dict[tuple[int, ...], int] = {}
        self._lock = Lock()

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """What the network says of ``windows`` ``(B, C, H, W)``."""
        shape = tuple(windows.shape)
        with self._lock:
            recorded = self._recorded.get(shape)
            if recorded is not None:
                self._recorded.move_to_end(shape)
            elif self._again(shape):
                recorded = self._recorded[shape] = self._record(windows)
                if len(self._recorded) > MOST_SHAPES:
                    self._recorded.popitem(last=False)
        found: torch.Tensor = (self.network if recorded is None else recorded)(windows)
        return found

    def _again(self, shape: tuple[int, ...]) -> bool:
        """Whether a shape has come often enough to be worth a recording."""
        seen = self._seen.get(shape, 0)
        if len(self._seen) > MOST_SHAPES * MOST_SHAPES:
            self._seen.clear()
        self._seen[shape] = seen + 1
        return seen >= SEEN_BEFORE

    def _record(self, windows: torch.Tensor) -> Recorded:
        with warnings.catch_warnings():
            # Deprecated, but its successors need a C++ compiler on the user's machine; every torch allowed has it.
            warnings.simplefilter("ignore")
            recorded: Recorded = torch.jit.trace(  # type: ignore[no-untyped-call]
                self.network, windows, check_trace=False
            )
        return recorded


def traced(network: nn.Module, runtime: Runtime) -> nn.Module:
    """The network as one call where that gains something: on a CPU. A GPU runs beside Python as it is."""
    return Traced(network) if runtime.device.type == "cpu" else network

"""Where and in which arithmetic networks run, and how they are made ready for it."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from preprocess.errors import UsageError

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where networks run.

    Attributes:
        device: the device all tensors of a forward pass are on.
        precision: type of the convolutions' inputs and weights; scores are float32 either way.
    """

    device: torch.device
    precision: torch.dtype

    def autocast(self) -> AbstractContextManager[None]:
        """Context of a forward pass: no gradients, convolutions in this precision."""
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.precision)

    def upload(self, windows: torch.Tensor) -> torch.Tensor:
        """A batch ``(B, C, H, W)`` on this device, channels last: on a CPU half again as fast as channels first."""
        return windows.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)


def choose_runtime(device: Device = "auto", precision: Precision = "auto") -> Runtime:
    """Choose device and precision.

    ``auto`` takes a GPU where there is one, and bfloat16 where the processor multiplies it natively: CUDA devices from
    compute capability 8, CPUs with AVX512-BF16 or AMX. Measured with both (one thread, 3x184x320, batch 8, channels
    last), bfloat16 against float32: inpainter 86 and 40 pictures a second, on 2x2 blocks 278 and 130, detector 456 and
    135. A CPU without these instructions emulates bfloat16 and is slower with it.

    Raises:
        UsageError: CUDA is asked for and there is none, or a name is unknown.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device is auto, cpu or cuda, not {device!r}")
    if precision not in ("auto", "float32", "bfloat16"):
        raise UsageError(f"--precision is auto, float32 or bfloat16, not {precision!r}")
    cuda = torch.cuda.is_available()
    if device == "cuda" and not cuda:
        raise UsageError("--device cuda: torch sees no CUDA device here; use --device cpu or auto")
    chosen = torch.device("cuda" if cuda and device != "cpu" else "cpu")
    if precision == "auto":
        return Runtime(chosen, torch.bfloat16 if multiplies_bfloat16(chosen) else torch.float32)
    return Runtime(chosen, torch.bfloat16 if precision == "bfloat16" else torch.float32)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the processor has instructions for bfloat16 products, so that they are faster than float32 ones."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    # Before torch 2.13 only this name tells; AMX processors have AVX512-BF16 as well.
    return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001


def prepare(network: Network, runtime: Runtime) -> Network:
    """A copy of a network, ready to score: batch norm folded, channels last, on the device, without gradients.

    The network given stays as it is, so that training can go on with it.
    """
    ready = fold_batch_norm(copy.deepcopy(network).eval())
    ready.requires_grad_(requires_grad=False)
    ready.to(runtime.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ready


def fold_batch_norm(network: Network) -> Network:
    """Fold every batch norm that follows a convolution into that convolution, in place.

    In inference batch norm is one multiplication and one addition per channel, which the convolution's weights and
    bias can take over: the same numbers to rounding, without a pass over the picture.

    Args:
        network: in inference mode. Convolution and batch norm stand next to each other in an ``nn.Sequential``.

    Returns:
        The same network.

    Raises:
        ValueError: the network is in training mode (its running statistics are not final).
    """
    if network.training:
        raise ValueError("batch norm can be folded in inference mode only: call eval() first")
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for index in range(len(block) - 1):
            convolution, norm = block[index], block[index + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[index] = fuse_conv_bn_eval(convolution, norm)
                block[index + 1] = nn.Identity()
    return network

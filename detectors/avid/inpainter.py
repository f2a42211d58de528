"""The inpainter I: a U-Net that gives back the window it was shown with what is irregular edited away.

Sabokrou et al., "AVID: Adversarial Visual Irregularity Detection" (ACCV 2018), section 3.1. Trained to restore noisy
normal windows, it knows only how normal motion looks; the residual ``|X - I(X)|`` is large where something else moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, cast

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

Upsampling = Literal["bilinear", "bilinear_aligned", "nearest"]

MAX_LEVELS: Final = 8
MAX_WIDTH: Final = 1024
"""Bounds of what settings may ask for; they may come from a file."""


@dataclass(frozen=True, slots=True)
class InpainterSettings:
    """What an inpainter is built from. All fields are plain JSON values (tuples become lists).

    Attributes:
        channels: width of each level, finest first; the last is the bottleneck. ``n`` levels halve the picture
            ``n - 1`` times.
        decoder_channels: width after each way up, coarsest first, ``len(channels) - 1`` numbers. Empty: each takes the
            width of the next finer level, the last that of the finest (half the multiply-adds of a symmetric decoder).
        input_channels: channels of the window (3: three differences or three pair means).
        batch_norm: normalise after each 3x3 convolution. Folded away for inference.
        finest_skip: connect the finest levels. Without it I cannot learn to copy its input at full resolution, but
            its pictures are blurred.
        stem: 1, or 2 to run the first level at half resolution on 2x2 blocks of pixels laid side by side as channels
            (Shi et al., CVPR 2016, both ways). A quarter of the cost for about the same field of view per layer.
        upsampling: ``bilinear``; ``bilinear_aligned`` keeps the corners in place as the published network does;
            ``nearest`` is fastest.
    """

    channels: tuple[int, ...] = (16, 32, 64, 64)
    decoder_channels: tuple[int, ...] = ()
    input_channels: int = 3
    batch_norm: bool = True
    finest_skip: bool = True
    stem: int = 1
    upsampling: Upsampling = "bilinear"

    def __post_init__(self) -> None:
        """Refuse settings no network can be built from; lists as read from JSON become tuples."""
        object.__setattr__(self, "channels", tuple(self.channels))
        object.__setattr__(self, "decoder_channels", tuple(self.decoder_channels))
        numbers = (*self.channels, *self.decoder_channels, self.input_channels)
        if not 2 <= len(self.channels) <= MAX_LEVELS:
            raise ValueError(f"an inpainter has 2 to {MAX_LEVELS} levels, not {len(self.channels)}")
        if any(type(number) is not int or not 1 <= number <= MAX_WIDTH for number in numbers):
            raise ValueError(f"an inpainter's levels are 1 to {MAX_WIDTH} channels wide")
        if self.decoder_channels and len(self.decoder_channels) != len(self.channels) - 1:
            raise ValueError(
                f"{len(self.channels)} levels need {len(self.channels) - 1} decoder widths, "
                f"not {len(self.decoder_channels)}"
            )
        if self.stem not in (1, 2):
            raise ValueError(f"the stem factor is 1 or 2, not {self.stem}")
        if self.upsampling not in ("bilinear", "bilinear_aligned", "nearest"):
            raise ValueError(f"upsampling is bilinear, bilinear_aligned or nearest, not {self.upsampling}")

    @property
    def decoder(self) -> tuple[int, ...]:
        """Width after each way up, coarsest first."""
        if self.decoder_channels:
            return self.decoder_channels
        finer = self.channels[:-1]
        return tuple(finer[max(level - 1, 0)] for level in reversed(range(len(finer))))

    @property
    def multiple(self) -> int:
        """Pictures whose sides are multiples of this many pixels need no padding."""
        return int(self.stem * 2 ** (len(self.channels) - 1))


class _Up(nn.Module):
    """One way up: enlarge twofold, lay the skip beside it, two convolutions."""

    def __init__(self, settings: InpainterSettings, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.aligned = settings.upsampling == "bilinear_aligned"
        self.nearest = settings.upsampling == "nearest"
        self.block = _double_convolution(inputs + skip, outputs, batch_norm=settings.batch_norm)

    def forward(self, coarse: torch.Tensor, skip: torch.Tensor | None) -> torch.Tensor:
        if self.nearest:
            fine = functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
        else:
            fine = functional.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=self.aligned)
        joined = fine if skip is None else torch.cat([skip, fine], dim=1)
        return cast("torch.Tensor", self.block(joined))


class Inpainter(nn.Module):
    """I: windows to windows of the same size, linear output.

    Any height and width of at least one pixel are taken: the picture is continued by reflection (by its last row and
    column where it is too small to reflect) to the next multiple the levels need, and the result is cut back.
    """

    def __init__(self, settings: InpainterSettings | None = None) -> None:
        super().__init__()
        self.settings = settings if settings is not None else InpainterSettings()
        channels, decoder = self.settings.channels, self.settings.decoder
        planes = self.settings.input_channels * self.settings.stem**2
        self.down = nn.ModuleList(
            _double_convolution(inputs, outputs, batch_norm=self.settings.batch_norm)
            for inputs, outputs in pairwise((planes, *channels))
        )
        self.up = nn.ModuleList(
            _Up(self.settings, inputs, skip, outputs)
            for inputs, skip, outputs in zip((channels[-1], *decoder[:-1]), self._skips(channels), decoder, strict=True)
        )
        self.output = nn.Conv2d(decoder[-1], planes, kernel_size=1)

    def _skips(self, channels: Sequence[int]) -> list[int]:
        skips = list(reversed(channels[:-1]))
        if not self.settings.finest_skip:
            skips[-1] = 0
        return skips

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Inpaint a batch of windows.

        Args:
            windows: ``(B, C, H, W)`` float, any units (64 grey levels = 1 in this project), ``C`` as in the settings.

        Returns:
            ``(B, C, H, W)`` in the same units, unbounded.

        Raises:
            ValueError: not four axes, or another number of channels than the network was built for.
        """
        if windows.ndim != 4 or windows.shape[1] != self.settings.input_channels:
            raise ValueError(f"expected (B, {self.settings.input_channels}, H, W), got {tuple(windows.shape)}")
        height, width = windows.shape[-2:]
        planes = pad_to_multiple(windows, self.settings.multiple)
        if self.settings.stem > 1:
            planes = functional.pixel_unshuffle(planes, self.settings.stem)
        skips: list[torch.Tensor] = []
        for level, block in enumerate(self.down):
            if level:
                skips.append(planes)
                planes = functional.max_pool2d(planes, kernel_size=2)
            planes = block(planes)
        for level, up in enumerate(self.up):
            finest = level == len(self.up) - 1
            skip = skips.pop()
            planes = up(planes, skip if self.settings.finest_skip or not finest else None)
        planes = self.output(planes)
        if self.settings.stem > 1:
            planes = functional.pixel_shuffle(planes, self.settings.stem)
        return planes[..., :height, :width]


def pad_to_multiple(pictures: torch.Tensor, multiple: int) -> torch.Tensor:
    """Continue pictures ``(B, C, H, W)`` to the right and below until both sides are multiples of ``multiple``.

    Reflection keeps the statistics of motion at the border; a side too small to reflect repeats its last pixel.
    """
    height, width = pictures.shape[-2:]
    below, right = -height % multiple, -width % multiple
    if not below and not right:
        return pictures
    mode = "reflect" if below < height and right < width else "replicate"
    return functional.pad(pictures, (0, right, 0, below), mode=mode)


def _double_convolution(inputs: int, outputs: int, *, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers.append(nn.Conv2d(channels, outputs, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(outputs))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)

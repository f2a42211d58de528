"""The detector D: a fully convolutional network that gives one judgement per region of the picture.

Sabokrou et al., "AVID" (ACCV 2018), section 3.2. One class serves all geometries: a list of convolutions decides what
a cell sees and where it lies. The default is the light network that judges 640x360 recordings on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, cast

import torch
from torch import nn

from detectors.avid.geometry import ConvGeometry, cell_grid, smallest_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from preprocess.geometry import CellGrid

DetectorOutput = Literal["irregular_logit", "normality", "normality_logit"]
"""What the raw map says: the logit of *irregular*; normality, trained by least squares towards 1 for normal and 0 for
irregular (the paper's sign, linear); or the logit of normality (the paper's log form, whose sigmoid is in its loss)."""

MAX_LAYERS: Final = 64
MAX_WIDTH: Final = 1024
"""Bounds of what settings may ask for; they may come from a file."""

LIGHT_WIDTHS = (24, 24, 48, 48, 96, 96)
LIGHT_STRIDES = (2, 1, 2, 1, 2, 1)


@dataclass(frozen=True, slots=True)
class DetectorLayer:
    """One hidden convolution of D: ``channels`` outputs; the other fields as in :class:`ConvGeometry`."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def __post_init__(self) -> None:
        """Refuse what is no convolution."""
        _ = self.geometry

    @property
    def geometry(self) -> ConvGeometry:
        """Where the outputs of this layer lie."""
        return ConvGeometry(self.kernel, self.stride, self.padding, self.dilation)


def light_layers(
    widths: Iterable[int] = LIGHT_WIDTHS, context_dilations: Iterable[int] = (1, 1, 1)
) -> tuple[DetectorLayer, ...]:
    """Nine padded 3x3 layers, one cell per 8x8 pixels: three times stride 2 and 1, then three for context.

    Args:
        widths: channels of the first six layers.
        context_dilations: dilation of each further layer at stride 8. Each adds ``16 * dilation`` pixels to the
            receptive field: ``()`` sees 43 pixels, ``(1, 1, 1)`` 91, ``(1, 2, 4)`` 155.

    Raises:
        ValueError: not six widths.
    """
    channels = tuple(widths)
    if len(channels) != len(LIGHT_STRIDES):
        raise ValueError(f"the light detector has {len(LIGHT_STRIDES)} widths, not {len(channels)}")
    body = [DetectorLayer(c, kernel=3, stride=s, padding=1) for c, s in zip(channels, LIGHT_STRIDES, strict=True)]
    context = [DetectorLayer(channels[-1], kernel=3, padding=d, dilation=d) for d in context_dilations]
    return (*body, *context)


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """What a detector network is built from. All fields are plain JSON values (tuples become lists).

    Attributes:
        layers: hidden convolutions, first to last; a 1x1 convolution to one channel follows them.
        input_channels: channels of the window.
        batch_norm: normalise after each hidden convolution. Off for adversarial training with real and inpainted
            windows in separate batches: their statistics would give them away (and mix at test time).
        leak: slope of the rectifier below zero; 0 is the plain one.
        output_bias: give the last convolution a bias.
        output: what the raw map says, see :data:`DetectorOutput`.
    """

    layers: tuple[DetectorLayer, ...] = field(default_factory=light_layers)
    input_channels: int = 3
    batch_norm: bool = True
    leak: float = 0.1
    output_bias: bool = True
    output: DetectorOutput = "irregular_logit"

    def __post_init__(self) -> None:
        """Refuse settings no network can be built from; mappings as read from JSON become layers."""
        layers = tuple(
            layer if isinstance(layer, DetectorLayer) else DetectorLayer(**cast("Mapping[str, int]", layer))
            for layer in self.layers
        )
        object.__setattr__(self, "layers", layers)
        if not 1 <= len(layers) <= MAX_LAYERS:
            raise ValueError(f"a detector has 1 to {MAX_LAYERS} layers, not {len(layers)}")
        widths = (self.input_channels, *(layer.channels for layer in layers))
        if any(type(width) is not int or not 1 <= width <= MAX_WIDTH for width in widths):
            raise ValueError(f"a detector's layers are 1 to {MAX_WIDTH} channels wide")
        if not 0 <= self.leak <= 1:
            raise ValueError(f"the slope below zero of a detector's rectifier lies in 0..1, not {self.leak}")
        if self.output not in ("irregular_logit", "normality", "normality_logit"):
            raise ValueError(f"a detector's output is irregular_logit, normality or normality_logit, not {self.output}")

    @property
    def geometry(self) -> tuple[ConvGeometry, ...]:
        """All convolutions by where their outputs lie; the last 1x1 moves nothing."""
        return tuple(layer.geometry for layer in self.layers)

    @property
    def smallest_input(self) -> int:
        """Smallest side of a picture, in pixels, that yields a cell."""
        return smallest_input(self.geometry)

    def grid(self, height: int, width: int) -> CellGrid:
        """Where the cells of a picture of ``height`` x ``width`` pixels lie; ValueError where it is too small."""
        return cell_grid(self.geometry, height, width)


class DetectorNetwork(nn.Module):
    """D: windows to one number per cell. Fully convolutional: any picture of at least ``settings.smallest_input``."""

    def __init__(self, settings: DetectorSettings | None = None) -> None:
        super().__init__()
        self.settings = settings if settings is not None else DetectorSettings()
        modules: list[nn.Module] = []
        inputs = self.settings.input_channels
        for layer in self.settings.layers:
            modules.append(nn.Conv2d(inputs, layer.channels, layer.kernel, layer.stride, layer.padding, layer.dilation))
            if self.settings.batch_norm:
                modules.append(nn.BatchNorm2d(layer.channels))
            leak = self.settings.leak
            modules.append(nn.LeakyReLU(leak, inplace=True) if leak else nn.ReLU(inplace=True))
            inputs = layer.channels
        self.body = nn.Sequential(*modules)
        self.output = nn.Conv2d(inputs, 1, kernel_size=1, bias=self.settings.output_bias)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Judge a batch of windows.

        Args:
            windows: ``(B, C, H, W)`` float, units of 64 grey levels, ``C`` as in the settings.

        Returns:
            The raw map ``(B, h, w)``, linear; what it says is ``settings.output``. :meth:`grid` says where cells lie.

        Raises:
            ValueError: not four axes, another number of channels, or a picture too small for one cell.
        """
        if windows.ndim != 4 or windows.shape[1] != self.settings.input_channels:
            raise ValueError(f"expected (B, {self.settings.input_channels}, H, W), got {tuple(windows.shape)}")
        height, width = windows.shape[-2:]
        if min(height, width) < self.settings.smallest_input:
            self.grid(height, width)
        return cast("torch.Tensor", self.output(self.body(windows)))[:, 0]

    def grid(self, height: int, width: int) -> CellGrid:
        """Where the cells of a picture of ``height`` x ``width`` pixels lie.

        Raises:
            ValueError: the picture is too small for a single cell.
        """
        return self.settings.grid(height, width)


def irregular_logit(raw: torch.Tensor, output: DetectorOutput) -> torch.Tensor:
    """The one place where signs turn: D's raw map as the logit of *irregular* that ``Scores.detector`` carries.

    ``irregular_logit`` passes through. ``normality_logit`` changes sign. ``normality`` D, trained by least squares
    towards 1 and 0, estimates the probability P of normal (Mao et al., "Least Squares GANs", ICCV 2017, equation 6);
    its logit ``log((1 - P) / P)`` is taken to first order about one half, ``4 * (1/2 - D)``, because a linear output
    leaves 0..1 and clamping it there would make the most irregular cells equal.

    Args:
        raw: D's map, any shape.
        output: what it says, ``DetectorSettings.output``.

    Returns:
        The same shape; large = irregular, 0 = undecided.
    """
    if output == "irregular_logit":
        return raw
    return -raw if output == "normality_logit" else 4.0 * (0.5 - raw)


def normality(raw: torch.Tensor, output: DetectorOutput) -> torch.Tensor:
    """D's raw map in the paper's sense, 1 = normal and 0 = irregular, for the paper's rule and losses.

    ``normality`` passes through (linear, may leave 0..1); the logits go through a sigmoid.
    """
    if output == "normality":
        return raw
    return torch.sigmoid(raw if output == "normality_logit" else -raw)

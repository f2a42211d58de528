"""The named networks: the paper's own geometries and the light ones that keep up with a camera on a CPU.

Layer lists follow Sabokrou et al., "AVID" (ACCV 2018), and the layer tables its second author published with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detectors.avid.detector import DetectorLayer, DetectorOutput, DetectorSettings, light_layers
from detectors.avid.inpainter import InpainterSettings
from preprocess.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    Settings = TypeVar("Settings")


def paper_inpainter(input_channels: int = 3) -> InpainterSettings:
    """The paper's U-Net, 64-128-256-256-64 with its narrow bottleneck: 4,432,899 parameters for three channels."""
    return InpainterSettings(
        channels=(64, 128, 256, 256, 64),
        decoder_channels=(256, 64, 64, 64),
        input_channels=input_channels,
        upsampling="bilinear_aligned",
    )


def light_inpainter(input_channels: int = 3) -> InpainterSettings:
    """16-32-64-64 at full resolution: 212,000 parameters; best pictures of the light ones."""
    return InpainterSettings(input_channels=input_channels)


def fast_inpainter(input_channels: int = 3) -> InpainterSettings:
    """16-32-64-64 on 2x2 blocks of pixels: three times as fast as ``light`` on a CPU, with twice its field of view."""
    return InpainterSettings(input_channels=input_channels, stem=2)


def paper_detector(
    input_channels: int = 3, *, first_stride: int = 4, output: DetectorOutput = "normality"
) -> DetectorSettings:
    """The paper's detector, unpadded and without batch norm: 2,477,408 parameters for three channels.

    One layer list serves two readings of the paper. With a first stride of 4 it takes 224x224 to 11x11 cells that see
    51 pixels, 16 apart; with a first stride of 1 it takes 64x64 to 11x11 cells that see 21 pixels, 4 apart.

    Args:
        input_channels: channels of the window.
        first_stride: stride of the 11x11 convolution.
        output: ``normality`` for least squares, ``normality_logit`` for the paper's log form.
    """
    return DetectorSettings(
        layers=(
            DetectorLayer(96, kernel=11, stride=first_stride),
            *_pointwise(96, 96),
            DetectorLayer(96, kernel=3, stride=2),
            *_pointwise(96, 96),
            DetectorLayer(256, kernel=5, stride=2),
            *_pointwise(512, 1024, 1024),
        ),
        input_channels=input_channels,
        batch_norm=False,
        leak=0.0,
        output_bias=False,
        output=output,
    )


def paper_detector_64(input_channels: int = 3, *, output: DetectorOutput = "normality") -> DetectorSettings:
    """The reading of the paper's figure that takes 64x64 pixels to 11x11 cells."""
    return paper_detector(input_channels, first_stride=1, output=output)


def paper_detector_112(input_channels: int = 3, *, output: DetectorOutput = "normality") -> DetectorSettings:
    """112x112 pixels to 11x11 cells that see 27 pixels, 8 apart, pointwise layers before every reduction.

    Known elsewhere with batch norm and a sigmoid; here it has neither, because normalising over batches of real and
    inpainted windows lets their statistics decide, and a saturated D was stuck at one half.
    """
    return DetectorSettings(
        layers=(
            *_pointwise(64, 64),
            DetectorLayer(128, kernel=3, stride=2, padding=1),
            *_pointwise(128, 128),
            DetectorLayer(256, kernel=5, stride=2),
            *_pointwise(256, 256),
            DetectorLayer(512, kernel=5, stride=2),
            *_pointwise(1024, 1024),
        ),
        input_channels=input_channels,
        batch_norm=False,
        leak=0.2,
        output=output,
    )


def light_detector(input_channels: int = 3) -> DetectorSettings:
    """Nine padded 3x3 layers, a logit of *irregular* per 8x8 pixels from 91 pixels around: 412,000 parameters."""
    return DetectorSettings(input_channels=input_channels)


def wide_view_detector(input_channels: int = 3) -> DetectorSettings:
    """The light detector with its last layers dilated 1, 2 and 4: the same cost, 155 pixels around each cell."""
    return DetectorSettings(input_channels=input_channels, layers=light_layers(context_dilations=(1, 2, 4)))


def watch_detector(input_channels: int = 3) -> DetectorSettings:
    """The default: the light detector, wider and seeing 123 pixels around each cell. 0.5 M parameters."""
    layers = light_layers(widths=(24, 32, 64, 64, 96, 96), context_dilations=(1, 2, 2))
    return DetectorSettings(input_channels=input_channels, layers=layers)


INPAINTERS: Final[Mapping[str, Callable[[], InpainterSettings]]] = {
    "paper": paper_inpainter,
    "light": light_inpainter,
    "fast": fast_inpainter,
}
"""Inpainters by the names users give."""

DETECTORS: Final[Mapping[str, Callable[[], DetectorSettings]]] = {
    "paper-224": paper_detector,
    "paper-112": paper_detector_112,
    "paper-64": paper_detector_64,
    "light": light_detector,
    "wide-view": wide_view_detector,
    "watch": watch_detector,
}
"""Detector networks by the names users give."""


def inpainter_preset(name: str) -> InpainterSettings:
    """The inpainter called ``name``; UsageError names the known ones."""
    return _named(INPAINTERS, name, "inpainter")


def detector_preset(name: str) -> DetectorSettings:
    """The detector network called ``name``; UsageError names the known ones."""
    return _named(DETECTORS, name, "detector network")


def _named(presets: Mapping[str, Callable[[], Settings]], name: str, what: str) -> Settings:
    if name not in presets:
        raise UsageError(f"no {what} preset is called {name!r}; known: {', '.join(presets)}")
    return presets[name]()


def _pointwise(*channels: int) -> tuple[DetectorLayer, ...]:
    return tuple(DetectorLayer(count, kernel=1) for count in channels)

"""Receptive-field arithmetic: where the output cells of a stack of convolutions lie in their input picture.

A 224-pixel picture judged on 11x11 cells is *not* divided into 11 strips: the paper's detector sees 51 pixels per cell,
16 pixels apart, so a map stretched naively to the picture is misplaced by up to 30 pixels at the edges. The composition
rules are those of Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks" (Distill 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from preprocess.geometry import CellGrid

if TYPE_CHECKING:
    from collections.abc import Iterable


MAX_REACH: Final = 64
"""Largest kernel, stride, dilation or (less one) padding; settings may come from a file."""


@dataclass(frozen=True, slots=True)
class ConvGeometry:
    """The part of a square convolution that decides where its output lies.

    Attributes:
        kernel: side of the kernel in cells of its input.
        stride: step in cells of its input.
        padding: cells added on every side of its input.
        dilation: distance between kernel taps in cells of its input.
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def __post_init__(self) -> None:
        """Refuse what is no convolution."""
        numbers = (self.kernel, self.stride, self.dilation, self.padding + 1)
        if any(type(number) is not int or not 1 <= number <= MAX_REACH for number in numbers):
            raise ValueError(f"no convolution has {self}")

    @property
    def extent(self) -> int:
        """Input cells from the first tap to the last, both counted."""
        return self.dilation * (self.kernel - 1) + 1

    def output_size(self, size: int) -> int:
        """Output cells along one side for ``size`` input cells; 0 or less where the input is too small."""
        return (size + 2 * self.padding - self.extent) // self.stride + 1


def cell_grid(layers: Iterable[ConvGeometry], height: int, width: int) -> CellGrid:
    """The lattice of output cells of a stack of convolutions over a picture of ``height`` x ``width`` pixels.

    Args:
        layers: the convolutions, first to last.
        height: rows of the input picture, pixels.
        width: columns of the input picture, pixels.

    Returns:
        The cells by true centres; with padding the receptive fields of border cells reach beyond the picture.

    Raises:
        ValueError: the picture is too small for a single cell.
    """
    stack = tuple(layers)
    stride, offset, field = 1, 0.0, 1
    rows, columns = height, width
    for layer in stack:
        offset += stride * ((layer.extent - 1) / 2 - layer.padding)
        field += stride * (layer.extent - 1)
        stride *= layer.stride
        rows, columns = layer.output_size(rows), layer.output_size(columns)
        if min(rows, columns) < 1:
            raise ValueError(
                f"a picture of {width}x{height} pixels is too small for this detector; "
                f"it needs at least {smallest_input(stack)} pixels on each side"
            )
    return CellGrid(stride=float(stride), offset=offset, receptive_field=field, rows=rows, columns=columns)


def smallest_input(layers: Iterable[ConvGeometry]) -> int:
    """The smallest side, in pixels, for which a stack of convolutions yields one cell."""
    size = 1
    for layer in reversed(tuple(layers)):
        size = max((size - 1) * layer.stride + layer.extent - 2 * layer.padding, 1)
    return size

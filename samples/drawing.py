"""From polygons to anti-aliased sprites: every actor and every object is drawn by the same few lines.

A patch is filled or stroked on a small canvas that is several times finer than the picture, then averaged down; so
edges carry true coverage, and a limb that moves by a third of a pixel changes the picture by a third.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Colour = tuple[float, float, float]
"""Blue, green and red, 0 to 255."""
Pixels = NDArray[np.float32]

_SHIFT = 4
_FINE = 1 << _SHIFT
_LUMA = (0.114, 0.587, 0.299)


class Patch(NamedTuple):
    """A shape of one colour.

    Attributes:
        points: ``(K, 2)`` pixels; a convex polygon when filled, a closed line when stroked.
        colour: blue, green, red.
        stroke: width of the line in pixels; 0 fills.
    """

    points: NDArray[np.float64]
    colour: Colour
    stroke: float = 0.0


@dataclass(frozen=True, slots=True)
class Sprite:
    """A drawn thing, cut to the picture.

    Attributes:
        left, top: of its upper left pixel in the picture.
        pixels: ``(H, W, C + 1)`` float32: C colour planes, already multiplied by the coverage, and the coverage 0..1.
    """

    left: int
    top: int
    pixels: Pixels

    @property
    def region(self) -> tuple[slice, slice]:
        """Rows and columns of the picture that the sprite covers."""
        height, width = self.pixels.shape[:2]
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def coverage(self) -> Pixels:
        """``(H, W)``, 0 to 1."""
        return self.pixels[..., -1]


def luma(colour: Colour) -> float:
    """Grey level of a colour, 0 to 255, by the weights of BT.601."""
    return sum(weight * value for weight, value in zip(_LUMA, colour, strict=True))


def bounds(patches: Sequence[Patch], margin: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in pixels (right and bottom excluded) around all patches."""
    points = np.concatenate([patch.points for patch in patches])
    low, high = points.min(axis=0), points.max(axis=0)
    return (
        math.floor(low[0]) - margin,
        math.floor(low[1]) - margin,
        math.ceil(high[0]) + margin + 1,
        math.ceil(high[1]) + margin + 1,
    )


def fineness(extent: float) -> int:
    """How many canvas pixels one picture pixel is worth, for a thing ``extent`` pixels high."""
    if extent < 32:
        return 4
    return 3 if extent < 90 else 2


def draw(
    patches: Sequence[Patch],
    picture: tuple[int, int],
    *,
    grey: bool = False,
    blur: float = 0.55,
    texture: NDArray[np.float32] | None = None,
) -> Sprite | None:
    """Draw patches in their order, the last on top.

    Args:
        patches: what to draw; see :class:`Patch`.
        picture: ``(width, height)`` of the picture the sprite is cut to.
        grey: draw luma alone (C = 1) in place of blue, green and red (C = 3).
        blur: the lens, as the standard deviation of a Gaussian in pixels; 0 for none.
        texture: ``(H, W)`` factors around 1, stretched over the bounds of the patches.

    Returns:
        The sprite, or None when nothing of it lies in the picture.
    """
    if not patches:
        return None
    left, top, right, bottom = bounds(patches, margin=2)
    shown = (max(left, 0), max(top, 0), min(right, picture[0]), min(bottom, picture[1]))
    if shown[0] >= shown[2] or shown[1] >= shown[3]:
        return None
    fine = fineness(bottom - top)
    size = (shown[2] - shown[0], shown[3] - shown[1])
    canvas = np.zeros((size[1] * fine, size[0] * fine, 2 if grey else 4), dtype=np.uint8)
    # The canvas's pixel centres lie (fine - 1) / 2 into the picture pixel they share.
    offset = np.array([shown[0], shown[1]], dtype=np.float64) - (0.5 - 0.5 / fine)
    for patch in patches:
        corners = np.rint((patch.points - offset) * (fine * _FINE)).astype(np.int32)
        ink = (luma(patch.colour), 255.0) if grey else (*patch.colour, 255.0)
        if patch.stroke:
            width = max(1, round(patch.stroke * fine))
            cv2.polylines(canvas, [corners], True, ink, width, cv2.LINE_8, _SHIFT)  # noqa: FBT003 (its own signature)
        else:
            cv2.fillConvexPoly(canvas, corners, ink, cv2.LINE_8, _SHIFT)
    small = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    pixels = np.asarray(small, dtype=np.float32)
    if blur:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (3, 3), blur), dtype=np.float32)
    if texture is not None:
        pixels[..., :-1] *= _cut(texture, (left, top, right, bottom), shown)[..., None]
    pixels[..., -1] *= 1 / 255
    return Sprite(shown[0], shown[1], pixels)


def _cut(
    texture: NDArray[np.float32], whole: tuple[int, int, int, int], shown: tuple[int, int, int, int]
) -> NDArray[np.float32]:
    """Stretch a texture over ``whole`` and keep what lies in ``shown``; both are left, top, right, bottom."""
    stretched = cv2.resize(texture, (whole[2] - whole[0], whole[3] - whole[1]), interpolation=cv2.INTER_LINEAR)
    rows = slice(shown[1] - whole[1], shown[3] - whole[1])
    columns = slice(shown[0] - whole[0], shown[2] - whole[0])
    return np.asarray(stretched[rows, columns], dtype=np.float32)


def blend(picture: Pixels, sprite: Sprite, light: float = 1.0, hidden: Pixels | None = None) -> Pixels:
    """Lay a sprite over a picture, in place.

    Args:
        picture: ``(H, W, C)`` float32 grey levels, C = 1 or 3.
        sprite: what to lay over it, of the same C.
        light: factor on the sprite's colours.
        hidden: share of every sprite pixel that something nearer hides, 0 to 1, of the sprite's size.

    Returns:
        The coverage that remains visible, ``(H, W)`` of the sprite, 0 to 1.
    """
    colour, coverage = sprite.pixels[..., :-1], sprite.pixels[..., -1]
    if hidden is not None:
        shown = 1.0 - hidden
        coverage = coverage * shown
        colour = colour * shown[..., None]
    view = picture[sprite.region]
    view *= 1.0 - coverage[..., None]
    view += colour * np.float32(light)
    return coverage


def capsules(start: NDArray[np.float64], end: NDArray[np.float64], radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outlines of round-ended bars, many at a time.

    Args:
        start: ``(..., 2)`` centres of the first ends in pixels.
        end: ``(..., 2)`` centres of the other ends.
        radii: ``(..., 2)`` radii at the start and at the end in pixels.

    Returns:
        ``(..., 12, 2)`` corners of convex polygons.
    """
    axis = end - start
    angle = np.arctan2(axis[..., 1], axis[..., 0])[..., None]
    fan = np.linspace(-np.pi / 2, np.pi / 2, 6)
    at_end, at_start = angle + fan, angle + np.pi + fan
    first = end[..., None, :] + radii[..., 1, None, None] * np.stack([np.cos(at_end), np.sin(at_end)], axis=-1)
    last = start[..., None, :] + radii[..., 0, None, None] * np.stack([np.cos(at_start), np.sin(at_start)], axis=-1)
    return np.concatenate([first, last], axis=-2)


def hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convex hull ``(M, 2)`` of points ``(K, 2)``."""
    return np.asarray(cv2.convexHull(points.astype(np.float32)), dtype=np.float64).reshape(-1, 2)

"""Siting: where things go so that the camera sees them, and the pieces several places share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from samples.layouts import Layout, Tree, Wall, colour_near
from samples.props import Solid, parked_car

if TYPE_CHECKING:
    from samples.camera import Array, Camera

Rng = np.random.Generator
Size = tuple[int, int]

GRASS: Final = (52.0, 104.0, 86.0)
TARMAC: Final = (92.0, 92.0, 92.0)
PAVING: Final = (148.0, 154.0, 160.0)
WALL: Final = (132.0, 148.0, 164.0)
_CAR_PAINTS: Final = (
    (44.0, 42.0, 42.0),
    (84.0, 82.0, 80.0),
    (128.0, 126.0, 124.0),
    (176.0, 178.0, 178.0),
    (206.0, 208.0, 208.0),
    (116.0, 74.0, 52.0),
    (52.0, 46.0, 138.0),
)


def far_row(camera: Camera, share: float, limit: float = 70.0) -> float:
    """Distance seen in the row at this share of the picture's height, at most ``limit`` metres."""
    return min(limit, camera.ground_row(share * camera.height))


@dataclass(frozen=True, slots=True)
class Axes:
    """A way of measuring along a street: from a point straight ahead of the camera, along it and to the left of it.

    Attributes:
        ahead: distance of the origin from the camera's foot, metres.
        angle: of the street against the picture's horizontal, radians.
    """

    ahead: float
    angle: float

    def point(self, along: float, left: float = 0.0) -> Array:
        """Ground point ``(2,)`` in metres."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.array([along * cos - left * sin, self.ahead + along * sin + left * cos])

    def line(self, left: float, start: float = -70.0, end: float = 70.0) -> Array:
        """A straight line ``(9, 2)`` parallel to the street."""
        return np.array([self.point(float(along), left) for along in np.linspace(start, end, 9)])

    def stroke(self, along: float, left: float, length: float) -> Array:
        """A piece ``(2, 2)`` across the street, around a point."""
        return np.array([self.point(along, left - length / 2), self.point(along, left + length / 2)])


def trim(camera: Camera, line: Array, beyond: float = 3.0) -> Array:
    """The part of a line within ``beyond`` metres of what the camera sees, finely sampled."""
    share = np.linspace(0, 1, 400)[:, None]
    places = np.linspace(0, 1, len(line))
    fine = np.stack([np.interp(share[:, 0], places, line[:, axis]) for axis in (0, 1)], axis=1)
    width = np.array([camera.half_width(max(0.0, float(y))) for y in fine[:, 1]])
    near = camera.ground_row(float(camera.height))
    kept = fine[(np.abs(fine[:, 0]) < width + beyond) & (fine[:, 1] > near - 2.0)]
    return kept if len(kept) >= 2 else fine


def crosses_view(camera: Camera, start: tuple[float, float], end: tuple[float, float]) -> bool:
    """Whether most of the straight way between two ground points lies in the picture."""
    line = np.linspace(start, end, 21)
    pixels = camera.project(np.concatenate([line, np.full((21, 1), 0.9)], axis=1))
    inside = (pixels[:, 0] > 0) & (pixels[:, 0] < camera.width) & (pixels[:, 1] < camera.height)
    return bool(inside.mean() > 0.5)


def below(camera: Camera) -> float:
    """A distance so near that whoever stands there is not in the picture, not even with the head."""
    return camera.ground_row(camera.height - 1.0) * (1 - 2.0 / camera.altitude) - 0.6


def skyline(layout: Layout, rng: Rng, y: float, angle: float = 0.0) -> None:
    """Buildings side by side along a line, leaving no gap the horizon could be seen through."""
    x, reach = -layout.camera.half_width(y) * 1.5 - 6, layout.camera.half_width(y) * 1.5 + 6
    ahead = np.array([math.cos(angle), math.sin(angle)])
    while x < reach:
        length = rng.uniform(9, 22)
        ends = np.array([0.0, y + rng.uniform(0, 1.2)]) + np.array([[x], [x + length]]) * ahead
        layout.props.append(Wall(ends, rng.uniform(9, 17), colour_near(rng, WALL, 0.25)))
        x += length


def plant(layout: Layout, rng: Rng, x: float, y: float, scale: float = 1.0) -> None:
    """Put a tree at (x, y) and keep people clear of its trunk."""
    height = rng.uniform(4.5, 7.5) * scale
    layout.props.append(Tree(x, y, height, height * rng.uniform(0.26, 0.34)))
    layout.obstacles.append((x, y, 0.5))


def car(rng: Rng, x: float, y: float, heading: float, size: float = 1.0) -> tuple[Solid, ...]:
    """A parked car of an ordinary colour."""
    paint = colour_near(rng, _CAR_PAINTS[int(rng.integers(len(_CAR_PAINTS)))])
    return tuple(parked_car(x, y, heading, paint, size))

"""The fixed camera: an ideal pinhole above the ground, looking down at an angle.

World coordinates are metres: x to the camera's right, y away from it along the ground, z up, the camera above the
origin. Pictures are (u, v) pixels, u to the right and v down, whole numbers at pixel centres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_NEAREST = 0.2
"""Metres: whatever lies nearer, or behind the camera, is projected as if it were this far away."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera.

    Attributes:
        width, height: picture in pixels.
        focal: focal length in pixels.
        altitude: metres above the ground.
        pitch: radians below the horizon.
    """

    width: int
    height: int
    focal: float
    altitude: float
    pitch: float

    def project(self, points: ArrayLike) -> Array:
        """World points ``(..., 3)`` in metres to ``(..., 3)``: u and v in pixels and the depth in metres."""
        world = np.asarray(points, dtype=np.float64)
        sin, cos = math.sin(self.pitch), math.cos(self.pitch)
        x, y, z = world[..., 0], world[..., 1], world[..., 2] - self.altitude
        depth = np.maximum(y * cos - z * sin, _NEAREST)
        out = np.empty(world.shape, dtype=np.float64)
        out[..., 0] = (self.width - 1) / 2 + self.focal * x / depth
        out[..., 1] = (self.height - 1) / 2 - self.focal * (y * sin + z * cos) / depth
        out[..., 2] = depth
        return out

    def depth(self, x: float, y: float, z: float = 0.0) -> float:
        """Depth of a world point in metres, along the optical axis."""
        del x
        return y * math.cos(self.pitch) - (z - self.altitude) * math.sin(self.pitch)

    def ground(self, u: ArrayLike, v: ArrayLike) -> tuple[Array, Array]:
        """Where pixels see the ground: x and y in metres; infinite where they look above the horizon."""
        across = (np.asarray(u, dtype=np.float64) - (self.width - 1) / 2) / self.focal
        down = (np.asarray(v, dtype=np.float64) - (self.height - 1) / 2) / self.focal
        sin, cos = math.sin(self.pitch), math.cos(self.pitch)
        fall = sin + down * cos
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.where(fall > 1e-6, self.altitude / np.maximum(fall, 1e-6), np.inf)
            x = np.where(np.isfinite(far), across * far, np.inf)
            y = np.where(np.isfinite(far), (cos - down * sin) * far, np.inf)
        return x, y

    def ground_row(self, v: float) -> float:
        """Distance y in metres at which the picture's middle column sees the ground in row ``v`` (pixels)."""
        return float(self.ground((self.width - 1) / 2, v)[1])

    def half_width(self, y: float) -> float:
        """Metres of ground from the middle of the picture to its edge, at distance ``y``."""
        return self.width / 2 / self.focal * self.depth(0.0, y)

    def person_height(self, y: float, metres: float = 1.75) -> float:
        """Height in pixels of somebody who stands at distance ``y``."""
        both = self.project([[0.0, y, 0.0], [0.0, y, metres]])
        return float(both[0, 1] - both[1, 1])


def clip_to_front(camera: Camera, polygon: ArrayLike, nearest: float = 0.5) -> Array:
    """The part of a world polygon ``(K, 3)`` that lies in front of the camera, ``(M, 3)``; empty when none does."""
    points = np.asarray(polygon, dtype=np.float64)
    sin, cos = math.sin(camera.pitch), math.cos(camera.pitch)
    depth = points[:, 1] * cos - (points[:, 2] - camera.altitude) * sin - nearest
    kept: list[Array] = []
    for index in range(len(points)):
        here, before = depth[index], depth[index - 1]
        if (here > 0) != (before > 0):
            share = before / (before - here)
            kept.append(points[index - 1] + share * (points[index] - points[index - 1]))
        if here > 0:
            kept.append(points[index])
    return np.array(kept).reshape(-1, 3)

"""What stands about: buildings, trees, lamps, benches, parked cars, pillars. Drawn once; people pass behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from samples.drawing import Colour, Patch, Pixels, Sprite, capsules, draw, hull
from samples.noise import Field, fractal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from samples.camera import Array, Camera


@dataclass(frozen=True, slots=True)
class Sun:
    """Where the light comes from.

    Attributes:
        azimuth: direction towards which shadows fall, radians from the x axis.
        elevation: of the sun above the horizon, radians.
        strength: how dark a shadow is, 0 to 1.
        softness: standard deviation of a shadow's edge in pixels of a picture 360 high.
    """

    azimuth: float
    elevation: float
    strength: float
    softness: float

    def cast(self, points: Array) -> Array:
        """Where the shadows of world points ``(..., 3)`` fall on the ground: ``(..., 3)`` with z = 0."""
        reach = points[..., 2] / math.tan(self.elevation)
        out = points.copy()
        out[..., 0] += reach * math.cos(self.azimuth)
        out[..., 1] += reach * math.sin(self.azimuth)
        out[..., 2] = 0.0
        return out

    def shade(self, normal: Array) -> float:
        """Brightness of a surface with this normal ``(3,)``, about 0.6 to 1."""
        level = math.cos(self.elevation)
        to_sun = np.array([-math.cos(self.azimuth) * level, -math.sin(self.azimuth) * level, math.sin(self.elevation)])
        return 0.62 + 0.40 * self.strength * 2 * max(0.0, float(normal @ to_sun)) + 0.1 * float(normal[2])


@dataclass(frozen=True, slots=True)
class Solid:
    """A convex prism: a side view, extruded across.

    Attributes:
        x, y: of its origin on the ground, metres.
        heading: radians; the side view's first axis points along it.
        profile: ``(K, 2)`` convex corners of the side view: metres along the heading and up.
        width: metres across.
        colour: blue, green, red.
        across: how far its middle lies to the left of the origin, metres.
    """

    x: float
    y: float
    heading: float
    profile: Array
    width: float
    colour: Colour
    across: float = 0.0

    def corners(self) -> Array:
        """World corners ``(2, K, 3)``, right side first."""
        along, up = self.profile[:, 0], self.profile[:, 1]
        sides = []
        for left in (self.across - self.width / 2, self.across + self.width / 2):
            x = self.x + along * math.cos(self.heading) - left * math.sin(self.heading)
            y = self.y + along * math.sin(self.heading) + left * math.cos(self.heading)
            sides.append(np.stack([x, y, up], axis=1))
        return np.stack(sides)


def solid_patches(camera: Camera, sun: Sun, solid: Solid) -> list[Patch]:
    """The faces of a prism that look at the camera, shaded by their slope."""
    corners = solid.corners()
    centre = corners.reshape(-1, 3).mean(axis=0)
    count = corners.shape[1]
    faces = [corners[0], corners[1]]
    faces += [
        np.stack([corners[0, i], corners[0, (i + 1) % count], corners[1, (i + 1) % count], corners[1, i]])
        for i in range(count)
    ]
    eye = np.array([0.0, 0.0, camera.altitude])
    patches = []
    for face in faces:
        normal = np.cross(face[1] - face[0], face[2] - face[1])
        length = float(np.linalg.norm(normal))
        if length < 1e-9:
            continue
        normal = normal / length
        if normal @ (face.mean(axis=0) - centre) < 0:
            normal = -normal
        if normal @ (eye - face.mean(axis=0)) <= 0:
            continue
        light = min(1.25, sun.shade(normal))
        blue, green, red = solid.colour
        patches.append(Patch(camera.project(face)[:, :2], (blue * light, green * light, red * light)))
    return patches


def shadow_patches(camera: Camera, sun: Sun, solids: Sequence[Solid]) -> list[Patch]:
    """Shadows on the ground, as patches of coverage (white)."""
    return [
        Patch(hull(camera.project(sun.cast(solid.corners().reshape(-1, 3)))[:, :2]), (255, 255, 255))
        for solid in solids
    ]


def box(x: float, y: float, heading: float, size: tuple[float, float, float], colour: Colour, lift: float = 0) -> Solid:
    """A box of ``size`` (along, across, up) metres, ``lift`` metres above the ground."""
    along, across, up = size
    profile = np.array([[-along / 2, lift], [along / 2, lift], [along / 2, lift + up], [-along / 2, lift + up]])
    return Solid(x, y, heading, profile, across, colour)


def bench(x: float, y: float, heading: float, colour: Colour) -> list[Solid]:
    """A bench with a back."""
    dark: Colour = (45, 45, 48)
    legs = [
        box(x + side * math.cos(heading), y + side * math.sin(heading), heading, (0.08, 0.45, 0.42), dark)
        for side in (-0.7, 0.7)
    ]
    back = np.array([[-0.9, 0.55], [0.9, 0.55], [0.9, 0.9], [-0.9, 0.9]])
    return [
        *legs,
        box(x, y, heading, (1.8, 0.5, 0.06), colour, lift=0.42),
        Solid(x, y, heading, back, 0.05, colour, across=0.25),
    ]


def parked_car(x: float, y: float, heading: float, colour: Colour, size: float = 1.0) -> list[Solid]:
    """A parked car: wheels, body, cabin of dark glass and a roof."""
    rubber: Colour = (28, 28, 30)
    body = np.array([[-2.1, 0.3], [2.1, 0.3], [2.15, 0.62], [1.9, 0.82], [-2.0, 0.95], [-2.15, 0.7]]) * size
    cabin = np.array([[-1.85, 0.9], [1.0, 0.84], [0.25, 1.36], [-1.3, 1.38]]) * size
    roof = np.array([[-1.3, 1.36], [0.25, 1.34], [0.15, 1.45], [-1.2, 1.46]]) * size
    glass: Colour = (52, 48, 44)
    turn = np.linspace(0, 2 * math.pi, 10, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1) * 0.32 * size
    wheels = [
        Solid(x, y, heading, circle + np.array([along, 0.32]) * size, 1.72 * size, rubber) for along in (-1.3, 1.3)
    ]
    return [
        *wheels,
        Solid(x, y, heading, body, 1.75 * size, colour),
        Solid(x, y, heading, cabin, 1.5 * size, glass),
        Solid(x, y, heading, roof, 1.42 * size, colour),
    ]


def post_patches(
    camera: Camera, base: tuple[float, float], height: float, radius: float, colour: Colour
) -> list[Patch]:
    """A round post or pillar: a bar with a lighter streak down one side."""
    ends = camera.project([[*base, 0.0], [*base, height]])
    pixels = camera.focal * radius / ends[:, 2]
    foot, head = ends[0, :2], ends[1, :2]
    aside, down = np.array([1.0, 0.0]), np.array([0.0, 0.25])
    corners = np.array(
        [
            foot - aside * pixels[0],
            foot + down * pixels[0],
            foot + aside * pixels[0],
            head + aside * pixels[1],
            head - aside * pixels[1],
        ]
    )
    streak = np.array([foot - aside * pixels[0] * 0.5, foot, head, head - aside * pixels[1] * 0.5])
    blue, green, red = colour
    return [Patch(corners, colour), Patch(streak, (blue * 1.18, green * 1.18, red * 1.18))]


def lamp_patches(camera: Camera, x: float, y: float, height: float) -> list[Patch]:
    """A street lamp."""
    arm = camera.project([[x, y, height], [x + 0.9, y, height + 0.15]])
    radii = camera.focal * np.array([0.05, 0.12]) / arm[:, 2]
    return [
        *post_patches(camera, (x, y), height, 0.07, (62, 66, 64)),
        Patch(capsules(arm[0, :2], arm[1, :2], radii), (70, 74, 72)),
    ]


def facade(
    camera: Camera, ends: Array, height: float, colour: Colour, rng: np.random.Generator, *, indoors: bool = False
) -> Pixels:
    """A wall with windows and doors, drawn in perspective.

    Args:
        camera: see :class:`~samples.camera.Camera`.
        ends: ``(2, 2)`` the wall's foot from end to end, metres.
        height: metres.
        colour: of the wall.
        rng: decides windows and wear.
        indoors: a plain wall with a dark base and doors, no windows.

    Returns:
        ``(H, W, 4)`` float32: colours multiplied by the coverage, and the coverage 0 to 1.
    """
    length = float(np.linalg.norm(ends[1] - ends[0]))
    per_metre = max(8.0, min(24.0, 1.6 * camera.focal / max(camera.depth(0.0, float(ends[:, 1].min())), 1.0)))
    columns, rows = min(3000, max(16, int(length * per_metre))), max(16, int(height * per_metre))
    wear = fractal(rng, 256, 256, 1.2)
    grain = np.tile(wear, (rows // 256 + 1, columns // 256 + 1))[:rows, :columns]
    wall = np.array(colour, dtype=np.float32) * (1 + 0.025 * grain[..., None])
    storey, bay = rng.uniform(2.9, 3.6), rng.uniform(2.2, 3.6)
    pane: Colour = tuple(float(v) for v in rng.uniform(35, 75) + np.array([12.0, 4.0, 0.0]))  # type: ignore[assignment]

    def put(x0: float, x1: float, low: float, high: float, ink: Colour) -> None:
        corner = (round(x0 * per_metre), round(rows - high * per_metre))
        cv2.rectangle(wall, corner, (round(x1 * per_metre), round(rows - low * per_metre)), ink, -1)

    if indoors:
        put(0, length, 0, 0.15, (60, 62, 66))
        put(0, length, 1.0, 1.08, (colour[0] * 0.8, colour[1] * 0.8, colour[2] * 0.8))
    else:
        put(0, length, 0, 0.5, (colour[0] * 0.7, colour[1] * 0.7, colour[2] * 0.7))
    for floor in range(max(1, int(height / storey))):
        for number in range(max(1, int(length / bay))):
            x0 = number * bay + 0.28 * bay
            door = floor == 0 and rng.random() < (0.3 if indoors else 0.15)
            if door:
                put(x0, x0 + 1.5, 0, 2.3, (38, 40, 46))
                put(x0 + 0.7, x0 + 0.8, 0, 2.3, (70, 72, 78))
            elif not indoors:
                low = floor * storey + 1.0
                lit = rng.uniform(0.7, 1.5)
                put(x0 - 0.08, x0 + 0.52 * bay, low - 0.1, low + 1.5, (150, 152, 150))
                put(x0, x0 + 0.46 * bay, low, low + 1.4, (pane[0] * lit, pane[1] * lit, pane[2] * lit))
    corners = np.array([[*ends[0], height], [*ends[1], height], [*ends[1], 0.0], [*ends[0], 0.0]])
    target = camera.project(corners)[:, :2].astype(np.float32)
    source = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], dtype=np.float32)
    layer = np.concatenate([wall, np.ones((rows, columns, 1), dtype=np.float32)], axis=2)
    warp = cv2.getPerspectiveTransform(source, target)
    return np.asarray(
        cv2.warpPerspective(layer, warp, (camera.width, camera.height), flags=cv2.INTER_LINEAR), dtype=np.float32
    )


def crown(rng: np.random.Generator, radius: int, *, grey: bool) -> Pixels:
    """Leaves of a tree: ``(2 r, 2 r, C + 1)`` float32, colours multiplied by the coverage, ragged at the edge."""
    side = 2 * radius
    down, across = (np.mgrid[0:side, 0:side] - (radius - 0.5)) / radius
    lumps = np.full((side, side), -1.0)
    for _ in range(9):
        angle, reach = rng.uniform(0, 2 * math.pi), rng.uniform(0.1, 0.5)
        size = rng.uniform(0.32, 0.5)
        away = np.hypot(across - reach * math.cos(angle), (down - reach * math.sin(angle)) * 1.1)
        lumps = np.maximum(lumps, 1 - away / size)
    leaves: Field = fractal(rng, side, side, 0.9)
    body = np.clip((lumps + 0.16 * leaves - 0.05) * radius / 3.0, 0, 1).astype(np.float32)
    coverage = np.asarray(cv2.GaussianBlur(body, (3, 3), 0.6), dtype=np.float32)
    light = 0.72 - 0.28 * down - 0.12 * across + 0.30 * np.clip(lumps, 0, 1) + 0.22 * leaves
    green = np.array([38.0, 78.0, 62.0]) * rng.uniform(0.7, 1.15) * rng.uniform(0.9, 1.1, 3)
    colour = np.clip(light, 0.25, 1.7)[..., None] * green
    if grey:
        colour = colour @ np.array([0.114, 0.587, 0.299])[:, None]
    return np.concatenate([colour * coverage[..., None], coverage[..., None]], axis=2).astype(np.float32)


def grained(patches: Sequence[Patch], camera: Camera, rng: np.random.Generator, *, grey: bool) -> Sprite | None:
    """Draw a standing object with a little dirt on it."""
    texture = 1 + np.float32(0.06) * fractal(rng, 48, 48, 1.0)
    return draw(patches, (camera.width, camera.height), grey=grey, texture=texture.astype(np.float32))

"""The empty place as a picture, and what of it hides people who pass behind."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from samples.drawing import Patch, Pixels, Sprite, blend, draw
from samples.ground import paint_ground
from samples.layouts import Furniture, Layout, Post, Prop, Tree, Wall
from samples.noise import Field, fractal
from samples.props import crown, facade, grained, lamp_patches, post_patches, shadow_patches, solid_patches

if TYPE_CHECKING:
    from samples.camera import Array


@dataclass(frozen=True, slots=True)
class Occluder:
    """Something that hides what is behind it.

    Attributes:
        left, top: of its coverage in the picture.
        coverage: ``(H, W)`` float32, 0 to 1.
        depth: metres along the optical axis; things farther away are behind it.
        foot: for a wall, ``(2, 2)`` metres: its ends; things on the far side are behind it.
    """

    left: int
    top: int
    coverage: Field
    depth: float
    foot: Array | None = None

    def hides(self, x: float, y: float, depth: float) -> bool:
        """Whether a thing that stands at (x, y) metres, at this depth, is behind it."""
        if self.foot is None:
            return depth > self.depth
        (x0, y0), (x1, y1) = self.foot
        side = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
        mine = (x1 - x0) * (0.0 - y0) - (y1 - y0) * (0.0 - x0)
        return bool(side * mine < 0)


@dataclass(frozen=True, slots=True)
class Crown:
    """A tree's leaves, which sway.

    Attributes:
        left, top: of its upper left pixel in the picture; may lie outside of it.
        leaves: ``(H, W, C + 1)``, colours multiplied by the coverage, and the coverage.
        bend: ``(2, H, W)`` how far each leaf goes along u and v at full sway, pixels.
        rate: sways per second.
        depth: metres along the optical axis.
    """

    left: int
    top: int
    leaves: Pixels
    bend: Field
    rate: float
    depth: float

    def at(self, time: float, picture: tuple[int, int]) -> Sprite | None:
        """The leaves at a time in seconds, cut to the picture."""
        swing = 2 * math.pi * self.rate * time
        slow = math.sin(swing) + 0.5 * math.sin(0.37 * swing + 1.0)
        fast = math.sin(2.3 * swing + 0.4)
        height, width = self.leaves.shape[:2]
        x = np.arange(width, dtype=np.float32)[None, :] + self.bend[0] * np.float32(slow)
        y = np.arange(height, dtype=np.float32)[:, None] + self.bend[1] * np.float32(fast)
        moved = cv2.remap(self.leaves, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        low_u, low_v = max(0, -self.left), max(0, -self.top)
        high_u, high_v = min(width, picture[0] - self.left), min(height, picture[1] - self.top)
        if low_u >= high_u or low_v >= high_v:
            return None
        part = np.asarray(moved[low_v:high_v, low_u:high_u], dtype=np.float32)
        return Sprite(self.left + low_u, self.top + low_v, part)


@dataclass(frozen=True, slots=True)
class Backdrop:
    """The empty place.

    Attributes:
        picture: ``(H, W, C)`` float32 grey levels, without the leaves.
        occluders: what hides people, leaves apart.
        crowns: the leaves.
    """

    picture: Pixels
    occluders: tuple[Occluder, ...]
    crowns: tuple[Crown, ...]


def _depth(layout: Layout, prop: Prop) -> float:
    if isinstance(prop, Wall):
        return layout.camera.depth(0.0, float(prop.ends[:, 1].mean()))
    return layout.camera.depth(prop.x, prop.y)


def _shadows(layout: Layout) -> Field:
    """Shadows of what stands about, ``(H, W)``, 0 to 1."""
    camera, sun = layout.camera, layout.sun
    mask = np.zeros((camera.height, camera.width), dtype=np.float32)
    patches: list[Patch] = []
    for prop in layout.props:
        if isinstance(prop, Furniture):
            patches += shadow_patches(camera, sun, prop.solids)
        elif isinstance(prop, (Post, Tree)):
            radius = prop.radius if isinstance(prop, Post) else 0.15
            line = np.array([[prop.x, prop.y, 0.0], [prop.x, prop.y, prop.height * 0.9]])
            foot, head = camera.project(sun.cast(line))
            aside = np.array([0.0, 1.0]) if abs(head[0] - foot[0]) > abs(head[1] - foot[1]) else np.array([1.0, 0.0])
            wide = np.stack([aside * camera.focal * radius / foot[2], aside * camera.focal * radius / head[2]])
            patches.append(
                Patch(
                    np.stack([foot[:2] - wide[0], head[:2] - wide[1], head[:2] + wide[1], foot[:2] + wide[0]]),
                    (255,) * 3,
                )
            )
        if isinstance(prop, Tree):
            turn = np.linspace(0, 2 * math.pi, 18, endpoint=False)
            ball = np.stack(
                [
                    prop.x + prop.radius * np.cos(turn),
                    prop.y + prop.radius * np.sin(turn),
                    np.full(18, prop.height * 0.68),
                ],
                axis=1,
            )
            patches.append(Patch(camera.project(sun.cast(ball))[:, :2], (255, 255, 255)))
    for patch in patches:
        sprite = draw([patch], (camera.width, camera.height), grey=True)
        if sprite is not None:
            view = mask[sprite.region]
            np.maximum(view, sprite.coverage, out=view)
    spread = sun.softness * camera.height / 360 * 1.6
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.4, spread)), dtype=np.float32)


def _crown(layout: Layout, tree: Tree, rng: np.random.Generator, *, grey: bool) -> Crown:
    camera = layout.camera
    centre = camera.project([tree.x, tree.y, tree.height - tree.radius])
    radius = min(round(camera.focal * tree.radius / centre[2] * 1.05), 3 * camera.height)
    radius = max(radius, 3)
    leaves = crown(rng, radius, grey=grey)
    side = 2 * radius
    strength = 0.012 * radius * rng.uniform(0.5, 1.0)
    waves = np.stack([fractal(rng, side, side, 2.2), 0.4 * fractal(rng, side, side, 2.2)])
    bend = (strength * (0.5 + 0.35 * waves)).astype(np.float32)
    return Crown(
        round(centre[0]) - radius, round(centre[1]) - radius, leaves, bend, rng.uniform(0.15, 0.35), float(centre[2])
    )


def build_backdrop(layout: Layout, rng: np.random.Generator, *, grey: bool) -> Backdrop:
    """Paint the place without people.

    Args:
        layout: the place.
        rng: decides textures.
        grey: one plane of luma (C = 1) in place of blue, green, red (C = 3).
    """
    camera = layout.camera
    picture = paint_ground(camera, layout.base, layout.zones, rng)
    picture *= (1 - np.float32(layout.sun.strength) * _shadows(layout))[..., None]
    if layout.name == "hall":
        fade = np.linspace(1.12, 0.96, camera.height, dtype=np.float32)[:, None, None]
        picture *= fade
    horizon = camera.altitude / 400.0
    row = int((camera.height - 1) / 2 - camera.focal * math.tan(camera.pitch - math.atan(horizon)))
    if row > 0:
        clouds = cv2.resize(fractal(rng, 32, 64, 1.8), (camera.width, min(row, camera.height)))
        sky = np.array(layout.sky, dtype=np.float32) * (1 + np.float32(0.04) * np.asarray(clouds)[..., None])
        picture[:row] = sky[:row]
    occluders: list[Occluder] = []
    crowns: list[Crown] = []
    for prop in sorted(layout.props, key=lambda prop: -_depth(layout, prop)):
        depth = _depth(layout, prop)
        if isinstance(prop, Wall):
            layer = facade(camera, prop.ends, prop.height, prop.colour, rng, indoors=prop.indoors)
            sprite: Sprite | None = Sprite(0, 0, layer)
        elif isinstance(prop, Furniture):
            parts = sorted(prop.solids, key=lambda solid: solid.profile[:, 1].mean())
            patches = [patch for solid in parts for patch in solid_patches(camera, layout.sun, solid)]
            sprite = grained(patches, camera, rng, grey=False)
        elif isinstance(prop, Post):
            patches = (
                lamp_patches(camera, prop.x, prop.y, prop.height)
                if prop.lamp
                else post_patches(camera, (prop.x, prop.y), prop.height, prop.radius, prop.colour)
            )
            sprite = grained(patches, camera, rng, grey=False)
        else:
            trunk = post_patches(camera, (prop.x, prop.y), prop.height * 0.75, 0.13, (48, 60, 74))
            sprite = grained(trunk, camera, rng, grey=False)
            crowns.append(_crown(layout, prop, rng, grey=grey))
        if sprite is not None:
            blend(picture, sprite)
            foot = prop.ends if isinstance(prop, Wall) else None
            occluders.append(Occluder(sprite.left, sprite.top, sprite.coverage.copy(), depth, foot))
    picture = np.asarray(cv2.GaussianBlur(picture, (3, 3), 0.5), dtype=np.float32)
    np.clip(picture, 0, 250, out=picture)
    if grey:
        picture = np.asarray(picture @ np.array([0.114, 0.587, 0.299], dtype=np.float32)[:, None], dtype=np.float32)
    return Backdrop(picture, tuple(occluders), tuple(crowns))

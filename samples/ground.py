"""The ground: what each pixel of it is made of, painted once per scene at twice the picture's resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import cv2
import numpy as np

from samples.camera import Array, Camera, clip_to_front
from samples.noise import Field, Octaves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from samples.drawing import Colour, Pixels

Stuff = Literal["grass", "tarmac", "paving", "brick", "concrete", "gravel", "floor", "carpet", "paint", "soil"]

_FINE = 2
_FARTHEST = 400.0


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the ground.

    Attributes:
        polygon: ``(K, 2)`` corners in metres, convex or not.
        stuff: what it is made of.
        colour: its mean colour, blue, green, red, 0 to 255.
        tile: side of its tiles in metres, where it has tiles.
        turn: radians by which the tiles are turned.
        strength: how much of what lies below it covers, 0 to 1 (worn paint).
    """

    polygon: Array
    stuff: Stuff
    colour: Colour
    tile: float = 0.6
    turn: float = 0.0
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class _Spot:
    """The ground as the pixels see it: metres, and metres per pixel along the view."""

    x: Field
    y: Field
    footprint: Field
    octaves: Octaves


def strip(line: Array, width: float, left: float = 0.0) -> Array:
    """Polygon of a band along a line.

    Args:
        line: ``(K, 2)`` metres.
        width: of the band in metres.
        left: how far the middle of the band lies to the left of the line, in metres.
    """
    ahead = np.gradient(line, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    side = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    return np.concatenate([line + side * (left + width / 2), (line + side * (left - width / 2))[::-1]])


def _joints(spot: _Spot, tile: float, turn: float, *, shifted: bool) -> tuple[Field, Field]:
    """Grey of the joints (0 in a joint, 1 elsewhere, softened by distance) and a value per tile (0 to 1)."""
    along = spot.x * math.cos(turn) + spot.y * math.sin(turn)
    across = spot.y * math.cos(turn) - spot.x * math.sin(turn)
    row = np.floor(across / tile)
    if shifted:
        along = along + 0.5 * tile * (row % 2)
    column = np.floor(along / tile)
    to_joint = np.minimum(
        np.minimum(along / tile - column, 1 - (along / tile - column)),
        np.minimum(across / tile - row, 1 - (across / tile - row)),
    )
    soft = np.maximum(spot.footprint, 0.012)
    open_share = np.clip(to_joint * tile / soft, 0.0, 1.0)
    fade = np.clip(tile / (2.5 * soft) - 0.4, 0.0, 1.0)
    value = np.sin(row * 127.1 + column * 311.7) * 43758.5453
    value = value - np.floor(value)
    return (1 - (1 - open_share) * fade).astype(np.float32), ((value - 0.5) * fade + 0.5).astype(np.float32)


def _grass(spot: _Spot, zone: Zone) -> Pixels:
    coarse = spot.octaves.sample(spot.x, spot.y, spot.footprint, (9.0, 3.5, 1.4))
    fine = spot.octaves.sample(spot.x, spot.y, spot.footprint, (0.5, 0.2, 0.09))
    grey = 1 + 0.07 * coarse + 0.10 * fine
    dry = np.clip(0.5 + 0.35 * coarse, 0, 1)[..., None] * np.array([0.06, 0.02, 0.16], dtype=np.float32)
    return np.asarray(np.array(zone.colour, dtype=np.float32) * (grey[..., None] + dry), dtype=np.float32)


def _speckled(spot: _Spot, zone: Zone, coarse: float, fine: float) -> Pixels:
    low = spot.octaves.sample(spot.x, spot.y, spot.footprint, (14.0, 6.0, 2.2))
    high = spot.octaves.sample(spot.x, spot.y, spot.footprint, (0.6, 0.22, 0.1))
    grey = 1 + coarse * low + fine * high
    return np.asarray(np.array(zone.colour, dtype=np.float32) * grey[..., None], dtype=np.float32)


def _tiled(spot: _Spot, zone: Zone, *, shifted: bool, contrast: float, joint: float, stains: float = 0.035) -> Pixels:
    open_share, value = _joints(spot, zone.tile, zone.turn, shifted=shifted)
    ground = _speckled(spot, zone, stains, 0.7 * stains)
    grey = (1 - joint * (1 - open_share)) * (1 + contrast * (value - 0.5))
    return np.asarray(ground * grey[..., None], dtype=np.float32)


_PAINTERS: Final[dict[Stuff, Callable[[_Spot, Zone], Pixels]]] = {
    "grass": _grass,
    "soil": lambda spot, zone: _speckled(spot, zone, 0.08, 0.12),
    "tarmac": lambda spot, zone: _speckled(spot, zone, 0.06, 0.06),
    "gravel": lambda spot, zone: _speckled(spot, zone, 0.05, 0.09),
    "concrete": lambda spot, zone: _speckled(spot, zone, 0.05, 0.035),
    "carpet": lambda spot, zone: _speckled(spot, zone, 0.03, 0.05),
    "paint": lambda spot, zone: _speckled(spot, zone, 0.05, 0.06),
    "paving": lambda spot, zone: _tiled(spot, zone, shifted=True, contrast=0.14, joint=0.28),
    "brick": lambda spot, zone: _tiled(spot, replace(zone, tile=0.22), shifted=True, contrast=0.28, joint=0.3),
    "floor": lambda spot, zone: _tiled(spot, zone, shifted=False, contrast=0.05, joint=0.2, stains=0.015),
}


def zone_mask(camera: Camera, polygon: Array, fine: int = _FINE) -> Field:
    """Coverage of a ground polygon in the picture, ``(H * fine, W * fine)``, 0 to 1."""
    corners = np.concatenate([polygon, np.zeros((len(polygon), 1))], axis=1)
    mask = np.zeros((camera.height * fine, camera.width * fine), dtype=np.uint8)
    front = clip_to_front(camera, corners)
    if len(front) >= 3:
        pixels = (camera.project(front)[:, :2] + 0.5) * fine - 0.5
        pixels = np.clip(pixels, -8000, 8000)
        cv2.fillPoly(mask, [np.rint(pixels * 16).astype(np.int32)], 255.0, cv2.LINE_AA, 4)
    return np.asarray(mask, dtype=np.float32) / np.float32(255)


def paint_ground(camera: Camera, base: Zone, zones: Sequence[Zone], rng: np.random.Generator) -> Pixels:
    """Paint the ground as the camera sees it in plain light.

    Args:
        camera: see :class:`~samples.camera.Camera`.
        base: what lies wherever no zone does; its polygon is not looked at.
        zones: the rest, later ones on top.
        rng: decides the textures.

    Returns:
        ``(H, W, 3)`` float32, blue, green, red, about 0 to 255; anything above the horizon.
    """
    columns, rows = camera.width * _FINE, camera.height * _FINE
    u = (np.arange(columns) + 0.5) / _FINE - 0.5
    v = (np.arange(rows) + 0.5) / _FINE - 0.5
    x, y = camera.ground(u[None, :], v[:, None])
    x, y = np.clip(x, -_FARTHEST, _FARTHEST), np.clip(y, 0.0, _FARTHEST)
    depth = y * math.cos(camera.pitch) + camera.altitude * math.sin(camera.pitch)
    footprint = depth / camera.focal * np.clip(depth / camera.altitude, 1.0, 60.0) ** 0.75 / _FINE
    octaves = Octaves(rng)

    def spot(part: slice) -> _Spot:
        one, two, three = (
            np.broadcast_to(field, (rows, columns))[part].astype(np.float32) for field in (x, y, footprint)
        )
        return _Spot(one, two, three, octaves)

    picture = _PAINTERS[base.stuff](spot(slice(None)), base)
    for zone in zones:
        mask = zone_mask(camera, zone.polygon) * np.float32(zone.strength)
        hit = np.flatnonzero(mask.any(axis=1))
        if not len(hit):
            continue
        part = slice(int(hit[0]), int(hit[-1]) + 1)
        share = mask[part, :, None]
        picture[part] += (_PAINTERS[zone.stuff](spot(part), zone) - picture[part]) * share
    return np.asarray(
        cv2.resize(picture, (camera.width, camera.height), interpolation=cv2.INTER_AREA), dtype=np.float32
    )

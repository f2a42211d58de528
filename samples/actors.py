"""Everything that moves: people on foot, riders, vehicles and things; and how each is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from samples import gait, tracks
from samples.appearance import Appearance
from samples.drawing import Colour, Patch, capsules, hull
from samples.people import people_patches
from samples.props import Solid, solid_patches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from samples.camera import Array, Camera
    from samples.props import Sun

ThingShape = Literal["ball", "box", "bag", "suitcase"]


@dataclass(frozen=True, slots=True)
class Cyclist:
    """Somebody on a bicycle of this colour."""

    rider: Appearance
    colour: Colour


@dataclass(frozen=True, slots=True)
class Skater:
    """Somebody who stands on a board of this colour."""

    rider: Appearance
    colour: Colour


@dataclass(frozen=True, slots=True)
class Cart:
    """A golf cart of this colour with its riders, one or two."""

    riders: tuple[Appearance, ...]
    colour: Colour


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing that is carried, thrown or left; ``size`` is its longest side in metres."""

    shape: ThingShape
    size: float
    colour: Colour = field(default=(60.0, 60.0, 160.0))


Figure = Appearance | Cyclist | Skater | Cart | Thing

REACH: dict[type, float] = {Appearance: 0.35, Cyclist: 0.9, Skater: 0.5, Cart: 1.3, Thing: 0.3}
"""How much room a figure takes on the ground: radius in metres."""


def _local(camera: Camera, state: Array, points: Array) -> Array:
    """Project points ``(K, 3)`` given as forward, left, up of a figure: ``(K, 3)`` u, v, depth."""
    world = gait.to_world(points[None], state[None, tracks.X], state[None, tracks.Y], state[None, tracks.HEADING])
    world[..., 2] += state[tracks.Z]
    return camera.project(world[0])


def _bars(camera: Camera, state: Array, ends: Array, radius: float, colour: Colour) -> list[Patch]:
    """Bars ``(N, 2, 3)`` of one radius in metres, in a figure's own frame."""
    spots = _local(camera, state, ends.reshape(-1, 3)).reshape(-1, 2, 3)
    radii = np.maximum(camera.focal * radius / spots[..., 2], 0.35)
    return [Patch(outline, colour) for outline in capsules(spots[:, 0, :2], spots[:, 1, :2], radii)]


def _ring(camera: Camera, state: Array, centre: tuple[float, float, float], radius: float) -> Array:
    """A wheel's outline ``(20, 2)`` in pixels."""
    turn = np.linspace(0, 2 * math.pi, 20, endpoint=False)
    points = np.array(centre) + radius * np.stack([np.cos(turn), np.zeros(20), np.sin(turn)], axis=1)
    return _local(camera, state, points)[:, :2]


def _world(state: Array, joints: Array) -> Array:
    return gait.to_world(joints[None], state[None, tracks.X], state[None, tracks.Y], state[None, tracks.HEADING])


def cyclist_joints(figure: Cyclist, state: Array) -> Array:
    """The rider's joints ``(1, 17, 3)`` in the world; the feet go round with the phase."""
    tall = figure.rider.height
    turn = 2 * math.pi * state[tracks.PHASE]
    pedals = [
        [0.05 + 0.17 * math.cos(turn + side), (0.1 if side == 0 else -0.1), 0.36 - 0.17 * math.sin(turn + side)]
        for side in (0.0, math.pi)
    ]
    hands = [[0.52, 0.24, 1.02], [0.52, -0.24, 1.02]]
    joints = gait.posed(tall, [-0.2, 0.0, 0.96], 0.62, pedals, hands)
    return _world(state, joints)


def _cyclist(camera: Camera, figure: Cyclist, state: Array) -> list[Patch]:
    rider = cyclist_joints(figure, state)
    scale = camera.focal / camera.project(rider[0, 0])[2]
    dark: Colour = (34, 34, 36)
    wheels = [
        Patch(_ring(camera, state, (along, 0.0, 0.34), 0.33), dark, max(0.045 * scale, 0.7)) for along in (-0.52, 0.54)
    ]
    joints = np.array(
        [
            [[-0.52, 0, 0.34], [0.0, 0, 0.32]],
            [[-0.52, 0, 0.34], [-0.18, 0, 0.82]],
            [[0.0, 0, 0.32], [-0.2, 0, 0.92]],
            [[0.0, 0, 0.32], [0.42, 0, 0.78]],
            [[-0.18, 0, 0.8], [0.4, 0, 0.84]],
            [[0.4, 0, 0.92], [0.54, 0, 0.34]],
            [[0.44, 0.26, 1.02], [0.44, -0.26, 1.02]],
        ]
    )
    frame = _bars(camera, state, joints, 0.022, figure.colour)
    return [*wheels, *frame, *people_patches(camera, rider, [figure.rider])[0]]


def skater_joints(figure: Skater, state: Array) -> Array:
    """The rider's joints ``(1, 17, 3)`` in the world: sideways on the board, knees bent, swaying a little."""
    tall = figure.rider.height
    sway = 0.06 * math.sin(2 * math.pi * state[tracks.PHASE])
    feet = [[sway * 0.3, 0.22, 0.16], [sway * 0.3, -0.22, 0.16]]
    hands = [[0.15 + sway, 0.42, 0.62 * tall], [0.12 - sway, -0.45, 0.58 * tall]]
    joints = gait.posed(tall, [-0.05, sway, 0.50 * tall], 0.22 + sway, feet, hands)
    sideways = state.copy()
    sideways[tracks.HEADING] += math.pi / 2
    return _world(sideways, joints)


def _skater(camera: Camera, figure: Skater, state: Array) -> list[Patch]:
    deck = np.array([[-0.42, -0.1, 0.1], [0.42, -0.1, 0.1], [0.42, 0.1, 0.1], [-0.42, 0.1, 0.1]])
    board = Patch(hull(_local(camera, state, deck)[:, :2]), figure.colour)
    axles = np.array([[[-0.28, -0.09, 0.04], [-0.28, 0.09, 0.04]], [[0.28, -0.09, 0.04], [0.28, 0.09, 0.04]]])
    wheels = _bars(camera, state, axles, 0.035, (50, 50, 52))
    return [*wheels, board, *people_patches(camera, skater_joints(figure, state), [figure.rider])[0]]


def _prism(
    state: Array, profile: Sequence[tuple[float, float]], width: float, colour: Colour, left: float = 0
) -> Solid:
    return Solid(
        float(state[tracks.X]),
        float(state[tracks.Y]),
        float(state[tracks.HEADING]),
        np.array(profile),
        width,
        colour,
        left,
    )


def cart_riders(figure: Cart, state: Array) -> Array:
    """The riders' joints ``(N, 17, 3)`` in the world, seated."""
    seated = []
    for number, rider in enumerate(figure.riders):
        side = 0.28 if number == 0 else -0.28
        feet = [[0.55, side + 0.1, 0.38], [0.55, side - 0.1, 0.38]]
        reach = 0.52 if number == 0 else 0.2
        hands = [[reach, side + 0.15, 0.98], [reach, side - 0.15, 0.98]]
        joints = gait.posed(rider.height, [-0.08, 0.0, 0.72], -0.08, feet, hands)
        joints[:, 1] += np.where(np.abs(joints[:, 1]) < 0.25, side, 0.0)
        seated.append(joints)
    count = len(seated)
    return gait.to_world(
        np.stack(seated),
        np.full(count, state[tracks.X]),
        np.full(count, state[tracks.Y]),
        np.full(count, state[tracks.HEADING]),
    )


def cart_solids(figure: Cart, state: Array) -> tuple[list[Solid], list[Solid]]:
    """Body and roof of a cart as prisms."""
    turn = np.linspace(0, 2 * math.pi, 10, endpoint=False)
    wheel = np.stack([0.22 * np.cos(turn), 0.22 + 0.22 * np.sin(turn)], axis=1)
    body = [
        _prism(state, [(float(a + along), float(b)) for a, b in wheel], 1.2, (30, 30, 32)) for along in (-0.75, 0.8)
    ]
    body += [
        _prism(state, [(-1.15, 0.28), (1.15, 0.28), (1.2, 0.5), (0.45, 0.42), (-1.15, 0.42)], 1.15, figure.colour),
        _prism(state, [(-1.15, 0.4), (-0.3, 0.4), (-0.35, 0.68), (-1.12, 0.72)], 1.12, figure.colour),
        _prism(state, [(0.62, 0.4), (1.2, 0.45), (1.1, 0.78), (0.72, 0.98)], 1.1, figure.colour),
        _prism(state, [(-0.5, 0.66), (-0.36, 0.66), (-0.5, 1.12), (-0.58, 1.12)], 1.0, (62, 66, 72)),
    ]
    roof = [_prism(state, [(-0.95, 1.84), (0.95, 1.84), (0.9, 1.92), (-0.9, 1.92)], 1.2, (206, 208, 206))]
    return body, roof


def _cart(camera: Camera, sun: Sun, figure: Cart, state: Array) -> list[Patch]:
    body, roof = cart_solids(figure, state)
    poles = np.array(
        [[[a, b, 0.5 if a < 0 else 0.95], [a * 0.9, b, 1.85]] for a in (-1.0, 0.95) for b in (-0.53, 0.53)]
    )
    heading = state[tracks.HEADING]
    toward_left = -math.sin(heading) * state[tracks.X] + math.cos(heading) * state[tracks.Y] < 0
    near = [index for index in range(4) if (index % 2 == 1) == toward_left]
    bars = _bars(camera, state, poles, 0.025, (84, 86, 86))
    out = [bars[index] for index in range(4) if index not in near]
    riders = people_patches(camera, cart_riders(figure, state), figure.riders, lower=False)
    order = riders if toward_left is False else riders[::-1]
    low = [patch for solid in body[:4] for patch in solid_patches(camera, sun, solid)]
    front = [patch for solid in body[4:5] for patch in solid_patches(camera, sun, solid)]
    seat = [patch for solid in body[5:] for patch in solid_patches(camera, sun, solid)]
    comes = math.sin(heading) < 0
    people = [patch for rider in order for patch in rider]
    out += [*low, *seat, *people, *front] if comes else [*low, *front, *people, *seat]
    out += [bars[index] for index in near]
    return out + [patch for solid in roof for patch in solid_patches(camera, sun, solid)]


def _thing(camera: Camera, sun: Sun, figure: Thing, state: Array) -> list[Patch]:
    size = figure.size
    if figure.shape == "ball":
        middle = _local(camera, state, np.array([[0.0, 0.0, size / 2]]))[0]
        radius = camera.focal * size / 2 / middle[2]
        fan = np.linspace(0, 2 * math.pi, 14, endpoint=False)
        circle = np.stack([np.cos(fan), np.sin(fan)], axis=1)
        turn = 2 * math.pi * state[tracks.PHASE]
        patch_at = middle[:2] + 0.35 * radius * np.array([math.cos(turn), math.sin(turn)])
        pale: Colour = (225, 228, 228)
        return [
            Patch(middle[:2] + radius * circle, figure.colour),
            Patch(patch_at + 0.45 * radius * circle, pale),
        ]
    along, across, up = {"box": (1.0, 0.8, 0.7), "bag": (1.0, 0.5, 0.55), "suitcase": (0.62, 0.35, 1.0)}[figure.shape]
    turn = 2 * math.pi * state[tracks.PHASE]
    corners = np.array([[-along, 0], [along, 0], [along * 0.94, 2 * up], [-along * 0.94, 2 * up]]) * size / 2
    centre = np.array([0.0, up * size / 2])
    spin = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    profile = (corners - centre) @ spin.T + centre + np.array([0.0, state[tracks.Z]])
    solid = _prism(state, [(float(a), float(b)) for a, b in profile], across * size, figure.colour)
    patches = solid_patches(camera, sun, solid)
    if figure.shape == "suitcase" and state[tracks.Z] < 0.05:
        grip = np.array([[[0.0, -0.08, up * size], [0.0, 0.08, up * size]]]) + np.array([0.0, 0.0, 0.06])
        still = state.copy()
        patches += _bars(camera, still, grip, 0.018, (40, 40, 42))
    return patches


def figure_patches(camera: Camera, sun: Sun, figure: Figure, state: Array) -> list[Patch]:
    """Patches of one figure that is not on foot, in drawing order (people on foot are drawn many at a time)."""
    if isinstance(figure, Cyclist):
        return _cyclist(camera, figure, state)
    if isinstance(figure, Skater):
        return _skater(camera, figure, state)
    if isinstance(figure, Cart):
        return _cart(camera, sun, figure, state)
    if isinstance(figure, Thing):
        return _thing(camera, sun, figure, state)
    raise TypeError(f"{type(figure).__name__} is drawn with the other people on foot")


def shadow_outline(camera: Camera, sun: Sun, figure: Figure, state: Array) -> list[Array]:
    """Polygons ``(K, 2)`` in pixels of a figure's shadow on the ground; for figures that are not on foot."""
    if isinstance(figure, Cart):
        body, roof = cart_solids(figure, state)
        return [hull(camera.project(sun.cast(solid.corners().reshape(-1, 3)))[:, :2]) for solid in (*body[2:], *roof)]
    if isinstance(figure, Thing):
        reach = figure.size / 2
        corners = np.array(
            [[a, b, c] for a in (-reach, reach) for b in (-reach * 0.6, reach * 0.6) for c in (0, reach)]
        )
        world = gait.to_world(corners[None], state[None, tracks.X], state[None, tracks.Y], state[None, tracks.HEADING])[
            0
        ]
        world[:, 2] += state[tracks.Z]
        return [hull(camera.project(sun.cast(world))[:, :2])]
    return []

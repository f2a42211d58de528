"""Built places: a street with its pavements, an indoor hall, and a car park."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from samples.ground import strip
from samples.layouts import (
    Furniture,
    Layout,
    Post,
    Wall,
    choose_camera,
    choose_sun,
    colour_near,
    ground_zone,
    whole_ground,
)
from samples.props import box
from samples.routes import route
from samples.siting import (
    GRASS,
    PAVING,
    TARMAC,
    WALL,
    Axes,
    Rng,
    Size,
    below,
    car,
    crosses_view,
    far_row,
    skyline,
    trim,
)

if TYPE_CHECKING:
    from samples.camera import Array, Camera


def street(rng: Rng, size: Size) -> Layout:
    """Pavements on both sides of a street without traffic, a crossing, parked cars along the far kerb."""
    camera = choose_camera(rng, size, (4.5, 7.5), (14, 24), (1.0, 1.7))
    layout = Layout("street", camera, choose_sun(rng), whole_ground("paving", colour_near(rng, PAVING), tile=0.6))
    angle = rng.uniform(0.0, 0.30) * rng.choice([-1.0, 1.0])
    pavement, road = rng.uniform(2.8, 3.8), rng.uniform(5.5, 6.8)
    near = camera.ground_row(rng.uniform(0.84, 0.9) * size[1])
    # Everything is measured from the middle of the road.
    axes = Axes(near + pavement / 2 + road / 2, angle)
    side = road / 2 + pavement / 2
    layout.farthest = axes.ahead + road / 2 + pavement + 40 * math.tan(abs(angle))
    _carriageway(layout, rng, axes, road)
    zebra = rng.uniform(-0.45, 0.45) * camera.half_width(axes.ahead)
    for stripe in np.arange(-road / 2 + 0.4, road / 2 - 0.2, 1.0):
        piece = axes.line(float(stripe), zebra - 1.6, zebra + 1.6)
        layout.zones.append(ground_zone(strip(piece, 0.5), "paint", (212, 214, 214), strength=0.8))
    layout.routes += [route(trim(camera, axes.line(left)), pavement * 0.8) for left in (-side, side + 0.3)]
    for turn in (-1.0, 1.0):
        stops = [(turn * 30, -side), (zebra + turn * 4, -side), (zebra, -side)]
        stops += [(zebra, side), (zebra + turn * 4, side), (turn * 30, side)]
        corners = np.array([axes.point(*stop) for stop in stops])
        layout.routes.append(route(_draw_in(camera, corners), 1.6, weight=0.25))
    for start, end in ((-45.0, -8.0), (-8.0, 12.0), (12.0, 50.0)):
        foot = np.array([axes.point(along, side + pavement / 2 + 0.7) for along in (start, end)])
        layout.props.append(Wall(foot, rng.uniform(8, 12), colour_near(rng, WALL, 0.2)))
    for along in (zebra - 9.5, zebra + 8.5, zebra + 14.5):
        if rng.random() < 0.75:
            x, y = (float(value) for value in axes.point(along, road / 2 - 1.0))
            layout.props.append(Furniture(x, y, car(rng, x, y, angle)))
            layout.obstacles += [
                (x + part * math.cos(angle), y + part * math.sin(angle), 0.95) for part in (-1.2, 0.0, 1.2)
            ]
    for along in np.arange(-24, 30, rng.uniform(9, 13)):
        x, y = (float(value) for value in axes.point(float(along), road / 2 + 0.7))
        layout.props.append(Post(x, y, 5.5, 0.08, (66, 68, 70), lamp=True))
    reach = camera.half_width(axes.ahead)
    for turn in (-1.0, 1.0):
        stops = [(turn * (reach * 0.9 + 2), -side), (turn * reach * 0.55, -road * 0.2)]
        stops += [(-turn * reach * 0.2, 0.0), (-turn * (reach + 5), 0.0)]
        layout.off_limits.append(route([axes.point(*stop) for stop in stops], 1.0))
    return layout


def _carriageway(layout: Layout, rng: Rng, axes: Axes, road: float) -> None:
    """Kerbs, tarmac and the dashes along its middle."""
    middle = axes.line(0.0)
    layout.zones.append(ground_zone(strip(middle, road + 0.5), "concrete", (150, 152, 154)))
    layout.zones.append(ground_zone(strip(middle, road), "tarmac", colour_near(rng, TARMAC)))
    for dash in np.arange(-60.0, 60.0, 6.0):
        piece = axes.line(0.0, float(dash), float(dash) + 3)
        layout.zones.append(ground_zone(strip(piece, 0.13), "paint", (205, 208, 208), strength=0.7))


def _draw_in(camera: Camera, corners: Array) -> Array:
    """Corners with those far outside of the picture drawn in to just beyond its edge."""
    limit = np.array([camera.half_width(max(0.0, float(y))) + 4 for y in corners[:, 1]])
    return np.asarray(corners * np.minimum(1.0, limit / np.maximum(np.abs(corners[:, 0]), 1e-9))[:, None])


def hall(rng: Rng, size: Size) -> Layout:
    """An indoor hall: a shiny floor, pillars, doors in the far wall, a kiosk, and a platform behind a cord."""
    camera = choose_camera(rng, size, (3.6, 5.5), (17, 28), (0.8, 1.15), near=(80, 150))
    floor = colour_near(rng, (158.0, 164.0, 168.0))
    layout = Layout(
        "hall", camera, choose_sun(rng, indoors=True), whole_ground("floor", floor, tile=rng.uniform(0.6, 1.2))
    )
    layout.gathering = 0.2
    near, far = camera.ground_row(size[1] - 1.0), far_row(camera, 0.24, 26.0)
    layout.farthest = far
    wall = colour_near(rng, (168.0, 176.0, 182.0))
    reach = camera.half_width(far) * 1.6 + 4
    layout.props.append(Wall(np.array([[-reach, far + 0.5], [reach, far + 0.5]]), 14.0, wall, indoors=True))
    side = 1.0 if rng.random() < 0.5 else -1.0
    y = camera.ground_row(0.46 * size[1])
    edge = camera.half_width(y)
    platform = side * edge * 0.72
    line = np.array([[platform - 3.0, y], [platform + 3.0, y]])
    layout.zones.append(ground_zone(strip(line, 3.6), "carpet", colour_near(rng, (74.0, 58.0, 112.0), 0.2)))
    for corner in ((-3.1, -1.9), (0.0, -1.9), (3.1, -1.9), (-3.1, 1.9), (3.1, 1.9)):
        layout.props.append(Post(platform + corner[0], y + corner[1], 0.95, 0.045, (120, 150, 160)))
    keep_out = [(platform + dx, y, 2.4) for dx in (-2.0, 0.0, 2.0)]
    layout.obstacles += keep_out
    for number in range(2):
        x, row = -side * edge * (0.35 + 0.45 * number), camera.ground_row((0.5 - 0.1 * number) * size[1])
        layout.props.append(Post(x, row, 14.0, 0.32, colour_near(rng, (172.0, 176.0, 178.0))))
        layout.obstacles.append((x, row, 0.8))
    kiosk_y = camera.ground_row(0.40 * size[1])
    kiosk_x = -side * camera.half_width(kiosk_y) * 0.9
    layout.props.append(
        Furniture(
            kiosk_x, kiosk_y, (box(kiosk_x, kiosk_y, 0.0, (2.6, 1.2, 1.1), colour_near(rng, (90.0, 110.0, 140.0))),)
        )
    )
    layout.obstacles.append((kiosk_x, kiosk_y, 1.7))
    gates = [
        (s * (camera.half_width(camera.ground_row(v * size[1])) + 1.5), camera.ground_row(v * size[1]))
        for v in (0.9, 0.7, 0.52)
        for s in (-1.0, 1.0)
    ]
    gates += [(rng.uniform(-0.8, 0.8) * camera.half_width(near), below(camera)) for _ in range(2)]
    gates += [(s * 0.35 * camera.half_width(far), far + 1.5) for s in (-1.0, 1.0)]
    for index, start in enumerate(gates):
        for end in gates[index + 1 :]:
            if math.dist(start, end) > 5 and crosses_view(camera, start, end):
                layout.routes.append(route([start, end], 1.6, around=layout.obstacles))
    outside = side * (edge + 2.0)
    layout.off_limits.append(
        route([(outside, y - 0.5), (platform, y), (platform - side * 3.4, y - 0.6), (-outside, y - 2)], 1)
    )
    layout.off_limits.append(layout.off_limits[-1].turned())
    return layout


def carpark(rng: Rng, size: Size) -> Layout:
    """A car park: rows of bays with parked cars, an aisle, and a footway that everyone keeps to."""
    camera = choose_camera(rng, size, (5.5, 9.0), (17, 28), (1.1, 1.8), near=(60, 130))
    layout = Layout("carpark", camera, choose_sun(rng), whole_ground("tarmac", colour_near(rng, (104.0, 104.0, 106.0))))
    layout.farthest = far_row(camera, 0.2, 60.0)
    # Everything is measured from the middle of the footway.
    axes = Axes(camera.ground_row(rng.uniform(0.7, 0.8) * size[1]), rng.uniform(-0.14, 0.14))
    width = rng.uniform(2.6, 3.6)
    foot = axes.line(0.0)
    layout.zones.append(ground_zone(strip(foot, width + 0.3), "concrete", (168, 170, 170)))
    layout.zones.append(ground_zone(strip(foot, width), "brick", colour_near(rng, (108.0, 122.0, 146.0))))
    aisle = width / 2 + 3.2
    rows = (aisle + 5.6, aisle + 16.6)
    gap = rng.uniform(-4, 4)
    for share, left in zip((0.55, 0.75), rows, strict=True):
        _bays(layout, rng, axes, (left, gap, share))
    beyond = layout.farthest + 7 - axes.ahead
    crossing = np.array([axes.point(gap), axes.point(gap, beyond)])
    layout.zones.append(ground_zone(strip(crossing, 1.8), "paint", (150, 160, 150), strength=0.5))
    layout.routes.append(route(trim(camera, foot), width * 0.85))
    reach = camera.half_width(axes.ahead) + 3
    for side in (-1.0, 1.0):
        stops = [(side * reach, 0.0), (gap + side * 3, 0.0), (gap, 2.0), (gap, beyond)]
        layout.routes.append(route([axes.point(*stop) for stop in stops], 1.3, weight=0.5))
    verge = -width / 2 - 2.2
    layout.zones.append(ground_zone(strip(axes.line(verge), 3.6), "grass", colour_near(rng, GRASS)))
    skyline(layout, rng, layout.farthest + 4, axes.angle)
    for side in (-0.8, 0.8):
        x = side * camera.half_width(axes.ahead + rows[0])
        layout.props.append(Post(x, axes.ahead + aisle + 2.6, 6.0, 0.09, (70, 72, 74), lamp=True))
    for left in (aisle, verge + 0.4):
        reach = camera.half_width(axes.ahead + left) + 3
        layout.off_limits.append(route(axes.line(left, -reach, reach), 1.0))
    return layout


def _bays(layout: Layout, rng: Rng, axes: Axes, row: tuple[float, float, float]) -> None:
    """A row of bays; ``row`` is its place to the left of the footway, the gap in it, and the share of bays taken."""
    left, gap, share = row
    camera = layout.camera
    for slot in np.arange(-30.0, 30.0, 2.6):
        if abs(slot - gap) < 2.6:
            continue
        line = axes.stroke(float(slot) - 1.3, left, 4.8)
        layout.zones.append(ground_zone(strip(line, 0.1), "paint", (200, 204, 204), strength=0.7))
        x, y = (float(value) for value in axes.point(float(slot), left))
        if abs(x) < camera.half_width(y) + 3 and y < layout.farthest and rng.random() < share:
            heading = axes.angle + math.pi / 2 * rng.choice([-1.0, 1.0])
            layout.props.append(Furniture(x, y, car(rng, x, y, heading, rng.uniform(0.92, 1.08))))
            layout.obstacles.append((x, y, 1.4))

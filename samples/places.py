"""The five places, each drawn from a seed: a walkway, a plaza, a street, a hall and a car park."""

from __future__ import annotations

import math

import numpy as np

from samples.camera import Array, Camera
from samples.ground import strip
from samples.layouts import (
    Furniture,
    Layout,
    Post,
    Tree,
    Wall,
    choose_camera,
    choose_sun,
    colour_near,
    ground_zone,
    whole_ground,
)
from samples.props import bench, box, parked_car
from samples.routes import Route, route

Rng = np.random.Generator
Size = tuple[int, int]

_GRASS = (52.0, 104.0, 86.0)
_TARMAC = (92.0, 92.0, 92.0)
_PAVING = (148.0, 154.0, 160.0)
_WALL = (132.0, 148.0, 164.0)


def _far_row(camera: Camera, share: float, limit: float = 70.0) -> float:
    """Distance seen in the row at this share of the picture's height, at most ``limit`` metres."""
    return min(limit, camera.ground_row(share * camera.height))


def _line(angle: float, q: float, reach: float = 70.0) -> Array:
    """A straight line ``(9, 2)`` at distance ``q`` ahead of the camera, turned by ``angle`` radians."""
    ahead = np.array([math.cos(angle), math.sin(angle)])
    middle = np.array([0.0, q])
    return middle + np.linspace(-reach, reach, 9)[:, None] * ahead


def _trim(camera: Camera, line: Array, beyond: float = 3.0) -> Array:
    """The part of a line within ``beyond`` metres of what the camera sees, finely sampled."""
    share = np.linspace(0, 1, 400)[:, None]
    places = np.linspace(0, 1, len(line))
    fine = np.stack([np.interp(share[:, 0], places, line[:, axis]) for axis in (0, 1)], axis=1)
    width = np.array([camera.half_width(max(0.0, float(y))) for y in fine[:, 1]])
    near = camera.ground_row(camera.height + 0.0)
    kept = fine[(np.abs(fine[:, 0]) < width + beyond) & (fine[:, 1] > near - 2.0)]
    return kept if len(kept) >= 2 else fine


def _below(camera: Camera) -> float:
    """A distance so near that whoever stands there is not in the picture, not even with the head."""
    return camera.ground_row(camera.height - 1.0) * (1 - 2.0 / camera.altitude) - 0.6


def _skyline(layout: Layout, rng: Rng, y: float, angle: float = 0.0) -> None:
    """Buildings side by side along a line, leaving no gap the horizon could be seen through."""
    x, reach = -layout.camera.half_width(y) * 1.5 - 6, layout.camera.half_width(y) * 1.5 + 6
    ahead = np.array([math.cos(angle), math.sin(angle)])
    while x < reach:
        length = rng.uniform(9, 22)
        ends = np.array([0.0, y + rng.uniform(0, 1.2)]) + np.array([[x], [x + length]]) * ahead
        layout.props.append(Wall(ends, rng.uniform(9, 17), colour_near(rng, _WALL, 0.25)))
        x += length


def _plant(layout: Layout, rng: Rng, x: float, y: float, scale: float = 1.0) -> None:
    height = rng.uniform(4.5, 7.5) * scale
    layout.props.append(Tree(x, y, height, height * rng.uniform(0.26, 0.34)))
    layout.obstacles.append((x, y, 0.5))


def walkway(rng: Rng, size: Size) -> Layout:
    """A footpath through a lawn, across the picture or away from the camera, and a second path that joins it."""
    camera = choose_camera(rng, size, (4.0, 7.0), (13, 24), (1.1, 1.8))
    layout = Layout("walkway", camera, choose_sun(rng), whole_ground("grass", colour_near(rng, _GRASS)))
    layout.farthest = _far_row(camera, 0.2)
    width = rng.uniform(3.2, 5.0)
    stuff, colour = (("paving", _PAVING), ("concrete", (158.0, 162.0, 166.0)), ("tarmac", (112.0, 112.0, 114.0)))[
        int(rng.integers(3))
    ]
    colour = colour_near(rng, colour)
    across = rng.random() < 0.65
    if across:
        angle = rng.uniform(-0.2, 0.2)
        middle = camera.ground_row(rng.uniform(0.58, 0.68) * size[1])
        main = _line(angle, middle)
        turn = camera.half_width(middle) * rng.uniform(-0.5, 0.5)
        join = np.array([turn, middle + turn * math.tan(angle)])
        side = 1.0 if rng.random() < 0.5 else -1.0
        end = np.array([side * camera.half_width(layout.farthest) * 0.8, layout.farthest + 7])
        branch = np.array([join, join + [0.5 * side, 3.5], (join + end) / 2 + [-side * 1.5, 1.0], end])
    else:
        near, far = camera.ground_row(size[1] - 1.0), layout.farthest
        lean = rng.uniform(-0.35, 0.35)
        main = np.array(
            [
                [lean * camera.half_width(near), _below(camera)],
                [-0.3 * lean * camera.half_width(near), near * 1.6],
                [lean * 4, (near + far) / 2],
                [-lean * camera.half_width(far), far + 8],
            ]
        )
        crossing = camera.ground_row(rng.uniform(0.45, 0.56) * size[1])
        branch = _line(rng.uniform(-0.15, 0.15), crossing)
        angle = 0.0
    main_route = route(_trim(camera, main) if across else main, width)
    branch_route = route(branch if across else _trim(camera, branch), width * 0.75, weight=0.6)
    for way in (branch_route, main_route):
        layout.zones.append(ground_zone(strip(way.points, way.width + 0.25), "concrete", (150, 152, 152)))
        layout.zones.append(ground_zone(strip(way.points, way.width), stuff, colour, tile=rng.uniform(0.4, 0.8)))
    if across:
        layout.zones[:] = [layout.zones[i] for i in (0, 2, 1, 3)]
        for part in (slice(None), slice(None, None, -1)):
            head = main_route.points[part]
            meet = int(np.argmin(np.linalg.norm(head - branch_route.points[0], axis=1)))
            via = np.concatenate([head[: max(1, meet - 8)], branch_route.points[10:]])
            layout.routes.append(route(via[::8], width * 0.7, weight=0.45))
        layout.routes.append(main_route)
    else:
        layout.routes += [main_route, branch_route]
    _green(layout, rng, [main_route.points, branch_route.points], main_route.width)
    _skyline(layout, rng, layout.farthest + 4.0)
    _lawn_ways(layout, main_route, across=across)
    return layout


def _lawn_ways(layout: Layout, main: Route, *, across: bool) -> None:
    """Ways over the lawn: beside a path that crosses the picture, or right across one that leads away."""
    camera = layout.camera
    clear = [(x, y, radius + 0.4) for x, y, radius in layout.obstacles]
    if across:
        beyond = strip(main.points, 2 * (main.width / 2 + 2.0))
        count = len(main.points)
        layout.off_limits += [route(side[::8], 1.0, around=clear) for side in (beyond[:count], beyond[count:])]
    for share in (0.55, 0.7, 0.85):
        y = camera.ground_row(share * camera.height)
        reach = camera.half_width(y) + 2.5
        tilt = 0.12 * reach
        corners = [(-reach, y + tilt), (0.0, y), (reach, y + tilt)]
        layout.off_limits.append(route(corners, 1.0, around=clear))


def _green(layout: Layout, rng: Rng, paths: list[Array], width: float) -> None:
    """Trees, a bench, a lamp and a bin on the lawn, clear of the paths and of the view of them."""
    camera = layout.camera
    everywhere = np.concatenate(paths)

    def clear(x: float, y: float) -> float:
        return float(np.linalg.norm(everywhere - np.array([x, y]), axis=1).min()) - width / 2

    planted = 0
    for _ in range(60):
        y = rng.uniform(camera.ground_row(0.5 * camera.height), layout.farthest + 5)
        x = rng.uniform(-1.1, 1.1) * camera.half_width(y)
        hides = [p for p in paths if bool(np.any((p[:, 1] > y) & (np.abs(p[:, 0] * y - x * p[:, 1]) < 1.5 * y)))]
        if clear(x, y) > 1.6 and (not hides or rng.random() < 0.15) and planted < 8:
            _plant(layout, rng, x, y)
            planted += 1
    main = paths[0]
    for _ in range(30):
        index = int(rng.integers(len(main) // 5, len(main) * 4 // 5))
        ahead = main[min(index + 2, len(main) - 1)] - main[index - 2]
        heading = math.atan2(ahead[1], ahead[0])
        place = main[index] + (width / 2 + 0.8) * np.array([-math.sin(heading), math.cos(heading)])
        if abs(place[0]) < camera.half_width(place[1]) and clear(*place) > 0.5:
            x, y = float(place[0]), float(place[1])
            layout.props.append(Furniture(x, y, tuple(bench(x, y, heading, colour_near(rng, (70.0, 98.0, 128.0))))))
            layout.obstacles.append((x, y, 1.0))
            side = place + 1.8 * np.array([math.cos(heading), math.sin(heading)])
            layout.props.append(Post(float(side[0]), float(side[1]), 4.2, 0.07, (60, 64, 62), lamp=True))
            break


def plaza(rng: Rng, size: Size) -> Layout:
    """A paved square that people cross in all directions, with planters, trees and buildings behind."""
    camera = choose_camera(rng, size, (5.0, 9.0), (18, 32), (1.0, 1.7), near=(65, 140))
    tile = rng.uniform(0.5, 1.2)
    turn = rng.uniform(-0.6, 0.6)
    ground = colour_near(rng, _PAVING)
    layout = Layout("plaza", camera, choose_sun(rng), whole_ground("paving", ground, tile=tile, turn=turn))
    layout.gathering = 0.22
    near, far = camera.ground_row(size[1] - 1.0), _far_row(camera, 0.22, 45.0)
    layout.farthest = far
    band = colour_near(rng, (122.0, 128.0, 140.0))
    for q in np.arange(near + 1, far, rng.uniform(4, 7)):
        layout.zones.append(ground_zone(strip(_line(turn, float(q)), 0.6), "brick", band))
    spots: list[tuple[float, float]] = []
    for _ in range(40):
        y = camera.ground_row(rng.uniform(0.36, 0.72) * size[1])
        x = rng.uniform(-0.85, 0.85) * camera.half_width(y)
        if all(math.hypot(x - a, y - b) > 6.5 for a, b in spots) and len(spots) < 2:
            spots.append((x, y))
    for number, (x, y) in enumerate(spots):
        side = rng.uniform(1.6, 2.6)
        ring = strip(np.array([[x - side, y], [x + side, y]]), side * 1.6)
        stone = colour_near(rng, (150.0, 156.0, 160.0))
        layout.props.append(Furniture(x, y, (box(x, y, 0.0, (2 * side, 1.6 * side, 0.45), stone),)))
        layout.zones.append(ground_zone(ring, "concrete", stone))
        layout.obstacles.append((x, y, side * 1.25))
        if number == 0:
            _plant(layout, rng, x, y, 0.75)
    gates: list[tuple[float, float]] = []
    for share in (0.85, 0.6, 0.42):
        y = camera.ground_row(share * size[1])
        gates += [(side * (camera.half_width(y) + 2.0), y) for side in (-1.0, 1.0)]
    gates += [(rng.uniform(-0.7, 0.7) * camera.half_width(near), _below(camera)) for _ in range(2)]
    gates += [(rng.uniform(-0.7, 0.7) * camera.half_width(far), far + 4.0) for _ in range(2)]
    for index, start in enumerate(gates):
        for end in gates[index + 1 :]:
            if abs(start[0] - end[0]) + abs(start[1] - end[1]) < 9 or start[0] == end[0]:
                continue
            y = rng.uniform(near + 2, far - 3)
            via = (rng.uniform(-0.5, 0.5) * camera.half_width(y), y)
            stops = [start, via, end] if rng.random() < 0.4 else [start, end]
            layout.routes.append(route(stops, 2.4, around=layout.obstacles))
    _skyline(layout, rng, far + 1.5, rng.uniform(-0.06, 0.06))
    lawn_y = camera.ground_row(rng.uniform(0.66, 0.78) * size[1])
    side = 1.0 if rng.random() < 0.5 else -1.0
    edge = camera.half_width(lawn_y)
    _lawn(layout, rng, side, lawn_y, edge)
    for _ in range(3):
        y = camera.ground_row(rng.uniform(0.3, 0.5) * size[1])
        x = rng.choice([-1.0, 1.0]) * camera.half_width(y) * rng.uniform(0.75, 0.95)
        layout.props.append(Post(x, y, 5.0, 0.08, (66, 70, 68), lamp=True))
    return layout


def _lawn(layout: Layout, rng: Rng, side: float, y: float, edge: float) -> None:
    """A lawn with a kerb at one side of a plaza, which nobody steps on."""
    depth, width = rng.uniform(3.5, 5.5), edge * rng.uniform(0.55, 0.75)
    middle = side * (edge + 1.0 - width / 2 + 0.5)
    line = np.array([[middle - width / 2, y], [middle + width / 2, y]])
    layout.zones.append(ground_zone(strip(line, depth + 0.3), "concrete", (165, 168, 170)))
    layout.zones.append(ground_zone(strip(line, depth), "grass", colour_near(rng, _GRASS)))
    keep_out = [(middle + share * width, y, depth * 0.62) for share in (-0.33, 0.0, 0.33)]
    layout.obstacles += keep_out
    layout.routes[:] = [route(way.points[::6], way.width, around=keep_out) for way in layout.routes]
    start, end = (side * (edge + 2.5), y + 0.6), (middle - side * (width / 2 + 0.5), y - 0.4)
    beyond = (-side * edge * 0.4, y - 2.5)
    layout.off_limits.append(route([start, (middle, y), end, beyond, (-side * (edge + 2), y - 2.0)], 1.0))
    layout.off_limits.append(layout.off_limits[-1].turned())


def street(rng: Rng, size: Size) -> Layout:
    """Pavements on both sides of a street without traffic, a crossing, parked cars along the far kerb."""
    camera = choose_camera(rng, size, (4.5, 7.5), (14, 24), (1.0, 1.7))
    layout = Layout("street", camera, choose_sun(rng), whole_ground("paving", colour_near(rng, _PAVING), tile=0.6))
    angle = rng.uniform(0.0, 0.30) * rng.choice([-1.0, 1.0])
    near_q = camera.ground_row(rng.uniform(0.84, 0.9) * size[1])
    pavement, road = rng.uniform(2.8, 3.8), rng.uniform(5.5, 6.8)
    kerb = near_q + pavement / 2
    far_q = kerb + road + 0.3 + pavement / 2
    wall_q = far_q + pavement / 2 + 0.4
    layout.farthest = wall_q + 40 * math.tan(abs(angle))
    stretch = 1 / math.cos(angle)

    def band(q: float, width: float) -> Array:
        return strip(_line(angle, q * 1.0 + 0.0), width / stretch * stretch)

    layout.zones.append(ground_zone(band(kerb + road / 2, road + 0.5), "concrete", (150, 152, 154)))
    layout.zones.append(ground_zone(band(kerb + road / 2, road), "tarmac", colour_near(rng, _TARMAC)))
    for dash in np.arange(-60, 60, 6.0):
        ahead = np.array([math.cos(angle), math.sin(angle)])
        piece = np.array([0, kerb + road / 2]) + np.array([[dash], [dash + 3]]) * ahead
        layout.zones.append(ground_zone(strip(piece, 0.13), "paint", (205, 208, 208), strength=0.7))
    ahead, left = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    zebra = rng.uniform(-0.45, 0.45) * camera.half_width(kerb + road / 2)
    middle = np.array([0, kerb + road / 2])
    for stripe in np.arange(-road / 2 + 0.4, road / 2 - 0.2, 1.0):
        piece = middle + ahead * (zebra + np.array([[-1.6], [1.6]])) + left * stripe
        layout.zones.append(ground_zone(strip(piece, 0.5), "paint", (212, 214, 214), strength=0.8))
    near_line, far_line = _line(angle, near_q), _line(angle, far_q)
    near_way, far_way = route(_trim(camera, near_line), pavement * 0.8), route(_trim(camera, far_line), pavement * 0.8)
    layout.routes += [near_way, far_way]
    for side in (-1.0, 1.0):
        first = np.array([0, near_q]) + ahead * np.array([[side * 30], [zebra + side * 4], [zebra]])
        last = np.array([0, far_q]) + ahead * np.array([[zebra], [zebra + side * 4], [side * 30]])
        layout.routes.append(route(_trim_to_view(camera, np.concatenate([first, last])), 1.6, weight=0.25))
    layout.props.append(Wall(np.array([0, wall_q]) + np.array([[-45.0], [-8.0]]) * ahead, 9.0, colour_near(rng, _WALL, 0.2)))
    layout.props.append(Wall(np.array([0, wall_q]) + np.array([[-8.0], [12.0]]) * ahead, 11.0, colour_near(rng, _WALL, 0.2)))
    layout.props.append(Wall(np.array([0, wall_q]) + np.array([[12.0], [50.0]]) * ahead, 8.0, colour_near(rng, _WALL, 0.2)))
    for along in (zebra - 9.5, zebra + 8.5, zebra + 14.5):
        place = np.array([0, kerb + road - 1.0]) + ahead * along
        if rng.random() < 0.75:
            x, y = float(place[0]), float(place[1])
            paint = colour_near(rng, (96.0, 92.0, 90.0), 0.8)
            layout.props.append(Furniture(x, y, tuple(parked_car(x, y, angle, paint))))
            layout.obstacles += [
                (x + side * math.cos(angle), y + side * math.sin(angle), 0.95) for side in (-1.2, 0.0, 1.2)
            ]
    for along in np.arange(-24, 30, rng.uniform(9, 13)):
        place = np.array([0, kerb + road + 0.7]) + ahead * along
        layout.props.append(Post(float(place[0]), float(place[1]), 5.5, 0.08, (66, 68, 70), lamp=True))
    reach = camera.half_width(kerb + road / 2)
    for side in (-1.0, 1.0):
        cross = [
            np.array([0, near_q]) + ahead * side * (reach * 0.9 + 2),
            middle + ahead * side * reach * 0.55 - left * road * 0.2,
            middle - ahead * side * reach * 0.2,
            middle - ahead * side * (reach + 5),
        ]
        layout.off_limits.append(route(np.array(cross), 1.0))
    return layout


def _trim_to_view(camera: Camera, corners: Array) -> Array:
    """Corners with those far outside of the picture drawn in to just beyond its edge."""
    out = corners.copy()
    for corner in out:
        limit = camera.half_width(max(0.0, float(corner[1]))) + 4
        if abs(corner[0]) > limit:
            corner *= limit / abs(corner[0]) if abs(corner[0]) > 0 else 1.0
    return out


def hall(rng: Rng, size: Size) -> Layout:
    """An indoor hall: a shiny floor, pillars, doors in the far wall, a kiosk, and a platform behind a cord."""
    camera = choose_camera(rng, size, (3.6, 5.5), (17, 28), (0.8, 1.15), near=(80, 150))
    floor = colour_near(rng, (158.0, 164.0, 168.0))
    layout = Layout(
        "hall", camera, choose_sun(rng, indoors=True), whole_ground("floor", floor, tile=rng.uniform(0.6, 1.2))
    )
    layout.gathering = 0.2
    near, far = camera.ground_row(size[1] - 1.0), _far_row(camera, 0.24, 26.0)
    layout.farthest = far
    wall = colour_near(rng, (168.0, 176.0, 182.0))
    reach = camera.half_width(far) * 1.6 + 4
    layout.props.append(Wall(np.array([[-reach, far + 0.5], [reach, far + 0.5]]), 5.5, wall, indoors=True))
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
        layout.props.append(Post(x, row, 5.5, 0.32, colour_near(rng, (172.0, 176.0, 178.0))))
        layout.obstacles.append((x, row, 0.8))
    kiosk_y = camera.ground_row(0.40 * size[1])
    kiosk_x = -side * camera.half_width(kiosk_y) * 0.9
    layout.props.append(
        Furniture(kiosk_x, kiosk_y, (box(kiosk_x, kiosk_y, 0.0, (2.6, 1.2, 1.1), colour_near(rng, (90.0, 110.0, 140.0))),))
    )
    layout.obstacles.append((kiosk_x, kiosk_y, 1.7))
    gates = [(s * (camera.half_width(camera.ground_row(v * size[1])) + 1.5), camera.ground_row(v * size[1]))
             for v in (0.9, 0.7, 0.52) for s in (-1.0, 1.0)]
    gates += [(rng.uniform(-0.8, 0.8) * camera.half_width(near), _below(camera)) for _ in range(2)]
    gates += [(s * 0.35 * camera.half_width(far), far + 1.5) for s in (-1.0, 1.0)]
    for index, start in enumerate(gates):
        for end in gates[index + 1 :]:
            if abs(start[0] - end[0]) + abs(start[1] - end[1]) >= 5:
                layout.routes.append(route([start, end], 1.6, around=layout.obstacles))
    outside = side * (edge + 2.0)
    layout.off_limits.append(route([(outside, y - 0.5), (platform, y), (platform - side * 3.4, y - 0.6), (-outside, y - 2)], 1))
    layout.off_limits.append(layout.off_limits[-1].turned())
    return layout


def carpark(rng: Rng, size: Size) -> Layout:
    """A car park: rows of bays with parked cars, an aisle, and a footway that everyone keeps to."""
    camera = choose_camera(rng, size, (5.5, 9.0), (17, 28), (1.1, 1.8), near=(60, 130))
    layout = Layout("carpark", camera, choose_sun(rng), whole_ground("tarmac", colour_near(rng, (104.0, 104.0, 106.0))))
    angle = rng.uniform(-0.14, 0.14)
    foot_q = camera.ground_row(rng.uniform(0.7, 0.8) * size[1])
    far = _far_row(camera, 0.2, 60.0)
    layout.farthest = far
    ahead, left = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    foot = _line(angle, foot_q)
    width = rng.uniform(2.6, 3.6)
    layout.zones.append(ground_zone(strip(foot, width + 0.3), "concrete", (168, 170, 170)))
    layout.zones.append(ground_zone(strip(foot, width), "brick", colour_near(rng, (108.0, 122.0, 146.0))))
    way = route(_trim(camera, foot), width * 0.85)
    aisle_q = foot_q + width / 2 + 3.2
    rows = [aisle_q + 5.6 + 11.0 * number for number in range(2)]
    cars = 0
    gap = rng.uniform(-4, 4)
    for number, q in enumerate(rows):
        for slot in np.arange(-30.0, 30.0, 2.6):
            if abs(slot - gap) < 2.6:
                continue
            place = np.array([0, q]) + ahead * slot
            line = np.array([place - left * 2.4, place + left * 2.4]) - ahead * 1.3
            layout.zones.append(ground_zone(strip(line, 0.1), "paint", (200, 204, 204), strength=0.7))
            inside = abs(place[0]) < camera.half_width(float(place[1])) + 3 and place[1] < far
            if inside and rng.random() < (0.55 if number == 0 else 0.75) and cars < 26:
                x, y = float(place[0]), float(place[1])
                paint = colour_near(rng, ((110.0, 108.0, 104.0), (60.0, 56.0, 140.0), (180.0, 180.0, 178.0))[cars % 3], 0.5)
                turn = angle + math.pi / 2 * rng.choice([-1.0, 1.0])
                layout.props.append(Furniture(x, y, tuple(parked_car(x, y, turn, paint, rng.uniform(0.92, 1.08)))))
                layout.obstacles.append((x, y, 1.4))
                cars += 1
    path_far = np.array([0, far + 7]) + ahead * gap
    meet = np.array([0, foot_q]) + ahead * gap
    crossing = strip(np.array([meet, path_far]), 1.8)
    layout.zones.append(ground_zone(crossing, "paint", (150, 160, 150), strength=0.5))
    layout.routes.append(way)
    for side in (-1.0, 1.0):
        start = np.array([0, foot_q]) + ahead * side * (camera.half_width(foot_q) + 3)
        layout.routes.append(route([start, meet - ahead * -side * 3, meet + left * 2, path_far], 1.3, weight=0.5))
    verge_q = foot_q - width / 2 - 0.2
    verge = strip(_line(angle, verge_q - 2.0), 3.6)
    layout.zones.append(ground_zone(verge, "grass", colour_near(rng, _GRASS)))
    _skyline(layout, rng, far + 4, angle)
    for side in (-0.8, 0.8):
        x = side * camera.half_width(rows[0])
        layout.props.append(Post(x, aisle_q + 2.6, 6.0, 0.09, (70, 72, 74), lamp=True))
    reach = camera.half_width(aisle_q) + 3
    for side in (-1.0, 1.0):
        layout.off_limits.append(route(np.array([0, aisle_q]) + ahead * np.array([[-side * reach], [side * reach]]), 1.0))
        grass = camera.half_width(verge_q - 1.5) + 2
        layout.off_limits.append(
            route(np.array([0, verge_q - 1.6]) + ahead * np.array([[-side * grass], [side * grass]]), 1.0)
        )
    return layout

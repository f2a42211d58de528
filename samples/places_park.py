"""Places on foot in the open: a walkway through a lawn, and a plaza."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from samples.ground import Stuff, strip
from samples.layouts import Furniture, Layout, Post, choose_camera, choose_sun, colour_near, ground_zone, whole_ground
from samples.props import bench, box
from samples.routes import Route, route, thinned
from samples.siting import GRASS, PAVING, Axes, Rng, Size, below, crosses_view, far_row, plant, skyline, trim

if TYPE_CHECKING:
    from samples.camera import Array
    from samples.drawing import Colour
_SURFACES: tuple[tuple[Stuff, Colour], ...] = (
    ("paving", PAVING),
    ("concrete", (158.0, 162.0, 166.0)),
    ("tarmac", (112.0, 112.0, 114.0)),
)


def walkway(rng: Rng, size: Size) -> Layout:
    """A footpath through a lawn, across the picture or away from the camera, and a second path that joins it."""
    camera = choose_camera(rng, size, (4.0, 7.0), (13, 24), (1.1, 1.8))
    layout = Layout("walkway", camera, choose_sun(rng), whole_ground("grass", colour_near(rng, GRASS)))
    layout.farthest = far_row(camera, 0.2)
    width = rng.uniform(3.2, 5.0)
    stuff, colour = _SURFACES[int(rng.integers(len(_SURFACES)))]
    colour = colour_near(rng, colour)
    across = rng.random() < 0.65
    main, branch = (_paths_across if across else _paths_away)(layout, rng, width)
    # The edges of both come first, so that no edge crosses a path.
    layout.zones += [
        ground_zone(strip(way.points, way.width + 0.25), "concrete", (150, 152, 152)) for way in (branch, main)
    ]
    layout.zones += [
        ground_zone(strip(way.points, way.width), stuff, colour, tile=rng.uniform(0.4, 0.8)) for way in (branch, main)
    ]
    _green(layout, rng, [main.points, branch.points], main.width)
    skyline(layout, rng, layout.farthest + 4.0)
    _lawn_ways(layout, main, across=across)
    return layout


def _paths_across(layout: Layout, rng: Rng, width: float) -> tuple[Route, Route]:
    """A path from side to side and one that leaves it into the distance; people take either, or turn off."""
    camera = layout.camera
    angle = rng.uniform(-0.2, 0.2)
    middle = camera.ground_row(rng.uniform(0.58, 0.68) * camera.height)
    main = route(trim(camera, Axes(middle, angle).line(0.0)), width)
    turn = camera.half_width(middle) * rng.uniform(-0.5, 0.5)
    join = np.array([turn, middle + turn * math.tan(angle)])
    side = 1.0 if rng.random() < 0.5 else -1.0
    end = np.array([side * camera.half_width(layout.farthest) * 0.8, layout.farthest + 7])
    bend = (join + end) / 2 + np.array([-side * 1.5, 1.0])
    branch = route([join, join + np.array([0.5 * side, 3.5]), bend, end], width * 0.75)
    for part in (slice(None), slice(None, None, -1)):
        head = main.points[part]
        meet = int(np.argmin(np.linalg.norm(head - branch.points[0], axis=1)))
        via = np.concatenate([head[: max(1, meet - 8)], branch.points[10:]])
        layout.routes.append(route(thinned(via, 8), width * 0.7, weight=0.45))
    layout.routes.append(main)
    return main, branch


def _paths_away(layout: Layout, rng: Rng, width: float) -> tuple[Route, Route]:
    """A winding path that leads away from the camera and one that crosses it."""
    camera = layout.camera
    near, far = camera.ground_row(camera.height - 1.0), layout.farthest
    lean = rng.uniform(-0.35, 0.35)
    main = route(
        [
            (lean * camera.half_width(near), below(camera)),
            (-0.3 * lean * camera.half_width(near), near * 1.6),
            (lean * 4, (near + far) / 2),
            (-lean * camera.half_width(far), far + 8),
        ],
        width,
    )
    crossing = camera.ground_row(rng.uniform(0.45, 0.56) * camera.height)
    branch = route(trim(camera, Axes(crossing, rng.uniform(-0.15, 0.15)).line(0.0)), width * 0.75, weight=0.6)
    layout.routes += [main, branch]
    return main, branch


def _lawn_ways(layout: Layout, main: Route, *, across: bool) -> None:
    """Ways over the lawn: beside a path that crosses the picture, or right across one that leads away."""
    camera = layout.camera
    clear = [(x, y, radius + 0.4) for x, y, radius in layout.obstacles]
    if across:
        beyond = strip(main.points, 2 * (main.width / 2 + 2.0))
        count = len(main.points)
        layout.off_limits += [route(thinned(side, 8), 1.0, around=clear) for side in (beyond[:count], beyond[count:])]
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
            plant(layout, rng, x, y)
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
    ground = colour_near(rng, PAVING)
    layout = Layout("plaza", camera, choose_sun(rng), whole_ground("paving", ground, tile=tile, turn=turn))
    layout.gathering = 0.22
    near, far = camera.ground_row(size[1] - 1.0), far_row(camera, 0.22, 45.0)
    layout.farthest = far
    band = colour_near(rng, (122.0, 128.0, 140.0))
    for q in np.arange(near + 1, far, rng.uniform(4, 7)):
        layout.zones.append(ground_zone(strip(Axes(float(q), turn).line(0.0), 0.6), "brick", band))
    lawn_y = camera.ground_row(rng.uniform(0.62, 0.72) * size[1])
    side = 1.0 if rng.random() < 0.5 else -1.0
    edge = camera.half_width(lawn_y)
    _lawn(layout, rng, side, lawn_y, edge)
    _planters(layout, rng)
    for _ in range(3):
        y = camera.ground_row(rng.uniform(0.3, 0.5) * size[1])
        x = rng.choice([-1.0, 1.0]) * camera.half_width(y) * rng.uniform(0.75, 0.95)
        layout.props.append(Post(x, y, 5.0, 0.08, (66, 70, 68), lamp=True))
        layout.obstacles.append((x, y, 0.3))
    _crossings(layout, rng, near, far)
    skyline(layout, rng, far + 1.5, rng.uniform(-0.06, 0.06))
    return layout


def _lawn(layout: Layout, rng: Rng, side: float, y: float, edge: float) -> None:
    """A lawn with a kerb at one side of a plaza, which nobody steps on."""
    depth, width = rng.uniform(4.0, 6.0), edge * rng.uniform(0.65, 0.85)
    middle = side * (edge + 1.0 - width / 2 + 0.5)
    line = np.array([[middle - width / 2, y], [middle + width / 2, y]])
    layout.zones.append(ground_zone(strip(line, depth + 0.3), "concrete", (165, 168, 170)))
    layout.zones.append(ground_zone(strip(line, depth), "grass", colour_near(rng, GRASS)))
    layout.obstacles += [(middle + share * width, y, depth * 0.62) for share in (-0.33, 0.0, 0.33)]
    start, end = (side * (edge + 2.5), y + 0.6), (middle - side * (width / 2 + 0.5), y - 0.4)
    beyond = (-side * edge * 0.4, y - 2.5)
    layout.off_limits.append(route([start, (middle, y), end, beyond, (-side * (edge + 2), y - 2.0)], 1.0))
    layout.off_limits.append(layout.off_limits[-1].turned())


def _planters(layout: Layout, rng: Rng) -> None:
    """Up to two raised beds with hedges, one of them around a tree."""
    camera = layout.camera
    spots: list[tuple[float, float]] = []
    for _ in range(40):
        y = camera.ground_row(rng.uniform(0.36, 0.72) * camera.height)
        x = rng.uniform(-0.85, 0.85) * camera.half_width(y)
        room = all(math.hypot(x - a, y - b) > radius + 4.0 for a, b, radius in layout.obstacles)
        if room and all(math.hypot(x - a, y - b) > 6.5 for a, b in spots) and len(spots) < 2:
            spots.append((x, y))
    for number, (x, y) in enumerate(spots):
        side = rng.uniform(1.6, 2.6)
        ring = strip(np.array([[x - side, y], [x + side, y]]), side * 1.6)
        stone = colour_near(rng, (150.0, 156.0, 160.0))
        rim = box(x, y, 0.0, (2 * side, 1.6 * side, 0.45), stone)
        hedge = box(x, y, 0.0, (1.8 * side, 1.4 * side, 0.12), colour_near(rng, (48.0, 82.0, 66.0)), lift=0.45)
        layout.props.append(Furniture(x, y, (rim, hedge)))
        layout.zones.append(ground_zone(ring, "concrete", stone))
        layout.obstacles.append((x, y, side * 1.25))
        if number == 0:
            plant(layout, rng, x, y, 0.75)


def _crossings(layout: Layout, rng: Rng, near: float, far: float) -> None:
    """Ways from every side of the plaza to every other, some of them by a detour."""
    camera = layout.camera
    gates: list[tuple[float, float]] = []
    for share in (0.85, 0.6, 0.42):
        y = camera.ground_row(share * camera.height)
        gates += [(side * (camera.half_width(y) + 2.0), y) for side in (-1.0, 1.0)]
    gates += [(rng.uniform(-0.7, 0.7) * camera.half_width(near), below(camera)) for _ in range(2)]
    gates += [(rng.uniform(-0.7, 0.7) * camera.half_width(far), far + 4.0) for _ in range(2)]
    for index, start in enumerate(gates):
        for end in gates[index + 1 :]:
            if math.dist(start, end) < 8 or not crosses_view(camera, start, end):
                continue
            y = rng.uniform(near + 2, far - 3)
            via = (rng.uniform(-0.5, 0.5) * camera.half_width(y), y)
            stops = [start, via, end] if rng.random() < 0.4 else [start, end]
            way = route(stops, 2.4, around=layout.obstacles)
            if all(np.hypot(*(way.points - spot[:2]).T).min() > 0.9 * spot[2] for spot in layout.obstacles):
                layout.routes.append(way)

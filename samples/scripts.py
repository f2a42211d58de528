"""The scripts of single events: who passes by, who throws, who leaves something behind."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from samples.actors import Cart, Cyclist, Figure, Skater, Thing
from samples.appearance import Appearance, choose_appearance
from samples.routes import SPACING, Route
from samples.settings import Kind, SceneError
from samples.tracks import ARM, ARM_ANGLE, COLUMNS, HEADING, PHASE, STEP, STOOP, Track, TruthSpan, X, Y, Z, walk_states

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samples.camera import Array
    from samples.drawing import Colour
    from samples.layouts import Layout
    from samples.settings import EventPlan

_SPEEDS: Final[dict[Kind, tuple[float, float]]] = {
    "cyclist": (3.6, 6.5),
    "skater": (3.0, 5.0),
    "cart": (2.6, 4.8),
    "runner": (3.2, 5.0),
    "off_path": (1.2, 1.8),
}
_LENGTHS: Final = (2.5, 8.0)
_LEAST_HEIGHT: Final = 22.0
_OFF: Final = 0.4
"""Metres beyond a route's edge from which on a walker counts as off the path."""
_PAINTS: Final[tuple[Colour, ...]] = (
    (40, 40, 160),
    (150, 90, 40),
    (60, 130, 60),
    (40, 40, 44),
    (190, 190, 188),
    (40, 150, 200),
)


@dataclass(frozen=True, slots=True)
class Cast:
    """What a script needs to know.

    Attributes:
        layout: the place.
        rng: decides.
        event: number of the event.
        plan: kind and start.
        duration: of the clip in seconds.
        number: of the first track that comes out.
    """

    layout: Layout
    rng: np.random.Generator
    event: int
    plan: EventPlan
    duration: float
    number: int

    def paint(self) -> Colour:
        """Some colour for a vehicle or a thing."""
        return _PAINTS[int(self.rng.integers(len(_PAINTS)))]


@dataclass(frozen=True, slots=True)
class _View:
    """What the camera sees along a route: per point, whether at all, whether whole, and how tall a person is (px)."""

    seen: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    tall: Array


def _view(layout: Layout, points: Array) -> _View:
    camera = layout.camera
    feet = camera.project(np.concatenate([points, np.zeros((len(points), 1))], axis=1))
    heads = camera.project(np.concatenate([points, np.full((len(points), 1), 1.8)], axis=1))
    tall = (feet[:, 1] - heads[:, 1]) * 360 / camera.height
    room = 0.6 * camera.focal / feet[:, 2]
    behind = layout.behind_walls(points) | (points[:, 1] < 0.5)
    seen = (feet[:, 0] > -room) & (feet[:, 0] < camera.width + room) & (heads[:, 1] < camera.height) & ~behind
    whole = seen & (feet[:, 0] > room) & (feet[:, 0] < camera.width - room) & (feet[:, 1] < camera.height)
    return _View(seen, whole & (heads[:, 1] > 0), tall)


def _longest(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """First and last index of the longest run of true values; (0, -1) when there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    if not len(edges):
        return 0, -1
    runs = edges.reshape(-1, 2)
    best = runs[int(np.argmax(runs[:, 1] - runs[:, 0]))]
    return int(best[0]), int(best[1]) - 1


def _choose_way(cast: Cast) -> tuple[Route, float, int]:
    """A way on which the actor is seen well, the speed along it, and the point at which it comes into view."""
    kind = cast.plan.kind
    slow, fast = _SPEEDS[kind]
    ways = cast.layout.off_limits if kind == "off_path" else cast.layout.routes
    longest = 14.0 if kind == "off_path" else _LENGTHS[1]
    choices: list[tuple[float, Route, float, int]] = []
    for both in ways:
        for way in (both, both.turned()):
            view = _view(cast.layout, way.points)
            shown = view.seen
            if kind == "off_path":
                shown = shown & (_clearance(cast.layout, way.points) > _OFF)
            first, last = _longest(shown)
            if last - first < 8:
                continue
            part = slice(first, last + 1)
            length = (last - first) * SPACING
            low, high = max(slow, length / longest), min(fast, length / _LENGTHS[0])
            misfit = max(0.0, low - high) + max(0.0, _LENGTHS[0] - length / fast)
            if low > high:
                low = high = fast if low > fast else slow
            good = float((view.whole[part] & (view.tall[part] >= _LEAST_HEIGHT)).mean())
            score = (
                good
                - misfit
                + 0.25 * cast.rng.random()
                + 0.15 * min(way.width / 3, 1.0)
                + 0.3 * min(length / 8, 1.0)
                + 0.15 * min(float(np.median(view.tall[part])) / 60, 1.0)
            )
            choices.append((score, way, float(cast.rng.uniform(low, high)), first))
    if not choices:
        raise SceneError(f"event {kind}: no way in the layout {cast.layout.name} shows it; try another layout")
    _, way, speed, first = max(choices, key=lambda choice: choice[0])
    return way, speed, first


def _along(way: Route, run: Array, offset: float = 0.0) -> Array:
    """Points of a way after ``run`` ``(T,)`` metres, ``offset`` to its left; beyond the ends it goes on straight."""
    place = run / SPACING
    index = np.clip(place.astype(int), 0, len(way.points) - 2)
    ahead = way.points[index + 1] - way.points[index]
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    spots = way.points[index] + ahead * ((place - index) * SPACING)[:, None]
    return np.asarray(spots + offset * np.stack([-ahead[:, 1], ahead[:, 0]], axis=1))


def pass_by(cast: Cast) -> Track:
    """Somebody or something passes through: cyclist, skater, cart, runner, or a walker off the path."""
    rng, kind = cast.rng, cast.plan.kind
    way, speed, first = _choose_way(cast)
    enters = first * SPACING
    begin = max(math.floor((cast.plan.start - enters / speed) / STEP) * STEP, -STEP)
    end = cast.plan.start + (way.length - enters) / speed
    times = np.arange(begin, end + STEP, STEP)
    run = enters + speed * (times - cast.plan.start) + 0.15 * np.sin(0.9 * (times - cast.plan.start))
    offset = 0.0 if kind == "cart" else float(rng.uniform(-0.2, 0.2)) * way.width
    places = _along(way, run, offset)
    rider = choose_appearance(rng)
    figure: Figure = rider
    states = walk_states(places, rider.height, run=1.0 if kind == "runner" else 0.0, phase=float(rng.random()))
    if kind == "cyclist":
        figure = Cyclist(rider, cast.paint())
        states[:, PHASE] = run / 4.5
    elif kind == "skater":
        figure = Skater(rider, cast.paint())
        states[:, PHASE] = times * 0.45
    elif kind == "cart":
        riders = (rider, choose_appearance(rng)) if rng.random() < 0.6 else (rider,)
        figure = Cart(riders, cast.paint())
    span = TruthSpan(cast.event, kind, float(times[0]), end)
    if kind == "off_path":
        span = TruthSpan(cast.event, kind, *_off_the_path(cast.layout, places, times, cast.plan.start))
    return Track(cast.number, figure, float(times[0]), states, span)


def _clearance(layout: Layout, places: Array) -> Array:
    """Metres from places ``(T, 2)`` to the nearest edge of a route; negative on one."""
    free = np.full(len(places), np.inf)
    for way in layout.routes:
        away = np.linalg.norm(places[:, None] - way.points[None, ::2], axis=2).min(axis=1)
        free = np.minimum(free, away - way.width / 2)
    return free


def _off_the_path(layout: Layout, places: Array, times: Array, start: float) -> tuple[float, float]:
    """From when to when somebody is off every route: the span that begins at about ``start`` seconds."""
    off = (_clearance(layout, places) > _OFF) & (times >= start - STEP)
    first = int(np.argmax(off)) if off.any() else 0
    back = np.flatnonzero(~off[first:])
    last = first + int(back[0]) - 1 if off.any() and len(back) else len(times) - 1
    return float(times[first]), float(times[last])


def _choose_spot(cast: Cast, tall: tuple[float, float]) -> tuple[Route, int]:
    """A point of a route at which a person is ``tall`` pixels high (of 360) and well inside the picture."""
    camera = cast.layout.camera
    best: list[tuple[float, Route, int]] = []
    for both in cast.layout.routes:
        for way in (both, both.turned()):
            view = _view(cast.layout, way.points)
            feet = camera.project(np.concatenate([way.points, np.zeros((len(way.points), 1))], axis=1))
            aside = np.abs(feet[:, 0] / camera.width - 0.5)
            miss = np.maximum(tall[0] - view.tall, 0) / 15 + np.maximum(view.tall - tall[1], 0) / 15
            low = np.maximum(feet[:, 1] / camera.height - 0.88, 0)
            score = miss + 3.0 * np.maximum(aside - 0.3, 0) + 40.0 * low + 9.0 * ~view.whole
            score = score + 0.25 * cast.rng.random(len(score))
            score[: max(8, int(3 / SPACING))] += 5.0
            index = int(np.argmin(score))
            best.append((float(score[index]), way, index))
    if not best:
        raise SceneError(f"event {cast.plan.kind}: the layout {cast.layout.name} has no routes")
    _, way, index = min(best, key=lambda choice: choice[0])
    return way, index


def _stop_and_go(cast: Cast, way: Route, spot: int, look: Appearance, stay: float) -> tuple[Array, Array]:
    """Times ``(T,)`` and states ``(T, 10)`` of somebody who walks to a spot, stands for ``stay`` s, and walks on."""
    speed = float(cast.rng.uniform(1.1, 1.45))
    slow = 0.7
    reached = spot * SPACING
    start = cast.plan.start
    begin = max(start - (reached + slow * speed / 2) / speed - STEP, -STEP)
    after = (way.length - reached) / speed + slow
    count = math.ceil((start + stay + after - begin) / STEP)
    times = np.asarray(begin + STEP * np.arange(count), dtype=np.float64)
    # Distance to the spot under a constant deceleration that ends at `start`, and its mirror image afterwards.
    before = np.minimum(times - start, 0.0)
    away = np.maximum(times - start - stay, 0.0)

    def run(elapsed: Array) -> Array:
        return np.where(elapsed < slow, speed * elapsed**2 / (2 * slow), speed * (elapsed - slow / 2))

    distance = reached - run(-before) + run(away)
    offset = float(cast.rng.uniform(-0.25, 0.25)) * way.width
    states = walk_states(_along(way, distance, offset), look.height, phase=float(cast.rng.random()))
    return times, states


def throw(cast: Cast) -> list[Track]:
    """Somebody stops, throws a thing across the picture, and walks on; the thing bounces and comes to rest."""
    rng, camera, start = cast.rng, cast.layout.camera, cast.plan.start
    look = choose_appearance(rng)
    way, spot = _choose_spot(cast, (75, 120))
    times, states = _stop_and_go(cast, way, spot, look, stay=2.2)
    swing = times - start
    windup, release = 0.55, 0.8
    angle = np.interp(swing, [0.0, windup, release, 1.1, 1.6], [0.1, -1.3, 1.7, 1.2, 0.0])
    states[:, ARM] = np.interp(swing, [-0.2, 0.1, 1.1, 1.7], [0, 1, 1, 0])
    states[:, ARM_ANGLE] = angle
    states[:, STOOP] = np.interp(swing, [0.0, windup, release, 1.2], [0, -0.15, 0.3, 0])
    here = _along(way, np.array([spot * SPACING]))[0]
    aim = -1.0 if here[0] > 0 else 1.0
    room = camera.half_width(float(here[1])) - aim * float(here[0])
    far = float(np.clip((room - 1.0) / _REACH, 2.0, 6.0)) * rng.uniform(0.85, 1.0)
    direction = np.array([aim, rng.uniform(0.0, 0.3)])
    _face(states, times, (start - 0.4, start + 2.2), math.atan2(direction[1], direction[0]))
    shapes: tuple[str, ...] = ("ball", "ball", "box", "bag")
    shape = shapes[int(rng.integers(len(shapes)))]
    size = rng.uniform(0.48, 0.6) if shape == "ball" else rng.uniform(0.6, 0.75)
    thing = Thing("ball" if shape == "ball" else "box" if shape == "box" else "bag", float(size), cast.paint())
    flight = _flight(states, times, start + release, direction / np.hypot(*direction) * far, cast.duration)
    rest = start + release + _FLIGHT_LENGTH
    person = TruthSpan(cast.event, "thrown_object", start, start + release + 0.4)
    return [
        Track(cast.number, look, float(times[0]), states, person),
        Track(cast.number + 1, thing, float(times[0]), flight, TruthSpan(cast.event, "thrown_object", start, rest)),
    ]


_HOPS: Final = (1.2, 0.6, 0.3)
_ROLL: Final = 0.7
_REACH: Final = 1.52
"""How far the thing comes in all, against the way to its first bounce."""
_FLIGHT_LENGTH: Final = sum(_HOPS) + _ROLL


def _face(states: Array, times: Array, span: tuple[float, float], heading: float) -> None:
    """Turn to a heading for a while, in place, and back afterwards."""
    usual = states[:, HEADING]
    turn = (heading - usual + math.pi) % (2 * math.pi) - math.pi
    begin, end = span
    share = np.interp(times, [begin, begin + 0.5, end - 0.3, end + 0.5], [0, 1, 1, 0])
    held = float(turn[int(np.argmin(np.abs(times - begin)))])
    states[:, HEADING] = usual + share * held


def _flight(carrier: Array, times: Array, release: float, throw_by: Array, duration: float) -> Array:
    """States of a thing carried until ``release`` s, then thrown; ``throw_by`` ``(2,)`` metres to its first bounce."""
    count = max(len(times), math.ceil((duration - float(times[0])) / STEP) + 2)
    clock = float(times[0]) + STEP * np.arange(count)
    out = np.zeros((count, COLUMNS))
    held = np.minimum(np.arange(count), len(times) - 1)
    heading = carrier[held, HEADING]
    arm = np.where(carrier[held, ARM] > 0.3, carrier[held, ARM_ANGLE], 0.15)
    reach = 0.62 * np.sin(arm)
    out[:, X] = carrier[held, X] + reach * np.cos(heading) + 0.22 * np.sin(heading)
    out[:, Y] = carrier[held, Y] + reach * np.sin(heading) - 0.22 * np.cos(heading)
    out[:, Z] = np.maximum(1.35 - 0.62 * np.cos(arm) - 0.2, 0.0)
    out[:, HEADING] = heading
    gone = int(np.searchsorted(clock, release))
    hand = out[gone].copy()
    elapsed = clock[gone:] - clock[gone]
    edges = np.concatenate([[0.0], np.cumsum(_HOPS), [_FLIGHT_LENGTH]])
    share = np.interp(elapsed, edges, [0.0, 1.0, 1.28, 1.38, _REACH])
    roll = np.clip((elapsed - edges[3]) / _ROLL, 0, 1)
    share = np.where(elapsed > edges[3], 1.38 + (_REACH - 1.38) * (1 - (1 - roll) ** 2), share)
    out[gone:, X] = hand[X] + throw_by[0] * share
    out[gone:, Y] = hand[Y] + throw_by[1] * share
    height = np.zeros(len(elapsed))
    for number, length in enumerate(_HOPS):
        t = np.clip(elapsed - edges[number], 0.0, length)
        inside = (elapsed >= edges[number]) & (elapsed < edges[number + 1])
        fall = hand[Z] * (1 - t / length) if number == 0 else 0.0
        height = np.where(inside, fall + 4.9 * t * (length - t), height)
    out[gone:, Z] = height
    out[gone:, PHASE] = share / _REACH
    out[gone:, HEADING] = math.atan2(throw_by[1], throw_by[0])
    return out


def leave_behind(cast: Cast) -> list[Track]:
    """Somebody brings a bag, a box or a suitcase, stoops to put it down, and goes."""
    rng, start = cast.rng, cast.plan.start
    look = choose_appearance(rng)
    way, spot = _choose_spot(cast, (70, 120))
    times, states = _stop_and_go(cast, way, spot, look, stay=2.0)
    down, up = 0.8, 1.6
    states[:, STOOP] = np.interp(times - start, [0.0, down, down + 0.25, up], [0, 0.9, 0.9, 0])
    states[:, ARM] = np.interp(times - start, [-0.3, 0.1, 1.2, 1.8], [0.9, 1, 1, 0])
    states[:, ARM_ANGLE] = np.interp(times - start, [0.0, down, up], [0.05, 0.7, 0.0])
    shapes: tuple[str, ...] = ("suitcase", "box", "bag")
    shape = shapes[int(rng.integers(3))]
    thing = Thing(
        "suitcase" if shape == "suitcase" else "box" if shape == "box" else "bag",
        float(rng.uniform(0.55, 0.75)),
        cast.paint(),
    )
    count = max(len(times), math.ceil((cast.duration - float(times[0])) / STEP) + 2)
    clock = float(times[0]) + STEP * np.arange(count)
    at_rest = int(np.searchsorted(clock, start + down))
    held = np.minimum(np.arange(count), min(at_rest, len(times) - 1))
    heading = states[held, HEADING]
    lowered = np.clip((clock - start) / down, 0.0, 1.0)
    aside, ahead = 0.32, 0.1 + 0.3 * lowered
    out = np.zeros((count, COLUMNS))
    out[:, X] = states[held, X] + ahead * np.cos(heading) + aside * np.sin(heading)
    out[:, Y] = states[held, Y] + ahead * np.sin(heading) - aside * np.cos(heading)
    carried = 0.12 if thing.shape == "suitcase" else 0.4
    out[:, Z] = carried * (1 - lowered)
    out[:, HEADING] = heading
    kind = cast.plan.kind
    return [
        Track(cast.number, look, float(times[0]), states, TruthSpan(cast.event, kind, start, start + up)),
        Track(cast.number + 1, thing, float(times[0]), out, TruthSpan(cast.event, kind, start, start + down + 2.0)),
    ]

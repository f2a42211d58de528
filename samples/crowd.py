"""The normal people: they follow routes, keep out of each other's way, stop now and then, and leave at the other end.

A small social-force simulation on the fixed clock of :mod:`samples.tracks`: everyone is drawn towards a point a little
further along the route and pushed aside by whoever is about to come too near.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from samples.actors import REACH
from samples.appearance import Appearance, choose_appearance
from samples.routes import SPACING
from samples.settings import random_stream
from samples.tracks import STEP, Track, TruthSpan, X, Y, walk_states

if TYPE_CHECKING:
    from collections.abc import Sequence

    from samples.camera import Array
    from samples.layouts import Layout
    from samples.routes import Route

_LOOK_AHEAD = 1.2
_RELAX = 0.45
_FLEE_RELAX = 0.3
_ROOM = 0.62


@dataclass(frozen=True, slots=True)
class Scatter:
    """A moment at which everyone in the picture runs apart.

    Attributes:
        event: number of the event within the scene.
        start: seconds.
    """

    event: int
    start: float


@dataclass(slots=True)
class _Walker:
    """One person on the way from one end of a route to the other."""

    look: Appearance
    ways: int
    along: float
    offset: float
    speed: float
    position: Array
    velocity: Array
    pause_at: float
    pause: float
    began: float
    flee: Array | None = None
    flees_from: float = math.inf
    event: int = -1
    facing: float | None = None
    places: list[Array] = field(default_factory=list)
    runs: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Unit:
    """One to three people who walk together, and those who come in their place once they are gone."""

    number: int
    size: int
    returns: bool
    generation: int = 0
    wait: float = 0.0
    walkers: list[_Walker] = field(default_factory=list)


class Crowd:
    """Simulates the people of one scene.

    Args:
        layout: the place.
        seed: of the scene.
        density: people in the picture at a time, on average.
        others: tracks of event actors, whom people avoid.
        scatters: when everyone runs.
        first_number: of the tracks that come out.
    """

    def __init__(
        self,
        layout: Layout,
        seed: int,
        density: float,
        others: Sequence[Track],
        scatters: Sequence[Scatter],
        first_number: int,
    ) -> None:
        self._layout = layout
        self._seed = seed
        self._others = [track for track in others if type(track.figure) in REACH]
        self._scatters = list(scatters)
        self._number = first_number
        self._ways: list[Route] = [way for both in layout.routes for way in (both, both.turned())]
        weights = np.array([way.weight for way in self._ways])
        self._weights = weights / weights.sum()
        self._obstacles = np.array(layout.obstacles).reshape(-1, 3)
        self._done: list[Track] = []
        self._seen = [_visible(layout, way.points) for way in self._ways]
        share = float(sum(w * seen.mean() for w, seen in zip(self._weights, self._seen, strict=True)))
        self._units = self._make_units(density / max(share, 0.2) * 1.1)

    def run(self, duration: float) -> list[Track]:
        """Simulate from 0 to ``duration`` seconds; everybody's tracks."""
        for unit in self._units:
            self._spawn(unit, 0.0, scattered=True)
        for step in range(math.ceil(duration / STEP) + 3):
            self._advance(step * STEP)
        for unit in self._units:
            for walker in unit.walkers:
                self._finish(walker)
        return self._done

    def _make_units(self, people: float) -> list[_Unit]:
        rng = np.random.default_rng(random_stream(self._seed, 4))
        units: list[_Unit] = []
        total = 0.0
        while total + 0.5 < people:
            size = min(1 + int(rng.choice(3, p=[0.66, 0.27, 0.07])), max(1, round(people - total)))
            units.append(_Unit(len(units), size, returns=True))
            total += size
        for scatter in self._scatters:
            for _ in range(max(3, 7 - int(people / 2))):
                units.append(_Unit(len(units), 1, returns=False, wait=scatter.start))
        return units

    def _spawn(self, unit: _Unit, now: float, *, scattered: bool = False) -> None:
        """Let a unit enter; ``scattered`` spreads it along its way, as at the start of the clip."""
        rng = np.random.default_rng(random_stream(self._seed, 5, unit.number, unit.generation))
        unit.generation += 1
        chosen = int(rng.choice(len(self._ways), p=self._weights))
        way = self._ways[chosen]
        speed = float(np.clip(rng.normal(1.28, 0.2), 0.8, 1.7))
        # People keep to the right half of a way more often than not.
        room = way.width / 2 - 0.3
        offset = float(np.clip(rng.normal(-0.25 * room, 0.5 * room), -room, room))
        along = rng.uniform(0, 0.92) * way.length if scattered else 0.0
        if not unit.returns:
            seen = np.flatnonzero(self._seen[chosen])
            middle = float(rng.choice(seen)) * SPACING if len(seen) else way.length / 2
            along = middle - speed * (unit.wait - now)
        stops = rng.random() < self._layout.gathering * (0.5 if unit.size == 1 else 1.2)
        pause_at = rng.uniform(0.25, 0.75) * way.length if stops else math.inf
        pause = rng.uniform(3, 14)
        for member in range(unit.size):
            side = (member - (unit.size - 1) / 2) * 0.68
            place, ahead = self._on_way(chosen, along, offset + side)
            unit.walkers.append(
                _Walker(
                    look=choose_appearance(rng),
                    ways=chosen,
                    along=along,
                    offset=offset + side,
                    speed=speed * float(rng.uniform(0.97, 1.03)),
                    position=place,
                    velocity=ahead * speed,
                    pause_at=pause_at,
                    pause=pause + float(rng.uniform(0, 0.7)),
                    began=now,
                )
            )

    def _on_way(self, chosen: int, along: float, offset: float) -> tuple[Array, Array]:
        """Point of a way, ``offset`` metres to its left, and the direction there; the ends go on straight."""
        points = self._ways[chosen].points
        place = along / SPACING
        index = min(max(int(place), 0), len(points) - 2)
        ahead = points[index + 1] - points[index]
        ahead = ahead / max(float(np.hypot(*ahead)), 1e-9)
        spot = points[index] + ahead * (place - index) * SPACING
        return spot + offset * np.array([-ahead[1], ahead[0]]), ahead

    def _advance(self, now: float) -> None:
        """One step of the clock for everybody."""
        for unit in self._units:
            if not unit.walkers and unit.returns:
                unit.wait -= STEP
                if unit.wait <= 0:
                    self._spawn(unit, now)
        walkers = [walker for unit in self._units for walker in unit.walkers]
        if walkers:
            for scatter in self._scatters:
                if scatter.start <= now < scatter.start + STEP:
                    self._startle(walkers, scatter, now)
            self._move(walkers, now)
        for unit in self._units:
            gone = [walker for walker in unit.walkers if self._left(walker)]
            for walker in gone:
                self._finish(walker)
                unit.walkers.remove(walker)
            if gone and not unit.walkers:
                rng = np.random.default_rng(random_stream(self._seed, 6, unit.number, unit.generation))
                unit.wait = float(rng.exponential(1.5)) + (6.0 if gone[-1].flee is not None else 0.0)

    def _startle(self, walkers: list[_Walker], scatter: Scatter, now: float) -> None:
        """Make everyone in the picture run away from the middle of the crowd."""
        places = np.array([walker.position for walker in walkers])
        seen = _visible(self._layout, places)
        rng = np.random.default_rng(random_stream(self._seed, 7, scatter.event))
        if not seen.any():
            return
        focus = np.median(places[seen], axis=0)
        for walker, inside in zip(walkers, seen, strict=True):
            if not inside:
                continue
            away = walker.position - focus + rng.normal(0, 0.8, 2)
            away = away * np.array([1.0, 0.55])
            walker.flee = away / max(float(np.hypot(*away)), 1e-6)
            walker.flees_from = now + float(rng.uniform(0, 0.35))
            walker.speed = float(rng.uniform(3.3, 5.0))
            walker.event = scatter.event

    def _move(self, walkers: list[_Walker], now: float) -> None:
        wanted = np.empty((len(walkers), 2))
        relax = np.full(len(walkers), _RELAX)
        for index, walker in enumerate(walkers):
            if walker.flee is not None and now >= walker.flees_from:
                wanted[index] = walker.flee * walker.speed
                relax[index] = _FLEE_RELAX
                continue
            if walker.along >= walker.pause_at and walker.pause > 0:
                walker.pause -= STEP
                wanted[index] = 0.0
                continue
            target, _ = self._on_way(walker.ways, walker.along + _LOOK_AHEAD, walker.offset)
            step = target - walker.position
            wanted[index] = step / max(float(np.hypot(*step)), 1e-6) * walker.speed
        places = np.array([walker.position for walker in walkers])
        speeds = np.array([walker.velocity for walker in walkers])
        push = self._pushes(places, speeds, now)
        standing = np.hypot(wanted[:, 0], wanted[:, 1]) < 0.1
        push[standing] *= 0.25
        speeds += ((wanted - speeds) / relax[:, None] + push) * STEP
        fastest = np.maximum(np.hypot(wanted[:, 0], wanted[:, 1]) * 1.15, 0.35)
        speeds *= np.minimum(1.0, fastest / np.maximum(np.hypot(speeds[:, 0], speeds[:, 1]), 1e-9))[:, None]
        places = places + speeds * STEP
        for index, walker in enumerate(walkers):
            _, ahead = self._on_way(walker.ways, walker.along, 0.0)
            walker.along += float(ahead @ speeds[index]) * STEP
            walker.position, walker.velocity = places[index], speeds[index]
            walker.places.append(places[index])
            pace = float(np.hypot(*speeds[index]))
            walker.runs.append(min(max((pace - 1.9) / 1.0, 0.0), 1.0) if walker.flee is not None else 0.0)

    def _pushes(self, places: Array, speeds: Array, now: float) -> Array:
        """Accelerations ``(N, 2)`` that keep people apart, judged by where they will be in half a second."""
        ahead = places + 0.5 * speeds
        total = _repulsion(ahead, ahead, np.full(len(ahead), _ROOM), 2.2, 0.22)
        passing = [track for track in self._others if track.start <= now <= track.end]
        if passing:
            spots = np.array([track.at(now + 0.5)[[X, Y]] for track in passing])
            reach = np.array([REACH[type(track.figure)] + 0.5 for track in passing])
            total += _repulsion(ahead, spots, reach, 3.0, 0.3)
        if len(self._obstacles):
            total += _repulsion(ahead, self._obstacles[:, :2], self._obstacles[:, 2] + 0.15, 2.5, 0.18)
        return total

    def _left(self, walker: _Walker) -> bool:
        if walker.flee is not None:
            return not bool(_visible(self._layout, walker.position[None], margin=3.0)[0])
        return walker.along >= self._ways[walker.ways].length - 0.3

    def _finish(self, walker: _Walker) -> None:
        """Turn what a walker did into a track."""
        if len(walker.places) < 3:
            return
        rng = np.random.default_rng(random_stream(self._seed, 8, self._number))
        truth = None
        if walker.event >= 0:
            end = walker.began + len(walker.places) * STEP
            truth = TruthSpan(walker.event, "scatter", walker.flees_from, end)
        places = np.array(walker.places)
        first = math.atan2(walker.velocity[1], walker.velocity[0])
        states = walk_states(
            places, walker.look.height, run=np.array(walker.runs), phase=float(rng.random()), heading=first
        )
        self._done.append(Track(self._number, walker.look, walker.began, states, truth))
        self._number += 1


def _visible(layout: Layout, places: Array, margin: float = 0.0) -> Array:
    """Which ground points ``(K, 2)`` lie in the picture, or within ``margin`` metres of it: booleans ``(K,)``."""
    camera = layout.camera
    pixels = camera.project(np.concatenate([places, np.zeros((len(places), 1))], axis=1))
    room = margin * camera.focal / pixels[:, 2]
    tall = camera.focal * 1.8 / pixels[:, 2] if margin else 0.0
    inside = (pixels[:, 0] > -room) & (pixels[:, 0] < camera.width + room)
    inside &= (pixels[:, 1] > -room) & (pixels[:, 1] < camera.height + room + tall)
    return np.asarray(inside & (places[:, 1] > 0) & ~layout.behind_walls(places))


def _repulsion(places: Array, centres: Array, reach: Array, strength: float, softness: float) -> Array:
    """Accelerations ``(N, 2)`` that push places away from centres.

    Args:
        places: ``(N, 2)`` metres.
        centres: ``(M, 2)`` metres; a centre does not push the very place it lies on.
        reach: ``(M,)`` metres at which the push has its full strength.
        strength: of the push there, m/s².
        softness: metres over which it falls to a third.
    """
    apart = places[:, None] - centres[None, :]
    far = np.hypot(apart[..., 0], apart[..., 1])
    force = strength * np.exp(np.minimum((reach - far) / softness, 1.2)) * (far < reach + 1.2) * (far > 0)
    return np.asarray((apart / np.maximum(far, 0.05)[..., None] * force[..., None]).sum(axis=1), dtype=np.float64)

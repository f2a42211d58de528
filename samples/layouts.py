"""The places: what each layout consists of before anybody walks in. Everything is placed by what the camera can see."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from samples.camera import Array, Camera
from samples.ground import Stuff, Zone
from samples.props import Solid, Sun
from samples.settings import LAYOUTS, LayoutName, SceneSettings, random_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from samples.drawing import Colour
    from samples.routes import Route


@dataclass(frozen=True, slots=True)
class Wall:
    """A straight wall with windows (or doors alone, indoors); ``ends`` ``(2, 2)`` metres."""

    ends: Array
    height: float
    colour: Colour
    indoors: bool = False


@dataclass(frozen=True, slots=True)
class Furniture:
    """Something made of boxes, standing at (x, y)."""

    x: float
    y: float
    solids: tuple[Solid, ...]


@dataclass(frozen=True, slots=True)
class Post:
    """A round post, pillar or, with ``lamp``, a street lamp; metres."""

    x: float
    y: float
    height: float
    radius: float
    colour: Colour
    lamp: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree with a crown of ``radius`` metres whose top is ``height`` metres high."""

    x: float
    y: float
    height: float
    radius: float


Prop = Wall | Furniture | Post | Tree


@dataclass(slots=True)
class Layout:
    """A place.

    Attributes:
        name: of the layout.
        camera: that watches it.
        sun: the light.
        base: the ground wherever no zone lies.
        zones: parts of the ground, later ones on top.
        props: what stands about.
        routes: where people walk.
        off_limits: ways across ground where nobody walks.
        obstacles: circles (x, y, radius) in metres to keep out of.
        farthest: distance in metres that nobody goes beyond.
        sky: colour above the horizon.
        gathering: people like to stop here.
    """

    name: LayoutName
    camera: Camera
    sun: Sun
    base: Zone
    zones: list[Zone] = field(default_factory=list)
    props: list[Prop] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    off_limits: list[Route] = field(default_factory=list)
    obstacles: list[tuple[float, float, float]] = field(default_factory=list)
    farthest: float = 80.0
    sky: Colour = (205.0, 196.0, 186.0)
    gathering: float = 0.1

    def behind_walls(self, places: Array) -> NDArray[np.bool_]:
        """Which ground points ``(K, 2)`` lie behind a wall as seen from the camera: ``(K,)``."""
        hidden = np.zeros(len(places), dtype=np.bool_)
        for prop in self.props:
            if not isinstance(prop, Wall):
                continue
            (x0, y0), (x1, y1) = prop.ends
            side = (x1 - x0) * (places[:, 1] - y0) - (y1 - y0) * (places[:, 0] - x0)
            mine = (y1 - y0) * x0 - (x1 - x0) * y0
            # Seen from the camera the point lies between the wall's ends where it is on the inner side of both sights.
            left = x0 * places[:, 1] - y0 * places[:, 0]
            right = x1 * places[:, 1] - y1 * places[:, 0]
            hidden |= (side * mine < 0) & (left * right <= 0)
        return hidden


def colour_near(rng: np.random.Generator, colour: Colour, spread: float = 0.12) -> Colour:
    """A colour like this one: brightness varied by ``spread``, tint by a quarter of it."""
    grey = 1 + rng.uniform(-spread, spread)
    tint = 1 + rng.uniform(-spread, spread, 3) / 4
    blue, green, red = (float(v) for v in np.clip(np.array(colour) * grey * tint, 5, 235))
    return blue, green, red


def ground_zone(polygon: Array, stuff: Stuff, colour: Colour, **more: float) -> Zone:
    """Shorthand for a :class:`~samples.ground.Zone`."""
    return Zone(polygon, stuff, colour, **more)


def whole_ground(stuff: Stuff, colour: Colour, **more: float) -> Zone:
    """The ground wherever no zone lies."""
    return Zone(np.zeros((0, 2)), stuff, colour, **more)


def choose_camera(
    rng: np.random.Generator,
    size: tuple[int, int],
    altitude: tuple[float, float],
    pitch: tuple[float, float],
    focal: tuple[float, float],
    near: tuple[float, float] = (70.0, 150.0),
) -> Camera:
    """A camera that sees people at sensible sizes.

    Args:
        rng: decides.
        size: ``(width, height)`` of the picture in pixels.
        altitude: range in metres.
        pitch: range in degrees below the horizon.
        focal: range in picture heights.
        near: range of a person's height at the lower edge, in pixels of a picture 360 high.
    """
    width, height = size
    camera = None
    for _ in range(200):
        camera = Camera(
            width, height, rng.uniform(*focal) * height, rng.uniform(*altitude), math.radians(rng.uniform(*pitch))
        )
        at_edge = camera.person_height(camera.ground_row(0.93 * height)) * 360 / height
        top = camera.ground_row(0.3 * height)
        at_top = camera.person_height(top) * 360 / height if math.isfinite(top) else 0.0
        if near[0] <= at_edge <= near[1] and 18 <= at_top <= 60:
            return camera
    raise AssertionError(f"no camera of altitude {altitude}, pitch {pitch}, focal {focal} sees people at {near}")


def choose_sun(rng: np.random.Generator, *, indoors: bool = False) -> Sun:
    """Sunlight from somewhere, an overcast sky, or the lamps of a hall."""
    if indoors:
        return Sun(rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(68, 80)), 0.28, 3.5)
    bright = rng.random() < 0.65
    azimuth = rng.uniform(-0.15, 1.15) * math.pi
    elevation = math.radians(rng.uniform(28, 60))
    if bright:
        return Sun(azimuth, elevation, rng.uniform(0.32, 0.5), rng.uniform(0.8, 1.5))
    return Sun(azimuth, math.radians(rng.uniform(60, 78)), rng.uniform(0.14, 0.24), rng.uniform(2.5, 4.5))


def choose_layout(settings: SceneSettings) -> Layout:
    """Draw the place of a scene from its seed; the crowd, the rate and the length do not change it."""
    from samples import places_park, places_town  # noqa: PLC0415 (they are built from what is defined here)

    rng = np.random.default_rng(random_stream(settings.seed, 1))
    name: LayoutName = settings.layout or LAYOUTS[int(rng.integers(len(LAYOUTS)))]
    rng = np.random.default_rng(random_stream(settings.seed, 2, LAYOUTS.index(name)))
    builders: dict[LayoutName, Callable[[np.random.Generator, tuple[int, int]], Layout]] = {
        "plaza": places_park.plaza,
        "walkway": places_park.walkway,
        "street": places_town.street,
        "hall": places_town.hall,
        "carpark": places_town.carpark,
    }
    return builders[name](rng, (settings.width, settings.height))

"""Cameras, routes and layouts: what a place is before anybody walks in."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples.camera import Camera, clip_to_front
from samples.layouts import choose_layout
from samples.routes import SPACING, resample, route
from samples.settings import LAYOUTS, LayoutName, SceneSettings

if TYPE_CHECKING:
    from samples.layouts import Layout

SEEDS = range(8)


@cache
def place(seed: int, layout: LayoutName) -> Layout:
    return choose_layout(SceneSettings(seed=seed, layout=layout))


@given(
    u=st.floats(-50, 700),
    v=st.floats(140, 400),
    pitch=st.floats(0.2, 0.7),
    altitude=st.floats(2, 12),
    focal=st.floats(250, 900),
)
def test_a_pixel_goes_to_the_ground_and_back(u: float, v: float, pitch: float, altitude: float, focal: float) -> None:
    camera = Camera(640, 360, focal, altitude, pitch)
    x, y = camera.ground(u, v)
    if math.isfinite(float(y)) and camera.depth(float(x), float(y)) < 1e4:
        back = camera.project([float(x), float(y), 0.0])
        assert back[:2] == pytest.approx([u, v], abs=1e-3)


def test_pixels_above_the_horizon_see_no_ground() -> None:
    camera = Camera(640, 360, 300, 5, 0.2)
    assert not math.isfinite(camera.ground_row(0))


def test_a_person_farther_away_is_smaller() -> None:
    camera = Camera(640, 360, 500, 5, 0.3)
    heights = [camera.person_height(y) for y in (8, 12, 20, 40)]
    assert heights == sorted(heights, reverse=True)


def test_a_polygon_that_reaches_behind_the_camera_is_cut_in_front_of_it() -> None:
    camera = Camera(640, 360, 500, 5, 0.3)
    polygon = np.array([[-3.0, -50, 0], [3, -50, 0], [3, 50, 0], [-3, 50, 0]])
    front = clip_to_front(camera, polygon)
    assert len(front) == 4
    assert all(camera.depth(*point) >= 0.49 for point in front)
    assert not len(clip_to_front(camera, polygon - [0, 100, 0]))


def test_route_points_lie_evenly() -> None:
    way = route([(0, 0), (10, 0), (10, 10)], 2)
    steps = np.linalg.norm(np.diff(way.points, axis=0), axis=1)
    assert steps == pytest.approx(SPACING, rel=0.05)
    assert way.turned().points[0] == pytest.approx(way.points[-1])


def test_a_route_goes_round_what_stands_in_its_way() -> None:
    way = route([(-10, 0), (10, 0)], 2, around=[(0, 0.2, 2.0)])
    assert np.linalg.norm(way.points - [0, 0.2], axis=1).min() > 1.5
    straight = resample(np.array([[-10.0, 0], [10, 0]]))
    assert np.linalg.norm(straight - [0, 0.2], axis=1).min() < 0.5


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_ways_to_walk_and_ways_that_nobody_walks(layout: LayoutName) -> None:
    for seed in SEEDS:
        made = place(seed, layout)
        assert made.name == layout
        assert len(made.routes) >= 2
        assert len(made.off_limits) >= 2
        for way in (*made.routes, *made.off_limits):
            assert way.length > 4
            assert np.isfinite(way.points).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_people_are_neither_specks_nor_giants_where_most_of_the_ground_is_seen(layout: LayoutName) -> None:
    for seed in SEEDS:
        camera = place(seed, layout).camera
        assert 60 <= camera.person_height(camera.ground_row(0.93 * 360)) <= 150
        assert 10 <= camera.person_height(camera.ground_row(0.3 * 360)) <= 70


@pytest.mark.parametrize("layout", LAYOUTS)
def test_routes_begin_and_end_out_of_sight(layout: LayoutName) -> None:
    for seed in SEEDS:
        made = place(seed, layout)
        camera = made.camera
        for way in made.routes:
            ends = way.points[[0, -1]]
            heads = camera.project(np.concatenate([ends, np.full((2, 1), 1.8)], axis=1))
            outside = (heads[:, 0] < 0) | (heads[:, 0] > camera.width) | (heads[:, 1] > camera.height)
            assert (outside | made.behind_walls(ends) | (ends[:, 1] < 1)).all()


def test_the_same_seed_gives_the_same_place_whatever_happens_there() -> None:
    one = choose_layout(SceneSettings(seed=5, duration=10))
    two = choose_layout(SceneSettings(seed=5, duration=90, density=3, events="auto"))
    assert one.name == two.name
    assert one.camera == two.camera
    assert len(one.props) == len(two.props)


def test_seeds_choose_among_all_layouts() -> None:
    assert {choose_layout(SceneSettings(seed=seed)).name for seed in range(24)} == set(LAYOUTS)

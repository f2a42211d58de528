"""How people move: gait, tracks and the crowd."""

from __future__ import annotations

import numpy as np
import pytest

from samples import gait
from samples.appearance import choose_appearance
from samples.crowd import Crowd
from samples.layouts import choose_layout
from samples.settings import LAYOUTS, LayoutName, SceneSettings
from samples.tracks import STEP, Track, X, Y, walk_states

HEIGHT = 1.75


def walk(speed: float, run: float = 0.0, seconds: float = 6.0) -> Track:
    times = np.arange(0, seconds, STEP)
    places = np.stack([speed * times, np.zeros(len(times))], axis=1)
    look = choose_appearance(np.random.default_rng(0))
    return Track(0, look, 0.0, walk_states(places, HEIGHT, run=run))


def joints_of(track: Track, times: np.ndarray) -> np.ndarray:
    states = np.array([track.at(float(time)) for time in times])
    one = np.ones(len(times))
    local = gait.walking(HEIGHT * one, states[:, 4], states[:, 5], states[:, 6], 0 * one, 0 * one, 0 * one)
    return gait.to_world(local, states[:, 0], states[:, 1], states[:, 3])


@pytest.mark.parametrize("speed", [0.8, 1.2, 1.6])
def test_a_planted_foot_hardly_slips(speed: float) -> None:
    times = np.arange(1, 5, 0.02)
    feet = joints_of(walk(speed), times)[:, [gait.ANKLE_L, gait.ANKLE_R], 0]
    slowest = np.abs(np.diff(feet, axis=0) / 0.02).min(axis=1)
    assert np.median(slowest) < 0.35 * speed


@pytest.mark.parametrize(("speed", "run"), [(0.0, 0.0), (1.3, 0.0), (4.0, 1.0)])
def test_nobody_sinks_into_the_ground_and_heads_are_where_heads_are(speed: float, run: float) -> None:
    joints = joints_of(walk(speed, run), np.arange(1, 5, 0.05))
    assert joints[..., 2].min() > -0.01
    head = joints[:, gait.HEAD, 2]
    assert (head > 0.78 * HEIGHT).all()
    assert (head < 1.05 * HEIGHT).all()


def test_bones_keep_their_length() -> None:
    joints = joints_of(walk(1.3), np.arange(1, 4, 0.05))
    for upper, lower in ((gait.HIP_L, gait.KNEE_L), (gait.KNEE_R, gait.ANKLE_R), (gait.SHOULDER_L, gait.ELBOW_L)):
        lengths = np.linalg.norm(joints[:, upper] - joints[:, lower], axis=1)
        assert np.ptp(lengths) < 0.02


def test_a_runner_takes_longer_and_faster_steps_than_a_walker() -> None:
    assert gait.step_length(4.0, HEIGHT, 1.0) > 1.4 * gait.step_length(1.4, HEIGHT, 0.0)
    assert gait.cadence(4.0, HEIGHT, 1.0) > gait.cadence(1.4, HEIGHT, 0.0)


def test_a_standing_person_keeps_still() -> None:
    joints = joints_of(walk(0.0), np.arange(1, 4, 0.1))
    assert np.ptp(joints, axis=0).max() < 1e-6


def test_a_track_passes_through_its_planned_states_and_is_smooth_between_them() -> None:
    track = walk(1.3)
    assert track.at(10 * STEP) == pytest.approx(track.states[10])
    fine = np.array([track.at(time)[X] for time in np.arange(1, 4, 0.01)])
    assert np.diff(fine) == pytest.approx(0.013, rel=0.02)


def crowd(layout: LayoutName, density: float, seconds: float, seed: int = 2) -> list[Track]:
    place = choose_layout(SceneSettings(seed=seed, layout=layout))
    return Crowd(place, seed, density, [], [], 0).run(seconds)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_normal_people_walk_at_the_pace_of_people(layout: LayoutName) -> None:
    speeds = np.concatenate([track.states[:, 4] for track in crowd(layout, 8, 20)])
    assert speeds.max() < 2.2
    assert 0.8 < np.median(speeds) < 1.6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_normal_people_keep_to_the_ways(layout: LayoutName) -> None:
    place = choose_layout(SceneSettings(seed=2, layout=layout))
    ways = np.concatenate([way.points for way in place.routes])
    widest = max(way.width for way in place.routes)
    for track in crowd(layout, 6, 15):
        spots = track.states[::5, [X, Y]]
        away = np.linalg.norm(spots[:, None] - ways[None], axis=2).min(axis=1)
        assert np.quantile(away, 0.9) < widest / 2 + 1.0


def test_people_keep_out_of_each_others_way() -> None:
    tracks = crowd("walkway", 14, 20)
    nearest = []
    for time in np.arange(2, 18, 1.0):
        here = [track.at(float(time))[[X, Y]] for track in tracks if track.start <= time <= track.end]
        places = np.array(here)
        apart = np.linalg.norm(places[:, None] - places[None], axis=2)
        np.fill_diagonal(apart, np.inf)
        nearest.append(apart.min(axis=1))
    assert np.mean(np.concatenate(nearest) < 0.35) < 0.05


def test_a_denser_crowd_has_more_people() -> None:
    assert len(crowd("plaza", 16, 10)) > 1.8 * len(crowd("plaza", 4, 10))

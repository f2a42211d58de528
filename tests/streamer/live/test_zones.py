"""Zones on the detector's cells: exact shares, what is silenced, who is where, and zones where nothing may move."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from skimage.draw import polygon2mask

from detectors.regions import Placement, verdict_of
from preprocess.geometry import CellGrid, pixels_to_cells
from preprocess.pictures import WindowSettings
from streamer.events import EventMachine, MessageKind
from streamer.live.config import EventsConfig, ZoneConfig
from streamer.live.forbidden_motion import FEWEST_SAMPLES, SAMPLES, ForbiddenMotion, motion_on_cells
from streamer.live.polygons import covered_shares
from streamer.live.zones import ZoneMask, cells_of, held_back
from streamer.sources import open_source
from streamer.windowing import FramePreparer

GRID = CellGrid(stride=8, offset=3.5, receptive_field=16, rows=10, columns=16)  # of 128 x 80 pixels
WORKING = (128, 80)
PLACEMENT = Placement(WORKING, (640, 400))
THRESHOLD = 4.0
LEFT = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]


def zone(name, kind, polygon):
    return ZoneConfig.model_validate({"name": name, "kind": kind, "polygon": polygon})


def verdict(*peaks, level=9.0):
    levels = np.zeros((GRID.rows, GRID.columns), np.float32)
    for row, column in peaks:
        levels[row, column] = level
    return verdict_of(levels, GRID, PLACEMENT, THRESHOLD, inpainter_part=2.0, detector_part=3.0)


def mask(*zones):
    return ZoneMask(zones, GRID, PLACEMENT, THRESHOLD)


stars = st.lists(st.floats(0.05, 0.45), min_size=3, max_size=24).map(
    lambda radii: tuple(
        (0.5 + r * math.cos(2 * math.pi * k / len(radii)), 0.5 + r * math.sin(2 * math.pi * k / len(radii)))
        for k, r in enumerate(radii)
    )
)


@settings(max_examples=40, deadline=None)
@given(stars)
def test_the_share_of_a_cell_is_that_of_a_fine_raster(corners):
    fine = 20
    shares = covered_shares(corners, np.linspace(0, 1, 17), np.linspace(0, 1, 11))
    columns, rows = np.meshgrid((np.arange(16 * fine) + 0.5) / (16 * fine), (np.arange(10 * fine) + 0.5) / (10 * fine))
    inside = Outline(corners).contains_points(np.column_stack([columns.ravel(), rows.ravel()]))
    counted = inside.reshape(10, fine, 16, fine).mean(axis=(1, 3))
    np.testing.assert_allclose(shares, counted, atol=2.5 / fine)
    assert abs(shares.mean() - counted.mean()) < 0.01


@settings(max_examples=30, deadline=None)
@given(stars, st.tuples(st.integers(200, 1500), st.integers(200, 1500)))
def test_cells_are_those_of_a_drawn_polygon_whatever_the_size_of_the_picture(corners, size):
    one = zone("z", "watch", corners)
    drawn = polygon2mask((size[1], size[0]), [(y * size[1] - 0.5, x * size[0] - 0.5) for x, y in corners])
    shares = pixels_to_cells(drawn, GRID, WORKING)
    clear = np.abs(shares - 0.5) > 0.1
    cells = cells_of(one, GRID, WORKING)
    if (shares > 0.6).any():
        assert (cells[clear] == (shares[clear] > 0.5)).all()
    assert cells.any()
    twice = CellGrid(16, 7.5, 32, GRID.rows, GRID.columns)
    assert (cells_of(one, twice, (256, 160)) == cells).all()


@settings(max_examples=30, deadline=None)
@given(stars)
def test_the_shares_of_a_polygon_add_up_to_its_area(corners):
    shares = covered_shares(corners, np.linspace(0, 1, 14), np.linspace(0, 1, 9))
    following = np.roll(np.asarray(corners), -1, axis=0)
    area = 0.5 * abs(np.sum(np.asarray(corners)[:, 0] * following[:, 1] - following[:, 0] * np.asarray(corners)[:, 1]))
    assert shares.mean() == pytest.approx(area, abs=1e-9)


def test_a_hollow_zone_covers_its_arms_and_not_what_is_between():
    shape = [[0, 0], [1, 0], [1, 1], [0.75, 1], [0.75, 0.5], [0.25, 0.5], [0.25, 1], [0, 1]]
    cells = cells_of(zone("u", "watch", shape), GRID, WORKING)
    assert cells[:5].all()
    assert cells[5:, :4].all()
    assert cells[5:, 12:].all()
    assert not cells[5:, 4:12].any()


def test_a_zone_thinner_than_a_cell_still_has_cells():
    line = zone("door", "nothing_may_move", [[0.1, 0.5], [0.9, 0.5], [0.9, 0.51], [0.1, 0.51]])
    cells = cells_of(line, GRID, WORKING)
    assert cells.any(axis=1).sum() == 1
    assert cells.sum() >= 12


def test_without_zones_a_verdict_stays_what_it_is():
    before = verdict((2, 3))
    assert mask().apply(before) is before
    assert mask(zone("safe", "nothing_may_move", LEFT)).apply(before) is before


def test_an_ignored_zone_neither_alarms_nor_scores():
    ignoring = mask(zone("road", "ignore", LEFT))
    silent = ignoring.apply(verdict((2, 3)))
    assert (silent.alarm, silent.score, silent.regions) == (False, 0.0, ())
    assert (silent.inpainter_part, silent.detector_part) == (0.0, 0.0)
    beside = ignoring.apply(verdict((2, 3), (2, 12)))
    assert [region.x // 40 for region in beside.regions] == [12]
    assert (beside.score, beside.inpainter_part) == (9.0, 2.0)


def test_with_zones_to_watch_only_they_alarm_and_an_ignored_one_within_does_not():
    zones = (zone("left", "watch", LEFT), zone("tree", "ignore", [[0, 0], [0.25, 0], [0.25, 1], [0, 1]]))
    watching = mask(*zones)
    assert [watching.apply(verdict((5, column))).alarm for column in (2, 6, 12)] == [False, True, False]
    assert not watching.leaves_nothing
    assert mask(zones[0], zone("all", "ignore", [[0, 0], [1, 0], [1, 1], [0, 1]])).leaves_nothing


def test_a_region_ends_at_the_border_of_its_zone():
    before = verdict(*((5, column) for column in range(4, 12)))
    after = mask(zone("left", "watch", LEFT)).apply(before)
    (region,) = after.regions
    assert (region.x, region.x + region.width) == (160, 320)


def test_each_region_names_the_zones_it_touches():
    zones = (
        zone("left", "watch", LEFT),
        zone("right", "watch", [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]),
        zone("top", "nothing_may_move", [[0, 0], [1, 0], [1, 0.3], [0, 0.3]]),
        zone("tree", "ignore", [[0, 0.9], [0.1, 0.9], [0.1, 1]]),
    )
    zoned = mask(*zones)
    after = zoned.apply(verdict((1, 2), (8, 12), *((5, column) for column in range(6, 10))))
    named = {
        (region.y // 40, region.x // 40): names
        for region, names in zip(after.regions, zoned.touched(after), strict=True)
    }
    assert named == {(1, 2): ("left", "top"), (8, 12): ("right",), (5, 6): ("left", "right")}


def test_a_verdict_held_back_keeps_its_score_and_tells_no_region():
    held = held_back(verdict((2, 3)))
    assert (held.alarm, held.regions, held.score) == (False, (), 9.0)


SAFE = zone("safe", "nothing_may_move", [[0.25, 0.2], [0.75, 0.2], [0.75, 0.8], [0.25, 0.8]])


def forbidden(*zones):
    return ForbiddenMotion(zones or (SAFE,), GRID, PLACEMENT, THRESHOLD)


def still(numbers, noise=0.1):
    return np.abs(numbers.normal(0.2, noise / 5, (GRID.rows, GRID.columns))).astype(np.float32)


def test_nothing_is_judged_before_a_zone_has_seen_its_own_stillness():
    watching, numbers = forbidden(), np.random.default_rng(1)
    told = [watching.push(still(numbers), Fraction(n, 10)) for n in range(FEWEST_SAMPLES + 1)]
    assert told[:-1] == [None] * FEWEST_SAMPLES
    assert told[-1] is not None
    assert watching.is_needed
    assert not forbidden(zone("left", "watch", LEFT)).is_needed


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.3])
def test_noise_alone_never_alarms_however_much_there_is_of_it(noise):
    watching, numbers = forbidden(), np.random.default_rng(2)
    verdicts = [watching.push(still(numbers, noise), Fraction(n, 10)) for n in range(4000)]
    assert not any(one.alarm for one in verdicts if one is not None)


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.3])
def test_motion_in_the_zone_alarms_there_and_motion_beside_it_does_not(noise):
    watching, numbers = forbidden(), np.random.default_rng(3)
    for n in range(600):
        watching.push(still(numbers, noise), Fraction(n, 10))
    beside, within = still(numbers, noise), still(numbers, noise)
    beside[9, 15] = within[5, 8] = 3.0
    assert not watching.push(beside, Fraction(61)).alarm
    alarmed = watching.push(within, Fraction(62))
    assert alarmed.alarm
    assert alarmed.score >= THRESHOLD
    assert [(region.x // 40, region.y // 40) for region in alarmed.regions] == [(8, 5)]
    assert watching.touched(alarmed) == (("safe",),)


def test_a_burglar_who_stays_keeps_alarming_for_minutes_and_a_new_noise_is_learned_in_the_end():
    watching, numbers = forbidden(), np.random.default_rng(4)
    for n in range(SAMPLES):
        watching.push(still(numbers), Fraction(n))
    alarms = []
    for n in range(SAMPLES, 4 * SAMPLES):
        moving = still(numbers)
        moving[5, 8] = 2.0 + 0.05 * numbers.normal()
        alarms.append(watching.push(moving, Fraction(n)).alarm)
    assert all(alarms[:120])
    assert not any(alarms[-60:])


def test_what_may_not_be_learned_from_is_judged_all_the_same():
    watching, numbers = forbidden(), np.random.default_rng(5)
    assert all(watching.push(still(numbers), Fraction(n), learn=False) is None for n in range(50))


def test_motion_becomes_an_event_of_its_own_kind():
    watching, numbers = forbidden(), np.random.default_rng(6)
    machine = EventMachine("gate", EventsConfig().settings(THRESHOLD), "forbidden_motion")
    messages = []
    for n in range(200):
        motion = still(numbers)
        if 100 <= n < 110:
            motion[5, 8] = 3.0
        messages += machine.push(Fraction(n, 10), watching.push(motion, Fraction(n, 10)))
    assert [message.kind for message in messages][:1] == [MessageKind.NEW]
    assert messages[-1].kind is MessageKind.END
    assert (messages[-1].event.kind, messages[-1].event.start) == ("forbidden_motion", 10)


def test_a_key_frame_that_redraws_a_still_picture_is_no_motion():
    channels = np.zeros((3, WORKING[1], WORKING[0]), np.float32)
    channels[1] = 0.5
    assert motion_on_cells(channels, GRID).max() == 0
    channels[0, 40:48, 64:72] = channels[2, 40:48, 64:72] = -1.0
    moving = motion_on_cells(channels, GRID)
    assert moving.shape == (GRID.rows, GRID.columns)
    assert np.unravel_index(moving.argmax(), moving.shape) == (5, 8)
    assert moving.max() == 1


def test_in_a_real_recording_still_zones_stay_silent_and_walked_ones_alarm():
    clip = Path(__file__).parents[3] / "samples" / "walkway.mp4"
    width, height = 320, 176
    grid = CellGrid(8, 3.5, 16, height // 8, width // 8)
    places = {"top": (0, 0, 1, 0.15), "path": (0.375, 0.6, 0.5, 0.8), "bottom": (0, 0.85, 1, 1)}
    zones = [
        zone(name, "nothing_may_move", [[left, top], [right, top], [right, bottom], [left, bottom]])
        for name, (left, top, right, bottom) in places.items()
    ]
    events = dict.fromkeys(places, 0)
    with open_source(clip) as source:
        placement = Placement((width, height), (source.info.width, source.info.height))
        watching = {one.name: ForbiddenMotion([one], grid, placement, THRESHOLD) for one in zones}
        machines = {name: EventMachine(name, EventsConfig().settings(THRESHOLD)) for name in places}
        preparer = FramePreparer(WindowSettings(spacing=Fraction(1, 10), width=width, height=height))
        for frame in islice(source.frames(), 400):
            window = preparer.prepare(frame).window
            if window is None:
                continue
            motion = motion_on_cells(window.channels, grid)
            for name, machine in machines.items():
                messages = machine.push(frame.pts, watching[name].push(motion, frame.pts))
                events[name] += sum(message.kind is MessageKind.NEW for message in messages)
    assert (events["top"], events["bottom"]) == (0, 0)
    assert events["path"] > 0

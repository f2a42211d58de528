"""Regions lie where their cells lie, whatever the grid and the size of the source."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.regions import GROWTH, MAX_REGIONS, Placement, regions_of, verdict_of
from preprocess.geometry import CellGrid

GRID = CellGrid(stride=16.0, offset=25.0, receptive_field=51, rows=8, columns=17)
PLACEMENT = Placement((320, 176), (640, 352))


def _map(**cells: float) -> np.ndarray:
    levels = np.zeros((8, 17), dtype=np.float32)
    for place, level in cells.items():
        row, column = place.removeprefix("c").split("_")
        levels[int(row), int(column)] = level
    return levels


def test_a_quiet_map_has_no_region():
    assert regions_of(_map(c3_4=3.9), GRID, PLACEMENT, 4.0) == ()


def test_the_box_of_an_inner_cell_is_centred_on_the_cells_true_centre():
    (region,) = regions_of(_map(c3_4=5.0), GRID, PLACEMENT, 4.0)
    centre_x, centre_y = 2 * (25 + 16 * 4 + 0.5) - 0.5, 2 * (25 + 16 * 3 + 0.5) - 0.5
    assert abs(region.x + (region.width - 1) / 2 - centre_x) <= 1
    assert abs(region.y + (region.height - 1) / 2 - centre_y) <= 1
    assert (region.width, region.height, region.area, region.level) == (32, 32, 1024, 5.0)


def test_the_outermost_cells_own_everything_up_to_the_pictures_edge():
    first, last = regions_of(_map(c0_0=6.0, c7_16=5.0), GRID, PLACEMENT, 4.0)
    assert (first.x, first.y) == (0, 0)
    assert (last.x + last.width, last.y + last.height) == (640, 352)


def test_a_region_grows_from_its_seed_down_to_the_growth_level_and_no_further():
    levels = _map(c3_4=5.0, c3_5=4.0 * GROWTH + 0.01, c4_6=3.3, c3_3=4.0 * GROWTH - 0.01, c6_12=3.9)
    (region,) = regions_of(levels, GRID, PLACEMENT, 4.0)
    assert region.area == 3 * 1024
    assert (region.width, region.height) == (96, 64)


def test_regions_come_highest_level_first_and_small_ones_are_left_out():
    levels = _map(c1_1=5.0, c1_2=5.0, c5_5=9.0, c5_10=6.0, c5_11=4.5)
    assert [region.level for region in regions_of(levels, GRID, PLACEMENT, 4.0)] == [9.0, 6.0, 5.0]
    assert [region.level for region in regions_of(levels, GRID, PLACEMENT, 4.0, min_cells=2)] == [6.0, 5.0]


def test_the_number_of_regions_is_bounded():
    grid = CellGrid(8.0, 4.0, 9, 40, 40)
    levels = np.zeros((40, 40), dtype=np.float32)
    levels[::2, ::2] = 7.0
    assert len(regions_of(levels, grid, Placement((320, 320), (320, 320)), 4.0)) == MAX_REGIONS


def test_cells_finer_than_the_sources_pixels_still_give_a_box_within_the_picture():
    levels = _map(c7_16=5.0)
    (region,) = regions_of(levels, GRID, Placement((320, 176), (4, 2)), 4.0)
    assert region.width >= 1
    assert region.x + region.width <= 4
    assert region.y + region.height <= 2


@given(
    levels=hnp.arrays(np.float32, (5, 7), elements=st.floats(0, 12, width=32)),
    threshold=st.floats(0.5, 8.0),
    source=st.tuples(st.integers(1, 900), st.integers(1, 900)),
)
def test_every_region_lies_in_the_picture_and_a_frame_alarms_exactly_when_a_cell_reaches_the_threshold(
    levels, threshold, source
):
    grid = CellGrid(16.0, 12.0, 33, 5, 7)
    verdict = verdict_of(levels, grid, Placement((112, 96), source), threshold)
    assert verdict.alarm == (float(levels.max()) >= threshold)
    for region in verdict.regions:
        assert 0 <= region.x < region.x + region.width <= source[0]
        assert 0 <= region.y < region.y + region.height <= source[1]
        assert region.area >= 1
        assert threshold <= region.level <= verdict.score


def test_a_higher_threshold_never_alarms_where_a_lower_one_does_not():
    levels = _map(c3_4=5.0)
    assert [verdict_of(levels, GRID, PLACEMENT, level).alarm for level in (4.0, 5.0, 5.1)] == [True, True, False]


def test_levels_that_are_no_numbers_do_not_spoil_the_verdict():
    levels = _map(c1_1=float("nan"), c2_2=float("inf"))
    verdict = verdict_of(levels, GRID, PLACEMENT, 4.0)
    assert verdict.alarm
    assert 0 < verdict.p_value < 1e-200
    assert np.isfinite(verdict.levels).all()


def test_a_map_of_another_shape_and_a_threshold_of_nothing_are_refused():
    with pytest.raises(ValueError, match="does not lie on a grid"):
        regions_of(np.zeros((3, 3), dtype=np.float32), GRID, PLACEMENT, 4.0)
    with pytest.raises(ValueError, match="above 0"):
        regions_of(_map(), GRID, PLACEMENT, 0.0)

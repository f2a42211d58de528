"""Maps, masks and boxes come back to where they belong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from preprocess.geometry import (
    CellGrid,
    Letterbox,
    cells_to_pixels,
    even_size,
    pad_to_even,
    pixels_to_cells,
    scale_box,
)

# OpenCV 4 interpolates at 1/32 of a cell: half a step on each axis.
INTERPOLATION = 2 / 64 + 1e-4

sizes = st.tuples(st.integers(8, 400), st.integers(8, 300))


@st.composite
def grids(draw):
    """A grid as a network would give it: all centres within the working picture."""
    working = (draw(st.integers(48, 240)), draw(st.integers(48, 240)))
    stride = draw(st.sampled_from([1.0, 2.0, 4.0, 5.0, 8.0, 16.0]))
    offset = draw(st.floats(0, 20))
    rows = int((working[1] - 1 - offset) // stride) + 1
    columns = int((working[0] - 1 - offset) // stride) + 1
    return CellGrid(stride, offset, 33, rows, columns), working


def naive_cells_to_pixels(cells, grid, working, out):
    """The definition, one axis after the other."""

    def along(values, size, working_size):
        at = ((np.arange(size) + 0.5) * working_size / size - 0.5 - grid.offset) / grid.stride
        return np.stack([np.interp(at, np.arange(len(line)), line) for line in values.T], axis=1)

    rows = along(cells, out[1], working[1])
    return along(rows.T, out[0], working[0]).T


@settings(max_examples=60, deadline=None)
@given(grids(), sizes, st.integers(0, 2**31))
def test_a_map_is_interpolated_between_the_true_centres_of_its_cells(placed, out, seed):
    grid, working = placed
    cells = np.random.default_rng(seed).random((grid.rows, grid.columns), dtype=np.float32)
    pixels = cells_to_pixels(cells, grid, working, out)
    assert pixels.shape == (out[1], out[0])
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, naive_cells_to_pixels(cells, grid, working, out), atol=INTERPOLATION)


@settings(max_examples=40, deadline=None)
@given(grids(), st.integers(0, 2**31))
def test_at_working_size_every_whole_centre_shows_its_own_cell(placed, seed):
    grid, working = placed
    grid = CellGrid(grid.stride, float(int(grid.offset)), 33, grid.rows, grid.columns)
    cells = np.random.default_rng(seed).random((grid.rows, grid.columns), dtype=np.float32)
    pixels = cells_to_pixels(cells, grid, working, working)
    rows, columns = (centres.astype(int) for centres in grid.centres())
    np.testing.assert_allclose(pixels[np.ix_(rows, columns)], cells, atol=1e-4)


def test_a_map_keeps_its_edge_values_outside_the_outermost_centres():
    grid = CellGrid(8.0, 15.5, 32, 5, 7)
    cells = np.arange(35, dtype=np.float32).reshape(5, 7)
    pixels = cells_to_pixels(cells, grid, (80, 64), (160, 128))
    assert np.all(pixels[:31, :31] == cells[0, 0])
    assert np.all(pixels[-32:, -32:] == cells[-1, -1])


def test_the_peak_of_a_map_lies_where_its_cell_lies_and_not_where_stretching_would_put_it():
    grid = CellGrid(8.0, 31.5, 64, 5, 9)  # 64-pixel view, 128 x 96 picture
    cells = np.zeros((5, 9), dtype=np.float32)
    cells[0, 0] = 1.0
    pixels = cells_to_pixels(cells, grid, (128, 96), (128, 96))
    assert pixels[31, 31] > 0.85
    assert pixels[47, 47] == 0.0


@settings(max_examples=40, deadline=None)
@given(grids(), sizes, st.data())
def test_a_window_of_a_map_is_cut_from_the_whole(placed, out, data):
    grid, working = placed
    cells = np.random.default_rng(0).random((grid.rows, grid.columns), dtype=np.float32)
    x = data.draw(st.integers(0, out[0] - 1))
    y = data.draw(st.integers(0, out[1] - 1))
    width = data.draw(st.integers(1, out[0] - x))
    height = data.draw(st.integers(1, out[1] - y))
    part = cells_to_pixels(cells, grid, working, out, window=(x, y, width, height))
    whole = cells_to_pixels(cells, grid, working, out)
    np.testing.assert_allclose(part, whole[y : y + height, x : x + width], atol=INTERPOLATION)


def test_a_map_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(3, 4\).*5 x 9"):
        cells_to_pixels(np.zeros((3, 4), np.float32), CellGrid(8.0, 31.5, 64, 5, 9), (128, 96), (128, 96))


def test_a_map_of_one_cell_fills_the_picture():
    pixels = cells_to_pixels(np.full((1, 1), 2.5, np.float32), CellGrid(8.0, 31.5, 64, 1, 1), (64, 64), (50, 40))
    assert np.all(pixels == 2.5)


@settings(max_examples=60, deadline=None)
@given(grids(), sizes, st.integers(0, 2**31))
def test_averaging_over_cells_counts_every_pixel_once(placed, size, seed):
    grid, working = placed
    mask = np.random.default_rng(seed).random((size[1], size[0])) < 0.3
    cells = pixels_to_cells(mask, grid, working)
    assert cells.shape == (grid.rows, grid.columns)
    assert cells.min() >= 0.0
    assert cells.max() <= 1.0 + 1e-5
    rows, columns = (
        np.diff(np.concatenate([[0], np.clip((c[:-1] + grid.stride / 2 + 0.5) * s / w, 0, s), [s]]))
        for c, s, w in zip(grid.centres(), size[::-1], working[::-1], strict=True)
    )
    assert float((cells * rows[:, None] * columns[None, :]).sum()) == pytest.approx(mask.sum(), rel=1e-3, abs=1e-2)


@settings(max_examples=40, deadline=None)
@given(grids(), sizes)
def test_a_full_mask_fills_every_cell_and_a_constant_survives_the_round_trip(placed, size):
    grid, working = placed
    cells = pixels_to_cells(np.full(size[::-1], 3, np.uint8), grid, working)
    np.testing.assert_allclose(cells, 3.0, rtol=1e-5)
    np.testing.assert_allclose(cells_to_pixels(cells, grid, working, size), 3.0, rtol=1e-5)


def test_a_single_marked_pixel_marks_the_cell_nearest_to_it():
    grid = CellGrid(8.0, 11.5, 24, 9, 14)
    mask = np.zeros((96, 128), dtype=bool)
    mask[44, 60] = True  # cell 4 lies at 43.5, cell 6 at 59.5
    cells = pixels_to_cells(mask, grid, (128, 96))
    assert np.flatnonzero(cells).tolist() == [4 * 14 + 6]
    assert cells[4, 6] == pytest.approx(1 / 64)


@settings(max_examples=100, deadline=None)
@given(st.data(), sizes, sizes)
def test_a_box_brought_to_another_size_and_back_covers_itself_by_less_than_a_pixel_more(data, size, out):
    x = data.draw(st.integers(0, size[0] - 1))
    y = data.draw(st.integers(0, size[1] - 1))
    box = (x, y, data.draw(st.integers(1, size[0] - x)), data.draw(st.integers(1, size[1] - y)))
    there = scale_box(box, size, out)
    assert there[0] >= 0
    assert there[1] >= 0
    assert min(there[2:]) >= 1
    assert there[0] + there[2] <= out[0]
    assert there[1] + there[3] <= out[1]
    back = scale_box(there, out, size)
    assert back[0] <= box[0]
    assert back[1] <= box[1]
    assert back[0] + back[2] >= box[0] + box[2]
    assert back[1] + back[3] >= box[1] + box[3]
    slack = [size[axis] / out[axis] + 1 for axis in (0, 1)]
    assert back[2] <= box[2] + 2 * slack[0]
    assert back[3] <= box[3] + 2 * slack[1]
    assert scale_box(box, size, size) == box


@settings(max_examples=60, deadline=None)
@given(sizes)
def test_an_even_size_is_the_size_grown_by_at_most_one(size):
    even = even_size(size)
    picture = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    padded = pad_to_even(picture)
    assert padded.shape == (even[1], even[0], 3)
    assert even[0] % 2 == even[1] % 2 == 0
    assert 0 <= even[0] - size[0] <= 1
    np.testing.assert_array_equal(padded[: size[1], : size[0]], picture)
    np.testing.assert_array_equal(padded[-1, : size[0]], picture[-1])


@settings(max_examples=100, deadline=None)
@given(sizes, sizes, st.floats(-5, 400), st.floats(-5, 300))
def test_a_point_goes_into_a_letterbox_and_comes_back(size, out, x, y):
    box = Letterbox.fit(size, out)
    back = box.to_source(*box.to_out(x, y))
    assert back == pytest.approx((x, y), abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(sizes, sizes)
def test_a_letterboxed_picture_touches_two_opposite_edges_and_keeps_its_shape(size, out):
    assume(max(size) / min(size) < 8)
    x, y, width, height = Letterbox.fit(size, out).box
    assert width == out[0] or height == out[1]
    assert abs((out[0] - width) - 2 * x) <= 1
    assert abs((out[1] - height) - 2 * y) <= 1
    assert abs(width * size[1] - height * size[0]) <= max(size)
    picture = np.full((*size[::-1], 3), 200, np.uint8)
    whole = Letterbox.fit(size, out).apply(picture)
    assert whole.shape == (out[1], out[0], 3)
    assert int((whole > 0).all(axis=2).sum()) == width * height


def test_a_letterbox_that_only_shifts_gives_the_picture_back_unchanged():
    picture = np.random.default_rng(1).integers(0, 256, (60, 100), dtype=np.uint8)
    box = Letterbox.fit((100, 60), (100, 90))
    np.testing.assert_array_equal(box.undo(box.apply(picture)), picture)

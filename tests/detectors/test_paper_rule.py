"""The paper's rule: both maps have to agree, at the place where each of them truly looks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.avid.paper_rule import irregular_pixels, residual_map, surviving_regions, upsample_cells
from detectors.avid.presets import detector_preset
from preprocess.geometry import CellGrid, cells_to_pixels

GRID = CellGrid(stride=4.0, offset=2.0, receptive_field=7, rows=1, columns=2)


def test_cells_are_brought_to_pixels_by_their_true_centres() -> None:
    row = upsample_cells(torch.tensor([[[0.0, 1.0]]]), GRID, 1, 9)[0, 0]
    assert row.tolist() == [0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_a_single_cell_covers_the_whole_picture() -> None:
    single = CellGrid(16.0, 25.0, 51, 1, 1)
    assert upsample_cells(torch.tensor([[[3.0]]]), single, 51, 60).unique().tolist() == [3.0]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    stride=st.sampled_from([1.0, 4.0, 8.0, 16.0]),
    offset=st.sampled_from([0.0, 2.5, 10.0, 25.0]),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
)
def test_the_map_on_the_device_is_the_one_the_overlay_draws(
    rows: int, columns: int, stride: float, offset: float, height: int, width: int
) -> None:
    grid = CellGrid(stride, offset, 9, rows, columns)
    cells = np.random.default_rng(0).random((rows, columns), dtype=np.float32)
    ours = upsample_cells(torch.from_numpy(cells)[None], grid, height, width)[0].numpy()
    drawn = cells_to_pixels(cells, grid, (width, height), (width, height))
    # OpenCV 4 rounds positions to 1/32 of a cell on both sides.
    assert np.abs(ours - drawn).max() <= 2 / 32


@settings(max_examples=30, deadline=None)
@given(height=st.integers(51, 300), width=st.integers(51, 300))
def test_a_plane_over_the_picture_is_met_exactly_between_the_outer_centres(height: int, width: int) -> None:
    grid = detector_preset("paper-224").grid(height, width)
    y, x = (torch.from_numpy(centres) for centres in grid.centres())
    plane = (2 * y[:, None] + 3 * x[None, :])[None].double()
    result = upsample_cells(plane, grid, height, width)[0]
    inner = (slice(25, int(y[-1]) + 1), slice(25, int(x[-1]) + 1))
    wanted = 2 * torch.arange(height)[:, None] + 3 * torch.arange(width)[None, :]
    assert torch.allclose(result[inner], wanted[inner].double())
    assert result.min() == plane.min()
    assert result.max() == plane.max()


def test_a_map_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(B, 1, 2\)"):
        upsample_cells(torch.zeros(1, 2, 2), GRID, 8, 8)


def test_the_residual_is_the_mean_square_over_channels() -> None:
    window, inpainted = torch.zeros(1, 3, 1, 2), torch.tensor([1.0, 2.0, 2.0]).reshape(1, 3, 1, 1).expand(1, 3, 1, 2)
    assert residual_map(window, inpainted).tolist() == [[[3.0, 3.0]]]


def test_a_pixel_is_irregular_only_where_both_networks_say_so() -> None:
    residual = torch.tensor([[[1.0, 0.04, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.04]]])
    normality = torch.tensor([[[0.0, 1.0]]])
    mask = irregular_pixels(residual, normality, GRID, alpha=0.5, zeta=0.45)
    #      D says:  0.00   0.00   0.00  0.25   0.50   0.75   1.00   1.00   1.00
    assert mask[0, 0].tolist() == [True, False, True, True, False, False, False, False, False]


def test_alpha_is_compared_with_the_residual_itself_not_with_its_square() -> None:
    residual = torch.full((1, 1, 9), 0.25)
    for alpha, found in ((0.49, True), (0.5, False), (0.51, False)):
        mask = irregular_pixels(residual, torch.zeros(1, 1, 2), GRID, alpha=alpha, zeta=0.5)
        assert bool(mask.any()) is found


def test_alpha_and_zeta_may_differ_from_place_to_place() -> None:
    residual = torch.ones(1, 1, 9)
    alpha = torch.full((1, 9), 0.5)
    alpha[0, 0] = 2.0
    mask = irregular_pixels(residual, torch.full((1, 1, 2), 0.4), GRID, alpha=alpha, zeta=torch.tensor([[0.5, 0.3]]))
    assert mask[0, 0].tolist() == [False, True, True, True, False, False, False, False, False]


def test_maps_of_different_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="one batch"):
        irregular_pixels(torch.zeros(2, 4, 4), torch.zeros(1, 1, 2), GRID, alpha=1.0, zeta=0.5)


def test_only_regions_of_the_smallest_area_survive() -> None:
    mask = torch.zeros(2, 6, 8, dtype=torch.bool)
    mask[0, 0, 0] = mask[0, 1, 1] = True  # two pixels that touch at a corner
    mask[0, 4:6, 4:6] = True
    kept = surviving_regions(mask, smallest_area=3)
    assert kept[0].sum() == 4
    assert kept[0, 4:6, 4:6].all()
    assert kept.flatten(1).any(dim=1).tolist() == [True, False]
    assert surviving_regions(mask, smallest_area=2)[0].sum() == 6
    assert not surviving_regions(torch.ones(1, 3, 3, dtype=torch.bool), smallest_area=10).any()

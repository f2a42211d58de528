"""Cells lie where brute-force gradients say they lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from detectors.avid.detector import DetectorLayer, DetectorNetwork, DetectorSettings, light_layers
from detectors.avid.geometry import ConvGeometry, cell_grid, smallest_input
from detectors.avid.presets import DETECTORS, detector_preset
from preprocess.geometry import CellGrid


def open_all_paths(network: nn.Module) -> None:
    """Positive weights and no bias: every input pixel a cell sees then moves it, and nothing cancels."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.weight.data /= module.weight[0].numel()
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def seen_by(network: DetectorNetwork, height: int, width: int, row: int, column: int) -> tuple[int, int, int, int]:
    """First and last row, first and last column of the pixels that move one cell."""
    picture = torch.ones(1, network.settings.input_channels, height, width, requires_grad=True)
    cell = network(picture)[0, row, column]
    (gradient,) = torch.autograd.grad(cell, picture)
    support = gradient[0].abs().sum(dim=0) > 0
    rows, columns = torch.where(support)
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def told_by(grid: CellGrid, height: int, width: int, row: int, column: int) -> tuple[int, int, int, int]:
    half = (grid.receptive_field - 1) / 2
    y, x = grid.offset + grid.stride * row, grid.offset + grid.stride * column
    edges = (max(y - half, 0), min(y + half, height - 1), max(x - half, 0), min(x + half, width - 1))
    assert all(edge == int(edge) for edge in edges)
    return tuple(int(edge) for edge in edges)


def assert_cells_lie_as_told(network: DetectorNetwork, height: int, width: int) -> None:
    grid = network.grid(height, width)
    with torch.inference_mode():
        assert network(torch.ones(1, network.settings.input_channels, height, width)).shape[1:] == (
            grid.rows,
            grid.columns,
        )
    for row, column in {(0, 0), (grid.rows // 2, grid.columns // 3), (grid.rows - 1, grid.columns - 1)}:
        assert seen_by(network, height, width, row, column) == told_by(grid, height, width, row, column)


@pytest.mark.parametrize(
    ("preset", "height", "width"),
    [
        ("paper-224", 224, 224),
        ("paper-224", 158, 238),
        ("paper-64", 64, 64),
        ("paper-64", 45, 70),
        ("paper-112", 112, 112),
        ("paper-112", 67, 90),
        ("light", 184, 320),
        ("light", 99, 133),
        ("light", 16, 24),
        ("wide-view", 184, 320),
        ("wide-view", 240, 181),
    ],
)
def test_every_preset_sees_exactly_the_pixels_its_grid_tells(preset: str, height: int, width: int) -> None:
    torch.manual_seed(0)
    network = DetectorNetwork(detector_preset(preset)).eval()
    open_all_paths(network)
    assert_cells_lie_as_told(network, height, width)


@st.composite
def conv_stacks(draw: st.DrawFn) -> tuple[DetectorLayer, ...]:
    layers = st.builds(
        DetectorLayer,
        channels=st.just(1),
        kernel=st.sampled_from([1, 3, 5]),
        stride=st.integers(1, 3),
        padding=st.integers(0, 2),
        dilation=st.integers(1, 2),
    )
    return tuple(draw(st.lists(layers, min_size=1, max_size=4)))


@settings(max_examples=40, deadline=None)
@given(layers=conv_stacks(), extra=st.integers(0, 40), wider=st.integers(0, 9))
def test_any_stack_of_convolutions_has_the_output_size_its_grid_tells(
    layers: tuple[DetectorLayer, ...], extra: int, wider: int
) -> None:
    network = DetectorNetwork(DetectorSettings(layers=layers, input_channels=1, batch_norm=False)).eval()
    side = network.settings.smallest_input + extra
    grid = network.grid(side, side + wider)
    assert network(torch.zeros(1, 1, side, side + wider)).shape == (1, grid.rows, grid.columns)


@settings(max_examples=40, deadline=None)
@given(layers=conv_stacks(), extra=st.integers(0, 40))
def test_a_cell_well_inside_is_centred_where_its_grid_tells(layers: tuple[DetectorLayer, ...], extra: int) -> None:
    network = DetectorNetwork(DetectorSettings(layers=layers, input_channels=1, batch_norm=False)).eval()
    open_all_paths(network)
    field = network.grid(2000, 2000).receptive_field
    side = field + 200 + extra  # strides of 81 pixels and their padding stay far from the middle
    grid = network.grid(side, side)
    row = round((side / 2 - grid.offset) / grid.stride)
    top, bottom, left, right = seen_by(network, side, side, row, row)
    centre = grid.offset + grid.stride * row
    assert (top + bottom) / 2 == pytest.approx(centre)
    assert (left + right) / 2 == pytest.approx(centre)
    assert bottom - top + 1 <= field  # a stride wider than the next kernel can leave pixels unseen, even at the edge


def test_the_papers_cells_on_224_pixels_see_51_pixels_16_apart() -> None:
    grid = detector_preset("paper-224").grid(224, 224)
    assert grid == CellGrid(stride=16.0, offset=25.0, receptive_field=51, rows=11, columns=11)
    assert grid.centres()[0][[0, -1]].tolist() == [25.0, 185.0]


def test_the_papers_cells_on_64_pixels_see_21_pixels_4_apart() -> None:
    assert detector_preset("paper-64").grid(64, 64) == CellGrid(4.0, 10.0, 21, 11, 11)


def test_112_pixels_give_11_cells_that_see_27_pixels_8_apart() -> None:
    assert detector_preset("paper-112").grid(112, 112) == CellGrid(8.0, 12.0, 27, 11, 11)


@pytest.mark.parametrize(("height", "width", "rows", "columns"), [(240, 360, 12, 20), (158, 238, 7, 12)])
def test_the_papers_detector_takes_ucsd_frames_without_resizing(
    height: int, width: int, rows: int, columns: int
) -> None:
    grid = detector_preset("paper-224").grid(height, width)
    assert (grid.rows, grid.columns) == (rows, columns)


def test_the_light_detector_has_one_cell_for_each_8_pixels() -> None:
    grid = detector_preset("light").grid(184, 320)
    assert (grid.rows, grid.columns, grid.stride, grid.offset, grid.receptive_field) == (23, 40, 8.0, 0.0, 91)


@pytest.mark.parametrize(("dilations", "field"), [((), 43), ((1, 1, 1), 91), ((1, 2, 4), 155)])
def test_dilation_widens_the_view_without_moving_the_cells(dilations: tuple[int, ...], field: int) -> None:
    grid = DetectorSettings(layers=light_layers(context_dilations=dilations)).grid(184, 320)
    assert grid == CellGrid(8.0, 0.0, field, 23, 40)


@pytest.mark.parametrize("preset", sorted(DETECTORS))
def test_the_smallest_input_gives_one_cell_and_a_smaller_one_is_refused(preset: str) -> None:
    settings_ = detector_preset(preset)
    side = settings_.smallest_input
    grid = settings_.grid(side, side)
    assert (grid.rows, grid.columns) == (1, 1)
    if side > 1:
        with pytest.raises(ValueError, match=f"at least {side} pixels"):
            settings_.grid(side - 1, side)


def test_a_picture_too_small_for_a_cell_is_refused_before_the_network_runs() -> None:
    network = DetectorNetwork(detector_preset("paper-64"))
    with pytest.raises(ValueError, match="30x20 pixels is too small"):
        network(torch.zeros(1, 3, 20, 30))


def test_what_is_no_convolution_is_refused() -> None:
    for wrong in ({"kernel": 0}, {"kernel": 3, "stride": 0}, {"kernel": 3, "padding": -1}):
        with pytest.raises(ValueError, match="no convolution"):
            ConvGeometry(**wrong)


def test_no_layers_at_all_leave_every_pixel_a_cell() -> None:
    assert cell_grid((), 5, 7) == CellGrid(1.0, 0.0, 1, 5, 7)
    assert smallest_input(()) == 1
    assert np.array_equal(cell_grid((), 5, 7).centres()[1], np.arange(7.0))

"""Simulated irregularities move as nothing in the scene moves, and their truth lies where they are."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detectors.avid.detector import DetectorSettings, light_layers
from detectors.avid.presets import detector_preset
from detectors.avid.simulate import IGNORED, Kind, SimulatedBatch, augment, simulate
from tests.scenes import TINY_SCALE, Scene, tiny_bank, walkers

if TYPE_CHECKING:
    from detectors.bank import WindowBank
    from preprocess.geometry import CellGrid

SIZE = 64
GRID = DetectorSettings(layers=light_layers(context_dilations=())).grid(SIZE, SIZE)


@pytest.fixture(scope="module")
def bank() -> WindowBank:
    return tiny_bank(walkers(5, width=128, height=96))


def drawn(bank: WindowBank, count: int = 24, seed: int = 0, **wanted: object) -> SimulatedBatch:
    return simulate(bank, TINY_SCALE, count, SIZE, np.random.default_rng(seed), **wanted)


def test_a_batch_has_its_shapes_and_grey_levels(bank: WindowBank) -> None:
    batch = drawn(bank)
    assert batch.pictures.shape == (24, 6, SIZE, SIZE)
    assert batch.covered.shape == (24, 1, SIZE, SIZE)
    assert batch.kinds.shape == (24,)
    assert batch.pictures.dtype == torch.float32
    assert 0 <= batch.pictures.min() < batch.pictures.max() <= 255
    assert 0 <= batch.covered.min() < batch.covered.max() <= 1
    assert batch.labels(GRID).shape == (24, GRID.rows, GRID.columns)
    assert torch.equal(batch.differences(), (batch.pictures[:, 0::2] - batch.pictures[:, 1::2]) / 64)


def test_the_same_seed_draws_the_same_batch(bank: WindowBank) -> None:
    one, same, other = drawn(bank, seed=3), drawn(bank, seed=3), drawn(bank, seed=4)
    assert torch.equal(one.pictures, same.pictures)
    assert torch.equal(one.covered, same.covered)
    assert np.array_equal(one.kinds, same.kinds)
    assert not torch.equal(one.pictures, other.pictures)


def test_normal_pastes_and_untouched_crops_are_labelled_normal_everywhere(bank: WindowBank) -> None:
    batch = drawn(bank, count=120)
    assert {-1, int(Kind.NORMAL_PASTE)} < set(batch.kinds.tolist())
    normal = torch.from_numpy(batch.kinds <= int(Kind.NORMAL_PASTE))
    assert not batch.covered[normal].any()
    assert not batch.labels(GRID)[normal].any()


def test_a_normal_paste_changes_the_crop_all_the_same(bank: WindowBank) -> None:
    plain = drawn(bank, count=60, irregular_share=0.0)
    assert set(plain.kinds.tolist()) == {-1}
    batch = drawn(bank, count=60, irregular_share=0.7)
    pasted = np.flatnonzero(batch.kinds == Kind.NORMAL_PASTE)
    # Both batches start from the same draws, so that what differs was pasted.
    changed = (batch.pictures[pasted] - plain.pictures[pasted]).abs().amax((1, 2, 3))
    assert len(pasted) > 3
    assert (changed > 10).float().mean() > 0.5


@pytest.mark.parametrize("kind", list(Kind)[1:])
def test_every_irregular_kind_gives_irregular_cells_and_only_where_something_moves(
    bank: WindowBank, kind: Kind
) -> None:
    batch = drawn(bank, count=40, irregular_share=1.0, kinds=(kind,))
    assert set(batch.kinds.tolist()) == {int(kind)}
    labels = batch.labels(GRID)
    assert set(labels.unique().tolist()) <= {IGNORED, 0.0, 1.0}
    assert (labels == 1).flatten(1).any(1).float().mean() > 0.25
    rows, columns = GRID.centres()
    changes = (batch.pictures[:, 0::2] - batch.pictures[:, 1::2]).abs().mean(1)
    for crop, row, column in torch.argwhere(labels == 1).tolist()[:100]:
        top, left = max(0, int(rows[row]) - 5), max(0, int(columns[column]) - 5)
        assert changes[crop, top : top + 11, left : left + 11].max() > 3
        assert batch.covered[crop, 0, top : top + 11, left : left + 11].max() > 0.3


def test_kinds_can_be_left_out(bank: WindowBank) -> None:
    batch = drawn(bank, count=80, irregular_share=1.0, kinds=(Kind.RIGID, Kind.CARRIED))
    assert set(batch.kinds.tolist()) == {int(Kind.RIGID), int(Kind.CARRIED)}


def test_by_default_every_kind_is_drawn(bank: WindowBank) -> None:
    assert set(drawn(bank, count=150).kinds.tolist()) == {-1, *map(int, Kind)}


def test_the_share_of_irregular_crops_is_the_one_asked_for(bank: WindowBank) -> None:
    kinds = drawn(bank, count=400, irregular_share=0.3).kinds
    assert 0.22 < np.mean(kinds > 0) < 0.38


def test_what_moves_as_a_whole_moves_faster_than_anything_normal() -> None:
    still = tiny_bank(Scene(width=128, height=96))
    scale = TINY_SCALE
    batch = simulate(still, scale, 60, SIZE, np.random.default_rng(0), irregular_share=1.0, kinds=(Kind.SMALL_FAST,))
    # Nothing else moves here: where the patch lay first and last tells how far it went in five steps.
    far = 0
    for pictures in batch.pictures:
        moved = (pictures - pictures.median(0).values).abs() > 15
        places = [torch.argwhere(picture).float().mean(0) for picture in moved]
        steps = [float((b - a).norm()) for a, b in pairwise(places) if not (a + b).isnan().any()]
        far += bool(steps) and float(np.median(steps)) > scale.step
    assert far > 20


def test_faster_kinds_do_without_larger_spacings_where_the_footage_is_too_short_for_them() -> None:
    short = tiny_bank(seconds=0.8)
    assert len(short.tables[1]) > 0
    assert len(short.tables[2]) == 0
    batch = simulate(short, TINY_SCALE, 8, 48, np.random.default_rng(0), irregular_share=1.0, kinds=(Kind.FASTER,))
    assert torch.isfinite(batch.pictures).all()


def patch_at(row: float, column: float, size: int, side: int = 24) -> SimulatedBatch:
    """A crop with one irregular square around a pixel, moving within."""
    pictures = torch.full((1, 6, size, size), 100.0)
    covered = torch.zeros(1, 1, size, size)
    top, left = (max(0, round(centre - side / 2)) for centre in (row, column))
    covered[..., top : top + side, left : left + side] = 1
    pictures[:, 0::2, top : top + side, left : left + side] = 160
    return SimulatedBatch(pictures, covered, np.array([Kind.RIGID]))


def centre_of(labels: torch.Tensor, grid: CellGrid) -> tuple[float, float]:
    rows, columns = grid.centres()
    places = torch.argwhere(labels[0] == 1).numpy()
    return float(rows[places[:, 0]].mean()), float(columns[places[:, 1]].mean())


GRIDS = {
    "light": (96, detector_preset("light").grid(96, 96)),
    "without context": (64, GRID),
    "paper-64": (64, detector_preset("paper-64").grid(64, 64)),
    "paper-112": (112, detector_preset("paper-112").grid(112, 112)),
    "paper-224": (224, detector_preset("paper-224").grid(224, 224)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_labels_lie_at_the_true_centres_of_the_detector_s_cells(name: str) -> None:
    size, grid = GRIDS[name]
    side = max(24, int(3 * grid.stride))
    for share in (0.35, 0.5, 0.62):
        labels = patch_at(share * size, size / 2, size, side).labels(grid)
        row, column = centre_of(labels, grid)
        assert abs(row - share * size) <= 0.75 * grid.stride
        assert abs(column - size / 2) <= 0.75 * grid.stride
        known = (labels[0] == 1).sum() * grid.stride**2
        assert 0.5 * side**2 < known < 1.7 * side**2


@pytest.mark.parametrize("name", GRIDS)
def test_a_patch_one_stride_further_moves_the_labels_by_one_cell(name: str) -> None:
    size, grid = GRIDS[name]
    side, stride = max(24, int(3 * grid.stride)), int(grid.stride)
    here = patch_at(size / 2, size / 2, size, side).labels(grid)
    there = patch_at(size / 2 + stride, size / 2 - stride, size, side).labels(grid)
    assert torch.equal(here[:, 1:-2, 2:-1], there[:, 2:-1, 1:-2])


def test_cells_at_the_edge_are_judged_too() -> None:
    labels = patch_at(6, 6, SIZE, side=16).labels(GRID)
    assert labels[0, 0, 0] == 1
    assert labels[0, -1, -1] == 0


def test_covered_cells_without_motion_and_cells_half_covered_are_not_known() -> None:
    batch = patch_at(32, 32, SIZE)
    still = SimulatedBatch(torch.full_like(batch.pictures, 100), batch.covered, batch.kinds)
    assert set(still.labels(GRID).unique().tolist()) == {IGNORED, 0.0}
    grazed = SimulatedBatch(batch.pictures, 0.2 * batch.covered, batch.kinds)
    assert set(grazed.labels(GRID).unique().tolist()) == {IGNORED, 0.0}


def test_augmenting_leaves_everything_where_it_is_so_that_the_truth_still_fits(bank: WindowBank) -> None:
    pictures = drawn(bank, count=6).pictures
    for seed in range(12):
        changed = augment(pictures, np.random.default_rng(seed))
        assert changed.shape == pictures.shape
        for before, after in zip(pictures, changed, strict=True):
            both = np.corrcoef(before.flatten().numpy(), after.flatten().numpy())[0, 1]
            assert both > 0.95
            ratio = float((after.mean() / before.mean()).item())
            assert 0.78 < ratio < 1.28
    assert torch.equal(augment(pictures, np.random.default_rng(1)), augment(pictures, np.random.default_rng(1)))

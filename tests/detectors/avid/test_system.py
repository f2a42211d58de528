"""I and D together: maps where things are, the same numbers however windows are batched, and signs that fit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detectors.avid.detector import DetectorSettings
from detectors.avid.inpainter import InpainterSettings
from detectors.avid.settings import AvidSettings
from detectors.avid.system import RESIDUAL_FLOOR, Avid, rebuild
from detectors.inference import Runtime
from preprocess.errors import ModelError
from tests.scenes import CPU32, tiny_bank, tiny_settings, trained_weights

if TYPE_CHECKING:
    from detectors.base import Scores

HEIGHT, WIDTH = 64, 96
BANK = tiny_bank(seconds=1)


def weights(settings: AvidSettings) -> dict[str, torch.Tensor]:
    return trained_weights(settings, BANK, 1)


@pytest.fixture(scope="module")
def avid() -> Avid:
    settings = tiny_settings()
    return Avid(settings, weights(settings), blur=4.0, runtime=CPU32)


class GivesBack(torch.nn.Module):
    """An inpainter that gives back a fixed share of what it is shown: its residual is known."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        return self.share * windows


def with_inpainter(share: float, *, blur: float = 4.0, settings: AvidSettings | None = None) -> Avid:
    settings = settings or tiny_settings()
    avid = Avid(settings, weights(settings), blur=blur, runtime=CPU32)
    avid._networks = replace(avid._networks, inpainter=GivesBack(share))
    return avid


def spot(row: int, column: int, side: int = 8) -> torch.Tensor:
    """A window that is still but for one square around a pixel."""
    window = torch.zeros(1, 3, HEIGHT, WIDTH)
    window[..., row - side // 2 : row + side // 2, column - side // 2 : column + side // 2] = 1.0
    return window


def peak(plane: torch.Tensor, scores: Scores) -> tuple[float, float]:
    rows, columns = scores.grid.centres()
    row, column = divmod(int(plane[0].argmax()), plane.shape[-1])
    return float(rows[row]), float(columns[column])


def test_scores_have_the_shapes_they_promise(avid: Avid) -> None:
    scores = avid.score(torch.randn(5, 3, HEIGHT, WIDTH))
    assert len(scores) == 5
    assert scores.inpainter.shape == (5, HEIGHT, WIDTH)
    cells = (5, scores.grid.rows, scores.grid.columns)
    for plane in (scores.detector, scores.residual, scores.motion):
        assert plane.shape == cells
        assert plane.dtype == torch.float32
        assert torch.isfinite(plane).all()
    assert scores.grid == avid.grid(HEIGHT, WIDTH)
    assert (scores.inpainter >= 0).all()


def test_one_window_scores_the_same_alone_and_in_a_batch(avid: Avid) -> None:
    windows = torch.randn(8, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    together = avid.score(windows)
    for row in range(8):
        alone = avid.score(windows[row : row + 1])
        for name in ("inpainter", "detector", "residual", "motion"):
            assert torch.allclose(getattr(alone, name)[0], getattr(together, name)[row], atol=1e-4)


def test_the_residual_is_the_mean_square_over_the_channels() -> None:
    windows = torch.randn(2, 3, HEIGHT, WIDTH)
    scores = with_inpainter(0.5).score(windows)
    assert torch.allclose(scores.inpainter, (0.5 * windows).square().mean(1), atol=1e-6)


def test_an_even_residual_is_its_own_blur_and_comes_as_a_logarithm() -> None:
    windows = torch.full((1, 3, HEIGHT, WIDTH), 0.8)
    scores = with_inpainter(0.0).score(windows)
    assert torch.allclose(scores.residual, torch.full_like(scores.residual, math.log(0.64 + RESIDUAL_FLOOR)), atol=1e-4)
    perfect = with_inpainter(1.0).score(windows)
    assert torch.allclose(perfect.residual, torch.full_like(perfect.residual, math.log(RESIDUAL_FLOOR)), atol=1e-4)


@pytest.mark.parametrize(("row", "column"), [(32, 48), (16, 80), (48, 24), (24, 40)])
def test_the_maps_are_largest_at_the_cell_where_something_is(row: int, column: int) -> None:
    scores = with_inpainter(0.0, blur=3.0).score(spot(row, column))
    for plane in (scores.residual, scores.motion):
        found = peak(plane, scores)
        assert abs(found[0] - row) <= scores.grid.stride
        assert abs(found[1] - column) <= scores.grid.stride


def test_a_spot_on_a_cell_s_centre_leaves_a_symmetric_residual() -> None:
    scores = with_inpainter(0.0, blur=6.0).score(spot(32, 48))
    plane = scores.residual[0].exp() - RESIDUAL_FLOOR
    rows, columns = scores.grid.centres()
    row, column = int(np.argmin(abs(rows - 32))), int(np.argmin(abs(columns - 48)))
    assert (rows[row], columns[column]) == (32, 48)
    for one, two in (
        (plane[row - 1, column], plane[row + 1, column]),
        (plane[row, column - 1], plane[row, column + 1]),
    ):
        assert one.item() == pytest.approx(two.item(), rel=0.25)


def test_a_wider_blur_spreads_the_residual_and_keeps_its_sum() -> None:
    narrow, wide = (with_inpainter(0.0, blur=blur).score(spot(32, 48)).residual.exp() for blur in (2.0, 9.0))
    assert wide.max() < 0.5 * narrow.max()
    totals = [float((plane - RESIDUAL_FLOOR).sum()) for plane in (narrow, wide)]
    assert totals[0] == pytest.approx(totals[1], rel=0.35)


@pytest.mark.parametrize("blur", [0.5, 30.0, 500.0])
def test_no_blur_is_too_narrow_or_too_wide(blur: float) -> None:
    scores = with_inpainter(0.0, blur=blur).score(spot(32, 48))
    assert torch.isfinite(scores.residual).all()


def test_mean_channels_move_where_they_change_and_not_where_they_are_bright() -> None:
    settings = replace(tiny_settings(), mode="mean")
    avid = with_inpainter(0.0, settings=settings)
    bright = torch.full((1, 3, HEIGHT, WIDTH), 1.5)
    assert not avid.score(bright).motion.any()
    changing = bright.clone()
    changing[:, 1] -= 0.5
    assert torch.allclose(avid.score(changing).motion, torch.tensor(0.5), atol=1e-5)


@pytest.mark.parametrize("output", ["irregular_logit", "normality", "normality_logit"])
def test_the_detector_s_evidence_is_large_where_it_is_irregular_whatever_its_map_says(output: str) -> None:
    settings = tiny_settings()
    settings = replace(settings, detector=replace(settings.detector, output=output))
    avid = Avid(settings, weights(settings), blur=4.0, runtime=CPU32)
    raw = avid._networks.detector(torch.zeros(1, 3, HEIGHT, WIDTH))
    evidence = avid.score(torch.zeros(1, 3, HEIGHT, WIDTH)).detector
    expected = {"irregular_logit": raw, "normality": 2 - 4 * raw, "normality_logit": -raw}[output]
    assert torch.allclose(evidence, expected, atol=1e-5)


def test_a_detector_that_knows_no_irregular_window_judges_what_the_inpainter_made() -> None:
    plain = tiny_settings()
    paper = tiny_settings(simulated_weight=0.0)
    windows = torch.randn(1, 3, HEIGHT, WIDTH)
    ours, theirs = (with_inpainter(0.5, settings=settings) for settings in (plain, paper))
    theirs._networks = replace(theirs._networks, detector=ours._networks.detector)
    assert torch.allclose(theirs.score(windows).detector, ours.score(0.5 * windows).detector, atol=1e-5)
    assert not torch.allclose(theirs.score(windows).detector, ours.score(windows).detector, atol=1e-3)


def test_noise_is_added_at_test_time_only_where_the_settings_say_so() -> None:
    settings = tiny_settings()
    window = torch.zeros(1, 3, HEIGHT, WIDTH)
    assert not with_inpainter(1.0, settings=settings).score(window).inpainter.any()
    noisy = with_inpainter(1.0, settings=replace(settings, noise_at_test=True)).score(window).inpainter
    assert noisy.mean().sqrt().item() == pytest.approx(settings.training.noise / 64, rel=0.1)


def test_reduced_precision_scores_nearly_the_same(avid: Avid) -> None:
    windows = torch.randn(2, 3, HEIGHT, WIDTH)
    reduced = Avid(avid.settings, avid.state(), blur=4.0, runtime=Runtime(torch.device("cpu"), torch.bfloat16))
    for name in ("detector", "residual", "motion"):
        one, two = getattr(avid.score(windows), name), getattr(reduced.score(windows), name)
        assert two.dtype == torch.float32
        # bfloat16 keeps 8 bits, about half a percent, through a few layers one behind the other.
        assert (one - two).abs().max() < 0.04 * max(1.0, one.abs().max().item())


def test_a_system_is_rebuilt_from_its_settings_and_tensors(avid: Avid) -> None:
    again = rebuild({**avid.settings.to_json(), "blur_pixels": 4.0}, avid.state(), Path("gate.avid"))
    windows = torch.randn(1, 3, HEIGHT, WIDTH)
    assert again.blur == 4.0
    assert torch.allclose(again.score(windows).detector, avid.score(windows).detector, atol=0.1)


def test_weights_that_do_not_fit_are_a_model_error_that_names_the_file(avid: Avid) -> None:
    values = avid.settings.to_json()
    tensors = avid.state()
    others = {
        "another width": ({**values, "inpainter": {"channels": (4, 4)}}, tensors),
        "another depth": ({**values, "detector": {}}, tensors),
        "no weights": (values, {}),
        "no settings": ({}, tensors),
    }
    for settings, given in others.values():
        with pytest.raises(ModelError, match=r"^gate\.avid: [^\n]*$"):
            rebuild(settings, given, Path("gate.avid"))


def test_what_the_caller_does_with_the_state_does_not_reach_the_system(avid: Avid) -> None:
    avid.state().clear()
    assert avid.state()


def test_unpadded_detectors_place_their_cells_truly_too() -> None:
    settings = AvidSettings(
        inpainter=InpainterSettings(channels=(4, 8)),
        detector=DetectorSettings(layers=({"channels": 4, "kernel": 7, "stride": 4}, {"channels": 4, "kernel": 3})),
        training=tiny_settings().training,
    )
    for row, column in ((32, 48), (20, 70)):
        scores = with_inpainter(0.0, blur=2.0, settings=settings).score(spot(row, column))
        found = peak(scores.residual, scores)
        assert abs(found[0] - row) <= 4
        assert abs(found[1] - column) <= 4

"""The two networks: layer shapes, parameter counts, any picture size, and what each output means."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from detectors.avid.detector import (
    DetectorNetwork,
    DetectorSettings,
    irregular_logit,
    light_layers,
    normality,
)
from detectors.avid.inpainter import Inpainter, InpainterSettings, pad_to_multiple
from detectors.avid.presets import (
    DETECTORS,
    INPAINTERS,
    detector_preset,
    fast_inpainter,
    inpainter_preset,
    paper_detector,
    paper_detector_64,
    paper_inpainter,
)
from preprocess.errors import UsageError

TINY = InpainterSettings(channels=(2, 3, 4), batch_norm=False)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def convolution_outputs(network: nn.Module, picture: torch.Tensor) -> list[tuple[int, ...]]:
    """Shape ``(C, H, W)`` after every convolution, in order."""
    shapes: list[tuple[int, ...]] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    with torch.inference_mode():
        network.eval()(picture)
    return shapes


@pytest.mark.parametrize(("channels", "count"), [(1, 4_431_617), (3, 4_432_899)])
def test_the_papers_inpainter_has_its_published_size(channels: int, count: int) -> None:
    assert parameters(Inpainter(paper_inpainter(channels))) == count


def test_the_papers_inpainter_has_its_published_layers() -> None:
    shapes = convolution_outputs(Inpainter(paper_inpainter()), torch.zeros(1, 3, 64, 96))
    twice = [(64, 64, 96), (128, 32, 48), (256, 16, 24), (256, 8, 12), (64, 4, 6)]
    twice += [(256, 8, 12), (64, 16, 24), (64, 32, 48), (64, 64, 96)]
    assert shapes == [shape for shape in twice for _ in range(2)] + [(3, 64, 96)]


def test_the_papers_inpainter_joins_every_skip() -> None:
    inputs = [up.block[0].in_channels for up in Inpainter(paper_inpainter()).up]
    assert inputs == [64 + 256, 256 + 256, 64 + 128, 64 + 64]


@pytest.mark.parametrize("first_stride", [4, 1])
@pytest.mark.parametrize(("channels", "count"), [(1, 2_454_176), (3, 2_477_408)])
def test_the_papers_detector_has_its_published_size(channels: int, count: int, first_stride: int) -> None:
    network = DetectorNetwork(paper_detector(channels, first_stride=first_stride))
    assert parameters(network) == count


@pytest.mark.parametrize(("first_stride", "side"), [(4, 224), (1, 64)])
def test_the_papers_detector_shrinks_through_54_and_26_to_11_cells(first_stride: int, side: int) -> None:
    network = DetectorNetwork(paper_detector(first_stride=first_stride))
    shapes = convolution_outputs(network, torch.zeros(1, 3, side, side))
    assert shapes == (
        [(96, 54, 54)] * 3 + [(96, 26, 26)] * 3 + [(256, 11, 11), (512, 11, 11)] + [(1024, 11, 11)] * 2 + [(1, 11, 11)]
    )


def test_the_112_pixel_detector_shrinks_through_56_and_26_to_11_cells() -> None:
    shapes = convolution_outputs(DetectorNetwork(detector_preset("paper-112")), torch.zeros(1, 3, 112, 112))
    assert shapes == (
        [(64, 112, 112)] * 2
        + [(128, 56, 56)] * 3
        + [(256, 26, 26)] * 3
        + [(512, 11, 11)]
        + [(1024, 11, 11)] * 2
        + [(1, 11, 11)]
    )


@pytest.mark.parametrize("preset", ["paper-224", "paper-112", "paper-64"])
def test_the_papers_detectors_do_not_mix_real_and_inpainted_statistics(preset: str) -> None:
    network = DetectorNetwork(detector_preset(preset))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_the_light_presets_stay_light() -> None:
    assert parameters(Inpainter(inpainter_preset("light"))) == 211_587
    assert parameters(Inpainter(inpainter_preset("fast"))) == 213_036
    assert parameters(DetectorNetwork(detector_preset("light"))) == 412_153


@pytest.mark.parametrize("name", sorted(INPAINTERS))
def test_every_inpainter_preset_returns_the_shape_it_was_given(name: str) -> None:
    network = Inpainter(inpainter_preset(name)).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 37, 50)).shape == (1, 3, 37, 50)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    stem=st.sampled_from([1, 2]),
    finest_skip=st.booleans(),
    upsampling=st.sampled_from(["bilinear", "bilinear_aligned", "nearest"]),
)
def test_an_inpainter_takes_any_height_and_width(
    height: int, width: int, stem: int, finest_skip: bool, upsampling: str
) -> None:
    network = Inpainter(dataclasses.replace(TINY, stem=stem, finest_skip=finest_skip, upsampling=upsampling))
    with torch.inference_mode():
        result = network(torch.randn(2, 3, height, width))
    assert result.shape == (2, 3, height, width)
    assert torch.isfinite(result).all()


@pytest.mark.parametrize("stem", [1, 2])
def test_padding_inside_is_the_same_as_padding_outside(stem: int) -> None:
    network = Inpainter(dataclasses.replace(TINY, stem=stem)).eval()
    picture = torch.randn(1, 3, 21, 30)
    with torch.inference_mode():
        outside = network(pad_to_multiple(picture, network.settings.multiple))[..., :21, :30]
        assert torch.equal(network(picture), outside)


def test_padding_reflects_where_it_can_and_repeats_where_it_cannot() -> None:
    row = torch.tensor([[[[1.0, 2.0, 3.0]]]]).expand(1, 1, 4, 3)
    assert pad_to_multiple(row, 4)[0, 0, 0].tolist() == [1.0, 2.0, 3.0, 2.0]
    single = torch.tensor([[[[5.0]]]])
    assert pad_to_multiple(single, 4).unique().tolist() == [5.0]
    assert pad_to_multiple(row[..., :2, :2], 2).shape == (1, 1, 2, 2)


def test_without_the_finest_skip_the_last_way_up_sees_coarse_levels_only() -> None:
    network = Inpainter(dataclasses.replace(TINY, finest_skip=False))
    with_skip = Inpainter(TINY).up[-1].block[0].in_channels
    assert network.up[-1].block[0].in_channels == with_skip - TINY.channels[0]


def test_the_stem_runs_the_first_level_at_half_resolution() -> None:
    shapes = convolution_outputs(Inpainter(fast_inpainter()), torch.zeros(1, 3, 32, 48))
    assert shapes[0] == (16, 16, 24)
    assert shapes[-1] == (12, 16, 24)


def test_the_inpainters_output_is_linear() -> None:
    network = Inpainter(TINY)
    nn.init.constant_(network.output.bias, -70.0)
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 8, 8)).max() < -60


@pytest.mark.parametrize("network", [Inpainter(TINY), DetectorNetwork(DetectorSettings(layers=light_layers((2,) * 6)))])
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 4, 16, 16)])
def test_windows_of_another_shape_are_refused(network: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(B, 3, H, W\)"):
        network(torch.zeros(shape))


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": (16,)},
        {"channels": (16, 0)},
        {"channels": (16, 10**6)},
        {"channels": (8,) * 20},
        {"decoder_channels": (8,)},
        {"stem": 3},
        {"upsampling": "cubic"},
    ],
)
def test_impossible_inpainter_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"inpainter|levels|stem|upsampling"):
        InpainterSettings(**wrong)


@pytest.mark.parametrize("wrong", [{"layers": ()}, {"input_channels": 0}, {"output": "sigmoid"}, {"leak": -1.0}])
def test_impossible_detector_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="detector"):
        DetectorSettings(**wrong)


@pytest.mark.parametrize("settings_", [make() for make in (*INPAINTERS.values(), *DETECTORS.values())])
def test_settings_come_back_from_json_as_they_were(settings_: InpainterSettings | DetectorSettings) -> None:
    told = json.loads(json.dumps(dataclasses.asdict(settings_)))
    assert type(settings_)(**told) == settings_


def test_an_unknown_preset_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="known: paper, light, fast"):
        inpainter_preset("huge")
    with pytest.raises(UsageError, match="paper-224, paper-112, paper-64, light"):
        detector_preset("huge")


def test_a_larger_score_means_more_irregular_whatever_the_network_says() -> None:
    rising = torch.tensor([-3.0, 0.0, 0.5, 1.0, 4.0])
    assert irregular_logit(rising, "irregular_logit").equal(rising)
    for output in ("normality", "normality_logit"):
        assert irregular_logit(rising, output).diff().lt(0).all()


def test_an_undecided_detector_is_at_zero() -> None:
    assert irregular_logit(torch.tensor([0.5]), "normality").item() == 0.0
    assert irregular_logit(torch.tensor([0.0]), "normality_logit").item() == 0.0


def test_the_linear_logit_agrees_with_the_true_one_near_one_half() -> None:
    near = torch.tensor([0.45, 0.5, 0.55])
    assert torch.allclose(irregular_logit(near, "normality"), ((1 - near) / near).log(), atol=1e-3)


def test_normality_is_one_for_normal_and_zero_for_irregular() -> None:
    assert torch.allclose(normality(torch.tensor([-20.0, 0.0, 20.0]), "irregular_logit"), torch.tensor([1.0, 0.5, 0.0]))
    assert torch.allclose(normality(torch.tensor([-20.0, 20.0]), "normality_logit"), torch.tensor([0.0, 1.0]))
    assert normality(torch.tensor([1.3]), "normality").item() == pytest.approx(1.3)


def test_the_log_form_changes_the_meaning_of_the_output_and_no_layer() -> None:
    assert paper_detector_64(output="normality_logit").layers == paper_detector_64().layers

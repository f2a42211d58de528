"""How networks are run: folding changes no number that matters, and every choice is explained or refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from detectors import inference
from detectors.avid.detector import DetectorNetwork
from detectors.avid.inpainter import Inpainter, InpainterSettings
from detectors.inference import Runtime, choose_runtime, fold_batch_norm, multiplies_bfloat16, prepare
from preprocess.errors import UsageError

CPU = torch.device("cpu")


def trained_a_little(network: nn.Module) -> nn.Module:
    """Batch norms with statistics and scales that are no identity."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.eval()


NETWORKS = {
    "inpainter": Inpainter,
    "inpainter on blocks": lambda: Inpainter(InpainterSettings(stem=2, finest_skip=False)),
    "detector": DetectorNetwork,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_folding_batch_norm_leaves_the_scores_as_they_were(name: str) -> None:
    network = trained_a_little(NETWORKS[name]())
    windows = torch.randn(2, 3, 40, 56)
    ready = prepare(network, Runtime(CPU, torch.float32))
    with torch.inference_mode():
        assert torch.allclose(ready(windows), network(windows), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ready.modules())


def test_preparing_leaves_the_network_as_it_was_so_that_training_can_go_on() -> None:
    network = trained_a_little(Inpainter(InpainterSettings(channels=(2, 3)))).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    ready = prepare(network, Runtime(CPU, torch.float32))
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(parameter.requires_grad for parameter in ready.parameters())
    assert all(tensor.equal(before[name]) for name, tensor in network.state_dict().items())


def test_statistics_that_still_change_are_not_folded() -> None:
    with pytest.raises(ValueError, match="inference mode only"):
        fold_batch_norm(Inpainter(InpainterSettings(channels=(2, 3))))


@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_scores_follow_float32_scores_closely(name: str) -> None:
    network = trained_a_little(NETWORKS[name]())
    runtime = Runtime(CPU, torch.bfloat16)
    windows = torch.randn(2, 3, 40, 56)
    ready = prepare(network, runtime)
    with torch.inference_mode(), runtime.autocast():
        fast = ready(runtime.upload(windows)).float()
    with torch.inference_mode():
        exact = network(windows)
    # A number keeps 8 bits of itself: what is nearly the same everywhere differs by more than its spread says.
    assert (fast - exact).abs().mean() < 0.02 * (exact.std() + exact.abs().mean())


def test_float32_runs_without_autocast() -> None:
    with Runtime(CPU, torch.float32).autocast():
        assert not torch.is_autocast_enabled("cpu")


def test_a_batch_is_uploaded_channels_last() -> None:
    uploaded = Runtime(CPU, torch.float32).upload(torch.zeros(2, 3, 4, 5))
    assert uploaded.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("native", "precision"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_takes_bfloat16_only_where_the_processor_multiplies_it(
    native: bool, precision: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "multiplies_bfloat16", lambda _device: native)
    assert choose_runtime("cpu", "auto") == Runtime(CPU, precision)


@pytest.mark.parametrize("told", [{"avx512_bf16": True}, {"amx_bf16": True}])
def test_processors_with_bfloat16_instructions_are_known(
    told: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert multiplies_bfloat16(CPU)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}, raising=False)
    assert not multiplies_bfloat16(CPU)


def test_older_torch_is_asked_by_its_older_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert multiplies_bfloat16(CPU)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_a_precision_asked_for_is_the_precision_given(precision: str, dtype: torch.dtype) -> None:
    assert choose_runtime("cpu", precision) == Runtime(CPU, dtype)


def test_a_gpu_is_taken_where_there_is_one_and_not_where_the_cpu_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (7, 5))
    assert choose_runtime("auto", "auto") == Runtime(torch.device("cuda"), torch.float32)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (8, 0))
    assert choose_runtime("cuda", "auto") == Runtime(torch.device("cuda"), torch.bfloat16)
    assert choose_runtime("cpu", "float32").device == CPU


def test_a_device_that_is_not_there_is_refused_with_another_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="use --device cpu or auto"):
        choose_runtime("cuda")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="auto, cpu or cuda"):
        choose_runtime("tpu")
    with pytest.raises(UsageError, match="auto, float32 or bfloat16"):
        choose_runtime("cpu", "int8")

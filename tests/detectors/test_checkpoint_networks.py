"""Networks built from model files: the same as before, and one line where file and settings do not fit each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from detectors.avid.detector import DetectorNetwork, DetectorSettings
from detectors.avid.inpainter import Inpainter, InpainterSettings
from detectors.checkpoint import ModelHeader, build_network, build_settings, load_model, save_model
from preprocess.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = ModelHeader(
    detector="avid",
    detector_settings={"inpainter": {"channels": [2, 3]}},
    preprocessing={},
    calibration={},
    versions={},
    trained_on={},
    training={},
)


def saved_inpainter(path: Path, settings_: InpainterSettings) -> Inpainter:
    network = Inpainter(settings_).eval()
    save_model(path, HEADER, {f"inpainter.{name}": tensor for name, tensor in network.state_dict().items()})
    return network


def test_a_network_built_from_its_file_computes_the_same(tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    settings_ = InpainterSettings(channels=(2, 3, 4))
    network = saved_inpainter(path, settings_)
    rebuilt = build_network(lambda: Inpainter(settings_), load_model(path)[1], path, "inpainter.")
    picture = torch.randn(1, 3, 16, 24)
    with torch.inference_mode():
        assert rebuilt(picture).equal(network(picture))
    assert not rebuilt.training


@pytest.mark.parametrize("name", ["inpainter.output.weight", "inpainter.down.0.1.running_var"])
def test_a_missing_tensor_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    settings_ = InpainterSettings(channels=(2, 3))
    saved_inpainter(path, settings_)
    tensors = load_model(path)[1]
    del tensors[name]
    with pytest.raises(ModelError, match=f"tensor {name} is missing"):
        build_network(lambda: Inpainter(settings_), tensors, path, "inpainter.")


def test_tensors_of_another_network_are_named(tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    saved_inpainter(path, InpainterSettings(channels=(2, 3)))
    tensors = load_model(path)[1]
    with pytest.raises(ModelError, match=r"tensor inpainter\.\S+ is \([23].* not \([34]"):
        build_network(lambda: Inpainter(InpainterSettings(channels=(4, 3))), tensors, path, "inpainter.")
    with pytest.raises(ModelError, match="belongs to no layer"):
        build_network(
            lambda: Inpainter(InpainterSettings(channels=(2, 3), batch_norm=False)), tensors, path, "inpainter."
        )
    tensors["inpainter.output.bias"] = tensors["inpainter.output.bias"].long()
    with pytest.raises(ModelError, match=r"output\.bias is .*int64"):
        build_network(lambda: Inpainter(InpainterSettings(channels=(2, 3))), tensors, path, "inpainter.")


def test_settings_that_promise_more_than_the_file_holds_cost_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    layers = tuple({"channels": 1024, "kernel": 63} for _ in range(64))  # a terabyte of weights
    wanted = build_settings(DetectorSettings, {"layers": layers}, path)
    with pytest.raises(ModelError, match="is missing"):
        build_network(lambda: DetectorNetwork(wanted), {}, path)


@pytest.mark.parametrize(
    "values",
    [{"channels": [2, 3], "colour": True}, {"channels": 5}, {"channels": ["a", "b"]}, {"stem": "2"}, {"channels": [1]}],
)
def test_settings_that_do_not_fit_this_version_are_a_model_error(values: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="settings that do not fit this version"):
        build_settings(InpainterSettings, values, tmp_path / "gate.avid")

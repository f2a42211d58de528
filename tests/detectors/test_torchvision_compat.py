"""Torchvision loads beside a CPU build of torch, and no other failure is papered over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from detectors import torchvision_compat
from detectors.torchvision_compat import import_torchvision

ROOT = Path(__file__).resolve().parents[2]
KNOWN = RuntimeError("operator torchvision::nms does not exist")


class Loader:
    """Stands for the import of torchvision: raises what it was given, once each, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.module = ModuleType("torchvision")
        self.declared = 0

    def load(self, name: str) -> ModuleType:
        assert name == "torchvision"
        if self.errors:
            raise self.errors.pop(0)
        return self.module

    def declare(self) -> None:
        self.declared += 1


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch):
    def put(loader: Loader, cuda: str | None = None) -> Loader:
        monkeypatch.setattr(torchvision_compat.importlib, "import_module", loader.load)
        monkeypatch.setattr(torchvision_compat, "_declare_missing", loader.declare)
        monkeypatch.setattr(torch.version, "cuda", cuda)
        return loader

    return put


def test_a_torchvision_that_loads_is_left_alone(install) -> None:
    loader = install(Loader())
    assert import_torchvision() is loader.module
    assert loader.declared == 0


def test_the_two_operators_are_declared_after_that_very_failure(install) -> None:
    loader = install(Loader(KNOWN))
    assert import_torchvision() is loader.module
    assert loader.declared == 1


def test_a_cuda_build_of_torch_is_never_patched(install) -> None:
    loader = install(Loader(KNOWN), cuda="12.8")
    with pytest.raises(RuntimeError, match="nms"):
        import_torchvision()
    assert loader.declared == 0


def test_another_failure_is_passed_on(install) -> None:
    loader = install(Loader(RuntimeError("libcudart.so.12: cannot open shared object file")))
    with pytest.raises(RuntimeError, match="libcudart"):
        import_torchvision()
    assert loader.declared == 0
    install(Loader(ModuleNotFoundError("No module named 'torchvision'")))
    with pytest.raises(ImportError):
        import_torchvision()


def test_networks_of_the_installed_torchvision_work() -> None:
    code = (
        "import torch\n"
        "from detectors.torchvision_compat import import_torchvision\n"
        "torchvision = import_torchvision()\n"
        "assert import_torchvision() is torchvision\n"
        "network = torchvision.models.mobilenet_v2(weights=None).eval()\n"
        "print(tuple(network(torch.zeros(1, 3, 32, 32)).shape))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "(1, 1000)"

"""Torchvision beside a CPU build of torch: the one place that makes it importable.

The torchvision wheels of the package index are built for CUDA. Beside a CPU build of torch their compiled operators do
not load, and ``import torchvision`` ends with "operator torchvision::nms does not exist", because it describes two
operators to the compiler that nobody has declared. Declaring just their signatures lets the import through: networks,
transforms and region-of-interest pooling then work; ``nms``, deformable convolution and the detection networks do not.
Import torchvision through :func:`import_torchvision` only, and lazily: watching and fitting never need it.
"""

from __future__ import annotations

import importlib
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from types import ModuleType

MISSING: Final = ("nms", "qnms")
SYMPTOM: Final = "operator torchvision::nms does not exist"
SIGNATURE: Final = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> ModuleType:
    """Import torchvision, declaring the two missing operators where a CUDA wheel meets a CPU build of torch.

    Raises:
        ImportError: torchvision is not installed.
        RuntimeError: it fails to load for another reason; that one is nobody's business here.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if SYMPTOM not in str(error) or torch.version.cuda is not None:
            raise
    # The failed import leaves half-loaded parts behind, which a second one would take for whole.
    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]
    _declare_missing()
    return importlib.import_module("torchvision")


@lru_cache(maxsize=1)
def _declare_missing() -> torch.library.Library:
    """Declare the operators; the cache keeps the library alive, without which the declarations would vanish."""
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in MISSING:
        library.define(name + SIGNATURE)  # type: ignore[no-untyped-call]
    return library

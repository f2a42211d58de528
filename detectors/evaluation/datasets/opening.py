"""One door for every data set: from its name on the command line to scenes, clips and truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detectors.evaluation.datasets import avenue, custom, shanghaitech, ucsd, umn
from preprocess.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from detectors.evaluation.protocol import EvaluationSet

SET_NAMES = ("ucsd-ped1", "ucsd-ped2", "umn", "avenue", "shanghaitech", "ir-mnist", "custom")
"""Names of the data sets on the command line."""

_READERS: Mapping[str, Callable[[Path], EvaluationSet]] = {
    "ucsd-ped1": ucsd.read_ped1,
    "ucsd-ped2": ucsd.read_ped2,
    "umn": umn.read,
    "avenue": avenue.read,
    "shanghaitech": shanghaitech.read,
    "custom": custom.read,
}


def read_set(name: str, path: Path) -> EvaluationSet:
    """Read a data set of clips in its published layout.

    Args:
        name: one of :data:`SET_NAMES` but ``ir-mnist``, which is made of still pictures.
        path: where it lies, as ``docs/datasets.md`` describes.

    Raises:
        UsageError: there is no such set, or it has no clips.
        InputError: something of it is missing, damaged or contradicts the rest.
    """
    if name == "ir-mnist":
        raise UsageError("ir-mnist has no clips: its grids of digits are built by ir_mnist.build_ir_mnist")
    reader = _READERS.get(name)
    if reader is None:
        raise UsageError(f"{name}: no such data set; choose one of {', '.join(SET_NAMES)}")
    if not path.exists():
        raise InputError(f"{path}: not there; give the place of the {name} data set")
    return reader(path)

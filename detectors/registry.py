"""The detectors behind ``--detector``: names, one line each, and where they live. Imported only when asked for."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from preprocess.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from detectors.base import Detector


class DetectorFactory(Protocol):
    """Rebuilds a detector from what its model file holds."""

    def __call__(self, settings: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: Path) -> Detector:
        """The detector in inference mode; ``path`` is for messages.

        Raises:
            ModelError: settings or tensors do not fit this version.
        """
        ...


@dataclass(frozen=True, slots=True)
class DetectorEntry:
    """One detector that can be asked for.

    Attributes:
        name: as users write it.
        summary: one line for the help.
        location: ``module:callable`` of its :class:`DetectorFactory`.
    """

    name: str
    summary: str
    location: str


_ENTRIES: dict[str, DetectorEntry] = {}


def register(name: str, location: str, summary: str) -> None:
    """Make a detector known by name.

    Args:
        name: as users write it: lower case, words joined by ``_``.
        location: ``module:callable`` of its factory; imported when first asked for.
        summary: one line for the help.

    Raises:
        ValueError: the name is taken by another, or the location has no ``module:callable`` form.
    """
    module, _, attribute = location.partition(":")
    if not module or not attribute:
        raise ValueError(f"a detector's location is module:callable, not {location!r}")
    entry = DetectorEntry(name, summary, location)
    if _ENTRIES.setdefault(name, entry) != entry:
        raise ValueError(f"a detector called {name!r} exists already")


def known_detectors() -> tuple[DetectorEntry, ...]:
    """All detectors, by name."""
    return tuple(_ENTRIES[name] for name in sorted(_ENTRIES))


def detector_factory(name: str) -> DetectorFactory:
    """The factory of the detector called ``name``.

    Raises:
        UsageError: no detector has this name; the message names the known ones.
    """
    if name not in _ENTRIES:
        known = ", ".join(entry.name for entry in known_detectors())
        raise UsageError(f"no detector is called {name!r}; known: {known}")
    module, _, attribute = _ENTRIES[name].location.partition(":")
    return cast("DetectorFactory", getattr(importlib.import_module(module), attribute))


register("avid", "detectors.avid.system:rebuild", "inpainter and detector, joined per place (AVID, ACCV 2018)")

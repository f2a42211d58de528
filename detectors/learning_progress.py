"""How far a live camera's learning is: what is saved beside its model, so that a restart goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from detectors.peaks import Watch
from detectors.scene_model import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detectors.evidence import Decision


@dataclass(frozen=True, slots=True)
class Progress:
    """How far learning is, in one light.

    Attributes:
        started: time of the first frame, seconds (since 1970, as live sources count); None before it.
        watched: seconds of frames that were judged, over all restarts; those that alarmed included.
        model_seconds: normal footage the model in use was learned from, seconds.
        refreshes: models since the first one.
        second_starts: how often everything was learned anew because nearly everything alarmed.
        watches: what was reached under the model in use and under those before, by decision, in order; all in the
            statistics of the model in use.
    """

    started: float | None = None
    watched: float = 0.0
    model_seconds: float = 0.0
    refreshes: int = 0
    second_starts: int = 0
    watches: dict[Decision, tuple[Watch, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "started": self.started,
            "watched_seconds": round(self.watched, 3),
            "model_seconds": self.model_seconds,
            "refreshes": self.refreshes,
            "second_starts": self.second_starts,
            "watches": {decision: [watch.to_json() for watch in seen] for decision, seen in self.watches.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from :meth:`to_json`; AttributeError, KeyError, TypeError or ValueError where values do not fit."""
        started = values["started"]
        found = cls(
            started=None if started is None else float(started),
            watched=float(values["watched_seconds"]),
            model_seconds=float(values["model_seconds"]),
            refreshes=int(values["refreshes"]),
            second_starts=int(values.get("second_starts", 0)),
            watches={d: tuple(map(Watch.from_json, values["watches"].get(d, ()))) for d in DECISIONS},
        )
        times = (found.started or 0.0, found.watched, found.model_seconds)
        if not all(math.isfinite(time) for time in times) or min(*times[1:], found.refreshes, found.second_starts) < 0:
            raise ValueError("times and numbers are finite and not negative")
        return found

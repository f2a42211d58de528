"""The record of a benchmark: what ``results.json`` holds, and how several seeds and scenes become one figure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from detectors.evaluation.published import published_figures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detectors.evaluation.protocol import EvaluationSet

Figures = dict[str, float]
"""Figures by their names, fractions where they are shares; a figure that a set does not have is absent."""

SCENES_ARE_AVERAGED = frozenset({"umn"})
"""Sets whose protocol pools frames over a scene only: their figure is the mean over scenes. Elsewhere all test frames
of all scenes make one curve (micro)."""

AS_FITTED = "as fitted"
"""Name of the test clips themselves beside their variants at other frame rates."""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What one seed gave.

    Attributes:
        seed: of everything random while learning.
        pooled: figures over all test frames of all scenes together.
        per_scene: figures over the test frames of each scene.
        per_clip: figures and counts of each clip, named ``scene/clip``.
        variants: frame AUC of the test clips at each frame rate, by scene and name; empty without variants.
        training_seconds: time each fit took, by scene; None where nothing was fitted.
        frames: used test frames.
        unscored: those of them without a score (the first ones of a clip, and around damage).
        scoring_seconds: time the scoring took, from decoding to events.
    """

    seed: int
    pooled: Figures
    per_scene: Mapping[str, Figures]
    per_clip: Mapping[str, Mapping[str, float | int | None]]
    variants: Mapping[str, Figures] = field(default_factory=dict)
    training_seconds: Mapping[str, float | None] = field(default_factory=dict)
    frames: int = 0
    unscored: int = 0
    scoring_seconds: float = 0.0

    def metrics(self, dataset: str) -> Figures:
        """The set's figures by its own protocol."""
        if dataset in SCENES_ARE_AVERAGED and len(self.per_scene) > 1:
            return mean_of(list(self.per_scene.values()))
        return dict(self.pooled)

    @property
    def frames_per_second(self) -> float | None:
        """Frames scored per second; None where nothing was scored."""
        return self.frames / self.scoring_seconds if self.scoring_seconds > 0 else None


def mean_of(figures: Sequence[Mapping[str, float]]) -> Figures:
    """Mean of every figure that all of them have."""
    if not figures:
        return {}
    names = [name for name in figures[0] if all(name in other for other in figures)]
    return {name: sum(float(other[name]) for other in figures) / len(figures) for name in names}


def spread_of(figures: Sequence[Mapping[str, float]]) -> Figures:
    """Largest less smallest of every figure that all of them have; empty for fewer than two."""
    if len(figures) < 2:
        return {}
    return {
        name: max(float(other[name]) for other in figures) - min(float(other[name]) for other in figures)
        for name in mean_of(figures)
    }


def results_document(
    evaluated: EvaluationSet,
    seeds: Sequence[SeedResult],
    *,
    detector: str,
    score: str,
    settings: Mapping[str, object],
    machine: Mapping[str, object],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything ``results.json`` holds.

    Args:
        evaluated: the set.
        seeds: one result per seed, at least one.
        detector: what was evaluated.
        score: what its map was.
        settings: those of the command.
        machine: where it ran.
        notes: beside those of the set.

    Raises:
        ValueError: there is no result.
    """
    if not seeds:
        raise ValueError("a record needs the result of at least one seed")
    own = [seed.metrics(evaluated.name) for seed in seeds]
    times = [sum(t for t in seed.training_seconds.values() if t is not None) for seed in seeds]
    fitted = any(t is not None for seed in seeds for t in seed.training_seconds.values())
    rates = [rate for seed in seeds if (rate := seed.frames_per_second) is not None]
    document: dict[str, Any] = {
        "dataset": evaluated.name,
        "title": evaluated.title,
        "detector": detector,
        "score": score,
        "metrics": mean_of(own),
        "spread": spread_of(own),
        "seeds": len(seeds),
        "per_seed": [
            {
                "seed": seed.seed,
                "metrics": figures,
                "training_seconds": dict(seed.training_seconds),
                "scoring_frames_per_second": seed.frames_per_second,
            }
            for seed, figures in zip(seeds, own, strict=True)
        ],
        "per_scene": {scene: mean_of([seed.per_scene[scene] for seed in seeds]) for scene in seeds[0].per_scene},
        "per_clip": {clip: _clip_mean([seed.per_clip[clip] for seed in seeds]) for clip in seeds[0].per_clip},
        "published": [asdict(figure) for figure in published_figures(evaluated.name)],
        "frames": seeds[0].frames,
        "unscored_frames": seeds[0].unscored,
        "training_seconds": sum(times) / len(times) if fitted else None,
        "scoring_frames_per_second": sum(rates) / len(rates) if rates else None,
        "machine": dict(machine),
        "settings": dict(settings),
        "notes": [*evaluated.notes, *notes],
    }
    if evaluated.name in SCENES_ARE_AVERAGED:
        document["pooled"] = mean_of([seed.pooled for seed in seeds])
    if any(seed.variants for seed in seeds):
        document["variants"] = variants_of(seeds)
    return document


def variants_of(seeds: Sequence[SeedResult]) -> dict[str, Any]:
    """Frame AUC at every frame rate, mean over seeds, and the largest difference between rates.

    Returns:
        ``frame_auc``: mean over scenes by frame rate; ``per_scene``: the same for each scene; ``largest_difference``:
        the largest difference between two rates in any scene.
    """
    scenes = {
        scene: mean_of([seed.variants[scene] for seed in seeds if scene in seed.variants])
        for scene in seeds[0].variants
    }
    return {
        "frame_auc": mean_of(list(scenes.values())),
        "per_scene": scenes,
        "largest_difference": max(
            (max(figures.values()) - min(figures.values()) for figures in scenes.values() if figures), default=0.0
        ),
    }


def _clip_mean(rows: Sequence[Mapping[str, float | int | None]]) -> dict[str, float | int | None]:
    """Mean over seeds of what one clip gave; counts that agree stay whole numbers."""
    means: dict[str, float | int | None] = {}
    for name in rows[0]:
        values = [row.get(name) for row in rows]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            means[name] = None
        elif all(value == known[0] for value in known):
            means[name] = known[0]
        else:
            means[name] = sum(known) / len(known)
    return means

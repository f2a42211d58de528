"""What a benchmark keeps so that an interrupted one goes on: fitted models and scores, named by all that decides them.

An entry's name holds a digest of everything that its content depends on: settings, seed, footage, base model and the
code that learns and scores. What has changed has another name; nothing stale can be read.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamer.evaluate_scores import ClipScores
from streamer.sinks.run_folder import run_name
from streamer.sinks.writing import told_as_output_errors, write_whole
from streamer.sources.naming import path_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from detectors.evaluation.protocol import Clip, EvaluationScene, Rectangle

MODEL = "model.avid"
TRAINING = "training.state"
FACTS = "facts.json"
_CODE = ("preprocess", "detectors", "streamer.sources")
_OWN_CODE = ("evaluate_footage.py", "evaluate_fitting.py", "evaluate_scores.py", "events.py", "networks.py")
_TRUTH_AND_METRICS = "evaluation"  # a room of detectors that neither learns nor scores; the baseline in it is added
_LONGEST_NAME = 40


def digest(*parts: object) -> str:
    """A short name for values: equal ones have equal names."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Of all code and weights that decide what is learned and how it scores; truth and metrics are not among it."""
    found = hashlib.sha256()
    for package in _CODE:
        root = Path(str(files(package)))
        for path in sorted([*root.rglob("*.py"), *root.rglob("*.avid")]):
            inside = path.relative_to(root)
            if inside.parts[0] == _TRUTH_AND_METRICS:
                continue
            found.update(inside.as_posix().encode())
            found.update(path.read_bytes())
    for name in _OWN_CODE:
        found.update((Path(str(files("streamer"))) / name).read_bytes())
    return found.hexdigest()[:16]


def clip_identity(clip: Clip, ignored: Sequence[Rectangle]) -> list[object]:
    """What says that a clip is still the same footage: names, sizes and times of its files, and the frames used."""
    path = path_of(clip.uri)
    listed = sorted(path.iterdir()) if path.is_dir() else [path]
    stats = [(entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in listed if entry.is_file()]
    painted = [(part.x, part.y, part.width, part.height) for part in ignored]
    return [str(path.resolve()), stats, clip.start, clip.stop, clip.every, str(clip.frame_rate), painted]


def footage_identity(clips: Iterable[Clip], ignored: Sequence[Rectangle]) -> str:
    """The same for several clips, shortened."""
    return digest([clip_identity(clip, ignored) for clip in clips])


class SceneCache:
    """One scene fitted with one seed."""

    def __init__(self, folder: Path, scene: EvaluationScene, seed: int, fitted_with: Mapping[str, object]) -> None:
        """Name the entry; nothing is written yet.

        Args:
            folder: where all entries lie.
            scene: the camera.
            seed: of the fit.
            fitted_with: every setting that decides the model.
        """
        self._key = digest(
            code_digest(), dict(fitted_with), seed, scene.name, footage_identity(scene.normal, scene.ignored)
        )
        self._ignored = scene.ignored
        self.path = folder / f"{_short(scene.name)}-seed{seed}-{self._key}"

    @property
    def model(self) -> Path:
        """The fitted model."""
        return self.path / MODEL

    @property
    def training(self) -> Path:
        """State of an interrupted training."""
        return self.path / TRAINING

    def facts(self) -> dict[str, Any]:
        """What is known of the fit (``training_seconds``, ``complete``, …); empty before there is any."""
        try:
            found = json.loads((self.path / FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_facts(self, facts: Mapping[str, object]) -> None:
        """Keep what is known of the fit; raises OutputError."""
        self.make()
        write_whole(self.path / FACTS, json.dumps(dict(facts)).encode())

    def make(self) -> None:
        """Have the entry's folder; raises OutputError."""
        with told_as_output_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    def read(self, clip: Clip, scored_with: Mapping[str, object]) -> ClipScores | None:
        """Scores of a clip; None where there are none, or none that can be read."""
        try:
            with np.load(self._scores(clip, scored_with), allow_pickle=False) as kept:
                return ClipScores.from_arrays(kept)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def write(self, clip: Clip, scored_with: Mapping[str, object], scores: ClipScores) -> None:
        """Keep scores of a clip; raises OutputError."""
        self.make()
        content = io.BytesIO()
        arrays: dict[str, Any] = scores.to_arrays()
        np.savez(content, **arrays)
        write_whole(self._scores(clip, scored_with), content.getvalue())

    def beside(self, clip: Clip, scored_with: Mapping[str, object], key: str) -> Path:
        """Where something that follows from a clip's scores and ``key`` is kept."""
        scores = self._scores(clip, scored_with)
        return scores.with_name(f"{scores.stem}-{key}.npz")

    def _scores(self, clip: Clip, scored_with: Mapping[str, object]) -> Path:
        key = digest(self._key, dict(scored_with), clip_identity(clip, self._ignored))
        return self.path / f"{_short(clip.name)}-{key}.npz"


def _short(name: str) -> str:
    return run_name(name)[:_LONGEST_NAME]

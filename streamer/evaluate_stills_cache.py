"""What a benchmark on stills keeps so that an interrupted one goes on: the state of the training, then the scores."""

from __future__ import annotations

import copy
import hashlib
import io
import pickle
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from streamer.evaluate_cache import digest
from streamer.evaluate_output import fit_settings
from streamer.sinks.writing import told_as_output_errors, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detectors.evaluation.stills.networks import StillTrainer
    from detectors.inference import Runtime
    from streamer.requests import EvaluateRequest

CACHE: Final = "cache"
TRAINING: Final = "training.state"
SCORES: Final = "scores.npz"
_CODE: Final = ("avid/inpainter.py", "avid/detector.py", "evaluation/datasets/ir_mnist.py")
_ROOM: Final = "evaluation/stills"
_PART: Final = "part-"


@dataclass(frozen=True, slots=True)
class StillScores:
    """What one seed gave; ``M`` grids of 11 x 11 cells.

    Attributes:
        parts: ``(M, 11, 11)`` float32 by part, and ``joint``; in standard deviations of normal digits.
        irregular: ``(M, 11, 11)`` truth.
        pictures: ``(M, 308, 308)`` uint8 grids.
        training_seconds: from taking the grids apart to what is usual.
        scoring_seconds: of all grids.
    """

    parts: Mapping[str, NDArray[np.float32]]
    irregular: NDArray[np.bool_]
    pictures: NDArray[np.uint8]
    training_seconds: float
    scoring_seconds: float


def still_key(request: EvaluateRequest, runtime: Runtime, counts: tuple[int, int], seed: int) -> str:
    """Names everything that scores depend on: settings, seed, code, number of grids, and MNIST's files."""
    folder = request.path
    listed = [entry for entry in sorted(folder.rglob("*ubyte*")) if entry.is_file()]
    stats = [(str(entry.relative_to(folder)), entry.stat().st_size, entry.stat().st_mtime_ns) for entry in listed]
    return digest(_code(), fit_settings(request.settings, runtime), counts, seed, str(folder.resolve()), stats)


class StillCache:
    """One seed."""

    def __init__(self, folder: Path, seed: int, key: str) -> None:
        """Name the entry below ``folder/cache``; nothing is written yet."""
        self.path = folder / CACHE / f"stills-seed{seed}-{key}"

    def save(self, trainer: StillTrainer, seconds: float) -> None:
        """Keep the state of a training after so many seconds; raises OutputError."""
        import torch  # noqa: PLC0415 - loaded after its threads are set up

        content = io.BytesIO()
        torch.save({"seconds": seconds, "trainer": trainer.state()}, content)
        self._write(TRAINING, content.getvalue())

    def restore(self, trainer: StillTrainer) -> float:
        """Bring a training to where it was kept, and say after how many seconds; 0 where there is nothing usable."""
        import torch  # noqa: PLC0415 - as above

        fresh = copy.deepcopy(trainer.state())
        try:
            kept: dict[str, Any] = torch.load(self.path / TRAINING, map_location="cpu", weights_only=True)
            trainer.restore(kept["trainer"])
            return float(kept["seconds"])
        except FileNotFoundError:
            return 0.0
        except (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, pickle.UnpicklingError):
            # Half restored is worse than not at all: a damaged state is no reason to keep a benchmark from running.
            trainer.restore(fresh)
            return 0.0

    def scores(self) -> StillScores | None:
        """Scores kept; None where there are none that can be read."""
        try:
            with np.load(self.path / SCORES, allow_pickle=False) as kept:
                parts = {name.removeprefix(_PART): kept[name] for name in kept.files if name.startswith(_PART)}
                training, scoring = (float(value) for value in kept["seconds"])
                return StillScores(parts, kept["irregular"], kept["pictures"], training, scoring)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def write_scores(self, scores: StillScores) -> None:
        """Keep scores; raises OutputError."""
        content = io.BytesIO()
        arrays: dict[str, Any] = {f"{_PART}{name}": part for name, part in scores.parts.items()}
        seconds = np.array([scores.training_seconds, scores.scoring_seconds])
        np.savez_compressed(content, irregular=scores.irregular, pictures=scores.pictures, seconds=seconds, **arrays)
        self._write(SCORES, content.getvalue())

    def _write(self, name: str, content: bytes) -> None:
        with told_as_output_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / name, content)


@lru_cache(maxsize=1)
def _code() -> str:
    """Of all code that decides what is built, learned and scored."""
    root = Path(str(files("detectors")))
    found = hashlib.sha256()
    for path in (*(root / name for name in _CODE), *sorted((root / _ROOM).glob("*.py"))):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]

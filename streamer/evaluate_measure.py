"""From scores and truth to figures: the pixel truth of every clip, and everything pooled over as many as wanted."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.evaluation.datasets.masks import NothingIrregular
from detectors.evaluation.metrics import Alarm, AlarmBox, ClipResult, PixelResult, PixelTally, summarise
from preprocess.errors import InputError
from streamer.evaluate_cache import digest
from streamer.evaluate_scores import StoppedError
from streamer.sinks.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from detectors.evaluation.metrics import MetricSet
    from detectors.evaluation.protocol import EvaluationScene, Masks, TestClip
    from streamer.console import Console
    from streamer.evaluate_cache import SceneCache
    from streamer.evaluate_scores import ClipScores


@dataclass(frozen=True, slots=True)
class MeasuredClip:
    """A test clip with its truth, its scores and what its pixels tell.

    Attributes:
        scene: its camera.
        test: the clip.
        irregular: ``(N,)`` truth of every used frame.
        scores: of one seed.
        pixels: its pixel truth against its maps; None where the set has frame truth alone.
        before: last score of the file it goes on from; None where it begins by itself.
    """

    scene: EvaluationScene
    test: TestClip
    irregular: NDArray[np.bool_]
    scores: ClipScores
    pixels: PixelResult | None = None
    before: float | None = None

    @property
    def name(self) -> str:
        """``scene/clip``: unique within the set."""
        return f"{self.scene.name}/{self.test.clip.name}"

    @property
    def result(self) -> ClipResult:
        """What the metrics take."""
        scores = self.scores
        alarms = None
        if scores.alarming:
            alarms = tuple(
                Alarm(
                    float(start),
                    float(end),
                    tuple(
                        AlarmBox(row[1], *(int(value) for value in row[2:]))
                        for row in scores.boxes[scores.boxes[:, 0] == number].tolist()
                    ),
                )
                for number, (start, end) in enumerate(scores.events)
            )
        return ClipResult(self.name, self.irregular, scores.statistic, self.pixels, alarms, scores.times, self.before)


def measure(
    scene: EvaluationScene,
    test: TestClip,
    scores: ClipScores,
    cache: SceneCache,
    scored_with: Mapping[str, object],
    console: Console,
    label: str,
) -> MeasuredClip:
    """Hold a clip's maps against its truth, or read what that gave before.

    Raises:
        StoppedError: the user asked to stop.
        InputError: the truth is of another number of frames, or its masks cannot be read or are of another size.
    """
    irregular = test.truth(scores.times)
    if test.masks is None:
        return MeasuredClip(scene, test, irregular, scores)
    # Truth may be corrected and metrics may change while scores stay: both are in the name.
    key = digest(_code(), _truth_digest(irregular, test.masks))
    path = cache.beside(test.clip, scored_with, key)
    kept = _read(path)
    if kept is None:
        kept = _tally(test, test.masks, irregular, scores, console, f"{label}: measuring {test.clip.name}")
        content = io.BytesIO()
        arrays: dict[str, Any] = kept.arrays()
        np.savez(content, **arrays)
        write_whole(path, content.getvalue())
    return MeasuredClip(scene, test, irregular, scores, kept)


def in_sequence(clips: Iterable[MeasuredClip]) -> list[MeasuredClip]:
    """The clips of a test in order; one that goes on from the file before it knows that file's last score."""
    found: list[MeasuredClip] = []
    last: float | None = None
    for clip in clips:
        before = last if clip.test.continues else None
        known = clip.scores.statistic[~np.isnan(clip.scores.statistic)]
        last = float(known[-1]) if known.size else None
        found.append(replace(clip, before=before))
    return found


def summary_of(clips: Sequence[MeasuredClip]) -> MetricSet:
    """All figures over the pooled frames of some clips."""
    return summarise([clip.result for clip in clips])


def equal_error_threshold(clips: Sequence[MeasuredClip]) -> float:
    """The statistic at the equal error rate of the pooled frames; the median of all where there is no curve."""
    curve = summarise(
        [ClipResult(clip.name, clip.irregular, clip.scores.statistic, before=clip.before) for clip in clips]
    ).frame
    if curve is None:
        return float(np.nanmedian(np.concatenate([clip.scores.statistic for clip in clips])))
    balance = curve.false_positive + curve.true_positive - 1.0
    return float(curve.thresholds[int(np.argmax(balance >= 0))])


def clip_figures(clip: MeasuredClip) -> dict[str, float | int | None]:
    """What one clip gave: counts, figures, the highest statistics of both kinds of frames, and speed."""
    summary = summary_of([clip])
    scores = clip.scores
    figures = {name: value for name, value in summary.metrics.items() if name != "frame_auc_macro"}
    return {
        **summary.counts,
        **figures,
        "highest_normal": _highest(scores.statistic[~clip.irregular]),
        "highest_irregular": _highest(scores.statistic[clip.irregular]),
        "frames_per_second": len(scores) / scores.seconds if scores.seconds > 0 else None,
    }


def _highest(values: NDArray[np.float32]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.max()) if known.size else None


def _tally(
    test: TestClip,
    masks: Masks,
    irregular: NDArray[np.bool_],
    scores: ClipScores,
    console: Console,
    label: str,
) -> PixelResult:
    tally = PixelTally(test.clip.name)
    row_of = {int(number): row for row, number in enumerate(scores.rows)}
    # A clip without truth of its own is normal all through, whatever size it has.
    empty = np.zeros((scores.size[1], scores.size[0]), np.bool_) if isinstance(masks, NothingIrregular) else None
    with console.phase(label, total=len(scores)) as phase:
        for number in range(len(scores)):
            if console.stop.is_set():
                raise StoppedError
            row = row_of.get(number)
            mask = empty if empty is not None else masks(number)
            if mask.shape != (scores.size[1], scores.size[0]):
                raise InputError(
                    f"{test.clip.uri}: its pictures are {scores.size[0]}x{scores.size[1]}, its masks"
                    f" {mask.shape[1]}x{mask.shape[0]}; copy the set again"
                )
            levels = None if row is None else scores.pixels(row)
            tally.add(levels, mask, irregular=bool(irregular[number]))
            phase.advance()
    return tally.result()


def _read(path: Path) -> PixelResult | None:
    try:
        with np.load(path, allow_pickle=False) as kept:
            return PixelResult.from_arrays(kept)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _truth_digest(irregular: NDArray[np.bool_], masks: Masks) -> str:
    found = hashlib.sha256(np.packbits(irregular).tobytes())
    for number in range(len(irregular)):
        mask = masks(number)
        found.update(repr(mask.shape).encode())
        found.update(np.packbits(mask).tobytes())
    return found.hexdigest()


@lru_cache(maxsize=1)
def _code() -> str:
    paths = sorted(Path(str(files("detectors.evaluation.metrics"))).glob("*.py"))
    paths += [Path(str(files("streamer"))) / name for name in ("evaluate_look_ahead.py", "evaluate_measure.py")]
    return digest([path.read_text(encoding="utf-8") for path in paths])

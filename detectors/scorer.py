"""Watching: windows in, calibrated verdicts out. Causal, with a little memory per segment; one scorer per source."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from detectors.base import SharingDetector
from detectors.evidence import Decision, Fusion, Places, decide
from detectors.ground import FeetStream, Ground
from detectors.regions import Placement, verdict_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from detectors.base import Detector, Scores, Verdict
    from detectors.calibration import Calibration
    from preprocess.geometry import CellGrid, Size
    from preprocess.pictures import Window, WindowSettings

LARGEST_SCORED_AREA = 2_000_000  # pixels x windows in one run of the networks, so that large pictures fit in memory


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for irregularity in a batch, in standard deviations of what is usual; all ``(B, h, w)`` float32.

    Attributes:
        statistic: both maps joined and smoothed over time, or the novelty of a foot's place where that is the rarer:
            what thresholds are for.
        inpainter: I's share of it before joining.
        detector: D's share of it before joining.
        scores: what the networks said; what a live camera goes on learning from.
    """

    statistic: NDArray[np.float32]
    inpainter: NDArray[np.float32]
    detector: NDArray[np.float32]
    scores: Scores


@dataclass(slots=True)
class EvidenceStream:
    """Turns batches of scores into evidence, in order; watching and calibration share it.

    Attributes:
        places: usual evidence per place.
        fusion: weights of the joint score.
        decision: joint score or the paper's rule.
        memory: time constant of the causal smoothing, seconds; 0 switches it off.
        ground: places people walk at; None where too little is known of them, and for the paper's rule.
    """

    places: Places
    fusion: Fusion
    decision: Decision
    memory: float
    ground: Ground | None = None
    _feet: FeetStream | None = field(default=None, repr=False)
    _last: NDArray[np.float32] | None = field(default=None, repr=False)
    _segment: int | None = None
    _time: Fraction | None = None

    def push(self, scores: Scores, times: Sequence[Fraction], segments: Sequence[int]) -> Evidence:
        """Take the next batch.

        Args:
            scores: of ``B`` windows in order.
            times: their times, seconds.
            segments: their segments; a new one forgets what was before.
        """
        inpainter, detector = self.places.evidence(scores)
        statistic = decide(inpainter, detector, self.decision, self.fusion)
        if self.memory > 0:
            for row, (time, segment) in enumerate(zip(times, segments, strict=True)):
                if self._last is not None and self._time is not None and segment == self._segment:
                    keep = np.float32(np.exp(-float(time - self._time) / self.memory))
                    statistic[row] += keep * (self._last - statistic[row])
                self._last, self._segment, self._time = statistic[row], segment, time
        if self.ground is not None:
            self._feet = self._feet or FeetStream(self.ground.statistic)
            kept = self._feet.push(scores.motion.cpu().numpy(), times, segments)
            statistic = np.maximum(statistic, kept)
        return Evidence(statistic, inpainter, detector, scores)


class Scorer:
    """Judges the windows of one source with one camera's model.

    Attributes:
        windows: how windows must be built for it.
        grid: D's cells in the working picture.
        placement: working and source size.
        threshold: level from which a region alarms.
        notes: what the user should know of how the model was fitted to this source.
    """

    def __init__(
        self,
        detector: Detector,
        windows: WindowSettings,
        grid: CellGrid,
        stream: EvidenceStream,
        calibration: Calibration,
        *,
        source_size: Size,
        threshold: float,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.windows = windows
        self.grid = grid
        self.placement = Placement((windows.width, windows.height), source_size)
        self.threshold = threshold
        self.notes = notes
        self._detector = detector
        self._stream = stream
        self._calibration = calibration

    @property
    def group(self) -> Hashable:
        """Equal for two scorers exactly where one run of the networks serves both: weights and working size."""
        detector = self._detector
        shared = detector.networks_id if isinstance(detector, SharingDetector) else detector
        return shared, self.windows.height, self.windows.width

    def evidence(self, windows: Sequence[Window]) -> Iterator[Evidence]:
        """Evidence of windows in the order of their frames, in batches that fit in memory.

        Levels end where 8-bit maps end; evaluation ranks frames by this, which does not.

        Args:
            windows: built with ``self.windows``; any number.
        """
        for _, evidence in self.joint_evidence([(self, windows)]):
            yield evidence

    @staticmethod
    def joint_evidence(parts: Sequence[tuple[Scorer, Sequence[Window]]]) -> Iterator[tuple[int, Evidence]]:
        """Evidence of windows of several cameras of one group, from as few runs of the networks as fit in memory.

        The one path from windows to evidence, for one camera and for many.

        Args:
            parts: scorers of one :attr:`group`, each with windows in the order of their frames.

        Yields:
            The number of the part and the evidence of its next windows. A part may come in pieces, or not at all where
            it has no windows.
        """
        flat = [(number, window) for number, (_, windows) in enumerate(parts) for window in windows]
        if not flat:
            return
        first = parts[0][0]
        batch = max(1, LARGEST_SCORED_AREA // (first.windows.width * first.windows.height))
        for start in range(0, len(flat), batch):
            rows = flat[start : start + batch]
            pieces = [(number, [row[1] for row in piece]) for number, piece in groupby(rows, key=itemgetter(0))]
            cameras = [(parts[number][0]._detector, len(windows)) for number, windows in pieces]  # noqa: SLF001
            inputs = torch.from_numpy(np.stack([window.channels for _, window in rows]))
            for (number, windows), scores in zip(pieces, _scored(cameras, inputs), strict=True):
                stream = parts[number][0]._stream  # noqa: SLF001 - of this class
                yield number, stream.push(scores, [w.pts for w in windows], [w.segment for w in windows])

    def verdicts(self, windows: Sequence[Window]) -> list[Verdict]:
        """Judge windows in the order of their frames.

        Args:
            windows: built with ``self.windows``; any number.
        """
        return [verdict for evidence in self.evidence(windows) for verdict in self.judged(evidence)]

    def judged(self, evidence: Evidence) -> list[Verdict]:
        """One verdict per window of a batch's evidence."""
        levels = self._calibration.level(evidence.statistic).astype(np.float32)
        verdicts = []
        for row in range(len(levels)):
            peak = np.unravel_index(int(np.argmax(evidence.statistic[row])), levels[row].shape)
            verdicts.append(
                verdict_of(
                    levels[row],
                    self.grid,
                    self.placement,
                    self.threshold,
                    inpainter_part=float(evidence.inpainter[row][peak]),
                    detector_part=float(evidence.detector[row][peak]),
                )
            )
        return verdicts


def _scored(cameras: Sequence[tuple[Detector, int]], inputs: torch.Tensor) -> list[Scores]:
    """Each camera's scores of its own windows ``inputs (B, 3, H, W)``, in order; one run where networks are shared."""
    first = cameras[0][0]
    if isinstance(first, SharingDetector):
        return first.score_jointly(cast("Sequence[tuple[SharingDetector, int]]", cameras), inputs)
    counts = [count for _, count in cameras]
    parts = [inputs[end - count : end] for end, count in zip(accumulate(counts), counts, strict=True)]
    return [detector.score(part) for (detector, _), part in zip(cameras, parts, strict=True)]

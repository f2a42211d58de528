"""Many cameras, one run of the networks: windows of all cameras in, each camera's own verdicts out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detectors.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from detectors.base import Verdict
    from detectors.scorer import Evidence
    from preprocess.pictures import Window


def score_together(
    parts: Sequence[tuple[Scorer, Sequence[Window]]], *, hear: Callable[[int, Evidence], None] | None = None
) -> list[list[Verdict]]:
    """Judge windows of many cameras, with the networks run once for all cameras of one :attr:`Scorer.group`.

    Places, calibration and smoothing stay each camera's own: the verdicts are those of ``scorer.verdicts(windows)``
    to rounding. Cameras of several groups are fine; every group is a run of its own.

    Args:
        parts: a scorer per camera with its next windows, in the order of their frames; any number, also none.
        hear: told the number of a part and the evidence of its next windows, once or several times per part.

    Returns:
        For every part one verdict per window, in order.
    """
    groups: dict[Hashable, list[int]] = {}
    for number, (scorer, _) in enumerate(parts):
        groups.setdefault(scorer.group, []).append(number)
    verdicts: list[list[Verdict]] = [[] for _ in parts]
    for numbers in groups.values():
        for place, evidence in Scorer.joint_evidence([parts[number] for number in numbers]):
            scorer, _ = parts[numbers[place]]
            if hear is not None:
                hear(numbers[place], evidence)
            verdicts[numbers[place]] += scorer.judged(evidence)
    return verdicts

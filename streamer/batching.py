"""The network stage: windows in batches, verdicts back to their frames, every frame in its order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from detectors.regions import Placement, regions_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from detectors.base import Verdict
    from preprocess.geometry import Size
    from streamer.channels import Channel
    from streamer.frames import Frame
    from streamer.networks import SourceScorer
    from streamer.windowing import Prepared

MOST_PENDING_BYTES = 256 * 2**20
"""A batch is closed early when its frames take more than this: eight 4K pictures, over a hundred of 640x360."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A frame with what the networks say of it.

    Attributes:
        frame: as the source gave it.
        verdict: None where it was not scored.
        note: why it was not, as in ``scores.csv``; else empty.
    """

    frame: Frame
    verdict: Verdict | None
    note: str


def judged(
    items: Channel[Prepared],
    scorer: SourceScorer,
    *,
    batch_size: int,
    eager: bool = False,
    most_bytes: int = MOST_PENDING_BYTES,
) -> Iterator[tuple[Judged, int]]:
    """Score all frames that have a window.

    Args:
        items: frames in order.
        scorer: of this source.
        batch_size: windows per run of the networks.
        eager: do not wait for a batch to fill when no frame is ready: live sources. Recordings wait, so that a
            recording is always cut into the same batches.
        most_bytes: see :data:`MOST_PENDING_BYTES`.

    Yields:
        Every frame in order, with its size in bytes.
    """
    pending: list[Prepared] = []
    windows = held = 0
    for item in items:
        pending.append(item)
        windows += item.window is not None
        held += item.size
        if windows == 0 or windows >= batch_size or held >= most_bytes or (eager and items.empty):
            yield from _judge(pending, scorer)
            pending, windows, held = [], 0, 0
    yield from _judge(pending, scorer)


def _judge(pending: list[Prepared], scorer: SourceScorer) -> Iterator[tuple[Judged, int]]:
    windows = [item.window for item in pending if item.window is not None]
    verdicts = iter(scorer.verdicts(windows) if windows else ())
    for item in pending:
        verdict = None if item.window is None else _placed(next(verdicts), scorer, _size_of(item.frame))
        held = item.size - (0 if item.window is None else item.window.channels.nbytes)
        yield Judged(item.frame, verdict, item.note), held


def _size_of(frame: Frame) -> Size:
    return frame.luma.shape[1], frame.luma.shape[0]


def _placed(verdict: Verdict, scorer: SourceScorer, size: Size) -> Verdict:
    """The verdict with its regions in the pixels of this frame, where the source's size has changed on the way."""
    if size == scorer.placement.source_size or not verdict.regions:
        return verdict
    placement = Placement(scorer.placement.working_size, size)
    return replace(verdict, regions=regions_of(verdict.levels, scorer.grid, placement, scorer.threshold))

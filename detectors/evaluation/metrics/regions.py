"""RBDC and TBDC: are the irregular things found, each by a region of its own?

Both criteria are those of Ramachandra and Jones (Street Scene, WACV 2020).

At a threshold the detected regions of a frame are the 8-connected components of its pixels at or above it, known by
their bounding boxes. A truth region is detected if the intersection over union with a detected region of its frame is
at least beta = 0.1; a track is detected if at least alpha = 0.1 of its regions are; a detected region is false if its
overlap with every truth region of its frame is below beta. RBDC is the area under the curve of detected truth regions
(share of all) against false regions per frame, from 0 to 1; TBDC the same of detected tracks. The curve starts at
nothing; beyond the last point with at most one false region a frame the detection rate of that point is held up to 1.

Components merge as the threshold falls, so the count of false regions and the detections may fall again: the curve is
followed from the highest threshold down to the first with more than one false region a frame, and counts the most false
regions and the most detections met so far. (Published scripts are given lists of boxes that do not merge.)

All thresholds are tried, without a grid: the components of all thresholds of one map form a tree, which changes only at
values of the map. Of large pictures every n-th pixel in both directions is used; detector maps are far smoother.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import skimage.morphology

from detectors.evaluation.metrics.curves import area_under, count_at_least
from detectors.evaluation.metrics.pixel import without_nan
from detectors.evaluation.metrics.tracks import LEAST_OVERLAP, overlaps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.evaluation.metrics.tracks import Boxes

TRACK_SHARE = 0.1
"""alpha: share of a track's regions that must be detected."""

MOST_BLOCKS = 24_000
"""Of pictures of more pixels every n-th in both directions is used, n as small as this allows: 2 for 240 x 360. Boxes
of detected regions then end on whole blocks of n pixels; on smooth maps the areas change by less than 0.01."""

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class FrameRegions:
    """What the regions of one frame do to the curves.

    Attributes:
        levels: ``(E,)`` thresholds at which the number of false regions changes, highest first.
        changes: ``(E,)`` by how much, from that threshold on downwards.
        regions: ``(F,)`` index of a truth region that is detected ...
        found_from: ``(F,)`` ... from this threshold, included, on downwards ...
        found_until: ``(F,)`` ... until this one, excluded; ``-inf`` where it stays detected.
    """

    levels: NDArray[np.float64]
    changes: NDArray[np.int64]
    regions: NDArray[np.int64]
    found_from: NDArray[np.float64]
    found_until: NDArray[np.float64]


class RegionTree:
    """The detected regions of one map at all thresholds.

    Args:
        levels: ``(H, W)``, higher is more irregular; NaN is never flagged.
        most_blocks: at most as many pixels of the map are used.
    """

    def __init__(self, levels: NDArray[np.float32], most_blocks: int = MOST_BLOCKS) -> None:
        height, width = levels.shape
        block = 1
        while -(-height // block) * -(-width // block) > most_blocks:
            block += 1
        blocks = every_nth(without_nan(levels), block)
        # Eight neighbours; the order begins with the root.
        parent_map, order = skimage.morphology.max_tree(blocks, connectivity=2)  # type: ignore[no-untyped-call]
        values, parents = blocks.ravel(), np.asarray(parent_map, np.int64).ravel()
        rows, columns = np.divmod(np.arange(values.size), blocks.shape[1])
        left, top, right, bottom = columns.tolist(), rows.tolist(), columns.tolist(), rows.tolist()
        of = parents.tolist()
        for node in order[:0:-1].tolist():  # from the highest down: a component hands its box to the one around it
            around = of[node]
            if left[node] < left[around]:  # noqa: PLR1730 - a third of the time of min and max
                left[around] = left[node]
            if top[node] < top[around]:  # noqa: PLR1730
                top[around] = top[node]
            if right[node] > right[around]:  # noqa: PLR1730
                right[around] = right[node]
            if bottom[node] > bottom[around]:  # noqa: PLR1730
                bottom[around] = bottom[node]
        root = int(order[0])
        own = values != values[parents]  # one node per component; the others of a plateau lead to it
        own[root] = True
        ends = values[parents].astype(np.float64)
        ends[root] = -np.inf
        boxes = np.stack((left, top, np.add(right, 1), np.add(bottom, 1)), axis=1)[own] * block
        self._boxes: Boxes = np.minimum(boxes, (width, height, width, height)).astype(np.int32)
        self._from = values[own].astype(np.float64)
        self._until = ends[own]

    def judge(self, truth: Boxes, overlap: float = LEAST_OVERLAP) -> FrameRegions:
        """Compare with the truth regions ``(R, 4)`` of a frame; ``overlap`` is beta."""
        matches = overlaps(self._boxes, truth) >= overlap if len(truth) else np.zeros((self._from.size, 0), bool)
        false = ~matches.any(axis=1)
        levels, changes = _changes(self._from[false], self._until[false])
        regions, found_from, found_until = [], [], []
        for region in range(len(truth)):
            by = matches[:, region]
            edges, steps = _changes(self._from[by], self._until[by])
            count = np.cumsum(steps)
            found = np.diff(np.concatenate(([0], (count > 0).astype(np.int8))))
            starts, stops = edges[found == 1], edges[found == -1]
            regions += [region] * starts.size
            found_from.append(starts)
            found_until.append(np.concatenate((stops, np.full(starts.size - stops.size, -np.inf))))
        return FrameRegions(
            levels,
            changes,
            np.asarray(regions, np.int64),
            np.concatenate([np.zeros(0), *found_from]),
            np.concatenate([np.zeros(0), *found_until]),
        )


@dataclass(frozen=True, slots=True)
class RegionCurves:
    """Detections against false regions per frame, 0..1; ready for plotting.

    Attributes:
        false_per_frame: ``(K,)`` from 0 to 1, never falling.
        regions: ``(K,)`` share of the truth regions detected.
        tracks: ``(K,)`` share of the tracks detected.
    """

    false_per_frame: NDArray[np.float64]
    regions: NDArray[np.float64]
    tracks: NDArray[np.float64]

    def rbdc(self) -> float:
        """Area under the curve of regions, 0..1."""
        return area_under(self.false_per_frame, self.regions)

    def tbdc(self) -> float:
        """Area under the curve of tracks, 0..1."""
        return area_under(self.false_per_frame, self.tracks)


def region_curves(
    *,
    frames: int,
    levels: NDArray[np.float64],
    changes: NDArray[np.int64],
    found_track: NDArray[np.int64],
    found_from: NDArray[np.float64],
    found_until: NDArray[np.float64],
    track_lengths: NDArray[np.int64],
) -> RegionCurves:
    """Pool the frames of a set.

    Args:
        frames: how many, those without any region included.
        levels: ``(E,)`` thresholds at which the number of false regions changes, of all frames' ``FrameRegions``.
        changes: ``(E,)`` by how much.
        found_track: ``(F,)`` number of the track a detected truth region belongs to.
        found_from: ``(F,)`` threshold from which on it is detected, included.
        found_until: ``(F,)`` threshold until which it is, excluded.
        track_lengths: ``(T,)`` truth regions of every track.

    Raises:
        ValueError: no frame or no truth region.
    """
    total = int(track_lengths.sum())
    if not frames or not total:
        raise ValueError("region curves need at least one truth region")
    stays = np.isneginf(found_until)
    thresholds = np.unique(np.concatenate((levels, found_from, found_until[~stays])))[::-1]
    order = np.argsort(levels, kind="stable")
    from_top = np.concatenate((np.cumsum(changes[order][::-1])[::-1], [0]))
    false = from_top[np.searchsorted(levels[order], thresholds, side="left")] / frames
    within = int(np.argmax(np.append(false, np.inf) > 1.0))
    thresholds, false = thresholds[:within], false[:within]
    found, found_tracks = np.zeros(within), np.zeros(within)
    for track, length in enumerate(track_lengths):
        own = found_track == track
        now = count_at_least(np.sort(found_from[own]), thresholds)
        now = now - count_at_least(np.sort(found_until[own & ~stays]), thresholds)
        found += now
        found_tracks += now >= max(TRACK_SHARE * length - _ROUNDING, 1)
    curves = []
    for rates in (found / total, found_tracks / track_lengths.size):
        met = np.maximum.accumulate(np.concatenate(([0.0], rates)))
        curves.append(np.append(met, met[-1]))
    most = np.maximum.accumulate(np.concatenate(([0.0], false)))
    return RegionCurves(np.append(most, 1.0), curves[0], curves[1])


def every_nth(levels: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """The pixel nearest to the middle of every square of ``block`` pixels, ``(ceil(H / block), ceil(W / block))``."""
    height, width = levels.shape
    rows, columns = (
        np.minimum(np.arange(-(-size // block)) * block + block // 2, size - 1) for size in (height, width)
    )
    return np.ascontiguousarray(levels[np.ix_(rows, columns)])


def _changes(starts: NDArray[np.float64], ends: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Levels, highest first, at which the number of components changes, and by how much."""
    stops = ends[~np.isneginf(ends)]
    levels, place = np.unique(np.concatenate((starts, stops)), return_inverse=True)
    sums = np.bincount(place, np.repeat((1.0, -1.0), (starts.size, stops.size)), levels.size).astype(np.int64)
    kept = (sums != 0) & ~np.isneginf(levels)
    return levels[kept][::-1], sums[kept][::-1]

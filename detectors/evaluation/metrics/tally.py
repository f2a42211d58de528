"""The pixel truth of one clip against its maps, frame by frame: no run keeps more than one map."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from detectors.evaluation.metrics.curves import Curve, curve_of
from detectors.evaluation.metrics.pixel import highest, judge_irregular
from detectors.evaluation.metrics.regions import RegionCurves, RegionTree, region_curves
from detectors.evaluation.metrics.tracks import Boxes, TrackLinker, truth_boxes
from preprocess.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PixelResult:
    """One clip, reduced to what the pixel and region figures need; arrays alone, so that it can be cached.

    Attributes:
        frames: ``()`` frames judged.
        unlocated: ``()`` frames left out: irregular by frame truth, with an empty mask. No map could detect them, and
            nothing flagged in them can be called false.
        unscored: ``()`` frames without a map of their own (see ``PixelTally.add``).
        normal: ``(n,)`` maximum of the map of every normal frame.
        covered: ``(p,)`` per irregular frame the highest threshold that covers 40 % of its truth.
        dual_from, dual_until: thresholds between which irregular frames count at dual-pixel level.
        false_levels, false_changes: thresholds at which the number of false regions changes, and by how much.
        found_track, found_from, found_until: detected truth regions: track within the clip, and thresholds.
        track_lengths: ``(T,)`` truth regions of every track of the clip; empty where regions were not tallied.
        truth_frames: ``(R,)`` frame of every truth region, counted from 0 among the used frames.
        truth_regions: ``(R, 4)`` its box: left, top, right, bottom, the latter two excluded, source pixels.
    """

    frames: NDArray[np.int64]
    unlocated: NDArray[np.int64]
    unscored: NDArray[np.int64]
    normal: NDArray[np.float64]
    covered: NDArray[np.float64]
    dual_from: NDArray[np.float64]
    dual_until: NDArray[np.float64]
    false_levels: NDArray[np.float64]
    false_changes: NDArray[np.int64]
    found_track: NDArray[np.int64]
    found_from: NDArray[np.float64]
    found_until: NDArray[np.float64]
    track_lengths: NDArray[np.int64]
    truth_frames: NDArray[np.int64]
    truth_regions: NDArray[np.int32]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All fields by name, for ``numpy.savez``."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of ``arrays``; what else the mapping holds is ignored.

        Raises:
            KeyError: a field is missing.
        """
        return cls(**{part.name: arrays[part.name] for part in fields(cls)})


@dataclass(frozen=True, slots=True)
class _Truth:
    """What a frame is judged by; the mask of an irregular one packed, eight pixels a byte."""

    packed: NDArray[np.uint8] | None
    boxes: Boxes
    tracks: NDArray[np.int64]


class PixelTally:
    """Takes the frames of one clip in order.

    Args:
        clip: name for errors.
        regions: whether to tally regions and tracks too, by far the longest part (about 40 ms for 240 x 360 pixels).
    """

    def __init__(self, clip: str = "the clip", *, regions: bool = True) -> None:
        self._clip = clip
        self._regions = regions
        self._linker = TrackLinker()
        self._shape: tuple[int, ...] | None = None
        self._levels: NDArray[np.float32] | None = None
        self._tree: RegionTree | None = None
        self._waiting: list[_Truth] = []
        self._frame = self._unlocated = self._unscored = 0
        self._normal: list[float] = []
        self._covered: list[float] = []
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._lengths: list[int] = []

    def add(
        self, levels: NDArray[np.float32] | None, mask: NDArray[np.bool_], *, irregular: bool | None = None
    ) -> None:
        """Take the next used frame.

        Frames without a map are treated as ``fill_unscored`` treats frames without a score: before the clip's first
        map they are judged by that one, later by the last map before them.

        Args:
            levels: ``(H, W)`` float32 at source size, higher is more irregular, NaN never flagged; None without a map.
            mask: ``(H, W)`` truth. Where it has any pixel, the frame is irregular, whatever its frame truth.
            irregular: the frame truth, where it differs from "the mask has a pixel".

        Raises:
            ValueError: map and mask, or this frame and the ones before, are not of one size.
        """
        self._shape = self._shape or mask.shape
        if mask.shape != self._shape or (levels is not None and levels.shape != self._shape):
            given = mask.shape if levels is None else levels.shape
            raise ValueError(f"map {given} and mask {mask.shape} are not of one picture of {self._shape}")
        located = bool(mask.any())
        boxes = truth_boxes(mask)
        tracks = self._linker.next_frame(boxes)
        self._note_truth(boxes, tracks)
        if levels is None:
            self._unscored += 1
        else:
            self._levels, self._tree = np.array(levels, np.float32), None
        if irregular and not located:
            self._unlocated += 1
        else:
            self._waiting.append(_Truth(np.packbits(mask) if located else None, boxes, tracks))
        if self._levels is not None:
            waiting, self._waiting = self._waiting, []
            for truth in waiting:
                self._judge(self._levels, truth)

    def result(self) -> PixelResult:
        """What was tallied so far.

        Raises:
            InputError: no frame had a map.
        """
        if self._levels is None:
            raise InputError(
                f"no frame of {self._clip} could be scored: it is shorter than a window; leave it out of the set"
            )
        parts = {
            name: np.concatenate([np.zeros((0, *rest), kind), *self._parts.get(name, [])])
            for name, kind, rest in _PARTS
        }
        return PixelResult(
            frames=np.asarray(len(self._normal) + len(self._covered), np.int64),
            unlocated=np.asarray(self._unlocated, np.int64),
            unscored=np.asarray(self._unscored, np.int64),
            normal=np.asarray(self._normal, np.float64),
            covered=np.asarray(self._covered, np.float64),
            track_lengths=np.asarray(self._lengths if self._regions else [], np.int64),
            **parts,
        )

    def _note_truth(self, boxes: Boxes, tracks: NDArray[np.int64]) -> None:
        self._lengths += [0] * (self._linker.count - len(self._lengths))
        for track in tracks:
            self._lengths[track] += 1
        if len(boxes):
            self._keep(truth_frames=np.full(len(boxes), self._frame), truth_regions=boxes)
        self._frame += 1

    def _judge(self, levels: NDArray[np.float32], truth: _Truth) -> None:
        if truth.packed is None:
            self._normal.append(highest(levels))
        else:
            mask = np.unpackbits(truth.packed, count=levels.size).reshape(levels.shape).astype(bool)
            frame = judge_irregular(levels, mask)
            self._covered.append(frame.covered_from)
            self._keep(dual_from=frame.dual_from, dual_until=frame.dual_until)
        if self._regions:
            self._tree = self._tree or RegionTree(levels)
            found = self._tree.judge(truth.boxes)
            self._keep(
                false_levels=found.levels,
                false_changes=found.changes,
                found_track=truth.tracks[found.regions],
                found_from=found.found_from,
                found_until=found.found_until,
            )

    def _keep(self, **parts: NDArray[Any]) -> None:
        for name, values in parts.items():
            self._parts.setdefault(name, []).append(values)


_PARTS: tuple[tuple[str, type[np.generic], tuple[int, ...]], ...] = (
    ("dual_from", np.float64, ()),
    ("dual_until", np.float64, ()),
    ("false_levels", np.float64, ()),
    ("false_changes", np.int64, ()),
    ("found_track", np.int64, ()),
    ("found_from", np.float64, ()),
    ("found_until", np.float64, ()),
    ("truth_frames", np.int64, ()),
    ("truth_regions", np.int32, (4,)),
)


def pixel_curve(clips: Sequence[PixelResult]) -> Curve | None:
    """Curve of the 40 % rule over the pooled frames of all clips; None where they are not of both kinds."""
    covered, normal = (
        np.concatenate([getattr(clip, name) for clip in clips] or [()]) for name in ("covered", "normal")
    )
    if not covered.size or not normal.size:
        return None
    return curve_of(covered, normal, positives=covered.size)


def dual_pixel_curve(clips: Sequence[PixelResult]) -> Curve | None:
    """Curve at dual-pixel level over the pooled frames of all clips; None where they are not of both kinds.

    Flagging more can lose a detection, so the curve may fall, and ends below 1 where the truth is a small part of the
    picture.
    """
    positives = sum(clip.covered.size for clip in clips)
    if not positives or not any(clip.normal.size for clip in clips):
        return None
    reached, until, normal = (
        np.concatenate([getattr(clip, name) for clip in clips]) for name in ("dual_from", "dual_until", "normal")
    )
    return curve_of(reached, normal, positives=positives, lost=until[~np.isneginf(until)])


def pooled_region_curves(clips: Sequence[PixelResult]) -> RegionCurves | None:
    """Curves of RBDC and TBDC over the pooled frames of all clips; None where no truth region was tallied."""
    lengths = np.concatenate([np.zeros(0, np.int64), *(clip.track_lengths for clip in clips)])
    if not lengths.size:
        return None
    offsets = np.cumsum([0, *(clip.track_lengths.size for clip in clips)])
    return region_curves(
        frames=int(sum(clip.frames for clip in clips)),
        levels=np.concatenate([clip.false_levels for clip in clips]),
        changes=np.concatenate([clip.false_changes for clip in clips]),
        found_track=np.concatenate([clip.found_track + offset for clip, offset in zip(clips, offsets, strict=False)]),
        found_from=np.concatenate([clip.found_from for clip in clips]),
        found_until=np.concatenate([clip.found_until for clip in clips]),
        track_lengths=lengths,
    )

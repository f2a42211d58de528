"""What a benchmark is made of: scenes with normal clips to learn from and test clips with truth.

This room names files and knows their truth; it opens no video. Whoever runs a benchmark opens the clips by
the same sources as any recording.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from preprocess.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Clip:
    """Part of one recording.

    Attributes:
        name: unique within its scene; names cached scores and the rows of tables.
        uri: a video file or a folder of numbered pictures.
        start: first frame used, counted from 0 as decoded.
        stop: one past the last frame used; None for the end.
        every: every n-th frame from ``start`` on is used.
        frame_rate: frames per second of a folder of pictures, before ``every``; None for files that tell it.
    """

    name: str
    uri: str
    start: int = 0
    stop: int | None = None
    every: int = 1
    frame_rate: Fraction | None = None


class Masks(Protocol):
    """Pixel truth of one clip, read when asked for."""

    def __call__(self, frame: int) -> NDArray[np.bool_]:
        """Irregular pixels ``(H, W)`` of the frame, counted among the *used* frames of the clip, in source pixels."""
        ...


@dataclass(frozen=True, slots=True)
class IrregularRange:
    """A stretch of irregular frames, told without knowing how many frames the recording has.

    Attributes:
        start: where it begins.
        stop: where it is normal again: the first frame or moment that no longer belongs to it.
        unit: frames counted from 0 as decoded, or seconds since the first used frame.
    """

    start: float
    stop: float
    unit: Literal["frames", "seconds"] = "frames"


@dataclass(frozen=True, slots=True)
class TestClip:
    """A clip with truth.

    Attributes:
        clip: the footage.
        irregular: ``(N,)`` truth of every used frame; or its irregular ranges, where only who reads the recording can
            count its frames. :meth:`truth` serves both.
        masks: pixel truth of the used frames; None where the set has frame truth alone.
        continues: it goes on where the clip before it in the test ends: one recording in several files.
    """

    __test__ = False  # not a test case for pytest

    clip: Clip
    irregular: NDArray[np.bool_] | tuple[IrregularRange, ...]
    masks: Masks | None = None
    continues: bool = False

    def truth(self, times: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Truth of the frames that were read.

        Args:
            times: ``(N,)`` seconds of the source's clock of every used frame.

        Returns:
            ``(N,)`` whether each is irregular.

        Raises:
            InputError: the truth is of another number of frames, or a range begins after the last frame or holds none.
        """
        if not isinstance(self.irregular, tuple):
            if len(times) != len(self.irregular):
                raise InputError(
                    f"{self.clip.uri}: {len(times)} frames were read, but its truth is of {len(self.irregular)};"
                    " check that footage and truth belong together and are complete"
                )
            return self.irregular
        found = np.zeros(len(times), np.bool_)
        places = {
            "frames": self.clip.start + self.clip.every * np.arange(len(times), dtype=np.float64),
            "seconds": times - times[:1],
        }
        for stretch in self.irregular:
            place = places[stretch.unit]
            if not len(place) or stretch.start > place[-1]:
                raise InputError(
                    f"{self.clip.uri}: its truth says irregular from {stretch.start:g} to {stretch.stop:g}"
                    f" {stretch.unit}, but the recording ends before; check clip and unit of that range"
                )
            within = (place >= stretch.start) & (place < stretch.stop)
            if not within.any():
                raise InputError(
                    f"{self.clip.uri}: no frame lies from {stretch.start:g} to {stretch.stop:g} {stretch.unit}, where"
                    " its truth says irregular; check that range and its unit"
                )
            found |= within
        return found


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Pixels ``x .. x + width - 1``, ``y .. y + height - 1`` of the upright source."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class EvaluationScene:
    """One camera: one model is fitted on its normal clips and scores its test clips.

    Attributes:
        name: unique within the set.
        normal: what is learned from, in order.
        test: what is scored.
        variants: the same test at other frame rates, by name (``"30 fps"``); scored by the same model.
        ignored: parts of the picture that are made one grey before anything sees them, in learning and test alike
            (burned-in labels).
    """

    name: str
    normal: tuple[Clip, ...]
    test: tuple[TestClip, ...]
    variants: Mapping[str, tuple[TestClip, ...]] = field(default_factory=dict)
    ignored: tuple[Rectangle, ...] = ()


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """A data set read in its published layout.

    Attributes:
        name: as on the command line (``ucsd-ped2``).
        title: as in tables.
        scenes: its cameras.
        notes: what a reader of the figures must know (annotation used, frames left out).
    """

    name: str
    title: str
    scenes: tuple[EvaluationScene, ...]
    notes: tuple[str, ...] = ()

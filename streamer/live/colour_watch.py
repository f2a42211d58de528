"""Whether a camera shows colour or its infrared view, told by its pictures alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from preprocess.conditions import PLAIN_CONTRAST, is_infrared

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

    from detectors.camera_knowledge import Light
    from streamer.frames import Frame

LIGHT_LOOK = 1.0  # seconds between two looks whether the picture is colour or infrared
DOUBT_LOOK = 0.25  # the same once the picture seems to have switched
SURE_AFTER = 2.0  # seconds for which all looks must agree before the camera counts as switched
LONGEST_DOUBT = 10.0  # seconds from the first doubt on in which doubts hold anything back ...
DOUBT_FORGOTTEN = 60.0  # ... unless there was none for so long: nobody keeps a camera quiet with a lamp
CHANGED_LEVELS = 6  # grey levels; a switch changes ...
CHANGED_SHARE = 0.2  # ... at least this share of the picture at once, and is looked at without waiting


class ColourWatch:
    """Looks for colour now and then, and at once where the picture changes as a whole.

    Attributes:
        light: the present one.
    """

    def __init__(self) -> None:
        self.light: Light = "colour"
        self._looked: Fraction | None = None
        self._seen: NDArray[np.int16] | None = None
        self._could_tell = False
        self._doubted: Fraction | None = None
        self._doubts: tuple[Fraction, Fraction] | None = None  # the first and the latest look of a row of doubts

    def look(self, frame: Frame) -> bool:
        """See whether the camera shows colour or infrared; True where it has switched.

        Most pictures are only compared with the one that was looked at last, 0.05 ms.
        """
        seen = frame.luma[:: max(1, frame.luma.shape[0] // 36), :: max(1, frame.luma.shape[1] // 64)].astype(np.int16)
        since = None if self._looked is None else frame.pts - self._looked
        pause = LIGHT_LOOK if self._doubted is None else DOUBT_LOOK
        if since is not None and 0 <= since < pause and not self._changed(seen):
            return False
        self._looked, self._seen = frame.pts, seen
        # A covered lens is as grey as the night, and says nothing of the light.
        infrared = None if seen.std() < PLAIN_CONTRAST else is_infrared(frame.image.bgr())
        first = not self._could_tell
        self._could_tell = self._could_tell or infrared is not None
        if infrared is None or infrared == (self.light == "infrared"):
            self._doubted = None
            return False
        if self._doubted is None or frame.pts < self._doubted:
            self._doubted = frame.pts
        forgotten = self._doubts is None or not 0 <= frame.pts - self._doubts[1] < DOUBT_FORGOTTEN
        self._doubts = (frame.pts if forgotten or self._doubts is None else self._doubts[0], frame.pts)
        if frame.pts - self._doubted < SURE_AFTER and not first:
            return False
        self._doubted = None
        self.light = "infrared" if infrared else "colour"
        return True

    @property
    def in_doubt(self) -> bool:
        """Whether the latest look disagrees with the present light: no anomaly can be told from a switch meanwhile.

        For :data:`SURE_AFTER` at most, as it has switched then, and where it goes to and fro for
        :data:`LONGEST_DOUBT`.
        """
        if self._doubted is None or self._doubts is None:
            return False
        first, latest = self._doubts
        return latest - first < LONGEST_DOUBT

    def _changed(self, seen: NDArray[np.int16]) -> bool:
        before = self._seen
        if before is None or before.shape != seen.shape:
            return True
        return float((np.abs(seen - before) > CHANGED_LEVELS).mean()) >= CHANGED_SHARE

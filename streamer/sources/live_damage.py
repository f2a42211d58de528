"""Damage on streams that lose packets in silence (RTSP over UDP).

Nothing says that a packet is gone, so it is concluded from two things:

- The decoder's own mark. It is only worth something when the decoder runs on one thread: with slice threads FFmpeg
  switches its error detection off. Textured H.264, 480x272, 5 and 10 % of the RTP packets lost: of 244 damaged
  pictures one thread left none unnoticed (with what follows below), slice threads left 18 out of 242.
- Times. A step longer than the usual one means that pictures are missing, and what is predicted from a missing picture
  is wrong and unmarked: 90 % of the damaged pictures carried no mark. The picture before such a step is damaged as
  well: where the packet that ends it is lost, the next picture is mixed into it. That is why pictures are handed on
  one behind.

Damage lasts until a sound key picture, which starts a new segment.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from fractions import Fraction
from statistics import median
from typing import TYPE_CHECKING

from streamer.sources.reconnecting import ConnectionLostError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamer.sources.decoding import Decoded

LONGEST_STEP = Fraction(3, 2)
"""Median steps from one picture to the next; beyond, one is missing between them."""

LONGEST_SMEAR = 30.0
"""Seconds after which damage counts as healed without a key picture: some cameras refresh piece by piece instead."""

_REMEMBERED_STEPS = 25
_FEWEST_STEPS = 3


class _Steps:
    """The usual time between two pictures, and whether a step is longer."""

    def __init__(self) -> None:
        self._steps: deque[Fraction] = deque(maxlen=_REMEMBERED_STEPS)
        self._before: Fraction | None = None

    def misses(self, time: Fraction | None) -> bool:
        """Whether pictures are missing right before the one at ``time`` (seconds)."""
        before, self._before = self._before, time
        if before is None or time is None or time <= before:
            return False
        step = time - before
        known = len(self._steps) >= _FEWEST_STEPS
        missing = known and step > LONGEST_STEP * median(self._steps)
        self._steps.append(step)
        return missing


def with_losses_marked(pictures: Iterator[Decoded], *, intra_only: bool) -> Iterator[Decoded]:
    """Mark pictures as corrupt from a loss until a sound key picture, and break the run at that picture.

    Args:
        pictures: as decoded on one thread, in the order of presentation.
        intra_only: every picture stands for itself: nothing spreads, and a missing picture only breaks the run.
    """
    steps = _Steps()
    smear = _Smear(intra_only=intra_only)
    held: Decoded | None = None
    try:
        for picture in pictures:
            missing = steps.misses(picture.pts)
            if held is not None:
                yield smear.judged(held, before_a_hole=missing)
            held = replace(picture, broken=picture.broken or missing)
    except ConnectionLostError:
        if held is not None:
            yield smear.judged(held, before_a_hole=False)
        raise
    if held is not None:
        yield smear.judged(held, before_a_hole=False)


class _Smear:
    """Whether what is shown still carries damage."""

    def __init__(self, *, intra_only: bool) -> None:
        self._intra_only = intra_only
        self._damaged = False
        self._since: Fraction | None = None

    def judged(self, picture: Decoded, *, before_a_hole: bool) -> Decoded:
        spoilt = picture.corrupt or before_a_hole
        if self._intra_only:
            return replace(picture, corrupt=spoilt)
        healed = self._damaged and self._is_over(picture)
        if picture.frame.key_frame or healed:
            # What was lost before a key picture does not matter to it.
            self._damaged = spoilt
        elif spoilt or picture.broken:
            self._damaged = True
        if not self._damaged:
            self._since = None
        elif self._since is None or spoilt:
            self._since = picture.pts
        return replace(picture, corrupt=self._damaged, broken=picture.broken or healed)

    def _is_over(self, picture: Decoded) -> bool:
        if picture.frame.key_frame:
            return not picture.corrupt
        return self._since is not None and picture.pts is not None and picture.pts - self._since > LONGEST_SMEAR

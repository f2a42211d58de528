"""Single times that are plainly wrong: one picture a day ahead, the next one back in line.

Believed, such a time would open a gap of a day, and every later time would have to be shifted behind it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from streamer.sources.segments import SHORTEST_GAP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from streamer.sources.decoding import Decoded


def is_stray(before: Fraction | None, time: Fraction | None, after: Fraction | None) -> bool:
    """Whether a time leaps away from its neighbours (seconds), which themselves are in order."""
    if before is None or time is None or after is None or not before < after:
        return False
    return time < before or (time > after and time - before > SHORTEST_GAP)


def without_stray_times(pictures: Iterator[Decoded]) -> Iterator[Decoded]:
    """Pass pictures on, one behind, with stray times taken out (they count as missing)."""
    before: Fraction | None = None
    held: Decoded | None = None
    for picture in pictures:
        if held is not None:
            if is_stray(before, held.pts, picture.pts):
                held = replace(held, pts=None)
            before = held.pts if held.pts is not None else before
            yield held
        held = picture
    if held is not None:
        yield held

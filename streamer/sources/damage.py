"""Pictures that cannot be trusted although the decoder says nothing.

FFmpeg marks pictures with damaged bits, but pictures predicted from a lost one come out smeared and unmarked: on a
320x240 clip with two lost packets, four such pictures were up to 8 grey levels off on average until the next key
picture put things right. The moment of healing is itself a jump that must not be taken for motion.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from streamer.sources.decoding import Decoded

SETTLING_PICTURES = 12
"""How many pictures after a lost packet are taken as damaged at most; by then the smear has usually come to rest, and
recordings may have ten seconds from one key picture to the next."""


def with_damage_marked(pictures: Iterator[Decoded], *, intra_only: bool) -> Iterator[Decoded]:
    """Mark the pictures after a lost packet as corrupt until a sound key picture, and break the run at that picture.

    Args:
        pictures: as decoded, in the order of presentation.
        intra_only: every picture stands for itself (motion JPEG, PNG): nothing spreads, pictures pass as they are.
    """
    if intra_only:
        yield from pictures
        return
    damaged = False
    unsettled = 0
    lost: Fraction | None = None
    for picture in pictures:
        broken = picture.broken
        if picture.broken:
            lost = picture.lost
            unsettled = SETTLING_PICTURES
        damaged = damaged or picture.corrupt or picture.broken
        # A key picture that comes out late may lie before the loss: it heals nothing.
        later = lost is None or picture.pts is None or picture.pts > lost
        if damaged and picture.frame.key_frame and not picture.corrupt and later:
            damaged, unsettled, broken = False, 0, True
        suspect = unsettled > 0
        unsettled = max(0, unsettled - 1)
        yield replace(picture, broken=broken, corrupt=picture.corrupt or suspect)

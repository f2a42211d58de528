"""What a playlist shows again: HLS servers go on serving the last pieces of a camera that is gone.

Connected to anew, they would show the same seconds over and over, as if somebody were there again each time, and the
camera would never count as offline. So after a reconnect packets are left out up to a key picture that was never seen.
"""

from __future__ import annotations

import time
from collections import deque
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

REMEMBERED: Final = 64
"""Key pictures; playlists hold three to ten pieces, mostly of one or two key pictures."""

LONGEST_SKIP: Final = 30.0
"""Seconds from the start of a connection in which anything is left out: what comes later comes from a camera, be it one
that shows a still picture."""


class Replays:
    """Knows the latest key pictures of one camera, over its connections."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Know nothing yet; ``clock`` gives monotonic seconds."""
        self._clock = clock
        self._seen: deque[bytes] = deque(maxlen=REMEMBERED)
        self._skip_until = 0.0

    def begin(self) -> None:
        """A connection begins."""
        self._skip_until = self._clock() + LONGEST_SKIP

    def skips(self, data: bytes, *, is_keyframe: bool) -> bool:
        """Whether the next packet of the connection was shown before, or needs one that was."""
        skipping = self._clock() < self._skip_until
        if not is_keyframe:
            return skipping
        found = blake2b(data, digest_size=16).digest()
        if skipping and found in self._seen:
            return True
        self._skip_until = 0.0
        self._seen.append(found)
        return False

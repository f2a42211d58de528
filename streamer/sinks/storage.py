"""Whether evidence can be written: one event when it cannot, its end when it can again; watching goes on meanwhile."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from threading import Lock
from typing import TYPE_CHECKING

from preprocess.errors import OutputError
from streamer.events import Event, EventMessage, MessageKind
from streamer.live.notices import EventKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHECK_SECONDS = 10.0
ROOM_BYTES = 32 * 2**20
"""Recording goes on as soon as so much is free: some clips, so that it does not stop again at once."""

_PROBE = ".room.tmp"
_PROBE_BYTES = 65536
_STORAGE = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "files may not grow any further",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "the disk does not answer",
    errno.ENODEV: "the disk is gone",
    errno.ENOENT: "the folder is gone",
    errno.ENOTDIR: "the folder is gone",
    errno.ESTALE: "the network disk is gone",
    errno.EACCES: "there is no permission to write",
    errno.EPERM: "there is no permission to write",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
}


def storage_reason(error: BaseException) -> str | None:
    """What is wrong with the disk, in a few words; None where the error says nothing about the disk."""
    if isinstance(error, OutputError) and error.__cause__ is not None:
        error = error.__cause__
    return _STORAGE.get(getattr(error, "errno", None) or 0)


def free_bytes_of(path: Path) -> int:
    """Free bytes of the disk that holds ``path``, as the user may use them."""
    told = os.statvfs(path)
    return told.f_bavail * told.f_frsize


class StorageWatch:
    """Stops recording when writing fails, and lets it go on by itself; one per disk, or one for all. Thread-safe.

    Attributes:
        stops: how often recording was stopped.
    """

    def __init__(
        self,
        tell: Callable[[EventMessage], None],
        *,
        check_seconds: float = CHECK_SECONDS,
        room_bytes: int = ROOM_BYTES,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        free: Callable[[Path], int] = free_bytes_of,
    ) -> None:
        """Start with room.

        Args:
            tell: takes the ``new`` and the ``end`` message of a ``storage_full`` event, on the thread that found out.
            check_seconds: while there is no room, how often is looked whether there is.
            room_bytes: free bytes needed to go on.
            clock: monotonic seconds.
            now: the wall clock.
            free: free bytes of the disk that holds a path.
        """
        self._tell = tell
        self._check_seconds = check_seconds
        self._room_bytes = room_bytes
        self._clock = clock
        self._now = now
        self._free = free
        self._event: Event | None = None
        self._folder: Path | None = None
        self._needed = room_bytes
        self._next_check = 0.0
        self._lock = Lock()
        self.stops = 0

    @property
    def full(self) -> bool:
        """Whether recording is stopped."""
        return self._event is not None

    def failed(self, camera: str, folder: Path, reason: str, *, room_bytes: int | None = None) -> None:
        """Something could not be written: recording stops.

        Args:
            camera: whose file it was; the event is this camera's.
            folder: where it was to be written; tried again there.
            reason: in a few words.
            room_bytes: free bytes needed to go on; None for the usual ones.
        """
        with self._lock:
            if self._event is not None:
                return
            now = self._now()
            self._event = _event_of(camera, now, f"recording stopped: {reason}")
            self._folder = folder
            self._needed = self._room_bytes if room_bytes is None else room_bytes
            self._next_check = self._clock() + self._check_seconds
            self.stops += 1
            message = EventMessage(MessageKind.NEW, self._event)
        self._tell(message)

    def may_write(self) -> bool:
        """Whether to record; while stopped, looks every ``check_seconds`` whether there is room again."""
        with self._lock:
            if self._event is None:
                return True
            if self._clock() < self._next_check:
                return False
            self._next_check = self._clock() + self._check_seconds
            if not self._has_room():
                return False
            now = self._now()
            ended = replace(self._event, end=_seconds(now), end_time=now)
            self._event = None
        self._tell(EventMessage(MessageKind.END, ended))
        return True

    def _has_room(self) -> bool:
        folder = self._folder
        if folder is None:
            return True
        probe = folder / _PROBE
        try:
            folder.mkdir(exist_ok=True)  # the folder alone: where the one around it is gone, so is the disk
            if self._free(folder) < self._needed:
                return False
            with probe.open("wb") as file:
                file.write(bytes(_PROBE_BYTES))
        except OSError:
            return False
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)
        return True


def _seconds(moment: datetime) -> Fraction:
    return Fraction(round(moment.timestamp() * 1000), 1000)


def _event_of(camera: str, now: datetime, detail: str) -> Event:
    """An event without regions: it is no matter of the picture, and it is certain."""
    at = _seconds(now)
    return Event(
        id=f"{camera}-storage-{round(at * 1000)}",
        source=camera,
        kind=EventKind.STORAGE_FULL.value,
        start=at,
        end=at,
        peak=at,
        start_time=now,
        end_time=now,
        peak_time=now,
        peak_level=0.0,
        peak_p_value=1.0,
        regions=(),
        track=(),
        frames=0,
        in_learning=False,
        detail=detail,
    )

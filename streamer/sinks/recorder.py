"""``recordings/``: with ``--record``, everything a live camera shows, annotated, in files of ten minutes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from streamer.sinks.video_parts import VideoPart
from streamer.sinks.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streamer.frames import Bgr
    from streamer.live.folder import LiveFolder
    from streamer.sinks.storage import StorageWatch

SEGMENT_SECONDS = 600.0
QUEUE_BYTES = 48 * 2**20
QUEUE_PICTURES = 250
_LONGEST_STEP = Fraction(5)
# A longer pause between two pictures is a break of the stream: a new file says when it went on.

_RETRY_SECONDS = 10.0
_QUIET_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Picture:
    pts: Fraction
    moment: datetime
    picture: Bgr
    begins: bool


class SegmentedRecorder:
    """Writes the annotated pictures of one camera to ``recordings/YYYY-MM-DD/HH-MM-SS.mp4``.

    A new file begins after ``segment_seconds``, with another size of picture, after a break of the stream, and where
    :meth:`cut` asks for it. Each is readable up to about the last second after a kill. Pictures wait in a bounded
    queue for one thread; where it does not keep up, or the disk is full, they are left out and counted.

    Attributes:
        written: pictures in files.
        segments: files begun.
        lost: pictures left out.
        fault: what went wrong last, where it was not the disk.
    """

    def __init__(
        self,
        folder: LiveFolder,
        storage: StorageWatch,
        *,
        zone: tzinfo = UTC,
        segment_seconds: float = SEGMENT_SECONDS,
        most_bytes: int = QUEUE_BYTES,
        clock: Callable[[], float] = time.monotonic,
        tick_seconds: float = 0.5,
    ) -> None:
        """Start the thread.

        Args:
            folder: of the camera.
            storage: asked before, and told of a full disk.
            zone: the camera's time zone, in which files are named.
            segment_seconds: length of a file.
            most_bytes: of pictures that wait to be written.
            clock: monotonic seconds.
            tick_seconds: how often is looked whether the camera has gone quiet.
        """
        if segment_seconds <= 0:
            raise ValueError("a segment has a length")
        self.written = 0
        self.segments = 0
        self.lost = 0
        self.fault: str | None = None
        self._folder = folder
        self._storage = storage
        self._zone = zone
        self._length = Fraction(str(segment_seconds))
        self._clock = clock
        self._part: VideoPart | None = None
        self._step: Fraction | None = None
        self._before: Fraction | None = None
        self._wrote = clock()
        self._retry_at: float | None = None
        self._cut = False
        self._worker = Worker(
            f"avid-record-{folder.name}",
            most_jobs=QUEUE_PICTURES,
            most_bytes=most_bytes,
            failed=self._note,
            tick=self._look_for_quiet,
            tick_seconds=tick_seconds,
        )

    def write(self, pts: Fraction, moment: datetime, picture: Bgr) -> bool:
        """Take the next annotated picture; never waits.

        Args:
            pts: its time in seconds.
            moment: the same on the wall clock, with time zone; names the file.
            picture: ``(H, W, 3)`` uint8 of even sides; it is not copied, so nobody may draw on it afterwards.

        Returns:
            False where it was left out.
        """
        cut, self._cut = self._cut, False
        job = partial(self._write, _Picture(pts, moment, picture, cut))
        if self._worker.give(job, picture.nbytes):
            return True
        self._cut = cut
        self.lost += 1
        return False

    def cut(self) -> None:
        """The next picture begins a new file: the camera was connected again."""
        self._cut = True

    def close(self, seconds: float) -> bool:
        """Write what waits within so many seconds and complete the file; False where time ran out."""
        self._worker.give(self._end, must=True)
        return self._worker.close(seconds)

    def _write(self, item: _Picture) -> None:
        before, self._before = self._before, item.pts
        step = None if before is None else item.pts - before
        if step is not None and 0 < step <= _LONGEST_STEP:
            self._step = step
        part = self._part
        if part is not None and (
            item.begins
            or step is None
            or not 0 < step <= _LONGEST_STEP
            or part.size != (item.picture.shape[1], item.picture.shape[0])
            or (part.began is not None and item.pts - part.began >= self._length)
        ):
            self._end()
        if not self._may_write():
            self.lost += 1
            return
        if self._part is None:
            self._part = self._begin(item.moment)
        if self._part.write(item.pts, item.picture):
            self.written += 1
            self._wrote = self._clock()
        else:
            self.lost += 1
            self._end()

    def _may_write(self) -> bool:
        if not self._storage.may_write():
            self._end()
            return False
        return self._retry_at is None or self._clock() >= self._retry_at

    def _begin(self, moment: datetime) -> VideoPart:
        self.segments += 1
        self._retry_at = None
        rate = None if self._step is None else 1 / self._step
        return VideoPart(self._folder, segment_path(self._folder, moment.astimezone(self._zone)), self._storage, rate)

    def _end(self) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        part.close()
        if part.fault is not None:
            self.fault = part.fault
            self._retry_at = self._clock() + _RETRY_SECONDS

    def _look_for_quiet(self) -> None:
        if self._part is not None and self._clock() - self._wrote > _QUIET_SECONDS:
            self._end()

    def _note(self, error: Exception) -> None:
        """A picture of a shape that no video can hold, for instance: left out like one that found no room."""
        self.fault = str(error)
        self.lost += 1
        self._end()


def segment_path(folder: LiveFolder, local: datetime) -> Path:
    """A path for a file that begins at a local time: one that is not there yet."""
    day = folder.recordings / local.date().isoformat()
    stem = local.strftime("%H-%M-%S")
    path, number = day / f"{stem}.mp4", 1
    while path.exists():
        number += 1
        path = day / f"{stem}-{number}.mp4"
    return path

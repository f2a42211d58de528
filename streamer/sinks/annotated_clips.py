"""With ``--annotated-clips``: beside each evidence clip one with the alarms drawn on it, ``<event>-annotated.mp4``.

The annotated pictures of the pre-roll wait in memory as JPEG: 5 s at 640x360 and 10 pictures a second are 3 MB, and
35 MB as they are. The files are encoded on one thread, from these.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

import cv2
import numpy as np

from streamer.live.folder import CLIPS
from streamer.sinks.video_parts import VideoPart
from streamer.sinks.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.events import Event
    from streamer.frames import Bgr
    from streamer.live.folder import LiveFolder
    from streamer.sinks.clips import EvidenceSettings
    from streamer.sinks.storage import StorageWatch

QUEUE_BYTES = 32 * 2**20
QUEUE_JOBS = 2000
MOST_CLIPS = 4
JPEG_QUALITY = 92
_SUFFIX = "-annotated"


@dataclass(frozen=True, slots=True)
class _Kept:
    """An annotated picture in memory."""

    pts: Fraction
    jpeg: bytes


@dataclass(slots=True)
class _Clip:
    event: Event
    part: VideoPart
    until: Fraction | None = None


class AnnotatedClips:
    """Makes the annotated clips of one camera, out of the pictures that :meth:`picture` is given; from one thread.

    A change of the pictures' size ends a clip. While the disk is full there is none.

    Attributes:
        lost: pictures left out because encoding or the disk did not keep up.
        refused: events without a clip, because too many were open.
    """

    def __init__(
        self,
        folder: LiveFolder,
        settings: EvidenceSettings,
        storage: StorageWatch,
        *,
        finished: Callable[[Event, str | None], None] | None = None,
        most_bytes: int = QUEUE_BYTES,
    ) -> None:
        """Start the thread.

        Args:
            folder: of the camera.
            settings: lengths of pre-roll and post-roll.
            storage: asked before, and told of a full disk.
            finished: told on the writing thread when a clip is complete: the event, and the clip's path relative to
                the folder, None where there is no clip.
            most_bytes: of pictures kept for the pre-roll, and as much again of those that wait to be written.
        """
        self.lost = 0
        self.refused = 0
        self._folder = folder
        self._settings = settings
        self._storage = storage
        self._finished = finished
        self._most_bytes = most_bytes
        self._kept: deque[_Kept] = deque()
        self._bytes = 0
        self._clips: dict[str, _Clip] = {}
        self._worker = Worker(
            f"avid-annotate-{folder.name}", most_jobs=QUEUE_JOBS, most_bytes=most_bytes, failed=self._note
        )

    def picture(self, pts: Fraction, picture: Bgr) -> None:
        """Take the next annotated picture.

        Args:
            pts: its time in seconds.
            picture: ``(H, W, 3)`` uint8.
        """
        done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not done:
            self.lost += 1
            return
        kept = _Kept(pts, data.tobytes())
        self._keep(kept)
        for clip in list(self._clips.values()):
            if clip.until is not None and pts > clip.until:
                self._finish(clip)
            else:
                self._give(clip, kept)

    def began(self, event: Event) -> None:
        """An event began: its clip begins with the pre-roll kept in memory."""
        if event.id in self._clips:
            return
        if len(self._clips) >= MOST_CLIPS:
            self.refused += 1
            return
        stem = f"{event.id.replace('/', '_')}{_SUFFIX}"
        path, number = self._folder.clips / f"{stem}.mp4", 1
        while path.exists():
            number += 1
            path = self._folder.clips / f"{stem}{number}.mp4"
        clip = _Clip(event, VideoPart(self._folder, path, self._storage, self._rate()))
        self._clips[event.id] = clip
        begin = event.start - Fraction(str(self._settings.pre_roll))
        for kept in self._kept:
            if kept.pts >= begin:
                self._give(clip, kept)

    def ended(self, event: Event) -> None:
        """An event ended: its clip ends with the post-roll."""
        clip = self._clips.get(event.id)
        if clip is not None:
            clip.event = event
            clip.until = event.end + Fraction(str(self._settings.post_roll))

    def break_off(self) -> None:
        """Complete all clips as they are: the stream broke off, or all is to end."""
        for clip in list(self._clips.values()):
            self._finish(clip)
        self._kept.clear()
        self._bytes = 0

    def close(self, seconds: float) -> bool:
        """Complete all clips as they are, within so many seconds; False where time ran out."""
        self.break_off()
        return self._worker.close(seconds)

    def _keep(self, kept: _Kept) -> None:
        self._kept.append(kept)
        self._bytes += len(kept.jpeg)
        oldest = kept.pts - Fraction(str(self._settings.pre_roll + self._settings.notice_delay))
        while self._bytes > self._most_bytes or self._kept[0].pts < oldest:
            self._bytes -= len(self._kept.popleft().jpeg)
            if not self._kept:
                return

    def _rate(self) -> Fraction | None:
        if len(self._kept) < 2 or self._kept[-1].pts <= self._kept[0].pts:
            return None
        return (len(self._kept) - 1) / (self._kept[-1].pts - self._kept[0].pts)

    def _give(self, clip: _Clip, kept: _Kept) -> None:
        if not self._worker.give(partial(self._write, clip.part, kept), len(kept.jpeg)):
            self.lost += 1

    def _finish(self, clip: _Clip) -> None:
        del self._clips[clip.event.id]
        self._worker.give(partial(self._complete, clip), must=True)

    def _write(self, part: VideoPart, kept: _Kept) -> None:
        if part.failed or not self._storage.may_write():
            self.lost += 1
            return
        picture = cv2.imdecode(np.frombuffer(kept.jpeg, np.uint8), cv2.IMREAD_COLOR)
        if picture is None or (part.size is not None and part.size != (picture.shape[1], picture.shape[0])):
            self.lost += 1
            return
        part.write(kept.pts, np.asarray(picture, np.uint8))

    def _complete(self, clip: _Clip) -> None:
        clip.part.close()
        if self._finished is not None:
            self._finished(clip.event, f"{CLIPS}/{clip.part.path.name}" if clip.part.began is not None else None)

    def _note(self, error: Exception) -> None:
        _ = error
        self.lost += 1

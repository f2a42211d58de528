"""Annotated video of a live camera in files that come and go: readable after a kill, and never a reason to stop."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING

from preprocess.errors import OutputError
from streamer.frames import SourceInfo
from streamer.sinks.storage import storage_reason
from streamer.sinks.video import AnnotatedVideo

if TYPE_CHECKING:
    from pathlib import Path

    from streamer.frames import Bgr
    from streamer.live.folder import LiveFolder
    from streamer.sinks.storage import StorageWatch

_RATES = (Fraction(1), Fraction(120))


class VideoPart:
    """One file of annotated pictures of one size; used by one thread.

    Attributes:
        path: the file.
        began, latest: PTS of its first and its latest picture, seconds; None before the first one.
        size: ``(width, height)`` of its pictures; None before the first one.
        failed: it could not be written any further; what was written stays readable.
        fault: why, where it was not the disk.
    """

    def __init__(self, folder: LiveFolder, path: Path, storage: StorageWatch, rate: Fraction | None = None) -> None:
        """Prepare; the file is there with the first picture.

        Args:
            folder: of the camera, which is told that the file is being written.
            path: ends in ``.mp4``; not there yet.
            storage: told where the disk is to blame for a failure.
            rate: pictures per second to expect, where known.
        """
        self.path = path
        self.began: Fraction | None = None
        self.latest: Fraction | None = None
        self.size: tuple[int, int] | None = None
        self.failed = False
        self.fault: str | None = None
        self._folder = folder
        self._storage = storage
        self._rate = None if rate is None else min(max(rate, _RATES[0]), _RATES[1]).limit_denominator(1001)
        self._video: AnnotatedVideo | None = None

    def write(self, pts: Fraction, picture: Bgr) -> bool:
        """Append a picture; False where the file could not be written."""
        if self.failed:
            return False
        try:
            if self._video is None:
                self._open(picture)
            if self._video is not None:
                self._video.write_at(pts, picture)
        except OutputError as error:
            self._fail(error)
            return False
        if self.began is None:
            self.began = pts
        self.latest = pts
        return True

    def close(self) -> None:
        """Complete the file; may be called twice."""
        video, self._video = self._video, None
        if video is None:
            return
        try:
            video.close()
        except OutputError as error:
            self._fail(error)
        finally:
            self._folder.files.discard(self.path)

    def _open(self, picture: Bgr) -> None:
        height, width = picture.shape[:2]
        name = self._folder.name
        info = SourceInfo("", name, width, height, self._rate, None, None, None, "h264", "yuv420p", 0, has_audio=False)
        self._folder.files.add(self.path)
        try:
            self.path.parent.mkdir(exist_ok=True)
            self._video = AnnotatedVideo(self.path, info)
        except OSError as error:
            self._folder.files.discard(self.path)
            raise OutputError(f"{self.path}: cannot be written ({error.strerror}); make room there") from error
        except OutputError:
            self._folder.files.discard(self.path)
            raise
        self.size = (width, height)

    def _fail(self, error: OutputError) -> None:
        self.failed = True
        reason = storage_reason(error)
        if reason is None:
            self.fault = str(error)
        else:
            clips = self.path.parent == self._folder.clips
            self._storage.failed(self._folder.name, self._folder.clips if clips else self._folder.recordings, reason)
        self.close()
        if self.began is None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

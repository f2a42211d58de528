"""``snapshots/``: the annotated peak picture of every event, one picture in memory per source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from preprocess.errors import OutputError
from streamer.sinks.run_folder import SNAPSHOTS, RunFolder
from streamer.sinks.writing import write_whole

if TYPE_CHECKING:
    from streamer.events import Event
    from streamer.frames import Bgr

JPEG_QUALITY = 90


class SnapshotKeeper:
    """Keeps the best picture of the event that goes on, or may begin, and writes it when the event ends.

    For every frame: push it to the event machine, pass every ended event through :meth:`finish`, then :meth:`keep`
    the frame's picture where the machine says that it is ``at_peak``.
    """

    def __init__(self, folder: RunFolder) -> None:
        """Start without a picture.

        Args:
            folder: of the run; pictures go to its ``snapshots``.
        """
        self._folder = folder
        self._best: Bgr | None = None
        self.written = 0

    def keep(self, picture: Bgr) -> None:
        """Take this picture in place of the one kept before.

        Args:
            picture: annotated, ``(H, W, 3)`` uint8; it is not copied, so nobody may draw on it afterwards.
        """
        self._best = picture

    def finish(self, event: Event) -> Event:
        """Write the picture of an ended event.

        Returns:
            The event with the picture's path relative to the run folder; as it was where no picture was kept.

        Raises:
            OutputError: the picture cannot be written.
        """
        picture, self._best = self._best, None
        if picture is None:
            return event
        name = f"{event.id}.jpg"
        done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not done:
            size = f"{picture.shape[1]}x{picture.shape[0]}"
            raise OutputError(f"{self._folder.snapshots / name}: a picture of {size} cannot be stored as JPEG")
        write_whole(self._folder.snapshots / name, data.tobytes())
        self.written += 1
        return event.with_snapshot(f"{SNAPSHOTS}/{name}")

"""``--show``: the annotated pictures in a window, always the latest one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Self

import cv2

from preprocess.errors import UsageError

if TYPE_CHECKING:
    from types import TracebackType

    from streamer.frames import Bgr

TICK = 0.03
"""Seconds between two looks at the window: 30 pictures a second, and keys are answered at once."""

_PROBE = "import cv2; cv2.namedWindow('avid-watch'); cv2.waitKey(1); cv2.destroyAllWindows()"
_PROBE_SECONDS = 20.0
_KEYS_TO_STOP = {27, ord("q")}


def refuse_without_display() -> None:
    """Refuse ``--show`` where no window can be opened.

    Tried in a process of its own: Qt, which draws OpenCV's windows on Linux, ends the whole process when it finds no
    display, and with it the recording.

    Raises:
        UsageError: there is no display, or OpenCV was built without windows.
    """
    hint = "leave --show out and look at annotated.mp4 afterwards"
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not has_display:
        raise UsageError(f"--show: there is no display here (DISPLAY is not set); {hint}")
    try:
        probe = subprocess.run(  # noqa: S603 - our own interpreter and our own words
            [sys.executable, "-c", _PROBE], capture_output=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        raise UsageError(f"--show: no window can be opened here; {hint}") from None
    if probe.returncode != 0:
        raise UsageError(f"--show: no window can be opened here; {hint}")


class Window:
    """Shows the latest picture given to it. Usable as a context manager.

    :meth:`give` is called by the thread that draws, :meth:`look` by the main thread: windows belong to that one.
    """

    def __init__(self, title: str, stop: threading.Event) -> None:
        """Open nothing yet.

        Args:
            title: of the window.
            stop: set when the user presses q or Escape in the window.
        """
        self._title = title
        self._stop = stop
        self._lock = threading.Lock()
        self._latest: Bgr | None = None
        self._opened = False

    def give(self, picture: Bgr) -> None:
        """Take a picture to show; one that was not shown in time is forgotten."""
        with self._lock:
            self._latest = picture

    def look(self) -> None:
        """Show what there is, and listen to keys."""
        with self._lock:
            picture, self._latest = self._latest, None
        if picture is not None:
            if not self._opened:
                cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
                cv2.resizeWindow(self._title, picture.shape[1], picture.shape[0])
                self._opened = True
            cv2.imshow(self._title, picture)
        if self._opened and cv2.waitKey(1) & 0xFF in _KEYS_TO_STOP:
            self._stop.set()

    def close(self) -> None:
        """Close the window; may be called twice."""
        if self._opened:
            self._opened = False
            cv2.destroyWindow(self._title)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

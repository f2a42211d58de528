"""Does the program do its work? What ``/healthz`` answers, as pure logic over an injected clock."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from streamer.live.notices import CameraState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Overall(Enum):
    """How the whole program is doing."""

    OK = "ok"  # every camera is watching or learning, or still starting
    DEGRADED = "degraded"  # at least one is, and at least one is not
    DOWN = "down"  # none is, or the networks stand still


@dataclass(frozen=True, slots=True)
class LivenessSettings:
    """Times in seconds.

    Attributes:
        start_up: so long a camera that connects for the first time counts as fine.
        stale: a camera whose last frame is older counts as not fine, whatever its state says.
        stuck: the networks count as standing still when they gave no sign of life for so long.
    """

    start_up: float = 60.0
    stale: float = 60.0
    stuck: float = 60.0


@dataclass(frozen=True, slots=True)
class CameraLiveness:
    """How one camera is doing.

    Attributes:
        name: of the camera.
        state: its state.
        age: seconds since its last frame came; None before the first.
        fine: it is watching or learning, or within its start-up.
    """

    name: str
    state: CameraState
    age: float | None
    fine: bool


@dataclass(frozen=True, slots=True)
class Liveness:
    """How everything is doing.

    Attributes:
        overall: of the program.
        working: the networks give signs of life.
        cameras: sorted by name.
    """

    overall: Overall
    working: bool
    cameras: tuple[CameraLiveness, ...]


@dataclass(slots=True)
class _Camera:
    since: float
    state: CameraState = CameraState.CONNECTING
    last_frame: float | None = None
    was_there: bool = False


class LivenessBoard:
    """Hears of states, frames and signs of life, and says how all is doing; safe to use from several threads."""

    def __init__(
        self, settings: LivenessSettings | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin without a camera, and with a first sign of life.

        Args:
            settings: the defaults where None.
            clock: monotonic seconds.
        """
        self._settings = settings or LivenessSettings()
        self._clock = clock
        self._lock = threading.Lock()
        self._cameras: dict[str, _Camera] = {}
        self._beat = clock()

    @property
    def cameras(self) -> Iterable[str]:
        """Names of the cameras that are known."""
        with self._lock:
            return tuple(self._cameras)

    def add(self, camera: str) -> None:
        """A camera is watched from now on: its start-up begins; nothing happens where it is already."""
        with self._lock:
            self._cameras.setdefault(camera, _Camera(self._clock()))

    def remove(self, camera: str) -> None:
        """A camera is watched no more."""
        with self._lock:
            self._cameras.pop(camera, None)

    def state(self, camera: str, state: CameraState) -> None:
        """A camera has this state; unknown cameras are passed over."""
        with self._lock:
            known = self._cameras.get(camera)
            if known is not None:
                known.state = state
                known.was_there |= state not in {CameraState.CONNECTING, CameraState.OFFLINE}

    def frame(self, camera: str) -> None:
        """A frame of a camera came; unknown cameras are passed over."""
        with self._lock:
            known = self._cameras.get(camera)
            if known is not None:
                known.last_frame = self._clock()

    def beat(self) -> None:
        """The thread of the networks is alive: called every time it looks for work, also where there is none."""
        self._beat = self._clock()

    def read(self) -> Liveness:
        """How all is doing now."""
        now = self._clock()
        working = now - self._beat <= self._settings.stuck
        with self._lock:
            cameras = tuple(self._look(name, self._cameras[name], now) for name in sorted(self._cameras))
        if not working or not any(camera.fine for camera in cameras):
            overall = Overall.DOWN
        else:
            overall = Overall.OK if all(camera.fine for camera in cameras) else Overall.DEGRADED
        return Liveness(overall, working, cameras)

    def _look(self, name: str, camera: _Camera, now: float) -> CameraLiveness:
        age = None if camera.last_frame is None else max(0.0, now - camera.last_frame)
        if camera.state in {CameraState.WATCHING, CameraState.LEARNING}:
            fine = age is None or age <= self._settings.stale
        else:
            # Before its first picture, also between two attempts to connect.
            starting = camera.state in {CameraState.CONNECTING, CameraState.OFFLINE} and not camera.was_there
            fine = starting and now - camera.since <= self._settings.start_up
        return CameraLiveness(name, camera.state, age, fine)

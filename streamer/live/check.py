"""Tries every camera of a configuration, side by side, and says what came: picture, rate, codec, how soon, or why not.

Nothing is watched and nothing written. A camera that hangs costs its own time-out and nobody else's.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from preprocess.errors import AvidWatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamer.frames import SourceInfo
    from streamer.live.camera_source import CameraListener, CameraSource, Cause, EncodedPacket, EncodedStream
    from streamer.live.config import CameraConfig

FINE = "fine"
NOT_ENABLED = "not enabled"
MOST_AT_ONCE = 32
_TICK = 0.05
_SECONDS_TO_CLOSE = 2.0
_DAMAGED_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class CameraCheck:
    """What trying one camera showed.

    Attributes:
        name: of the camera.
        address: without a password.
        ok: pictures came.
        verdict: ``fine``, or what is wrong, in a few words.
        width, height: of the picture in pixels; None where none came.
        frame_rate: pictures per second by the camera's own clock; None where fewer than two came.
        codec: e.g. ``h264``.
        delay: seconds from the first attempt to the first picture.
        pictures, corrupt: how many came while they were counted, and how many of them were damaged.
        armed: whether anomalies would alarm at the moment of the check.
        armed_changes: when that changes next by its schedule, ISO 8601 in the schedule's time zone; None: never.
    """

    name: str
    address: str
    ok: bool
    verdict: str
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    codec: str | None = None
    delay: float | None = None
    pictures: int = 0
    corrupt: int = 0
    armed: bool = True
    armed_changes: str | None = None


class Opener(Protocol):
    """How a camera is opened; nothing is connected before its frames are read."""

    def __call__(self, camera: CameraConfig, listener: CameraListener, timeout: float) -> CameraSource:
        """Open it; it may give up after ``timeout`` seconds without a picture.

        Raises:
            AvidWatchError: nothing live can come from such an address.
        """
        ...


def open_once(camera: CameraConfig, listener: CameraListener, timeout: float) -> CameraSource:
    """Open a camera for one attempt."""
    from streamer.sources.network import open_camera  # noqa: PLC0415 - the decoders take a while to load
    from streamer.sources.stream_options import START_UP, CameraOptions  # noqa: PLC0415

    options = CameraOptions(transport=camera.transport, max_reconnects=0, stall_seconds=timeout / START_UP)
    rate = Fraction(str(camera.frame_rate)) if camera.frame_rate is not None else None
    return open_camera(camera.full_uri(), name=camera.name, options=options, listener=listener, frame_rate=rate)


def check_cameras(
    cameras: Sequence[CameraConfig],
    *,
    timeout: float,
    measure: float,
    stop: threading.Event,
    opener: Opener = open_once,
    clock: Callable[[], float] = time.monotonic,
) -> list[CameraCheck]:
    """Try cameras, at most ``MOST_AT_ONCE`` at a time.

    Args:
        cameras: those not enabled are named and not tried.
        timeout: seconds to the first picture.
        measure: seconds that pictures are counted for.
        stop: ends it early; what is not known by then counts as not tried.
        opener: opens one.
        clock: monotonic seconds.

    Returns:
        One entry per camera, in their order.
    """
    now = datetime.now(UTC)
    probes = [_Probe(camera, opener, timeout, measure, clock) for camera in cameras]
    waiting = [probe for probe in probes if probe.camera.enabled]
    running: list[_Probe] = []
    while (waiting or running) and not stop.is_set():
        while waiting and len(running) < MOST_AT_ONCE:
            running.append(waiting.pop(0))
            running[-1].start()
        running = [probe for probe in running if not probe.is_over()]
        if running:
            running[0].done.wait(_TICK)
    for probe in running:
        probe.end()
    return [_with_schedule(probe.result(), probe.camera, now) for probe in probes]


def _with_schedule(check: CameraCheck, camera: CameraConfig, now: datetime) -> CameraCheck:
    hours = camera.armed_hours()
    change = hours.next_change(now)
    told = None if change is None else change.astimezone(hours.time_zone).isoformat(timespec="minutes")
    return replace(check, armed=hours.armed(now), armed_changes=told)


@dataclass(slots=True)
class _Heard:
    """The connection's own story, as far as it went wrong."""

    cause: Cause | None = None
    detail: str = ""

    def connecting(self, attempt: int) -> None:
        """Nothing to keep."""

    def connected(self, info: SourceInfo) -> None:
        """Nothing to keep."""

    def lost(self, cause: Cause, detail: str, retry_in: float | None) -> None:  # noqa: ARG002 - of the contract
        self.cause, self.detail = cause, detail

    def stream(self, stream: EncodedStream) -> None:
        """Nothing to keep."""

    def packet(self, packet: EncodedPacket) -> None:
        """Nothing to keep."""


@dataclass(slots=True)
class _Probe:
    """One camera, read in a thread of its own: one that hangs is left behind."""

    camera: CameraConfig
    opener: Opener
    timeout: float
    measure: float
    clock: Callable[[], float]
    done: threading.Event = field(default_factory=threading.Event)
    heard: _Heard = field(default_factory=_Heard)
    source: CameraSource | None = None
    error: str | None = None
    began: float | None = None
    first: float | None = None
    times: tuple[Fraction, Fraction] | None = None
    pictures: int = 0
    corrupt: int = 0
    closing: float | None = None

    def start(self) -> None:
        self.began = self.clock()
        threading.Thread(target=self._read, name=f"avid-check-{self.camera.name}", daemon=True).start()

    def is_over(self) -> bool:
        """Look after it: close it once enough is known; True when there is nothing more to wait for."""
        now = self.clock()
        if self.done.is_set():
            return True
        if self.closing is not None:
            return now - self.closing > _SECONDS_TO_CLOSE
        waited = now - (self.began or 0.0)
        if waited > self.timeout if self.first is None else now - self.first > self.measure:
            self.end()
        return False

    def end(self) -> None:
        self.closing = self.clock()
        if self.source is not None:
            self.source.close()

    def _read(self) -> None:
        try:
            self.source = self.opener(self.camera, self.heard, self.timeout)
            for frame in self.source.frames():
                self.times = (frame.pts if self.times is None else self.times[0], frame.pts)
                self.pictures += 1
                self.corrupt += frame.corrupt
                if self.first is None:
                    self.first = self.clock()
                if self.closing is not None:
                    break
        except AvidWatchError as error:
            self.error = str(error)
        except Exception as error:  # noqa: BLE001 - one camera's trouble must not cost the table of the others
            self.error = f"{type(error).__name__}, see avid-watch info"
        finally:
            if self.source is not None:
                self.source.close()
            self.done.set()

    def result(self) -> CameraCheck:
        name, address = self.camera.name, self.camera.address
        info = self.source.info if self.source is not None else None
        if self.first is None or self.began is None or info is None:
            return CameraCheck(name, address, ok=False, verdict=self._failure())
        model = self.camera.model
        missing = model is not None and not model.is_file()
        return CameraCheck(
            name,
            address,
            ok=not missing,
            verdict=f"{model}: no such model file; check 'model'" if missing else self._quality(),
            width=info.width,
            height=info.height,
            frame_rate=self._rate(),
            codec=info.codec,
            delay=round(self.first - self.began, 3),
            pictures=self.pictures,
            corrupt=self.corrupt,
        )

    def _failure(self) -> str:
        if not self.camera.enabled:
            return NOT_ENABLED
        if self.error is not None:
            return self.error
        if self.heard.cause is not None:
            return ": ".join(part for part in (self.heard.cause.value, self.heard.detail) if part)
        if self.began is None or (self.closing is None and not self.done.is_set()):
            return "not tried"
        return f"time-out: no picture within {self.timeout:g} s"

    def _quality(self) -> str:
        if self.corrupt > _DAMAGED_SHARE * self.pictures:
            return f"{FINE}, but {self.corrupt} of {self.pictures} pictures damaged"
        return FINE

    def _rate(self) -> float | None:
        if self.times is None or self.times[1] <= self.times[0]:
            return None
        return round(float((self.pictures - 1) / (self.times[1] - self.times[0])), 2)

"""Hears and reads a live camera in tests, never longer than asked."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from streamer.sources.network import NetworkCamera, open_camera
from streamer.sources.stream_options import CameraOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.frames import Frame, SourceInfo
    from streamer.live.camera_source import Cause, EncodedPacket, EncodedStream

SECRETS = ("s3cret", "wr0ng", "me:", "hush")
"""Parts of the users and tokens that cameras are watched with in tests."""

QUICK = {"stall_seconds": 1.0, "connect_seconds": 1.0, "least_wait": 0.1, "most_wait": 0.3}


@dataclass
class Heard:
    """A listener that remembers everything, and when."""

    attempts: list[int] = field(default_factory=list)
    infos: list[SourceInfo] = field(default_factory=list)
    losses: list[tuple[Cause, str, float | None]] = field(default_factory=list)
    lost_at: list[float] = field(default_factory=list)
    streams: list[EncodedStream] = field(default_factory=list)
    packets: list[EncodedPacket] = field(default_factory=list)

    def connecting(self, attempt: int) -> None:
        self.attempts.append(attempt)

    def connected(self, info: SourceInfo) -> None:
        self.infos.append(info)

    def lost(self, cause: Cause, detail: str, retry_in: float | None) -> None:
        self.lost_at.append(time.monotonic())
        self.losses.append((cause, detail, retry_in))

    def stream(self, stream: EncodedStream) -> None:
        self.streams.append(stream)

    def packet(self, packet: EncodedPacket) -> None:
        self.packets.append(packet)

    @property
    def causes(self) -> list[Cause]:
        return [cause for cause, _, _ in self.losses]


def watch(uri: str, heard: Heard, **options: object) -> NetworkCamera:
    """A camera with short time-outs."""
    return open_camera(uri, name="gate", options=CameraOptions(**{**QUICK, **options}), listener=heard)  # type: ignore[arg-type]


def frames_of(
    camera: NetworkCamera,
    *,
    until: Callable[[list[Frame]], bool] = lambda _: False,
    seconds: float = 15.0,
    at: dict[int, Callable[[], object]] | None = None,
    each: float = 0.0,
) -> list[Frame]:
    """Read until ``until`` says so or the camera ends; fails after ``seconds``.

    Args:
        camera: it is closed afterwards.
        until: looks at the frames so far.
        seconds: time limit.
        at: what to do once so many frames have come.
        each: seconds every frame takes its reader.
    """
    frames: list[Frame] = []
    too_late = threading.Timer(seconds, camera.close)
    too_late.start()
    try:
        for frame in camera.frames():
            frames.append(frame)
            if at and len(frames) in at:
                at[len(frames)]()
            if until(frames):
                break
            time.sleep(each)
    finally:
        in_time = too_late.is_alive()
        too_late.cancel()
        camera.close()
    assert in_time, f"not within {seconds} s: {len(frames)} frames, {camera.counts}"
    return frames


def check(frames: list[Frame], heard: Heard) -> None:
    """Times rise, over reconnects too, are those of the wall clock, and no password was told."""
    assert all(a.pts < b.pts and a.index + 1 == b.index for a, b in pairwise(frames))
    for frame in frames:
        assert frame.wall_clock is not None
        assert abs(float(frame.pts) - frame.wall_clock.timestamp()) < 2
    silent(heard)


def silent(heard: Heard) -> None:
    told = repr(heard.losses) + repr(heard.infos) + repr([(stream.codec, stream.epoch) for stream in heard.streams])
    assert not any(secret in told for secret in SECRETS)

"""How a live source is opened: which FFmpeg options each kind of address needs so that it is quick and never hangs.

FFmpeg ignores an option it does not know in silence, and without the right one a server that falls silent holds a
reader for ever; the names below were tried against real servers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import av

from preprocess.errors import UsageError
from streamer.sources.device import device_path, open_video4linux
from streamer.sources.naming import path_of, scheme_of, without_password

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from av.container import InputContainer

RTSP_SCHEMES = frozenset({"rtsp", "rtsps"})
LIVE_SCHEMES = frozenset({*RTSP_SCHEMES, "http", "https", "rtmp", "rtmps"})
"""What can be watched live besides camera devices."""

START_UP = 3
"""A connection may take so many times longer to its first picture than from one picture to the next."""

_HLS_ENDINGS = (".m3u8", ".m3u")


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """How a live source is read; times in seconds.

    Attributes:
        transport: how RTSP brings the pictures. TCP loses nothing; UDP is for cameras that know nothing else.
        max_reconnects: attempts after the first since the camera was last in good health; None: without end.
        stall_seconds: without a picture for so long a connection is given up; at its start three times as long.
        connect_seconds: how long a server may take to accept a connection.
        least_wait, most_wait: between two attempts.
        healthy_after: a connection that lasted so long makes the waiting begin at ``least_wait`` again.
        backlog_seconds: how far decoding may be behind before waiting packets are thrown away.
    """

    transport: Literal["tcp", "udp"] = "tcp"
    max_reconnects: int | None = None
    stall_seconds: float = 20.0
    connect_seconds: float = 5.0
    least_wait: float = 1.0
    most_wait: float = 30.0
    healthy_after: float = 60.0
    backlog_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            UsageError: a time is not positive, or the number of attempts is negative.
        """
        times = (self.stall_seconds, self.connect_seconds, self.least_wait, self.most_wait, self.backlog_seconds)
        if min(times) <= 0 or self.healthy_after < 0 or self.most_wait < self.least_wait:
            raise UsageError("the times of a camera's connection must be positive; leave them out for the defaults")
        if self.transport not in {"tcp", "udp"}:
            raise UsageError(f"RTSP comes over tcp or udp, not {self.transport}; choose one of them")
        if self.max_reconnects is not None and self.max_reconnects < 0:
            raise UsageError("the number of reconnects cannot be negative; leave it out to try without end")


@dataclass(frozen=True, slots=True)
class Opening:
    """Everything FFmpeg must be told to open a source.

    Attributes:
        target: what FFmpeg opens; may hold a password, so it is never shown.
        scheme: of the address; ``file`` for recordings, ``device`` for camera devices.
        options: of the demuxer and the protocol.
        timeout: PyAV's own time limits (to open, to read), where FFmpeg has none that holds.
        paced: packets come faster than their pictures were taken (files, HLS) and are held back until they are due.
        may_lose: packets can be lost on the way without anybody saying so.
        endless: an end of the stream is a camera that went away.
        device: the device file, for camera devices.
    """

    target: str = field(repr=False)
    scheme: str
    options: dict[str, str]
    timeout: tuple[float, float] | None = None
    paced: bool = False
    may_lose: bool = False
    endless: bool = True
    device: Path | None = None

    def open(self) -> InputContainer:
        """Open it; waits for the server.

        Raises:
            FFmpegError: it did not open.
        """
        if self.device is not None:
            return open_video4linux(self.device, self.options)
        return av.open(self.target, options=self.options, timeout=self.timeout)


def opening_of(uri: str, options: CameraOptions, *, frame_rate: Fraction | None = None) -> Opening:
    """How ``uri`` is opened: a network camera, a camera device, or a recording played at its own pace.

    Raises:
        UsageError: nothing live comes from such an address.
    """
    device = device_path(uri)
    if device is not None:
        rate = {} if frame_rate is None else {"framerate": f"{frame_rate.numerator}/{frame_rate.denominator}"}
        return Opening(str(device), "device", rate, device=device)
    scheme = scheme_of(uri) or "file"
    if scheme == "file":
        # The "file:" keeps FFmpeg from reading a colon in a name as a protocol.
        return Opening(f"file:{path_of(uri)}", scheme, {}, paced=True, endless=False)
    if scheme not in LIVE_SCHEMES:
        offered = ", ".join(f"{known}://" for known in sorted(LIVE_SCHEMES))
        raise UsageError(f"{without_password(uri)}: {scheme}:// inputs are not supported; cameras come over {offered}")
    if scheme in RTSP_SCHEMES:
        return Opening(uri, scheme, _rtsp(options), may_lose=options.transport == "udp" and scheme == "rtsp")
    silence = {"rw_timeout": _microseconds(options.stall_seconds)}
    if scheme.startswith("rtmp"):
        # RTMP's own "timeout" would make FFmpeg a server that waits for a sender.
        return Opening(uri, scheme, {**silence, "rtmp_live": "live", "probesize": "32768", **_SHORT_LOOK})
    if _is_hls(uri):
        return _hls(uri, scheme, options)
    return Opening(uri, scheme, {**silence, "reconnect": "0", **_SHORT_LOOK})


def opening_for_format(opening: Opening, container_format: str, options: CameraOptions) -> Opening | None:
    """How a source that turned out to be of this format must be opened instead; None where it was opened rightly.

    Args:
        opening: how it was opened.
        container_format: FFmpeg's names of its format, with commas between them.
        options: of the camera.
    """
    if opening.paced or opening.scheme not in {"http", "https"} or "hls" not in container_format.split(","):
        return None
    return _hls(opening.target, opening.scheme, options)


_SHORT_LOOK = {"analyzeduration": "500000"}
"""Microseconds of pictures that FFmpeg looks at before it hands on the first. 0 stands for its default, 5 s, and 90 s
for FLV, the format of RTMP: it waits so long for sound that may set in; without sound no picture came within 3 s."""


def _hls(uri: str, scheme: str, options: CameraOptions) -> Opening:
    # Its demuxer asks for the playlist again and again, each time within all limits of the protocol.
    limits = (START_UP * options.stall_seconds, options.stall_seconds)
    asked = {
        "rw_timeout": _microseconds(options.stall_seconds),
        "live_start_index": "-1",
        "probesize": "32768",
        "analyzeduration": "0",
    }
    return Opening(uri, scheme, asked, timeout=limits, paced=True)


def _rtsp(options: CameraOptions) -> dict[str, str]:
    """Options of the RTSP demuxer.

    With ``probesize=32`` the first key picture came 0.2 s after opening (2.9 s with the default). ``fflags=nobuffer``
    throws away what was read to find that out, the first key picture too, and is left out.
    """
    return {
        "rtsp_transport": options.transport,
        "timeout": _microseconds(options.stall_seconds),  # "stimeout" before FFmpeg 5; the old name does nothing
        "allowed_media_types": "video",
        "probesize": "32",
        "analyzeduration": "0",
    }


def _is_hls(uri: str) -> bool:
    return uri.split("#", 1)[0].split("?", 1)[0].lower().endswith(_HLS_ENDINGS)


def _microseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1e6)))

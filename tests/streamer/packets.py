"""Packets as cameras send them, made with real encoders; and how a file made of them reads back."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import av
import numpy as np

from streamer.events import Event
from streamer.live.camera_source import EncodedPacket, EncodedStream

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
RATE = 10
WIDTH, HEIGHT = 96, 64
_ENCODERS = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9", "vp8": "libvpx"}
_SPEED = {
    "h264": {"preset": "ultrafast", "sc_threshold": "0"},
    "hevc": {"preset": "ultrafast", "x265-params": "log-level=none:scenecut=0:keyint=10:min-keyint=10"},
    "av1": {"preset": "12", "svtav1-params": "lp=1"},
    "vp9": {"deadline": "realtime", "cpu-used": "8"},
    "vp8": {"deadline": "realtime", "cpu-used": "8"},
}


@dataclass
class Sent:
    """What a camera sent over one connection."""

    stream: EncodedStream
    packets: list[EncodedPacket]


def grey(index):
    """Grey level of the picture with this number, ten pictures apart by eight levels."""
    return 30 + 8 * (index % 24)


def send(frames, *, codec="h264", container=None, gop=10, bframes=0, start=START, epoch=0, first=0, size=None):
    """Encode, mux and demux again: packets as FFmpeg hands them on from ``container``, at ten pictures a second, each
    of another grey (see :func:`grey`)."""
    width, height = size or (WIDTH, HEIGHT)
    container = container or ("avi" if codec == "mjpeg" else "mpegts")
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        options = {"g": str(gop), "bf": str(bframes), **_SPEED.get(codec, {})}
        stream = out.add_stream(_ENCODERS.get(codec, codec), rate=RATE, options=options)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(frames):
            planes = np.full((height * 3 // 2, width), 128, np.uint8)
            planes[:height] = grey(first + number)
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            if codec == "mjpeg":
                picture = picture.reformat(format="yuvj420p", src_color_range=2, dst_color_range=2)
            picture.pts = number
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as read:
        stream = read.streams.video[0]
        context = stream.codec_context
        described = EncodedStream(epoch, context.name, width, height, context.extradata or b"", stream.time_base)
        found = [packet for packet in read.demux(stream) if packet.size]
        packets = [
            EncodedPacket(
                bytes(packet),
                packet.pts,
                packet.dts,
                packet.duration,
                packet.time_base,
                packet.is_keyframe,
                start + timedelta(seconds=number / RATE),
                epoch,
            )
            for number, packet in enumerate(found)
        ]
    return Sent(replace(described, codec=codec), packets)


def pictures(path):
    """Times in seconds and numbers (see :func:`grey`) of a file's pictures."""
    with av.open(str(path)) as container:
        read = []
        for frame in container.decode(container.streams.video[0]):
            planes = frame.to_ndarray()
            level = float(planes[HEIGHT // 4 : HEIGHT // 2, : WIDTH // 2].mean())
            read.append((round(float(frame.pts * frame.time_base), 3), round((level - 30) / 8)))
        return read


def creation_time(path):
    with av.open(str(path)) as container:
        return datetime.fromisoformat(container.metadata["creation_time"])


def event_at(start, end=None, *, kind="anomaly", number=0, camera="gate"):
    """An event whose times are seconds after :data:`START`."""
    end = start if end is None else end
    times = [START + timedelta(seconds=float(moment)) for moment in (start, end)]
    pts = [Fraction(round(moment.timestamp() * 1000), 1000) for moment in times]
    return Event(
        id=f"{camera}-{round(pts[0] * 1000)}" + (f"-{number}" if number else ""),
        source=camera,
        kind=kind,
        start=pts[0],
        end=pts[1],
        peak=pts[0],
        start_time=times[0],
        end_time=times[1],
        peak_time=times[0],
        peak_level=5.0,
        peak_p_value=1e-5,
        regions=(),
        track=(),
        frames=3,
        in_learning=False,
    )

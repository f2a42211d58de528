"""A video file made of a camera's own packets, without decoding or encoding; readable after a kill at any moment."""

from __future__ import annotations

import io
from contextlib import suppress
from datetime import UTC
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from streamer.sinks.elementary import Elementary
from streamer.sinks.whole_writes import WholeWrites

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from streamer.live.camera_source import EncodedPacket, EncodedStream

IN_MP4 = frozenset({"h264", "hevc", "av1", "mpeg4"})
"""What MP4 holds and players expect there; everything else goes to Matroska."""

NOT_KEPT = frozenset({"rawvideo", "wrapped_avframe", "bitpacked", "v210"})
"""Pictures nobody has encoded: a second of them is larger than a minute of video."""

_MP4_OPTIONS = {
    # Fragments while it grows, an ordinary index at the end (FFmpeg 8.1); half a second is lost in a kill at most.
    "movflags": "hybrid_fragmented+delay_moov",
    "frag_duration": "500000",
    "flush_packets": "1",
}
_MATROSKA_OPTIONS = {"cluster_time_limit": "500", "flush_packets": "1"}
_BY_ARRIVAL = frozenset({"mjpeg"})
# Over HTTP its times are counted at 25 pictures a second, whatever comes.

_FINE = Fraction(1, 90000)
_STEP = Fraction(1, 25)
_LARGEST_STEP_BACK = Fraction(1)
_LARGEST_STEP_FORWARD = Fraction(5)
# Beyond these, and against the time of arrival, the camera's clock was set: the file goes on without a hole.


def ending_for(stream: EncodedStream) -> str:
    """Ending of the file that holds such packets."""
    return ".mp4" if stream.codec in IN_MP4 else ".mkv"


class PacketFile:
    """Writes the packets of one stream, from a key frame on, with their times moved to begin at 0 s.

    ``creation_time`` in the file is the moment its first picture came. Times come from the camera's clock; where it is
    absent or jumps, from the arrival.

    Attributes:
        path: the file.
        packets: written so far.
        seconds: length so far.
        bytes: written when it was closed.
    """

    def __init__(self, path: Path, stream: EncodedStream) -> None:
        """Prepare the file; it is there with the first packet.

        Args:
            path: with the ending that :func:`ending_for` says.
            stream: what the packets are.

        Raises:
            ValueError: no container holds such packets.
            OSError: the file cannot be made (``av.FFmpegError`` for those that FFmpeg found).
        """
        if stream.codec in NOT_KEPT:
            raise ValueError(f"a stream of {stream.codec} is not kept: nobody has encoded it")
        self.path = path
        self.packets = 0
        self.seconds = 0.0
        self.bytes = 0
        self._stream = stream
        self._elementary = Elementary(stream)
        self._base = _FINE if stream.codec in _BY_ARRIVAL else stream.time_base
        matroska = ending_for(stream) == ".mkv"
        self._file = WholeWrites(path, "xb")
        try:
            self._container: av.container.OutputContainer | None = av.open(
                self._file,
                "w",
                format="matroska" if matroska else "mp4",
                container_options=_MATROSKA_OPTIONS if matroska else _MP4_OPTIONS,
            )
            self._out = self._container.add_mux_stream(
                stream.codec, width=stream.width, height=stream.height, time_base=self._base
            )
        except BaseException:
            self._file.close()
            path.unlink(missing_ok=True)
            raise
        self._offset: int | None = None  # of the file's clock to the camera's, once that is known
        self._decoded_at: int | None = None
        self._arrived: datetime | None = None
        self._last_step = max(1, round(_STEP / self._base))

    def write(self, packet: EncodedPacket) -> None:
        """Append a packet; those before the first key frame are left out.

        Raises:
            OSError: the disk is full, or the packet cannot be muxed; what was written stays readable.
            ValueError: the file is closed.
        """
        container = self._container
        if container is None:
            raise ValueError(f"{self.path} is closed")
        if self._decoded_at is None and not packet.is_keyframe:
            return
        data = self._elementary.convert(packet.data)
        if self._decoded_at is None:
            data = self._elementary.with_header(data)
            container.metadata["creation_time"] = packet.arrived.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if not data:
            return
        shown, decoded = self._times(packet)
        coded = av.Packet(data)
        coded.stream = self._out
        coded.pts, coded.dts, coded.time_base = shown, decoded, self._base
        coded.duration = packet.duration if packet.duration and self._base == packet.time_base else self._last_step
        coded.is_keyframe = packet.is_keyframe
        container.mux(coded)
        self.packets += 1
        self.seconds = max(self.seconds, float(shown * self._base))

    def close(self) -> None:
        """Write the index; may be called twice. A file without a packet is taken away.

        Raises:
            OSError: the disk is full; what was written stays readable.
        """
        container, self._container = self._container, None
        if container is None:
            return
        try:
            container.close()
        finally:
            with suppress(OSError):
                self.bytes = self._file.seek(0, io.SEEK_END)
            self._file.close()
            if not self.packets or not self.bytes:
                with suppress(OSError):
                    self.path.unlink(missing_ok=True)

    def _times(self, packet: EncodedPacket) -> tuple[int, int]:
        """When the packet is shown and decoded, in units of the file; decoding times strictly increase."""
        arrived, self._arrived = self._arrived, packet.arrived
        waited = 0 if arrived is None else round(Fraction((packet.arrived - arrived).total_seconds()) / self._base)
        own = packet.dts if packet.dts is not None else packet.pts
        last = self._decoded_at
        if own is None or self._stream.codec in _BY_ARRIVAL:
            decoded = 0 if last is None else last + max(1, waited)
            self._step(last, decoded)
            return decoded, decoded
        own = round(own * packet.time_base / self._base)
        behind = 0 if packet.pts is None else round(packet.pts * packet.time_base / self._base) - own
        if last is None:
            # The first picture is shown at 0; with B-frames it is decoded before that.
            self._offset = -own - behind
        elif self._offset is None or not self._is_near(own + self._offset - last, waited):
            self._offset = last + max(1, waited) - own
        decoded = own + self._offset
        if last is not None and decoded <= last:
            decoded = last + 1
        self._step(last, decoded)
        return max(decoded, own + behind + self._offset), decoded

    def _is_near(self, step: int, waited: int) -> bool:
        return -_LARGEST_STEP_BACK <= step * self._base <= waited * self._base + _LARGEST_STEP_FORWARD

    def _step(self, last: int | None, decoded: int) -> None:
        if last is not None:
            self._last_step = decoded - last
        self._decoded_at = decoded

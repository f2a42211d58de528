"""A camera's packets in the one form that any container takes: start codes, and headers before the first key frame.

Cameras send H.264 and HEVC with start codes ("Annex B") over RTSP, and with lengths ("avcC", "hvcC") over RTMP or from
MP4 files. Their parameter sets come in the stream, or only once beforehand, as extradata. PyAV (18.1) muxes packets of
a container it has not opened itself if it finds the parameter sets in the first ones, behind start codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamer.live.camera_source import EncodedStream

START_CODE = b"\x00\x00\x00\x01"
_LENGTH_PREFIXED = frozenset({"h264", "hevc"})
_AV1_CONFIGURATION = 0x81


class Elementary:
    """Turns the packets of one stream into that form.

    Attributes:
        header: what belongs before a key frame that comes without it; empty where there is nothing.
    """

    def __init__(self, stream: EncodedStream) -> None:
        """Read the stream's extradata; damaged ones count as none."""
        self._codec = stream.codec
        self._length_size = 0
        self.header = stream.extradata
        if stream.codec in _LENGTH_PREFIXED and stream.extradata[:1] == b"\x01":
            try:
                sets = _avcc(stream.extradata) if stream.codec == "h264" else _hvcc(stream.extradata)
                self.header = b"".join(START_CODE + unit for unit in sets)
            except IndexError:
                self.header = b""
            at = 4 if stream.codec == "h264" else 21
            self._length_size = (stream.extradata[at] & 3) + 1 if len(stream.extradata) > at else 4
        elif stream.codec == "av1" and stream.extradata[:1] == bytes([_AV1_CONFIGURATION]):
            self.header = stream.extradata[4:]

    def convert(self, data: bytes) -> bytes:
        """The packet with start codes; as it is where the codec or the camera has no lengths in it."""
        if not self._length_size:
            return data
        return b"".join(START_CODE + unit for unit in _units(data, self._length_size))

    def with_header(self, data: bytes) -> bytes:
        """A converted key frame, with the header before it unless it brings its own."""
        if not self.header or self._has_header(data):
            return data
        return self.header + data

    def _has_header(self, data: bytes) -> bool:
        if self._codec == "h264":
            return 7 in {unit & 0x1F for unit in _first_bytes(data)}
        if self._codec == "hevc":
            return 33 in {unit >> 1 & 0x3F for unit in _first_bytes(data)}
        return data.startswith(self.header[:4])


def _first_bytes(data: bytes) -> Iterator[int]:
    """The first byte of every unit behind a start code: its type is in there."""
    at = data.find(b"\x00\x00\x01")
    while 0 <= at < len(data) - 3:
        yield data[at + 3]
        at = data.find(b"\x00\x00\x01", at + 3)


def _units(data: bytes, length_size: int) -> Iterator[bytes]:
    """The units of a packet with lengths; a last one that is cut off is left out."""
    at = 0
    while at + length_size < len(data):
        length = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        if at + length > len(data):
            return
        yield data[at : at + length]
        at += length


def _avcc(extradata: bytes) -> list[bytes]:
    """Sequence and picture parameter sets of an ``avcC`` record (ISO/IEC 14496-15, 5.3.3.1)."""
    units: list[bytes] = []
    at = 5
    for mask in (0x1F, 0xFF):
        count = extradata[at] & mask
        at += 1
        for _ in range(count):
            at = _take(extradata, at, units)
    return units


def _hvcc(extradata: bytes) -> list[bytes]:
    """Video, sequence and picture parameter sets of an ``hvcC`` record (ISO/IEC 14496-15, 8.3.3.1)."""
    units: list[bytes] = []
    at = 23
    for _ in range(extradata[22]):
        count = int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            at = _take(extradata, at, units)
    return units


def _take(extradata: bytes, at: int, units: list[bytes]) -> int:
    length = int.from_bytes(extradata[at : at + 2], "big")
    unit = extradata[at + 2 : at + 2 + length]
    if len(unit) < max(1, length):
        raise IndexError("the record is cut off")
    units.append(unit)
    return at + 2 + length

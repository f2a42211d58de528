"""The headers that H.264 and H.265 cameras send inside their stream, found without decoding it.

A camera that changes its resolution says so there, in the middle of a connection. Packets before and after cannot
share an evidence clip, as a clip has one header.
"""

from __future__ import annotations

import re

_START_CODE = re.compile(rb"\x00\x00\x01")
_H264_SETS = {7: "sps", 8: "pps"}
_HEVC_SETS = {32: "vps", 33: "sps", 34: "pps"}
_LONGEST_HEADERS = 4096
"""Bytes at the start of a key picture in which the headers are looked for; the picture itself comes behind them."""


def parameter_sets(codec: str, data: bytes) -> bytes:
    """The headers at the start of a packet, as a muxer wants them (Annex B, each once, in order); empty without any.

    Args:
        codec: FFmpeg's name; other codecs than ``h264`` and ``hevc`` have none.
        data: a packet with start codes. Packets with lengths instead (MP4, RTMP) have their headers outside.
    """
    known = {"h264": _H264_SETS, "hevc": _HEVC_SETS}.get(codec)
    if known is None or not data[:4].startswith((b"\x00\x00\x01", b"\x00\x00\x00\x01")):
        return b""
    found: dict[bytes, None] = {}
    for unit in _START_CODE.split(data[:_LONGEST_HEADERS])[1:]:
        body = unit.rstrip(b"\x00")
        if not body:
            continue
        kind = body[0] & 0x1F if codec == "h264" else (body[0] >> 1) & 0x3F
        if kind in known:
            found[body] = None
    kinds = {known[body[0] & 0x1F if codec == "h264" else (body[0] >> 1) & 0x3F] for body in found}
    return b"".join(b"\x00\x00\x00\x01" + body for body in found) if {"sps", "pps"} <= kinds else b""


def sequence_headers(codec: str, sets: bytes) -> frozenset[bytes]:
    """The sequence headers among parameter sets: what says how large the picture is."""
    wanted = {"h264": 7, "hevc": 33}.get(codec)
    units = [unit.rstrip(b"\x00") for unit in _START_CODE.split(sets)]
    return frozenset(
        unit for unit in units if unit and (unit[0] & 0x1F if codec == "h264" else (unit[0] >> 1) & 0x3F) == wanted
    )

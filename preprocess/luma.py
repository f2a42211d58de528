"""Full-range grey from any pixel format: the one path that learning and watching share.

Most video stores luma at limited range (16..235). A model that learned from one range and watches the other sees
everything about eight grey levels off, so every picture is brought to 0..255 here and nowhere else.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import cv2
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

if TYPE_CHECKING:
    import av

    from preprocess.pictures import Luma

LIMITED_BLACK = 16
LIMITED_WHITE = 235

_LUMA_FIRST = frozenset(
    f"yuv{alpha}{chroma}p" for alpha in ("", "a", "j") for chroma in ("410", "411", "420", "422", "440", "444")
) | frozenset({"nv12", "nv21", "nv16", "nv24", "nv42", "gray"})
"""Formats whose first plane is 8-bit luma and nothing else, so that it can be viewed without a conversion."""

_FULL_FROM_LIMITED = np.clip(
    np.round((np.arange(256.0) - LIMITED_BLACK) * 255.0 / (LIMITED_WHITE - LIMITED_BLACK)), 0.0, 255.0
).astype(np.uint8)


class _PerThread(threading.local):
    """One converter per thread: it keeps its scaling context between frames, and must not be shared."""

    def __init__(self) -> None:
        self.reformatter = VideoReformatter()


_converters = _PerThread()


def luma_of(frame: av.VideoFrame) -> Luma:
    """Full-range grey picture of a decoded frame, as stored (not yet turned upright).

    8-bit planar formats are read from their first plane (8 times faster than a conversion at 360x240); everything
    else (10 bit, packed RGB, alpha, palettes, grey formats) goes through the converter. Both give the same levels.

    Args:
        frame: a decoded frame of any pixel format and colour range; an unspecified range counts as limited, as
            FFmpeg has it.

    Returns:
        ``(H, W)`` uint8, 0..255 grey levels, contiguous and writable; it shares no memory with the frame.
    """
    if has_luma_plane(frame):
        return luma_from_plane(frame)
    return luma_from_converter(frame)


def has_luma_plane(frame: av.VideoFrame) -> bool:
    """Whether :func:`luma_from_plane` serves this frame."""
    # Pictures stored bottom row first have a negative line size; the converter knows how to read those.
    return frame.format.name in _LUMA_FIRST and frame.planes[0].line_size >= frame.width


def luma_from_plane(frame: av.VideoFrame) -> Luma:
    """Full-range grey ``(H, W)`` uint8 from the first plane; only right where :func:`has_luma_plane` says so."""
    plane = frame.planes[0]
    # Rows are padded to line_size bytes for the decoder's vector instructions; the padding is no picture.
    stored = np.asarray(plane, dtype=np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    if _is_full_range(frame):
        return stored.copy()
    return np.asarray(cv2.LUT(stored, _FULL_FROM_LIMITED), dtype=np.uint8)


def luma_from_converter(frame: av.VideoFrame) -> Luma:
    """Full-range grey ``(H, W)`` uint8 through FFmpeg's converter; right for every pixel format."""
    # One thread: a pool of them costs more than it brings at these sizes, and takes cores from the networks.
    grey = _converters.reformatter.reformat(frame, format="gray", dst_color_range=ColorRange.JPEG, threads=1)
    return np.array(grey.to_ndarray(), dtype=np.uint8)


def _is_full_range(frame: av.VideoFrame) -> bool:
    # The old "j" formats and plain grey are full range whatever the flag says; FFmpeg's converter reads them so, too.
    name = frame.format.name
    return name == "gray" or name.startswith("yuvj") or frame.color_range == ColorRange.JPEG

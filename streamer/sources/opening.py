"""One door for every kind of input."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from preprocess.errors import UsageError
from streamer.sources.device import Camera, device_path
from streamer.sources.naming import host_path, name_of, path_of, scheme_of, without_password
from streamer.sources.pictures import PictureFolder
from streamer.sources.recording import Recording
from streamer.sources.stream_options import LIVE_SCHEMES

if TYPE_CHECKING:
    from pathlib import Path

    from streamer.frames import Source

SUPPORTED = "a video file, a folder of numbered pictures (tif, png, jpg, bmp) or a camera device (device:0)"
"""What messages offer instead of an input that is none."""


def open_source(uri: str | Path, *, name: str | None = None, frame_rate: Fraction | float | None = None) -> Source:
    """Open an input; close it with ``close()`` or by a ``with`` statement.

    Args:
        uri: a path or ``file://`` address of a recording, a folder of numbered pictures, or a camera device
            (``/dev/video0``, ``device:0``).
        name: id and output name; by default that of the file or folder.
        frame_rate: pictures per second, positive. Needed where pictures have no times of their own: folders (default
            10) and raw H.264 (default: what the stream says). A camera device is asked for it. Files with times keep
            their own.

    Raises:
        InputError: the input is missing, cannot be read, or shows nothing; one line says which, why and what to try.
        UsageError: the address is of a kind that is not supported, or the frame rate is not positive.
    """
    text = str(uri)
    shown = without_password(text)
    rate = _rate(frame_rate)
    device = device_path(text)
    name = name or source_name(uri)
    if device is not None:
        return Camera(device, uri=shown, name=name, frame_rate=rate)
    scheme = scheme_of(text)
    if scheme not in {None, "file"}:
        kind = "cameras are watched live and" if scheme in LIVE_SCHEMES else "inputs are"
        raise UsageError(f"{shown}: {scheme}:// {kind} not supported here; give {SUPPORTED}")
    path = path_of(text)
    if path.is_dir():
        return PictureFolder(path, uri=shown, name=name, frame_rate=rate)
    return Recording(path, uri=shown, name=name, frame_rate=rate)


def source_name(uri: str | Path) -> str:
    """What an input will be called, without opening it: the name of its file, folder or device."""
    text = str(uri)
    device = device_path(text)
    if device is not None:
        return name_of(device)
    if scheme_of(text) not in {None, "file"}:
        return host_path(text)
    path = path_of(text)
    return name_of(path.resolve(), is_folder=True) if path.is_dir() else name_of(path)


def _rate(frame_rate: Fraction | float | None) -> Fraction | None:
    if frame_rate is None:
        return None
    try:
        rate = Fraction(frame_rate).limit_denominator(100_000)
    except (ValueError, OverflowError):
        rate = Fraction(0)
    if rate <= 0:
        raise UsageError(f"the frame rate must be a positive number of pictures per second, not {frame_rate}")
    return rate

"""``avid-watch info``: what a model, a source, a finished run or this machine is."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.text import Text

_MODEL_SUFFIX = ".avid"
_SUMMARY = "summary.json"
# What FFmpeg calls them; AV1 has a decoder of that name that needs special hardware, so the software one is asked for.
_DECODERS = {"h264": "h264", "hevc": "hevc", "av1": "libdav1d", "mpeg4": "mpeg4", "mjpeg": "mjpeg", "vp9": "vp9"}
_ENCODERS = {"h264": "libx264", "aac": "aac"}
_PACKAGES = ("av", "numpy", "opencv-python", "safetensors", "scipy", "torch", "torchvision")


def describe(target: str | None) -> dict[str, Any]:
    """Say what ``target`` is, as plain JSON values.

    Args:
        target: a model file, the folder of a run, a source; None means this machine.

    Returns:
        A mapping whose ``kind`` is ``machine``, ``model``, ``run`` or ``source``.

    Raises:
        ModelError, InputError: it cannot be read.
    """
    if target is None:
        return _machine()
    path = Path(target).expanduser()
    if path.is_dir() and (path / _SUMMARY).is_file():
        return _run(path)
    if path.is_file() and _looks_like_a_model(path):
        from detectors.checkpoint import read_header  # noqa: PLC0415 - loads torch

        return {"kind": "model", "file": target, "bytes": path.stat().st_size, **read_header(path)}
    return _source(target)


def render_info(document: dict[str, Any]) -> Text:
    """Write what :func:`describe` found for a person."""
    from streamer.info_text import render  # noqa: PLC0415 - not needed with --json

    return render(document)


def _looks_like_a_model(path: Path) -> bool:
    """By its ending, or by the brace of a safetensors header behind its eight bytes of length."""
    if path.suffix == _MODEL_SUFFIX:
        return True
    try:
        with path.open("rb") as file:
            return file.read(9)[8:] == b"{"
    except OSError:
        return False


def _run(path: Path) -> dict[str, Any]:
    from streamer.console import events_of  # noqa: PLC0415 - only needed here
    from streamer.sinks.summary import read_summary  # noqa: PLC0415 - only needed here

    return {
        "kind": "run",
        "folder": str(path),
        "summary": read_summary(path / _SUMMARY),
        "events": events_of(path),
    }


def _source(target: str) -> dict[str, Any]:
    from streamer.sources import open_source  # noqa: PLC0415 - loads FFmpeg

    with open_source(target) as source:
        info = source.info
        return {
            "kind": "source",
            "source": info.uri,
            "name": info.name,
            "width": info.width,
            "height": info.height,
            "frame_rate": None if info.frame_rate is None else float(info.frame_rate),
            "frames": info.frames,
            "duration": None if info.duration is None else float(info.duration),
            "start": None if info.start is None else info.start.isoformat(),
            "codec": info.codec,
            "pixel_format": info.pixel_format,
            "rotation": info.rotation,
            "audio": info.has_audio,
            "pace": source.pace.value,
        }


def _machine() -> dict[str, Any]:
    import av  # noqa: PLC0415 - only needed here
    import torch  # noqa: PLC0415 - takes seconds to load

    from detectors.inference import choose_runtime  # noqa: PLC0415 - loads torch
    from detectors.threads import usable_cores  # noqa: PLC0415 - beside the above

    runtime = choose_runtime()
    gpus = [
        {
            "name": torch.cuda.get_device_name(number),
            "bytes": torch.cuda.get_device_properties(number).total_memory,
        }
        for number in range(torch.cuda.device_count())
    ]
    return {
        "kind": "machine",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "cores": usable_cores(),
        "cores_in_machine": os.cpu_count(),
        "device": runtime.device.type,
        "precision": str(runtime.precision).removeprefix("torch."),
        "gpus": gpus,
        "ffmpeg": getattr(av, "ffmpeg_version_info", None),
        "decoders": {name: _has_codec(codec, "r") for name, codec in _DECODERS.items()},
        "encoders": {name: _has_codec(codec, "w") for name, codec in _ENCODERS.items()},
        "versions": {"avid-watch": _version("avid-watch"), "python": platform.python_version()}
        | {name: _version(name) for name in _PACKAGES},
    }


def _has_codec(name: str, mode: Literal["r", "w"]) -> bool:
    import av.codec  # noqa: PLC0415 - loads FFmpeg

    try:
        av.codec.Codec(name, mode)
    except ValueError:
        return False
    return True


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

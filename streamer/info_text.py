"""What ``avid-watch info`` prints for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamer.page import GOOD, WARN, Page, count, roughly
from streamer.summary_text import render_summary

if TYPE_CHECKING:
    from rich.text import Text

_DEEPEST = 3
_LONGEST_LIST = 8
_MEGABYTE = 1e6
_GIBIBYTE = 2**30


def render(document: Mapping[str, Any]) -> Text:
    """Write the document of :func:`streamer.info.describe`."""
    kind = document["kind"]
    if kind == "run":
        return render_summary(document["summary"], document["events"], Path(document["folder"]))
    page = Page()
    {"machine": _machine, "model": _model, "source": _source}[kind](page, document)
    return page.text


def _machine(page: Page, facts: Mapping[str, Any]) -> None:
    versions: Mapping[str, str | None] = facts["versions"]
    page.title(f"avid-watch {versions['avid-watch'] or '(not installed)'} on this machine")
    page.line("system", facts["system"])
    cores, all_cores = facts["cores"], facts["cores_in_machine"]
    page.line("CPU", count(cores, "core") + (f" of {all_cores}" if all_cores and all_cores != cores else ""))
    gpus = [f"{gpu['name']}, {gpu['bytes'] / _GIBIBYTE:.0f} GiB" for gpu in facts["gpus"]]
    page.line("GPU", "\n".join(gpus) or "none that torch can use")
    page.line("networks", f"run on {facts['device']} in {facts['precision']}")
    page.line("FFmpeg", facts["ffmpeg"] or "version unknown")
    page.line("decodes", *_present(facts["decoders"]))
    page.line("encodes", *_present(facts["encoders"]))
    shown = [f"{name} {version}" for name, version in versions.items() if version and name != "avid-watch"]
    page.line("versions", ", ".join(shown))


def _present(found: Mapping[str, bool]) -> tuple[str, str]:
    there = ", ".join(name for name, present in found.items() if present) or "nothing"
    missing = ", ".join(name for name, present in found.items() if not present)
    return (f"{there}; not {missing}", WARN) if missing else (there, GOOD)


def _source(page: Page, facts: Mapping[str, Any]) -> None:
    page.title(facts["source"])
    rotation = f", turned by {facts['rotation']} degrees" if facts["rotation"] else ""
    page.line("picture", f"{facts['width']}x{facts['height']}{rotation}")
    page.line("coding", f"{facts['codec']}, {facts['pixel_format']}")
    rate = facts["frame_rate"]
    page.line("rate", f"{rate:.5g} fps" if rate else "not stated")
    duration, frames = facts["duration"], facts["frames"]
    if facts["pace"] == "latest":
        page.line("length", "live")
    else:
        length = roughly(duration) if duration is not None else "not stated"
        page.line("length", f"{length}, {count(frames, 'frame')}" if frames is not None else length)
    page.line("begins", facts["start"])
    page.line("audio", "yes" if facts["audio"] else "no")


def _model(page: Page, facts: Mapping[str, Any]) -> None:
    page.title(f"{facts['file']}  ({facts['bytes'] / _MEGABYTE:.1f} MB)")
    page.line("detector", facts["detector"])
    names = {
        "detector_settings": "settings",
        "preprocessing": "pictures",
        "calibration": "threshold",
        "trained_on": "normal",
        "training": "training",
        "versions": "versions",
    }
    for part, label in names.items():
        page.line(label, "\n".join(_lines(facts.get(part) or {})) or "-")


def _lines(value: Mapping[str, Any], depth: int = 0) -> list[str]:
    """Names and values, one a line; long lists and deep trees are named, not poured out."""
    lines = []
    for name, item in value.items():
        indent = "  " * depth
        words = str(name).replace("_", " ")
        if isinstance(item, Mapping) and item and depth < _DEEPEST:
            lines += [f"{indent}{words}", *_lines(item, depth + 1)]
        else:
            lines.append(f"{indent}{words}: {_short(item)}")
    return lines


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return count(len(value), "value")
    if isinstance(value, Sequence) and not isinstance(value, str):
        plain = not any(isinstance(item, Mapping | list) for item in value)
        return ", ".join(map(_short, value)) if plain and len(value) <= _LONGEST_LIST else count(len(value), "value")
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)

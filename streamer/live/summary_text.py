"""What a person reads of a live camera at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def render_live(summary: Mapping[str, object], folder: Path | None) -> str:
    """A camera in a few lines.

    Args:
        summary: as the run tells it.
        folder: the camera's own.
    """
    skipped = ", ".join(f"{summary[key]} {key.replace('_', ' ')}" for key in ("dropped", "corrupt", "decode_errors"))
    lines = [
        f"{summary['name']}  ({summary['source']})",
        f"  watched   {summary['scored']:,} of {summary['frames']:,} frames; {summary['reconnects']} reconnects",
        f"  alarms    {summary['alarms'] or 'none'}",
        f"  skipped   {skipped}",
    ]
    if summary["gone"]:
        lines.append(f"  ended     {summary['gone']}")
    if folder is not None:
        lines.append(f"  folder    {folder}/")
    return "\n".join(lines)

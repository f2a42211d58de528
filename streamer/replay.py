"""The pictures of a finished run, read once more from its source: for new snapshots and a new annotated video."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Self

from preprocess.errors import AvidWatchError, InputError
from streamer.frames import Pace
from streamer.sources import open_source
from streamer.sources.device import device_path
from streamer.sources.naming import path_of, scheme_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from streamer.frames import Frame, Source, SourceInfo
    from streamer.sinks.score_table import ScoreRow

_SAME_TIME = Fraction(1, 1_000_000)
"""Seconds; the table of scores keeps times to the nanosecond."""


def source_of(summary: Mapping[str, Any], run: Path) -> Replay | None:
    """Open what a run watched, where it still lies: relative to the working directory or beside the run.

    Args:
        summary: the content of its ``summary.json``.
        run: its folder.

    Returns:
        None where the source is gone, cannot be read, or was a live one.
    """
    uri = str(summary["source"]["uri"])
    if device_path(uri) is not None or scheme_of(uri) not in {None, "file"}:
        return None
    rate = summary.get("settings", {}).get("frame-rate")
    for path in (path_of(uri), run.parent / path_of(uri)):
        if not path.exists():
            continue
        try:
            source = open_source(path, name=str(summary["name"]), frame_rate=rate)
        except AvidWatchError:
            continue
        known = summary["source"]
        same = (source.info.width, source.info.height) == (known["width"], known["height"])
        if same and source.pace is Pace.EVERY_FRAME:
            return Replay(source, path)
        source.close()
    return None


class Replay:
    """Frames of a recording by their number, asked for in order. Usable as a context manager.

    Attributes:
        path: where the recording lies.
    """

    def __init__(self, source: Source, path: Path) -> None:
        """Take over an opened source."""
        self.path = path
        self._source = source
        self._frames = source.frames()

    @property
    def info(self) -> SourceInfo:
        """Of the source."""
        return self._source.info

    def at(self, row: ScoreRow) -> Frame:
        """The frame a row of ``scores.csv`` is about; rows are asked for in order.

        Raises:
            InputError: the recording is not the one that was watched.
        """
        for frame in self._frames:
            if frame.index < row.index:
                continue
            if frame.index > row.index or abs(frame.pts - row.pts) > _SAME_TIME:
                break
            return frame
        raise InputError(
            f"{self.info.uri}: is not the recording this run has watched (frame {row.index} differs); "
            "put that one in its place, or leave --video out"
        )

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

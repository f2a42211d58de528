"""Recordings as footage to learn from: sound pictures only, readable again and again, several files as one."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from preprocess.errors import UsageError
from preprocess.pictures import Picture
from streamer.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

_FALLBACK_STEP = Fraction(1, 25)


class RecordedFootage:
    """Pictures of one or more recordings; implements :class:`preprocess.pictures.Footage`.

    Every reading opens the recordings anew and closes them when it ends or is closed.
    """

    def __init__(
        self,
        uris: Sequence[str | Path],
        *,
        until: Fraction | None = None,
        name: str | None = None,
        frame_rate: Fraction | None = None,
    ) -> None:
        """Name the recordings; nothing is opened yet.

        Args:
            uris: at least one recording or folder of pictures, in the order to read them.
            until: read only the first so many seconds, counted from the first picture (all recordings together).
            name: what to call the footage in messages and summaries; by default the recordings' own names.
            frame_rate: pictures per second for folders and streams without times.

        Raises:
            UsageError: there is no recording, or ``until`` is not positive.
        """
        if not uris:
            raise UsageError("no footage to learn from; name at least one recording")
        if until is not None and until <= 0:
            raise UsageError(f"the part to learn from must be longer than 0 s, not {float(until):g} s")
        self._uris = tuple(uris)
        self._until = until
        self._frame_rate = frame_rate
        self.name = name if name is not None else ", ".join(str(uri) for uri in uris)

    def pictures(self) -> Generator[Picture, None, None]:
        """Read from the start, in order; damaged pictures are left out, and the next one is of another segment.

        With one recording the times are its own. Every further one follows a frame period behind the one before, in
        segments of its own.

        Raises:
            InputError: a recording cannot be read.
        """
        first: Fraction | None = None
        latest: Picture | None = None
        for uri in self._uris:
            shift: Fraction | None = None
            first_segment = 0 if latest is None else latest.segment + 1
            with open_source(uri, frame_rate=self._frame_rate) as source:
                step = 1 / source.info.frame_rate if source.info.frame_rate else _FALLBACK_STEP
                for frame in source.frames():
                    if shift is None:
                        shift = Fraction(0) if latest is None else latest.pts + step - frame.pts
                    pts = frame.pts + shift
                    if first is None:
                        first = pts
                    if self._until is not None and pts - first >= self._until:
                        return
                    if not frame.corrupt:
                        latest = Picture(frame.luma, pts, first_segment + frame.segment)
                        yield latest

"""Interlaced pictures made whole: two half pictures 20 ms apart would comb every moving edge.

Combing looks like fine texture that comes and goes with motion, which is what a detector takes for irregular.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError
from av.filter import Graph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamer.sources.decoding import Decoded

_FILTER = ("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
"""One picture out for one in; pictures not flagged as interlaced pass untouched."""


def deinterlaced(pictures: Iterator[Decoded]) -> Iterator[Decoded]:
    """Pass pictures on, in order and in the same number; from the first interlaced one on they go through a filter.

    Times, damage and turns stay those of the picture that went in: the filter's own times are not used. Progressive
    recordings never meet the filter, and pictures of a format it does not take stay as they are.
    """
    filtering: _Filtering | None = None
    refused: tuple[int, int, str] | None = None
    for picture in pictures:
        if filtering is not None and not filtering.fits(picture):
            yield from filtering.rest()
            filtering = None
        if filtering is None and picture.frame.interlaced_frame and _layout_of(picture) != refused:
            try:
                filtering = _Filtering(picture)
            except (FFmpegError, ValueError):
                refused = _layout_of(picture)
        if filtering is None:
            yield picture
        else:
            yield from filtering.through(picture)
    if filtering is not None:
        yield from filtering.rest()


class _Filtering:
    """One filter graph, for pictures of one size and format."""

    def __init__(self, first: Decoded) -> None:
        self._layout = _layout_of(first)
        self._waiting: deque[Decoded] = deque()
        self._pushed = 0
        graph = Graph()
        source = graph.add_buffer(
            width=first.frame.width,
            height=first.frame.height,
            format=first.frame.format,
            time_base=first.frame.time_base,
        )
        bwdif = graph.add(*_FILTER)
        sink = graph.add("buffersink")
        source.link_to(bwdif)
        bwdif.link_to(sink)
        graph.configure()
        self._graph = graph

    def fits(self, picture: Decoded) -> bool:
        return _layout_of(picture) == self._layout

    def through(self, picture: Decoded) -> Iterator[Decoded]:
        self._waiting.append(picture)
        frame = picture.frame
        given = frame.pts
        # The filter needs times that go on; the container's may not, so it gets a plain count.
        frame.pts = self._pushed
        self._pushed += 1
        self._graph.vpush(frame)
        frame.pts = given
        yield from self._ready()

    def rest(self) -> Iterator[Decoded]:
        """What the filter still holds (it looks one picture ahead)."""
        self._graph.vpush(None)
        yield from self._ready()
        # A picture the filter kept to itself is passed on as it was: none may be lost.
        while self._waiting:
            yield self._waiting.popleft()

    def _ready(self) -> Iterator[Decoded]:
        while self._waiting:
            try:
                frame = self._graph.vpull()
            except (EOFError, BlockingIOError, FFmpegError):
                return
            if isinstance(frame, av.VideoFrame):
                picture = self._waiting.popleft()
                frame.color_range = picture.frame.color_range
                yield replace(picture, frame=frame)


def _layout_of(picture: Decoded) -> tuple[int, int, str]:
    return picture.frame.width, picture.frame.height, picture.frame.format.name

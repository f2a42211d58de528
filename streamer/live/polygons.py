"""Polygons of relative corners: whether one is simple, and what part of a raster it covers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Corner = tuple[float, float]
SMALLEST_AREA = 1e-6
"""Share of the picture; about a pixel of 1280 x 720. A polygon below it is a line."""


def why_not_simple(corners: Sequence[Corner]) -> str | None:
    """Say why a ring of corners encloses no single area, in words that follow "the polygon"; None where it does."""
    count = len(corners)
    if len(set(corners)) < count:
        return "names a corner twice: leave one out (the last one is joined to the first by itself)"
    if all(abs(_turn(corners[0], corners[1], corner)) < SMALLEST_AREA for corner in corners):
        return "encloses no area: its corners lie on a line"
    for first in range(count):
        for second in range(first + 1, count):
            a, b = corners[first], corners[(first + 1) % count]
            c, d = corners[second], corners[(second + 1) % count]
            neighbours = second == first + 1 or (first == 0 and second == count - 1)
            if _overlap(a, b, c, d) if neighbours else _meet(a, b, c, d):
                return f"crosses itself: side {first + 1} meets side {second + 1}; list the corners in order around it"
    return None if abs(area_of(corners)) >= SMALLEST_AREA else "encloses no area that could be seen: make it larger"


def area_of(corners: Sequence[Corner]) -> float:
    """Signed area by the shoelace formula; its sign is the sense the corners go round."""
    following = [*corners[1:], corners[0]]
    return 0.5 * sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, following, strict=True))


def _turn(a: Corner, b: Corner, c: Corner) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _within(a: Corner, b: Corner, point: Corner) -> bool:
    return min(a[0], b[0]) <= point[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= point[1] <= max(a[1], b[1])


def _meet(a: Corner, b: Corner, c: Corner, d: Corner) -> bool:
    """Whether two sides have a point in common."""
    turns = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    touching = ((turns[0], a, b, c), (turns[1], a, b, d), (turns[2], c, d, a), (turns[3], c, d, b))
    return any(turn == 0 and _within(start, end, point) for turn, start, end, point in touching)


def _overlap(a: Corner, b: Corner, c: Corner, d: Corner) -> bool:
    """Whether two neighbouring sides share more than their corner: one turns back along the other."""
    shared, other, further = (b, a, d) if b == c else (a, b, c)
    if _turn(shared, other, further) != 0:
        return False
    return (other[0] - shared[0]) * (further[0] - shared[0]) + (other[1] - shared[1]) * (further[1] - shared[1]) > 0

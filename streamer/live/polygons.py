"""Polygons of relative corners: whether one is simple, and what part of a raster it covers."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

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


def covered_shares(
    corners: Sequence[Corner], column_edges: NDArray[np.float64], row_edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The share of every cell of a raster that a polygon covers, exactly: it is cut into columns, then into rows.

    Args:
        corners: of a simple polygon, ``(x, y)``.
        column_edges: ``(columns + 1,)`` growing borders between columns, in the corners' units.
        row_edges: ``(rows + 1,)`` the same for rows.

    Returns:
        ``(rows, columns)`` float64 in 0..1.
    """
    shares = np.zeros((len(row_edges) - 1, len(column_edges) - 1))
    for column, (left, right) in enumerate(pairwise(column_edges.tolist())):
        strip = _between(corners, left, right, axis=0)
        if len(strip) < 3 or right <= left:
            continue
        low, high = min(corner[1] for corner in strip), max(corner[1] for corner in strip)
        for row, (top, bottom) in enumerate(pairwise(row_edges.tolist())):
            if bottom <= low or top >= high or bottom <= top:
                continue
            piece = _between(strip, top, bottom, axis=1)
            if len(piece) >= 3:
                shares[row, column] = abs(area_of(piece)) / ((right - left) * (bottom - top))
    return np.clip(shares, 0.0, 1.0)


def _between(corners: Sequence[Corner], low: float, high: float, *, axis: int) -> list[Corner]:
    """Cut off what lies outside ``low .. high`` along an axis (Sutherland and Hodgman, 1974).

    A hollow polygon may come out with pieces joined along the border: they have no area, and add none.
    """
    kept = _beyond(corners, low, axis=axis, sign=1.0)
    return _beyond(kept, high, axis=axis, sign=-1.0)


def _beyond(corners: Sequence[Corner], border: float, *, axis: int, sign: float) -> list[Corner]:
    kept: list[Corner] = []
    for number, corner in enumerate(corners):
        before = corners[number - 1]
        inside = sign * (corner[axis] - border) >= 0
        if inside != (sign * (before[axis] - border) >= 0):
            share = (border - before[axis]) / (corner[axis] - before[axis])
            other = before[1 - axis] + share * (corner[1 - axis] - before[1 - axis])
            kept.append((border, other) if axis == 0 else (other, border))
        if inside:
            kept.append(corner)
    return kept

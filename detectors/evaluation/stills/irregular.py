"""Simulated irregular digits for D, made of normal ones alone and without knowing which digit is which.

A digit that was never shown is mostly strokes that were, put together in another way. So parts of two digits that fit
where they meet are joined (CutMix, Yun et al., ICCV 2019, with the seam looked for), strokes are taken away or added,
and digits are mirrored. Some of what comes out is a normal digit after all; that lowers D's confidence there, but not
the order of its judgements.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


SEAM_CANDIDATES: Final = 24
SEAM_KEPT: Final = 3
"""Of so many digits drawn, one of the few that fit best at the seam is joined to the first."""
_SEAM_WIDTH: Final = 2.0  # pixels
_SEAM_SOFT: Final = 0.5
_UNLIKE: Final = 0.15  # how much a different other half makes up for a seam that fits less
_LEAST_CHANGE: Final = 0.08  # share of the ink, below which a digit with a part taken away is taken as it was


def drawn(digits: torch.Tensor, count: int, random: torch.Generator) -> torch.Tensor:
    """``(count, size, size)`` normal digits, grey 0..1."""
    return digits[torch.randint(0, len(digits), (count,), generator=random)].float() / 255.0


def joined(digits: torch.Tensor, count: int, random: torch.Generator) -> torch.Tensor:
    """Two digits along a straight seam in any direction, where their strokes meet."""
    first = drawn(digits, count, random)
    side = sides(count, first.shape[-1], random, offset=4.0)
    others = drawn(digits, count * SEAM_CANDIDATES, random).view(count, SEAM_CANDIDATES, *first.shape[1:])
    difference = (first[:, None] - others).square()
    seam = (torch.exp(-((side / _SEAM_WIDTH) ** 2))[:, None] * difference).sum((2, 3))
    unlike = ((side < 0)[:, None] * difference).sum((2, 3))
    fitting = (seam - _UNLIKE * unlike).topk(SEAM_KEPT, largest=False, dim=1).indices
    chosen = fitting[torch.arange(count), torch.randint(0, SEAM_KEPT, (count,), generator=random)]
    share = torch.sigmoid(side / _SEAM_SOFT)
    return first * share + others[torch.arange(count), chosen] * (1 - share)


def shortened(digits: torch.Tensor, count: int, random: torch.Generator) -> torch.Tensor:
    """A digit with the strokes within an ellipse taken away; where there were none, two digits joined."""
    whole = drawn(digits, count, random)
    size = whole.shape[-1]
    centre = _between(random, (count, 2, 1, 1), -0.29 * size, 0.29 * size)
    radius = _between(random, (count, 2, 1, 1), 0.1 * size, 0.29 * size)
    turn = _between(random, (count, 1, 1), 0.0, math.pi)
    y, x = _places(size)
    from_x, from_y = x - centre[:, 0], y - centre[:, 1]
    along, beside = from_x * turn.cos() + from_y * turn.sin(), from_y * turn.cos() - from_x * turn.sin()
    inside = (along / radius[:, 0]) ** 2 + (beside / radius[:, 1]) ** 2
    left = whole * torch.sigmoid(4 * (inside - 1))
    taken = (whole - left).sum((1, 2)) / whole.sum((1, 2)).clamp(min=1e-3)
    unchanged = taken < _LEAST_CHANGE
    if unchanged.any():
        left[unchanged] = joined(digits, int(unchanged.sum()), random)
    return left


def lengthened(digits: torch.Tensor, count: int, random: torch.Generator) -> torch.Tensor:
    """A digit with the strokes that another has within a circle."""
    whole, other = drawn(digits, count, random), drawn(digits, count, random)
    size = whole.shape[-1]
    centre = _between(random, (count, 2, 1, 1), -0.25 * size, 0.25 * size)
    radius = _between(random, (count, 1, 1), 0.1 * size, 0.25 * size)
    y, x = _places(size)
    inside = ((x - centre[:, 0]) ** 2 + (y - centre[:, 1]) ** 2) / radius**2
    return torch.maximum(whole, other * torch.sigmoid(4 * (1 - inside)))


def mirrored(digits: torch.Tensor, count: int, random: torch.Generator) -> torch.Tensor:
    """A digit upside down, left to right, or turned by a right angle."""
    whole = drawn(digits, count, random)
    which = torch.randint(0, 3, (count, 1, 1), generator=random)
    turned = whole.flip(1).transpose(1, 2)
    return torch.where(which == 0, whole.flip(1), torch.where(which == 1, whole.flip(2), turned))


KINDS: Final[Mapping[str, tuple[float, Callable[[torch.Tensor, int, torch.Generator], torch.Tensor]]]] = {
    "joined": (0.5, joined),
    "shortened": (0.25, shortened),
    "lengthened": (0.15, lengthened),
    "mirrored": (0.1, mirrored),
}
"""Every kind with its share. Joined and shortened digits come closest to a digit of its own, so they are most."""


def irregular(digits: torch.Tensor, count: int, random: torch.Generator) -> torch.Tensor:
    """``(count, size, size)`` irregular digits of all kinds, grey 0..1."""
    counts = {name: round(count * share) for name, (share, _) in KINDS.items()}
    counts["joined"] += count - sum(counts.values())
    return torch.cat([KINDS[name][1](digits, number, random) for name, number in counts.items() if number > 0])


def warped(cells: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Turned up to 6 degrees, enlarged and sheared up to 8 %, moved half a pixel: regular variation, for both kinds."""
    count, size = len(cells), cells.shape[-1]
    turn = _between(random, (count,), -0.105, 0.105)
    scale = 1 + _between(random, (count, 2), -0.08, 0.08)
    shear = _between(random, (count,), -0.08, 0.08)
    move = _between(random, (count, 2), -0.04, 0.04)
    across = torch.stack([scale[:, 0] * turn.cos(), shear - turn.sin(), move[:, 0]], dim=1)
    down = torch.stack([turn.sin(), scale[:, 1] * turn.cos(), move[:, 1]], dim=1)
    grid = functional.affine_grid(torch.stack([across, down], dim=1), [count, 1, size, size], align_corners=False)
    return functional.grid_sample(cells[:, None], grid, align_corners=False)[:, 0]


def sides(count: int, size: int, random: torch.Generator, *, offset: float) -> torch.Tensor:
    """Signed distance in pixels ``(count, size, size)`` from straight lines within ``offset`` of the middle."""
    direction = _between(random, (count, 1, 1), 0.0, 2 * math.pi)
    y, x = _places(size)
    return x * direction.cos() + y * direction.sin() - _between(random, (count, 1, 1), -offset, offset)


def _places(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    place = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    return place[:, None], place[None, :]


def _between(random: torch.Generator, shape: tuple[int, ...], low: float, high: float) -> torch.Tensor:
    return low + (high - low) * torch.rand(shape, generator=random)

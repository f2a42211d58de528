"""Simulated irregularities: normal pictures of the scene itself, made to move as nothing there moves.

A pasted patch carries content of another normal crop (or a still piece of it) inside a soft mask. Content and mask may
be enlarged, reduced, taken at a multiple of the frame spacing (faster), and moved along as a whole (a cyclist, a
thrown object, a cart). Normal content pasted without any change is drawn too and stays labelled normal, so that D
cannot learn the seams of pasting.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from detectors.bank import FASTER_MULTIPLES, WindowBank, draw_crops
from preprocess.pictures import GREY_LEVELS_PER_UNIT
from preprocess.temporal import PICTURES_PER_WINDOW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from preprocess.geometry import CellGrid

IGNORED = -1.0  # cells whose truth is not known: half covered, or covered without any motion
TOUCHED = 0.02  # share of a cell from which its truth is no longer plainly normal
LARGEST_PATCH = 4.0  # radius of the largest patch, widths of a body's core: a cart beside a person
COVERED = 0.35  # share of a cell the patch must cover to count
MATTE_GREY_LEVELS = 12.0  # difference from the background at which a silhouette begins
MOVING_GREY_LEVELS = 3.0  # mean absolute difference within a cell from which it counts as moving


class Kind(IntEnum):
    """Ways in which a patch is irregular."""

    NORMAL_PASTE = 0
    FASTER = 1
    BIGGER = 2
    FASTER_AND_BIGGER = 3
    CARRIED = 4  # moving content that is carried along as a whole: skater, cyclist, runner
    RIGID = 5  # a still piece of the scene that moves as a whole: cart, thrown object
    SMALL_FAST = 6  # a small rigid piece, very fast


IRREGULAR: tuple[Kind, ...] = tuple(Kind)[1:]
"""All kinds that are irregular."""


@dataclass(frozen=True, slots=True)
class SceneScale:
    """How large and how fast normal things are at working resolution.

    Attributes:
        body: width of a typical moving body, pixels.
        step: displacement of a fast normal body between neighbouring pictures of a window, pixels (90th percentile).
    """

    body: float
    step: float


@dataclass(frozen=True, slots=True)
class SimulatedBatch:
    """Crops with their truth.

    Attributes:
        pictures: ``(B, 6, S, S)`` float32 grey levels, newest first.
        covered: ``(B, 1, S, S)`` float32 in 0..1: how much of the patch's mask lay here in any of the six pictures;
            zero for crops that hold nothing irregular.
        kinds: ``(B,)`` kind per crop; -1 where nothing was pasted.
    """

    pictures: torch.Tensor
    covered: torch.Tensor
    kinds: NDArray[np.int64]

    def differences(self) -> torch.Tensor:
        """The three signed differences ``(B, 3, S, S)`` in network input units."""
        return (self.pictures[:, 0::2] - self.pictures[:, 1::2]) / GREY_LEVELS_PER_UNIT

    def labels(self, grid: CellGrid) -> torch.Tensor:
        """Truth per cell ``(B, h, w)``: 1 irregular, 0 normal, -1 not known.

        Args:
            grid: where D's cells lie in a crop; a cell is judged by the square of one stride around its centre.
        """
        cover = _around_cells(self.covered, grid)
        moving = _around_cells((self.pictures[:, 0::2] - self.pictures[:, 1::2]).abs().mean(1, keepdim=True), grid)
        irregular = (cover > COVERED) & (moving > MOVING_GREY_LEVELS)
        labels = torch.where(cover > TOUCHED, torch.full_like(cover, IGNORED), torch.zeros_like(cover))
        return torch.where(irregular, torch.ones_like(cover), labels)


def _around_cells(plane: torch.Tensor, grid: CellGrid) -> torch.Tensor:
    """Mean of ``(B, 1, S, S)`` over the square of one stride around each cell's centre, ``(B, rows, columns)``."""
    side = round(grid.stride)
    before = max(0, round(side / 2 - grid.offset))
    start = max(0, round(grid.offset - side / 2))
    size = plane.shape[-1]
    after = max(0, start + grid.rows * side - before - size)
    padded = functional.pad(plane[..., start:, start:], (before, after, before, after), mode="replicate")
    return functional.avg_pool2d(padded, side)[:, 0, : grid.rows, : grid.columns]


def simulate(
    bank: WindowBank,
    scale: SceneScale,
    count: int,
    size: int,
    random: np.random.Generator,
    *,
    irregular_share: float = 0.5,
    kinds: tuple[Kind, ...] = IRREGULAR,
) -> SimulatedBatch:
    """Draw normal crops and make part of them irregular.

    Args:
        bank: normal windows of the scene.
        scale: size and speed of what is normal, for the patches' size and speed.
        count: number of crops B.
        size: side S of a crop, pixels.
        random: source of all draws.
        irregular_share: share of crops that get an irregular patch; as many again of the rest, by a fifth, get a
            normal one.
        kinds: the kinds to draw from (leave one out to test on it).
    """
    base = torch.from_numpy(draw_crops(bank, count, size, random)[0]).float()
    chosen = np.full(count, -1, np.int64)
    draws = random.random(count)
    chosen[draws < irregular_share] = random.choice(
        [int(kind) for kind in kinds], size=int((draws < irregular_share).sum())
    )
    chosen[(draws >= irregular_share) & (draws < irregular_share * 1.3)] = int(Kind.NORMAL_PASTE)
    pasted = np.flatnonzero(chosen >= 0)
    covered = torch.zeros(count, 1, size, size)
    if len(pasted) == 0:
        return SimulatedBatch(base, covered, chosen)
    donors, mattes = _donors(bank, chosen[pasted], size, random)
    plan = _plan(chosen[pasted], scale, size, random)
    content, masks = _move(donors, mattes, plan, size)
    target = base[pasted]
    base[pasted] = target * (1 - masks) + content * masks
    irregular = torch.from_numpy((chosen[pasted] != Kind.NORMAL_PASTE).astype(np.float32))[:, None, None, None]
    covered[pasted] = masks.amax(1, keepdim=True) * irregular
    return SimulatedBatch(base, covered, chosen)


def _donors(
    bank: WindowBank, kinds: NDArray[np.int64], size: int, random: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Six-picture content per patch and its matte, both ``(K, 6, S, S)``; faster kinds come from a larger spacing.

    The matte is 1 everywhere for some patches and cuts out what differs from the background for the others, so that
    silhouettes, and not only whole patches, are seen moving.
    """
    donors = np.empty((len(kinds), PICTURES_PER_WINDOW, size, size), np.uint8)
    behind = np.empty((len(kinds), size, size), np.float32)
    usable = [multiple for multiple in FASTER_MULTIPLES if len(bank.tables[multiple])]
    faster = np.isin(kinds, (Kind.FASTER, Kind.FASTER_AND_BIGGER))
    multiples = np.where(faster & bool(usable), random.choice(usable or [1], size=len(kinds)), 1)
    for multiple in np.unique(multiples):
        rows = np.flatnonzero(multiples == multiple)
        donors[rows], behind[rows] = draw_crops(
            bank, len(rows), size, random, multiple=int(multiple), moving_share=0.9, jitter=0.06
        )
    still = np.isin(kinds, (Kind.RIGID, Kind.SMALL_FAST))
    donors[still] = donors[still][:, :1]
    content = torch.from_numpy(donors).float()
    mattes = ((content - torch.from_numpy(behind)[:, None]).abs() - MATTE_GREY_LEVELS) / MATTE_GREY_LEVELS
    mattes = functional.avg_pool2d(functional.max_pool2d(mattes.clamp(0, 1), 3, 1, 1), 3, 1, 1)
    whole = random.random(len(kinds)) < np.where(kinds == Kind.CARRIED, 0.25, 0.5)
    whole |= kinds == Kind.SMALL_FAST
    mattes[torch.from_numpy(whole)] = 1.0
    return content, mattes


@dataclass(frozen=True, slots=True)
class _Plan:
    """Placement of each patch; all ``(K,)`` unless said otherwise, pixels."""

    radius_x: NDArray[np.float64]
    radius_y: NDArray[np.float64]
    angle: NDArray[np.float64]
    power: NDArray[np.float64]  # 2: ellipse, larger: towards a rectangle
    centre: NDArray[np.float64]  # (K, 2) y, x
    velocity: NDArray[np.float64]  # (K, 2) per picture step, newest position = centre
    zoom: NDArray[np.float64]
    gain: NDArray[np.float64]
    lift: NDArray[np.float64]


def _plan(kinds: NDArray[np.int64], scale: SceneScale, size: int, random: np.random.Generator) -> _Plan:
    count = len(kinds)
    body = float(np.clip(scale.body, 4, size / 5))
    radius = np.minimum(body * np.exp(random.uniform(np.log(0.7), np.log(LARGEST_PATCH), count)), size / 3)
    small = kinds == Kind.SMALL_FAST
    radius[small] = body * np.exp(random.uniform(np.log(0.2), np.log(0.6), int(small.sum())))
    aspect = np.exp(random.uniform(np.log(0.5), np.log(1.6), count))
    bigger = np.isin(kinds, (Kind.BIGGER, Kind.FASTER_AND_BIGGER))
    zoom = np.where(bigger, random.uniform(1.6, 2.8, count), 1.0)
    carried = kinds == Kind.CARRIED
    zoom = np.where(carried, np.exp(random.uniform(-0.2, 0.5, count)), zoom)
    radius = np.where(bigger, np.maximum(radius, body * 1.2), radius)
    slowest = max(scale.step, 0.6)
    speed = slowest * np.exp(random.uniform(np.log(1.5), np.log(4.5), count))
    speed[small] *= 1.6
    speed = np.minimum(speed, 0.12 * size)
    moving = np.isin(kinds, (Kind.CARRIED, Kind.RIGID, Kind.SMALL_FAST))
    direction = random.normal(0, 0.45, count) + np.where(random.random(count) < 0.5, 0, np.pi)  # mostly sideways
    free = random.random(count) < 0.35
    direction[free] = random.uniform(0, 2 * np.pi, int(free.sum()))
    velocity = np.where(moving, speed, 0)[:, None] * np.stack([np.sin(direction), np.cos(direction)], 1)
    still = np.isin(kinds, (Kind.RIGID, Kind.SMALL_FAST))
    return _Plan(
        radius_x=radius * np.sqrt(aspect),
        radius_y=radius / np.sqrt(aspect),
        angle=random.uniform(-0.4, 0.4, count),
        power=np.where(random.random(count) < 0.3, random.uniform(4, 8, count), 2.0),
        centre=random.uniform(0.15, 0.85, (count, 2)) * size,
        velocity=velocity,
        zoom=zoom,
        gain=np.where(still, random.uniform(0.6, 1.5, count), 1.0),
        lift=np.where(still, random.normal(0, 45, count), 0.0),
    )


def _move(donors: torch.Tensor, mattes: torch.Tensor, plan: _Plan, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Content and mask of every patch in every picture, both ``(K, 6, S, S)``."""
    count = len(donors)
    steps = torch.arange(PICTURES_PER_WINDOW, dtype=torch.float32)
    centre = torch.from_numpy(plan.centre).float()
    velocity = torch.from_numpy(plan.velocity).float()
    places = centre[:, None] - velocity[:, None] * steps[None, :, None]  # (K, 6, 2); older pictures lie behind
    axis = torch.arange(size, dtype=torch.float32)
    dy = axis[None, None, :, None] - places[..., 0][..., None, None]  # (K, 6, S, 1)
    dx = axis[None, None, None, :] - places[..., 1][..., None, None]  # (K, 6, 1, S)

    def column(values: NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(values).float()[:, None, None, None]

    cos, sin = torch.cos(column(plan.angle)), torch.sin(column(plan.angle))
    along, across = cos * dx + sin * dy, cos * dy - sin * dx
    power = column(plan.power)
    radius_x, radius_y = column(plan.radius_x), column(plan.radius_y)
    distance = ((along / radius_x).abs() ** power + (across / radius_y).abs() ** power) ** (1 / power)
    edge = torch.minimum(radius_x, radius_y)
    masks = ((1 - distance) * edge / 1.5 + 0.5).clamp(0, 1)
    zoom = column(plan.zoom)
    half = size / 2
    sample_y = (dy / zoom).expand(-1, -1, size, size) + half
    sample_x = (dx / zoom).expand(-1, -1, size, size) + half
    grid = torch.stack([sample_x, sample_y], -1).add_(0.5).mul_(2 / size).sub_(1)
    both = functional.grid_sample(
        torch.stack([donors, mattes], 2).reshape(count * PICTURES_PER_WINDOW, 2, size, size),
        grid.reshape(count * PICTURES_PER_WINDOW, size, size, 2),
        padding_mode="reflection",
        align_corners=False,
    ).reshape(count, PICTURES_PER_WINDOW, 2, size, size)
    content, matte = both[:, :, 0], both[:, :, 1]
    masks = masks * matte
    mean = content.mean((1, 2, 3), keepdim=True)
    content = ((content - mean) * column(plan.gain) + mean + column(plan.lift)).clamp(0, 255)
    return content, masks


def augment(pictures: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Vary contrast (0.8-1.25 per crop) and add a little sensor noise (0-2 grey levels).

    Nothing is mirrored or moved here: the truth beside the pictures would no longer fit them.

    Args:
        pictures: ``(B, 6, S, S)`` grey levels.
        random: source of the draws.
    """
    count = len(pictures)
    gain = torch.from_numpy(np.exp(random.uniform(np.log(0.8), np.log(1.25), count))).float()[:, None, None, None]
    noise = torch.from_numpy(random.uniform(0, 2.0, count)).float()[:, None, None, None]
    seed = torch.Generator().manual_seed(int(random.integers(2**62)))
    return pictures * gain + torch.randn(pictures.shape, generator=seed) * noise

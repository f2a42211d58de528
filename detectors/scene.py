"""What belongs to the scene, not to the code: how large and fast normal things are, and so a window's size and spacing.

Measured on normal footage: body width from the silhouettes of moving things (the widest disc that fits in at each
place), speed from dense optical flow within them. An inpainter trained on differences inverts (faster motion adds
nothing, crowding does) once normal motion moves a limb by its own width between the two pictures of a difference; too
small a spacing drowns slow things in noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

from preprocess.pictures import Picture, WindowMode, WindowSettings
from preprocess.temporal import median_step, to_working_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ANALYSIS_WIDTH = 640  # pixels; larger pictures are shrunk to this before measuring
MOMENTS = 48  # pairs of pictures measured, spread over the footage
FLOW_STEP = Fraction(1, 10)  # seconds between the two pictures of a pair, or one frame where that is longer
MOST_PICTURES = 20_000  # that a scene is learned from: they are kept in memory
BODY_TARGET = 16.0  # working pixels a body should be wide: cells of 8 px then tell bodies apart
CORE_SHARE = 0.56  # of a body's width that its core takes: arms, clothes and shadows make silhouettes wider
STEP_TARGET = 0.14  # body widths a fast normal thing should move between the pictures of a difference
LARGEST_AREA = 110_000  # working pixels: what two CPU cores score in real time
SMALLEST_AREA = 20_000
LARGEST_ZOOM = 1.0  # enlarging adds no detail and blurs the edges differences are made of
LONGEST_SPACING = Fraction(1, 10)  # seconds; 5 * spacing is the blind start of every segment
SHORTEST_SPACING = Fraction(1, 30)  # seconds
SMALLEST_BODY = 3.0  # analysis pixels; anything thinner is noise
MOVED_SHARE = 0.1  # of a silhouette's pixels that must have changed for it to count as a moving thing
PERIOD_PICTURES = 400  # first pictures that the frame period is taken from
REPEATED = 0.25  # of a large change between two pictures, up to which the second only repeats the first
LEAST_SHOWN = 0.3  # of all pictures must show something new, or nothing is said of what is repeated
LEAST_PIXELS = 400  # moving pixels over all moments from which the measurement counts


@dataclass(frozen=True, slots=True)
class SceneMeasure:
    """How large and how fast normal things are, in source pixels.

    Attributes:
        body: width of a typical moving body, source pixels; None where too little moved.
        speed: speed of a typical moving pixel, source pixels per second; None where too little moved.
        fast_speed: 90th percentile of the same.
        width, height: source size, pixels.
        period: seconds between pictures that show something new: the frame period, unless pictures are repeated.
    """

    body: float | None
    speed: float | None
    fast_speed: float | None
    width: int
    height: int
    period: Fraction


def measure_scene(pictures: Sequence[Picture]) -> SceneMeasure:
    """Measure normal footage.

    Args:
        pictures: pictures of one source in order (a few hundred to a few thousand; 48 moments of them are looked at).
            They may already be shrunk: all figures are in pixels of these pictures.

    Raises:
        ValueError: there are not two pictures of one segment.
    """
    period = _period(pictures)
    height, width = pictures[0].luma.shape
    shrink = max(1.0, width / ANALYSIS_WIDTH)
    size = (round(width / shrink), round(height / shrink))
    spread = np.linspace(0, len(pictures) - 1, min(41, len(pictures))).round().astype(int)
    background = np.median([to_working_size(pictures[i].luma, *size) for i in spread], axis=0).astype(np.float32)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    lag = max(1, round(FLOW_STEP / median_step(_steps(pictures[:PERIOD_PICTURES]))))
    widths: list[NDArray[np.float64]] = []
    speeds: list[NDArray[np.float64]] = []
    for index in np.linspace(lag, len(pictures) - 1, MOMENTS).round().astype(int):
        newer, older = pictures[index], pictures[index - lag]
        if index < lag or newer.segment != older.segment or newer.luma.shape != older.luma.shape:
            continue
        seconds = float(newer.pts - older.pts)
        new, old = to_working_size(newer.luma, *size), to_working_size(older.luma, *size)
        silhouettes = _silhouettes(new, old, background)
        widths.append(_disc_widths(silhouettes))
        motion = np.linalg.norm(flow.calc(old, new, None), axis=2)  # type: ignore[call-overload]
        speeds.append(motion[silhouettes > 0].astype(np.float64) / seconds)
    all_widths = np.concatenate(widths) if widths else np.empty(0)
    all_speeds = np.concatenate(speeds) if speeds else np.empty(0)
    if len(all_speeds) < LEAST_PIXELS or len(all_widths) == 0 or not all_speeds.any():
        return SceneMeasure(None, None, None, width, height, period)
    moving = all_speeds[all_speeds > 0.25 * np.percentile(all_speeds, 75)]
    return SceneMeasure(
        body=float(np.median(all_widths)) * shrink,
        speed=float(np.median(moving)) * shrink,
        fast_speed=float(np.percentile(moving, 90)) * shrink,
        width=width,
        height=height,
        period=period,
    )


def choose_windows(
    measure: SceneMeasure, *, mode: WindowMode = "difference", largest_area: int = LARGEST_AREA
) -> WindowSettings:
    """Choose working resolution and spacing so that bodies and their steps have the sizes the networks know.

    Args:
        measure: of the scene.
        mode: channels of the window.
        largest_area: bound on working width x height, pixels.
    """
    area = measure.width * measure.height
    wanted = BODY_TARGET / measure.body if measure.body else 1.0
    zoom = float(np.clip(wanted, (SMALLEST_AREA / area) ** 0.5, (largest_area / area) ** 0.5))
    zoom = min(zoom, LARGEST_ZOOM)
    width, height = (max(16, 8 * min(round(side * zoom / 8), side // 8)) for side in (measure.width, measure.height))
    spacing = Fraction(1, 10)
    if measure.body and measure.fast_speed:
        spacing = Fraction(STEP_TARGET * measure.body / measure.fast_speed).limit_denominator(1000)
    spacing = min(max(spacing, SHORTEST_SPACING), LONGEST_SPACING)
    # A whole number of this camera's frame periods, rather one too few than one too many; at another rate the pictures
    # nearest in time serve.
    spacing = max(1, int(spacing / measure.period + Fraction(1, 4))) * measure.period
    return WindowSettings(spacing, width, height, mode)


def scale_at(measure: SceneMeasure, settings: WindowSettings) -> tuple[float, float]:
    """Width of a body's core and a fast step at working resolution, both in working pixels.

    Blurs and simulated irregularities go by these. Where nothing moved they are those of a scene at the targets.
    """
    zoom = (settings.width / measure.width * settings.height / measure.height) ** 0.5
    core = CORE_SHARE * (measure.body * zoom if measure.body else BODY_TARGET)
    step = measure.fast_speed * zoom * float(settings.spacing) if measure.fast_speed else STEP_TARGET * BODY_TARGET
    return core, step


def _period(pictures: Sequence[Picture]) -> Fraction:
    """Seconds between two pictures that show something new: some cameras store each of their pictures twice."""
    first = pictures[:PERIOD_PICTURES]
    steps = _steps(first)
    if not steps or median_step(steps) <= 0:
        raise ValueError("a scene is measured on at least two pictures of one segment")
    pairs = [(old, new) for old, new in pairwise(first) if new.segment == old.segment]
    changes = np.array([_change(old, new) for old, new in pairs])
    shown = _steps([new for (_, new), change in zip(pairs, changes, strict=True) if change > REPEATED * _high(changes)])
    return median_step(shown if len(shown) >= LEAST_SHOWN * len(pairs) else steps)


def _steps(pictures: Sequence[Picture]) -> list[Fraction]:
    """Seconds between neighbouring pictures of one segment."""
    return [new.pts - old.pts for old, new in pairwise(pictures) if new.segment == old.segment]


def _change(old: Picture, new: Picture) -> float:
    """Mean absolute difference of two pictures, grey levels; endless between two sizes."""
    if old.luma.shape != new.luma.shape:
        return float("inf")
    return float(cv2.absdiff(new.luma[::2, ::2], old.luma[::2, ::2]).mean())


def _high(changes: NDArray[np.float64]) -> float:
    known = changes[np.isfinite(changes)]
    return float(np.percentile(known, 90)) if len(known) else 0.0


def _silhouettes(new: NDArray[np.uint8], old: NDArray[np.uint8], background: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Mask of the moving things (255), ``(H, W)`` uint8: whole, though a plain body changes at its edges alone."""
    foreground = cv2.absdiff(cv2.GaussianBlur(new, (3, 3), 0).astype(np.float32), background)
    moving = cv2.GaussianBlur(cv2.absdiff(new, old), (3, 3), 0)
    noise = float(np.median(foreground)) * 1.4826
    mask = (foreground > max(14.0, 4 * noise)).astype(np.uint8)
    moved = moving > max(6.0, 4 * float(np.median(moving)))
    solid = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=4, ltype=cv2.CV_32S)
    changed = np.bincount(np.asarray(labels, np.intp).ravel(), weights=moved.ravel(), minlength=count)
    whole = changed >= MOVED_SHARE * np.asarray(stats)[:, cv2.CC_STAT_AREA]
    whole[0] = False  # the background
    return np.asarray(whole[np.asarray(labels, np.intp)], np.uint8) * np.uint8(255)


def _disc_widths(mask: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Diameters of the largest discs that fit into the mask, each repeated by its area (pixels)."""
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    ridge = (distance >= cv2.dilate(distance, np.ones((5, 5), np.uint8))) & (2 * distance >= SMALLEST_BODY)
    diameters = 2 * distance[ridge].astype(np.float64) - 1
    return np.repeat(diameters, np.maximum(1, ((diameters / SMALLEST_BODY) ** 2).round().astype(int)))

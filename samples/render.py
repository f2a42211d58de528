"""From a planned scene to frames: backdrop, light, shadows, actors from far to near, noise; and the truth with them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from samples import gait, tracks
from samples.actors import (
    Cart,
    Cyclist,
    Skater,
    cart_riders,
    cyclist_joints,
    figure_patches,
    shadow_outline,
    skater_joints,
)
from samples.appearance import Appearance
from samples.backdrop import Occluder, build_backdrop
from samples.crowd import Crowd
from samples.drawing import Patch, Sprite, blend, capsules, draw
from samples.events import Script, script_events
from samples.layouts import Layout, choose_layout
from samples.light import Light, Sensor, noise_strength
from samples.people import people_patches
from samples.settings import SceneSettings, random_stream
from samples.truth import Box, Mask, SceneFrame, TruthRegion, box_around

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from samples.camera import Array
    from samples.drawing import Pixels
    from samples.noise import Field
    from samples.tracks import Track

_LEAST_AREA: Final = 5e-5
"""Fewer visible pixels than this share of the picture are not called a region: nobody could see them."""

_SHADOW_BARS: Final = np.array(
    [
        (gait.HIP_L, gait.KNEE_L), (gait.KNEE_L, gait.ANKLE_L), (gait.HIP_R, gait.KNEE_R), (gait.KNEE_R, gait.ANKLE_R),
        (gait.SHOULDER_L, gait.HAND_L), (gait.SHOULDER_R, gait.HAND_R), (gait.PELVIS, gait.NECK),
        (gait.NECK, gait.HEAD),
    ]
)  # fmt: skip
_SHADOW_RADII: Final = np.array([0.05, 0.03, 0.05, 0.03, 0.03, 0.03, 0.085, 0.06])
_SHADOW_COARSE: Final = 2


@dataclass(frozen=True, slots=True)
class Scene:
    """A planned scene: everything that its frames are made from.

    Attributes:
        settings: what was asked for.
        layout: the place.
        script: the events.
        tracks: everyone and everything that moves, event actors first.
    """

    settings: SceneSettings
    layout: Layout
    script: Script
    tracks: tuple[Track, ...]


def plan_scene(settings: SceneSettings) -> Scene:
    """Decide the place, the events and everyone's way through the scene.

    Raises:
        SceneError: an event finds no room in this place.
    """
    layout = choose_layout(settings)
    script = script_events(settings, layout)
    density = settings.density
    if density is None:
        rng = np.random.default_rng(random_stream(settings.seed, 13))
        density = float(np.exp(rng.uniform(np.log(5), np.log(18))))
    crowd = Crowd(layout, settings.seed, density, script.tracks, script.scatters, len(script.tracks))
    return Scene(settings, layout, script, (*script.tracks, *crowd.run(settings.duration)))


def render(settings: SceneSettings, *, grey: bool = False) -> Iterator[SceneFrame]:
    """Render a scene frame by frame. Equal settings give equal frames; equal times give equal frames at any rate.

    Args:
        settings: what to render.
        grey: luma alone, about a third faster; it differs from the luma of the colour frames by rounding only.

    Yields:
        The frames in order.

    Raises:
        SceneError: an event finds no room in this place.
    """
    painter = Painter(plan_scene(settings), grey=grey)
    for index in range(settings.frame_count):
        yield painter.frame(index)


class Painter:
    """Paints any moment of a planned scene.

    Args:
        scene: what to paint.
        grey: luma alone in place of blue, green, red.
    """

    def __init__(self, scene: Scene, *, grey: bool = False) -> None:
        self.scene = scene
        self._grey = grey
        layout, seed = scene.layout, scene.settings.seed
        self._camera = layout.camera
        self._size = (layout.camera.width, layout.camera.height)
        self._backdrop = build_backdrop(layout, np.random.default_rng(random_stream(seed, 3)), grey=grey)
        self._crowns = sorted(self._backdrop.crowns, key=lambda crown: -crown.depth)
        indoors = layout.name == "hall"
        self._light = Light(np.random.default_rng(random_stream(seed, 9)), self._size, indoors=indoors)
        planes = 1 if grey else 3
        self._sensor = Sensor(np.random.default_rng(random_stream(seed, 14)), seed, self._size, planes)
        self._planes = planes
        self._noise = noise_strength(self._backdrop.picture)
        self._starts = np.array([track.start for track in scene.tracks])
        self._ends = np.array([track.end for track in scene.tracks])

    def frame(self, index: int) -> SceneFrame:
        """Paint frame ``index`` of the scene's own clock, from 0."""
        pts = Fraction(index) / self.scene.settings.frame_rate
        return self.paint(pts, index)

    def paint(self, pts: Fraction, index: int = 0) -> SceneFrame:
        """Paint the moment ``pts`` (seconds)."""
        time = float(pts)
        shown = np.flatnonzero((self._starts <= time) & (self._ends >= time))
        active = [self.scene.tracks[number] for number in shown]
        states = [track.at(time) for track in active]
        factors, level = self._light.at(time)
        cast = _Cast(self, active, states)
        factors *= 1 - np.float32(self.scene.layout.sun.strength) * cast.shadow()
        spread = factors[..., None] if self._planes == 1 else cv2.merge([factors] * 3)
        picture: Pixels = np.asarray(cv2.multiply(self._backdrop.picture, spread), dtype=np.float32)
        picture = picture.reshape(*factors.shape, self._planes)
        moving: list[Occluder] = []
        for crown in self._crowns:
            leaves = crown.at(time, self._size)
            if leaves is not None:
                blend(picture, leaves, level)
                moving.append(Occluder(leaves.left, leaves.top, leaves.coverage, crown.depth))
        masks = cast.draw(picture, time, level, (*self._backdrop.occluders, *moving))
        bare = self._sensor.expose(picture, self._noise, pts)
        final = bare[..., 0] if self._grey else bare
        return SceneFrame(index, pts, final, self._regions(masks))

    def _regions(self, masks: dict[int, tuple[Track, Mask]]) -> tuple[TruthRegion, ...]:
        least = max(4, round(_LEAST_AREA * self._size[0] * self._size[1]))
        regions = []
        for number, (track, mask) in sorted(masks.items()):
            if track.truth is not None and int(np.count_nonzero(mask)) >= least:
                box: Box = box_around(mask)
                regions.append(TruthRegion(track.truth.event, number, track.truth.kind, box, mask))
        return tuple(regions)

    @property
    def size(self) -> tuple[int, int]:
        """``(width, height)`` of the picture in pixels."""
        return self._size

    @property
    def grey(self) -> bool:
        """Whether luma alone is painted."""
        return self._grey


class _Cast:
    """Those who are in the scene at one moment, and how they are drawn."""

    def __init__(self, painter: Painter, active: Sequence[Track], states: Sequence[Array]) -> None:
        self._painter = painter
        self._layout = painter.scene.layout
        self._camera = self._layout.camera
        kept = [i for i, (track, state) in enumerate(zip(active, states, strict=True)) if self._near(track, state)]
        self._active = [active[i] for i in kept]
        self._states = [states[i] for i in kept]
        on_foot = [i for i, track in enumerate(self._active) if isinstance(track.figure, Appearance)]
        self._looks = [track.figure for track in self._active if isinstance(track.figure, Appearance)]
        self._joints = self._walk(on_foot)
        self._foot_of = {index: row for row, index in enumerate(on_foot)}

    def _near(self, track: Track, state: Array) -> bool:
        """Whether the figure or its shadow may reach into the picture."""
        x, y = float(state[tracks.X]), float(state[tracks.Y])
        if y <= 0.3 or self._camera.depth(x, y) < 0.8:
            return False
        del track
        reach = 4.5
        return abs(x) < self._camera.half_width(y) + reach

    def _walk(self, on_foot: Sequence[int]) -> Array:
        if not on_foot:
            return np.zeros((0, len(gait.JOINTS), 3))
        rows = np.array([self._states[index] for index in on_foot])
        heights = np.array([look.height for look in self._looks])
        joints = gait.walking(
            heights,
            np.maximum(rows[:, tracks.SPEED], 0.0),
            rows[:, tracks.PHASE],
            np.clip(rows[:, tracks.RUN], 0, 1),
            rows[:, tracks.STOOP],
            rows[:, tracks.ARM],
            rows[:, tracks.ARM_ANGLE],
        )
        return gait.to_world(joints, rows[:, tracks.X], rows[:, tracks.Y], rows[:, tracks.HEADING])

    def _riders(self) -> list[Array]:
        out = []
        for track, state in zip(self._active, self._states, strict=True):
            figure = track.figure
            if isinstance(figure, Cyclist):
                out.append(cyclist_joints(figure, state))
            elif isinstance(figure, Skater):
                out.append(skater_joints(figure, state))
            elif isinstance(figure, Cart):
                out.append(cart_riders(figure, state))
        return out

    def shadow(self) -> Field:
        """How much of the sun everyone takes from the ground: ``(H, W)``, 0 to 1."""
        width, height = self._painter.size
        coarse = (max(1, width // _SHADOW_COARSE), max(1, height // _SHADOW_COARSE))
        mask = np.zeros((coarse[1], coarse[0]), dtype=np.uint8)
        scale = np.array([coarse[0] / width, coarse[1] / height]) * 16
        bodies = np.concatenate([self._joints, *self._riders()])
        outlines: list[Array] = []
        if len(bodies):
            ground = self._camera.project(self._layout.sun.cast(bodies))
            radii = self._camera.focal * 1.72 * _SHADOW_RADII / ground[:, _SHADOW_BARS[:, 0], 2]
            bars = capsules(
                ground[:, _SHADOW_BARS[:, 0], :2],
                ground[:, _SHADOW_BARS[:, 1], :2],
                np.stack([radii, radii], axis=-1),
            )
            outlines += list(bars.reshape(-1, 12, 2))
        for track, state in zip(self._active, self._states, strict=True):
            if not isinstance(track.figure, Appearance):
                outlines += shadow_outline(self._camera, self._layout.sun, track.figure, state)
        for outline in outlines:
            corners = np.rint(np.clip(outline, -4000, 8000) * scale).astype(np.int32)
            cv2.fillConvexPoly(mask, corners, 255.0, cv2.LINE_AA, 4)
        blur = max(0.5, self._layout.sun.softness * coarse[1] / 180 * 0.7)
        side = 2 * int(2 * blur + 0.5) + 1
        soft = cv2.GaussianBlur(mask, (side, side), blur)
        full = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(full, dtype=np.float32) * np.float32(1 / 255)

    def _sprites(self) -> Iterator[tuple[int, float, Sprite]]:
        """Index, depth and sprite of everyone who can be seen, from far to near."""
        camera, sun = self._camera, self._layout.sun
        on_foot = people_patches(camera, self._joints, self._looks)
        depths = [camera.depth(float(state[tracks.X]), float(state[tracks.Y])) for state in self._states]
        for index in sorted(range(len(self._active)), key=lambda i: -depths[i]):
            figure = self._active[index].figure
            texture = None
            patches: list[Patch]
            if isinstance(figure, Appearance):
                patches, texture = on_foot[self._foot_of[index]], figure.texture
            else:
                patches = figure_patches(camera, sun, figure, self._states[index])
            sprite = draw(patches, self._painter.size, grey=self._painter.grey, texture=texture)
            if sprite is not None:
                yield index, depths[index], sprite

    def draw(
        self, picture: Pixels, time: float, level: float, occluders: Sequence[Occluder]
    ) -> dict[int, tuple[Track, Mask]]:
        """Draw everyone into the picture, in place; the visible pixels of those who are irregular, by track."""
        masks: dict[int, tuple[Track, Mask]] = {}
        for index, depth, sprite in self._sprites():
            track, state = self._active[index], self._states[index]
            place = (float(state[tracks.X]), float(state[tracks.Y]), depth)
            coverage = blend(picture, sprite, level, _hidden(sprite, place, occluders))
            solid = coverage > 0.5
            for _, mask in masks.values():
                mask[sprite.region] &= ~solid
            if track.irregular(time):
                mask = np.zeros(picture.shape[:2], dtype=np.bool_)
                mask[sprite.region] = solid
                masks[track.number] = (track, mask)
        return masks


def _hidden(sprite: Sprite, place: tuple[float, float, float], occluders: Sequence[Occluder]) -> Field | None:
    """Share of a sprite's pixels that things in front of its place hide; None when nothing does."""
    height, width = sprite.pixels.shape[:2]
    shown: Field | None = None
    for occluder in occluders:
        rows, columns = occluder.coverage.shape
        low_u, low_v = max(sprite.left, occluder.left), max(sprite.top, occluder.top)
        high_u = min(sprite.left + width, occluder.left + columns)
        high_v = min(sprite.top + height, occluder.top + rows)
        if low_u >= high_u or low_v >= high_v or not occluder.hides(*place):
            continue
        if shown is None:
            shown = np.ones((height, width), dtype=np.float32)
        part = occluder.coverage[
            low_v - occluder.top : high_v - occluder.top, low_u - occluder.left : high_u - occluder.left
        ]
        shown[low_v - sprite.top : high_v - sprite.top, low_u - sprite.left : high_u - sprite.left] *= 1 - part
    return None if shown is None else 1 - shown

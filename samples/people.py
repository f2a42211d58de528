"""From joints to patches: limbs as tapered bars, trunk and clothes as hulls, far side first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from samples import gait
from samples.drawing import Colour, Patch, capsules, hull

if TYPE_CHECKING:
    from collections.abc import Sequence

    from samples.appearance import Appearance
    from samples.camera import Array, Camera

# Bars: joint, joint, radius at each as a share of the height.
_BARS: Final = (
    (gait.HIP_L, gait.KNEE_L, 0.047, 0.034),
    (gait.KNEE_L, gait.ANKLE_L, 0.035, 0.022),
    (gait.ANKLE_L, gait.TOE_L, 0.025, 0.017),
    (gait.HIP_R, gait.KNEE_R, 0.047, 0.034),
    (gait.KNEE_R, gait.ANKLE_R, 0.035, 0.022),
    (gait.ANKLE_R, gait.TOE_R, 0.025, 0.017),
    (gait.SHOULDER_L, gait.ELBOW_L, 0.030, 0.024),
    (gait.ELBOW_L, gait.HAND_L, 0.024, 0.018),
    (gait.SHOULDER_R, gait.ELBOW_R, 0.030, 0.024),
    (gait.ELBOW_R, gait.HAND_R, 0.024, 0.018),
    (gait.NECK, gait.HEAD, 0.030, 0.030),
)
_STARTS: Final = np.array([bar[0] for bar in _BARS])
_ENDS: Final = np.array([bar[1] for bar in _BARS])
_RADII: Final = np.array([bar[2:] for bar in _BARS])
_STOUT: Final = np.array([1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0])[:, None]
_TRUNK_JOINTS: Final = np.array([gait.SHOULDER_L, gait.SHOULDER_R, gait.HIP_L, gait.HIP_R])
_TRUNK_RADII: Final = np.array([0.048, 0.048, 0.056, 0.056])
_FAN: Final = np.linspace(0, 2 * np.pi, 10, endpoint=False)
_CIRCLE: Final = np.stack([np.cos(_FAN), np.sin(_FAN)], axis=1)

_FAR_SIDE: Final = 0.8
"""Limbs on the side away from the camera are darker by this factor, as they lie in the body's own shade."""


def _dim(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def _round(centre: Array, radius: float, tall: float = 1.0) -> Array:
    return np.asarray(centre + _CIRCLE * np.array([radius, radius * tall]))


def people_patches(
    camera: Camera, joints: Array, looks: Sequence[Appearance], *, lower: bool = True
) -> list[list[Patch]]:
    """Patches of several people, each list in drawing order.

    Args:
        camera: see :class:`~samples.camera.Camera`.
        joints: ``(P, 17, 3)`` world metres.
        looks: one per person.
        lower: whether the legs are seen (they are not, in a cart).
    """
    if not len(joints):
        return []
    pixels = camera.project(joints)
    depth = pixels[..., 2]
    heights = np.array([look.height for look in looks])
    girths = np.array([look.girth for look in looks])
    scale = camera.focal * heights[:, None] / depth
    spots = pixels[..., :2]
    stout = 1 + (girths[:, None, None] - 1) * _STOUT
    bars = capsules(
        spots[:, _STARTS],
        spots[:, _ENDS],
        np.maximum(_RADII * stout * scale[:, gait.PELVIS, None, None], 0.3),
    )
    trunk = (
        spots[:, _TRUNK_JOINTS, None, :]
        + (_TRUNK_RADII * scale[:, _TRUNK_JOINTS] * girths[:, None])[..., None, None] * _CIRCLE
    )
    ahead = spots[:, gait.TOE_L] + spots[:, gait.TOE_R] - spots[:, gait.ANKLE_L] - spots[:, gait.ANKLE_R]
    faces = np.linalg.norm(ahead, axis=1) + 1e-6
    away = joints[:, gait.TOE_L, 1] - joints[:, gait.ANKLE_L, 1] + joints[:, gait.TOE_R, 1] - joints[:, gait.ANKLE_R, 1]
    return [
        _one(
            look,
            bars[index],
            hull(trunk[index].reshape(-1, 2)),
            (spots[index], depth[index], float(scale[index, gait.HEAD])),
            (float(ahead[index, 0] / faces[index]), bool(away[index] > 0)),
            lower=lower,
        )
        for index, look in enumerate(looks)
    ]


def _one(
    look: Appearance,
    bars: Array,
    trunk: Array,
    place: tuple[Array, Array, float],
    facing: tuple[float, bool],
    *,
    lower: bool,
) -> list[Patch]:
    """One person; ``place`` is joints (17, 2), their depths (17,) and pixels per body height."""
    spots, depth, scale = place
    left_is_far = depth[gait.SHOULDER_L] + depth[gait.HIP_L] > depth[gait.SHOULDER_R] + depth[gait.HIP_R]
    leg = look.skin if look.garment in {"shorts", "skirt", "dress"} else look.bottom
    thigh = look.bottom if look.garment == "shorts" else leg
    sleeve = look.top if look.long_sleeves else look.skin
    out: list[Patch] = []

    def legs(first: int, light: float) -> None:
        out.append(Patch(bars[first + 2], _dim(look.shoes, light)))
        out.append(Patch(bars[first + 1], _dim(leg, light)))
        out.append(Patch(bars[first], _dim(thigh, light)))

    def arm(first: int, light: float) -> None:
        hand = gait.HAND_L if first == 6 else gait.HAND_R
        out.append(Patch(_round(spots[hand], max(0.022 * scale, 0.3)), _dim(look.skin, light)))
        out.append(Patch(bars[first + 1], _dim(sleeve, light)))
        out.append(Patch(bars[first], _dim(look.top, light)))

    arm(6 if left_is_far else 8, _FAR_SIDE)
    backpack_first = not facing[1]
    if look.bag == "backpack" and backpack_first:
        out.append(_backpack(look, spots, scale))
    if lower:
        legs(0 if left_is_far else 3, _FAR_SIDE)
        legs(3 if left_is_far else 0, 1.0)
        if look.garment in {"skirt", "dress", "coat"}:
            out.append(_skirt(look, spots, scale))
    if lower and look.garment in {"trousers", "shorts"}:
        out.append(Patch(_hips(spots, scale, look.girth), look.bottom))
    out.append(Patch(trunk, look.top))
    out.append(Patch(bars[10], _dim(look.skin, 0.9)))
    if look.bag == "backpack" and not backpack_first:
        out.append(_backpack(look, spots, scale))
    out += _head(look, spots, scale, facing)
    arm(8 if left_is_far else 6, 1.0)
    if look.bag == "shoulder":
        out.append(_shoulder_bag(look, spots, scale, left_is_far=bool(left_is_far)))
    return out


def _hips(spots: Array, scale: float, girth: float) -> Array:
    """The seat of the trousers."""
    radius = 0.054 * scale * girth
    return hull(np.concatenate([_round(spots[gait.HIP_L], radius), _round(spots[gait.HIP_R], radius)]))


def _skirt(look: Appearance, spots: Array, scale: float) -> Patch:
    """Skirt, dress or the skirts of a coat: from the hips to some way down the thighs."""
    share = 0.7 if look.garment == "coat" else 0.95
    hem = [spots[hip] + share * (spots[knee] - spots[hip]) for hip, knee in ((3, 5), (4, 6))]
    flare = 0.05 * scale * look.girth
    rings = [
        _round(spots[gait.HIP_L], 0.058 * scale * look.girth),
        _round(spots[gait.HIP_R], 0.058 * scale * look.girth),
    ]
    rings += [_round(point, flare, 0.4) for point in hem]
    return Patch(hull(np.concatenate(rings)), look.bottom if look.garment == "skirt" else look.top)


def _backpack(look: Appearance, spots: Array, scale: float) -> Patch:
    """A backpack, behind the trunk as seen from the figure."""
    middle = (spots[gait.SHOULDER_L] + spots[gait.SHOULDER_R]) / 2
    down = spots[gait.PELVIS] - spots[gait.NECK]
    toes = (spots[gait.TOE_L] + spots[gait.TOE_R] - spots[gait.ANKLE_L] - spots[gait.ANKLE_R]) / 2
    length = float(np.linalg.norm(toes)) + 1e-6
    behind = -toes / length * min(length, 0.1 * scale) * 0.75
    upper, lower = middle + behind + 0.12 * down, middle + behind + 0.62 * down
    rings = [_round(upper, 0.062 * scale), _round(lower, 0.07 * scale)]
    return Patch(hull(np.concatenate(rings)), look.bag_colour)


def _shoulder_bag(look: Appearance, spots: Array, scale: float, *, left_is_far: bool) -> Patch:
    """A bag that hangs at the near hip."""
    hip = spots[gait.HIP_R if left_is_far else gait.HIP_L]
    corner = np.array([[-0.065, -0.05], [0.065, -0.05], [0.07, 0.06], [-0.07, 0.06]]) * scale
    return Patch(hip + corner, look.bag_colour)


def _head(look: Appearance, spots: Array, scale: float, facing: tuple[float, bool]) -> list[Patch]:
    """Hair, and the face on the side the figure looks to; from behind, hair alone."""
    centre = spots[gait.HEAD]
    radius = max(0.05 * scale, 0.5)
    aside, from_behind = facing
    crown = _round(centre - np.array([aside * 0.14, 0.12]) * radius, radius, 1.2)
    if look.long_hair:
        nape = spots[gait.NECK] - np.array([aside * 0.5, 0.2]) * radius
        crown = hull(np.concatenate([crown, _round(nape, radius * 0.8)]))
    hair = Patch(crown, look.hair)
    if from_behind and abs(aside) < 0.75:
        return [hair]
    face = centre + np.array([aside * 0.36, 0.34]) * radius
    return [hair, Patch(_round(face, radius * 0.72, 1.1), look.skin)]

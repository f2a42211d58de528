"""How people move: joint positions of walking, running, standing, stooping and riding figures.

Angles of hip and knee over a stride follow the textbook curves of human gait (a cosine at the hip; a knee that bends
once, in the swing), scaled by the length of the step. Stride and cadence come from speed, so feet hardly slip.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from samples.camera import Array

JOINTS: Final = (
    "pelvis", "neck", "head", "hip_l", "hip_r", "knee_l", "knee_r", "ankle_l", "ankle_r", "toe_l", "toe_r",
    "shoulder_l", "shoulder_r", "elbow_l", "elbow_r", "hand_l", "hand_r",
)  # fmt: skip
(PELVIS, NECK, HEAD, HIP_L, HIP_R, KNEE_L, KNEE_R, ANKLE_L, ANKLE_R, TOE_L, TOE_R,
 SHOULDER_L, SHOULDER_R, ELBOW_L, ELBOW_R, HAND_L, HAND_R) = range(17)  # fmt: skip

# Lengths as shares of the body's height (Drillis and Contini's proportions).
_THIGH, _SHANK, _FOOT, _ANKLE = 0.245, 0.246, 0.11, 0.039
_TRUNK, _HEAD_UP, _UPPER_ARM, _FOREARM = 0.285, 0.105, 0.186, 0.165
_HALF_SHOULDER, _HALF_HIP = 0.094, 0.05


def step_length(speed: ArrayLike, height: ArrayLike, run: ArrayLike) -> Array:
    """Length of one step in metres at a speed in m/s, for a height in metres; ``run`` 0 walks, 1 runs."""
    v, tall, share = np.asarray(speed), np.asarray(height), np.asarray(run)
    walk = 0.43 * tall * np.sqrt(np.maximum(v, 0.0) / 1.35)
    return np.asarray(walk * (1 - share) + 0.74 * tall * np.sqrt(np.maximum(v, 0.0) / 4.0) * share, dtype=np.float64)


def cadence(speed: ArrayLike, height: ArrayLike, run: ArrayLike) -> Array:
    """Gait cycles (two steps) per second."""
    steps = 2 * np.maximum(step_length(speed, height, run), 1e-3)
    return np.asarray(np.asarray(speed) / steps, dtype=np.float64)


def _bump(phase: Array, centre: float, width: float) -> Array:
    """A bell on the circle of phases 0..1."""
    away = (phase - centre + 0.5) % 1.0 - 0.5
    return np.asarray(np.exp(-0.5 * (away / width) ** 2), dtype=np.float64)


def walking(height: Array, speed: Array, phase: Array, run: Array, stoop: Array, arm: Array, arm_angle: Array) -> Array:
    """Joints of people on foot, each in its own frame: forward, left, up, in metres from the ground below the pelvis.

    Args:
        height: ``(P,)`` metres.
        speed: ``(P,)`` m/s.
        phase: ``(P,)`` gait cycles; whole numbers are strikes of the left heel.
        run: ``(P,)`` 0 walks, 1 runs.
        stoop: ``(P,)`` 0 upright, 1 bent down to the ground.
        arm: ``(P,)`` how far the right arm is held at ``arm_angle``, 0 to 1, instead of swinging.
        arm_angle: ``(P,)`` radians from hanging down, forwards positive.

    Returns:
        ``(P, 17, 3)``; see :data:`JOINTS`.
    """
    count = len(height)
    out = np.zeros((count, len(JOINTS), 3))
    stride = step_length(speed, height, run)
    swing = np.arcsin(np.clip(stride / 2 * (1 - 0.18 * run) / (0.5 * height), 0.0, 0.9))
    vigour = np.clip(swing / 0.42, 0.0, 1.6)
    for side, (hip, knee, ankle, toe) in enumerate(((HIP_L, KNEE_L, ANKLE_L, TOE_L), (HIP_R, KNEE_R, ANKLE_R, TOE_R))):
        cycle = (phase + 0.5 * side) % 1.0
        lateral = (1 - 2 * side) * _HALF_HIP * height
        thigh = swing * np.cos(2 * math.pi * cycle) + 0.05 + 0.16 * run + 0.75 * stoop
        bend = (
            0.07
            + vigour * (0.95 * _bump(cycle, 0.72, 0.1) + 0.22 * _bump(cycle, 0.13, 0.07)) * (1 - run)
            + run * (0.3 + 1.25 * _bump(cycle, 0.70, 0.14))
            + 1.25 * stoop
        )
        shank = thigh - bend
        tip = -0.75 * vigour * _bump(cycle, 0.6, 0.08) + 0.3 * vigour * _bump(cycle, 0.98, 0.05)
        out[:, hip, 1] = lateral
        out[:, knee, 0] = _THIGH * height * np.sin(thigh)
        out[:, knee, 1] = lateral * 0.95
        out[:, knee, 2] = -_THIGH * height * np.cos(thigh)
        out[:, ankle, 0] = out[:, knee, 0] + _SHANK * height * np.sin(shank)
        out[:, ankle, 1] = lateral * 0.85
        out[:, ankle, 2] = out[:, knee, 2] - _SHANK * height * np.cos(shank)
        out[:, toe, 0] = out[:, ankle, 0] + _FOOT * height * np.cos(tip)
        out[:, toe, 1] = lateral * 1.1
        out[:, toe, 2] = out[:, ankle, 2] - _ANKLE * 0.6 * height + _FOOT * height * np.sin(tip)
    soles = np.minimum(
        out[:, [ANKLE_L, ANKLE_R], 2].min(axis=1) - _ANKLE * height, out[:, [TOE_L, TOE_R], 2].min(axis=1)
    )
    flight = run * 0.035 * height * (0.5 - 0.5 * np.cos(4 * math.pi * (phase - 0.08)))
    lean = 0.03 + 0.05 * np.minimum(speed, 1.5) + 0.12 * run + 1.0 * stoop
    twist = 0.16 * vigour * np.cos(2 * math.pi * phase)
    out[:, PELVIS, 0] = -0.16 * height * stoop
    _upper_body(out, height, lean, twist)
    swings = vigour * (0.36 + 0.2 * run) * np.cos(2 * math.pi * phase)
    for side, (shoulder, elbow, hand) in enumerate(((SHOULDER_L, ELBOW_L, HAND_L), (SHOULDER_R, ELBOW_R, HAND_R))):
        upper = -swings * (1 - 2 * side) + 0.02 - 0.1 * run
        bend = 0.22 + 0.12 * vigour + 1.25 * run
        if side:
            upper = upper * (1 - arm) + arm * arm_angle
            bend = bend * (1 - 0.6 * arm)
        _arm(out, shoulder, elbow, hand, (height, upper, bend, 0.03 * (1 - 2 * side)))
    out[:, :, 2] += (flight - soles)[:, None]
    return out


def _upper_body(out: Array, height: Array, lean: Array, twist: Array) -> None:
    """Neck, head and shoulders above the pelvis, in place."""
    pelvis = out[:, PELVIS]
    out[:, [HIP_L, HIP_R], 0] += pelvis[:, None, 0]
    ahead, up = np.sin(lean), np.cos(lean)
    out[:, NECK, 0] = pelvis[:, 0] + _TRUNK * height * ahead
    out[:, NECK, 2] = pelvis[:, 2] + _TRUNK * height * up
    out[:, HEAD, 0] = out[:, NECK, 0] + _HEAD_UP * height * np.sin(0.6 * lean) + 0.012 * height
    out[:, HEAD, 2] = out[:, NECK, 2] + _HEAD_UP * height * np.cos(0.6 * lean)
    for sign, joint in ((1, SHOULDER_L), (-1, SHOULDER_R)):
        out[:, joint, 0] = out[:, NECK, 0] - sign * _HALF_SHOULDER * height * np.sin(twist) - 0.01 * height * ahead
        out[:, joint, 1] = sign * _HALF_SHOULDER * height * np.cos(twist)
        out[:, joint, 2] = out[:, NECK, 2] - 0.022 * height


def _arm(out: Array, shoulder: int, elbow: int, hand: int, form: tuple[Array, Array, Array, float]) -> None:
    """Elbow and hand from the angles of the upper arm and the elbow, in place."""
    height, upper, bend, aside = form
    lower = upper + bend
    out[:, elbow] = out[:, shoulder]
    out[:, elbow, 0] += _UPPER_ARM * height * np.sin(upper)
    out[:, elbow, 1] += aside * height
    out[:, elbow, 2] -= _UPPER_ARM * height * np.cos(upper)
    out[:, hand] = out[:, elbow]
    out[:, hand, 0] += _FOREARM * height * np.sin(lower)
    out[:, hand, 2] -= _FOREARM * height * np.cos(lower)


def _reach(start: Array, end: Array, first: float, second: float, ahead: float) -> Array:
    """Middle joint of a limb of two parts from ``start`` to ``end`` ``(3,)``, bent forwards (or back, ``ahead`` -1)."""
    line = end - start
    far = min(float(np.linalg.norm(line)), (first + second) * 0.999)
    along = (first**2 - second**2 + far**2) / (2 * far)
    off = math.sqrt(max(first**2 - along**2, 0.0))
    unit = line / max(float(np.linalg.norm(line)), 1e-9)
    aside = np.array([-unit[2], 0.0, unit[0]])
    aside *= ahead * (1 if aside[0] >= 0 else -1)
    return np.asarray(start + unit * along + aside * off)


def posed(
    height: float, pelvis: ArrayLike, lean: float, feet: ArrayLike, hands: ArrayLike, *, elbows_out: float = 0.05
) -> Array:
    """Joints of a figure whose hands and feet are held somewhere (on pedals, a board, a wheel).

    Args:
        height: metres.
        pelvis: ``(3,)`` forward, left, up, metres.
        lean: of the trunk, radians forwards.
        feet: ``(2, 3)`` ankles, left first.
        hands: ``(2, 3)`` hands, left first.
        elbows_out: how far the elbows stand out, as a share of the height.

    Returns:
        ``(17, 3)``; see :data:`JOINTS`.
    """
    out = np.zeros((1, len(JOINTS), 3))
    tall = np.array([height])
    out[0, PELVIS] = np.asarray(pelvis)
    out[0, HIP_L] = out[0, HIP_R] = out[0, PELVIS]
    out[0, [HIP_L, HIP_R], 0] -= out[0, PELVIS, 0]
    out[0, HIP_L, 1] += _HALF_HIP * height
    out[0, HIP_R, 1] -= _HALF_HIP * height
    _upper_body(out, tall, np.array([lean]), np.array([0.0]))
    out[0, [NECK, HEAD, SHOULDER_L, SHOULDER_R], 1] += out[0, PELVIS, 1]
    ankles, grips = np.asarray(feet, dtype=np.float64), np.asarray(hands, dtype=np.float64)
    for side in (0, 1):
        sign = 1 - 2 * side
        out[0, ANKLE_L + side] = ankles[side]
        out[0, KNEE_L + side] = _reach(out[0, HIP_L + side], ankles[side], _THIGH * height, _SHANK * height, 1.0)
        out[0, TOE_L + side] = ankles[side] + np.array([_FOOT * height, 0.0, -0.02 * height])
        out[0, HAND_L + side] = grips[side]
        elbow = _reach(out[0, SHOULDER_L + side], grips[side], _UPPER_ARM * height, _FOREARM * height, -1.0)
        out[0, ELBOW_L + side] = elbow + np.array([0.0, sign * elbows_out * height, 0.0])
    return np.asarray(out[0], dtype=np.float64)


def to_world(joints: Array, x: Array, y: Array, heading: Array) -> Array:
    """Turn and move joints ``(P, J, 3)`` from their own frames into the world, metres."""
    cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]
    out = np.empty_like(joints)
    out[..., 0] = x[:, None] + joints[..., 0] * cos - joints[..., 1] * sin
    out[..., 1] = y[:, None] + joints[..., 0] * sin + joints[..., 1] * cos
    out[..., 2] = joints[..., 2]
    return out

"""What a person looks like: build, clothes, hair and bag, drawn from a random stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from samples.noise import Field, fractal

if TYPE_CHECKING:
    from samples.drawing import Colour

Garment = Literal["trousers", "shorts", "skirt", "dress", "coat"]
Bag = Literal["none", "backpack", "shoulder"]

_SKIN: tuple[Colour, ...] = ((150, 178, 215), (122, 152, 198), (92, 122, 172), (62, 86, 128), (46, 62, 92))
_HAIR: tuple[Colour, ...] = ((26, 28, 32), (36, 48, 66), (54, 78, 104), (84, 120, 150), (150, 152, 152))
_CLOTH: tuple[Colour, ...] = (
    (38, 36, 36), (46, 44, 44), (58, 54, 50), (60, 58, 56), (84, 70, 58), (92, 88, 84), (112, 108, 104),
    (140, 136, 132), (188, 188, 184), (212, 216, 218), (104, 72, 50), (84, 58, 46), (134, 106, 78),
    (62, 60, 120), (52, 48, 92), (72, 96, 70), (70, 92, 110), (118, 146, 168), (84, 118, 150), (128, 100, 122),
)  # fmt: skip
_LEGS: tuple[Colour, ...] = (
    (36, 34, 34), (52, 50, 50), (86, 64, 48), (112, 84, 62), (70, 58, 50), (92, 104, 116), (130, 148, 160), (60, 62, 62)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Appearance:
    """Build and clothes of one person.

    Attributes:
        height: metres.
        girth: breadth against the average, 0.8 to 1.3.
        skin, hair, top, bottom, shoes, bag_colour: colours, blue, green, red.
        garment: below the waist, or over it.
        long_sleeves: whether the lower arms are covered.
        bag: what is carried.
        long_hair: whether it reaches the shoulders.
        texture: ``(48, 24)`` factors around 1, laid over the whole figure.
    """

    height: float
    girth: float
    skin: Colour
    hair: Colour
    top: Colour
    bottom: Colour
    shoes: Colour
    bag_colour: Colour
    garment: Garment
    long_sleeves: bool
    bag: Bag
    long_hair: bool
    texture: Field = field(repr=False)


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    colour = np.array(colours[int(rng.integers(len(colours)))]) * rng.uniform(0.85, 1.12) * rng.uniform(0.96, 1.04, 3)
    blue, green, red = (float(v) for v in np.clip(colour, 12, 232))
    return blue, green, red


def _cloth(rng: np.random.Generator) -> Field:
    """Folds, a pattern on the upper part, and the brighter side towards the light."""
    folds = fractal(rng, 48, 24, 1.1) * np.float32(0.07)
    texture = 1 + folds
    upper = slice(9, 25)
    style = rng.random()
    if style < 0.07:
        texture[upper] *= (1 + rng.uniform(0.08, 0.2) * np.sign(np.sin(np.arange(16) * rng.uniform(1.2, 2.2))))[:, None]
    elif style < 0.12:
        texture[upper] *= 1 + 0.08 * np.sign(np.sin(np.arange(16) * 1.7))[:, None] * np.sign(
            np.sin(np.arange(24) * 1.7)
        )
    elif style < 0.25:
        texture[16:25] *= np.float32(rng.uniform(0.6, 0.85))
    side = np.linspace(-1, 1, 24) * rng.choice([-1.0, 1.0]) * rng.uniform(0.03, 0.12)
    texture *= 1 + side[None, :]
    texture *= np.linspace(1.08, 0.9, 48)[:, None]
    return np.asarray(np.clip(texture, 0.4, 1.6), dtype=np.float32)


def choose_appearance(rng: np.random.Generator) -> Appearance:
    """Draw one person."""
    child = rng.random() < 0.06
    height = rng.uniform(1.15, 1.45) if child else float(np.clip(rng.normal(1.71, 0.09), 1.5, 1.95))
    garments: tuple[Garment, ...] = ("trousers", "shorts", "skirt", "dress", "coat")
    garment = garments[int(rng.choice(5, p=[0.66, 0.1, 0.07, 0.06, 0.11]))]
    bags: tuple[Bag, ...] = ("none", "backpack", "shoulder")
    top = _pick(rng, _CLOTH)
    return Appearance(
        height=height,
        girth=float(np.clip(rng.normal(1.0, 0.1), 0.82, 1.3)),
        skin=_pick(rng, _SKIN),
        hair=_pick(rng, _HAIR),
        top=top,
        bottom=_pick(rng, _CLOTH) if garment in {"skirt", "shorts"} else _pick(rng, _LEGS),
        shoes=_pick(rng, (*_HAIR[:2], (200, 200, 200), (60, 70, 90))),
        bag_colour=_pick(rng, _CLOTH),
        garment=garment,
        long_sleeves=garment == "coat" or rng.random() < 0.6,
        bag=bags[int(rng.choice(3, p=[0.62, 0.2, 0.18]))],
        long_hair=rng.random() < 0.35,
        texture=_cloth(rng),
    )

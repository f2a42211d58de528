"""The one clip that ships with the project: what a newcomer's first run watches."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from samples.clip import Encoding
from samples.settings import EventPlan, SceneSettings

NEWCOMER: Final = SceneSettings(
    seed=16,
    layout="walkway",
    width=640,
    height=360,
    frame_rate=Fraction(10),
    duration=80.0,
    density=8.0,
    events=(
        EventPlan("cyclist", 36.0),
        EventPlan("cart", 46.5),
        EventPlan("skater", 58.0),
        EventPlan("runner", 69.0),
    ),
)

NEWCOMER_ENCODING: Final = Encoding(crf=22, preset="slow")

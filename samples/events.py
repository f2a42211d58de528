"""Irregular events: when they happen, along which way, and the tracks they are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from samples.crowd import Scatter
from samples.scripts import Cast, leave_behind, pass_by, throw
from samples.settings import KINDS, EventPlan, Kind, SceneSettings, random_stream

if TYPE_CHECKING:
    from samples.layouts import Layout
    from samples.tracks import Track

_USUAL_LENGTH: Final[dict[Kind, float]] = {
    "cyclist": 5.0,
    "skater": 6.0,
    "cart": 7.0,
    "runner": 5.0,
    "off_path": 11.0,
    "thrown_object": 4.0,
    "abandoned_object": 4.0,
    "scatter": 7.0,
}


@dataclass(slots=True)
class Script:
    """What the events of a scene come to: tracks of their actors, and moments at which the crowd runs."""

    plans: tuple[EventPlan, ...]
    tracks: list[Track] = field(default_factory=list)
    scatters: list[Scatter] = field(default_factory=list)


def draw_plans(settings: SceneSettings) -> tuple[EventPlan, ...]:
    """Events by lot, one after the other, none in the learning part; the crowd scatters last, if at all."""
    rng = np.random.default_rng(random_stream(settings.seed, 10))
    plans: list[EventPlan] = []
    deck: list[Kind] = []
    time = settings.learning + rng.uniform(1.5, 3.5)
    while True:
        if not deck:
            deck = [kind for kind in KINDS if kind != "scatter"]
            deck = [deck[int(place)] for place in rng.permutation(len(deck))]
        kind = deck.pop()
        if time + _USUAL_LENGTH[kind] + 1 > settings.duration:
            break
        plans.append(EventPlan(kind, round(float(time), 1)))
        time += _USUAL_LENGTH[kind] + rng.uniform(2.5, 5.0)
    if plans and rng.random() < 0.25:
        last = plans[-1].start
        if last + _USUAL_LENGTH["scatter"] + 1 <= settings.duration:
            plans[-1] = EventPlan("scatter", last)
    return tuple(plans)


def script_events(settings: SceneSettings, layout: Layout) -> Script:
    """Tracks of all events of a scene.

    Args:
        settings: what was asked for.
        layout: the place.

    Raises:
        SceneError: an event finds no room in this place.
    """
    plans = draw_plans(settings) if settings.events == "auto" else settings.events
    script = Script(tuple(sorted(plans, key=lambda plan: plan.start)))
    for number, plan in enumerate(script.plans):
        rng = np.random.default_rng(random_stream(settings.seed, 11, number, KINDS.index(plan.kind)))
        if plan.kind == "scatter":
            script.scatters.append(Scatter(number, plan.start))
            continue
        cast = Cast(layout, rng, number, plan, settings.duration, len(script.tracks))
        if plan.kind == "thrown_object":
            script.tracks += throw(cast)
        elif plan.kind == "abandoned_object":
            script.tracks += leave_behind(cast)
        else:
            script.tracks.append(pass_by(cast))
    return script


def event_end(tracks: list[Track], event: int) -> float:
    """Seconds at which the last irregular track of an event ends; minus infinity when it has none."""
    return max((t.truth.end for t in tracks if t.truth is not None and t.truth.event == event), default=-math.inf)

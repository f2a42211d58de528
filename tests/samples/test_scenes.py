"""Rendered scenes: repeatable, the same at every rate, with truth where something irregular is seen."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest

from samples import KINDS, LAYOUTS, EventPlan, Kind, LayoutName, Painter, SceneError, SceneSettings, plan_scene, render
from samples.events import draw_plans, script_events
from samples.layouts import choose_layout

SMALL = SceneSettings(seed=3, layout="walkway", width=160, height=90, duration=6, density=5)


def test_the_same_seed_gives_the_same_frames() -> None:
    settings = replace(SMALL, events=(EventPlan("cyclist", 2.0),))
    for one, two in zip(render(settings), render(settings), strict=True):
        assert np.array_equal(one.picture, two.picture)
        assert np.array_equal(one.mask, two.mask)


def test_another_seed_gives_another_scene() -> None:
    one, two = (next(render(replace(SMALL, seed=seed))).grey.astype(int) for seed in (3, 4))
    assert np.abs(one - two).mean() > 5


def test_frames_have_the_size_rate_and_number_that_were_asked_for() -> None:
    settings = replace(SMALL, frame_rate=Fraction(30000, 1001), duration=1.0)
    frames = list(render(settings))
    assert len(frames) == settings.frame_count == 30
    assert [frame.index for frame in frames] == list(range(30))
    assert frames[7].pts == Fraction(7 * 1001, 30000)
    assert frames[0].bgr.shape == (90, 160, 3)
    assert frames[0].grey.shape == (90, 160)


def test_frames_of_equal_times_are_equal_at_every_rate() -> None:
    slow = replace(SMALL, duration=2.0, events=(EventPlan("runner", 0.5),))
    at_10 = list(render(slow, grey=True))
    for rate in (15, 30):
        other = {frame.pts: frame for frame in render(replace(slow, frame_rate=Fraction(rate)), grey=True)}
        shared = [frame for frame in at_10 if frame.pts in other]
        assert len(shared) >= 10
        for frame in shared:
            assert np.array_equal(frame.picture, other[frame.pts].picture)
            assert np.array_equal(frame.mask, other[frame.pts].mask)


def test_people_move_on_between_two_frames_of_a_slower_rate() -> None:
    fast = list(render(replace(SMALL, duration=2.0, frame_rate=Fraction(30)), grey=True))
    near = np.mean([np.abs(b.grey.astype(int) - a.grey) > 25 for a, b in pairwise(fast)])
    wide = np.mean([np.abs(b.grey.astype(int) - a.grey) > 25 for a, b in zip(fast, fast[3:], strict=False)])
    assert wide > 1.3 * near > 0


def test_grey_frames_are_the_luma_of_the_colour_frames() -> None:
    settings = replace(SMALL, duration=1.0)
    for colour, grey in zip(render(settings), render(settings, grey=True), strict=True):
        apart = np.abs(colour.grey.astype(int) - grey.grey)
        assert np.quantile(apart, 0.99) <= 3
        assert apart.mean() < 1


def test_a_scene_without_people_changes_by_light_noise_and_leaves_alone() -> None:
    frames = list(render(replace(SMALL, density=0.0), grey=True))
    apart = np.abs(frames[-1].grey.astype(int) - frames[0].grey)
    assert 0.3 < apart.mean() < 6
    assert not any(frame.truth for frame in frames)


def alone(kind: Kind, layout: LayoutName, seed: int) -> SceneSettings:
    """A scene in which one thing happens at 8 s and nobody else is about."""
    return SceneSettings(
        seed=seed, layout=layout, width=320, height=180, duration=26, density=0.0, events=(EventPlan(kind, 8.0),)
    )


@pytest.mark.parametrize(
    ("kind", "layout"),
    [
        ("cyclist", "walkway"),
        ("skater", "plaza"),
        ("cart", "carpark"),
        ("runner", "street"),
        ("off_path", "hall"),
        ("thrown_object", "plaza"),
        ("abandoned_object", "walkway"),
    ],
)
def test_truth_lies_where_the_picture_differs_from_the_same_scene_without_the_event(
    kind: Kind, layout: LayoutName
) -> None:
    settings = alone(kind, layout, 2)
    eventful = Painter(plan_scene(settings), grey=True)
    bare = Painter(plan_scene(replace(settings, events=())), grey=True)
    seen = 0
    for index in range(60, 200, 4):
        frame, empty = eventful.frame(index), bare.frame(index)
        apart = np.abs(frame.grey.astype(int) - empty.grey)
        if not frame.truth:
            continue
        seen += 1
        mask = frame.mask
        assert (apart[mask] > 0).mean() > 0.8
        if kind not in {"thrown_object", "abandoned_object"}:
            # All that differs elsewhere is the actor's soft edge and the shadow, and a shadow only darkens.
            around = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            lighter = frame.grey.astype(int) - empty.grey
            assert (lighter[~around] > 1).mean() < 0.001
    assert seen >= 4


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "scatter"])
def test_an_actor_is_seen_well_and_for_a_while(kind: Kind) -> None:
    for layout in ("walkway", "hall"):
        settings = alone(kind, layout, 7)
        painter = Painter(plan_scene(settings), grey=True)
        heights: dict[Fraction, int] = {}
        for index in range(70, 260, 5):
            frame = painter.frame(index)
            for region in frame.truth:
                heights[frame.pts] = max(heights.get(frame.pts, 0), region.box[3])
        lasts = float(max(heights) - min(heights))
        assert 7.4 <= float(min(heights)) <= 9.1
        assert 1.5 <= lasts <= (16 if kind == "off_path" else 9.5)
        # 20 pixels of 360 are 10 of 180.
        assert np.median(list(heights.values())) >= 10


def test_a_left_object_counts_until_two_seconds_after_it_lies_still() -> None:
    settings = alone("abandoned_object", "plaza", 4)
    scene = plan_scene(settings)
    person, thing = scene.tracks[:2]
    assert person.truth is not None
    assert thing.truth is not None
    still = next(
        time
        for time in np.arange(8.0, 12.0, 0.1)
        if np.abs(np.diff([thing.at(float(t))[:3] for t in np.arange(time, 14, 0.1)], axis=0)).max() < 1e-6
    )
    assert thing.truth.end == pytest.approx(still + 2, abs=0.25)
    assert person.truth.end < thing.truth.end
    frame = Painter(scene, grey=True).frame(10 * 14)
    assert not frame.truth


def test_everyone_who_runs_apart_is_in_the_truth() -> None:
    settings = replace(SMALL, width=320, height=180, duration=14, density=6.0, events=(EventPlan("scatter", 6.0),))
    scene = plan_scene(settings)
    painter = Painter(scene, grey=True)
    assert not painter.frame(58).truth
    frame = painter.frame(70)
    assert len(frame.truth) >= 3
    assert {region.kind for region in frame.truth} == {"scatter"}
    runners = [track for track in scene.tracks if track.truth is not None]
    assert all(track.states[:, 4].max() > 2.5 for track in runners if track.end > 8.5)


def test_a_mixture_of_events_spares_the_learning_part() -> None:
    for seed in range(40):
        settings = SceneSettings(seed=seed, duration=75, events="auto")
        plans = draw_plans(settings)
        assert settings.learning == 30
        assert len(plans) >= 3
        assert min(plan.start for plan in plans) > settings.learning + 1
        assert max(plan.start for plan in plans) < 74


def test_no_frame_of_the_learning_part_has_truth() -> None:
    settings = replace(SMALL, duration=30, events="auto", seed=11)
    painter = Painter(plan_scene(settings), grey=True)
    assert not any(painter.frame(index).truth for index in range(0, int(settings.learning * 10), 3))
    assert any(painter.frame(index).truth for index in range(int(settings.learning * 10), 300, 3))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_kind_of_event_finds_room_in_every_layout(layout: LayoutName) -> None:
    for seed in range(3):
        plans = tuple(EventPlan(kind, 10.0 + 12 * number) for number, kind in enumerate(KINDS))
        settings = SceneSettings(seed=seed, layout=layout, duration=120, events=plans)
        script = script_events(settings, choose_layout(settings))
        assert len(script.scatters) == 1
        assert {track.truth.kind for track in script.tracks if track.truth} == set(KINDS) - {"scatter"}


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"seed": -1}, "seed"),
        ({"width": 16}, "16x"),
        ({"frame_rate": Fraction(0)}, "frame rate"),
        ({"duration": 0.0}, "length"),
        ({"density": -2.0}, "density"),
        ({"events": (EventPlan("cyclist", 99.0),)}, "outside"),
    ],
)
def test_a_scene_that_cannot_be_is_refused_with_the_reason(wrong: dict[str, Any], word: str) -> None:
    with pytest.raises(SceneError, match=word):
        replace(SMALL, **wrong)

"""The bank a scene is learned from shows the very windows that watching shows, and cuts crops where things move."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.bank import build_bank, draw_crops, pairs_to_channels
from preprocess.pictures import Picture, WindowMode, WindowSettings
from preprocess.temporal import WindowBuilder, window_channels
from tests.scenes import Body, Scene, tiny_bank, walkers

TENTH = Fraction(1, 10)


def watched(pictures: list[Picture], windows: WindowSettings) -> dict[Fraction, np.ndarray]:
    builder = WindowBuilder(windows)
    made = [builder.push(picture) for picture in pictures]
    return {window.pts: window.channels for window in made if window is not None}


@pytest.mark.parametrize("mode", ["difference", "mean"])
@pytest.mark.parametrize("rate", [10, 15, 30])
def test_learning_and_watching_see_the_same_windows(rate: int, mode: WindowMode) -> None:
    scene = walkers()
    pictures = scene.film(rate, 2) + scene.film(rate, 2, start=4, segment=1)
    windows = WindowSettings(TENTH, 64, 40, mode)
    bank, seen = build_bank(pictures, windows), watched(pictures, windows)
    assert len(bank) == len(seen) > 0
    assert bank.times == tuple(seen)
    built = bank.windows(range(len(bank)))
    assert np.array_equal(built, np.stack([seen[time] for time in bank.times]))
    assert set(bank.segments) == {0, 1}
    assert bank.seconds == pytest.approx(4.0)


SEGMENTS = st.lists(st.lists(st.integers(10, 90), min_size=2, max_size=50), min_size=1, max_size=3)


@settings(max_examples=60)
@given(SEGMENTS, st.integers(20, 150))
def test_learning_and_watching_see_the_same_windows_at_any_frame_rate_however_it_varies(
    segments: list[list[int]], spacing: int
) -> None:
    pictures, now = [], Fraction(0)
    for number, steps in enumerate(segments):
        for step in steps:
            now += Fraction(step, 1000)
            pictures.append(Picture(np.full((16, 16), len(pictures), np.uint8), now, number))
        now += 5
    windows = WindowSettings(Fraction(spacing, 1000), 16, 16, "mean")
    bank, seen = build_bank(pictures, windows), watched(pictures, windows)
    assert bank.times == tuple(seen)
    for row, window in zip(range(len(bank)), seen.values(), strict=True):
        assert np.array_equal(bank.windows([row])[0], window)


def test_a_camera_that_turns_to_a_faster_frame_rate_goes_on_giving_windows() -> None:
    scene = walkers()
    pictures = scene.film(10, 22) + scene.film(30, 3, start=22)
    windows = WindowSettings(TENTH, 64, 40)
    bank = build_bank(pictures, windows)
    assert bank.times == tuple(watched(pictures, windows))
    assert sum(time > 23 for time in bank.times) >= 59


@pytest.mark.parametrize("rate", [4, 8, 9])
def test_footage_of_a_slower_clip_gives_windows_too(rate: int) -> None:
    scene = walkers()
    pictures = scene.film(10, 4) + [replace(picture, segment=1) for picture in scene.film(rate, 10, start=5)]
    windows = WindowSettings(TENTH, 64, 40)
    bank = build_bank(pictures, windows)
    assert bank.times == tuple(watched(pictures, windows))
    assert bank.segments.count(1) >= 10 * rate - 25  # the period is known after a dozen pictures


def test_the_faster_tables_are_the_same_scene_at_larger_spacings() -> None:
    bank = tiny_bank(seconds=4.0)
    for multiple in (2, 3):
        table = bank.tables[multiple]
        assert len(table) == 40 - 5 * multiple
        assert np.all(np.diff(table, axis=1) == -multiple)


def test_footage_too_short_for_a_window_gives_an_empty_bank() -> None:
    scene = Scene()
    windows = WindowSettings(TENTH, 64, 40)
    for pictures in ([], scene.film(10, 0.1), scene.film(10, 0.5)):
        assert len(build_bank(pictures, windows)) == 0


def test_reading_ends_where_it_is_told_to_and_at_the_bound_of_memory() -> None:
    scene = Scene()
    windows = WindowSettings(TENTH, 64, 40)
    asked = iter([True] * 19 + [False] * 100)
    assert len(build_bank(scene.film(10, 5), windows, keep_going=lambda: next(asked)).pictures) == 20
    assert len(build_bank(scene.film(10, 5), windows, most_pictures=12)) == 7


def test_the_background_is_the_scene_without_what_moves_through_it() -> None:
    empty = Scene(noise=0.0)
    busy = Scene(bodies=walkers().bodies, noise=0.0)
    bank = tiny_bank(busy)
    assert np.abs(bank.background - empty.luma(0)).mean() < 1.5
    assert np.abs(busy.luma(1.0).astype(float) - empty.luma(0)).mean() > 3


def test_motion_is_found_in_the_cells_where_something_moves() -> None:
    scene = Scene(bodies=(Body(8, 20, start=20, top=24),), noise=0.0)
    bank = tiny_bank(scene, seconds=2.0)
    row = 5  # t = 1.0 s: the body lies at columns 40 to 48, rows 24 to 41
    assert bank.times[row] == 1
    cells = np.argwhere(bank.motion[row] > 2)
    assert len(cells) > 0
    assert cells[:, 0].min() >= 3
    assert cells[:, 0].max() <= 5
    assert cells[:, 1].min() >= (30 // 8) - 1
    assert cells[:, 1].max() <= 6


def test_a_part_holds_its_windows_alone_and_shares_the_pictures() -> None:
    bank = tiny_bank(seconds=6.0)
    part = bank.part(10, 30)
    assert len(part) == 20
    assert part.times == bank.times[10:30]
    assert part.pictures is bank.pictures
    assert np.array_equal(part.windows(range(20)), bank.windows(range(10, 30)))
    assert np.array_equal(part.motion, bank.motion[10:30])
    assert part.seconds == pytest.approx(bank.seconds * 20 / len(bank))
    newest = bank.tables[1][10:30, 0]
    for table in part.tables.values():
        assert table[:, 0].min() >= newest.min()
        assert table[:, 0].max() <= newest.max()
    assert len(bank.part(7, 7)) == 0


def test_crops_are_cut_where_something_moves() -> None:
    scene = Scene(width=160, height=120, bodies=(Body(8, 12, start=60, top=50),))
    bank = tiny_bank(scene, seconds=4.0)

    def moving(share: float) -> float:
        crops, behind = draw_crops(bank, 60, 32, np.random.default_rng(0), moving_share=share)
        assert crops.shape == (60, 6, 32, 32)
        assert behind.shape == (60, 32, 32)
        changes = np.abs(crops[:, 0].astype(float) - crops[:, 1]) > 20
        return float(changes.any((1, 2)).mean())

    assert moving(1.0) > 0.75
    assert moving(0.0) < 0.4


@pytest.mark.parametrize("multiple", [1, 2, 3])
def test_crops_of_faster_windows_are_cut_where_something_moves_then(multiple: int) -> None:
    scene = Scene(width=320, height=64, bodies=(Body(8, 40, start=0, top=24),))
    bank = tiny_bank(scene, seconds=8.0)
    crops, _ = draw_crops(bank, 40, 24, np.random.default_rng(0), multiple=multiple, moving_share=1.0, jitter=0.0)
    changes = np.abs(crops[:, 0].astype(float) - crops[:, 1]) > 20
    assert changes.any((1, 2)).mean() > 0.75


def test_crops_are_whole_pictures_of_one_window_with_the_background_behind_them() -> None:
    bank = tiny_bank(seconds=3.0)
    random = np.random.default_rng(3)
    crops, behind = draw_crops(bank, 5, 64, random)
    for crop, back in zip(crops, behind, strict=True):
        lefts = [x for x in range(33) if np.array_equal(bank.background[:, x : x + 64], back)]
        assert len(lefts) == 1
        left = lefts[0]
        windows = [bank.pictures[row, :, left : left + 64] for row in bank.tables[1]]
        assert any(np.array_equal(window, crop) for window in windows)


def test_the_same_seed_cuts_the_same_crops() -> None:
    bank = tiny_bank(seconds=3.0)
    first = draw_crops(bank, 8, 32, np.random.default_rng(5))[0]
    assert np.array_equal(first, draw_crops(bank, 8, 32, np.random.default_rng(5))[0])
    assert not np.array_equal(first, draw_crops(bank, 8, 32, np.random.default_rng(6))[0])


@pytest.mark.parametrize("mode", ["difference", "mean"])
def test_crops_and_whole_windows_are_paired_alike(mode: WindowMode) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (6, 16, 16), np.uint8)
    paired = pairs_to_channels(torch.from_numpy(pictures[None]).float(), mode)
    assert np.allclose(paired[0].numpy(), window_channels(list(pictures), mode), atol=1e-6)

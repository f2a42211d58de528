"""RBDC and TBDC: by hand, against labelling the components at every threshold, and how the curve is cut and held."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.evaluation.metrics import PixelTally, pooled_region_curves
from detectors.evaluation.metrics import tally as metrics_tally
from detectors.evaluation.metrics.regions import RegionTree, every_nth
from detectors.evaluation.metrics.tracks import overlaps, truth_boxes


def smooth(rng, height=48, width=64, cells=8):
    coarse = rng.normal(size=(cells * height // width, cells)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def components(levels, threshold):
    """Boxes of the 8-connected components at a threshold."""
    return truth_boxes(levels >= threshold, smallest=1)


def tallied(levels, masks):
    tally = PixelTally()
    for level, mask in zip(levels, masks, strict=True):
        tally.add(level, mask)
    return tally.result()


def areas_by_labelling(levels, masks, track_of):
    """RBDC and TBDC by the definition, threshold by threshold; ``track_of[frame]`` numbers the frame's regions."""
    truths = [truth_boxes(mask) for mask in masks]
    lengths = np.bincount(np.concatenate(track_of))
    points = [(0.0, 0.0, 0.0)]
    for threshold in np.unique(np.stack(levels))[::-1]:
        false, hits = 0, np.zeros(lengths.size)
        for level, truth, tracks in zip(levels, truths, track_of, strict=True):
            shared = overlaps(components(level, threshold), truth) >= 0.1
            false += int((~shared.any(axis=1)).sum())
            np.add.at(hits, np.asarray(tracks, int), shared.any(axis=0))
        if false > len(levels):
            break
        points.append((false / len(levels), hits.sum() / lengths.sum(), (hits >= 0.1 * lengths).mean()))
    x, regions, tracks = np.maximum.accumulate(np.array(points)).T
    x, regions, tracks = np.append(x, 1), np.append(regions, regions[-1]), np.append(tracks, tracks[-1])
    return np.trapezoid(regions, x), np.trapezoid(tracks, x)


def scene(seed, frames=5):
    """A thing that walks through all frames, another in the last two, on maps that see them more or less."""
    rng = np.random.default_rng(seed)
    levels, masks, tracks = [], [], []
    for frame in range(frames):
        level, mask = smooth(rng), np.zeros((48, 64), bool)
        mask[10:20, 5 + 4 * frame : 15 + 4 * frame] = True
        tracks.append([0])
        if frame >= frames - 2:
            mask[30:42, 40:50] = True
            tracks[-1].append(1)
        levels.append(np.round(level + rng.uniform(0, 2) * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2), 2))
        masks.append(mask)
    return levels, masks, tracks


@pytest.mark.parametrize("seed", range(4))
def test_areas_are_those_of_labelling_at_every_threshold(seed) -> None:
    levels, masks, tracks = scene(seed)
    curves = pooled_region_curves([tallied(levels, masks)])
    assert curves is not None
    assert (curves.rbdc(), curves.tbdc()) == pytest.approx(areas_by_labelling(levels, masks, tracks), abs=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 5, 1000]))
def test_the_tree_knows_the_regions_of_every_threshold(seed, kinds) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, kinds, (9, 11)).astype(np.float32)
    truth = np.array([[1, 1, 6, 5], [4, 3, 11, 9]], np.int32)[: rng.integers(0, 3)]
    judged = RegionTree(levels).judge(truth)
    for threshold in np.unique(levels):
        shared = overlaps(components(levels, threshold), truth) >= 0.1
        assert judged.changes[judged.levels >= threshold].sum() == (~shared.any(axis=1)).sum()
        now = (judged.found_from >= threshold) & (threshold > judged.found_until)
        assert sorted(judged.regions[now].tolist()) == np.flatnonzero(shared.any(axis=0)).tolist()


def plateau(*rectangles, size=(40, 60)):
    """A map of 0 with rectangles ``(left, top, right, bottom, level)``."""
    levels = np.zeros(size, np.float32)
    for left, top, right, bottom, level in rectangles:
        levels[top:bottom, left:right] = level
    return levels


def test_a_hand_computed_set() -> None:
    mask, none = plateau((0, 0, 10, 10, 1)) > 0, np.zeros((40, 60), bool)
    levels = [
        plateau((0, 0, 10, 10, 9)),  # found at 9
        plateau((30, 20, 35, 25, 8)),  # false at 8, the truth (a second region of the track) never found
        plateau((30, 20, 35, 25, 7), (50, 0, 55, 5, 7)),  # false twice at 7, nothing to find
        plateau(),
    ]
    curves = pooled_region_curves([tallied(levels, [mask, mask, none, none])])
    assert curves is not None
    # At 0 every picture is one region of 2400 pixels, which overlaps the 100 true ones by less than a tenth: four
    # false regions in four frames, a rate of exactly 1. What was found before stays found.
    np.testing.assert_allclose(curves.false_per_frame, [0, 0, 0.25, 0.75, 1, 1])
    np.testing.assert_allclose(curves.regions, [0, 0.5, 0.5, 0.5, 0.5, 0.5])
    np.testing.assert_allclose(curves.tracks, [0, 1, 1, 1, 1, 1])
    assert curves.rbdc() == pytest.approx(0.5)
    assert curves.tbdc() == pytest.approx(1.0)


def test_the_curve_is_cut_where_more_than_one_region_a_frame_is_false_and_held_up_to_there() -> None:
    mask = plateau((0, 0, 10, 10, 1)) > 0
    far = [(20 + 8 * index, 20, 24 + 8 * index, 24, 5) for index in range(3)]
    curves = pooled_region_curves([tallied([plateau((0, 0, 10, 10, 3), *far)], [mask])])
    assert curves is not None
    # Three false regions at 5 before the true one at 3: nothing is found with at most one.
    assert curves.rbdc() == 0
    curves = pooled_region_curves([tallied([plateau((0, 0, 10, 10, 8), *far)], [mask])])
    assert curves is not None
    assert (curves.rbdc(), curves.tbdc()) == (1, 1)
    assert curves.false_per_frame[-1] == 1


def test_regions_that_merge_into_one_give_no_second_curve() -> None:
    """Below the cut the whole picture is one region a frame: what it would find again does not count."""
    mask = plateau((0, 0, 40, 40, 1)) > 0  # so large that the whole picture overlaps it
    far = [(42 + 6 * index, 2, 45 + 6 * index, 5, 5) for index in range(3)]
    curves = pooled_region_curves([tallied([plateau(*far)], [mask])])
    assert curves is not None
    assert curves.rbdc() == 0


def test_one_region_may_detect_two_things() -> None:
    mask = plateau((0, 0, 10, 10, 1), (12, 0, 22, 10, 1)) > 0
    curves = pooled_region_curves([tallied([plateau((0, 0, 22, 10, 4))], [mask])])
    assert curves is not None
    assert curves.rbdc() == 1


def test_a_track_needs_a_tenth_of_its_regions() -> None:
    mask = plateau((0, 0, 10, 10, 1)) > 0
    for length, expected in ((10, 1), (11, 0)):
        levels = [plateau((0, 0, 10, 10, 4))] + [plateau()] * (length - 1)
        curves = pooled_region_curves([tallied(levels, [mask] * length)])
        assert curves is not None
        assert curves.tbdc() == expected
        assert curves.rbdc() == pytest.approx(1 / length)


def test_tracks_of_several_clips_stay_apart() -> None:
    mask = plateau((0, 0, 10, 10, 1)) > 0
    found, missed = tallied([plateau((0, 0, 10, 10, 4))], [mask]), tallied([plateau()], [mask])
    curves = pooled_region_curves([missed, found, missed])
    assert curves is not None
    assert curves.tbdc() == pytest.approx(1 / 3)


@pytest.mark.parametrize("transform", [np.exp, np.arctan, lambda x: x**3])
def test_a_rising_transform_changes_nothing(transform) -> None:
    levels, masks, _ = scene(7)
    before = pooled_region_curves([tallied(levels, masks)])
    after = pooled_region_curves([tallied([transform(level.astype(np.float64)) for level in levels], masks)])
    assert before is not None
    assert after is not None
    assert (after.rbdc(), after.tbdc()) == (before.rbdc(), before.tbdc())


def test_of_large_pictures_the_middles_of_blocks_are_used() -> None:
    levels = np.arange(15, dtype=np.float32).reshape(3, 5)
    np.testing.assert_array_equal(every_nth(levels, 2), [[6, 8, 9], [11, 13, 14]])
    np.testing.assert_array_equal(every_nth(levels, 3), [[6, 9]])
    np.testing.assert_array_equal(every_nth(levels, 1), levels)


def test_boxes_of_a_reduced_map_cover_whole_blocks_of_the_picture() -> None:
    levels = plateau((11, 5, 14, 9, 3), size=(39, 59))
    judged = RegionTree(levels, most_blocks=600).judge(np.array([[10, 4, 14, 10]], np.int32))  # blocks of 2
    assert judged.found_from.tolist() == [3]
    assert overlaps(np.array([[10, 4, 14, 10]]), np.array([[10, 4, 14, 10]])).item() == 1
    assert RegionTree(levels, most_blocks=600).judge(np.array([[0, 0, 59, 39]], np.int32)).found_from.tolist() == [0]


def test_reducing_smooth_maps_hardly_changes_the_areas(monkeypatch) -> None:
    areas = []
    for most in (6_000, 1_500):  # every pixel, and every second
        monkeypatch.setattr(metrics_tally, "RegionTree", partial(RegionTree, most_blocks=most))
        rng = np.random.default_rng(5)
        levels, masks = [], []
        for frame in range(60):
            mask = np.zeros((60, 80), bool)
            mask[25:45, frame : 15 + frame] = frame % 3 > 0
            seen = rng.uniform(2, 6) * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 4)
            levels.append(smooth(rng, 60, 80, 6) + seen)
            masks.append(mask)
        curves = pooled_region_curves([tallied(levels, masks)])
        assert curves is not None
        areas.append(curves.rbdc())
    assert 0.2 < areas[0] < 0.9
    assert areas[1] == pytest.approx(areas[0], abs=0.01)

"""A clip of a benchmark is read, painted and scored as it would be watched."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from detectors.evaluation.energy import fit_energy
from detectors.evaluation.protocol import Clip, Rectangle
from preprocess.errors import InputError
from preprocess.temporal import WindowBuilder
from streamer.evaluate_footage import IGNORED_GREY, ClipFootage, facts_of, used_frames, without
from streamer.evaluate_scores import ClipScores, score_clip
from streamer.events import EventMachine, EventSettings, MessageKind
from tests.scenes import Recorded
from tests.streamer.evaluate_set import INTRUDED, SCENE, write_clip

FRAMES = 40


@pytest.fixture(scope="module")
def model():
    return fit_energy(Recorded(SCENE.film(10, 8)))


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Clip:
    folder = tmp_path_factory.mktemp("clips") / "run"
    write_clip(folder, [SCENE] * 10 + [INTRUDED] * (FRAMES - 10), first=305)
    return Clip("run", str(folder))


def scored(model, clip, **options) -> ClipScores:
    return score_clip(model, clip, **{"score": "joint", "false_alarms_per_day": 1.0, "batch_size": 8, **options})


def test_only_the_frames_of_the_protocol_are_used(clip):
    part = Clip("part", clip.uri, start=3, stop=20, every=4)
    used = list(used_frames(part))
    assert [item.number for item in used] == [0, 1, 2, 3, 4]
    assert [item.frame.index for item in used] == [3, 7, 11, 15, 19]
    facts = facts_of(part)
    assert (facts.frames, facts.period, facts.size) == (5, Fraction(4, 10), (96, 64))


def test_ignored_parts_are_one_grey_in_learning_and_test(clip):
    label = (Rectangle(4, 2, 10, 6),)
    for luma in (
        next(used_frames(clip, label)).luma,
        next(ClipFootage([clip], label).pictures()).luma,
    ):
        assert (luma[2:8, 4:14] == IGNORED_GREY).all()
        assert luma[8:, :].std() > 1
    untouched = np.zeros((4, 4), np.uint8)
    assert without(untouched, ()) is untouched


def test_clips_follow_each_other_in_time_and_share_no_segment(clip):
    second = Clip("again", clip.uri, start=30)
    pictures = list(ClipFootage([clip, second]).pictures())
    assert len(pictures) == FRAMES + 10
    assert pictures[FRAMES].pts - pictures[FRAMES - 1].pts == Fraction(1, 10)
    assert pictures[FRAMES].segment > pictures[FRAMES - 1].segment
    assert all(later.pts > earlier.pts for earlier, later in pairwise(pictures))


def test_a_clip_is_scored_and_alarmed_as_watching_would(model, clip):
    mine = scored(model, clip)
    scorer = model.scorer((96, 64), period=Fraction(1, 10))
    builder = WindowBuilder(scorer.windows)
    machine = EventMachine("run", EventSettings.at(scorer.threshold))
    levels, messages = [], []
    for picture in ClipFootage([clip]).pictures():
        window = builder.push(picture)
        verdict = None if window is None else scorer.verdicts([window])[0]
        levels.append(float("nan") if verdict is None else verdict.score)
        messages += machine.push(picture.pts, verdict)
    ended = [m.event for m in [*messages, *machine.close()] if m.kind is MessageKind.END]
    calibration = model.knowledge.calibrations["joint"]
    np.testing.assert_allclose(calibration.level(mine.statistic), levels, rtol=1e-5)
    assert mine.events.tolist() == [[float(event.start), float(event.end)] for event in ended]
    assert len(ended) >= 1
    assert len(mine.boxes) == sum(len(event.track) for event in ended)


def test_batches_do_not_change_what_a_clip_scores(model, clip):
    one, other = scored(model, clip, batch_size=1), scored(model, clip, batch_size=64)
    np.testing.assert_array_equal(one.statistic, other.statistic)
    np.testing.assert_array_equal(one.maps, other.maps)
    np.testing.assert_array_equal(one.events, other.events)


def test_maps_lie_on_the_pictures_pixels_and_hold_the_frames_score(model, clip):
    scores = scored(model, clip)
    row = int(np.nanargmax(scores.statistic[scores.rows]))
    pixels = scores.pixels(row)
    assert pixels.shape == (64, 96)
    highest = scores.statistic[scores.rows[row]]
    assert scores.maps[row].max() == pytest.approx(highest, rel=1e-3)
    assert 0.95 * highest < pixels.max() <= 1.001 * highest  # a cell's centre lies between pixels


def test_scores_come_back_from_their_arrays_as_they_were(model, clip):
    scores = scored(model, clip)
    again = ClipScores.from_arrays(scores.to_arrays())
    for name in ClipScores.__slots__:
        np.testing.assert_equal(getattr(again, name), getattr(scores, name))


def test_one_networks_share_has_no_events_of_its_own(model, clip):
    scores = scored(model, clip, score="inpainter")
    assert not scores.alarming
    assert len(scores.events) == 0
    assert np.isnan(scores.threshold)


def test_a_clip_without_a_window_is_refused(model, clip):
    with pytest.raises(InputError, match=r"run: no frame could be scored; a clip needs \d"):
        scored(model, Clip("short", clip.uri, stop=3))

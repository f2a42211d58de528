"""A live camera's calibration becomes that of hours: bounded, not spoiled by what alarms, and without creeping."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detectors.ground import NoveltyTail
from detectors.learning import TOLERATED
from detectors.live_learning import GUARD, LOOKS, LearningSettings, LiveLearner, Use, refreshed
from detectors.refreshing import alarm_bound
from tests.live_scores import RATE, events_per_day, film, first_model, judged, small_base, watch

if TYPE_CHECKING:
    from fractions import Fraction

    from detectors.base import Scores
    from detectors.calibration import Calibration
    from detectors.scene_model import SceneModel

BASE = small_base()
FIRST = first_model(BASE)
SETTINGS = LearningSettings(learn_seconds=1e9, false_alarms_per_day=200.0)
MINUTE = 60 * RATE  # frames


def learner(**settings: float) -> LiveLearner:
    return LiveLearner(FIRST, replace(SETTINGS, **settings))


def threshold(model: SceneModel) -> float:
    return alarm_bound(model.knowledge.calibrations["joint"], SETTINGS.false_alarms_per_day)


def fed(uses: list[Use], scores: Scores | None = None, **settings: float) -> LiveLearner:
    """A learner that saw a minute with these uses."""
    shown, times, segments = film(BASE, 60, 1)
    found = learner(**settings)
    found.take(scores or shown, times, segments, uses)
    return found


def test_memory_stays_bounded_however_long_it_watches() -> None:
    small = learner(memory_bytes=200_000)
    most = 0
    for minute in range(30):
        scores, times, segments = film(BASE, 60, minute, 60.0 * minute)
        small.take(scores, times, segments, [Use.NORMAL] * len(times))
        most = max(most, small.nbytes)
        assert small.nbytes <= 200_000
    assert most > 100_000


def test_refreshes_come_on_a_doubling_schedule_and_each_knows_more() -> None:
    seconds: list[float] = []
    watch(learner(), 40 * 60, refreshed_to=lambda m: seconds.append(m.knowledge.calibrations["joint"].seconds))
    assert len(seconds) in (5, 6)
    assert seconds == sorted(seconds)
    assert seconds[-1] > 0.8 * 30 * 60


def test_a_refreshed_model_keeps_detector_and_windows_and_says_what_it_learned_from() -> None:
    found = learner()
    watch(found, 120)
    assert found.model is not FIRST
    assert found.model.detector is FIRST.detector
    assert found.model.windows is FIRST.windows
    assert found.model.header.training["refreshes"] == found.progress.refreshes >= 1
    assert found.model.header.trained_on["footage_seconds"] > 45
    assert found.model.scorer((32, 32), false_alarms_per_day=1.0).threshold > 0


@pytest.mark.parametrize("asked", [1.0, 1000.0])
def test_the_rate_of_false_events_stays_near_the_rate_asked_for_and_does_not_creep_up(asked: float) -> None:
    """Alarms are left out of learning all the time: with 1000 a day every fourth of all bodies."""
    met: list[float] = []
    aimed: list[float] = []

    def remember(model: SceneModel) -> None:
        met.append(events_per_day(model, asked))
        aimed.append(model.knowledge.calibrations["joint"].rate_set(asked))

    watch(LiveLearner(FIRST, replace(SETTINGS, false_alarms_per_day=asked)), 42 * 60, seed=3, refreshed_to=remember)
    ratios = np.array(met) / aimed
    assert len(ratios) == 5
    assert 1 / 3 < ratios[-1] < 3
    assert ratios[-1] <= ratios[1:].max()


def test_frames_that_alarm_teach_nothing_whatever_they_show() -> None:
    uses = [Use.ALARM if 200 <= n < 210 else Use.NORMAL for n in range(MINUTE)]
    shown, _, _ = film(BASE, 60, 1)
    strange = shown.detector.clone()
    strange[200:210] = 40.0
    usual, spoiled = (fed(uses, scores) for scores in (shown, replace(shown, detector=strange)))
    one, two = (refreshed(found.snapshot()).model.knowledge for found in (usual, spoiled))
    assert one.places is not None
    assert two.places is not None
    assert np.array_equal(one.places.detector_mean, two.places.detector_mean)
    assert one.calibrations == two.calibrations


def test_the_moments_around_an_alarm_are_not_learned_from_either() -> None:
    found = fed([Use.ALARM if n == 300 else Use.NORMAL for n in range(MINUTE)])
    times = np.concatenate([stretch.times for stretch in found.snapshot().stretches])
    assert not ((times > 30 - GUARD) & (times < 30 + GUARD)).any()
    assert ((times > 30 - 2 * GUARD) & (times < 30 - GUARD)).any()
    assert ((times > 30 + GUARD) & (times < 30 + 2 * GUARD)).any()


def test_a_frame_that_could_not_be_judged_is_neither_time_nor_learned_from() -> None:
    found = fed([Use.UNUSABLE if 100 <= n < 400 else Use.NORMAL for n in range(MINUTE)])
    assert found.progress.watched == pytest.approx(30, abs=0.3)
    times = np.concatenate([stretch.times for stretch in found.snapshot().stretches])
    assert not ((times >= 10) & (times < 40)).any()


def test_frames_that_alarm_count_as_time() -> None:
    found = fed([Use.ALARM if 100 <= n < 400 else Use.NORMAL for n in range(MINUTE)])
    assert found.progress.watched == pytest.approx(60, abs=0.3)


def test_a_stretch_never_spans_a_gap() -> None:
    scores, times, segments = film(BASE, 60, 1)
    later = [time + (5 if n >= 333 else 0) for n, time in enumerate(times)]
    found = learner()
    found.take(scores, later, [*segments[:450], *[1] * 150], [Use.NORMAL] * MINUTE)
    for stretch in found.snapshot().stretches:
        assert np.diff(stretch.times).max() < 0.11
        assert not stretch.times[0] < times[450] + 5 <= stretch.times[-1]


def test_a_calibration_under_which_everything_alarms_is_corrected_upwards() -> None:
    """The first minute was quiet: what is usual later reaches its threshold every few seconds."""
    knowledge = FIRST.knowledge
    above = {d: alarm_bound(c, SETTINGS.false_alarms_per_day) - 2.3 for d, c in knowledge.calibrations.items()}
    low = {d: replace(c, event_start=c.event_start - above[d]) for d, c in knowledge.calibrations.items()}
    quiet = replace(FIRST, knowledge=replace(knowledge, calibrations=low))
    found = LiveLearner(quiet, SETTINGS)
    shares = []
    for minute in range(16):
        scores, times, segments = film(BASE, 60, minute, 60.0 * minute)
        uses = judged(found.model, scores, SETTINGS.false_alarms_per_day)
        shares.append(uses.count(Use.ALARM) / len(uses))
        found.take(scores, times, segments, uses)
        if found.due:
            found.adopt(refreshed(found.snapshot()))
    assert shares[0] > TOLERATED
    assert np.mean(shares[-4:]) < TOLERATED / 2
    assert threshold(found.model) > threshold(quiet) + 1


def test_rare_alarms_of_any_number_leave_the_threshold_where_it_is() -> None:
    """Intruders twice a minute are irregular, however often they come."""
    calm, visited = learner(), learner()
    for minute in range(17):
        scores, times, segments = film(BASE, 60, minute, 60.0 * minute)
        uses = [Use.NORMAL] * len(times)
        calm.take(scores, times, segments, uses)
        uses[100:110] = uses[400:410] = [Use.ALARM] * 10
        visited.take(scores, times, segments, uses)
        for found in (calm, visited):
            if found.due:
                found.adopt(refreshed(found.snapshot()))
    assert threshold(visited.model) == pytest.approx(threshold(calm.model), rel=0.25)


def test_the_threshold_never_lies_below_what_normal_footage_reached() -> None:
    found = learner(false_alarms_per_day=1.0)
    watch(found, 8 * 60)
    time = 8 * 60.0
    scores, times, segments = film(BASE, 60, 77, time)
    scores.detector[300:320, 1, 1] = scores.residual[300:320, 1, 1] = 0.0
    level = 0.93 * alarm_bound(found.model.knowledge.calibrations["joint"], 1.0)
    places = found.model.knowledge.places
    assert places is not None
    joined = 2**-0.5 * 2**0.5 / float(found.model.knowledge.fusion.join(np.ones(1), np.ones(1))[0])
    for part, mean, spread in (
        (scores.residual, places.inpainter_mean, places.inpainter_spread),
        (scores.detector, places.detector_mean, places.detector_spread),
    ):
        part[300:320, 1, 1] = float(mean[1, 1] + level * joined * spread[1, 1])
    found.take(scores, times, segments, judged(found.model, scores, 1.0))
    assert max(found.progress.watches["joint"][-1].peaks) == pytest.approx(level, rel=0.02)
    new = refreshed(found.snapshot())
    assert alarm_bound(new.model.knowledge.calibrations["joint"], 1.0) >= new.changes["joint"](level) * 0.99


def test_learning_is_provisional_until_its_time_is_over_and_then_ends() -> None:
    found = learner(learn_seconds=300.0)
    assert found.provisional
    watch(found, 240)
    assert found.provisional
    watch(found, 120, first=240.0)
    assert not found.provisional
    assert not found.due
    assert found.nbytes == 0
    assert found.model.knowledge.calibrations["joint"].seconds > 200
    model = found.model
    watch(found, 120, first=360.0)
    assert found.model is model


def test_no_time_to_learn_means_the_first_model_stays_and_nothing_is_provisional() -> None:
    found = learner(learn_seconds=0.0)
    watch(found, 120)
    assert not found.provisional
    assert found.model is FIRST


def test_a_restart_goes_on_and_waits_until_as_much_was_seen_as_before() -> None:
    before = learner()
    watch(before, 10 * 60)
    known = before.progress
    after = LiveLearner(before.model, SETTINGS, progress=known)
    assert after.progress == known
    refreshes: list[SceneModel] = []
    time = watch(after, 7 * 60, first=1000.0, seed=1, refreshed_to=refreshes.append)
    assert not refreshes
    watch(after, 6 * 60, first=time, seed=2, refreshed_to=refreshes.append)
    assert len(refreshes) == 1
    seconds = [model.knowledge.calibrations["joint"].seconds for model in (before.model, after.model)]
    assert seconds[0] < seconds[1]
    assert after.progress.watched == pytest.approx(23 * 60, rel=0.02)


def test_frames_seen_while_a_refresh_is_made_are_counted_on() -> None:
    found = learner()
    scores, times, segments = film(BASE, 75, 0)
    found.take(scores, times, segments, [Use.NORMAL] * len(times))
    assert found.due
    snapshot = found.snapshot()
    assert not found.due
    scores, times, segments = film(BASE, 60, 1, 75)
    found.take(scores, times, segments, [Use.NORMAL] * len(times))
    found.adopt(refreshed(snapshot))
    assert found.progress.watched == pytest.approx(135, abs=0.5)
    assert sum(watched.seconds for watched in found.progress.watches["joint"]) > 110
    with pytest.raises(ValueError, match="does not follow"):
        found.adopt(refreshed(snapshot))


def test_a_refresh_that_failed_is_tried_again_later() -> None:
    found = fed([Use.NORMAL] * MINUTE)
    scores, times, segments = film(BASE, 60, 2, 60.0)
    found.snapshot()
    found.abandon()
    found.take(scores, times, segments, [Use.NORMAL] * MINUTE)
    assert found.due


def test_cells_that_cannot_alarm_set_no_threshold() -> None:
    cells = np.ones((BASE.grid.rows, BASE.grid.columns), bool)
    cells[0, 0] = False
    scores, times, segments = film(BASE, 75, 1)
    scores.detector[::7, 0, 0] = 30.0
    thresholds = []
    for watched in (None, cells):
        found = LiveLearner(FIRST, SETTINGS, watched=watched)
        found.take(scores, times, segments, [Use.NORMAL] * len(times))
        thresholds.append(threshold(refreshed(found.snapshot()).model))
    assert thresholds[1] < thresholds[0]


WALKED = NoveltyTail((0.0, 3.0), (0.05, 0.005))


def walking(seconds: float, first: float = 0.0) -> tuple[Scores, list[Fraction], list[int]]:
    """A body of two cells that walks to and fro along one row."""
    scores, times, segments = film(BASE, seconds, 5, first)
    motion = torch.zeros_like(scores.motion)
    for n in range(len(times)):
        column = n // 3 % motion.shape[2]
        motion[n, 1, column] = motion[n, 0, column] = 0.5
    return replace(scores, motion=motion), times, segments


def test_where_people_walk_is_learned_where_the_empty_scene_was_seen_and_kept_where_it_was_not() -> None:
    first = replace(FIRST, knowledge=replace(FIRST.knowledge, novelty_tail=WALKED))
    found = LiveLearner(first, SETTINGS)
    for second in range(0, 60, 5):
        found.look(np.full((64, 64), 100, np.uint8), float(second))
    found.take(*walking(75), [Use.NORMAL] * 75 * RATE)
    known = found.adopt(refreshed(found.snapshot())).knowledge
    assert known.ground is not None
    assert known.calibrations["joint"].causes == 2
    assert known.ground.statistic[1].mean() < known.ground.statistic[3].mean()
    found.take(*walking(75, 75.0), [Use.NORMAL] * 75 * RATE)
    unseen = refreshed(replace(found.snapshot(), background=None)).model.knowledge
    assert unseen.ground is not None
    spreads = [np.ptp(k.ground.statistic) / k.calibrations["joint"].event_scale for k in (known, unseen) if k.ground]
    assert spreads[1] == pytest.approx(spreads[0], rel=1e-3)


def test_pictures_of_the_empty_scene_are_few_and_spread_over_the_time() -> None:
    found = learner()
    for second in range(20_000):
        found.look(np.zeros((32, 32), np.uint8), float(second))
    moments = [moment for moment, _ in found._looks]
    assert len(moments) <= LOOKS
    assert moments[0] == 0
    assert moments[-1] > 15_000


def test_time_in_which_nothing_moves_is_no_part_of_the_scale() -> None:
    def calibrated(*, often_empty: bool) -> Calibration:
        found = learner()
        for minute in range(4):
            scores, times, segments = film(BASE, 60, [3, minute], 60 * minute)
            if often_empty:
                empty = torch.tensor([time % 20 >= 10 for time in times])
                scores.detector[empty] -= 8
                scores.residual[empty] -= 8
                scores.motion[empty] = 0
            found.take(scores, times, segments, [Use.NORMAL] * len(times))
        return refreshed(found.snapshot()).model.knowledge.calibrations["joint"]

    empty, busy = calibrated(often_empty=True), calibrated(often_empty=False)
    assert empty.knots[0] == pytest.approx(busy.knots[0], abs=1.0)
    assert empty.seconds == pytest.approx(busy.seconds)
    reached = [calibration.statistic(calibration.threshold(285)) for calibration in (empty, busy)]
    assert reached[0] == pytest.approx(reached[1], abs=1.5)

"""A new model of a camera from what a live learner keeps: a pure function, for a background thread."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.calibration import Calibration, calibrate
from detectors.checkpoint import current_versions
from detectors.evidence import places_from, something_moves
from detectors.ground import Ground, learn_novelty
from detectors.learning import TOLERATED, ground_of, with_ground
from detectors.peaks import Rescaling, with_peaks
from detectors.scene_model import DECISIONS, Knowledge, SceneModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detectors.evidence import Decision
    from detectors.peaks import Watch
    from detectors.score_store import Stretch
    from detectors.scorer import EvidenceStream
    from preprocess.geometry import CellGrid

FEWEST_COMPARED = 50  # frames seen under the model before, from which on both models' statistics are compared


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a live learner knew at one moment; read only by agreement.

    Attributes:
        model: the model in use.
        refresh: its number.
        basis: normal footage behind the sums, seconds.
        stretches: sample of the normal footage.
        sums: ``(8, h, w)`` :func:`detectors.evidence.place_sums` of all normal footage.
        visits: ``(h, w)`` feet over all normal footage.
        background: ``(h, w)`` grey of the empty scene, grey levels; None where it was not seen.
        watches: what was reached so far; none where the calibration proved wrong.
        alarm_share: share of the time under this model that alarmed.
        alarms_per_second: alarms under this model per second watched with it.
        false_alarms_per_day: what the camera is watched with.
        cells: ``(h, w)`` cells whose evidence can alarm; None: all.
        second_start: seconds that alarmed for the most part and are learned from for that; 0 as a rule.
    """

    model: SceneModel
    refresh: int
    basis: float
    stretches: tuple[Stretch, ...]
    sums: NDArray[np.float64]
    visits: NDArray[np.float64]
    background: NDArray[np.float32] | None
    watches: Mapping[Decision, tuple[Watch, ...]]
    alarm_share: float
    alarms_per_second: float
    false_alarms_per_day: float
    cells: NDArray[np.bool_] | None
    second_start: float = 0.0


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A refreshed model.

    Attributes:
        model: with the detector and the windows of the one before.
        refresh: number of the model it was made from.
        basis: normal footage behind it, seconds.
        changes: how statistics under the model before become its own, by decision.
        watches_hold: whether what was reached before still counts.
    """

    model: SceneModel
    refresh: int
    basis: float
    changes: Mapping[Decision, Rescaling]
    watches_hold: bool


def refreshed(snapshot: Snapshot) -> Refreshed:
    """Learn places, calibration and ground anew from what a live learner keeps.

    Body and scale of the calibration are those of the sample of stretches, by the same function as for recordings;
    the events' tail follows from the highest peaks of all footage watched (:func:`detectors.peaks.with_peaks`).

    Args:
        snapshot: with at least one stretch.
    """
    model = snapshot.model
    before = model.knowledge
    places = places_from(snapshot.sums)
    known = replace(before, ground=None)
    frame_rate = 1.0 / float(np.median(np.concatenate([np.diff(stretch.times) for stretch in snapshot.stretches])))
    moves = [something_moves(stretch.maps[2], snapshot.cells) for stretch in snapshot.stretches]
    calibrations: dict[Decision, Calibration] = {}
    changes: dict[Decision, Rescaling] = {}
    for decision in DECISIONS:
        stream = known.stream(places, decision)
        found = [
            frame_statistics(stream, stretch, model.grid, number, snapshot.cells)
            for number, stretch in enumerate(snapshot.stretches)
        ]
        change = changes[decision] = _change(snapshot, found, decision)
        bound = change(alarm_bound(before.calibrations[decision], snapshot.false_alarms_per_day))
        alarms = _alarms(snapshot, sum(map(len, found)), frame_rate, bound)
        sampled = calibrate(
            [*found, *alarms],
            frame_rate,
            known.priors[decision],
            tolerated=TOLERATED,
            moving=[*moves, *(np.ones(len(alarm), np.bool_) for alarm in alarms)],
        )
        watches = [watch.rescaled(change) for watch in snapshot.watches.get(decision, ())]
        calibrations[decision] = with_peaks(sampled, watches, snapshot.false_alarms_per_day)
    knowledge = _grounded(snapshot, replace(known, places=places, calibrations=calibrations))
    kept: dict[str, Any] = {
        name: model.header.calibration[name] for name in ("body", "step") if name in model.header.calibration
    }
    header = replace(
        model.header,
        calibration={**kept, **knowledge.to_json(), "precision": str(model.detector.runtime.precision)},
        versions=current_versions(),
        trained_on={**model.header.trained_on, "footage_seconds": round(snapshot.basis, 3)},
        training={**model.header.training, "refreshes": snapshot.refresh + 1},
    )
    return Refreshed(
        replace(model, knowledge=knowledge, header=header),
        snapshot.refresh,
        snapshot.basis,
        changes,
        watches_hold=bool(snapshot.watches),
    )


def frame_statistics(
    stream: EvidenceStream, stretch: Stretch, grid: CellGrid, segment: int, cells: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Largest statistic of every frame of a stretch, ``(N,)``.

    Args:
        stream: goes on from the stretch before where that had the same segment.
        stretch: the frames.
        grid: of their maps.
        segment: what the stream is told.
        cells: ``(h, w)`` cells that count; None: all.
    """
    values = []
    for scores, times in stretch.pieces(grid):
        statistic = stream.push(scores, times, [segment] * len(times)).statistic
        values.append(statistic.max((1, 2)) if cells is None else statistic[:, cells].max(1))
    return np.concatenate(values)


def alarm_bound(calibration: Calibration, false_alarms_per_day: float) -> float:
    """Statistic from which frames alarm."""
    return calibration.statistic(calibration.threshold(false_alarms_per_day))


def _change(snapshot: Snapshot, found: list[NDArray[np.float32]], decision: Decision) -> Rescaling:
    """From the frames that were seen under the model in use, and are now judged by the new one."""
    pairs = [
        (stretch.statistics[decision], new)
        for stretch, new in zip(snapshot.stretches, found, strict=True)
        if stretch.refresh == snapshot.refresh
    ]
    if sum(len(old) for old, _ in pairs) < FEWEST_COMPARED:
        return Rescaling()
    return Rescaling.between(np.concatenate([old for old, _ in pairs]), np.concatenate([new for _, new in pairs]))


def _alarms(snapshot: Snapshot, frames: int, frame_rate: float, bound: float) -> list[NDArray[np.float64]]:
    """The frames left out for alarming, as many as belong to so many normal ones, known to have reached the bound."""
    share = min(snapshot.alarm_share, 0.99)
    count = round(frames * share / (1 - share))
    if count == 0:
        return []
    events = int(np.clip(round(snapshot.alarms_per_second * frames / frame_rate), 1, count))
    return list(np.array_split(np.full(count, bound), events))


def _grounded(snapshot: Snapshot, known: Knowledge) -> Knowledge:
    """Where people walk, learned anew; as before where too few feet or no empty scene were seen."""
    novelty = None
    if snapshot.background is not None:
        novelty = learn_novelty(snapshot.visits, snapshot.background)
    before = snapshot.model.knowledge
    ground = ground_of(known, novelty)
    if ground is None and before.ground is not None:
        # The statistic is linear in the logarithm of a rate: the same rates, on the new calibration's scale.
        old, new = before.calibrations["joint"], known.calibrations["joint"]
        falling = (before.ground.statistic - old.event_start) / old.event_scale
        rarer = math.log(new.event_rate * old.causes / old.event_rate)
        ground = Ground(np.asarray(new.event_start + new.event_scale * (falling + rarer), np.float32))
    return with_ground(known, ground)

"""Learning that goes on while a camera is watched: places and calibration become those of hours, the networks stay.

The first minute gives a model that can watch; from then on the learner hears what the networks said of every frame.
It knows no file, no camera and no clock: times are those of the frames. What it keeps is bounded: running sums for the
places and the ground (all normal footage enters, no frame is kept), a draw of whole stretches for the body of the
calibration (:mod:`detectors.score_store`), and the highest peaks for its tail (:mod:`detectors.peaks`).

Frames that alarm, and two seconds around them, teach nothing. They still count as time: where they are few (up to 5 %,
what learning tolerates anyway) the tail's likelihood knows where it was cut and their number plays no part; where they
are more, the calibration is what is wrong, and they count as frames known to reach the threshold, so that it rises.
Where nearly everything alarms, that comes too slowly or never: see :mod:`detectors.second_start`.

A refresh takes three steps, so that a background thread can do the work: :meth:`LiveLearner.snapshot`,
:func:`refreshed`, :meth:`LiveLearner.adopt`. All but the second belong to the thread that calls ``take``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from detectors.gathering import LARGEST_OPEN, Gathered, OpenStretch, stretch_of
from detectors.ground import background_on_cells
from detectors.learning import TOLERATED
from detectors.learning_progress import Progress
from detectors.peaks import MERGE_GAP, PeakCounter, Watch
from detectors.refreshing import Refreshed, Snapshot, alarm_bound, frame_statistics, refreshed
from detectors.scene_model import DECISIONS
from detectors.score_store import StretchStore
from detectors.second_start import FIRST_DAY, MEMORY_SHARE, SecondStart
from preprocess.temporal import to_working_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from detectors.base import Scores
    from detectors.evidence import Decision
    from detectors.scene_model import SceneModel
    from detectors.scorer import EvidenceStream
    from preprocess.pictures import Luma

__all__ = ["LearningSettings", "LiveLearner", "Progress", "Refreshed", "Snapshot", "Use", "refreshed"]

FIRST_REFRESH = 60.0  # seconds of normal footage; every refresh waits for twice as much as the one before
LONGEST_STEP = 1.0  # seconds between two frames, from which on they are no neighbours
GUARD = 2.0  # seconds before and after a frame that alarms from which nothing is learned either
UNUSABLE_GUARD = 0.5  # seconds before an unusable frame: what spoiled it may have begun
LOOKS = 40  # pictures the empty scene is the median of
FEWEST_LOOKS = 5
LOOK_EVERY = 5.0  # seconds, at first
WORTH = 8  # peaks seen under a model that knew less than this part of what is known now are forgotten


class Use(Enum):
    """What a frame is good for."""

    NORMAL = "normal"  # may be learned from
    ALARM = "alarm"  # was watched and alarmed: time that passed, and nothing to learn from
    UNUSABLE = "unusable"  # was not judged: corrupt, covered, or held back after a lighting change


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """How a live camera learns.

    Attributes:
        learn_seconds: watched time after which learning ends; alarms until then are provisional.
        false_alarms_per_day: what the camera is watched with: tells from which statistic frames alarm.
        decision: what the camera is watched with.
        memory_bytes: for all that is kept of the scores of one camera.
        seed: of the draw of what is kept.
    """

    learn_seconds: float = 86_400.0
    false_alarms_per_day: float = 1.0
    decision: Decision = "joint"
    memory_bytes: int = 24 * 2**20
    seed: int = 0


class LiveLearner:
    """Learns one camera in one light.

    Attributes:
        model: the latest; watch with it.
        settings: how it learns.
    """

    def __init__(
        self,
        model: SceneModel,
        settings: LearningSettings,
        *,
        progress: Progress | None = None,
        watched: NDArray[np.bool_] | None = None,
    ) -> None:
        """Begin, or go on after a restart.

        Args:
            model: a model that has learned the scene (``learn_scene(..., adapt=False)``, or saved before).
            settings: how to learn.
            progress: saved with the model; None begins. The store does not outlive a restart: the next refresh then
                waits until as much was seen as the saved model had learned from, so that no model gets worse.
            watched: ``(h, w)`` cells whose evidence can alarm; others (zones to ignore) set no threshold.
        """
        self.model = model
        self.settings = settings
        self._cells = watched
        known = model.knowledge.calibrations["joint"].seconds
        self._progress = progress or Progress(model_seconds=known)
        self._wanted = self._progress.model_seconds if progress else max(FIRST_REFRESH, known)
        self._gathered = Gathered(model.grid, StretchStore(self._room, settings.seed))
        self._open = OpenStretch(settings.memory_bytes, GUARD)
        self._second = self._second_start()
        self._last: float | None = None
        self._segment: int | None = None
        self._muted_until = -np.inf
        self._last_alarm = -np.inf
        self._flushed: float | None = None
        self._piece, self._piece_goes_on = 0, False
        self._pending = False
        self._looks: list[tuple[float, NDArray[np.float32]]] = []
        self._look_every = LOOK_EVERY
        self._over = settings.learn_seconds <= self._progress.watched
        self._watch(self._progress.watches)

    def _watch(self, watches: dict[Decision, tuple[Watch, ...]]) -> None:
        """Begin to count under the present model; a last watch that was begun under it goes on."""
        knowledge = replace(self.model.knowledge, ground=None)
        places = knowledge.places
        if places is None:
            raise ValueError("a live learner goes on from a model that has learned a scene")
        self._streams: dict[Decision, EvidenceStream] = {d: knowledge.stream(places, d) for d in DECISIONS}
        self._before: dict[Decision, tuple[Watch, ...]] = {}
        self._counters: dict[Decision, PeakCounter] = {}
        self._alarm_seconds, self._alarms, self._judged_seconds = 0.0, 0, 0.0
        for decision in DECISIONS:
            calibration = knowledge.calibrations[decision]
            earlier = watches.get(decision, ())
            bound = alarm_bound(calibration, self.settings.false_alarms_per_day)
            now = Watch(0.0, self._progress.model_seconds, calibration.event_start, bound)
            if earlier and earlier[-1].known == now.known:
                now, earlier = replace(earlier[-1], bound=min(earlier[-1].bound, bound)), earlier[:-1]
            self._before[decision] = earlier
            self._counters[decision] = PeakCounter(now)

    @property
    def provisional(self) -> bool:
        """Whether alarms are to be marked as from a model that still learns."""
        return self._progress.watched < self.settings.learn_seconds

    @property
    def over(self) -> bool:
        """Whether learning has ended: nothing is kept any more, and the model stays as it is."""
        return self._over

    @property
    def progress(self) -> Progress:
        """How far it is, to be saved beside the model."""
        watches = {d: (*self._before[d], self._counters[d].closed()) for d in DECISIONS}
        return replace(self._progress, watches=watches)

    @property
    def nbytes(self) -> int:
        """Memory taken by scores."""
        return self._gathered.store.nbytes + self._open.nbytes + self._second.nbytes

    @property
    def _room(self) -> int:
        """Bytes for the stretches, where nothing else needs them."""
        return self.settings.memory_bytes * (LARGEST_OPEN - 1) // LARGEST_OPEN

    def _second_start(self) -> SecondStart:
        settings = self.settings
        return SecondStart(self.model.grid, settings.memory_bytes, settings.seed, self._progress.second_starts)

    @property
    def alarm_share(self) -> float:
        """Share of the time under the model in use that alarmed; near 1, the scene is another one: learn it anew."""
        return self._alarm_seconds / max(self._judged_seconds, 1e-9)

    @property
    def due(self) -> bool:
        """Whether it is time for a refresh: a snapshot would make a better model, and none is on its way."""
        if self._over or self._pending:
            return False
        if self._starts_again:
            return True
        return self._gathered.store.nbytes > 0 and self._gathered.seconds >= (
            self._wanted if self.provisional else self._progress.model_seconds
        )

    @property
    def _starts_again(self) -> bool:
        """Whether nearly everything alarms: on the first day that becomes what is normal."""
        return self._second.due and self._progress.watched < min(self.settings.learn_seconds, FIRST_DAY)

    def look(self, luma: Luma, time: Fraction | float) -> None:
        """See a usable picture of any size now and then, to know the empty scene; most calls return at once."""
        moment = float(time)
        if self._over or (self._looks and 0 <= moment - self._looks[-1][0] < self._look_every):
            return
        size = (self.model.windows.width, self.model.windows.height)
        picture = to_working_size(luma, *size).astype(np.float32)
        self._looks.append((moment, background_on_cells(picture, self.model.grid, size)))
        if len(self._looks) > LOOKS:
            self._looks, self._look_every = self._looks[::2], 2 * self._look_every

    def take(self, scores: Scores, times: Sequence[Fraction], segments: Sequence[int], uses: Sequence[Use]) -> None:
        """Hear what the networks said of the next frames; cheap but for a few milliseconds once a stretch.

        Args:
            scores: of ``B`` windows of this camera, in order.
            times: of the windows, seconds.
            segments: of the windows.
            uses: what each frame is good for.
        """
        if self._over:
            return
        parts = (scores.residual, scores.detector, scores.motion)
        maps = np.stack([part.float().cpu().numpy() for part in parts]).astype(np.float16)
        for row, (time, segment, use) in enumerate(zip(times, segments, uses, strict=True)):
            self._frame(float(time), segment, use, maps[:, row])
        if not self.provisional and not self._pending and not self.due:
            self._end()

    def _frame(self, time: float, segment: int, use: Use, maps: NDArray[np.float16]) -> None:
        step = time - self._last if self._last is not None else -1.0
        neighbour = segment == self._segment and 0 < step <= LONGEST_STEP
        self._last, self._segment = time, segment
        if not neighbour:
            self._close(np.inf)
        if not neighbour or use is Use.UNUSABLE:
            self._second.cut()
        if use is Use.UNUSABLE:
            self._close(time - UNUSABLE_GUARD)
            return
        started = self._progress.started if self._progress.started is not None else time
        passed = step if neighbour else 0.0
        self._judged_seconds += passed
        self._progress = replace(self._progress, started=started, watched=self._progress.watched + passed)
        self._hear_of_alarms(time, passed, maps, alarmed=use is Use.ALARM)
        if use is Use.ALARM:
            self._alarms += time - self._last_alarm > MERGE_GAP
            self._alarm_seconds += passed
            # A guard around every alarm of a calibration that does not fit would leave nothing to correct it with.
            fits = self._judged_seconds < FIRST_REFRESH or self.alarm_share <= TOLERATED
            guard = GUARD if fits else 0.0
            self._close(time - guard)
            self._last_alarm, self._muted_until = time, time + guard
        elif time >= self._muted_until:
            self._learn_from(self._open.push(time, maps))

    def _hear_of_alarms(self, time: float, passed: float, maps: NDArray[np.float16], *, alarmed: bool) -> None:
        """On the first day, see whether everything has to be learned anew."""
        if self._progress.watched >= FIRST_DAY:
            return
        self._second.hear(time, passed, maps, alarmed=alarmed)
        taken = self.settings.memory_bytes * 3 // (2 * MEMORY_SHARE) if self._second.gathered is not None else 0
        if self._gathered.store.most_bytes != self._room - taken:
            self._gathered.store.resize(self._room - taken)

    def _close(self, until: float) -> None:
        """Learn from the open frames before this time, and forget the others."""
        self._learn_from(self._open.cut(sum(time < until for time, _ in self._open.frames)))
        self._open.frames.clear()
        self._piece_goes_on = False

    def _learn_from(self, frames: list[tuple[float, NDArray[np.float16]]]) -> None:
        """Learn from the first of the open frames."""
        stretch = stretch_of(frames, self._progress.refreshes)
        if stretch is None:
            return
        times, frame_rate = stretch.times, stretch.frame_rate
        goes_on = self._flushed is not None and 0 < times[0] - self._flushed <= LONGEST_STEP and self._piece_goes_on
        self._flushed = float(times[-1])
        self._piece_goes_on = bool(self._open.frames)
        self._piece += not goes_on
        statistics = {
            d: frame_statistics(self._streams[d], stretch, self.model.grid, self._piece, self._cells) for d in DECISIONS
        }
        for decision, counter in self._counters.items():
            counter.push(statistics[decision], times, frame_rate=frame_rate, goes_on=goes_on)
        self._gathered.add(replace(stretch, statistics=statistics))

    def snapshot(self) -> Snapshot:
        """All that a refresh needs, for any thread; :meth:`adopt` or :meth:`abandon` must follow."""
        self._pending = True
        second_start = self._start_again() if self._starts_again else 0.0
        known, fits = self._gathered, self.alarm_share <= TOLERATED
        self._wanted = 2 * known.seconds
        background = None
        if len(self._looks) >= FEWEST_LOOKS:
            background = np.asarray(np.median([look for _, look in self._looks], axis=0), np.float32)
        snapshot = Snapshot(
            model=self.model,
            refresh=self._progress.refreshes,
            basis=known.seconds,
            stretches=known.store.stretches(),
            sums=known.sums.copy(),
            visits=known.visits.copy(),
            background=background,
            watches=self.progress.watches if fits and not second_start else {},
            alarm_share=0.0 if second_start else self.alarm_share,
            alarms_per_second=0.0 if second_start else self._alarms / max(self._judged_seconds, 1e-9),
            false_alarms_per_day=self.settings.false_alarms_per_day,
            cells=self._cells,
            second_start=second_start,
        )
        if not self.provisional:
            self._end()
        return snapshot

    def _start_again(self) -> float:
        """Take what alarmed for normal and forget what was before; the seconds it took."""
        self._second.cut()
        waited, gathered = self._second.wait, self._second.gathered
        if gathered is None:  # cannot be: it is due
            return 0.0
        gathered.store.resize(self._room)
        self._gathered = gathered
        self._open.frames.clear()
        self._piece_goes_on = False
        self._progress = replace(self._progress, second_starts=self._progress.second_starts + 1)
        self._second = self._second_start()
        return waited

    def adopt(self, found: Refreshed) -> SceneModel:
        """Go on from a refreshed model; what was seen since its snapshot is counted on.

        Returns:
            The model to watch with from now on: with the same detector and the same windows as before.

        Raises:
            ValueError: it was made from another model than the one in use.
        """
        if found.refresh != self._progress.refreshes:
            raise ValueError(f"a refresh of model {found.refresh} does not follow model {self._progress.refreshes}")
        self._pending = False
        watches = self.progress.watches if found.watches_hold else {}
        now = replace(self._progress, model_seconds=found.basis, refreshes=self._progress.refreshes + 1, watches={})
        least = now.watched / WORTH
        kept = {
            decision: tuple(watch.rescaled(found.changes[decision]) for watch in seen if watch.known >= least)
            for decision, seen in watches.items()
        }
        self.model, self._progress = found.model, now
        self._watch(kept)
        return self.model

    def abandon(self) -> None:
        """The refresh of the last snapshot failed: watch on with the model in use, try again at the next due time."""
        self._pending = False

    def _end(self) -> None:
        """Learning is over: what is no longer needed goes."""
        self._over = True
        self._open.frames.clear()
        self._gathered = Gathered(self.model.grid, StretchStore(0, self.settings.seed))
        self._second = self._second_start()
        self._looks.clear()

"""What one camera watches with, day and night apart, and how it comes to know its scene."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from detectors.camera_knowledge import CameraKnowledge
from detectors.live_learning import LearningSettings, Use, refreshed
from detectors.regions import Placement
from preprocess.errors import AvidWatchError
from streamer.footage import RecordedFootage
from streamer.live.colour_watch import ColourWatch
from streamer.live.watching import Watching
from streamer.live.zones import ZoneMask
from streamer.live_footage import LiveFootage
from streamer.memory import give_back_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from detectors.base import Verdict
    from detectors.camera_knowledge import Learned, Light
    from detectors.live_learning import LiveLearner, Refreshed, Snapshot
    from detectors.scene_model import SceneModel
    from detectors.scorer import Evidence
    from preprocess.geometry import Size
    from preprocess.pictures import Footage
    from streamer.frames import Frame
    from streamer.live.config import CameraConfig
    from streamer.live.learned_state import LearnedState
    from streamer.sinks.worker import Worker

LEARNING_BYTES = 24 * 2**20  # what is kept to learn from, both lights together


@dataclass(frozen=True, slots=True)
class School:
    """Who teaches the cameras of a run.

    Attributes:
        learning: the thread that makes models.
        learn: makes the first model of a scene from pictures, within so many seconds.
        budget: those seconds.
        seed: of everything random.
        warn: told in one line what a person should know.
        detail: told in one line what a person may want to know.
        stopping: whether nothing new is to be begun.
        now: the wall clock.
    """

    learning: Worker
    learn: Callable[[Footage, float], SceneModel]
    budget: float
    seed: int
    warn: Callable[[str], None]
    detail: Callable[[str], None]
    stopping: Callable[[], bool]
    now: Callable[[], datetime]


@dataclass(slots=True)
class _Knowledge:
    """What a camera knows in one light.

    Attributes:
        footage: pictures gathered for the first model; None where that is made, or there is one.
        watching: judges; None before there is a model.
        found: refreshed models, until the networks' thread takes them over; None stands for a refresh that failed.
    """

    footage: LiveFootage | None = None
    watching: Watching | None = None
    found: deque[Refreshed | None] = field(default_factory=deque)


class CameraLights:
    """The models of one camera, by light. Which method belongs to which thread stands above it."""

    def __init__(
        self,
        config: CameraConfig,
        school: School,
        state: LearnedState,
        *,
        learned: Mapping[Light, Learned],
        model: SceneModel | None = None,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin with what was learned before.

        Args:
            config: of the camera.
            school: makes models.
            state: where what is learned is kept.
            learned: what it held.
            model: a finished model, for every light; nothing is learned then.
            ready: told when the first model of a light is there.
        """
        self._colour = ColourWatch()
        self._config = config
        self._school = school
        self._state = state
        self._model = model
        self._knowledge = CameraKnowledge(self._settings(), {} if model is not None else learned, watched=self._watched)
        self._ready = ready
        self._known: dict[Light, _Knowledge] = {"colour": _Knowledge(), "infrared": _Knowledge()}
        self._tried_elsewhere = False

    # The camera's reading thread.

    @property
    def light(self) -> Light:
        """The present one."""
        return self._colour.light

    @property
    def in_doubt(self) -> bool:
        """Whether it may just be switching; see :class:`ColourWatch`."""
        return self._colour.in_doubt

    def look(self, frame: Frame) -> bool:
        """See whether the camera shows colour or infrared; True where it has switched."""
        return self._colour.look(frame)

    def watching(self, size: Size, period: Fraction | None = None) -> Watching | None:
        """What judges pictures of this size now; None while nothing is known yet.

        Args:
            size: ``(width, height)`` of the upright picture, pixels.
            period: seconds between pictures, where known.
        """
        known = self._known[self.light]
        if known.watching is None and known.footage is None:
            before = self._knowledge.learner(self.light)
            if self._model is not None:
                self._use(known, self._model, size, period)
            elif before is not None:
                self._use(known, before.model, size, period)
            else:
                known.footage = LiveFootage(self._config.name)
                self._begin_elsewhere(known, size, period)
        if known.watching is not None and (known.watching.size, known.watching.period) != (size, period):
            known.watching = Watching(known.watching.model, self._config, size, period=period, before=known.watching)
        return known.watching

    def _begin_elsewhere(self, known: _Knowledge, size: Size, period: Fraction | None) -> None:
        """Learn from the recordings the settings name, once; by day: what they show at night nobody knows."""
        if not self._config.normal or self.light != "colour" or self._tried_elsewhere or known.footage is None:
            return
        self._tried_elsewhere = known.footage.full = True
        footage = RecordedFootage(list(self._config.normal))
        self._school.learning.give(partial(self._learn, self.light, footage, size, period), must=True)

    def gather(self, frame: Frame, period: Fraction | None = None) -> None:
        """Take a sound picture to learn from, while nothing is known."""
        known = self._known[self.light]
        footage, until = known.footage, Fraction(str(self._config.learn))
        if footage is None or footage.full or footage.seconds >= until:
            return  # being learned from just now
        if footage.take(frame, until):
            size = (frame.luma.shape[1], frame.luma.shape[0])
            self._school.learning.give(partial(self._learn, self.light, footage, size, period), must=True)

    def close(self) -> None:
        """At a polite end: how far learning is outlives it, too. Nothing is heard any more."""
        self._save_soon()

    # The networks' thread.

    def provisional(self, watching: Watching) -> bool:
        """Whether alarms of a model are those of a camera that still learns."""
        light = self._of(watching)
        learner = None if light is None else self._knowledge.learner(light)
        return learner is not None and learner.provisional

    def hear(
        self,
        watching: Watching,
        frames: Sequence[Frame],
        places: Sequence[tuple[Fraction, int]],
        verdicts: Sequence[Verdict],
        held: Sequence[bool],
        evidence: Sequence[Evidence],
    ) -> None:
        """Go on learning from what the networks said of the next windows.

        Args:
            watching: what judged them.
            frames: the windows end with.
            places: time, seconds, and segment of the windows, in order.
            verdicts: of them, with the zones applied.
            held: whether their alarms are held back.
            evidence: of them, in pieces.
        """
        light = self._of(watching)
        learner = None if light is None else self._knowledge.learner(light)
        if light is None or learner is None:
            return
        row = 0
        uses = [
            Use.UNUSABLE if unusable else Use.ALARM if verdict.alarm else Use.NORMAL
            for unusable, verdict in zip(held, verdicts, strict=True)
        ]
        for use, frame in zip(uses, frames, strict=True):
            if use is Use.NORMAL:
                learner.look(frame.luma, frame.pts)
        was_over = learner.over
        for piece in evidence:
            part = slice(row, row + len(piece.statistic))
            learner.take(piece.scores, [pts for pts, _ in places[part]], [s for _, s in places[part]], uses[part])
            row = part.stop
        if learner.over and not was_over:  # with no refresh that would be saved
            self._save_soon()
        self._refresh(self._known[light], learner)

    def _refresh(self, known: _Knowledge, learner: LiveLearner) -> None:
        if known.found:
            found = known.found.popleft()
            if found is None or known.watching is None:
                learner.abandon()
                return
            model = learner.adopt(found)
            known.watching = Watching(
                model, self._config, known.watching.size, period=known.watching.period, before=known.watching
            )
            self._save_soon()
        elif learner.due:
            snapshot = learner.snapshot()
            if snapshot.second_start:
                self._school.warn(
                    f"{self._config.name}: most of the last {snapshot.second_start / 60:.0f} minutes alarmed, so what "
                    f"was learned does not fit: what was seen in them counts as normal from now on; where it is not, "
                    f"stop, and 'avid-watch relearn {self._config.name}' starts over"
                )
            if not self._school.learning.give(partial(self._make, known, snapshot)):
                learner.abandon()

    def _save_soon(self) -> None:
        """Have the learning thread write down what is known."""
        if learned := self._knowledge.learned():
            self._school.learning.give(partial(self._keep, learned), must=True)

    def _of(self, watching: Watching) -> Light | None:
        """The light a model belongs to; what was replaced on the way still belongs to its light."""
        for light, known in self._known.items():
            if known.watching is not None and known.watching.model.detector is watching.model.detector:
                return light
        return None

    # The learning thread.

    def _learn(self, light: Light, footage: Footage, size: Size, period: Fraction | None) -> None:
        """Make the first model of a light."""
        if self._school.stopping():
            return
        try:
            model = self._school.learn(footage, self._school.budget)
        except Exception as error:  # noqa: BLE001 - one camera's trouble must not reach the others
            reason = str(error) if isinstance(error, AvidWatchError) else f"{type(error).__name__}: {error}"
            self._school.warn(f"{self._config.name}: not learned yet ({reason}); looking on")
            self._known[light].footage = None
            return
        self._knowledge.begin(light, model)
        self._use(self._known[light], model, size, period)
        self._keep(self._knowledge.learned())
        self._school.learning.give(give_back_memory, must=True)

    def _make(self, known: _Knowledge, snapshot: Snapshot) -> None:
        try:
            known.found.append(refreshed(snapshot))
        except Exception as error:  # noqa: BLE001 - the model in use goes on watching
            known.found.append(None)
            reason = f"{type(error).__name__}: {error}"
            self._school.warn(f"{self._config.name}: a refresh of what it learned failed ({reason}); watching goes on")
        # As a job of its own: this one still holds what it worked on.
        self._school.learning.give(give_back_memory, must=True)

    def _keep(self, learned: Mapping[Light, Learned]) -> None:
        try:
            self._state.save(learned, self._settings().learn_seconds, self._school.now())
        except AvidWatchError as error:
            self._school.warn(f"{self._config.name}: {error}; until then a restart would learn anew")

    def _use(
        self,
        known: _Knowledge,
        model: SceneModel,
        size: Size,
        period: Fraction | None,
    ) -> None:
        """Watch with a model from now on."""
        watching = Watching(model, self._config, size, period=period)
        windows = model.windows
        self._school.detail(
            f"{self._config.name}: windows of six pictures {float(windows.spacing):.3g} s apart "
            f"at {windows.width}x{windows.height}"
        )
        for note in watching.scorer.notes:
            self._school.warn(f"{self._config.name}: {note}")
        if watching.mask.leaves_nothing:
            name = self._config.name
            self._school.warn(f"{name}: its zones leave nothing of the picture to watch; look at their corners")
        known.watching = watching
        known.footage = None
        self._ready()

    def _watched(self, model: SceneModel) -> NDArray[np.bool_]:
        """Cells that the camera's zones let alarm; others set no threshold."""
        size = (model.windows.width, model.windows.height)
        return ZoneMask(self._config.zones, model.grid, Placement(size, size), 1.0).kept

    def _settings(self) -> LearningSettings:
        return LearningSettings(
            learn_seconds=self._config.learn_hours * 3600,
            false_alarms_per_day=self._config.false_alarms_per_day,
            decision=self._config.decision,
            memory_bytes=LEARNING_BYTES,
            seed=self._school.seed,
        )

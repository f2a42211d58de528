"""Scoring one clip of a benchmark as watching would: the same windows, scorer, threshold and event machine."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from detectors.evidence import Fusion
from detectors.regions import verdict_of
from preprocess.errors import InputError
from preprocess.geometry import CellGrid, cells_to_pixels
from preprocess.pictures import Picture
from preprocess.temporal import WindowBuilder
from streamer.evaluate_footage import facts_of, used_frames
from streamer.events import EventMachine, EventSettings, MessageKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from detectors.evaluation.protocol import Clip, Rectangle
    from detectors.evidence import Decision
    from detectors.scene_model import SceneModel
    from preprocess.geometry import Size
    from preprocess.pictures import Window
    from streamer.evaluate_footage import ClipFacts, UsedFrame
    from streamer.events import Event, EventMessage
    from streamer.settings import Score

PARTS: Mapping[str, Fusion] = {"inpainter": Fusion(1.0, 0.0), "detector": Fusion(0.0, 1.0)}
"""One network's evidence alone, as the joint score would have it with the other one's weight at 0."""


@dataclass(frozen=True, slots=True)
class ClipScores:
    """What the detector says of one clip; ``N`` used frames, ``S`` of them scored.

    Attributes:
        statistic: ``(N,)`` float32 largest statistic of every frame; NaN where it has no window.
        rows: ``(S,)`` numbers of the scored frames.
        maps: ``(S, h, w)`` float16 statistic per cell.
        times: ``(N,)`` float64 seconds of the source's clock.
        events: ``(E, 2)`` float64 first and last alarming moment of every event at the shipped threshold, seconds.
        boxes: ``(K, 6)`` float64 where events were: number of the event, seconds, x, y, width, height in source pixels.
        alarming: whether the score has a threshold of its own, and so events.
        threshold: statistic from which a frame alarms at the shipped threshold; NaN where the score has none.
        size: ``(width, height)`` of the source.
        working_size: of the picture the networks saw.
        grid: where the cells of the maps lie in it.
        seconds: time it took from decoding to events.
    """

    statistic: NDArray[np.float32]
    rows: NDArray[np.int64]
    maps: NDArray[np.float16]
    times: NDArray[np.float64]
    events: NDArray[np.float64]
    boxes: NDArray[np.float64]
    alarming: bool
    threshold: float
    size: Size
    working_size: Size
    grid: CellGrid
    seconds: float

    def __len__(self) -> int:
        """The number of used frames."""
        return len(self.statistic)

    def pixels(self, row: int) -> NDArray[np.float32]:
        """The map of the ``row``-th scored frame in source pixels, ``(H, W)`` float32."""
        return cells_to_pixels(self.maps[row].astype(np.float32), self.grid, self.working_size, self.size)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as arrays to keep."""
        grid = self.grid
        return {
            "statistic": self.statistic,
            "rows": self.rows,
            "maps": self.maps,
            "times": self.times,
            "events": self.events,
            "boxes": self.boxes,
            "alarming": np.array(self.alarming),
            "sizes": np.array([*self.size, *self.working_size, grid.rows, grid.columns], np.int64),
            "numbers": np.array([self.threshold, self.seconds, grid.stride, grid.offset, grid.receptive_field]),
        }

    @classmethod
    def from_arrays(cls, kept: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from :meth:`to_arrays`; KeyError or ValueError where they do not fit."""
        width, height, working_width, working_height, rows, columns = (int(value) for value in kept["sizes"])
        threshold, seconds, stride, offset, field = (float(value) for value in kept["numbers"])
        return cls(
            statistic=kept["statistic"],
            rows=kept["rows"],
            maps=kept["maps"],
            times=kept["times"],
            events=kept["events"],
            boxes=kept["boxes"],
            alarming=bool(kept["alarming"]),
            threshold=threshold,
            size=(width, height),
            working_size=(working_width, working_height),
            grid=CellGrid(stride, offset, round(field), rows, columns),
            seconds=seconds,
        )


class StoppedError(Exception):
    """The user asked to stop."""


def score_clip(
    model: SceneModel,
    clip: Clip,
    ignored: Sequence[Rectangle] = (),
    *,
    score: Score,
    false_alarms_per_day: float,
    batch_size: int,
    each: Callable[[], None] = lambda: None,
) -> ClipScores:
    """Score a clip from its beginning, causally; nothing of it is looked at twice.

    Args:
        model: of this camera.
        clip: the footage.
        ignored: painted before anything sees it.
        score: what the map is: ``joint``, ``paper``, or one network's share of the joint score alone.
        false_alarms_per_day: what the threshold of events is set for.
        batch_size: frames per run of the networks.
        each: called after every used frame; may raise.

    Raises:
        InputError: the clip cannot be read, or no frame of it could be scored.
    """
    began = time.monotonic()
    facts = facts_of(clip)
    scoring = _Scoring(model, clip.name, facts, score, false_alarms_per_day)
    with closing(used_frames(clip, ignored)) as frames:
        for used in frames:
            scoring.take(used)
            if len(scoring.pending) >= batch_size:
                scoring.judge()
            each()
    scoring.judge()
    scoring.note(scoring.machine.close())
    if not scoring.rows:
        needed = float(5 * scoring.scorer.windows.spacing)
        raise InputError(f"{clip.uri}: no frame could be scored; a clip needs {needed:.2g} s of unbroken pictures")
    return scoring.result(time.monotonic() - began)


class _Scoring:
    """One clip on its way from frames to scores."""

    def __init__(
        self, model: SceneModel, name: str, facts: ClipFacts, score: Score, false_alarms_per_day: float
    ) -> None:
        decision: Decision = "paper" if score == "paper" else "joint"
        self.alarming = score not in PARTS
        if score in PARTS:
            model = replace(model, knowledge=replace(model.knowledge, fusion=PARTS[score], ground=None))
        self.scorer = model.scorer(
            facts.size, false_alarms_per_day=false_alarms_per_day, decision=decision, period=facts.period
        )
        self.calibration = model.knowledge.calibrations[decision]
        self.machine = EventMachine(name, EventSettings.at(self.scorer.threshold))
        self.builder = WindowBuilder(self.scorer.windows)
        self.size = facts.size
        self.pending: list[tuple[int, Fraction, Window | None]] = []
        self.rows: list[int] = []
        self._statistic: list[float] = []
        self._times: list[float] = []
        self._maps: list[NDArray[np.float16]] = []
        self._events: list[Event] = []

    def take(self, used: UsedFrame) -> None:
        """Build the frame's window, where it has one."""
        frame = used.frame
        picture = Picture(used.luma, frame.pts, frame.segment)
        self.pending.append((used.number, frame.pts, None if frame.corrupt else self.builder.push(picture)))

    def judge(self) -> None:
        """Score what is pending."""
        windows = [window for _, _, window in self.pending if window is not None]
        found = (plane for evidence in self.scorer.evidence(windows) for plane in evidence.statistic)
        for number, pts, window in self.pending:
            self._times.append(float(pts))
            verdict = None
            if window is None:
                self._statistic.append(float("nan"))
            else:
                plane = next(found)
                self._statistic.append(float(plane.max()))
                self._maps.append(plane.astype(np.float16))
                self.rows.append(number)
                levels = self.calibration.level(plane).astype(np.float32)
                verdict = verdict_of(levels, self.scorer.grid, self.scorer.placement, self.scorer.threshold)
            self.note(self.machine.push(pts, verdict))
        self.pending.clear()

    def note(self, messages: list[EventMessage]) -> None:
        """Keep the events that ended."""
        self._events += [message.event for message in messages if message.kind is MessageKind.END]

    def result(self, seconds: float) -> ClipScores:
        """Everything that was found."""
        events = self._events if self.alarming else []
        boxes = [
            (number, float(box.pts), box.x, box.y, box.width, box.height)
            for number, event in enumerate(events)
            for box in event.track
        ]
        return ClipScores(
            statistic=np.array(self._statistic, np.float32),
            rows=np.array(self.rows, np.int64),
            maps=np.stack(self._maps),
            times=np.array(self._times, np.float64),
            events=np.array([(float(event.start), float(event.end)) for event in events], np.float64).reshape(-1, 2),
            boxes=np.array(boxes, np.float64).reshape(-1, 6),
            alarming=self.alarming,
            threshold=self.calibration.statistic(self.scorer.threshold) if self.alarming else float("nan"),
            size=self.size,
            working_size=self.scorer.placement.working_size,
            grid=self.scorer.grid,
            seconds=seconds,
        )

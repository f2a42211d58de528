"""What becomes of one camera's events and scores where its connection or the wall clock does what it should not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detectors.base import Verdict
from streamer.frames import Frame
from streamer.live.config import CameraConfig
from streamer.live.folder import LiveFolder
from streamer.live.notices import EventNotice, ScoreNotice
from streamer.live.outputs import CameraOutputs, Outcome
from streamer.metrics import Metrics
from streamer.sinks.storage import StorageWatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEGAN = datetime(2026, 3, 1, 8, tzinfo=UTC)


class Bench:
    """The outputs of a camera whose frames and whose clock a test commands."""

    def __init__(self, folder: LiveFolder) -> None:
        self.folder = folder
        self.now = BEGAN
        self.said: list[Any] = []
        config = CameraConfig.model_validate({"name": "gate", "uri": "rtsp://g/x", "clips": False, "snapshots": False})
        metrics = Metrics()
        metrics.add_camera("gate")
        self.outputs = CameraOutputs(
            config,
            folder,
            hub=SimpleNamespace(give=self.said.append),
            clips=None,  # type: ignore[arg-type]
            storage=StorageWatch(self.said.append),
            metrics=metrics,
            warn=self.said.append,
            zone=UTC,
            now=lambda: self.now,
        )

    def at(self, seconds: float) -> None:
        self.now = BEGAN + timedelta(seconds=seconds)

    def show(self, seconds: float, level: float) -> None:
        """A frame that was taken then and is judged now."""
        taken = BEGAN + timedelta(seconds=seconds)
        verdict = Verdict(
            score=level,
            p_value=10**-level,
            alarm=level >= 3,
            regions=(),
            levels=np.zeros((2, 2), np.float32),
            inpainter_part=0.0,
            detector_part=0.0,
        )
        pts = Fraction(round(taken.timestamp() * 1000), 1000)
        frame = Frame("gate", 0, pts, taken, 0, np.zeros((4, 4), np.uint8), None, corrupt=False)  # type: ignore[arg-type]
        watching: Any = SimpleNamespace(threshold=3.0, zones_of=lambda _: ())
        self.outputs.take(Outcome(frame, watching, verdict, None, "", "", provisional=False), None)

    def alarm(self, first: float, last: float) -> None:
        for tenth in range(round(10 * first), round(10 * last)):
            self.at(tenth / 10)
            self.show(tenth / 10, 5.0)

    @property
    def told(self) -> list[str]:
        """``new`` and ``end``, as they were told."""
        kinds = [notice.message.kind.value for notice in self.said if isinstance(notice, EventNotice)]
        return [kind for kind in kinds if kind != "update"]

    @property
    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.folder.events.read_text().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    folder = LiveFolder.open(tmp_path, "gate")
    made = Bench(folder)
    yield made
    made.outputs.close(1)
    folder.close()


def test_an_event_ends_although_its_camera_goes_away_in_the_middle_of_it(bench: Bench) -> None:
    bench.alarm(0, 2)
    bench.outputs.lost()
    bench.at(2.5)
    bench.outputs.tick()
    assert bench.told == ["new"]
    for seconds in (10, 20, 3600):
        bench.at(seconds)
        bench.outputs.lost()  # every attempt in vain says so, too
        bench.outputs.tick()
    assert bench.told == ["new", "end"]
    (event,) = bench.logged
    assert event["end"] - event["start"] == pytest.approx(1.9)


def test_an_event_goes_on_where_the_camera_is_back_at_once(bench: Bench) -> None:
    bench.alarm(0, 2)
    bench.outputs.lost()
    bench.at(2.3)
    bench.show(1.95, 5.0)  # was still on its way
    bench.alarm(2.4, 4)
    for seconds in (6, 9):
        bench.at(seconds)
        bench.outputs.tick()
    assert bench.told == ["new"]
    bench.show(9, 0.0)
    bench.show(9.1, 0.0)
    assert bench.told == ["new", "end"]
    assert len(bench.logged) == 1


def test_events_go_on_after_the_wall_clock_was_set_back_during_a_break(bench: Bench) -> None:
    bench.alarm(3600, 3602)
    bench.outputs.lost()
    bench.at(3610)
    bench.outputs.tick()
    bench.alarm(0, 2)
    bench.at(3615)
    bench.outputs.tick()
    bench.at(2.1)
    bench.show(2.1, 5.0)
    assert bench.told == ["new", "end", "new"]


def test_scores_are_told_about_once_a_second_also_after_the_clock_was_set_back(bench: Bench) -> None:
    for moment in (3600.0, 3600.5, 3601.0, 3601.5, 0.0, 0.5, 1.0):
        bench.at(moment)
        bench.show(moment, 1.0)
    told = [(notice.at - BEGAN).total_seconds() for notice in bench.said if isinstance(notice, ScoreNotice)]
    assert told == [3600.0, 3601.0, 0.0, 1.0]

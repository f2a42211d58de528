"""Stand-ins for the networks, so that what surrounds them is tested in milliseconds; and clips to watch."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest

from detectors.calibration import Calibration
from detectors.regions import Placement, verdict_of
from preprocess.errors import InputError
from preprocess.geometry import CellGrid
from preprocess.pictures import WindowSettings
from preprocess.temporal import WindowBuilder, frame_period
from streamer.console import Console
from streamer.settings import WatchSettings

if TYPE_CHECKING:
    from pathlib import Path

WORKING = (96, 64)
GRID = CellGrid(stride=8.0, offset=3.5, receptive_field=19, rows=8, columns=12)
# Endless footage, so that every rate asked for has a threshold of its own.
CALIBRATION = Calibration(
    knots=(0.0, 1.0),
    survival=(1.0, 0.1),
    start=1.0,
    start_survival=0.1,
    shape=0.0,
    scale=0.5,
    event_start=1.0,
    event_rate=0.01,
    event_shape=0.0,
    event_scale=0.5,
    seconds=1e20,
    base_seconds=0.0,
)


@dataclass
class FakeScorer:
    """Levels grow with how much a cell changes between the two pictures of a difference."""

    source_size: tuple[int, int]
    threshold: float
    windows: WindowSettings
    notes: tuple[str, ...] = ()
    delay: Any = None
    batches: list[int] = field(default_factory=list)
    grid: CellGrid = GRID

    @property
    def placement(self):
        return Placement(WORKING, self.source_size)

    def verdicts(self, windows):
        self.batches.append(len(windows))
        if self.delay is not None:
            self.delay()
        verdicts = []
        for window in windows:
            cells = cv2.resize(np.abs(window.channels[0]), (GRID.columns, GRID.rows), interpolation=cv2.INTER_AREA)
            verdicts.append(
                verdict_of(
                    np.asarray(6 * cells, np.float32),
                    GRID,
                    self.placement,
                    self.threshold,
                    inpainter_part=0.25,
                    detector_part=0.75,
                )
            )
        return verdicts


@dataclass
class FakeModel:
    windows: WindowSettings
    file: str = "fake"
    delay: Any = None
    scorers: list[FakeScorer] = field(default_factory=list)
    steps: int = 3
    supported_per_day: float = 4320.0

    @property
    def header(self):
        return SimpleNamespace(
            detector="fake",
            detector_settings={},
            trained_on={"footage_seconds": 1.5},
            training={"steps": self.steps},
        )

    def calibration_json(self):
        return {decision: CALIBRATION.to_json() for decision in ("joint", "paper")}

    def scorer(self, source_size, *, false_alarms_per_day, decision="joint", period=None):
        threshold = CALIBRATION.threshold(false_alarms_per_day)
        self.scorers.append(FakeScorer(source_size, threshold, self.windows, delay=self.delay))
        return self.scorers[-1]


@dataclass
class FakeNetworks:
    """Learns nothing, but reads the footage and wants a window, as the real ones do."""

    batch_size: int = 8
    spacing: Fraction = Fraction(1, 25)
    delay: Any = None
    learned: list[Any] = field(default_factory=list)
    models: list[FakeModel] = field(default_factory=list)
    during: Any = None

    def load(self, path):
        return self._model(str(path))

    def learn(self, footage, *, budget_seconds, seed, progress, stop):
        times = [picture.pts for picture in footage.pictures()]
        self.spacing = frame_period(times) or self.spacing
        builder = WindowBuilder(WindowSettings(self.spacing, *WORKING))
        found = sum(builder.push(picture) is not None for picture in footage.pictures())
        self.learned.append((footage, found))
        if self.during is not None:
            self.during()
        if found == 0:
            raise InputError("nothing to learn from; give longer footage")
        progress(SimpleNamespace(stage="training", done=0.5, note="loss 0.1"))
        return self._model("learned")

    def _model(self, file):
        self.models.append(FakeModel(WindowSettings(self.spacing, *WORKING), file, delay=self.delay))
        return self.models[-1]


@pytest.fixture
def networks() -> FakeNetworks:
    return FakeNetworks()


@pytest.fixture
def fake_networks(monkeypatch) -> FakeNetworks:
    """The whole command line with stand-ins for the networks."""
    fake = FakeNetworks()
    monkeypatch.setattr("streamer.watch.TorchNetworks", lambda settings: fake)
    return fake


@pytest.fixture
def console() -> Console:
    return Console(quiet=True)


@pytest.fixture
def settings(tmp_path):
    """Settings of a watch that writes into ``tmp_path / "out"``."""

    def make(**values: Any) -> WatchSettings:
        return WatchSettings(**{"output": tmp_path / "out", **values})

    return make


def scene(frames: int, *, size: tuple[int, int] = (160, 96), events: tuple[tuple[int, int], ...] = (), seed: int = 0):
    """Grey noise with a small thing that drifts; during an event a large bright thing runs through."""
    random = np.random.default_rng(seed)
    width, height = size
    ground = random.integers(60, 110, (height, width), dtype=np.uint8)
    for number in range(frames):
        picture = cv2.add(ground, random.integers(0, 4, (height, width), dtype=np.uint8))
        left = 4 + number % (width - 16)
        picture[height // 2 : height // 2 + 6, left : left + 4] = 150
        if any(first <= number < last for first, last in events):
            left = 7 * number % (width - 24)
            picture[height // 4 : height // 4 + 30, left : left + 20] = 240
        yield cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)


@pytest.fixture
def clip(tmp_path):
    """Write a small recording; returns its path."""

    def make(
        frames: int = 100, *, name: str = "gate.mp4", rate: int = 25, size=(160, 96), events=((60, 75),), seed: int = 0
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "18"})
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for picture in scene(frames, size=size, events=events, seed=seed):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
            container.mux(stream.encode(None))
        return path

    return make


@pytest.fixture
def after():
    """Run something in another thread, a little later."""
    timers = []

    def start(seconds: float, action) -> None:
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timers.append(timer)
        timer.start()

    yield start
    for timer in timers:
        timer.cancel()


@pytest.fixture(autouse=True)
def _nothing_left_behind():
    """No test may leave a stage's thread behind."""
    yield
    until = time.monotonic() + 5
    while time.monotonic() < until:
        left = [thread for thread in threading.enumerate() if thread.name.startswith("avid-")]
        if not left:
            return
        time.sleep(0.01)
    raise AssertionError(f"threads left behind: {left}")

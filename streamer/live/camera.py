"""One live camera: its connection, its pictures' fitness, its windows, and what becomes of them.

Two threads meet here. The camera's own reading thread takes pictures and makes windows of them (differences are taken
here, between consecutive pictures, so a drop further on loses whole windows and bends none). The networks' thread hands
back verdicts. A third one, which makes models, is met in :mod:`streamer.live.lights`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from preprocess.conditions import GOOD, ConditionMonitor
from preprocess.errors import AvidWatchError
from streamer.channels import AbortedError
from streamer.frames import Pace
from streamer.live.camera_source import Cause
from streamer.live.outputs import Outcome
from streamer.metrics import Stage, Unscored
from streamer.sinks.score_table import CORRUPT
from streamer.windowing import BYTES_PER_PIXEL, FramePreparer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from fractions import Fraction

    from detectors.base import Verdict
    from detectors.scorer import Evidence
    from preprocess.pictures import WindowPictures
    from streamer.batcher import Batcher
    from streamer.frames import Frame, SourceInfo
    from streamer.live.camera_source import CameraSource, EncodedPacket, EncodedStream
    from streamer.live.config import CameraConfig
    from streamer.live.health import CameraHealth
    from streamer.live.lights import CameraLights
    from streamer.live.notices import CameraState, Notice
    from streamer.live.outputs import CameraOutputs
    from streamer.live.watching import Watching
    from streamer.metrics import Metrics
    from streamer.sinks.worker import Worker
    from streamer.turns import Turns

MOST_WAITING = 32
"""Windows of one camera that may wait for the networks; they are too old long before."""
SWITCHING = "the view seems to switch between colour and infrared"
MOST_TROUBLES = 20
"""Different errors of one camera that are told."""


@dataclass(frozen=True, slots=True)
class LiveItem:
    """A frame on its way through the networks.

    Attributes:
        frame: as the source gave it.
        pictures: of its window, which is made when its turn comes; None where there can be none.
        note: why; else empty.
        held: why its alarms are held back; empty where they are not.
        watching: what judges it.
        motion: verdict of the zones where nothing may move; None where there is none.
        made: monotonic time when it was ready, seconds.
    """

    frame: Frame
    pictures: WindowPictures | None
    note: str
    held: str
    watching: Watching
    motion: Verdict | None
    made: float


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all cameras of a run share.

    Attributes:
        batcher: collects windows for the networks.
        writer: the thread that writes what was judged.
        metrics: counts.
        warn: told in one line what a person should know.
        stop: once set, nothing new is begun.
        now: the wall clock.
        turns: pictures are prepared in one.
    """

    batcher: Batcher[LiveItem]
    writer: Worker
    metrics: Metrics
    warn: Callable[[str], None]
    stop: threading.Event
    now: Callable[[], datetime]
    turns: Turns


class LiveCamera:
    """One camera of a live run; also the listener of its connection.

    Attributes:
        config: of the camera.
        name: of the camera.
        outputs: where everything goes.
        lights: what it watches with; set before :meth:`start`.
        gone: why it has given up; None while it has not.
    """

    lights: CameraLights

    def __init__(self, config: CameraConfig, workshop: Workshop, outputs: CameraOutputs, health: CameraHealth) -> None:
        """Prepare; nothing is connected.

        Args:
            config: of the camera.
            workshop: shared by all cameras.
            outputs: of this camera.
            health: of this camera.
        """
        self.config = config
        self.name = config.name
        self.outputs = outputs
        self.gone: str | None = None
        self._shop = workshop
        self._health = health
        self._source: CameraSource | None = None
        self._monitor = ConditionMonitor()
        self._preparer: FramePreparer | None = None
        self._latest: Watching | None = None
        self._cause = ""
        self._thread: threading.Thread | None = None
        self._in_batcher = False
        self._troubles: set[str] = set()

    @property
    def source(self) -> CameraSource | None:
        """Where its pictures come from, once started."""
        return self._source

    @property
    def state(self) -> CameraState:
        """How it is doing."""
        return self._health.state

    @property
    def reading(self) -> bool:
        """Whether its reading thread is at work."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, source: CameraSource) -> None:
        """Begin to read on a thread of its own."""
        self._source = source
        self._thread = threading.Thread(target=self._run, name=f"camera {self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Tell it to end; returns at once."""
        if self._source is not None:
            self._source.close()

    def close(self, seconds: float) -> None:
        """Wait for the reading to end, then write what was judged by then; events that are open end."""
        self.stop()
        if self._thread is not None:
            self._thread.join(seconds)
        self._tell(self._health.close())
        self._shop.writer.drain(seconds)
        self.outputs.close(seconds)
        self.lights.close()

    def tick(self) -> None:
        """To be called about once a second."""
        self._tell(self._health.tick())
        self._shop.writer.give(partial(self._guarded, self.outputs.tick))

    def ready(self) -> None:
        """There is a model: pictures are judged from now on."""
        self._tell(self._health.learned())

    # What the connection tells, on its threads.

    def connecting(self, attempt: int) -> None:
        """An attempt begins."""
        _ = attempt
        self._tell(self._health.connecting())

    def connected(self, info: SourceInfo) -> None:
        """The first picture of a connection is there."""
        _ = info
        self._tell(self._health.connected())

    def lost(self, cause: Cause, detail: str, retry_in: float | None) -> None:
        """The connection, or the attempt, failed."""
        self._cause = f"{cause.value}: {detail}" if detail else cause.value
        self._tell(self._health.lost(cause, detail))
        self._shop.writer.give(partial(self._guarded, self.outputs.lost), must=True)
        if retry_in is None:
            self.gone = self._cause

    def stream(self, stream: EncodedStream) -> None:
        """Packets of a new connection follow."""
        if self.outputs.evidence is not None:
            self.outputs.evidence.stream(stream)

    def packet(self, packet: EncodedPacket) -> None:
        """A packet came."""
        if self.outputs.evidence is not None:
            self.outputs.evidence.packet(packet)

    # The reading thread.

    def _run(self) -> None:
        source = self._source
        if source is None:
            return
        try:
            for frame in source.frames():
                with self._shop.turns:
                    self._frame(frame)
                if self._shop.stop.is_set():
                    return
        except AbortedError:
            return
        except Exception as error:  # noqa: BLE001 - one camera's trouble must not reach the others
            detail = str(error) if isinstance(error, AvidWatchError) else f"{type(error).__name__}: {error}"
            self.gone = detail
            self._shop.warn(f"{self.name}: given up ({detail}); the other cameras go on")
            self._tell(self._health.lost(Cause.BROKEN, detail))
        finally:
            if self.gone is None and not self._shop.stop.is_set():
                self.gone = self._cause or "the source ended"
            self._shop.batcher.end(self.name)

    def _frame(self, frame: Frame) -> None:
        shop, began = self._shop, time.monotonic()
        moment = frame.wall_clock or shop.now()
        shop.metrics.frame_in(self.name, moment.timestamp())
        shop.metrics.stage(Stage.DECODE, (shop.now() - moment).total_seconds())
        condition = GOOD
        if not frame.corrupt:
            if self.lights.look(frame):
                self._preparer = None
            infrared = self.lights.light == "infrared"
            condition = self._monitor.push(frame.luma, frame.pts, infrared=infrared)
        self._tell(self._health.frame(condition, corrupt=frame.corrupt, wall_clock=moment, pts=frame.pts))
        period = self._period()
        watching = self.lights.watching((frame.luma.shape[1], frame.luma.shape[0]), period)
        if watching is None:
            if self._latest is not None:
                self._latest = None
                self._tell(self._health.learning())
            if condition.usable and not frame.corrupt:
                self.lights.gather(frame, period)
            return
        preparer = self._preparer_for(watching)
        held = self._health.hold_back(frame.pts) or (SWITCHING if self.lights.in_doubt else "")
        collected = preparer.collect(frame)
        motion = None
        if collected.pictures is not None:
            motion = watching.forbidden(collected.pictures, learn=not held)
        made = time.monotonic()
        shop.metrics.stage(Stage.PREPARE, made - began)
        item = LiveItem(frame, collected.pictures, collected.note, held, watching, motion, made)
        shop.batcher.put(self.name, item, collected.size)

    def _period(self) -> Fraction | None:
        info = self._source.info if self._source is not None else None
        return None if info is None or not info.frame_rate else 1 / info.frame_rate

    def _preparer_for(self, watching: Watching) -> FramePreparer:
        """What builds the windows of a model; anew where they are others than before."""
        before, self._latest = self._latest, watching
        if before is None:
            if self._in_batcher:
                self._shop.batcher.regroup(self.name, watching.group)
            else:
                self._shop.batcher.add(self.name, group=watching.group, pace=Pace.LATEST, most_waiting=MOST_WAITING)
                self._in_batcher = True
            self._tell(self._health.learned())
        elif before is not watching and before.group != watching.group:
            self._shop.batcher.regroup(self.name, watching.group)
        if self._preparer is None or before is None or before.scorer.windows != watching.scorer.windows:
            self._preparer = FramePreparer(watching.scorer.windows)
        return self._preparer

    # The networks' thread.

    def judged(self, items: Sequence[LiveItem], verdicts: Sequence[Verdict], evidence: Sequence[Evidence]) -> None:
        """Take what the networks said of frames of one :class:`Watching`.

        Args:
            items: in order, those without a window among them.
            verdicts: of those with a window, in order.
            evidence: of the same, in pieces.
        """
        watching = items[0].watching
        scored = [(item, item.pictures) for item in items if item.pictures is not None]
        own = [watching.in_zones(verdict) for verdict in verdicts]
        self.lights.hear(
            watching,
            [item.frame for item, _ in scored],
            [(pictures.pts, pictures.segment) for _, pictures in scored],
            own,
            [bool(item.held) for item, _ in scored],
            evidence,
        )
        given = iter(own)
        provisional = self.lights.provisional(watching)
        info = self._source.info if self._source is not None else None
        began = time.monotonic()
        for item in items:
            verdict = next(given) if item.pictures is not None else None
            if item.pictures is None:  # counted here and not before: the batcher counts what it drops itself
                self._shop.metrics.dropped(self.name, Unscored.CORRUPT if item.note == CORRUPT else Unscored.GAP)
            outcome = Outcome(item.frame, watching, verdict, item.motion, item.note, item.held, provisional)
            job = partial(self._write, outcome, info, began)
            if not self._shop.writer.give(job, BYTES_PER_PIXEL * item.frame.luma.size):
                self._shop.metrics.dropped(self.name, Unscored.QUEUE_FULL)

    def _tell(self, notices: Sequence[Notice]) -> None:
        if notices:
            self._shop.writer.give(partial(self._guarded, partial(self.outputs.tell, notices)), must=True)

    # The writer's thread.

    def _write(self, outcome: Outcome, info: SourceInfo | None, began: float) -> None:
        self._guarded(partial(self.outputs.take, outcome, info))
        self._shop.metrics.stage(Stage.WRITE, time.monotonic() - began)

    def _guarded(self, job: Callable[[], None]) -> None:
        """Do what belongs to this camera alone; what goes wrong there is told once, and concerns no other one."""
        try:
            job()
        except Exception as error:  # noqa: BLE001 - for weeks, whatever happens
            words = f"{type(error).__name__}: {error}"
            if words not in self._troubles and len(self._troubles) < MOST_TROUBLES:
                self._troubles.add(words)
                self._shop.warn(f"{self.name}: could not be written down ({words}); watching goes on")

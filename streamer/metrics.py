"""What a live run counts, for Prometheus: one facade for whoever counts, a registry of its own, bounded label sets.

Cameras and sinks get their series when they are added and lose them when they are removed; a count for one that is not
there goes nowhere. Counting never raises and never waits.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streamer.camera_queue import DropReason
from streamer.live.notices import CameraState
from streamer.liveness import LivenessBoard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamer.camera_queue import BatcherCounts
    from streamer.frames import SourceCounts
    from streamer.sinks.outbox_worker import SinkCounts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of what :meth:`Metrics.render` returns."""

STAGE_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
GLASS_TO_ALARM_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Unscored(Enum):
    """Why a frame of a camera was not scored."""

    BEHIND = "behind"  # the source threw it away because its reader did not keep up
    QUEUE_FULL = DropReason.QUEUE_FULL.value  # newer ones of its camera came before the batcher handed it out
    TOO_OLD = DropReason.TOO_OLD.value  # it waited for the networks longer than a live picture may
    REMOVED = DropReason.REMOVED.value  # its camera was taken away, or given another model
    GAP = "gap"  # too soon after a gap, a reconnection or a change of size: no window can be made of it
    CORRUPT = "corrupt"  # the picture was damaged


class Stage(Enum):
    """Where a frame spends its time."""

    DECODE = "decode"  # from the arrival of its packets to the picture
    PREPARE = "prepare"  # from the picture to the window
    WAIT = "wait"  # for a batch
    NETWORK = "network"  # in the networks, as part of a batch
    WRITE = "write"  # from the verdict until everything was written


class Queue(Enum):
    """The queues between the threads."""

    WINDOWS = "windows"  # of all cameras, before the networks
    VERDICTS = "verdicts"  # before the writer


@dataclass(slots=True)
class _CameraSeries:
    """What is counted for one camera, and where its source's own counts stood."""

    frames: Counter
    scored: Counter
    dropped: dict[Unscored, Counter]
    decode_errors: Counter
    corrupt: Counter
    reconnects: Counter
    waiting: Gauge
    last_frame: Gauge
    latency: Histogram
    states: dict[CameraState, Gauge]
    seen: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _SinkSeries:
    queued: Gauge
    delivered: Counter
    failed: Counter
    lost: Counter
    seen: dict[str, int] = field(default_factory=dict)


class Metrics:
    """All counts of a live run; safe to use from several threads.

    Attributes:
        liveness: hears of states, frames and signs of life too; ``/healthz`` reads it.
    """

    def __init__(self, liveness: LivenessBoard | None = None) -> None:
        """Make a registry of its own.

        Args:
            liveness: one with the usual times where None.
        """
        self.liveness = liveness or LivenessBoard()
        self._lock = threading.Lock()
        self._cameras: dict[str, _CameraSeries] = {}
        self._sinks: dict[str, _SinkSeries] = {}
        self._registry = CollectorRegistry(auto_describe=True)
        make = self._make
        self._frames = make(Counter, "camera_frames", "Pictures that came from the camera.", "camera")
        self._scored = make(Counter, "camera_frames_scored", "Pictures that were judged.", "camera")
        self._dropped = make(
            Counter, "camera_frames_dropped", "Pictures that were not judged, by reason.", "camera", "reason"
        )
        self._decode_errors = make(
            Counter, "camera_decode_errors", "Packets that the demuxer or the decoder refused.", "camera"
        )
        self._corrupt = make(Counter, "camera_frames_corrupt", "Pictures that were damaged.", "camera")
        self._reconnects = make(Counter, "camera_reconnects", "Connections after the first.", "camera")
        self._waiting = make(Gauge, "camera_windows_waiting", "Windows of the camera that wait for a batch.", "camera")
        self._last_frame = make(
            Gauge, "camera_last_frame_timestamp_seconds", "When the last picture came, seconds since 1970.", "camera"
        )
        self._state = make(Gauge, "camera_state", "1 for the state the camera is in, else 0.", "camera", "state")
        self._latency = make(
            Histogram,
            "glass_to_alarm_seconds",
            "From the moment a picture was taken until its alarm was out.",
            "camera",
            buckets=GLASS_TO_ALARM_SECONDS,
        )
        self._depths = make(Gauge, "queue_depth", "Items in a queue between two threads.", "queue")
        self._queues = {queue: self._depths.labels(queue.value) for queue in Queue}
        self._batch = make(Histogram, "batch_size", "Windows per run of the networks.", buckets=BATCH_SIZES)
        self._stage = make(
            Histogram, "stage_seconds", "Time a picture spends in a stage.", "stage", buckets=STAGE_SECONDS
        )
        self._stages = {stage: self._stage.labels(stage.value) for stage in Stage}
        self._sink_queued = make(Gauge, "sink_messages_queued", "Messages that wait for the sink.", "sink")
        self._sink_delivered = make(Counter, "sink_messages_delivered", "Messages the receiver has taken.", "sink")
        self._sink_failed = make(Counter, "sink_messages_failed", "Messages the receiver refused for good.", "sink")
        self._sink_lost = make(Counter, "sink_messages_lost", "Messages that were given up.", "sink")
        make(Gauge, "threads", "Threads of the program, those of its libraries too.").set_function(_threads)
        ProcessCollector(registry=self._registry)

    def _make(self, kind: Callable[..., Any], name: str, text: str, *labels: str, **more: object) -> Any:
        return kind(name, text, labels, namespace="avid_watch", registry=self._registry, **more)

    def add_camera(self, camera: str) -> None:
        """A camera is watched from now on; all its series begin at 0. Nothing happens where it is already."""
        self.liveness.add(camera)
        with self._lock:
            if camera in self._cameras:
                return
            label = _label(camera)
            self._cameras[camera] = _CameraSeries(
                frames=self._frames.labels(label),
                scored=self._scored.labels(label),
                dropped={reason: self._dropped.labels(label, reason.value) for reason in Unscored},
                decode_errors=self._decode_errors.labels(label),
                corrupt=self._corrupt.labels(label),
                reconnects=self._reconnects.labels(label),
                waiting=self._waiting.labels(label),
                last_frame=self._last_frame.labels(label),
                latency=self._latency.labels(label),
                states={state: self._state.labels(label, state.value) for state in CameraState},
            )
        self.state(camera, CameraState.CONNECTING)

    def remove_camera(self, camera: str) -> None:
        """A camera is watched no more; its series end."""
        self.liveness.remove(camera)
        with self._lock:
            if self._cameras.pop(camera, None) is None:
                return
            for family in (
                self._frames,
                self._scored,
                self._decode_errors,
                self._corrupt,
                self._reconnects,
                self._waiting,
                self._last_frame,
                self._latency,
            ):
                family.remove(_label(camera))
            for reason in Unscored:
                self._dropped.remove(_label(camera), reason.value)
            for state in CameraState:
                self._state.remove(_label(camera), state.value)

    def frame_in(self, camera: str, at: float) -> None:
        """A picture came from a camera.

        Args:
            camera: its name.
            at: wall clock, seconds since 1970.
        """
        series = self._cameras.get(camera)
        if series is not None:
            series.frames.inc()
            series.last_frame.set(at)
            self.liveness.frame(camera)

    def scored(self, camera: str, frames: int = 1) -> None:
        """Pictures of a camera were judged."""
        series = self._cameras.get(camera)
        if series is not None:
            series.scored.inc(frames)

    def dropped(self, camera: str, reason: Unscored, frames: int = 1) -> None:
        """Pictures of a camera were not judged."""
        series = self._cameras.get(camera)
        if series is not None:
            series.dropped[reason].inc(frames)

    def source(self, camera: str, counts: SourceCounts, reconnects: int) -> None:
        """Take over what a source has counted by now: damage, decode errors, frames it dropped, reconnections.

        Args:
            camera: its name.
            counts: of the source since it was opened; where they are lower than before, the source is a new one.
            reconnects: connections after the first.
        """
        series = self._cameras.get(camera)
        if series is None:
            return
        for name, counter, total in (
            ("decode_errors", series.decode_errors, counts.decode_errors),
            ("corrupt", series.corrupt, counts.corrupt),
            ("behind", series.dropped[Unscored.BEHIND], counts.dropped),
            ("reconnects", series.reconnects, reconnects),
        ):
            _raise_to(series.seen, name, counter, total)

    def batcher(self, camera: str, counts: BatcherCounts) -> None:
        """Take over what the batcher has counted for a camera by now: what waits, and what it dropped."""
        series = self._cameras.get(camera)
        if series is None:
            return
        series.waiting.set(counts.waiting)
        for reason, total in counts.dropped.items():
            _raise_to(series.seen, f"batcher {reason.value}", series.dropped[Unscored(reason.value)], total)

    def state(self, camera: str, state: CameraState) -> None:
        """A camera is in this state now."""
        self.liveness.state(camera, state)
        series = self._cameras.get(camera)
        if series is not None:
            for other, gauge in series.states.items():
                gauge.set(1.0 if other is state else 0.0)

    def glass_to_alarm(self, camera: str, seconds: float) -> None:
        """An alarm went out so many seconds after its picture was taken."""
        series = self._cameras.get(camera)
        if series is not None:
            series.latency.observe(max(0.0, seconds))

    def queue_depth(self, queue: Queue, items: int) -> None:
        """So many items are in a queue."""
        self._queues[queue].set(items)

    def batch(self, windows: int) -> None:
        """The networks ran over so many windows at once."""
        self._batch.observe(windows)

    def stage(self, stage: Stage, seconds: float) -> None:
        """A picture spent so many seconds in a stage."""
        self._stages[stage].observe(max(0.0, seconds))

    def beat(self) -> None:
        """The thread of the networks is alive; to be called every time it looks for work."""
        self.liveness.beat()

    def add_sink(self, sink: str) -> None:
        """A sink takes messages from now on."""
        with self._lock:
            self._sinks.setdefault(
                sink,
                _SinkSeries(
                    self._sink_queued.labels(sink),
                    self._sink_delivered.labels(sink),
                    self._sink_failed.labels(sink),
                    self._sink_lost.labels(sink),
                ),
            )

    def remove_sink(self, sink: str) -> None:
        """A sink takes no more messages; its series end."""
        with self._lock:
            if self._sinks.pop(sink, None) is not None:
                for family in (self._sink_queued, self._sink_delivered, self._sink_failed, self._sink_lost):
                    family.remove(sink)

    def sink(self, sink: str, counts: SinkCounts) -> None:
        """Take over what a sink has counted by now; where a count is lower than before, it is a new sink."""
        series = self._sinks.get(sink)
        if series is None:
            return
        series.queued.set(counts.queued)
        _raise_to(series.seen, "delivered", series.delivered, counts.delivered)
        _raise_to(series.seen, "failed", series.failed, counts.failed)
        _raise_to(series.seen, "lost", series.lost, counts.lost)

    def render(self) -> bytes:
        """All series in Prometheus' text format; :data:`CONTENT_TYPE` is its type."""
        return generate_latest(_WithoutCreated(self._registry))


def _label(name: str) -> str:
    """A name as a label: UTF-8 for sure."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _threads() -> float:
    """Threads as the system counts them, where it says; else those of Python alone."""
    try:
        return float(sum(1 for _ in Path("/proc/self/task").iterdir()))
    except OSError:
        return float(threading.active_count())


def _raise_to(seen: dict[str, int], name: str, counter: Counter, total: int) -> None:
    """Bring a counter up by what has been added to a total elsewhere since it was seen last."""
    before = seen.get(name, 0)
    counter.inc(total - before if total >= before else total)
    seen[name] = total


class _WithoutCreated(Collector):
    """A registry without the ``_created`` series, which would make every answer half as long again for nothing.

    Switching them off in the library itself would do so for the whole process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            kept = Metric(metric.name, metric.documentation, metric.type, metric.unit)
            kept.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield kept

"""``avid-watch rtsp://...``: many live cameras, one run of the networks for all, until somebody says stop."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from detectors.threads import usable_cores
from preprocess.errors import AvidWatchError, InputError
from streamer.batcher import Batcher, BatchLimits
from streamer.live.camera import LiveCamera, LiveItem, Workshop
from streamer.live.config_changes import ConfigReloader
from streamer.live.folder import LiveFolder
from streamer.live.health import CameraHealth, HealthSettings
from streamer.live.judging import Judging
from streamer.live.learned_state import LearnedState
from streamer.live.lights import CameraLights, School
from streamer.live.notices import EventNotice
from streamer.live.outputs import CameraOutputs
from streamer.live.receivers import open_receivers
from streamer.metrics import Metrics, Queue
from streamer.networks import TorchNetworks
from streamer.requests import SourceOutcome, WatchOutcome
from streamer.settings import MachineSettings
from streamer.sinks.clips import ClipWriter
from streamer.sinks.http_endpoint import EndpointSettings, HttpEndpoint
from streamer.sinks.retention import Retention, RetentionSettings
from streamer.sinks.storage import StorageWatch
from streamer.sinks.worker import Worker
from streamer.sinks.writing import told_as_output_errors
from streamer.sources.network import open_camera
from streamer.sources.stream_options import CameraOptions
from streamer.turns import LEARNING_STEP_BACK, MOST_PREPARING, Turns, step_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from detectors.scene_model import SceneModel
    from preprocess.pictures import Footage
    from streamer.console import Console
    from streamer.events import EventMessage
    from streamer.live.config import CameraConfig, LiveConfig
    from streamer.live.config_changes import Changes
    from streamer.live.receivers import Receivers
    from streamer.requests import LiveRequest

LOOK = 0.2  # seconds between two looks of the main thread
SHORTEST_BUDGET = 4.0
LAST_WORDS = 5.0  # seconds that files, clips and receivers get at the end
MOST_VERDICTS = 256  # frames between the networks and the writer
MOST_BYTES = 256 * 2**20
PER_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class LiveTimes:
    """Times that are not a camera's own business.

    Attributes:
        health: when a camera counts as offline, covered and so on.
        learn_budget: seconds for the first model of one camera; shared where many begin at once.
        connect_seconds, least_wait, most_wait: of connections, see :class:`CameraOptions`.
    """

    health: HealthSettings = field(default_factory=HealthSettings)
    learn_budget: float = 25.0
    connect_seconds: float = 5.0
    least_wait: float = 1.0
    most_wait: float = 30.0


def watch_live(
    request: LiveRequest,
    console: Console,
    *,
    times: LiveTimes | None = None,
    started: Callable[[LiveRun], None] | None = None,
) -> WatchOutcome:
    """Watch live cameras until told to stop, or until every one of them has given up.

    Args:
        request: checked settings.
        console: its ``stop`` ends the run politely.
        times: time-outs and such; the usual ones by default.
        started: told the run once everything is at work; for tests and benchmarks.

    Raises:
        OutputError: a camera's folder or the store cannot be written.
        ModelError: a camera's model is unusable.
        UsageError: a receiver, the endpoint or the device asked for cannot be had.
    """
    with LiveRun(request, console, times) as run:
        if started is not None:
            started(run)
        run.watch()
        return run.outcome()


class LiveRun:
    """Everything of one live run. Usable as a context manager, which ends it.

    Attributes:
        cameras: at work, by name.
        metrics: of all of them.
        times: time-outs and such.
        endpoint: serves the metrics; None where it was not asked for.
    """

    def __init__(self, request: LiveRequest, console: Console, times: LiveTimes | None = None) -> None:
        """Open everything; cameras begin to connect."""
        self.times = times or LiveTimes()
        self.config: LiveConfig = request.config
        self.cameras: dict[str, LiveCamera] = {}
        self.metrics = Metrics()
        self.endpoint: HttpEndpoint | None = None
        self._request = request
        self._console = console
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._directory = (request.config.output or Path()).expanduser()
        self._folders: dict[str, LiveFolder] = {}
        self._outcomes: list[SourceOutcome] = []
        self._decoding = Turns(usable_cores())
        self._preparing = Turns(min(usable_cores(), MOST_PREPARING))
        self._networks = TorchNetworks(
            MachineSettings(
                device=self.config.device,
                precision=self.config.precision,
                batch_size=self.config.batch_size,
                seed=self.config.seed,
            )
        )
        self._ending = ExitStack()
        # From here to the very end: a signal that comes while the cameras begin, or while they end, must kill nothing.
        self._hangup = self._ending.enter_context(_on_hangup())
        try:
            self._open()
        except BaseException:
            self._close()
            raise

    def _open(self) -> None:
        config, console, ending = self.config, self._console, self._ending
        with told_as_output_errors(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        self._receivers: Receivers = open_receivers(config, self._directory, console.warn, console.result)
        ending.callback(self._receivers.hub.close, LAST_WORDS)
        for sink in self._receivers.hub.counts():
            self.metrics.add_sink(sink)
        if config.metrics is not None:
            settings = EndpointSettings(host=config.metrics.host, port=config.metrics.port)
            self.endpoint = HttpEndpoint(self.metrics, settings).start()
            ending.callback(self.endpoint.close)
            say = console.result if config.metrics.port == 0 else console.detail
            say(f"metrics at {self.endpoint.url}/metrics, health at {self.endpoint.url}/healthz")
        self._storage = StorageWatch(self._storage_event, room_bytes=min(config.retention.free, 10**9) or 10**6)
        self._clips = ClipWriter(self._storage)
        ending.callback(self._clips.close, LAST_WORDS)
        age, most = config.retention.age, config.retention.bytes
        self._retention = Retention(
            (), RetentionSettings(None if age is None else age / PER_DAY, most, config.retention.free), self._storage
        )
        ending.callback(self._retention.close, LAST_WORDS)
        self._writer = Worker("avid-write", most_jobs=MOST_VERDICTS, most_bytes=MOST_BYTES, failed=self._failed)
        ending.callback(self._writer.close, LAST_WORDS)
        self._learning = Worker("avid-learn", most_jobs=64, most_bytes=MOST_BYTES, failed=self._failed)
        self._learning.give(partial(step_back, LEARNING_STEP_BACK))
        ending.callback(self._learning.close, 0.5)
        most = self._networks.batch_size
        limits = BatchLimits(most=max(most, 1), quota=max(1, min(4, most)), most_wait=config.max_wait)
        self._batcher: Batcher[LiveItem] = Batcher(limits)
        self._networks.base()
        self._judging = Judging(self._batcher, self.cameras, self._writer, self.metrics, self._failed)
        ending.callback(self._judging.close, LAST_WORDS)
        ending.callback(self._batcher.close)
        ending.callback(self._end_cameras)
        self._judging.start()
        for camera in config.watched:
            self._add(camera)
        self._retention.start()

    def watch(self) -> None:
        """Look after everything until it ends."""
        reloader = None
        if self._request.config_file is not None:
            reloader = ConfigReloader(self._request.config_file, self.config, self._console.warn)
        looked = 0.0
        while not self._console.stop.wait(LOOK):
            if self._error is not None:
                raise self._error
            if self.cameras and all(camera.gone and not camera.reading for camera in self.cameras.values()):
                return
            if time.monotonic() - looked < 1.0:
                continue
            looked = time.monotonic()
            self._look()
            asked = self._hangup.is_set()
            self._hangup.clear()
            if reloader is not None:
                found = reloader.reload() if asked else reloader.poll()
                if found is not None:
                    self._change(found, reloader.config)
            elif asked:  # the terminal was closed
                self._console.stop.set()

    def outcome(self) -> WatchOutcome:
        """How it ended; ends the cameras first."""
        interrupted = self._console.stop.is_set()
        self._end_cameras()
        return WatchOutcome(tuple(self._outcomes), interrupted=interrupted)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def _close(self) -> None:
        self._stop.set()
        self._ending.close()
        for folder in self._folders.values():
            folder.close()

    def _look(self) -> None:
        windows = 0
        for camera in list(self.cameras.values()):
            camera.tick()
            if camera.source is not None:
                self.metrics.source(camera.name, camera.source.counts, camera.source.reconnects)
            with suppress(KeyError):
                found = self._batcher.counts(camera.name)
                self.metrics.batcher(camera.name, found)
                windows += found.waiting
        self.metrics.queue_depth(Queue.WINDOWS, windows)
        self.metrics.queue_depth(Queue.VERDICTS, self._writer.waiting)
        for sink, counts in self._receivers.hub.counts().items():
            self.metrics.sink(sink, counts)

    def _add(self, config: CameraConfig) -> None:
        """Begin with a camera."""
        folder = self._folders.get(config.name)
        if folder is None:
            folder = self._folders[config.name] = LiveFolder.open(self._directory, config.name, config.address)
        model = None if config.model is None else self._networks.load(config.model.expanduser())
        if model is not None:  # one that has learned no camera is refused now, not when pictures come
            size = (model.windows.width, model.windows.height)
            model.scorer(size, false_alarms_per_day=config.false_alarms_per_day, decision=config.decision)
        state = LearnedState(folder.path)
        found = state.load(_now(), self._networks.runtime)
        for warning in found.warnings:
            self._console.warn(f"{config.name}: {warning}")
        self.metrics.add_camera(config.name)
        self._receivers.add_camera(config.name)
        outputs = CameraOutputs(
            config,
            folder,
            hub=self._receivers.hub,
            clips=self._clips,
            storage=self._storage,
            metrics=self.metrics,
            warn=self._console.warn,
            zone=config.armed_hours().time_zone,
            now=_now,
        )
        health = CameraHealth(config.name, folder.path, clock=_now, settings=self.times.health)
        shop = Workshop(
            self._batcher, self._writer, self.metrics, self._console.warn, self._stop, _now, self._preparing
        )
        camera = LiveCamera(config, shop, outputs, health)
        school = School(
            self._learning,
            self._learn,
            self.times.learn_budget,
            self.config.seed,
            self._console.warn,
            self._console.detail,
            self._stop.is_set,
            _now,
        )
        camera.lights = CameraLights(config, school, state, learned=found.lights, model=model, ready=camera.ready)
        if model is not None or found.lights:
            camera.ready()
        self.cameras[config.name] = camera
        self._retention.watch(list(self._folders.values()))
        options = CameraOptions(
            transport=config.transport,
            max_reconnects=config.max_reconnects,
            stall_seconds=config.stall,
            connect_seconds=self.times.connect_seconds,
            least_wait=self.times.least_wait,
            most_wait=self.times.most_wait,
        )
        rate = None if config.frame_rate is None else Fraction(str(config.frame_rate))
        camera.start(
            open_camera(
                config.full_uri(),
                name=config.name,
                options=options,
                listener=camera,
                frame_rate=rate,
                turns=self._decoding,
            )
        )

    def _remove(self, name: str) -> None:
        """End with a camera; nothing where it could not be begun with."""
        camera = self.cameras.pop(name, None)
        if camera is None:
            return
        camera.close(LAST_WORDS)
        self._outcomes.append(_outcome_of(camera, self._folders.get(name)))
        with suppress(KeyError):
            self._batcher.remove(name)

    def _change(self, found: Changes, config: LiveConfig) -> None:
        """Take over a changed cameras file; cameras that are the same in both do not notice."""
        if found.shared:
            self._console.warn(f"{', '.join(found.shared)}: changed in the cameras file; takes effect at a restart")
        for camera in (*found.removed, *found.changed):
            self._remove(camera.name)
        self._learning.drain(1.0)  # what they learned is written before it is read again
        for camera in found.removed:
            self.metrics.remove_camera(camera.name)
            self._receivers.remove_camera(camera.name)
            folder = self._folders.pop(camera.name, None)
            if folder is not None:
                folder.close()
        for camera in (*found.changed, *found.added):
            try:
                self._add(camera)
            except AvidWatchError as error:
                self._console.warn(f"{camera.name}: {error}; the other cameras go on")
                self._remove(camera.name)
        self._retention.watch(list(self._folders.values()))
        self.config = config
        names = {
            "added": found.added,
            "removed": found.removed,
            "changed": found.changed,
        }
        told = ", ".join(f"{what} {', '.join(c.name for c in those)}" for what, those in names.items() if those)
        self._console.detail(f"cameras file read again: {told or 'no camera concerned'}")

    def _end_cameras(self) -> None:
        self._stop.set()
        for camera in self.cameras.values():
            camera.stop()
        for name in list(self.cameras):
            self._remove(name)

    def _learn(self, footage: Footage, budget: float) -> SceneModel:
        """The first model of a camera; many cameras that begin at once share the time."""
        waiting = max(1, self._learning.waiting + 1)
        seconds = max(SHORTEST_BUDGET, budget / waiting)
        return self._networks.calibrate(footage, budget_seconds=seconds, seed=self.config.seed, stop=self._stop.is_set)

    def _storage_event(self, message: EventMessage) -> None:
        name = message.event.source
        folder = self._folders.get(name)
        if folder is None:
            return
        self._retention.hurry()
        notice = EventNotice(name, message, _now(), folder.path)
        camera = self.cameras.get(name)
        if camera is not None:
            self._writer.give(lambda: camera.outputs.tell([notice]), must=True)

    def _failed(self, error: Exception) -> None:
        """Something that must not fail has failed: the run ends with it, its outputs closed."""
        if isinstance(error, AvidWatchError):
            self._console.warn(str(error))
        elif self._error is None:
            self._error = error


def _outcome_of(camera: LiveCamera, folder: LiveFolder | None) -> SourceOutcome:
    scored, source = camera.outputs.scored, camera.source
    error = None
    if camera.gone is not None and not scored:
        error = InputError(
            f"{camera.config.address}: nothing could be watched ({camera.gone}); check address and login"
        )
    counts = source.counts if source is not None else None
    summary: Mapping[str, object] = {
        "live": True,
        "source": camera.config.address,
        "name": camera.name,
        "scored": scored,
        "alarms": camera.outputs.alarms,
        "reconnects": source.reconnects if source is not None else 0,
        "frames": counts.decoded if counts is not None else 0,
        "dropped": counts.dropped if counts is not None else 0,
        "corrupt": counts.corrupt if counts is not None else 0,
        "decode_errors": counts.decode_errors if counts is not None else 0,
        "gone": camera.gone,
    }
    path = folder.path if folder is not None else None
    return SourceOutcome(camera.config.address, path, summary, camera.outputs.alarms, error)


@contextmanager
def _on_hangup() -> Iterator[threading.Event]:
    """An event that SIGHUP sets: read the cameras file again, or end where there is none."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGHUP"):
        yield asked
        return
    before = signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=asked.set, daemon=True).start())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGHUP, before)


def _now() -> datetime:
    return datetime.now(UTC)

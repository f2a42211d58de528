"""Evidence clips: for every event the camera's own pictures, from before it began until after it ended.

Cut from the encoded packets at a key frame and never encoded again: no time, no loss, and nothing drawn on them.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from streamer.live.folder import CLIPS
from streamer.live.notices import EventKind
from streamer.live.packet_ring import MOST_BYTES, PacketRing
from streamer.sinks.clip_files import MOST_PARTS, ClipFiles
from streamer.sinks.packet_file import NOT_KEPT, ending_for
from streamer.sinks.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

    from streamer.events import Event
    from streamer.live.camera_source import EncodedPacket, EncodedStream
    from streamer.live.folder import LiveFolder
    from streamer.sinks.storage import StorageWatch

QUEUE_BYTES = 64 * 2**20
QUEUE_JOBS = 20_000
MOST_CLIPS = 16
"""Clips of one camera that may be open at once: overlapping events, and those whose post-roll still runs."""

_ROLLING = frozenset({EventKind.ANOMALY.value, EventKind.FORBIDDEN_MOTION.value})  # split when they last too long
_LONGEST_STEP = 1.0  # seconds between two packets, from which on the camera was away
_GRACE = timedelta(seconds=2)  # for packets on their way when the post-roll ends


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """What a clip shows.

    Attributes:
        pre_roll: seconds before the event; the clip begins at the key frame before that.
        post_roll: seconds after it.
        most_bytes: of packets kept in memory per camera for the pre-roll.
        notice_delay: seconds from an event's first frame until :meth:`EvidenceRecorder.began` hears of it, at most: its
            minimum duration and the way through the networks. Packets are kept for so much longer.
        quiet_seconds: without a packet for so long, the file is closed; a further part follows where the camera comes
            back.
        most_parts: files of one event at most, where the camera comes and goes.
        longest: seconds of pictures in the clip of an event that does not roll over: a camera may be covered for weeks.
    """

    pre_roll: float = 5.0
    post_roll: float = 5.0
    most_bytes: int = MOST_BYTES
    notice_delay: float = 5.0
    quiet_seconds: float = 10.0
    most_parts: int = MOST_PARTS
    longest: float = 600.0

    def __post_init__(self) -> None:
        """Refuse settings that make no clip."""
        if min(self.pre_roll, self.post_roll, self.notice_delay) < 0 or self.quiet_seconds <= 0 or self.most_parts < 1:
            raise ValueError("pre-roll and post-roll of a clip must not be negative, and it has at least one part")


class ClipWriter:
    """The one thread that writes the clips of all cameras, behind one bounded queue.

    Attributes:
        storage: stops the writing while there is no room.
    """

    def __init__(
        self,
        storage: StorageWatch,
        *,
        most_bytes: int = QUEUE_BYTES,
        most_jobs: int = QUEUE_JOBS,
        tick_seconds: float = 0.5,
    ) -> None:
        """Start the thread.

        Args:
            storage: asked before, and told of every failure.
            most_bytes: of packets that wait to be written.
            most_jobs: bound on the queue.
            tick_seconds: how often is looked for clips whose camera has gone quiet.
        """
        self.storage = storage
        self._recorders: list[EvidenceRecorder] = []
        self._lock = Lock()
        self._errors = 0
        self._worker = Worker(
            "avid-clips",
            most_jobs=most_jobs,
            most_bytes=most_bytes,
            failed=self._note,
            tick=self._tick,
            tick_seconds=tick_seconds,
        )

    @property
    def refused(self) -> int:
        """Packets left out because the disk did not keep up."""
        return self._worker.refused

    @property
    def errors(self) -> int:
        """Failures that had nothing to do with the disk."""
        return self._errors

    def give(self, job: Callable[[], None], size: int = 0, *, must: bool = False) -> bool:
        """See :meth:`Worker.give`."""
        return self._worker.give(job, size, must=must)

    def attach(self, recorder: EvidenceRecorder) -> None:
        """Have the recorder's clock looked at."""
        with self._lock:
            self._recorders.append(recorder)

    def detach(self, recorder: EvidenceRecorder) -> None:
        """Stop that."""
        with self._lock:
            if recorder in self._recorders:
                self._recorders.remove(recorder)

    def drain(self, seconds: float) -> bool:
        """Wait until everything given so far is written; False where it was not within so many seconds."""
        return self._worker.drain(seconds)

    def close(self, seconds: float) -> bool:
        """Write what waits within so many seconds, then end the thread; close the recorders first."""
        return self._worker.close(seconds)

    def _tick(self) -> None:
        with self._lock:
            recorders = list(self._recorders)
        for recorder in recorders:
            recorder.tick()

    def _note(self, error: Exception) -> None:
        _ = error
        self._errors += 1


@dataclass(slots=True)
class _Clip:
    """A clip that still takes packets.

    Attributes:
        event: as it is known.
        files: what the writer's thread does with the packets.
        path: of its first file, relative to the camera's folder, once there is a packet to begin it with.
        until: when the post-roll ends; None while the event lasts.
        deadline: the same in monotonic seconds, with some grace: the wall clock may be set back.
        skipping: a packet found no place in the queue: nothing more until the next key frame.
        latest: when the packet before came.
        seconds: how long the camera was there for it.
        full: it is as long as it may be; its file is complete.
    """

    event: Event
    files: ClipFiles
    path: str | None
    until: datetime | None = None
    deadline: float = math.inf
    skipping: bool = False
    latest: datetime | None = None
    seconds: float = 0.0
    full: bool = False


class EvidenceRecorder:
    """Makes the clips of one camera. All methods return at once; those of the packets come from the camera's thread.

    A clip takes packets until ``post_roll`` seconds after its event's end, or, as that is known a little later, until
    the event is said to have ended. It has its final name from the first packet on and is readable while it is written.
    Events that overlap, roll over or follow within the post-roll have a clip each.
    """

    def __init__(
        self,
        folder: LiveFolder,
        settings: EvidenceSettings,
        writer: ClipWriter,
        *,
        finished: Callable[[Event, str | None], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Start without a packet.

        Args:
            folder: of the camera.
            settings: lengths and bounds.
            writer: the thread that writes, shared by all cameras.
            finished: told on the writer's thread when a clip is complete: the event, and the clip's path relative to
                the folder, None where there is no clip.
            clock: monotonic seconds.
            now: the wall clock, which the packets' times of arrival are of.
        """
        self._folder = folder
        self._settings = settings
        self._writer = writer
        self._finished = finished
        self._clock = clock
        self._now = now
        self._ring = PacketRing(settings.pre_roll + settings.notice_delay, settings.most_bytes)
        self._clips: dict[str, _Clip] = {}
        self._lock = Lock()
        self._closed = False
        self.refused = 0  # events without a clip, because too many were open
        writer.attach(self)

    @property
    def ring(self) -> PacketRing:
        """The packets kept for the pre-roll."""
        return self._ring

    @property
    def open(self) -> int:
        """Clips that still take packets."""
        with self._lock:
            return len(self._clips)

    def stream(self, stream: EncodedStream) -> None:
        """Packets of a new connection follow; open clips go on in a further part."""
        with self._lock:
            self._ring.begin(stream)

    def packet(self, packet: EncodedPacket) -> None:
        """A packet came."""
        with self._lock:
            stream = self._ring.stream
            if self._closed or stream is None or packet.epoch != stream.epoch or stream.codec in NOT_KEPT:
                return
            self._ring.add(packet)
            for clip in list(self._clips.values()):
                if clip.until is not None and packet.arrived > clip.until:
                    self._finish(clip)
                elif self._is_full(clip, packet.arrived):
                    continue
                elif packet.is_keyframe or not clip.skipping:
                    job = partial(clip.files.take, stream, packet)
                    clip.skipping = not self._writer.give(job, len(packet.data))
                    if clip.path is None and packet.is_keyframe and not clip.skipping:
                        clip.path = _path(clip.files, stream)

    def _is_full(self, clip: _Clip, arrived: datetime) -> bool:
        """Whether a clip takes no more; one of an event that rolls over always does, until it has."""
        if clip.event.kind in _ROLLING:
            return False
        before, clip.latest = clip.latest, arrived
        if before is not None:
            clip.seconds += min(max((arrived - before).total_seconds(), 0.0), _LONGEST_STEP)
        if clip.seconds > self._settings.longest and not clip.full:
            clip.full = True
            self._writer.give(clip.files.pause, must=True)
        return clip.full

    def lost(self) -> None:
        """The connection is gone: the files are completed as they are, and clips go on in a further part."""
        with self._lock:
            for clip in self._clips.values():
                self._writer.give(clip.files.pause, must=True)

    def began(self, event: Event) -> None:
        """An event began: its clip begins with the pre-roll kept in memory."""
        files = ClipFiles(
            self._folder,
            event.id,
            self._writer.storage,
            most_parts=self._settings.most_parts,
            quiet_seconds=self._settings.quiet_seconds,
            clock=self._clock,
        )
        with self._lock:
            if self._closed or event.id in self._clips:
                return
            if len(self._clips) >= MOST_CLIPS:
                self.refused += 1
                return
            moment = _moment(event.start_time, event.start) - timedelta(seconds=self._settings.pre_roll)
            latest = self._ring.latest
            if event.kind == EventKind.CAMERA_OFFLINE.value and latest is not None:
                # What it showed last is what matters, however long ago that was found out.
                moment = min(moment, latest - timedelta(seconds=self._settings.pre_roll))
            pieces = self._ring.since(moment)
            self._clips[event.id] = _Clip(event, files, _path(files, pieces[0].stream) if pieces else None)
            for piece in pieces:
                size = sum(len(packet.data) for packet in piece.packets)
                self._writer.give(partial(files.take_all, piece), size, must=True)

    def ended(self, event: Event) -> str | None:
        """An event ended: its clip ends with the post-roll.

        Returns:
            The path the clip has, relative to the camera's folder; None where there is none, because the camera sent
            nothing that could be kept or the disk is full. ``finished`` has the last word.
        """
        with self._lock:
            clip = self._clips.get(event.id)
            if clip is None:
                return None
            clip.event = event
            clip.until = _moment(event.end_time, event.end) + timedelta(seconds=self._settings.post_roll)
            path = clip.files.first or (None if self._writer.storage.full else clip.path)
            left = clip.until - self._now() + _GRACE
            clip.deadline = self._clock() + max(0.0, left.total_seconds())
            latest = self._ring.latest
            if latest is not None and latest > clip.until:
                self._finish(clip)
            return path

    def tick(self) -> None:
        """Look after clips whose camera sends nothing any more; called by the writer's thread."""
        with self._lock:
            clips = list(self._clips.values())
        for clip in clips:
            clip.files.look_for_quiet()  # not while the camera's thread might wait for the lock: it closes files
        with self._lock:
            now = self._now()
            for clip in list(self._clips.values()):
                if clip.until is not None and (now > clip.until + _GRACE or self._clock() > clip.deadline):
                    self._finish(clip)

    def close(self, seconds: float) -> bool:
        """Complete all clips as they are, within so many seconds; False where time ran out."""
        with self._lock:
            self._closed = True
            for clip in list(self._clips.values()):
                self._finish(clip)
        self._writer.detach(self)
        return self._writer.drain(seconds)

    def _finish(self, clip: _Clip) -> None:
        del self._clips[clip.event.id]
        self._writer.give(partial(self._complete, clip), must=True)

    def _complete(self, clip: _Clip) -> None:
        try:
            clip.files.pause()
        finally:
            if self._finished is not None:
                self._finished(clip.event, clip.files.first)


def _path(files: ClipFiles, stream: EncodedStream) -> str:
    return f"{CLIPS}/{files.stem}{ending_for(stream)}"


def _moment(wall_clock: datetime | None, pts: Fraction) -> datetime:
    """When it was: by the time of arrival where known, for a camera's own clock drifts away from it over weeks."""
    return wall_clock if wall_clock is not None else datetime.fromtimestamp(float(pts), UTC)

"""Windows of many cameras into one batch: bounded in size and in time, fair to every camera and every group.

Cameras whose networks are the same form a group, and all windows of a batch are of one group: the weights of several
models stay where they are, and one run of the networks serves every camera of a group.

How long a batch waits for more cameras goes by roboflow's collection policy: the frame period of the fastest live
camera minus a moving average of the time between two takes (what the networks need), within 2 to 100 ms, counted from
the arrival of the oldest window that waits. It does not wait for cameras that gave nothing for two of their periods.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from streamer.camera_queue import SHARE_OF_LATEST, CameraQueue, DropReason, Waiting
from streamer.channels import AbortedError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping
    from types import TracebackType

    from streamer.camera_queue import BatcherCounts
    from streamer.frames import Pace

T = TypeVar("T")

SHORTEST_WAIT = 0.002  # seconds
LONGEST_WAIT = 0.1  # seconds
LOOK_AGAIN = 1.0  # seconds after which a waiting recording looks whether it is still wanted


class Bell(Protocol):
    """A lock one can wait at; :class:`threading.Condition` is one."""

    def __enter__(self) -> bool: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def wait(self, timeout: float | None = None) -> bool:
        """Let others in until somebody notifies or ``timeout`` seconds are over."""
        ...

    def notify_all(self) -> None:
        """Wake everybody who waits."""
        ...


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of a batch and of what waits for one.

    Attributes:
        most: items of a batch. Eight on a CPU: more in one run win nothing there, and 16 pictures of 320x184 took a
            fifth longer each than eight, because their memory is fetched from the system anew in every run.
        quota: items of one camera in a batch.
        most_age: seconds a live camera's item may have waited when it is taken.
        most_bytes: bytes that may wait per camera; a single item may be larger, or nothing could ever pass.
        most_wait: seconds that an item waits for those of other cameras at most.
    """

    most: int = 8
    quota: int = 4
    most_age: float = 0.5
    most_bytes: int = 64 * 2**20
    most_wait: float = LONGEST_WAIT

    def __post_init__(self) -> None:
        """Refuse bounds nothing could pass."""
        if self.most < 1 or self.quota < 1:
            raise ValueError(f"a batch holds at least one item, not {self.most} with {self.quota} per camera")


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Items for one run of the networks.

    Attributes:
        group: of all of them.
        parts: cameras by name, each with its items in order; a camera is there once.
        waited: seconds the oldest item waited.
    """

    group: Hashable
    parts: tuple[tuple[str, tuple[T, ...]], ...]
    waited: float

    def __len__(self) -> int:
        """The number of items."""
        return sum(len(items) for _, items in self.parts)


class Batcher(Generic[T]):
    """Collects the items of all cameras, from one thread each, for the one thread that runs the networks."""

    def __init__(
        self,
        limits: BatchLimits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        changed: Bell | None = None,
    ) -> None:
        """Start without cameras.

        Args:
            limits: of batches and queues.
            clock: seconds that only grow.
            changed: where threads wait for each other; tests replace it together with the clock.
        """
        self.limits = limits if limits is not None else BatchLimits()
        self._clock = clock
        self._changed: Bell = changed if changed is not None else threading.Condition()
        self._cameras: dict[str, CameraQueue[T]] = {}
        self._turns: Iterator[int] = count()
        self._group_turns: dict[Hashable, int] = {}
        self._execution = 0.0
        self._handed_out: float | None = None
        self._closed = False

    def add(self, name: str, *, group: Hashable, pace: Pace, most_waiting: int) -> None:
        """Add a camera.

        Args:
            name: its own.
            group: cameras of equal groups are scored together.
            pace: LATEST drops the oldest and never waits; EVERY_FRAME waits and never drops.
            most_waiting: items that may wait, at least 1.

        Raises:
            ValueError: the name is taken.
            AbortedError: the batcher is closed.
        """
        with self._changed:
            if self._closed:
                raise AbortedError
            if name in self._cameras:
                raise ValueError(f"a camera called {name!r} is there already")
            self._cameras[name] = CameraQueue(name, group, pace, max(1, most_waiting), self.limits.most_bytes)

    def remove(self, name: str) -> BatcherCounts:
        """Take a camera away with all that waits, and tell its last counts; KeyError where there is none."""
        with self._changed:
            camera = self._cameras.pop(name)
            while camera.waiting:
                camera.drop(DropReason.REMOVED)
            self._forget_groups()
            self._changed.notify_all()
            return camera.counts()

    def regroup(self, name: str, group: Hashable) -> None:
        """Give a camera another group, from its next item on: what waits was made for the networks it had.

        Raises:
            AbortedError: the camera is not there any more.
        """
        with self._changed:
            self._wanted(name).group = group
            self._forget_groups()
            self._changed.notify_all()

    def put(self, name: str, item: T, size: int = 0) -> None:
        """Give the next item of a camera, of ``size`` bytes. Waits for room for recordings only.

        Raises:
            AbortedError: the camera is not there any more, or the batcher is closed.
            ValueError: the camera has ended.
        """
        with self._changed:
            camera = self._wanted(name)
            while not camera.has_room(size):
                if camera.live:
                    camera.drop(DropReason.QUEUE_FULL)
                else:
                    self._changed.wait(LOOK_AGAIN)
                    if self._wanted(name) is not camera:
                        raise AbortedError
            if camera.ended:
                raise ValueError(f"camera {name!r} has ended: nothing more was to come")
            camera.append(Waiting(item, size, camera.group, self._clock()))
            self._changed.notify_all()

    def end(self, name: str) -> None:
        """Say that nothing more comes of a camera; what waits is still taken. A camera not there is no matter."""
        with self._changed:
            if name in self._cameras:
                self._cameras[name].ended = True
                self._changed.notify_all()

    def close(self) -> None:
        """Throw away what waits, and wake everybody: ``take`` gives None, ``put`` raises."""
        with self._changed:
            self._closed = True
            for camera in self._cameras.values():
                while camera.waiting:
                    camera.drop(DropReason.REMOVED)
            self._changed.notify_all()

    @property
    def finished(self) -> bool:
        """Whether nothing will come any more: closed, or every camera (there is one) has ended and nothing waits."""
        with self._changed:
            return self._finished()

    def counts(self, name: str) -> BatcherCounts:
        """What became of a camera's items; KeyError where there is no such camera."""
        with self._changed:
            return self._cameras[name].counts()

    def dropped(self, name: str) -> Mapping[DropReason, int]:
        """A camera's dropped items by reason; KeyError where there is no such camera."""
        return self.counts(name).dropped

    def take(self, timeout: float) -> Batch[T] | None:
        """The next batch, of the group that waited longest for its turn among those that are complete.

        Call it from one thread: the time until the next call counts as the time the networks need.

        Args:
            timeout: seconds to wait at most.

        Returns:
            None where nothing was complete in time, or nothing will come any more (see :attr:`finished`).
        """
        with self._changed:
            now = self._clock()
            if self._handed_out is not None:
                self._execution += SHARE_OF_LATEST * (now - self._handed_out - self._execution)
                self._handed_out = None
            until = now + timeout
            while True:
                for camera in self._cameras.values():
                    if camera.live:
                        camera.drop_old(now - self.limits.most_age)
                group, look_again = self._next_group(now)
                if group is not None:
                    return self._collected(group[0], now)
                if now >= until or self._finished():
                    return None
                self._changed.wait(min(until, look_again) - now)
                now = self._clock()

    def _next_group(self, now: float) -> tuple[tuple[Hashable] | None, float]:
        """The group whose batch goes now (in a tuple, as None may be a group), and else when one goes at the latest.

        A batch goes when it is full, when none of its cameras is expected to add to it, or when its oldest item has
        waited long enough; of several, the one whose group's turn was longest ago.
        """
        quota = self.limits.quota
        oldest: dict[Hashable, float] = {}
        total: dict[Hashable, int] = {}
        hopeful: set[Hashable] = set()
        for camera in self._cameras.values():
            ready = 0
            if camera.waiting:
                head = camera.waiting[0]
                oldest[head.group] = min(head.since, oldest.get(head.group, head.since))
                ready = camera.ready(head.group, quota)
                total[head.group] = total.get(head.group, 0) + ready
                ready = ready if head.group == camera.group else 0
            if camera.awaited(now, ready, quota):
                hopeful.add(camera.group)
        wait = self._longest_wait(now)
        complete = {group for group, items in total.items() if items >= self.limits.most or group not in hopeful}
        due = [group for group, since in oldest.items() if group in complete or now >= since + wait]
        if due:
            return (min(due, key=lambda group: self._group_turns.get(group, -1)),), now
        return None, min((since + wait for since in oldest.values()), default=float("inf"))

    def _longest_wait(self, now: float) -> float:
        """Seconds from an item's arrival until its batch goes, whoever is missing."""
        periods = [c.period for c in self._cameras.values() if c.period is not None and c.on_time(now)]
        most = self.limits.most_wait
        return min(max(min(periods, default=most) - self._execution, SHORTEST_WAIT), most)

    def _collected(self, group: Hashable, now: float) -> Batch[T]:
        """Take one item of each camera in turn, whose turn was longest ago first, and so on to the bounds."""
        chosen: dict[str, list[Waiting[T]]] = {}
        total = 0
        cameras = sorted(self._cameras.values(), key=lambda camera: camera.turn)
        for _ in range(self.limits.quota):
            for camera in cameras:
                if total < self.limits.most and camera.ready(group, 1):
                    chosen.setdefault(camera.name, []).append(camera.pop(next(self._turns)))
                    total += 1
        self._group_turns[group] = next(self._turns)
        self._handed_out = now
        self._changed.notify_all()
        return Batch(
            group=group,
            parts=tuple((name, tuple(entry.item for entry in entries)) for name, entries in chosen.items()),
            waited=now - min(entry.since for entries in chosen.values() for entry in entries),
        )

    def _wanted(self, name: str) -> CameraQueue[T]:
        if self._closed or name not in self._cameras:
            raise AbortedError
        return self._cameras[name]

    def _finished(self) -> bool:
        cameras = self._cameras.values()
        return self._closed or (bool(cameras) and all(camera.ended and not camera.waiting for camera in cameras))

    def _forget_groups(self) -> None:
        """Keep turns of present groups only: cameras learn anew for weeks, and every time are a new group."""
        present = {camera.group for camera in self._cameras.values()}
        present |= {entry.group for camera in self._cameras.values() for entry in camera.waiting}
        self._group_turns = {group: turn for group, turn in self._group_turns.items() if group in present}

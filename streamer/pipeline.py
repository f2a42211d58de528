"""Three stages side by side: read, score, write. In order, over bounded channels, and never a hang.

Every stage has a thread of its own; decoders, networks and encoders let go of the interpreter while they work, so the
stages really overlap. The calling thread only looks on: it is the one that signals reach, and it ends the run when a
stage fails or the user has had enough.
"""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from streamer.channels import AbortedError, Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

A = TypeVar("A")
B = TypeVar("B")

MOST_WAITING = 32
"""Items in a channel: more would not make the stages overlap any better."""
MOST_WAITING_BYTES = 128 * 2**20
"""Bytes in a channel: 4K pictures with their windows take about 35 MB each, 640x360 ones 2 MB."""

TICK = 0.2
"""Seconds between two looks of the calling thread."""
_LAST_WAIT_AFTER_FAILURE = 10.0
"""Seconds a stage gets to notice that another has failed; a decoder stuck on a dead disk is left behind after that."""
_LAST_WAIT_AFTER_SECOND_SIGNAL = 1.5


@dataclass(frozen=True, slots=True)
class Stages(Generic[A, B]):
    """The work of one run.

    Attributes:
        read: gives the items in order, each with its size in bytes; closed in its own thread.
        score: takes the channel of items, gives results in the same order, each with its size in bytes.
        write: takes the channel of results until it ends.
        stop_reading: makes ``read`` end early, from another thread; may be called more than once.
    """

    read: Callable[[], Generator[tuple[A, int], None, None]]
    score: Callable[[Channel[A]], Iterator[tuple[B, int]]]
    write: Callable[[Channel[B]], None]
    stop_reading: Callable[[], None]


def run_stages(
    stages: Stages[A, B],
    *,
    stop: threading.Event,
    look: Callable[[], None] | None = None,
    tick: float = TICK,
    most_waiting: int = MOST_WAITING,
    most_bytes: int = MOST_WAITING_BYTES,
) -> None:
    """Run the stages until everything that was read is written.

    Args:
        stages: what to do.
        stop: once set, reading ends, and what was read is scored and written.
        look: called in this thread every ``tick`` seconds.
        tick: seconds.
        most_waiting: items in each of both channels.
        most_bytes: bytes in each of both channels.

    Raises:
        Exception: the first error of any stage; the other stages have ended by then.
        KeyboardInterrupt: from this thread's signal handler; the stages have been told to end.
    """
    run = _Run(stages, most_waiting, most_bytes)
    run.start()
    told = False
    try:
        while not run.done:
            run.wait(tick)
            if look is not None:
                look()
            if stop.is_set() and not told:
                told = True
                stages.stop_reading()
    except BaseException:
        run.abort()
        run.join(_LAST_WAIT_AFTER_SECOND_SIGNAL)
        raise
    run.join(_LAST_WAIT_AFTER_FAILURE)
    if run.error is not None:
        raise run.error


class _Run(Generic[A, B]):
    """The threads of one run, and the first error of any."""

    def __init__(self, stages: Stages[A, B], most_waiting: int, most_bytes: int) -> None:
        self.error: BaseException | None = None
        self._stages = stages
        self._items: Channel[A] = Channel(most_waiting, most_bytes)
        self._results: Channel[B] = Channel(most_waiting, most_bytes)
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._threads = [
            # Daemons: a stage that hangs in a system call must not keep the process from ending.
            threading.Thread(target=self._guarded, args=(work,), name=f"avid-{name}", daemon=True)
            for name, work in (("read", self._read), ("score", self._score), ("write", self._write))
        ]

    @property
    def done(self) -> bool:
        """Whether everything is written, or a stage has failed."""
        return self._finished.is_set()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait(self, seconds: float) -> None:
        self._finished.wait(seconds)

    def abort(self) -> None:
        self._stages.stop_reading()
        self._items.abort()
        self._results.abort()

    def join(self, seconds: float) -> None:
        """Wait for all threads together at most so long."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _read(self) -> None:
        with closing(self._stages.read()) as items:
            for item, size in items:
                self._items.put(item, size)
        self._items.end()

    def _score(self) -> None:
        for result, size in self._stages.score(self._items):
            self._results.put(result, size)
        self._results.end()

    def _write(self) -> None:
        self._stages.write(self._results)
        self._finished.set()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except AbortedError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that started the run
            with self._lock:
                if self.error is None:
                    self.error = error
            self.abort()
            self._finished.set()

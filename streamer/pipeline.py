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
PATIENCE = 1.0
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
        give_up_reading: makes ``read`` end even while it waits for a source, from another thread, at the price of the
            item it is at; may be called more than once.
    """

    read: Callable[[], Generator[tuple[A, int], None, None]]
    score: Callable[[Channel[A]], Iterator[tuple[B, int]]]
    write: Callable[[Channel[B]], None]
    give_up_reading: Callable[[], None]


def run_stages(
    stages: Stages[A, B],
    *,
    stop: threading.Event,
    look: Callable[[], None] | None = None,
    tick: float = TICK,
    patience: float = PATIENCE,
    most_waiting: int = MOST_WAITING,
    most_bytes: int = MOST_WAITING_BYTES,
) -> None:
    """Run the stages until everything that was read is written.

    Args:
        stages: what to do.
        stop: once set, reading ends, and what was read is scored and written.
        patience: seconds after ``stop`` in which the reader may end by itself, before it is made to.
        look: called in this thread every ``tick`` seconds.
        tick: seconds.
        most_waiting: items in each of both channels.
        most_bytes: bytes in each of both channels.

    Raises:
        Exception: the first error of any stage. What had passed that stage is written by then, and reading has ended.
        KeyboardInterrupt: from this thread's signal handler; the stages have been told to end.
    """
    run = _Run(stages, stop, most_waiting, most_bytes)
    run.start()
    stopped: float | None = None
    try:
        while not run.done:
            run.wait(tick)
            if look is not None:
                look()
            if stop.is_set():
                stopped = time.monotonic() if stopped is None else stopped
                if run.reading and time.monotonic() - stopped > patience:
                    stages.give_up_reading()
    except BaseException:
        run.abort()
        run.join(_LAST_WAIT_AFTER_SECOND_SIGNAL)
        raise
    run.join(_LAST_WAIT_AFTER_FAILURE)
    if run.error is not None:
        raise run.error


class _Run(Generic[A, B]):
    """The threads of one run, and the first error of any.

    A stage that fails ends the channel behind it, so that what it has handed on is still written, and aborts the one
    before it, so that nobody is left waiting for room.
    """

    def __init__(self, stages: Stages[A, B], stop: threading.Event, most_waiting: int, most_bytes: int) -> None:
        self.error: BaseException | None = None
        self._stages = stages
        self._stop = stop
        self._items: Channel[A] = Channel(most_waiting, most_bytes)
        self._results: Channel[B] = Channel(most_waiting, most_bytes)
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._threads = [
            # Daemons: a stage that hangs in a system call must not keep the process from ending.
            threading.Thread(target=work, name=f"avid-{name}", daemon=True)
            for name, work in (("read", self._read), ("score", self._score), ("write", self._write))
        ]

    @property
    def done(self) -> bool:
        """Whether the writing has ended, one way or the other."""
        return self._finished.is_set()

    @property
    def reading(self) -> bool:
        """Whether the reader has not ended yet."""
        return self._threads[0].is_alive()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait(self, seconds: float) -> None:
        self._finished.wait(seconds)

    def abort(self) -> None:
        self._abort_reading()
        self._results.abort()

    def join(self, seconds: float) -> None:
        """Wait for all threads together at most so long."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _read(self) -> None:
        try:
            with closing(self._stages.read()) as items:
                for item, size in items:
                    self._items.put(item, size)
                    if self._stop.is_set():
                        break
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that started the run
            self._keep(error)
        finally:
            self._items.end()

    def _score(self) -> None:
        try:
            for result, size in self._stages.score(self._items):
                self._results.put(result, size)
        except BaseException as error:  # noqa: BLE001 - as above
            self._keep(error)
            self._abort_reading()
        finally:
            self._results.end()

    def _write(self) -> None:
        try:
            self._stages.write(self._results)
        except BaseException as error:  # noqa: BLE001 - as above
            self._keep(error)
            self._results.abort()
            self._abort_reading()
        finally:
            self._finished.set()

    def _abort_reading(self) -> None:
        self._items.abort()
        self._stages.give_up_reading()

    def _keep(self, error: BaseException) -> None:
        with self._lock:
            if self.error is None and not isinstance(error, AbortedError):
                self.error = error

"""One thread with one bounded queue: what it is given is done in order, and whoever gives never waits."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TICK_SECONDS = 0.5


class Worker:
    """Does jobs one after the other on a daemon thread.

    A job that raises does not end it: its owner is told.

    Attributes:
        refused: jobs that found the queue full.
    """

    def __init__(
        self,
        name: str,
        *,
        most_jobs: int,
        most_bytes: int,
        failed: Callable[[Exception], None],
        tick: Callable[[], None] | None = None,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        """Start the thread.

        Args:
            name: of the thread.
            most_jobs: bound of the queue.
            most_bytes: bound of the queue too; each job says how many bytes it holds.
            failed: told every exception that a job or a tick raises.
            tick: called about every ``tick_seconds``, also while jobs come.
            tick_seconds: real seconds between two ticks.
        """
        self._most_jobs = most_jobs
        self._most_bytes = most_bytes
        self._failed = failed
        self._tick = tick
        self._tick_seconds = tick_seconds
        self._jobs: deque[tuple[Callable[[], None], int]] = deque()
        self._bytes = 0
        self._busy = False
        self._stopping = False
        self._changed = threading.Condition()
        self.refused = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        with self._changed:
            return len(self._jobs)

    def give(self, job: Callable[[], None], size: int = 0, *, must: bool = False) -> bool:
        """Put a job at the end of the queue; never waits.

        Args:
            job: what to do.
            size: bytes it holds on to.
            must: take it even where the queue is full: for the few jobs, small ones, that others rely on.

        Returns:
            False where the queue was full, or the worker is closed; the job is not done then.
        """
        with self._changed:
            full = len(self._jobs) >= self._most_jobs or self._bytes + size > self._most_bytes
            if self._stopping or (full and not must):
                self.refused += 1
                return False
            self._jobs.append((job, size))
            self._bytes += size
            self._changed.notify_all()
            return True

    def drain(self, seconds: float) -> bool:
        """Wait until everything given so far is done; False where it was not within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs and not self._busy, timeout=seconds)

    def close(self, seconds: float) -> bool:
        """Do what is in the queue within so many seconds, then end the thread; False where time ran out."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(max(0.0, seconds))
        with self._changed:
            done = not self._jobs and not self._busy
            self._jobs.clear()
            self._bytes = 0
        return done

    def _run(self) -> None:
        ticked = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._jobs) or self._stopping, timeout=self._tick_seconds)
                job, size = self._jobs.popleft() if self._jobs else (None, 0)
                self._bytes -= size
                self._busy = job is not None
                if job is None and self._stopping:
                    return
            if job is not None:
                self._do(job)
            if self._tick is not None and time.monotonic() - ticked >= self._tick_seconds:
                self._do(self._tick)
                ticked = time.monotonic()
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _do(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001 (a worker outlives every job; the owner is told)
            self._failed(error)

"""Who may work when there are more threads than cores: a few readers at a time, and the networks with what is left.

With a thread per camera all of them wait for the interpreter's lock at once, each of them asks for it every 5 ms, and
switching becomes the work: 24 cameras on two cores took twice as long for a picture, and the networks fell from 45
windows a second to 6. With as many readers at work as there are cores, and the networks a step behind them, the same
24 leave the networks 23, hardly a picture waits to be read, and 140 of 145 intruders still alarm.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from contextlib import suppress

NETWORKS_STEP_BACK = 10
"""Niceness of the networks' thread: pictures that wait for them may be dropped, and packets that wait may not. With 5,
24 cameras on two cores fell behind with reading (18 packets a second lost), with 10 they did not. Where sessions or
services have shares of their own (autogroups, control groups) it says nothing to other programs."""

MOST_PREPARING = 4
"""Cameras whose pictures are prepared at a time: half of that is Python's own work, which one thread does at a time
anyway. Decoding, which is none, may take every core."""

LEARNING_STEP_BACK = 15
"""Niceness of the thread that learns, which has minutes."""


class Turns:
    """Lets so many threads work at a time, first come, first served; a context manager for each piece of work.

    Work is done without waiting for anything but the processor: no socket, no queue.
    """

    def __init__(self, places: int) -> None:
        """Nobody is at work.

        Args:
            places: threads that may work at a time, at least 1.
        """
        if places < 1:
            raise ValueError(f"somebody must be able to work, not {places}")
        self._free = places
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        """Wait for a place."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()

    def __exit__(self, *_: object) -> None:
        """Give the place to who waited longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


def step_back(by: int) -> None:
    """Make the calling thread, and those it starts, give way to others of this program.

    Only Linux knows priorities of single threads; elsewhere nothing happens.

    Args:
        by: niceness, 0..19.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), by)

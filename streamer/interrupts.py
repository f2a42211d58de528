"""Ctrl-C and SIGTERM: once means finish what is begun and close every file, twice means stop now."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

EXIT_INTERRUPTED = 130
STOPPING = "finishing the current batch; press again to stop now"

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LAST_GRACE_SECONDS = 2.0
"""After the second signal, files being closed get this long before the process ends without them."""


@contextmanager
def stop_on_signals(
    announce: Callable[[str], None], *, grace_seconds: float = _LAST_GRACE_SECONDS
) -> Iterator[threading.Event]:
    """Turn the first signal into a polite request and the second into an end.

    The first sets the event that is handed out and announces it. The second raises KeyboardInterrupt in the main
    thread; should closing the outputs then take longer than ``grace_seconds``, the process exits with 130 at once (the
    video is written so that it stays playable).

    Handlers can be installed in the main thread alone: in any other thread the event is handed out and never set.

    Args:
        announce: says one line to the user.
        grace_seconds: see above.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    pressed = False
    closed = threading.Event()

    def ask_to_stop() -> None:
        stop.set()
        announce(STOPPING)

    def end_after_grace() -> None:
        if not closed.wait(grace_seconds):
            os._exit(EXIT_INTERRUPTED)

    def handle(_number: int, _frame: FrameType | None) -> None:
        # A handler runs between two instructions of the main thread, which may hold the event's or the console's lock
        # at that moment: both are touched from a thread of their own, so that nothing can wait for itself.
        nonlocal pressed
        if not pressed:
            pressed = True
            threading.Thread(target=ask_to_stop, name="stop-request", daemon=True).start()
            return
        threading.Thread(target=end_after_grace, name="stop-now", daemon=True).start()
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        closed.set()
        for number, handler in previous.items():
            # None: the earlier handler was not installed from Python and cannot be put back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

"""The one place where notices go: into the event store first, then to everybody who listens."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from streamer.sinks.outbox_worker import SinkCounts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamer.live.notices import Notice, NoticeSink
    from streamer.sinks.store_sink import StoreSink


@runtime_checkable
class Counting(Protocol):
    """A sink that says what became of its notices."""

    @property
    def counts(self) -> SinkCounts:
        """So far."""
        ...


@runtime_checkable
class Waking(Protocol):
    """A sink that delivers from the outbox and wants to know when something was put there."""

    def wake(self) -> None:
        """There is something to deliver; returns at once."""
        ...


class NoticeHub:
    """Hands every notice to the store and to all sinks; itself a :class:`streamer.live.notices.NoticeSink`.

    Owns what it is given: :meth:`close` closes all sinks and then the store.
    """

    def __init__(self, store: StoreSink, sinks: Sequence[NoticeSink] = ()) -> None:
        """Connect the sinks to the store.

        Args:
            store: the outbox; wakes those who deliver from it after every commit.
            sinks: everybody else.

        Raises:
            ValueError: two sinks have the same name; they would share one place in the outbox.
        """
        names = [store.name, *(sink.name for sink in sinks)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sinks are called {twice[0]}")
        self._store = store
        self._sinks = tuple(sinks)
        self._failed = dict.fromkeys(names, 0)
        self._wanting = tuple(sink for sink in sinks if isinstance(sink, Waking))
        store.appended = self._wake

    @property
    def name(self) -> str:
        """Of all together."""
        return "hub"

    def give(self, notice: Notice) -> None:
        """Hand a notice to all; never waits, and a sink that fails concerns nobody else."""
        for sink in (self._store, *self._sinks):
            try:
                sink.give(notice)
            except Exception:  # noqa: BLE001 - counted; no sink may end a camera
                self._failed[sink.name] += 1

    def counts(self) -> Mapping[str, SinkCounts]:
        """What became of the notices, by name of the sink; sinks that do not count themselves show failures alone."""
        told: dict[str, SinkCounts] = {}
        for sink in (self._store, *self._sinks):
            own = sink.counts if isinstance(sink, Counting) else SinkCounts(0, 0, 0, 0)
            failed = own.failed + self._failed[sink.name]
            told[sink.name] = SinkCounts(own.queued, own.delivered, failed, own.lost)
        return told

    def close(self, seconds: float) -> None:
        """Store everything, deliver what can be delivered within so many seconds, and close the store.

        The sinks are closed side by side: one whose receiver is away takes no time from the others.
        """
        until = time.monotonic() + seconds
        self._store.close(seconds)
        left = max(0.1, until - time.monotonic())
        closing = [
            threading.Thread(target=_close, args=(sink, left), name=f"close {sink.name}", daemon=True)
            for sink in self._sinks
        ]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(max(0.0, until + 0.5 - time.monotonic()))
        self._store.store.close()

    def _wake(self) -> None:
        for sink in self._wanting:
            sink.wake()


def _close(sink: NoticeSink, seconds: float) -> None:
    with suppress(Exception):  # what a sink failed to say no longer has anybody to hear it
        sink.close(seconds)

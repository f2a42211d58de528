"""One thread per sink that takes messages out of the outbox and delivers them in order, until the receiver has them.

Delivery is at least once: a message counts as delivered after its receiver said so, and one that was under way when the
program was killed is sent again, with the same sequence number. Nothing overtakes anything: while the first message
cannot be delivered, those behind it wait, on the disk.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from streamer.live.notices import ScoreNotice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamer.live.notices import Notice
    from streamer.sinks.event_store import EventStore
    from streamer.sinks.messages import StoredMessage

IDLE_SECONDS = 1.0
"""How often the outbox is looked at when nobody wakes the worker."""

MOST_SCORES = 256
"""Cameras whose latest score waits for delivery."""

_BATCH = 50
_LONGEST_REQUESTED = 300.0  # a receiver that asks for a longer pause is tried earlier


class DeliveryError(Exception):
    """A message could not be delivered."""

    def __init__(self, text: str, *, retry: bool, after: float | None = None) -> None:
        """Say what happened.

        Args:
            text: why, in a few words; no password, no token, no address beyond the host: it is stored and shown.
            retry: the receiver may take this message later; False: it does not want it as it is.
            after: seconds the receiver asked to be left alone.
        """
        super().__init__(text)
        self.retry = retry
        self.after = after


class Deliverer(Protocol):
    """Brings messages to a receiver; called by one thread at a time."""

    @property
    def name(self) -> str:
        """Of the sink: key of its cursor in the store, label of its metrics; holds no secret."""
        ...

    def deliver(self, message: StoredMessage) -> None:
        """Hand over a message and wait, within a time limit, until the receiver has it.

        A message that this sink does not want is just not sent.

        Raises:
            DeliveryError: the receiver did not take it.
        """
        ...

    def close(self) -> None:
        """Let go of the receiver."""
        ...


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long to wait after failures: doubling, with jitter so that many sinks do not knock at the same moment.

    Attributes:
        first: seconds after the first failure.
        longest: no wait is longer.
    """

    first: float = 1.0
    longest: float = 30.0

    def seconds(self, failures: int, draw: float) -> float:
        """The wait after so many failures in a row (from 1), between half of the full length and all of it.

        Args:
            failures: in a row.
            draw: random number in [0, 1).
        """
        full = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        return full * (0.5 + 0.5 * draw)


@dataclass(frozen=True, slots=True)
class SinkCounts:
    """What became of a sink's messages, for the metrics.

    Attributes:
        queued: wait for delivery now.
        delivered: in this run.
        failed: the receiver did not want them; passed over.
        lost: given up before the receiver could have them, scores that were replaced by later ones included.
    """

    queued: int
    delivered: int
    failed: int
    lost: int


def _silent(_text: str) -> None:
    pass


@contextmanager
def _nothing_but_delivery_errors() -> Iterator[None]:
    """Turn what no deliverer should raise into a refusal, without its text: that may hold a password."""
    try:
        yield
    except DeliveryError:
        raise
    except Exception as error:
        raise DeliveryError(f"unexpected {type(error).__name__}", retry=False) from error


class OutboxWorker:
    """Delivers one sink's messages; a :class:`streamer.live.notices.NoticeSink` whose ``give`` only wakes it.

    While the receiver is away a message is tried until it is delivered, or the store gives it up
    (:class:`streamer.sinks.store_pruning.StoreLimits`). A message that the receiver refuses as it is
    (:class:`DeliveryError` with ``retry`` False) is tried ``refusals`` times with the usual waits, then counted as
    failed and passed over, with one warning. An error that no deliverer should raise counts as a refusal.
    """

    def __init__(
        self,
        store: EventStore,
        deliverer: Deliverer,
        *,
        scores: Callable[[ScoreNotice], None] | None = None,
        warn: Callable[[str], None] = _silent,
        back_off: BackOff | None = None,
        refusals: int = 3,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        start: bool = True,
    ) -> None:
        """Register the sink with the store and begin.

        Args:
            store: the outbox.
            deliverer: brings messages to the receiver.
            scores: brings scores there, raises like ``deliver``; None: this sink wants none. Of each camera only the
                latest waits.
            warn: told in one line when the receiver goes away, comes back, or refuses a message.
            back_off: waits after failures.
            refusals: how often a refused message is tried.
            clock: seconds that never jump.
            draw: random numbers in [0, 1).
            start: begin the thread; False: somebody calls :meth:`step`.
        """
        self._store = store
        self._deliverer = deliverer
        self._deliver_score = scores
        self._warn = warn
        self._back_off = back_off or BackOff()
        self._refusals = refusals
        self._clock = clock
        self._draw = draw
        self._name = deliverer.name
        self._scores: dict[str, ScoreNotice] = {}
        self._scores_lock = threading.Lock()
        self._wake = threading.Event()
        self._closing: float | None = None  # moment by which all must be done
        self._failures = 0  # in a row
        self._refused = (0, 0)  # sequence number of the message refused last, and how often it was
        self._stumbled = False
        self._retry_at = 0.0
        self._delivered = 0
        self._lost_scores = 0
        store.register(self._name)
        self._thread = threading.Thread(target=self._run, name=f"sink {self._name}", daemon=True)
        if start:
            self._thread.start()

    @property
    def name(self) -> str:
        """Of the sink."""
        return self._name

    @property
    def counts(self) -> SinkCounts:
        """What became of its messages so far."""
        row = self._store.sink(self._name)
        return SinkCounts(self._store.queued(self._name), self._delivered, row.refused, row.lost + self._lost_scores)

    @property
    def away(self) -> bool:
        """Whether the last delivery failed."""
        return self._failures > 0

    def give(self, notice: Notice) -> None:
        """Wake the worker; a score is kept for it if it wants scores."""
        if isinstance(notice, ScoreNotice):
            if self._deliver_score is None:
                return
            with self._scores_lock:
                if notice.camera in self._scores:
                    self._lost_scores += 1
                elif len(self._scores) >= MOST_SCORES:
                    self._lost_scores += 1
                    return
                self._scores[notice.camera] = notice
        self._wake.set()

    def wake(self) -> None:
        """There may be something to deliver."""
        self._wake.set()

    def close(self, seconds: float) -> None:
        """Deliver what can be delivered in so many seconds, with one more try where the receiver was away.

        What is left stays in the store for the next run.
        """
        self._closing = self._clock() + seconds
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def step(self) -> float:
        """Deliver what waits, as far as it goes; the thread calls this again and again.

        Returns:
            Seconds until it should be called again; 0: at once.
        """
        now = self._clock()
        if now < self._retry_at:
            return self._retry_at - now
        try:
            more = self._deliver_messages()
            self._deliver_scores()
        except DeliveryError as error:
            return self._wait(error)
        return 0.0 if more else IDLE_SECONDS

    def _run(self) -> None:
        while self._closing is None:
            seconds = self._safe_step()
            if seconds > 0:
                self._wake.wait(min(seconds, IDLE_SECONDS))
                self._wake.clear()
        self._retry_at = 0.0
        while self._clock() < self._closing and self._safe_step() == 0:
            pass
        try:
            self._deliverer.close()
        except Exception as error:  # noqa: BLE001 - a receiver's library must not end the program with a trace
            self._warn(f"{self._name}: could not be closed ({type(error).__name__})")

    def _safe_step(self) -> float:
        """A step that survives what no step should raise: without its thread a sink would be silent for good."""
        try:
            seconds = self.step()
        except Exception as error:  # noqa: BLE001 - told once, and tried again
            # While closing, the store may be closed already by an owner whose patience was at its end.
            if self._closing is None and not self._stumbled:
                self._warn(f"{self._name}: delivery failed ({type(error).__name__}); it is tried again")
            self._stumbled = True
            return IDLE_SECONDS
        self._stumbled = False
        return seconds

    def _deliver_messages(self) -> bool:
        """Deliver a batch; whether there is more.

        Raises:
            DeliveryError: a message must be tried again later.
        """
        messages = self._store.pending(self._name, limit=_BATCH)
        for message in messages:
            if self._closing is not None and self._clock() >= self._closing:
                return False
            self._deliver(message)
        return len(messages) == _BATCH

    def _deliver(self, message: StoredMessage) -> None:
        try:
            with _nothing_but_delivery_errors():
                self._deliverer.deliver(message)
        except DeliveryError as error:
            if error.retry or self._refusals_of(message.sequence) < self._refusals:
                self._store.attempt_failed(self._name, str(error))
                raise
            self._store.refused(self._name, message.sequence, str(error))
            self._warn(f"{self._name}: message {message.sequence} was refused ({error}) and is passed over")
            self._failures = 0
            return
        self._store.delivered(self._name, message.sequence)
        self._delivered += 1
        self._reached()

    def _refusals_of(self, sequence: int) -> int:
        """Count one more refusal of a message; how many it has."""
        known, times = self._refused
        self._refused = (sequence, times + 1 if known == sequence else 1)
        return self._refused[1]

    def _deliver_scores(self) -> None:
        if self._deliver_score is None:
            return
        with self._scores_lock:
            scores, self._scores = self._scores, {}
        for done, notice in enumerate(scores.values()):
            try:
                with _nothing_but_delivery_errors():
                    self._deliver_score(notice)
            except DeliveryError:
                self._lost_scores += len(scores) - done
                raise
            self._reached()

    def _reached(self) -> None:
        if self._failures:
            self._failures = 0
            self._warn(f"{self._name}: reached again")

    def _wait(self, error: DeliveryError) -> float:
        self._failures += 1
        if self._failures == 1:
            self._warn(f"{self._name}: {error}; it is tried again")
        seconds = self._back_off.seconds(self._failures, self._draw())
        if error.after is not None:
            seconds = max(seconds, min(error.after, _LONGEST_REQUESTED))
        self._retry_at = self._clock() + seconds
        return seconds

"""MQTT: states, alarms and scores as they are now, and events of which none is lost.

Two ways lead here. What the cameras are like *now* comes as notices: only the latest counts, and all of it is said
again on every connection. What *happened* comes from the outbox, one message after the other, each taken by the broker
before the next is sent.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from preprocess.errors import UsageError
from streamer.sinks.messages import STATE
from streamer.sinks.mqtt_board import Board
from streamer.sinks.mqtt_discovery import Discovery
from streamer.sinks.mqtt_link import Link, LinkError
from streamer.sinks.mqtt_settings import MqttSettings
from streamer.sinks.mqtt_topics import OFFLINE, ONLINE, CameraTopic, Topics, discovery_id, topic_level
from streamer.sinks.outbox_worker import BackOff, DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from paho.mqtt.client import MQTTMessageInfo

    from streamer.live.notices import Notice
    from streamer.sinks.messages import StoredMessage
    from streamer.sinks.mqtt_board import Outgoing

__all__ = ["BACK_OFF", "MqttSettings", "MqttSink"]

BACK_OFF = BackOff(first=0.5, longest=2.0)
"""For the outbox worker of this sink. Trying costs nothing while the broker is away, since the sink connects at a pace
of its own; and short waits bring the events out as soon as it is back."""

_IDLE = 0.5
_WHILE_CLEARING = 0.1
_AT_ONCE = 5.0
_TOO_MANY = 3
"""So many connections in a row, each lost within so many seconds, have a reason of their own."""


class MqttSink:
    """Tells an MQTT broker of the cameras.

    It is a :class:`streamer.live.notices.NoticeSink` for states, alarms and scores, and a
    :class:`streamer.sinks.outbox_worker.Deliverer` for the events of the outbox. ``give`` never waits: a thread of its
    own, which connects again whenever it must, does the talking.
    """

    name = "mqtt"

    def __init__(
        self,
        settings: MqttSettings,
        cameras: Iterable[str] = (),
        *,
        report: Callable[[str], None] = lambda _: None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Prepare; nothing is sent before :meth:`start`.

        Args:
            settings: of the broker.
            cameras: names of those that are watched; others that the broker still knows of are cleared.
            report: told once, in one line without a password, when something is wrong, and when all is well again.
            uniform: draws the jitter of the times between two attempts.

        Raises:
            UsageError: the password or a certificate cannot be read.
        """
        settings.read_password()
        settings.tls_context()
        self._settings = settings
        self._report = report
        self._uniform = uniform
        self._topics = Topics(settings.topic_prefix, settings.name_of_instance)
        self._client_id = f"avid-watch-{discovery_id(topic_level(settings.name_of_instance))}"
        self._discovery = Discovery(self._topics, settings.discovery_prefix) if settings.discovery else None
        self._board = Board(self._topics, self._discovery, snapshots=settings.snapshots)
        for camera in cameras:
            self._board.add(camera)
        self._changed = threading.Condition()
        self._link: Link | None = None
        self._problem: str | None = None
        self._said: set[str] = set()
        self._short_ones = 0
        self._denied = False  # somebody said that this program is not there
        self._close_by: float | None = None
        self._thread = threading.Thread(target=self._work, name="mqtt", daemon=True)

    @property
    def topics(self) -> Topics:
        """Where all is said."""
        return self._topics

    @property
    def problem(self) -> str | None:
        """What keeps this sink from the broker, in one line without a password; None where nothing does."""
        return self._problem

    @property
    def is_connected(self) -> bool:
        """The broker takes what it is given."""
        link = self._link
        return link is not None and link.is_up

    def start(self) -> None:
        """Connect, now and whenever the connection is lost, until closed."""
        self._thread.start()

    def add_camera(self, name: str) -> None:
        """A camera is watched from now on."""
        with self._changed:
            self._board.add(name)
            self._changed.notify_all()

    def remove_camera(self, name: str) -> None:
        """A camera is watched no more: its retained messages and its device in Home Assistant are cleared."""
        with self._changed:
            self._board.remove(name)
            self._changed.notify_all()

    def give(self, notice: Notice) -> None:
        """Take a notice; never waits, never raises. Only the latest news of each kind is kept."""
        with self._changed:
            self._board.note(notice)
            self._changed.notify_all()

    def deliver(self, message: StoredMessage) -> None:
        """Publish a message of the outbox and wait until the broker has taken it (PUBACK).

        Messages about states are passed over: the retained state says it.

        Raises:
            DeliveryError: to be tried again: the broker is away, or went away before it had taken the message.
        """
        if message.kind == STATE:
            return
        topic = self._topics.of(topic_level(message.camera), CameraTopic.EVENTS)
        link = self._link
        if link is None or not link.is_up:
            raise DeliveryError(self._problem or f"MQTT broker {self._settings.address} is away", retry=True)
        try:
            ticket = link.publish(topic, message.text.encode(), qos=1, retain=False)
            link.wait(ticket, self._settings.answer_timeout)
        except LinkError as error:
            # Whether it arrived nobody knows: a later attempt must not find it still queued here.
            link.drop()
            raise DeliveryError(self._words(error), retry=True) from None

    def close(self, seconds: float = 2.0) -> None:
        """Say what is left to say and ``offline``, and go, within so many seconds; may be called twice."""
        with self._changed:
            self._close_by = time.monotonic() + seconds
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _work(self) -> None:
        """Connect and talk until closed: the thread's own work."""
        attempt = 0
        while self._close_by is None:
            settled, lasted = False, 0.0
            try:
                link = self._connect()
            except (LinkError, UsageError) as error:
                settled = isinstance(error, UsageError) or error.settled
                self._tell(self._words(error) if isinstance(error, LinkError) else str(error))
            else:
                began = time.monotonic()
                self._serve(link)
                lasted = time.monotonic() - began
                if self._close_by is None:
                    self._tell(self._words(LinkError(self._why_lost(lasted))))
            if lasted > self._settings.longest_retry:
                attempt = 0
            self._pause(self._delay(attempt, settled=settled))
            attempt += 1

    def _connect(self) -> Link:
        link = Link(self._settings, self._client_id, self._topics.status, on_lost=self._wake, on_message=self._heard)
        filters = [self._topics.every_availability, self._topics.status]
        if self._discovery is not None:
            filters.append(self._discovery.birth)
        link.connect(tuple(filters))
        return link

    def _serve(self, link: Link) -> None:
        """Say everything, then whatever changes, until the connection or the run ends."""
        with self._changed:
            self._board.say_all_again()
        clearing: list[tuple[str, MQTTMessageInfo]] = []
        try:
            clearing += self._flush(link)
            link.publish(self._topics.status, ONLINE.encode(), qos=1, retain=True)
            self._link = link
            self._tell(None)
            while link.is_up and self._close_by is None:
                with self._changed:
                    if self._board.is_told and not self._denied and link.is_up and self._close_by is None:
                        self._changed.wait(_WHILE_CLEARING if clearing else _IDLE)
                clearing += self._flush(link)
                clearing = self._cleared(link, clearing)
            if self._close_by is not None:
                clearing += self._flush(link)
                link.leave(self._topics.status, max(0.1, self._close_by - time.monotonic()))
        except LinkError:
            pass  # what was not taken is said again on the next connection
        finally:
            self._link = None
            link.drop()

    def _flush(self, link: Link) -> list[tuple[str, MQTTMessageInfo]]:
        """Say what changed; returns what is to be forgotten, with the tickets that tell when it is."""
        with self._changed:
            news = self._board.take()
            denied, self._denied = self._denied, False
        if denied:
            link.publish(self._topics.status, ONLINE.encode(), qos=1, retain=True)
        clearing = []
        for item in news:
            payload = self._payload(item)
            if payload is not None:
                ticket = link.publish(item.topic, payload, qos=1 if item.retain else 0, retain=item.retain)
                if item.clears:
                    clearing.append((item.topic, ticket))
        return clearing

    def _cleared(self, link: Link, clearing: list[tuple[str, MQTTMessageInfo]]) -> list[tuple[str, MQTTMessageInfo]]:
        """Let go of what the broker has forgotten; returns what it has not yet."""
        left = []
        for topic, ticket in clearing:
            if link.taken(ticket):
                with self._changed:
                    self._board.cleared(topic)
            else:
                left.append((topic, ticket))
        return left

    def _payload(self, item: Outgoing) -> bytes | None:
        """The bytes to send; None for a picture that is gone or too large."""
        if not isinstance(item.payload, Path):
            return item.payload
        with suppress(OSError):
            if item.payload.stat().st_size <= self._settings.largest_snapshot:
                return item.payload.read_bytes() or None
        return None

    def _heard(self, topic: str, payload: bytes, is_old: bool) -> None:  # noqa: FBT001 - the link calls it
        """A message came in, on the client's own thread."""
        with self._changed:
            if self._discovery is not None and topic == self._discovery.birth:
                # A retained one is no news: all is said on every connection anyway.
                if payload == ONLINE.encode() and not is_old:
                    self._board.say_all_again()
            elif topic == self._topics.status:
                # The last will of the connection before, from a broker that takes its time.
                self._denied |= payload == OFFLINE.encode() and not is_old
            elif payload and is_old:
                self._board.found(topic)
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _pause(self, seconds: float) -> None:
        over = time.monotonic() + seconds
        with self._changed:
            while self._close_by is None and (left := over - time.monotonic()) > 0:
                self._changed.wait(left)

    def _delay(self, attempt: int, *, settled: bool) -> float:
        """Seconds to the next attempt: doubled every time, with jitter, so that many programs do not come at once."""
        longest = self._settings.longest_retry
        if settled:
            return longest
        reach = min(longest, self._settings.first_retry * 2.0 ** min(attempt, 30))
        return self._uniform(reach / 2, reach)

    def _why_lost(self, lasted: float) -> str:
        self._short_ones = self._short_ones + 1 if lasted < _AT_ONCE else 0
        if self._short_ones >= _TOO_MANY:
            return "breaks every connection soon after it is made; does another program use the same instance name?"
        return "went away"

    def _words(self, error: LinkError) -> str:
        return f"MQTT broker {self._settings.address}: {error}"

    def _tell(self, problem: str | None) -> None:
        """Say once what is wrong, and once that it is over."""
        self._problem = problem
        if problem is None:
            if self._said:
                self._report(f"MQTT broker {self._settings.address}: connected again")
            self._said.clear()
        elif problem not in self._said:
            self._said.add(problem)
            self._report(f"{problem}; trying again")

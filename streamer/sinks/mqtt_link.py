"""One connection to an MQTT broker: made, used until it breaks, and never mended.

Whoever uses it connects again. Every connection has a client of its own, so that nothing that was queued on a broken
connection is sent on the next one, behind what is newer.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from streamer.sinks.mqtt_topics import OFFLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from streamer.sinks.mqtt_settings import MqttSettings

_SLICE = 0.1
"""Longest wait before a broken connection is noticed, seconds."""

_UNAVAILABLE = "Server unavailable"
_REFUSALS = {
    "Bad user name or password": "refused the user name or the password; correct them",
    "Not authorized": "refused the user name or the password, or lets nobody in without them; correct them",
    "Client identifier not valid": "refused the name of this program; choose another instance",
    _UNAVAILABLE: "says that it is not available now",
}


class LinkError(Exception):
    """The broker is not there, or not for us; the text goes behind the broker's address and holds no password.

    Attributes:
        settled: trying again soon is no use: somebody has to correct something first.
    """

    def __init__(self, text: str, *, settled: bool = False) -> None:
        super().__init__(text)
        self.settled = settled


class Link:
    """A connection to a broker, from :meth:`connect` to the first trouble; safe to use from several threads."""

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        will_topic: str,
        *,
        on_lost: Callable[[], None],
        on_message: Callable[[str, bytes, bool], None],
    ) -> None:
        """Prepare a connection; nothing is sent yet.

        Args:
            settings: of the broker.
            client_id: by which the broker knows this program.
            will_topic: where the broker says ``offline``, retained, when this program dies.
            on_lost: called once when the connection is gone, on a thread of its own; must return at once.
            on_message: called with topic, payload and whether it is an old, retained one; must return at once.

        Raises:
            UsageError: the password or a certificate cannot be read.
        """
        self._settings = settings
        self._on_lost = on_lost
        self._on_message = on_message
        self._answered = threading.Event()
        self._lost = threading.Event()
        self._losing = threading.Lock()
        self._refusal: str | None = None
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True, reconnect_on_failure=False
        )
        self._client.connect_timeout = settings.connect_timeout
        if settings.user is not None:
            self._client.username_pw_set(settings.user, settings.read_password())
        context = settings.tls_context()
        if context is not None:
            self._client.tls_set_context(context)
            self._client.tls_insecure_set(not settings.verify)
        self._client.will_set(will_topic, OFFLINE, qos=1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._received

    @property
    def is_up(self) -> bool:
        """The broker let this program in, and the connection stands as far as is known."""
        return self._answered.is_set() and self._refusal is None and not self._lost.is_set()

    def connect(self, filters: tuple[str, ...]) -> None:
        """Connect, and ask for the messages of these filters; takes at most two of the settings' time-outs.

        Raises:
            LinkError: there is no connection.
        """
        settings = self._settings
        try:
            self._client.connect(settings.host, settings.real_port, keepalive=settings.keep_alive)
        except (OSError, ValueError) as error:
            self._forget()
            raise _failure(error) from None
        self._client.loop_start()
        over = time.monotonic() + settings.connect_timeout
        while not self._answered.wait(_SLICE) and not self._lost.is_set() and time.monotonic() < over:
            pass
        if self.is_up:
            for name in filters:
                self._client.subscribe(name, qos=0)
            return
        answered = self._answered.is_set() or self._lost.is_set()
        self.drop()
        if self._refusal is not None:
            text = _REFUSALS.get(self._refusal, f"refused ({self._refusal})")
            raise LinkError(text, settled=self._refusal != _UNAVAILABLE)
        raise LinkError("closed the connection at once; is it an MQTT broker?" if answered else "does not answer")

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> MQTTMessageInfo:
        """Hand a message to the connection; returns at once.

        Raises:
            LinkError: there is no connection.
        """
        if not self.is_up:
            raise LinkError("is away")
        ticket = self._client.publish(topic, payload, qos=qos, retain=retain)
        if ticket.rc not in {MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_AGAIN}:
            raise LinkError("is away")
        return ticket

    def wait(self, ticket: MQTTMessageInfo, seconds: float) -> None:
        """Wait until the broker has taken a message (its PUBACK).

        Raises:
            LinkError: it has not within the time, or the connection broke; whether it has it nobody knows then.
        """
        over = time.monotonic() + seconds
        while not self.taken(ticket):
            if self._lost.is_set():
                raise LinkError("went away before it had taken a message")
            left = over - time.monotonic()
            if left <= 0:
                raise LinkError(f"has not taken a message within {seconds:g} s")
            with suppress(RuntimeError, ValueError):
                ticket.wait_for_publish(min(left, _SLICE))

    def taken(self, ticket: MQTTMessageInfo) -> bool:
        """Whether the broker has taken a message."""
        try:
            return ticket.is_published()
        except (RuntimeError, ValueError):
            return False

    def leave(self, status_topic: str, seconds: float) -> None:
        """Say ``offline`` and go, within so many seconds; a broker that does not answer says it in our place."""
        with suppress(LinkError):
            self.wait(self.publish(status_topic, OFFLINE.encode(), qos=1, retain=True), seconds)
            self._client.disconnect()
            self._lost.wait(min(seconds, 1.0))
        self.drop()

    def drop(self) -> None:
        """Cut the connection now, whatever is under way; may be called twice, from any thread."""
        # Its own way to stop waits until all is sent, which a broker that hangs never lets happen.
        with suppress(OSError, ValueError, AttributeError):
            sock: Any = self._client.socket()
            if sock is not None:
                sock.shutdown(socket.SHUT_RDWR)
        if self._lost.wait(2.0):
            self._client.loop_stop()
        self._forget()

    def _forget(self) -> None:
        """Let go of the client's callbacks, so that it and its sockets go with this link."""
        self._client.on_connect = None
        self._client.on_disconnect = None
        self._client.on_message = None
        self._lose()

    def _lose(self) -> None:
        with self._losing:
            first = not self._lost.is_set()
            self._lost.set()
        if first:
            self._on_lost()

    def _connected(self, _c: Client, _u: object, _f: ConnectFlags, reason: ReasonCode, _p: Properties | None) -> None:
        if reason.is_failure:
            self._refusal = reason.getName()
        self._answered.set()

    def _disconnected(self, _c: Client, _u: object, _f: DisconnectFlags, _r: ReasonCode, _p: Properties | None) -> None:
        self._lose()

    def _received(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        self._on_message(message.topic, bytes(message.payload), bool(message.retain))


def _failure(error: OSError | ValueError) -> LinkError:
    """What a failed attempt to connect means, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"its certificate is not trusted ({error.verify_message}); give the authority's certificate as ca_file"
        return LinkError(text, settled=True)
    if isinstance(error, ssl.SSLError):
        return LinkError(f"does not agree on encryption ({error.reason or 'unknown reason'}); is it the TLS port?")
    if isinstance(error, socket.gaierror):
        return LinkError("its name is unknown")
    if isinstance(error, ConnectionRefusedError):
        return LinkError("nobody listens there")
    if isinstance(error, TimeoutError):
        return LinkError("does not answer")
    return LinkError(f"cannot be reached ({(getattr(error, 'strerror', None) or type(error).__name__).lower()})")

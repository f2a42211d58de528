"""Alarms as HTTP POST requests: the JSON document of ``schemas/message.schema.json``, signed.

What a receiver can check (``docs/alarms.md`` shows it in Python):

- ``X-Avid-Watch-Signature: sha256=<hex>`` is the HMAC-SHA256, with the shared secret, of the timestamp header, a full
  stop and the raw body. Because the timestamp is signed, a request caught on the way cannot be sent again much later.
- ``X-Avid-Watch-Delivery`` is the sequence number: a message that comes twice comes with the same one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from preprocess.errors import UsageError
from streamer.sinks.messages import STATE, json_text
from streamer.sinks.outbox_worker import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from streamer.sinks.messages import StoredMessage

SIGNATURE = "X-Avid-Watch-Signature"
TIMESTAMP = "X-Avid-Watch-Timestamp"
DELIVERY = "X-Avid-Watch-Delivery"

LARGEST_SNAPSHOT = 4 << 20
"""Bytes of a JPEG that is sent along; a larger one stays away."""

_SAYS_NOTHING_OF_THE_MESSAGE = {401, 403, 404, 407, 408, 425, 429}
"""Refusals that a wrong token, a receiver just being replaced, or its load explain: tried until they end, like absence.
Other 4xx say that this message is not wanted."""


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """What the signature header says.

    Args:
        secret: shared with the receiver.
        timestamp: value of the timestamp header: seconds since 1970.
        body: of the request, as it goes over the line.
    """
    return "sha256=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class Webhook:
    """Delivers messages to one address; a :class:`streamer.sinks.outbox_worker.Deliverer`.

    Certificates are checked. Redirects are not followed: a POST would arrive as a GET without its body. No address
    below the host, no user, password, secret or token shows up in a name, an error or the store.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str | None = None,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        kinds: Collection[str] = (),
        states: bool = True,
        snapshot: bool = False,
        time_out: float = 10.0,
        ca_file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Look at the address; nothing is sent yet.

        Args:
            url: ``http`` or ``https``; user and password in it become basic authentication.
            name: of the sink; None: ``webhook`` and the host.
            secret: signs every request; None: no signature.
            headers: more of them, such as ``Authorization``.
            kinds: of events that are sent; empty: all.
            states: send changes of a camera's state too.
            snapshot: send an event's picture along as base64, where there is one.
            time_out: seconds for a whole delivery.
            ca_file: certificates to trust instead of the system's.
            clock: seconds since 1970.

        Raises:
            UsageError: the address or a header cannot be used.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UsageError("webhook: the address cannot be read; write it like https://host/path") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError("webhook: the address must begin with http:// or https:// and name a host")
        if any(not character.isprintable() or character.isspace() for character in url):
            raise UsageError(
                f"webhook {parts.hostname}: the address holds a space or a control character; write it as %20"
            )
        self._host = parts.hostname
        self._port = port
        self._context = _trust(self._host, ca_file) if parts.scheme == "https" else None
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._name = name or f"webhook {self._host}"
        self._secret = secret.encode() if secret else None
        self._kinds = frozenset(kinds)
        self._states = states
        self._snapshot = snapshot
        self._time_out = time_out
        self._clock = clock
        self._headers = {"Content-Type": "application/json", "User-Agent": "avid-watch"}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = "Basic " + base64.b64encode(login).decode()
        for key, value in (headers or {}).items():
            if not _fits_a_header(key) or not _fits_a_header(value):
                raise UsageError(f"{self._name}: one of its headers holds a line break or letters a header cannot hold")
            self._headers[key] = value
        if not self._target.isascii():
            raise UsageError(f"{self._name}: the path of its address has letters beyond ASCII; write them as %C3%A4")

    @property
    def name(self) -> str:
        """Of the sink."""
        return self._name

    def deliver(self, message: StoredMessage) -> None:
        """Send a message.

        Raises:
            DeliveryError: it did not arrive, or is not wanted.
        """
        document = message.document
        if not self._wants(message, document):
            return
        body = self._body(message, document)
        stamp = str(int(self._clock()))
        headers = self._headers | {TIMESTAMP: stamp, DELIVERY: str(message.sequence)}
        if self._secret is not None:
            headers[SIGNATURE] = signature(self._secret, stamp, body)
        status, pause = self._post(body, headers)
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise DeliveryError(f"answers {status}, a redirect; give the address it leads to", retry=True)
        retry = status >= 500 or status in _SAYS_NOTHING_OF_THE_MESSAGE
        raise DeliveryError(
            f"answers {status} {http.client.responses.get(status, '')}".strip(), retry=retry, after=pause
        )

    def close(self) -> None:
        """Nothing is held between two deliveries."""

    def _wants(self, message: StoredMessage, document: Mapping[str, Any]) -> bool:
        if message.kind == STATE:
            return self._states
        return not self._kinds or document["event"]["kind"] in self._kinds

    def _body(self, message: StoredMessage, document: dict[str, Any]) -> bytes:
        picture = picture_of(message, document) if self._snapshot else None
        if picture is None:
            return message.text.encode()
        try:
            if picture.stat().st_size > LARGEST_SNAPSHOT:
                return message.text.encode()
            data = picture.read_bytes()
        except OSError:
            return message.text.encode()  # retention was faster; the alarm counts
        return json_text(document | {"snapshot_jpeg": base64.b64encode(data).decode()}).encode()

    def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, float | None]:
        """Status and, where given, the pause asked for.

        Raises:
            DeliveryError: there was no answer in time.
        """
        connection = (
            http.client.HTTPConnection(self._host, self._port, timeout=self._time_out)
            if self._context is None
            else http.client.HTTPSConnection(self._host, self._port, timeout=self._time_out, context=self._context)
        )
        late = threading.Event()
        try:
            with closing(connection), _cut_off(connection, self._time_out, late):
                connection.request("POST", self._target, body, dict(headers))
                answer = connection.getresponse()
                return answer.status, _seconds(answer.headers.get("Retry-After"))
        except (OSError, http.client.HTTPException) as error:
            raise DeliveryError("time-out" if late.is_set() else _why(error), retry=True) from None


def picture_of(message: StoredMessage, document: Mapping[str, Any]) -> Path | None:
    """Where the picture of an event's message is, if there is one on the disk."""
    name = (document.get("event") or {}).get("snapshot")
    if message.folder is None or not name:
        return None
    path = message.folder / name
    return path if path.is_file() else None


@contextmanager
def _cut_off(connection: http.client.HTTPConnection, seconds: float, late: threading.Event) -> Iterator[None]:
    """End the connection after so many seconds: the time-outs of sockets begin anew with every byte that comes."""

    def cut() -> None:
        late.set()
        line = connection.sock
        if line is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _trust(host: str, ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"webhook {host}: {ca_file} holds no certificates that can be read") from error


def _fits_a_header(text: str) -> bool:
    return bool(text) and text.isprintable() and all(ord(character) < 256 for character in text)


def _seconds(text: str | None) -> float | None:
    """What ``Retry-After`` asks for, where it is a number of seconds."""
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 7 else None


_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "time-out"),
    (ConnectionRefusedError, "nobody listens there"),
    (socket.gaierror, "the host is not known"),
    (ssl.SSLError, "no secure connection"),
    (http.client.HTTPException, "no proper HTTP answer"),
)


def _why(error: Exception) -> str:
    """What kept a request from arriving, without anything that the address holds."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    known = next((text for kind, text in _CAUSES if isinstance(error, kind)), None)
    return known or (getattr(error, "strerror", None) or type(error).__name__).lower()

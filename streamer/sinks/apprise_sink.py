"""Alarms through Apprise: mail, chat and push services, each behind an address of its own (``pip install apprise``)."""

from __future__ import annotations

import importlib
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

from preprocess.errors import UsageError
from streamer.events import MessageKind
from streamer.live.notices import EventKind
from streamer.sinks.messages import STATE
from streamer.sinks.outbox_worker import DeliveryError
from streamer.sinks.webhook import picture_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from streamer.sinks.messages import StoredMessage

_TITLES = {
    EventKind.ANOMALY.value: "something irregular",
    EventKind.FORBIDDEN_MOTION.value: "something moves where nothing may",
    EventKind.CAMERA_OFFLINE.value: "camera offline",
    EventKind.CAMERA_FROZEN.value: "picture frozen",
    EventKind.CAMERA_COVERED.value: "camera covered",
    EventKind.LIGHTING_CHANGE.value: "light changed",
    EventKind.STORAGE_FULL.value: "disk full, recording stopped",
}


class AppriseSink:
    """Delivers events as short texts with the peak picture; a :class:`streamer.sinks.outbox_worker.Deliverer`.

    Apprise does not say why a service refused, so every failure is tried again. An attempt after the first goes without
    the picture: it may be what the service does not take. With several addresses, those that have a message do not get
    it again while the others are tried; better one sink per address, so that none waits for another.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        name: str = "apprise",
        on: Collection[MessageKind] = (MessageKind.NEW,),
        kinds: Collection[str] = (),
        snapshot: bool = True,
    ) -> None:
        """Look at the addresses; nothing is sent yet.

        Args:
            urls: Apprise addresses, e.g. ``mailto://user:password@host``.
            name: of the sink; holds no secret.
            on: which messages of an event are sent.
            kinds: of events that are sent; empty: all.
            snapshot: attach the picture, where there is one.

        Raises:
            UsageError: Apprise is not installed, or does not know an address.
        """
        apprise = _apprise()
        self._name = name
        self._on = frozenset(kind.value for kind in on)
        self._kinds = frozenset(kinds)
        self._snapshot = snapshot
        self._services = []
        for number, url in enumerate(urls, 1):
            service = apprise.Apprise()
            if not service.add(url):
                kind = url.partition("://")[0] if "://" in url else "without ://"
                shown = kind if kind.isalnum() else "unreadable"
                raise UsageError(f"{name}: Apprise does not know address {number} ({shown}); see its list of services")
            self._services.append(service)
        self._tried = -1  # sequence number of the message tried last
        self._has: set[int] = set()  # places of the services that have it

    @property
    def name(self) -> str:
        """Of the sink."""
        return self._name

    def deliver(self, message: StoredMessage) -> None:
        """Send a message to all services that do not have it yet.

        Raises:
            DeliveryError: one of them did not take it.
        """
        if message.kind == STATE or message.kind not in self._on:
            return
        document = message.document
        if self._kinds and document["event"]["kind"] not in self._kinds:
            return
        again = message.sequence == self._tried
        if not again:
            self._tried, self._has = message.sequence, set()
        picture = picture_of(message, document) if self._snapshot and not again else None
        title, body = wording(document)
        for place, service in enumerate(self._services):
            if place not in self._has and _notify(service, title, body, picture):
                self._has.add(place)
        missing = len(self._services) - len(self._has)
        if missing:
            raise DeliveryError(f"{missing} of {len(self._services)} services did not take it", retry=True)

    def close(self) -> None:
        """Nothing is held between two deliveries."""


def wording(document: Mapping[str, Any]) -> tuple[str, str]:
    """Title and body for a person.

    Args:
        document: of an event's message (``schemas/message.schema.json``).
    """
    event = document["event"]
    what = _TITLES.get(event["kind"], event["kind"])
    ended = document["message"] == MessageKind.END.value
    title = f"{document['camera']}: {what}" + (" - over" if ended else "")
    lines = [f"since {_local(event['start_time'] or document['at'])}"]
    if ended:
        lines.append(f"until {_local(event['end_time'] or document['at'])}")
    if event["kind"] in {EventKind.ANOMALY.value, EventKind.FORBIDDEN_MOTION.value}:
        lines.append(f"level {event['peak_level']:.1f}")
    if event["zones"]:
        lines.append("in " + ", ".join(event["zones"]))
    if event["provisional"]:
        lines.append("provisional: the camera still learns what is normal")
    if event["detail"]:
        lines.append(event["detail"])
    return title, "\n".join([*lines, f"event {event['id']}"])


def _local(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def _notify(service: Any, title: str, body: str, picture: Path | None) -> bool:
    try:
        attached = {} if picture is None else {"attach": str(picture)}
        return bool(service.notify(title=title, body=body, **attached))
    except Exception:  # noqa: BLE001 - what a service raises may hold its address; it is tried again
        return False


def _apprise() -> Any:
    """The library, with its log silenced: it would print addresses with passwords.

    Raises:
        UsageError: it is not installed.
    """
    try:
        library = importlib.import_module("apprise")
    except ImportError:
        raise UsageError("apprise: it is not installed; pip install 'avid-watch[apprise]'") from None
    log = logging.getLogger("apprise")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    return library

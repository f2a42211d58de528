"""Where alarms go: the event store always, and every receiver the settings name, each behind a queue of its own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.live.announcer import Announcer
from streamer.sinks.event_store import ENDED_BY_A_STOP, EventStore
from streamer.sinks.json_text import json_bytes
from streamer.sinks.mqtt import BACK_OFF, MqttSink
from streamer.sinks.mqtt_settings import MqttSettings
from streamer.sinks.notice_hub import NoticeHub
from streamer.sinks.outbox_worker import OutboxWorker
from streamer.sinks.run_folder import EVENTS
from streamer.sinks.sink_names import apprise_names, webhook_names
from streamer.sinks.store_sink import StoreSink
from streamer.sinks.tails import cut_torn_line
from streamer.sinks.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.live.config import LiveConfig, MqttConfig
    from streamer.live.notices import Notice, NoticeSink
    from streamer.sinks.outbox_worker import Deliverer, SinkCounts

STORE = "avid-watch.sqlite"
"""The event store, beside the cameras' folders."""


class MqttReceiver:
    """A broker: retained states and scores at once, events from the outbox."""

    def __init__(self, store: EventStore, sink: MqttSink) -> None:
        """Begin to connect; the sink itself says when the broker goes away and comes back."""
        self.sink = sink
        sink.start()
        self._worker = OutboxWorker(store, sink, back_off=BACK_OFF)

    @property
    def name(self) -> str:
        """Of the sink."""
        return self._worker.name

    @property
    def counts(self) -> SinkCounts:
        """What became of the events."""
        return self._worker.counts

    def give(self, notice: Notice) -> None:
        """Take a notice."""
        self.sink.give(notice)
        self._worker.give(notice)

    def wake(self) -> None:
        """There may be something to deliver."""
        self._worker.wake()

    def close(self, seconds: float) -> None:
        """Deliver what can be delivered, then say goodbye."""
        self._worker.close(seconds)


@dataclass(frozen=True, slots=True)
class Receivers:
    """All receivers of a run.

    Attributes:
        hub: takes notices for all of them.
        mqtt: told of cameras that come and go; None where there is no broker.
    """

    hub: NoticeHub
    mqtt: MqttSink | None

    def add_camera(self, name: str) -> None:
        """A camera is watched from now on."""
        if self.mqtt is not None:
            self.mqtt.add_camera(name)

    def remove_camera(self, name: str) -> None:
        """A camera is watched no more."""
        if self.mqtt is not None:
            self.mqtt.remove_camera(name)


def open_receivers(
    config: LiveConfig, directory: Path, warn: Callable[[str], None], say: Callable[[str], None]
) -> Receivers:
    """Open the store and everything that delivers from it.

    Args:
        config: of the run.
        directory: where the store lies.
        warn: told in one line what a person should know.
        say: told in one line what happens.

    Raises:
        UsageError: another program writes the store; a password, an address or Apprise itself is missing.
        OutputError: the store cannot be written.
    """
    store = EventStore(directory / STORE, warn=warn)
    sinks: list[NoticeSink] = [Announcer(say)]
    try:
        mqtt = None
        if config.mqtt is not None:
            names = [camera.name for camera in config.watched]
            mqtt = MqttSink(_broker(config.mqtt, config.instance), names, report=warn)
        addresses = [hook.url for hook in config.webhooks]
        deliverers: list[Deliverer] = [
            Webhook(
                hook.url,
                name=name,
                secret=None if hook.secret is None else hook.secret.get_secret_value(),
                kinds=[kind.value for kind in hook.kinds],
            )
            for name, hook in zip(webhook_names(addresses), config.webhooks, strict=True)
        ]
        if config.apprise:
            from streamer.sinks.apprise_sink import AppriseSink  # noqa: PLC0415 - an optional extra

            urls = [url.get_secret_value() for url in config.apprise]
            # One for each address: a service that is away must not hold up the others.
            deliverers += [AppriseSink([url], name=name) for name, url in zip(apprise_names(urls), urls, strict=True)]
        if mqtt is not None:
            sinks.append(MqttReceiver(store, mqtt))
        sinks += [OutboxWorker(store, deliverer, warn=warn) for deliverer in deliverers]
        for name in set(store.sinks()) - {sink.name for sink in sinks}:
            store.unregister(name)  # taken out of the settings: nobody will ever fetch what waits for it
        end_what_a_kill_left(store)
        return Receivers(NoticeHub(StoreSink(store, warn=warn), sinks), mqtt)
    except BaseException:
        for sink in sinks:
            sink.close(0.0)
        store.close()
        raise


def end_what_a_kill_left(store: EventStore) -> int:
    """End the events that a program that was killed left open: in the store, for the receivers, and in their logs.

    Returns:
        How many there were.
    """
    left = store.open_events()
    store.end_open_events()
    for row in left:
        if row.folder is None or not Path(row.folder).is_dir():
            continue
        record = row.document
        known = record.get("detail")
        record["detail"] = f"{known}; {ENDED_BY_A_STOP}" if known else ENDED_BY_A_STOP
        path = Path(row.folder) / EVENTS
        with suppress(OSError):  # a full disk: the store has it
            cut_torn_line(path, keep_json=True)
            with path.open("ab") as file:
                file.write(json_bytes(record) + b"\n")
    return len(left)


def _broker(config: MqttConfig, instance: str | None) -> MqttSettings:
    return MqttSettings(
        host=config.host,
        port=config.port,
        instance=instance or "",
        topic_prefix=config.topic_prefix,
        user=config.user,
        password=None if config.password is None else config.password.get_secret_value(),
        tls=config.tls,
        ca_file=config.ca_file,
        certificate_file=config.certificate_file,
        key_file=config.key_file,
        discovery=config.discovery,
        discovery_prefix=config.discovery_prefix,
        snapshots=config.snapshots,
    )

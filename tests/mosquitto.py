"""A real MQTT broker on loopback for tests, and somebody who listens to it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

if TYPE_CHECKING:
    from pathlib import Path

REQUIRE = "AVID_WATCH_REQUIRE_SERVERS"
USER, PASSWORD = "avid", "open sesame"
_PROGRAMS = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/sbin"


def program(name: str) -> str:
    """Path of a program of the broker's package; without it the test is skipped, or fails where it is required."""
    found = shutil.which(name, path=_PROGRAMS)
    if found is None:
        reason = f"{name} is not installed (Debian's package mosquitto)"
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{reason}, and {REQUIRE}=1")
        pytest.skip(reason)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """A broker in a folder of its own; it can be stopped, killed and started again on the same port."""

    def __init__(self, folder: Path, *, password: bool = False, tls: tuple[Path, Path] | None = None) -> None:
        self._program = program("mosquitto")
        self.port = free_port()
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'false' if password else 'true'}",
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_interval 1",
            "max_queued_messages 0",
            "sys_interval 0",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # else it becomes a user who cannot read the folder
        if password:
            file = folder / "passwords"
            file.touch(mode=0o600)
            subprocess.run([program("mosquitto_passwd"), "-b", str(file), USER, PASSWORD], check=True)
            lines.append(f"password_file {file}")
        if tls is not None:
            lines += [f"certfile {tls[0]}", f"keyfile {tls[1]}"]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            assert self._process.poll() is None, "mosquitto ended at once"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        pytest.fail("mosquitto does not listen")

    def stop(self) -> None:
        """As an administrator would: what it keeps is written to the disk first."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@dataclass
class Heard:
    topic: str
    payload: bytes
    retained: bool


@dataclass
class Listener:
    """Somebody with a lasting session, like Home Assistant: the broker keeps what comes while they are away."""

    port: int
    filters: tuple[str, ...] = ("#",)
    name: str = "listener"
    user: str | None = None
    password: str | None = None
    lasting: bool = True
    heard: list[Heard] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    subscribed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=self.name, clean_session=not self.lasting)
        self.client.reconnect_delay_set(1, 1)
        if self.user is not None:
            self.client.username_pw_set(self.user, self.password)
        self.client.on_connect = lambda client, *_: client.subscribe([(name, 1) for name in self.filters])
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        assert self.subscribed.wait(10)

    def _on_message(self, _client, _data, message) -> None:
        with self.changed:
            self.heard.append(Heard(message.topic, bytes(message.payload), bool(message.retain)))
            self.changed.notify_all()

    def wait(self, condition, seconds=10.0) -> None:
        """Wait until ``condition(heard)`` holds."""
        with self.changed:
            came = self.changed.wait_for(lambda: condition(self.heard), seconds)
        assert came, f"only heard {[(item.topic, item.payload[:80]) for item in self.heard[-20:]]}"

    def latest(self, topic: str) -> bytes | None:
        """The last payload of a topic."""
        with self.changed:
            return next((item.payload for item in reversed(self.heard) if item.topic == topic), None)

    def all(self, topic: str) -> list[bytes]:
        with self.changed:
            return [item.payload for item in self.heard if item.topic == topic]

    def wait_for(self, topic: str, payload: bytes, seconds=10.0) -> None:
        """Wait until the last payload of a topic is this one."""
        self.wait(lambda _: self.latest(topic) == payload, seconds)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def retained(port: int, name: str = "#") -> dict[str, bytes]:
    """What the broker keeps, as somebody sees it who comes now."""
    listener = Listener(port, (name, "end-of-retained"), name="newcomer", lasting=False)
    listener.client.publish("end-of-retained", b"x", qos=1)
    listener.wait(lambda heard: any(item.topic == "end-of-retained" for item in heard))
    listener.close()
    return {item.topic: item.payload for item in listener.heard if item.retained}

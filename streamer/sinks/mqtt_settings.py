"""How the broker is reached, and as whom."""

from __future__ import annotations

import os
import platform
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from preprocess.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PLAIN_PORT, TLS_PORT = 1883, 8883


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """A broker and what is said there. A password never shows in the text of these settings.

    Attributes:
        host: name or address of the broker.
        port: None: 1883, and 8883 with TLS.
        instance: name of this program among those that share the broker; the machine's own where it is empty. Two
            programs with one name push each other out.
        topic_prefix: what all topics begin with.
        user: None: no user name is sent.
        password: as it is; better is one of the next two.
        password_env: environment variable that holds it.
        password_file: file whose first line it is; read again at every connection.
        tls: encrypt.
        ca_file: certificates to trust; None: those the system trusts.
        certificate_file, key_file: of this program, where the broker asks for them.
        verify: refuse a broker whose certificate is not trusted; turn off for tests only.
        discovery: tell Home Assistant of the cameras.
        discovery_prefix: Home Assistant's own setting of that name.
        snapshots: publish the peak picture of the latest event.
        largest_snapshot: bytes; larger pictures are not published. Some brokers cut the connection at large messages.
        keep_alive: seconds between two signs of life; a broker that is silent for one and a half of them is away.
        connect_timeout: seconds to connect and to be let in.
        answer_timeout: seconds within which the broker takes an event; then the connection is given up.
        first_retry, longest_retry: seconds to the first new attempt, and the most between two.
    """

    host: str
    port: int | None = None
    instance: str = ""
    topic_prefix: str = "avid-watch"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    password_env: str | None = None
    password_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    verify: bool = True
    discovery: bool = True
    discovery_prefix: str = "homeassistant"
    snapshots: bool = True
    largest_snapshot: int = 4 << 20
    keep_alive: int = 30
    connect_timeout: float = 10.0
    answer_timeout: float = 15.0
    first_retry: float = 1.0
    longest_retry: float = 30.0

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if not self.host.strip() or "/" in self.host:
            raise ValueError("the MQTT host is a name or an address, such as 192.168.1.5, without a scheme or a path")
        if self.port is not None and not 0 < self.port < 65536:
            raise ValueError(f"the MQTT port is 1 to 65535, not {self.port}")
        for name in ("topic_prefix", "discovery_prefix"):
            _require_prefix(name, getattr(self, name))
        self._check_secrets()
        if not 5 <= self.keep_alive <= 3600:
            raise ValueError(f"keep_alive for MQTT is 5 to 3600 s, not {self.keep_alive}")
        if min(self.connect_timeout, self.answer_timeout, self.first_retry) <= 0:
            raise ValueError("the times of MQTT must be above 0")
        if self.longest_retry < self.first_retry:
            raise ValueError("longest_retry of MQTT must be at least first_retry")

    def _check_secrets(self) -> None:
        passwords = (self.password, self.password_env, self.password_file)
        if sum(given is not None for given in passwords) > 1:
            raise ValueError("give one of password, password_env and password_file for MQTT")
        if self.user is None and any(given is not None for given in passwords):
            raise ValueError("MQTT takes no password without a user name")
        if not self.tls and (self.ca_file or self.certificate_file or self.key_file):
            raise ValueError("certificates for MQTT are of use only with tls: true")
        if self.key_file is not None and self.certificate_file is None:
            raise ValueError("key_file for MQTT needs certificate_file beside it")

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.real_port}"

    @property
    def real_port(self) -> int:
        """The port given, or the usual one."""
        return self.port if self.port is not None else (TLS_PORT if self.tls else PLAIN_PORT)

    @property
    def name_of_instance(self) -> str:
        """The instance given, or the name of the machine."""
        return self.instance or platform.node() or "avid-watch"

    def read_password(self, environment: Mapping[str, str] | None = None) -> str | None:
        """The password as it is now; None where none is given.

        Args:
            environment: the process's own where None.

        Raises:
            UsageError: the variable is not set, or the file cannot be read or is empty; names it, never what it holds.
        """
        if self.password_env is not None:
            value = (os.environ if environment is None else environment).get(self.password_env)
            if not value:
                raise UsageError(f"the environment variable {self.password_env} with the MQTT password is not set")
            return value
        if self.password_file is not None:
            try:
                lines = self.password_file.read_text("utf-8").splitlines()
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is no text"
                raise UsageError(f"{self.password_file}: the MQTT password cannot be read ({reason})") from None
            if not lines or not lines[0]:
                raise UsageError(f"{self.password_file}: the first line, with the MQTT password, is empty")
            return lines[0]
        return self.password

    def tls_context(self) -> ssl.SSLContext | None:
        """What encrypts the connection; None where nothing does.

        Raises:
            UsageError: a certificate file cannot be used.
        """
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.ca_file}: no certificates to trust can be read ({_words(error)})") from None
        if self.certificate_file is not None:
            try:
                # Without the empty password, a key that has one would ask for it on the terminal.
                context.load_cert_chain(self.certificate_file, self.key_file, password="")
            except (OSError, ValueError) as error:
                raise UsageError(
                    f"{self.certificate_file}: cannot be used as the certificate for MQTT ({_words(error)}); "
                    "a key with a password of its own is not supported"
                ) from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _require_prefix(name: str, prefix: str) -> None:
    if not prefix or prefix[0] in "/$" or prefix[-1] == "/" or set(prefix) & set("+#\0"):
        raise ValueError(f"{name} for MQTT is the beginning of a topic, such as home/cameras, not {prefix!r}")


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__

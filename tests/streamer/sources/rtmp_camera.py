"""An RTMP camera for any number of viewers, one after the other, that can fall silent, go away, or let nobody in."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.streamer.live.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).resolve().parents[2] / "rtmp_server.py"


class RtmpCamera:
    """Stands before ``tests/rtmp_server.py``, which ends with its viewer; each viewer gets a new one."""

    def __init__(self, *, sound: bool = False, fps: int = 20) -> None:
        self._options = ["--fps", str(fps), *(["--sound"] if sound else [])]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._viewers: list[socket.socket] = []
        self._servers: list[subprocess.Popen[bytes]] = []
        self._silent = self._over = False

    def uri(self, user: str = "") -> str:
        """Its address; ``user`` is ``name:password``."""
        return f"rtmp://{user + '@' if user else ''}127.0.0.1:{self.port}/live/gate"

    def drop_viewers(self) -> None:
        """End all connections, as a server that is started anew does."""
        viewers, self._viewers = self._viewers, []
        for viewer in viewers:
            with suppress(OSError):
                viewer.shutdown(socket.SHUT_RDWR)

    def fall_silent(self) -> None:
        """Say nothing more to those who are there."""
        self._silent = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._listener.close()
        self.drop_viewers()
        for server in self._servers:
            server.kill()
            server.wait(10)

    def _accept(self) -> None:
        while not self._over:
            try:
                viewer = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(viewer,), daemon=True).start()

    def _serve(self, viewer: socket.socket) -> None:
        with viewer, suppress(OSError):
            greeting = viewer.recv(4096)
            if not greeting:
                return  # somebody looked whether anybody listens
            self._viewers.append(viewer)
            port = free_port()
            server = subprocess.Popen([sys.executable, str(SCRIPT), "--port", str(port), *self._options])
            self._servers.append(server)
            with _connected(port) as source:
                source.sendall(greeting)
                while not self._over:
                    for ready in select.select([viewer, source], [], [], 0.2)[0]:
                        data = ready.recv(65_536)
                        if not data:
                            return
                        if not self._silent:
                            (source if ready is viewer else viewer).sendall(data)


def _connected(port: int, seconds: float = 10.0) -> socket.socket:
    until = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


_HANDSHAKE = 1536  # bytes of each of its messages
_CHUNK = 128  # bytes of a message until FFmpeg is told another size


@contextmanager
def refusing_rtmp() -> Iterator[str]:
    """A server that answers every ``connect`` with ``NetConnection.Connect.Rejected``; its host and port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                viewer, _ = listener.accept()
                with suppress(OSError), viewer, viewer.makefile("rb") as sent:
                    hello = sent.read(1 + _HANDSHAKE)[1:]
                    if not hello:
                        continue  # somebody only looked whether anybody listens
                    viewer.sendall(b"\x03" + 2 * hello)
                    sent.read(_HANDSHAKE + 1)  # its part of the handshake, and the first byte of "connect"
                    viewer.sendall(_rejection())
                    sent.read()  # until it has gone

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def _rejection() -> bytes:
    """The message ``_error`` to the first call, in AMF0 and in chunks."""

    def text(value: str) -> bytes:
        return len(value).to_bytes(2, "big") + value.encode()

    told = {"level": "error", "code": "NetConnection.Connect.Rejected", "description": "authentication failed"}
    properties = b"".join(text(name) + b"\x02" + text(value) for name, value in told.items())
    first_call = b"\x00" + bytes.fromhex("3ff0000000000000")
    body = b"\x02" + text("_error") + first_call + b"\x05" + b"\x03" + properties + b"\x00\x00\x09"
    chunks = [body[start : start + _CHUNK] for start in range(0, len(body), _CHUNK)]
    return b"\x03\0\0\0" + len(body).to_bytes(3, "big") + b"\x14\0\0\0\0" + b"\xc3".join(chunks)

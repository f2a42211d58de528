"""``/metrics`` for Prometheus and ``/healthz`` for whoever restarts services: a small server that cannot hang.

Every connection carries one request, has a thread of its own, a bounded time, and there are few of them at once.
"""

from __future__ import annotations

import errno
import socket
import socketserver
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Self

from preprocess.errors import UsageError
from streamer.liveness import Overall
from streamer.metrics import CONTENT_TYPE
from streamer.sinks.json_text import json_bytes

if TYPE_CHECKING:
    from types import TracebackType

    from streamer.liveness import Liveness
    from streamer.metrics import Metrics

_JSON = "application/json; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
_POLL = 0.1
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_REASONS = {
    errno.EADDRINUSE: "is taken; choose another port, or 0 to have a free one picked",
    errno.EACCES: "needs the rights of the administrator; choose one from 1024 on",
    errno.EADDRNOTAVAIL: "is no address of this machine; 127.0.0.1 and 0.0.0.0 always are",
}


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Where the server listens.

    Attributes:
        host: 127.0.0.1: this machine alone; 0.0.0.0: every machine that can reach this one. There is no password.
        port: 0 picks a free one.
        connections: most connections at once; further ones are turned away with 503.
        seconds: longest life of a connection.
    """

    host: str = "127.0.0.1"
    port: int = 9790
    connections: int = 8
    seconds: float = 10.0


class HttpEndpoint:
    """Serves the metrics and the health of a run from :meth:`start` to :meth:`close`.

    Usable as a context manager.
    """

    def __init__(self, metrics: Metrics, settings: EndpointSettings | None = None) -> None:
        """Take the port; nothing is answered before :meth:`start`.

        Args:
            metrics: what to tell.
            settings: the usual address where None.

        Raises:
            UsageError: the port is taken, or the address is none of this machine.
        """
        self._settings = settings or EndpointSettings()
        try:
            self._server = _Server(self._settings, metrics)
        except (OSError, OverflowError) as error:
            where = _address(self._settings.host, self._settings.port)
            reason = _REASONS.get(getattr(error, "errno", 0) or 0, f"cannot be listened on ({error})")
            raise UsageError(f"metrics: {where} {reason}") from error
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)

    @property
    def port(self) -> int:
        """The port, also where it was picked."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Address of the server, without a path."""
        return f"http://{_address(self._settings.host, self.port)}"

    def start(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def close(self, seconds: float = 2.0) -> None:
        """Cut all connections and let go of the port within so many seconds; may be called twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(seconds)
        self._server.server_close()
        self._server.cut(older_than=0.0)
        self._server.join(seconds)

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=_POLL)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def health_record(liveness: Liveness) -> dict[str, Any]:
    """What ``/healthz`` says, as JSON knows it."""
    return {
        "status": liveness.overall,
        "working": liveness.working,
        "cameras": {
            camera.name: {
                "state": camera.state,
                "fine": camera.fine,
                "last_frame_age": None if camera.age is None else round(camera.age, 3),
            }
            for camera in liveness.cameras
        },
    }


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    """The standard server, with bounds: so many connections, each so long."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, settings: EndpointSettings, metrics: Metrics) -> None:
        self.address_family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        self.metrics = metrics
        self._most = settings.connections
        self._seconds = settings.seconds
        self._lock = threading.Lock()
        self._open: dict[socket.socket, tuple[float, threading.Thread]] = {}
        super().__init__((settings.host, settings.port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, as the standard one does: that can take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer on a thread of its own, or turn away where there are too many."""
        request.settimeout(self._seconds)
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), name="metrics-answer", daemon=True
        )
        with self._lock:
            welcome = len(self._open) < self._most
            if welcome:
                self._open[request] = (time.monotonic(), thread)
        if welcome:
            thread.start()
            return
        request.settimeout(0.0)
        with suppress(OSError):
            request.send(_BUSY)
        self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, and forget it."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Between two connections: cut those that take too long, however slowly they go on."""
        self.cut(older_than=self._seconds)

    def cut(self, older_than: float) -> None:
        """Cut connections that are older than so many seconds; their threads end by themselves."""
        now = time.monotonic()
        with self._lock:
            late = [request for request, (began, _) in self._open.items() if now - began >= older_than]
            for request in late:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def join(self, seconds: float) -> None:
        """Wait for the threads of the connections, so many seconds in all."""
        over = time.monotonic() + seconds
        with self._lock:
            threads = [thread for _, thread in self._open.values()]
        for thread in threads:
            thread.join(max(0.0, over - time.monotonic()))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody went away in the middle: nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: _Server
    server_version = "avid-watch"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        self.close_connection = True
        path = self.path.split("?", 1)[0]
        if path == "/metrics":
            try:
                self._say(HTTPStatus.OK, CONTENT_TYPE, self.server.metrics.render())
            except (ValueError, TypeError, RuntimeError) as error:
                text = f"the metrics cannot be written: {type(error).__name__}\n"
                self._say(HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, text.encode())
        elif path == "/healthz":
            liveness = self.server.metrics.liveness.read()
            down = liveness.overall is Overall.DOWN
            status = HTTPStatus.SERVICE_UNAVAILABLE if down else HTTPStatus.OK
            self._say(status, _JSON, json_bytes(health_record(liveness)) + b"\n")
        else:
            self._say(HTTPStatus.NOT_FOUND, _TEXT, b"there is /metrics and /healthz\n")

    def do_HEAD(self) -> None:
        """Answer without the content."""
        self.do_GET()

    def refuse(self) -> None:
        """Nothing can be changed here."""
        self.close_connection = True
        self._say(HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"only GET and HEAD\n", allow="GET, HEAD")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = refuse  # noqa: N815

    def _say(self, status: HTTPStatus, kind: str, content: bytes, *, allow: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Connection", "close")
        if allow is not None:
            self.send_header("Allow", allow)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing: scrapes come every few seconds."""


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

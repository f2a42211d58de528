"""A real HTTP server on loopback that can be away, answer with errors, or hang."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    """What came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpReceiver:
    """Takes POST requests.

    Attributes:
        status: what it answers.
        got: requests it answered with success, in order.
        tries: number of requests that came.
        hangs: keeps connections open and says nothing.
        answer_headers: sent with every answer.
        port: 0: any; then the one it has.
        tls: context of a server; None: no encryption.
    """

    status: int = 204
    got: list[Request] = field(default_factory=list)
    tries: int = 0
    hangs: bool = False
    answer_headers: dict[str, str] = field(default_factory=dict)
    port: int = 0
    tls: object = None
    _server: ThreadingHTTPServer | None = None
    _released: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Listen, on the same port as before."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.tries += 1
                if receiver.hangs:
                    receiver._released.wait(30)
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.status
                if 200 <= status < 300:  # before the answer: who has it may look at once
                    receiver.got.append(Request(self.path, dict(self.headers), body))
                self.send_response(status)
                for key, value in receiver.answer_headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_args) -> None:
                pass

        self._released.clear()
        self._server = Server(("127.0.0.1", self.port), Handler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Be away: connections are refused."""
        self._released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}/alarms"

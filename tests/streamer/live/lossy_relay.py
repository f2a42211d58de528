"""A relay between an RTSP client and its server that loses some of the pictures' UDP packets on the way."""

from __future__ import annotations

import random
import re
import selectors
import socket
import threading
from typing import Self

_CLIENT_PORTS = re.compile(rb"client_port=(\d+)-(\d+)")
_SERVER_PORTS = re.compile(rb";server_port=\d+-\d+")


class LossyRelay:
    """Takes one client at a time on ``port``; a share ``loss`` of the RTP packets never arrives.

    Attributes:
        port: where clients connect.
        loss: share of RTP packets to lose, 0..1; may be changed at any time.
        passed, lost: RTP packets so far.
    """

    def __init__(self, server_port: int, *, loss: float, seed: int = 0) -> None:
        self.loss = loss
        self.passed = 0
        self.lost = 0
        self._server_port = server_port
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(0.1)
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="lossy relay", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        self._listening.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listening.accept()
            except TimeoutError:
                continue
            with client:
                self._relay(client)

    def _relay(self, client: socket.socket) -> None:
        media = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        server = socket.create_connection(("127.0.0.1", self._server_port), 5)
        targets: list[tuple[str, int]] = []
        try:
            for udp in media:
                udp.bind(("127.0.0.1", 0))
                udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**21)
            ours = [udp.getsockname()[1] for udp in media]
            with selectors.DefaultSelector() as ready:
                for sock in (client, server, *media):
                    ready.register(sock, selectors.EVENT_READ)
                while not self._stop.is_set():
                    for key, _ in ready.select(0.1):
                        if not self._pass_on(key.fileobj, client, server, media, ours, targets):
                            return
        except OSError:
            return  # a client that closed abruptly
        finally:
            for sock in (server, *media):
                sock.close()

    def _pass_on(self, sock, client, server, media, ours, targets) -> bool:
        """Pass one piece on; False when one side has closed."""
        if sock in media:
            data = sock.recv(65536)
            is_rtp = sock is media[0]
            if is_rtp and self._random.random() < self.loss:
                self.lost += 1
            elif targets:
                self.passed += int(is_rtp)
                sock.sendto(data, targets[media.index(sock)])
            return True
        data = sock.recv(65536)
        if not data:
            return False
        if sock is client:
            found = _CLIENT_PORTS.search(data)
            if found:
                targets[:] = [("127.0.0.1", int(found[1])), ("127.0.0.1", int(found[2]))]
                data = _CLIENT_PORTS.sub(b"client_port=%d-%d" % tuple(ours), data)
            server.sendall(data)
        else:
            found = _CLIENT_PORTS.search(data)
            if found and targets:
                data = _CLIENT_PORTS.sub(b"client_port=%d-%d" % (targets[0][1], targets[1][1]), data)
                data = _SERVER_PORTS.sub(b"", data)
            client.sendall(data)
        return True

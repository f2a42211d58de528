"""Real servers on loopback for tests of live cameras: an RTSP camera, motion JPEG and HLS over HTTP and HTTPS."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from fractions import Fraction
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self

import av
import cv2
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSTEM_PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).resolve().parents[2] / "rtsp_server.py"
_NEEDED = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
_SECONDS_TO_START = 20


@cache
def _rtsp_is_here() -> bool:
    try:
        return (
            subprocess.run([SYSTEM_PYTHON, "-c", _NEEDED], capture_output=True, timeout=30, check=False).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def require_rtsp_server() -> None:
    """Skip the test where the RTSP server's packages are missing; fail it where they are required."""
    if _rtsp_is_here():
        return
    reason = f"GStreamer's RTSP server (Debian: gir1.2-gst-rtsp-server-1.0, python3-gi) is not here for {SYSTEM_PYTHON}"
    if os.environ.get("AVID_WATCH_REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class RtspServer:
    """A camera of its own process; options are those of ``tests/rtsp_server.py`` with ``_`` for ``-``."""

    def __init__(self, *, port: int | None = None, path: str = "/stream", **options: object) -> None:
        self.port = port or free_port()
        self.path = path
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    @property
    def uri(self) -> str:
        return self.uri_at(self.port)

    def uri_at(self, port: int, user: str = "") -> str:
        """Its address behind another port; ``user`` is ``name:password``."""
        return f"rtsp://{user + '@' if user else ''}127.0.0.1:{port}{self.path}"

    def start(self) -> Self:
        command = [SYSTEM_PYTHON, str(SCRIPT), "--port", str(self.port), "--path", self.path]
        for name, value in self._options.items():
            flag = f"--{name.replace('_', '-')}"
            command += [flag] if value is True else [flag, str(value)]
        # In a group of its own: a Ctrl-C at the tests must not reach it first.
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self._process.stdout is not None
        timer = threading.Timer(_SECONDS_TO_START, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line.startswith("ready"):
            self.kill()
            raise RuntimeError(f"the RTSP server did not start: {line!r}")
        return self

    def freeze(self) -> None:
        """It is there, accepts connections and says nothing."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """Gone at once, without a word; may be called twice."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)
            assert process.stdout is not None
            process.stdout.close()

    stop = kill

    def restart(self) -> None:
        self.kill()
        self.start()

    def __enter__(self) -> Self:
        require_rtsp_server()
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)


def self_signed(folder: Path) -> Path:
    """A certificate that nobody signed and its key in one PEM file, as cameras have them; skips without openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not here to make a certificate")
    both = folder / "camera.pem"
    making = f"req -x509 -newkey rsa:2048 -nodes -keyout {both}.key -out {both}.crt -days 2 -subj /CN=127.0.0.1"
    subprocess.run([openssl, *making.split()], check=True, capture_output=True)
    both.write_text(Path(f"{both}.crt").read_text() + Path(f"{both}.key").read_text())
    return both


class Guarded(BaseHTTPRequestHandler):
    """Answers only who knows the server's user and password (``name:password``), if it has one."""

    user = ""

    def let_in(self) -> bool:
        """Whether the caller may go on; answers him where not."""
        expected = f"Basic {base64.b64encode(self.user.encode()).decode()}"
        if not self.user or self.headers.get("Authorization") == expected:
            return True
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


class _MotionJpeg(Guarded):
    """Pictures without end, as simple cameras send them."""

    period = 0.04
    silent_after: int | None = None
    ends_after: int | None = None

    def do_GET(self) -> None:
        if not self.let_in():
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        number = 0
        try:
            while not getattr(self.server, "stopping", False) and number != self.ends_after:
                if self.silent_after is None or number < self.silent_after:
                    picture = np.full((96, 128), 60, np.uint8)
                    picture[30:60, (5 * number) % 96 : (5 * number) % 96 + 20] = 220
                    data = cv2.imencode(".jpg", picture)[1].tobytes()
                    head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    self.wfile.write(head.encode() + data + b"\r\n")
                    number += 1
                time.sleep(self.period)
        except OSError:
            return  # the client went away


class _Files(Guarded, SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.let_in():
            super().do_GET()


@contextmanager
def serving(handler: object, certificate: Path | None = None) -> Iterator[ThreadingHTTPServer]:
    """Serve with a handler while the context lasts; HTTPS with a certificate. Handlers end when it is ``stopping``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # Hands are shaken at the first read, on the caller's own thread.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    server.stopping = False  # type: ignore[attr-defined]
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping = True  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join(5)


def _address(server: ThreadingHTTPServer, certificate: Path | None, user: str) -> str:
    scheme = "http" if certificate is None else "https"
    return f"{scheme}://{user + '@' if user else ''}127.0.0.1:{server.server_address[1]}/"


@contextmanager
def motion_jpeg(
    *,
    silent_after: int | None = None,
    ends_after: int | None = None,
    certificate: Path | None = None,
    user: str = "",
) -> Iterator[str]:
    """A camera that sends motion JPEG over HTTP(S), 25 pictures a second; gives its address, with its user."""
    limits = {"silent_after": silent_after, "ends_after": ends_after, "user": user}
    with serving(type("Handler", (_MotionJpeg,), limits), certificate) as server:
        yield f"{_address(server, certificate, user)}video.mjpg"


@contextmanager
def files_over_http(folder: Path, *, certificate: Path | None = None, user: str = "") -> Iterator[str]:
    """Serve a folder; gives the address it begins with, ending in a slash, with its user."""
    handler = type("Handler", (_Files,), {"user": user})
    with serving(partial(handler, directory=str(folder)), certificate) as server:
        yield _address(server, certificate, user)


@contextmanager
def hls_stream(folder: Path, *, rate: int = 20, seconds_per_piece: float = 0.5) -> Iterator[str]:
    """A live HLS stream written while it is served; gives the address of its playlist."""
    stop = threading.Event()

    def write() -> None:
        options = {"hls_time": str(seconds_per_piece), "hls_list_size": "4", "hls_flags": "delete_segments"}
        with av.open(str(folder / "live.m3u8"), "w", format="hls", options=options) as container:
            coding = {"g": str(round(rate * seconds_per_piece)), "preset": "ultrafast", "tune": "zerolatency"}
            stream = container.add_stream("libx264", rate=rate, options=coding)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
            number, noise = 0, np.random.default_rng()
            while not stop.wait(1 / rate):
                picture = noise.integers(56, 64, (96, 128), dtype=np.uint8)
                picture[30:60, (5 * number) % 96 : (5 * number) % 96 + 20] = 220
                frame = av.VideoFrame.from_ndarray(picture, "gray").reformat(format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, rate)
                container.mux(stream.encode(frame))
                number += 1

    writing = threading.Thread(target=write, daemon=True)
    writing.start()
    deadline = time.monotonic() + 10
    while not (folder / "live.m3u8").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        with files_over_http(folder) as address:
            yield f"{address}live.m3u8"
    finally:
        stop.set()
        writing.join(10)

"""Many motion JPEG cameras in one process of their own, each picture stamped with the moment it was taken.

Started by the benchmarks of live watching (``python tests/benchmarks/live_cameras.py CLIP --cameras 8``); prints its
port. ``GET /video/3`` is camera number 3, ``GET /mode/3/intruder`` changes what it shows. The pictures of a clip are
encoded once at the start and shown over and over, there and back again, so that nothing jumps; only what differs from
them is encoded on the way. The stamp is a comment in the JPEG, which no decoder looks at: ``time mode``.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

Picture = np.ndarray[Any, np.dtype[np.uint8]]

QUALITY = 90
MODES = ("normal", "intruder", "black", "frozen", "small")
INTRUDER_SIZE = (0.14, 0.24)
"""Share of the picture's width and height that the intruder takes."""
INTRUDER_SPEED = 0.5
"""Picture widths per second."""

_MARK = b"avid-watch "


def stamped(jpeg: bytes, moment: float, mode: str) -> bytes:
    """A JPEG with a comment that says when it was taken, seconds since 1970, and what it shows."""
    comment = _MARK + f"{moment:.6f} {mode}".encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def stamp_of(jpeg: bytes) -> tuple[float, str] | None:
    """The moment and the mode of a stamped JPEG; None where it has no stamp."""
    at = jpeg.find(_MARK, 0, 64)
    if at < 0:
        return None
    end = at - 2 + int.from_bytes(jpeg[at - 2 : at], "big")
    moment, mode = jpeg[at + len(_MARK) : end].split()
    return float(moment), mode.decode()


@dataclass
class Camera:
    """What one camera shows.

    Attributes:
        course: pictures of the clip, there and back again.
        encoded: the same as JPEG.
        start: where in the course it begins: no two cameras show the same.
        rate: pictures per second.
        mode: one of MODES.
        since: monotonic moment the mode began.
        last: place in the course of the picture before.
    """

    course: Sequence[Picture]
    encoded: Sequence[bytes]
    start: int
    rate: float
    mode: str = "normal"
    since: float = 0.0
    last: int = 0
    noise: np.random.Generator = field(default_factory=np.random.default_rng)

    def change(self, mode: str) -> None:
        """Show something else from the next picture on."""
        self.mode, self.since = mode, time.monotonic()

    def picture(self, number: int) -> bytes:
        """The next picture, stamped when it was taken: before it is encoded."""
        moment, mode = time.time(), self.mode
        place = (self.start + number) % len(self.course)
        if mode == "frozen":
            place = self.last
        self.last = place
        if mode in {"normal", "frozen"}:
            return stamped(self.encoded[place], moment, mode)
        return stamped(encode(self._other(self.course[place], mode)), moment, mode)

    def _other(self, picture: Picture, mode: str) -> Picture:
        if mode == "black":
            return self.noise.integers(0, 3, picture.shape, dtype=np.uint8)
        if mode == "small":
            return np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
        height, width = picture.shape[:2]
        across, down = round(INTRUDER_SIZE[0] * width), round(INTRUDER_SIZE[1] * height)
        left = round((time.monotonic() - self.since) * INTRUDER_SPEED * width) % (width - across)
        top = round(0.5 * height)
        shown = picture.copy()
        shown[top : top + down, left : left + across] = 255 - shown[top : top + down, left : left + across]
        return shown


def encode(picture: Picture) -> bytes:
    """As JPEG."""
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())


def cameras_of(clip: str, count: int, rate: float) -> list[Camera]:
    """So many cameras that show a clip."""
    with av.open(clip) as container:
        pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    encoded = [encode(picture) for picture in pictures]
    course, shown = [*pictures, *pictures[-2:0:-1]], [*encoded, *encoded[-2:0:-1]]
    return [Camera(course, shown, number * len(course) // count, rate) for number in range(count)]


def handler_for(cameras: Sequence[Camera]) -> type[BaseHTTPRequestHandler]:
    """What answers requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            what, number, *rest = self.path.strip("/").split("/")
            camera = cameras[int(number)]
            if what == "mode":
                camera.change(rest[0])
                self.send_response(204)
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.end_headers()
            try:
                self.show(camera)
            except OSError:
                return  # whoever looked went away

        def show(self, camera: Camera) -> None:
            period = 1 / camera.rate
            number = 0
            due = time.monotonic()
            while True:
                data = camera.picture(number)
                head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")
                number += 1
                # A camera takes pictures at its own pace: what it could not send in time is never sent.
                due = max(due + period, time.monotonic() - period)
                time.sleep(max(0.0, due - time.monotonic()))

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip")
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--rate", type=float, default=10.0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    handler = handler_for(cameras_of(options.clip, options.cameras, options.rate))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        sys.stdout.write(f"ready {server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()

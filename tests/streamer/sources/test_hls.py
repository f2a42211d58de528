"""Live cameras over HLS: with passwords, behind any address, and when their server goes on without the camera."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from streamer.live.camera_source import Cause
from tests.streamer.live.servers import files_over_http, hls_stream, self_signed, serving
from tests.streamer.live.watching import Heard, check, frames_of, watch

if TYPE_CHECKING:
    from pathlib import Path

USER = "me:s3cret"


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_hls_is_watched_with_a_password_for_the_playlist_and_its_pieces(
    heard: Heard, tmp_path: Path, secure: bool
) -> None:
    certificate = self_signed(tmp_path) if secure else None
    folder = tmp_path / "served"
    folder.mkdir()
    with hls_stream(folder), files_over_http(folder, certificate=certificate, user=USER) as address:
        camera = watch(f"{address}live.m3u8", heard, stall_seconds=4)
        frames = frames_of(camera, until=lambda seen: len(seen) == 15)
    check(frames, heard)
    assert heard.causes == []
    assert camera.counts.dropped == 0
    assert len({frame.segment for frame in frames}) == 1


def test_hls_whose_pieces_were_all_seen_is_a_camera_that_is_gone_until_there_are_new_ones(
    heard: Heard, tmp_path: Path
) -> None:
    begun_again: list[datetime] = []
    over = threading.Event()

    def camera_side() -> None:
        with hls_stream(tmp_path):
            enough.wait(15)
        while len(heard.losses) < 3 and not over.wait(0.05):
            pass  # it has been looked for since
        begun_again.append(datetime.now(UTC))
        with hls_stream(tmp_path):
            over.wait(15)

    enough = threading.Event()
    writing = threading.Thread(target=camera_side)
    writing.start()
    while not (tmp_path / "live.m3u8").exists():
        time.sleep(0.05)
    with files_over_http(tmp_path) as address:
        camera = watch(f"{address}live.m3u8", heard, stall_seconds=2)
        frames = frames_of(camera, at={45: enough.set}, until=lambda seen: seen[-1].segment == 1, seconds=30)
    over.set()
    writing.join(10)
    check(frames, heard)
    assert frames[-1].wall_clock is not None
    assert frames[-1].wall_clock > begun_again[0]
    assert len(frames) < 100
    assert heard.causes[0] is Cause.ENDED
    assert heard.attempts[1:4] == [0, 1, 2]  # no attempt in between counts as a connection


def test_hls_behind_an_address_that_does_not_say_so_comes_at_the_pace_of_its_pictures(
    heard: Heard, tmp_path: Path
) -> None:
    class Files(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.path = {"/stream": "/live.m3u8"}.get(self.path, self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    with hls_stream(tmp_path, seconds_per_piece=1), serving(partial(Files, directory=str(tmp_path))) as server:
        uri = f"http://127.0.0.1:{server.server_address[1]}/stream"
        camera = watch(uri, heard, stall_seconds=4, backlog_seconds=0.3)
        frames = frames_of(camera, until=lambda seen: len(seen) == 30)
    check(frames, heard)
    walls = [frame.wall_clock.timestamp() for frame in frames if frame.wall_clock is not None]
    # Unpaced, the pictures of a piece come all at once.
    assert max(b - a for a, b in pairwise(walls[:20])) < 0.5 * (walls[19] - walls[0])
    assert walls[19] - walls[0] > 0.8 * 19 / 20

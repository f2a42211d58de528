"""Small real clips, made on the spot, and the collection of odd media where it is at hand."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import av
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKOUT = Path(__file__).resolve().parents[3]


class WriteClip(Protocol):
    """What the fixture ``write_clip`` gives."""

    def __call__(
        self,
        name: str,
        pictures: Sequence[np.ndarray],
        *,
        codec: str = ...,
        pixel_format: str = ...,
        rate: int = ...,
        times: Sequence[int] | None = ...,
        options: dict[str, str] | None = ...,
        created: str | None = ...,
    ) -> Path: ...


def moving_square(count: int, width: int = 96, height: int = 64) -> list[np.ndarray]:
    """A bright square moving to the right over a dark ramp, ``(H, W, 3)`` each; the top left corner is white."""
    pictures = []
    for k in range(count):
        picture = np.repeat(np.tile(np.linspace(20, 120, width).astype(np.uint8), (height, 1))[:, :, None], 3, axis=2)
        picture[:12, :12] = 255
        left = 16 + 2 * k % (width - 32)
        picture[30:46, left : left + 16] = 220
        pictures.append(picture)
    return pictures


@pytest.fixture
def square() -> list[np.ndarray]:
    return moving_square(30)


@pytest.fixture
def write_clip(tmp_path: Path) -> WriteClip:
    """Encode pictures into ``tmp_path / name``; ``times`` are in frame periods."""

    def write(
        name: str,
        pictures: Sequence[np.ndarray],
        *,
        codec: str = "libx264",
        pixel_format: str = "yuv420p",
        rate: int = 25,
        times: Sequence[int] | None = None,
        options: dict[str, str] | None = None,
        created: str | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            if created is not None:
                container.metadata["creation_time"] = created
            stream = container.add_stream(codec, rate=rate, options=options or {})
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = pixel_format
            for time, picture in zip(times or range(len(pictures)), pictures, strict=True):
                frame = av.VideoFrame.from_ndarray(picture, "rgb24")
                frame.pts, frame.time_base = time, Fraction(1, rate)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture
def media() -> Path:
    """Folder of broken and odd media: ``$AVID_WATCH_MEDIA``, or ``shared/media`` beside the checkout."""
    given = os.environ.get("AVID_WATCH_MEDIA")
    folder = Path(given) if given else CHECKOUT.parent / "shared" / "media"
    if not folder.is_dir():
        pytest.skip(f"the odd media are not at {folder}; AVID_WATCH_MEDIA names another place")
    return folder

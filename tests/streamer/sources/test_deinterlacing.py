"""Interlaced recordings: as many pictures out as in, whatever happens on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from streamer.sources import deinterlacing, open_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOP_FIELD_FIRST = {"x264-params": "tff=1"}


def combed(count: int, scale: int = 1) -> list[np.ndarray]:
    """A bar that moves by two pixels between the two fields of each picture, ``(H, W, 3)``."""
    pictures = []
    for k in range(count):
        picture = np.full((64, 96, 3), 50, np.uint8)
        for row in range(64):
            left = 10 + 4 * k % 60 + 2 * (row % 2)
            picture[row, left : left + 12] = 210
        pictures.append(np.kron(picture, np.ones((scale, scale, 1), np.uint8)))
    return pictures


def edges_along_columns(luma: np.ndarray) -> float:
    rows = luma.astype(int)
    return float(np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean())


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_every_interlaced_picture_comes_out_whole(write_clip: Callable[..., Path], count: int) -> None:
    pictures = combed(count)
    with open_source(write_clip("field.mp4", pictures, options=TOP_FIELD_FIRST)) as source:
        frames = list(source.frames())
    assert [round(frame.pts * 25) for frame in frames] == list(range(count))
    for frame, picture in list(zip(frames, pictures, strict=True))[1:-1]:
        assert edges_along_columns(frame.luma) < 0.5 * edges_along_columns(picture[..., 0])


def test_a_size_change_loses_no_interlaced_picture(write_clip: Callable[..., Path]) -> None:
    small = write_clip("small.ts", combed(10), options=TOP_FIELD_FIRST).read_bytes()
    path = write_clip("large.ts", combed(10, scale=2), options=TOP_FIELD_FIRST)
    path.write_bytes(small + path.read_bytes())
    with open_source(path) as source:
        shapes = [frame.luma.shape for frame in source.frames()]
        assert source.counts.size_changes == 1
    assert shapes == [(64, 96)] * 10 + [(128, 192)] * 10


def test_full_range_stays_full_range(write_clip: Callable[..., Path]) -> None:
    path = write_clip("full.mp4", combed(6), pixel_format="yuvj420p", options=TOP_FIELD_FIRST)
    with open_source(path) as source:
        for frame in source.frames():
            assert abs(int(np.median(frame.luma)) - 50) <= 2
            assert abs(int(frame.luma.max()) - 210) <= 12


def test_pictures_the_filter_does_not_take_stay_as_they_are(
    write_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip("field.mp4", combed(8), options=TOP_FIELD_FIRST)
    monkeypatch.setattr(deinterlacing, "_FILTER", ("bwdif", "mode=no_such_mode"))
    with open_source(path) as source:
        assert len(list(source.frames())) == 8

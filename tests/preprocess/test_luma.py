"""Luma is full range from every pixel format, and its fast path agrees with the converter."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from preprocess.luma import has_luma_plane, luma_from_converter, luma_from_plane, luma_of

PLANAR = [
    *("yuv410p", "yuv411p", "yuv420p", "yuv422p", "yuv440p", "yuv444p", "yuva420p", "yuva422p", "yuva444p"),
    *("yuvj411p", "yuvj420p", "yuvj422p", "yuvj440p", "yuvj444p", "nv12", "nv21", "nv16", "nv24", "gray"),
]
OTHERS = [
    *("yuv420p10le", "yuv422p10le", "yuv420p12le", "p010le", "yuv444p16le", "gray10le", "gray12le", "gray16le"),
    *("yuyv422", "uyvy422", "rgb24", "bgr24", "argb", "bgra", "rgb48le", "gbrp", "gbrp10le", "ya8"),
]
RANGES = [ColorRange.MPEG, ColorRange.JPEG]


def ramp(width: int = 256, height: int = 34) -> np.ndarray:
    """All grey levels side by side, ``(H, W, 3)``."""
    levels = np.linspace(0, 255, width).round().astype(np.uint8)
    return np.repeat(np.tile(levels, (height, 1))[:, :, None], 3, axis=2)


def frame_of(picture: np.ndarray, pixel_format: str, color_range: ColorRange) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixel_format, dst_color_range=color_range)
    frame.color_range = color_range
    return frame


@pytest.mark.parametrize("color_range", RANGES)
@pytest.mark.parametrize("pixel_format", PLANAR)
def test_the_plane_and_the_converter_give_the_same_luma(pixel_format: str, color_range: ColorRange) -> None:
    frame = frame_of(ramp(), pixel_format, color_range)
    assert has_luma_plane(frame)
    by_plane, by_converter = luma_from_plane(frame).astype(int), luma_from_converter(frame).astype(int)
    assert np.abs(by_plane - by_converter).max() <= 1


@pytest.mark.parametrize("color_range", RANGES)
@pytest.mark.parametrize("pixel_format", [*PLANAR, *OTHERS])
def test_every_pixel_format_gives_full_range_grey(pixel_format: str, color_range: ColorRange) -> None:
    luma = luma_of(frame_of(ramp(), pixel_format, color_range))
    assert luma.shape == (34, 256)
    assert luma.dtype == np.uint8
    assert np.abs(luma[17].astype(int) - np.arange(256)).max() <= 2


@pytest.mark.parametrize("pixel_format", OTHERS)
def test_formats_without_a_luma_plane_never_take_the_fast_path(pixel_format: str) -> None:
    assert not has_luma_plane(frame_of(ramp(), pixel_format, ColorRange.MPEG))


@pytest.mark.parametrize(("width", "height"), [(321, 241), (17, 9), (2, 2), (100, 33)])
def test_padding_behind_the_rows_is_no_part_of_the_picture(width: int, height: int) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (height, width), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, "gray").reformat(format="yuvj444p")
    assert np.array_equal(luma_of(frame), noise)
    assert np.array_equal(luma_from_converter(frame), noise)


def test_an_unspecified_range_counts_as_limited() -> None:
    frame = frame_of(ramp(), "yuv420p", ColorRange.MPEG)
    frame.color_range = ColorRange.UNSPECIFIED
    assert luma_of(frame)[0, 0] == 0
    assert luma_of(frame)[0, -1] == 255


def test_levels_outside_the_limited_range_are_clipped_not_wrapped() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((48, 32), 128, np.uint8), "yuv420p")
    plane = np.asarray(frame.planes[0]).reshape(-1, frame.planes[0].line_size)
    for row, level in ((0, 0), (1, 15), (2, 236), (3, 255)):
        plane[row] = level
    luma = luma_of(frame)
    assert luma[:4, 0].tolist() == [0, 0, 255, 255]


def test_luma_outlives_its_frame_and_may_be_written_to() -> None:
    for pixel_format in ("yuvj420p", "yuv420p", "rgb24"):
        frame = frame_of(ramp(), pixel_format, ColorRange.JPEG)
        luma = luma_of(frame)
        assert luma.flags.writeable
        assert luma.flags.c_contiguous
        luma[:] = 0
        assert luma_of(frame)[0, -1] == 255

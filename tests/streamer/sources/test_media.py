"""Every file of the collection of odd media either gives its pictures or one clear refusal."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from preprocess.errors import InputError
from streamer.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.shared, pytest.mark.timeout(60)]


class Truth(NamedTuple):
    """Pictures, and their upright sizes (width, height) in order of appearance."""

    pictures: int
    sizes: tuple[tuple[int, int], ...] = ((320, 240),)


READABLE = {
    "alpha.mov": Truth(50),
    "anim.gif": Truth(20, ((160, 120),)),
    "av1.mp4": Truth(50),
    "bitflips.mp4": Truth(50),
    "bitflips.ts": Truth(50),
    "full_range.mp4": Truth(50),
    "gray.mp4": Truth(50),
    "hevc.mp4": Truth(50),
    "interlaced.mp4": Truth(25),
    "missing_pts_annexb.h264": Truth(75, ((320, 240), (480, 360))),
    "mjpeg.avi": Truth(50),
    "odd_dims_420.mkv": Truth(50, ((321, 241),)),
    "odd_dims_yuv444.mp4": Truth(50, ((321, 241),)),
    "ok.mp4": Truth(50),
    "one_frame.mp4": Truth(1),
    "open_gop.mp4": Truth(50),
    "open_gop_cut.mp4": Truth(26),
    "png_named.mp4": Truth(1),
    "rotated90.mp4": Truth(50, ((240, 320),)),
    "ten_bit.mp4": Truth(50),
    "tiny16.mp4": Truth(25, ((16, 16),)),
    "truncated_faststart.mp4": Truth(24),
    "two_video_plus_audio.mkv": Truth(50),
    "variable_res.mkv": Truth(50, ((320, 240), (480, 360))),
    "variable_res.ts": Truth(50, ((320, 240), (480, 360))),
    "vfr.mp4": Truth(30),
    "vp9.webm": Truth(50),
}
REFUSED = {
    "audio_only.mp4": "no video stream",
    "random.mp4": "not a video",
    "text.mp4": "a text file",
    "truncated_nomoov.mp4": "without its index",
    "zero.mp4": "is empty",
}


def test_no_file_of_the_collection_is_forgotten(media: Path) -> None:
    assert {path.name for path in media.iterdir()} - {"README.md"} == READABLE.keys() | REFUSED.keys()


@pytest.mark.parametrize("file", READABLE)
def test_a_readable_file_gives_all_its_pictures_upright(media: Path, file: str) -> None:
    truth = READABLE[file]
    with open_source(media / file) as source:
        frames = list(source.frames())
        sizes = list(dict.fromkeys(frame.luma.shape[::-1] for frame in frames))
        assert len(frames) == truth.pictures == source.counts.decoded
        assert sizes == list(truth.sizes)
        assert (source.info.width, source.info.height) == truth.sizes[0]
        assert source.info.frames in {None, truth.pictures, 29, 50}
    assert [frame.index for frame in frames] == list(range(len(frames)))
    for before, after in itertools.pairwise(frames):
        assert after.pts > before.pts
        assert after.segment - before.segment in {0, 1}
        if after.luma.shape != before.luma.shape:
            assert after.segment > before.segment
    for frame in frames[:: max(1, len(frames) // 3)]:
        assert frame.image.bgr().shape == (*frame.luma.shape, 3)
        assert frame.luma.dtype == np.uint8


@pytest.mark.parametrize("file", REFUSED)
def test_an_unreadable_file_is_refused_in_one_line(media: Path, file: str) -> None:
    with pytest.raises(InputError) as refusal, open_source(media / file):
        pass
    message = str(refusal.value)
    assert file in message
    assert REFUSED[file] in message
    assert "\n" not in message


def test_the_rotated_recording_shows_what_the_unrotated_one_shows(media: Path) -> None:
    """Same pictures, stored lying: a quarter turn counter-clockwise sets them up (as other players do)."""
    with open_source(media / "ok.mp4") as plain, open_source(media / "rotated90.mp4") as rotated:
        assert rotated.info.rotation == 90
        for stored, upright in zip(plain.frames(), rotated.frames(), strict=True):
            assert np.array_equal(np.rot90(stored.luma), upright.luma)
        assert np.array_equal(np.rot90(stored.image.bgr()), upright.image.bgr())


def test_flipped_bits_are_counted_and_the_next_sound_picture_starts_a_segment(media: Path) -> None:
    for file in ("bitflips.mp4", "bitflips.ts"):
        with open_source(media / file) as source:
            frames = list(source.frames())
            assert source.counts.corrupt == sum(frame.corrupt for frame in frames) >= 10
        for before, after in itertools.pairwise(frames):
            if before.corrupt and not after.corrupt:
                assert after.segment == before.segment + 1


def test_a_recording_cut_off_says_how_many_pictures_are_missing(media: Path) -> None:
    with open_source(media / "truncated_faststart.mp4") as source:
        assert source.info.frames == 50
        assert len(list(source.frames())) + source.counts.missing_at_end == 50


def test_a_cut_open_group_of_pictures_is_no_early_end(media: Path) -> None:
    with open_source(media / "open_gop_cut.mp4") as source:
        list(source.frames())
        assert (source.counts.missing_at_end, source.counts.undecoded) == (0, 3)


def test_restarting_times_go_on_and_start_a_segment(media: Path) -> None:
    with open_source(media / "variable_res.ts") as source:
        frames = list(source.frames())
        assert source.counts.pts_jumps == 1
        assert source.counts.size_changes == 1
    assert float(frames[-1].pts - frames[0].pts) == pytest.approx(49 / 25)
    assert frames[-1].segment == 1


def test_a_stream_without_times_gets_them_from_its_rate(media: Path) -> None:
    with open_source(media / "missing_pts_annexb.h264") as source:
        frames = list(source.frames())
        assert source.counts.missing_pts == 75
        assert source.info.frame_rate == 25
    assert [frame.pts * 25 for frame in frames] == list(range(75))
    with open_source(media / "missing_pts_annexb.h264", frame_rate=10) as source:
        assert source.info.frame_rate == 10
        assert [frame.pts * 10 for frame in source.frames()] == list(range(75))


def test_interlaced_pictures_lose_their_combs(media: Path) -> None:
    import av

    from preprocess.luma import luma_of

    def combing(luma: np.ndarray) -> float:
        rows = luma.astype(int)
        return float(np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean())

    with av.open(str(media / "interlaced.mp4")) as container, open_source(media / "interlaced.mp4") as source:
        for stored, frame in zip(container.decode(video=0), source.frames(), strict=True):
            luma = luma_of(stored)
            assert combing(frame.luma) < 0.5 * combing(luma)
            assert abs(float(frame.luma.mean()) - float(luma.mean())) < 1
            assert float(frame.pts) == pytest.approx(stored.time)

"""The annotated video keeps time and sound, and survives kills and full disks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from preprocess.errors import OutputError
from streamer.frames import Frame, SourceInfo
from streamer.sinks.video import TIME_BASE, AnnotatedVideo

ROOT = Path(__file__).resolve().parents[3]


def info_of(width=160, height=120, rate=Fraction(25)):
    return SourceInfo("gate.mp4", "gate", width, height, rate, None, None, None, "h264", "yuv420p", 0, has_audio=False)


def frame_at(index, pts):
    return Frame("gate", index, Fraction(pts), None, 0, np.zeros((2, 2), np.uint8), None)


def picture(index, width=160, height=120):
    drawn = np.full((height, width, 3), 90, np.uint8)
    cv2.circle(drawn, (20 + index * 3 % (width - 40), height // 2), 12, (40, 200, 240), -1)
    return drawn


def write(path, times, *, width=160, height=120, rate=Fraction(25), **options):
    with AnnotatedVideo(path, info_of(width, height, rate), **options) as video:
        for index, pts in enumerate(times):
            video.write(frame_at(index, pts), picture(index, video.size[0], video.size[1]))
    return video


def read(path):
    """Times of the pictures in seconds, and the container's facts."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [frame.pts * frame.time_base for frame in container.decode(stream)]
        return times, stream.frames, Fraction(container.duration, 1_000_000), (stream.width, stream.height)


def steady(count, rate=Fraction(25), start=Fraction(0)):
    return [start + index / rate for index in range(count)]


def make_sound(path, codec, *, starts=0.0, seconds=3.0, rate=48000, pictures=90, picture_rate=30, channels=1, offset=0):
    """A source with a grey picture and a click every half second; ``offset`` moves the whole clock."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=picture_rate)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
        sound = container.add_stream(codec, rate=rate, layout=layout)
        wave = np.zeros((channels, round(seconds * rate)), np.float32)
        for click in range(int(seconds * 2)):
            at = round(click * rate / 2)
            wave[:, at : at + rate // 50] = 0.8 * np.sin(np.arange(rate // 50) * 2 * np.pi * 2000 / rate)
        packets = []
        for index in range(pictures):
            frame = av.VideoFrame.from_ndarray(np.full((180, 160), 100 + index % 50, np.uint8), format="yuv420p")
            frame.pts, frame.time_base = index + offset * picture_rate, Fraction(1, picture_rate)
            packets += video.encode(frame)
        packets += video.encode(None)
        resampler = av.AudioResampler(format=sound.codec_context.format, layout=layout, rate=rate)
        size = sound.codec_context.frame_size or 1024
        for at in range(0, wave.shape[1], size):
            piece = np.ascontiguousarray(wave[:, at : at + size])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = at + round((starts + offset) * rate)
            for part in resampler.resample(frame):
                packets += sound.encode(part)
        packets += sound.encode(None)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def clicks(path):
    """When the clicks of the sound begin, in seconds of the container's clock."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=48000)
        times, last = [], -1.0
        for frame in container.decode(audio=0):
            start = float(frame.pts * frame.time_base)
            for part in resampler.resample(frame):
                loud = np.flatnonzero(np.abs(part.to_ndarray()[0]) > 0.2) / 48000 + start
                for at in loud:
                    if at - last > 0.2:
                        times.append(at)
                    last = at
        return np.array(times)


def audio_codec(path):
    with av.open(str(path)) as container:
        return [stream.codec_context.codec.canonical_name for stream in container.streams.audio]


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(10), Fraction(1), Fraction(120)])
def test_a_steady_source_keeps_its_times_and_its_length(tmp_path, rate):
    path = tmp_path / "annotated.mp4"
    wanted = steady(30, rate)
    write(path, [pts + 7 for pts in wanted], rate=rate)
    times, frames, duration, _ = read(path)
    assert frames == 30
    assert all(abs(got - want) <= TIME_BASE for got, want in zip(times, wanted, strict=True))
    assert float(duration) == pytest.approx(float(30 / rate), abs=0.002)


def test_uneven_times_are_kept_picture_by_picture(tmp_path):
    path = tmp_path / "annotated.mp4"
    steps = np.random.default_rng(3).integers(1, 400, 60)
    wanted = [Fraction(int(step), 1000) for step in np.concatenate([[0], np.cumsum(steps)])]
    info = replace(info_of(rate=None), duration=wanted[-1] + Fraction(3, 10))
    with AnnotatedVideo(path, info) as video:
        for index, pts in enumerate(wanted):
            video.write(frame_at(index, pts + 9), picture(index))
    times, frames, duration, _ = read(path)
    assert times == wanted
    assert frames == len(wanted)
    assert float(duration) == pytest.approx(float(info.duration), abs=0.002)


def test_times_that_stand_still_or_step_back_still_come_out_in_order(tmp_path):
    path = tmp_path / "annotated.mp4"
    write(path, [0, Fraction(1, 25), Fraction(1, 25), 0, Fraction(1, 5)])
    times, *_ = read(path)
    assert len(times) == 5
    assert times == sorted(set(times))
    assert times[-1] == Fraction(1, 5)


def test_a_long_pause_is_kept(tmp_path):
    path = tmp_path / "annotated.mp4"
    wanted = [*steady(5), *steady(5, start=Fraction(3600))]
    write(path, wanted)
    assert read(path)[0] == wanted


def test_odd_sides_are_grown_by_one_and_other_sizes_are_refused(tmp_path):
    path = tmp_path / "annotated.mp4"
    write(path, steady(3), width=161, height=121)
    assert read(path)[3] == (162, 122)
    with AnnotatedVideo(tmp_path / "b.mp4", info_of(161, 121)) as video, pytest.raises(ValueError, match="162x122"):
        video.write(frame_at(0, 0), picture(0, 161, 121))


def test_one_picture_makes_a_video_of_one_picture(tmp_path):
    path = tmp_path / "annotated.mp4"
    write(path, [12])
    times, frames, duration, _ = read(path)
    assert times == [0]
    assert frames == 1
    assert float(duration) == pytest.approx(0.04, abs=0.002)


def test_no_picture_leaves_no_file_and_closing_twice_is_fine(tmp_path):
    path = tmp_path / "annotated.mp4"
    video = AnnotatedVideo(path, info_of())
    video.close()
    video.close()
    assert not path.exists()
    with pytest.raises(ValueError, match="closed"):
        video.write(frame_at(0, 0), picture(0))


def test_the_picture_comes_back_as_it_was_drawn(tmp_path):
    path = tmp_path / "annotated.mp4"
    drawn = np.zeros((120, 160, 3), np.uint8)
    for column, colour in enumerate([(40, 40, 220), (60, 200, 60), (220, 120, 40), (235, 235, 235)]):
        drawn[:, column * 40 : column * 40 + 40] = colour
    with AnnotatedVideo(path, info_of()) as video:
        for index in range(5):
            video.write(frame_at(index, Fraction(index, 25)), drawn)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        got = [frame.to_ndarray(format="bgr24") for frame in container.decode(stream)][-1]
    for column in range(4):
        middle = got[40:80, column * 40 + 12 : column * 40 + 28].reshape(-1, 3).mean(axis=0)
        np.testing.assert_allclose(middle, drawn[0, column * 40], atol=6)


def boxes(path):
    """The kinds of the file's outermost boxes."""
    data, at, kinds = path.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kinds.append(data[at + 4 : at + 8].decode())
        at += size or len(data)
    return kinds


def test_after_a_normal_close_it_can_be_sought_and_is_no_longer_in_fragments(tmp_path):
    path = tmp_path / "annotated.mp4"
    write(path, steady(100))
    assert set(boxes(path)) == {"ftyp", "free", "mdat", "moov"}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        container.seek(round(3 / stream.time_base), stream=stream)
        frame = next(container.decode(stream))
        assert 2.0 <= frame.time <= 3.0
        assert stream.frames == 100


KILLED = """
import sys, time
from fractions import Fraction
import numpy as np
sys.path.insert(0, {root!r})
from streamer.frames import Frame, SourceInfo
from streamer.sinks.video import AnnotatedVideo
info = SourceInfo("g", "g", 160, 120, Fraction({rate}), None, None, None, "h264", "yuv420p", 0, True)
video = AnnotatedVideo({path!r}, info, audio_from={audio!r})
noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
for index in range({count}):
    pts = Fraction(index, {rate})
    video.write(Frame("g", index, pts, None, 0, noise[:2, :2, 0], None), np.roll(noise, index, axis=1))
print("written", flush=True)
time.sleep(60)
"""


def kill_while_writing(path, *, count, rate=25, audio=None):
    script = KILLED.format(
        root=str(ROOT), path=str(path), count=count, rate=rate, audio=None if audio is None else str(audio)
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().strip() == b"written"
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("rate", [25, 10])
def test_a_killed_run_leaves_all_but_the_last_second_readable(tmp_path, rate):
    path = tmp_path / "annotated.mp4"
    kill_while_writing(path, count=8 * rate, rate=rate)
    times, *_ = read(path)
    assert times == steady(len(times), Fraction(rate))
    assert len(times) >= 7 * rate


@pytest.mark.parametrize(
    ("seconds", "starts"), [(2.0, 0.0), (20.0, 0.0), (5.0, 4.0)], ids=["sound ends early", "sound", "sound begins late"]
)
def test_sound_does_not_make_a_killed_run_lose_more(tmp_path, seconds, starts):
    sound = make_sound(tmp_path / "source.mkv", "aac", seconds=seconds, starts=starts, pictures=240)
    path = tmp_path / "annotated.mp4"
    kill_while_writing(path, count=200, audio=sound)
    assert len(read(path)[0]) >= 175
    got, wanted = clicks(path), clicks(sound)
    assert len(got) >= (wanted < 7.0).sum()
    np.testing.assert_allclose(got, wanted[: len(got)], atol=0.03)


def test_a_killed_run_is_readable_though_the_sound_never_begins(tmp_path):
    sound = make_sound(tmp_path / "source.mkv", "aac", seconds=0.5, starts=60.0, pictures=240)
    path = tmp_path / "annotated.mp4"
    kill_while_writing(path, count=150, audio=sound)
    assert len(read(path)[0]) >= 125


@pytest.mark.parametrize(
    ("suffix", "codec", "kept"),
    [
        ("mp4", "aac", True),
        ("mkv", "aac", True),
        ("mkv", "ac3", True),
        ("mkv", "libmp3lame", True),
        ("mkv", "libopus", True),
        ("mkv", "flac", True),
        ("ts", "aac", False),
        ("avi", "pcm_s16le", False),
        ("mov", "pcm_s16le", False),
        ("mkv", "mp2", False),
    ],
)
def test_sound_stays_in_time_with_the_pictures_copied_or_not(tmp_path, suffix, codec, kept):
    source = make_sound(tmp_path / f"source.{suffix}", codec)
    with av.open(str(source)) as container:
        first = next(container.decode(video=0))
        begin = first.pts * first.time_base
    path = tmp_path / "annotated.mp4"
    video = write(path, steady(90, Fraction(30), begin), rate=Fraction(30), audio_from=source)
    assert (video.audio_note is None) == kept
    if kept:
        assert audio_codec(path) == audio_codec(source)
    else:
        assert audio_codec(path) == ["aac"]
        assert "re-encoded to AAC" in video.audio_note
    wanted = clicks(source) - float(begin)
    np.testing.assert_allclose(clicks(path), wanted[wanted >= 0], atol=0.012)
    assert float(read(path)[2]) == pytest.approx(3.0, abs=0.05)


def test_sound_is_placed_by_the_sources_clock_when_watching_begins_late(tmp_path):
    source = make_sound(tmp_path / "source.mkv", "aac", offset=100)
    path = tmp_path / "annotated.mp4"
    write(path, steady(40, Fraction(30), Fraction(101)), rate=Fraction(30), audio_from=source)
    got = clicks(path)
    np.testing.assert_allclose(got[got > 0.1], [0.5, 1.0], atol=0.012)
    assert float(read(path)[2]) == pytest.approx(40 / 30, abs=0.05)


def test_sound_that_begins_late_stays_late(tmp_path):
    source = make_sound(tmp_path / "source.mkv", "aac", starts=1.2, seconds=1.5)
    path = tmp_path / "annotated.mp4"
    video = write(path, steady(90, Fraction(30)), rate=Fraction(30), audio_from=source)
    np.testing.assert_allclose(clicks(path), [1.2, 1.7, 2.2], atol=0.03)
    assert "does not begin with the pictures" in video.audio_note


@pytest.mark.parametrize("codec", ["mp2", "libmp3lame"])
def test_sound_whose_clock_starts_again_goes_on_where_it_was(tmp_path, codec):
    parts = [make_sound(tmp_path / f"{part}.ts", codec, offset=5) for part in range(2)]
    source = tmp_path / "source.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    with av.open(str(source)) as container:
        first = next(container.decode(video=0))
        begin = first.pts * first.time_base
    path = tmp_path / "annotated.mp4"
    write(path, steady(180, Fraction(30), begin), rate=Fraction(30), audio_from=source)
    np.testing.assert_allclose(clicks(path), np.arange(12) / 2, atol=0.1)


def test_surround_sound_of_an_unusual_rate_is_mixed_down(tmp_path):
    source = make_sound(tmp_path / "source.mkv", "pcm_s16le", channels=6, rate=37800)
    path = tmp_path / "annotated.mp4"
    video = write(path, steady(90, Fraction(30)), rate=Fraction(30), audio_from=source)
    assert "pcm_s16le" in video.audio_note
    np.testing.assert_allclose(clicks(path), clicks(source), atol=0.02)


def test_a_source_without_sound_or_gone_leaves_a_silent_video(tmp_path):
    silent = tmp_path / "silent.mp4"
    write(silent, steady(5))
    video = write(tmp_path / "a.mp4", steady(5), audio_from=silent)
    assert video.audio_note is None
    assert audio_codec(tmp_path / "a.mp4") == []
    video = write(tmp_path / "b.mp4", steady(5), audio_from=tmp_path / "gone.mp4")
    assert "left out" in video.audio_note
    assert len(read(tmp_path / "b.mp4")[0]) == 5


def test_names_with_colons_and_blanks_are_plain_files(tmp_path, monkeypatch):
    source = make_sound(tmp_path / "gate:1 a.mkv", "aac", seconds=1.0)
    monkeypatch.chdir(tmp_path)
    video = write("gate:1 b.mp4", steady(25), audio_from="gate:1 a.mkv")
    assert len(read(tmp_path / "gate:1 b.mp4")[0]) == 25
    assert video.audio_note is None
    assert source.exists()


def test_a_full_disk_is_one_line_that_says_so(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    path = tmp_path / "annotated.mp4"
    path.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"annotated\.mp4: No space left on device") as caught:
        write(path, steady(200), width=640, height=480)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"):
            AnnotatedVideo(tmp_path / "annotated.mp4", info_of())
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_is_not_there_is_refused_when_the_video_is_made(tmp_path):
    with pytest.raises(OutputError, match="No such file or directory"):
        AnnotatedVideo(tmp_path / "no" / "annotated.mp4", info_of())


def test_an_error_of_the_caller_passes_through_and_leaves_a_whole_video(tmp_path):
    path = tmp_path / "annotated.mp4"

    def failing():
        yield from steady(50)
        raise KeyError

    with pytest.raises(KeyError):
        write(path, failing())
    assert read(path)[1] == 50


def test_it_is_readable_while_it_grows(tmp_path):
    path = tmp_path / "annotated.mp4"
    with AnnotatedVideo(path, info_of()) as video:
        for index in range(75):
            video.write(frame_at(index, Fraction(index, 25)), picture(index))
        time.sleep(0.01)
        assert len(read(path)[0]) >= 50

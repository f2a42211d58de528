"""Clips as files, the command line, and the clip that ships."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import samples
from preprocess.errors import OutputError
from samples import EventPlan, SceneError, SceneSettings, render
from samples.clip import Encoding, read_masks, write_clip
from samples.commands import main, parse_events
from samples.newcomer import NEWCOMER

TINY = SceneSettings(
    seed=3, layout="walkway", width=160, height=96, duration=8, density=4, events=(EventPlan("cyclist", 4.0),)
)
FAST = Encoding(preset="ultrafast")
SHIPPED = Path(samples.__file__).parent / "walkway.mp4"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "tiny.mp4"
    write_clip(TINY, path, encoding=FAST, masks=True)
    return path


def test_a_clip_is_what_was_rendered_but_for_its_compression(written: Path) -> None:
    with av.open(str(written)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 10
        decoded = [
            ((frame.pts or 0) * (frame.time_base or 0), frame.to_ndarray(format="bgr24"))
            for frame in container.decode(stream)
        ]
    frames = list(render(TINY))
    assert [pts for pts, _ in decoded] == [frame.pts for frame in frames]
    for (_, picture), frame in zip(decoded[::10], frames[::10], strict=True):
        assert np.abs(picture.astype(int) - frame.bgr).mean() < 6


def test_the_truth_beside_a_clip_says_what_the_frames_say(written: Path) -> None:
    document = json.loads(written.with_suffix(".truth.json").read_text(encoding="utf-8"))
    assert (document["layout"], document["frames"], document["frame_rate"]) == ("walkway", 80, "10")
    (event,) = document["events"]
    assert event["kind"] == "cyclist"
    assert event["start"] == event["frames"][0]["pts"] == pytest.approx(4.0, abs=0.5)
    by_index = {entry["index"]: entry for entry in event["frames"]}
    for frame in render(TINY, grey=True):
        boxes = [list(region.box) for region in frame.truth]
        assert len(by_index.get(frame.index, {"boxes": []})["boxes"]) == len(boxes)


def test_masks_come_back_as_they_were(written: Path) -> None:
    masks = {(frame, track): mask for frame, _, track, mask in read_masks(written.with_suffix(".masks.npz"))}
    regions = {(frame.index, region.track_id): region.mask for frame in render(TINY) for region in frame.truth}
    assert masks.keys() == regions.keys()
    assert all(np.array_equal(masks[key], regions[key]) for key in masks)


def test_the_same_clip_written_twice_is_the_same_file(written: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.mp4"
    write_clip(TINY, again, encoding=FAST)
    assert again.read_bytes() == written.read_bytes()


def test_progress_counts_the_frames(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    settings = SceneSettings(width=64, height=64, duration=0.5, density=0)
    report = write_clip(settings, tmp_path / "x.mkv", encoding=FAST, progress=lambda *now: calls.append(now))
    assert calls == [(number, 5) for number in range(1, 6)]
    assert report.events == ()
    assert report.size > 0


def test_odd_sides_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="even"):
        write_clip(SceneSettings(width=161, height=90), tmp_path / "x.mp4")


def test_a_container_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"x\.nothing"):
        write_clip(SceneSettings(width=64, height=64, duration=0.2, density=0), tmp_path / "x.nothing")


def test_events_are_read_from_text() -> None:
    assert parse_events("auto") == "auto"
    assert parse_events("none") == ()
    assert parse_events("cyclist@35, cart@50.5") == (EventPlan("cyclist", 35.0), EventPlan("cart", 50.5))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--events", "cyclist"], "KIND@SECONDS"),
        (["--events", "dragon@3"], "thrown_object"),
        (["--events", "cart@soon"], "soon"),
        (["--events", "cart@90"], "outside"),
        (["--layout", "moon"], "plaza"),
        (["--size", "big"], "640x360"),
        (["--size", "641x360"], "even"),
        (["--fps", "often"], "29.97"),
        (["--seconds", "0"], "length"),
        (["--crf", "90"], "CRF"),
        (["--preset", "warp"], "veryfast"),
        (["--sede", "3"], "--sede"),
    ],
)
def test_a_wrong_word_on_the_command_line_is_answered_in_one_line(
    arguments: list[str], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clip", str(tmp_path / "x.mp4"), "--seconds", "5", *arguments]) == 2
    message = capsys.readouterr().err
    assert word in message
    assert message.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_clip_is_not_overwritten_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.mp4"
    command = ["clip", str(path), "--seconds", "1", "--size", "64x64", "--density", "1", "--preset", "ultrafast"]
    assert main(command) == 0
    assert "10 frames" in capsys.readouterr().out
    assert main(command) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0


def test_a_data_set_counts_its_seeds_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "set"
    small = [
        "--clips",
        "2",
        "--first-seed",
        "5",
        "--seconds",
        "1",
        "--size",
        "64x64",
        "--preset",
        "ultrafast",
        "--grey",
    ]
    assert main(["dataset", str(folder), *small]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert sorted(path.name for path in folder.iterdir()) == [
        "scene-5.mp4",
        "scene-5.truth.json",
        "scene-6.mp4",
        "scene-6.truth.json",
    ]


@pytest.mark.parametrize(("command", "word"), [("kinds", "abandoned_object"), ("layouts", "carpark")])
def test_kinds_and_layouts_are_listed(command: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command]) == 0
    assert word in capsys.readouterr().out


def test_the_shipped_clip_is_small_and_long_enough() -> None:
    assert SHIPPED.stat().st_size <= 5 * 2**20
    with av.open(str(SHIPPED)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.pix_fmt) == (640, 360, "yuv420p")
        assert stream.average_rate is not None
        assert stream.average_rate >= 10
        assert stream.duration is not None
        assert stream.time_base is not None
        assert 60 <= stream.duration * stream.time_base <= 90


def test_the_shipped_clip_shows_several_kinds_of_events_and_none_while_learning() -> None:
    document = json.loads(SHIPPED.with_suffix(".truth.json").read_text(encoding="utf-8"))
    events = document["events"]
    assert len(events) >= 4
    assert len({event["kind"] for event in events}) >= 3
    assert min(event["start"] for event in events) > document["learning"] == 32.0
    for event in events:
        heights = [entry["boxes"][0][3] for entry in event["frames"]]
        assert 2 <= event["end"] - event["start"] <= 8
        assert np.median(heights) >= 40


def test_the_shipped_clip_is_what_its_settings_make() -> None:
    document = json.loads(SHIPPED.with_suffix(".truth.json").read_text(encoding="utf-8"))
    assert document["seed"] == NEWCOMER.seed
    assert document["duration"] == NEWCOMER.duration
    with av.open(str(SHIPPED)) as container:
        first = next(container.decode(video=0)).to_ndarray(format="bgr24")
    apart = np.abs(first.astype(int) - next(render(NEWCOMER)).bgr)
    assert apart.mean() < 5


def test_it_is_the_only_video_beside_the_generator() -> None:
    videos = {
        path.name for path in SHIPPED.parent.rglob("*") if path.suffix in {".mp4", ".mkv", ".avi", ".mov", ".webm"}
    }
    assert videos == {"walkway.mp4"}


def test_rates_are_fractions_of_the_text() -> None:
    assert SceneSettings(frame_rate=Fraction("29.97")).frame_rate == Fraction(2997, 100)

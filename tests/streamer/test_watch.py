"""A whole run: what is written, what is learned from, what is said, and how it ends."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from importlib.resources import files

import av
import cv2
import jsonschema
import numpy as np
import pytest

from preprocess.errors import InputError, ModelError, OutputError, UsageError
from streamer.cli.exit_codes import ExitCode, code_for
from streamer.console import Console
from streamer.interrupts import EXIT_INTERRUPTED
from streamer.requests import WatchRequest
from streamer.sinks.event_log import read_events
from streamer.sinks.map_store import MapReader
from streamer.sinks.score_table import read_scores
from streamer.source_run import ALARMS_RAISED, INTERNAL_ERROR
from streamer.watch import watch


def schema(name):
    text = files("streamer").joinpath(f"schemas/{name}.schema.json").read_text()
    return jsonschema.Draft202012Validator(json.loads(text), format_checker=jsonschema.FormatChecker())


SUMMARY, EVENT = schema("summary"), schema("event")


@pytest.fixture
def run(console, networks, settings):
    def watched(*sources, **values):
        request = WatchRequest(tuple(str(source) for source in sources), settings(**values))
        return watch(request, console, networks=networks)

    return watched


def only(outcome):
    (source,) = outcome.sources
    return source


def test_a_recording_gives_its_whole_folder(run, clip, tmp_path):
    source = only(run(clip(100, events=((60, 75),))))
    folder = tmp_path / "out" / "gate.avid"
    assert source.folder == folder
    assert source.error is None
    assert source.alarms == 1
    (event,) = read_events(folder / "events.jsonl")
    EVENT.validate(event)
    assert event["start"] == pytest.approx(60 / 25)
    assert event["end"] == pytest.approx(75 / 25)
    assert not event["in_learning"]
    picture = cv2.imread(str(folder / event["snapshot"]))
    assert picture.shape == (96, 160, 3)
    rows = list(read_scores(folder / "scores.csv"))
    assert [row.index for row in rows] == list(range(100))
    assert [row.note for row in rows] == ["warm-up"] * 5 + [""] * 95
    with MapReader(folder / "maps.avmaps") as maps:
        assert len(maps) == 95
        for row, stored in zip(rows[5:], maps, strict=True):
            assert stored.index == row.index
            assert stored.levels.max() == pytest.approx(row.score if row.score >= 0.5 else 0, abs=0.04)
    with av.open(str(folder / "annotated.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 100
    summary = json.loads((folder / "summary.json").read_text())
    SUMMARY.validate(summary)
    assert summary == json.loads(json.dumps(source.summary))
    assert summary["counts"]["decoded"] == 100
    assert summary["counts"]["scored"] == 95
    assert summary["counts"]["unscored"] == {"warm-up": 5}
    assert summary["events"] == {"alarms": 1, "in_learning": 0}
    assert summary["timings"]["footage_seconds"] == 4
    assert summary["status"] == "done"


def test_no_video_means_everything_but_the_video(run, clip):
    folder = only(run(clip(100), video=False)).folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "events.jsonl",
        "maps.avmaps",
        "scores.csv",
        "snapshots",
        "summary.json",
    ]
    assert len(list((folder / "snapshots").iterdir())) == 1


def test_every_picture_of_the_video_is_that_of_its_frame(run, clip):
    path = clip(80, events=())
    with av.open(str(path)) as source, av.open(str(only(run(path)).folder / "annotated.mp4")) as annotated:
        pairs = zip(source.decode(video=0), annotated.decode(video=0), strict=True)
        for original, drawn in pairs:
            assert drawn.time == pytest.approx(original.time)
            middle = slice(20, 70)
            before, after = (frame.to_ndarray(format="gray")[middle] for frame in (original, drawn))
            assert cv2.absdiff(before, after).mean() < 6


def test_the_learning_part_is_scored_too_and_marked(run, clip, networks):
    source = only(run(clip(100, events=((20, 32), (60, 75)))))
    events = read_events(source.folder / "events.jsonl")
    assert [event["in_learning"] for event in events] == [True, False]
    assert source.alarms == 1
    rows = list(read_scores(source.folder / "scores.csv"))
    assert [row.learning for row in rows] == [True] * 40 + [False] * 60
    footage, windows = networks.learned[0]
    assert windows == 40 - 5
    assert sum(1 for _ in footage.pictures()) == 40


def test_a_longer_learning_part_than_two_fifths_is_cut_and_said(clip, networks, settings, capsys):
    request = WatchRequest((str(clip(100)),), settings(learn=3.0))
    source = only(watch(request, Console(), networks=networks))
    assert "learning from the first 1.6s" in capsys.readouterr().err
    assert "learning from the first 1.6s" in " ".join(source.summary["warnings"])
    assert sum(row.learning for row in read_scores(source.folder / "scores.csv")) == 40


def test_a_recording_too_short_for_its_learning_part_is_learned_from_as_a_whole(run, clip):
    source = only(run(clip(8, events=())))
    assert source.error is None
    assert "learned from a longer part" in source.summary["warnings"][0]
    assert all(row.learning for row in read_scores(source.folder / "scores.csv"))


def test_a_recording_without_a_single_window_is_refused_and_leaves_no_folder(run, clip, tmp_path):
    outcome = run(clip(4, events=()))
    assert isinstance(only(outcome).error, InputError)
    assert "gate.mp4: nothing to learn from" in str(only(outcome).error)
    assert code_for(outcome, fail_on_alarm=False) == ExitCode.INPUT
    assert not (tmp_path / "out" / "gate.avid").exists()


def test_a_run_in_which_nothing_could_be_scored_fails_and_says_so(run, clip, tmp_path):
    model = tmp_path / "gate.avid"
    model.touch()
    outcome = run(clip(4, events=()), model=model)
    source = only(outcome)
    assert "no frame could be scored (warm-up 4)" in str(source.error)
    assert code_for(outcome, fail_on_alarm=False) == ExitCode.INPUT
    SUMMARY.validate(source.summary)
    assert (source.summary["status"], source.summary["exit_code"]) == ("failed", 3)
    assert source.summary["error"] == str(source.error)


def test_a_model_is_used_as_it_is(run, clip, networks, tmp_path):
    source = only(run(clip(100), model=tmp_path / "gate.avid"))
    assert networks.learned == []
    assert source.summary["learning"] is None
    assert source.summary["model"]["file"] == str(tmp_path / "gate.avid")
    assert not any(row.learning for row in read_scores(source.folder / "scores.csv"))


def test_normal_footage_is_learned_from_once_for_all_sources(run, clip, networks):
    normal = str(clip(50, name="monday.mp4", events=()))
    one, two = run(clip(60, name="a.mp4"), clip(60, name="b.mp4"), normal=(normal,)).sources
    assert len(networks.learned) == 1
    assert not any(row.learning for row in read_scores(one.folder / "scores.csv"))
    assert one.summary["timings"]["learning_seconds"] > 0
    assert two.summary["timings"]["learning_seconds"] == 0
    assert two.summary["learning"] is not None


def test_normal_footage_that_cannot_be_learned_from_ends_the_run(run, clip, tmp_path):
    short = clip(2, name="short.mp4", events=())
    with pytest.raises(InputError, match=r"short\.mp4: nothing to learn from"):
        run(clip(60), normal=(str(short),))
    assert not list((tmp_path / "out").glob("*/*"))


def test_an_unusable_model_ends_the_run(run, clip, networks, tmp_path, monkeypatch):
    def refuse(path):
        raise ModelError(f"{path}: damaged")

    monkeypatch.setattr(networks, "load", refuse)
    with pytest.raises(ModelError):
        run(clip(60, name="a.mp4"), clip(60, name="b.mp4"), model=tmp_path / "gate.avid")


def test_sources_of_equal_names_get_folders_of_their_own(run, clip, tmp_path):
    outcome = run(clip(40, name="one/gate.mp4"), clip(40, name="two/gate.mp4"), clip(40, name="gate-2.mp4"))
    assert [source.folder.name for source in outcome.sources] == ["gate.avid", "gate-3.avid", "gate-2.avid"]
    assert [source.summary["name"] for source in outcome.sources] == ["gate", "gate-3", "gate-2"]


def test_one_bad_source_does_not_keep_the_others_from_being_watched(run, clip, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"nothing that plays" * 100)
    outcome = run(bad, clip(60), tmp_path / "missing.mp4")
    assert [source.error is None for source in outcome.sources] == [False, True, False]
    assert code_for(outcome, fail_on_alarm=False) == ExitCode.PARTIAL
    assert not (tmp_path / "out" / "bad.avid").exists()


def test_when_all_fail_the_input_is_to_blame(run, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"nothing that plays" * 100)
    outcome = run(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert code_for(outcome, fail_on_alarm=False) == ExitCode.INPUT


def test_results_are_never_overwritten_unasked_and_that_is_said_before_anything_is_learned(run, clip, networks):
    first, second = clip(60, name="a.mp4"), clip(60, name="b.mp4")
    run(second)
    networks.learned.clear()
    with pytest.raises(OutputError, match="--force"):
        run(first, second)
    assert networks.learned == []


def test_force_replaces_the_results_and_nothing_else(run, clip):
    path = clip(100)
    folder = only(run(path)).folder
    (folder / "mine.txt").write_text("keep")
    shutil.copy(folder / "snapshots" / "gate-2400.jpg", folder / "snapshots" / "gate-99.jpg")
    source = only(run(path, force=True))
    assert source.error is None
    assert (folder / "mine.txt").read_text() == "keep"
    assert [entry.name for entry in (folder / "snapshots").iterdir()] == ["gate-2400.jpg"]


def test_a_failed_learning_keeps_the_results_that_force_would_have_replaced(run, clip, networks):
    path = clip(100)
    folder = only(run(path)).folder
    before = {entry.name for entry in folder.rglob("*")}

    def fail():
        raise InputError("nothing to learn from")

    networks.during = fail
    assert only(run(path, force=True)).error is not None
    assert {entry.name for entry in folder.rglob("*")} == before


def test_a_folder_that_holds_the_source_itself_is_refused(run, clip):
    folder = only(run(clip(60))).folder
    with pytest.raises(OutputError, match="holds the source itself"):
        run(folder / "annotated.mp4", name="gate", force=True)


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_learned(run, clip, networks, tmp_path):
    (tmp_path / "file").touch()
    outcome = run(clip(60), output=tmp_path / "file")
    assert isinstance(only(outcome).error, OutputError)
    assert networks.learned == []


def test_show_without_a_display_is_refused_in_one_line(run, clip, networks, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="no display"):
        run(clip(60), show=True)
    assert networks.learned == []


def test_a_source_of_changing_size_is_watched_to_its_end(run, tmp_path):
    folder = tmp_path / "yard"
    folder.mkdir()
    for number in range(40):
        size = (64, 48) if number < 20 else (96, 80)
        ground = np.full(size[::-1], 90, np.uint8)
        ground[10:20, number : number + 8] = 200
        cv2.imwrite(str(folder / f"{number:03d}.png"), ground)
    source = only(run(folder, frame_rate=25.0))
    assert source.error is None
    assert source.summary["counts"]["size_changes"] == 1
    assert source.summary["counts"]["unscored"] == {"warm-up": 10}
    with MapReader(source.folder / "maps.avmaps") as maps:
        assert {stored.placement.source_size for stored in maps} == {(64, 48), (96, 80)}
    for row in read_scores(source.folder / "scores.csv"):
        for x, y, width, height in row.regions:
            assert x + width <= (64 if row.index < 20 else 96)
            assert y + height <= (48 if row.index < 20 else 80)


def test_the_summary_tells_an_unfinished_recording(run, clip, tmp_path):
    path = clip(100, events=())
    cut = tmp_path / "cut.mp4"
    faststart = tmp_path / "faststart.mp4"
    with av.open(str(path)) as source, av.open(str(faststart), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    data = faststart.read_bytes()
    cut.write_bytes(data[: len(data) * 3 // 4])
    source = only(run(cut))
    assert source.error is None
    assert source.summary["counts"]["missing_at_end"] > 0
    assert any("cut off" in warning for warning in source.summary["warnings"])


def test_batches_of_any_size_give_the_same_scores(run, clip, networks):
    path = clip(100)
    tables = []
    for batch_size in (1, 8, 33):
        networks.batch_size = batch_size
        folder = only(run(path, force=True)).folder
        tables.append(((folder / "scores.csv").read_bytes(), (folder / "events.jsonl").read_bytes()))
    assert tables[0] == tables[1] == tables[2]


def test_alarms_decide_the_exit_code_only_where_asked(run, clip):
    outcome = run(clip(100), fail_on_alarm=True)
    assert only(outcome).summary["exit_code"] == 1
    assert code_for(outcome, fail_on_alarm=True) == ExitCode.ALARMS
    assert code_for(outcome, fail_on_alarm=False) == ExitCode.DONE


def test_the_exit_codes_in_summaries_are_those_of_the_command_line():
    assert (ALARMS_RAISED, INTERNAL_ERROR, EXIT_INTERRUPTED) == (
        ExitCode.ALARMS,
        ExitCode.INTERNAL,
        ExitCode.INTERRUPTED,
    )


def test_the_threshold_comes_from_the_rate_asked_for(run, clip):
    path = clip(60)
    levels = [only(run(path, force=True, false_alarms_per_day=rate)).summary["threshold"] for rate in (0.1, 1, 100)]
    assert levels[0]["level"] > levels[1]["level"] > levels[2]["level"]
    assert [level["asked_false_alarms_per_day"] for level in levels] == [0.1, 1, 100]


def test_sound_is_carried_over_and_said(run, clip, tmp_path):
    silent, loud = clip(50, events=()), tmp_path / "loud.mp4"
    with av.open(str(silent)) as source, av.open(str(loud), "w") as target:
        picture = target.add_stream_from_template(source.streams.video[0])
        sound = target.add_stream("aac", rate=16000)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = picture
                target.mux(packet)
        for start in range(0, 32000, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
            target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    done = only(run(loud))
    assert done.summary["audio"] == "copied"
    with av.open(str(done.folder / "annotated.mp4")) as video:
        assert len(video.streams.audio) == 1
    assert only(run(silent)).summary["audio"] is None

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.errors import UsageError
from streamer.cli.options import resolve
from streamer.settings import FitSettings, TuneSettings, WatchSettings


@pytest.fixture
def settings_of(tmp_path):
    def read(text, model=WatchSettings, command="watch", **given):
        path = tmp_path / "site.yaml"
        path.write_text(text, encoding="utf-8")
        return resolve(model, {"config": str(path), **given}, command)

    return read


def test_the_file_sets_the_same_names_as_the_command_line(settings_of):
    settings = settings_of(
        "false-alarms-per-day: 0.5\nlearn: 1m30s\ndevice: cpu\njson: true\nbatch-size: 8\noutput: /tmp/runs\n"
    )
    assert settings.false_alarms_per_day == 0.5
    assert settings.learn == 90
    assert settings.device == "cpu"
    assert settings.as_json is True
    assert settings.batch_size == 8
    assert str(settings.output) == "/tmp/runs"  # noqa: S108 - never written to


def test_the_command_line_wins_over_the_file_and_the_file_over_the_default(settings_of):
    settings = settings_of("seed: 3\ndevice: cpu\n", seed="7")
    assert (settings.seed, settings.device, settings.precision) == (7, "cpu", "auto")


def test_a_switch_set_in_the_file_can_be_taken_back_on_the_command_line(settings_of):
    assert settings_of("force: true\n", force=False).force is False


def test_a_switch_may_be_written_with_its_no(settings_of):
    assert settings_of("no-video: true\n").video is False
    assert settings_of("video: no\n").video is False


def test_underscores_are_as_good_as_dashes(settings_of):
    assert settings_of("false_alarms_per_day: 2\n").false_alarms_per_day == 2


def test_one_normal_recording_or_several(settings_of):
    assert settings_of("normal: a.mp4\n").normal == ("a.mp4",)
    assert settings_of("normal: [a.mp4, b.mp4]\n").normal == ("a.mp4", "b.mp4")


@pytest.mark.parametrize("text", ["learn: 90", "learn: 1:30", "learn: 01:30", "learn: 00:01:30", "learn: 90s"])
def test_every_way_to_write_a_time_means_the_same_in_yaml(settings_of, text):
    assert settings_of(text).learn == 90


def test_an_empty_file_sets_nothing(settings_of):
    assert settings_of("# nothing yet\n") == WatchSettings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "device: cpu\nfalse-alarm-per-day: 1\n",
            r"line 2: unknown setting 'false-alarm-per-day': .*'false-alarms-per-day'",
        ),
        ("colour: red\n", r"line 1: unknown setting 'colour': known are apprise, batch-size, "),
        ("\n\ndevice: gpu\n", r"line 3: device: 'gpu' must be one of auto, cpu, cuda"),
        ("learn: soon\n", r"line 1: learn: 'soon' is no length of time"),
        ("steps: 100\n", r"line 1: 'steps' is a setting of 'avid-watch fit' alone"),
        ("seed: 1\nseed: 2\n", r"line 2: 'seed' is set twice, first in line 1"),
        ("video: no\nno-video: true\n", r"line 2: 'no-video' is set twice"),
        ("name: 7\n", r"line 1: name: 7 must be text"),
        ("batch-size: many\n", r"line 1: batch-size: 'many' must be a whole number"),
        ("batch-size: 1.5\n", r"line 1: batch-size: 1.5 must be a whole number"),
        ("false-alarms-per-day: .inf\n", r"line 1: false-alarms-per-day: inf must be a finite number"),
        ("false-alarms-per-day: -1\n", r"line 1: false-alarms-per-day: -1 must be greater than 0"),
        ("force: maybe\n", r"line 1: force: 'maybe' must be yes or no"),
        ("normal: [1, 2]\n", r"line 1: normal: 1 must be text"),
        ("- device\n", r"lines of the form 'device: cpu'"),
        ("just words\n", r"lines of the form 'device: cpu'"),
        ("device: [cpu\n", r"line 2: "),
        ("device: cpu\nseed: 2026-13-45\n", r"line 2: this looks like a date or a number .* put it in quotes"),
        ("2026-13-45: 1\n", r"line 1: this looks like a date"),
        ("normal: [a.mp4, 2026-02-30]\n", r"line 1: this looks like a date"),
        ("seed: !!bool many\n", r"line 1: this looks like"),
        ("device: !!python/object/apply:os.system [ls]\n", r"site.yaml line 1: "),
    ],
)
def test_a_wrong_line_is_named_with_its_file_and_what_to_do(settings_of, text, message):
    with pytest.raises(UsageError, match=message) as caught:
        settings_of(text)
    assert "site.yaml" in str(caught.value)


def test_a_missing_file_and_a_picture_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        resolve(WatchSettings, {"config": str(tmp_path / "none.yaml")}, "watch")
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UsageError, match="no text file"):
        resolve(WatchSettings, {"config": str(picture)}, "watch")


def test_settings_that_exclude_each_other_do_so_across_file_and_command_line(settings_of):
    with pytest.raises(UsageError, match="--seconds and --steps exclude each other"):
        settings_of("seconds: 60\n", FitSettings, "fit", steps="5", output="x.avid")


def test_what_a_command_needs_may_come_from_the_file(settings_of):
    assert settings_of("false-alarms-per-day: 2\n", TuneSettings, "tune").false_alarms_per_day == 2
    with pytest.raises(UsageError, match="tune needs --false-alarms-per-day X"):
        settings_of("video: yes\n", TuneSettings, "tune")


@given(st.text(max_size=60))
def test_no_text_whatever_breaks_the_reader(text):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "site.yaml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        with contextlib.suppress(UsageError):
            resolve(WatchSettings, {"config": str(path)}, "watch")

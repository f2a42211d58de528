"""Every way in, every way out: defaults, precedence, refusals and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from preprocess.errors import AvidWatchError, InputError, ModelError, OutputError
from streamer.cli.exit_codes import MEANINGS
from streamer.requests import SourceOutcome, WatchOutcome
from streamer.settings import FitSettings, WatchSettings

pytestmark = pytest.mark.usefixtures("watching", "fitting", "tuning")


def test_a_file_name_alone_means_watch_with_all_defaults(call, watching):
    assert call("gate.mp4").code == 0
    assert watching.request.sources == ("gate.mp4",)
    assert watching.request.settings == WatchSettings()


@pytest.mark.parametrize(
    "argv", [("--seed", "3", "gate.mp4"), ("gate.mp4", "--seed=3"), ("watch", "gate.mp4", "--seed", "3")]
)
def test_watch_needs_no_name_wherever_the_options_stand(call, watching, argv):
    assert call(*argv).code == 0
    assert watching.request.sources == ("gate.mp4",)
    assert watching.request.settings.seed == 3


def test_a_file_named_like_a_command_is_given_with_its_folder(call, watching, tmp_path):
    for name in ("fit", "info=1"):
        (tmp_path / name).touch()
    assert call("./fit", "info=1").code == 0
    assert watching.request.sources == ("./fit", "info=1")


def test_every_option_of_watch_arrives(call, watching):
    argv = (
        "gate.mp4 --learn 1m30s --learn-budget 20 --false-alarms-per-day 0.1 -o runs --force --no-video --show --json"
        " -v --device cpu --precision float32 --batch-size 8 --seed 5 --fail-on-alarm --frame-rate 12.5"
        " --decision paper --debug --name door"
    )
    assert call(*argv.split()).code == 0
    assert watching.request.settings == WatchSettings(
        learn=90,
        learn_budget=20,
        false_alarms_per_day=0.1,
        output=Path("runs"),
        force=True,
        video=False,
        show=True,
        as_json=True,
        verbose=True,
        device="cpu",
        precision="float32",
        batch_size=8,
        seed=5,
        fail_on_alarm=True,
        frame_rate=12.5,
        decision="paper",
        debug=True,
        name="door",
    )


def test_normal_footage_can_be_named_several_times(call, watching):
    assert call("gate.mp4", "--normal", "yard.mp4", "--normal", "gate.mp4").code == 0
    assert watching.request.settings.normal == ("yard.mp4", "gate.mp4")


def test_fit_trains_for_a_time_or_a_number_of_steps(call, fitting):
    assert call("fit", "gate.mp4", "yard.mp4", "-o", "gate.avid").code == 0
    assert fitting.request.normal == ("gate.mp4", "yard.mp4")
    assert fitting.request.settings.time_budget == 900
    steps = FitSettings(output=Path("x"), steps=5)
    assert steps.time_budget is None
    assert FitSettings(output=Path("x"), seconds="2m").time_budget == 120


def test_tune_takes_a_run_and_a_rate(call, tuning):
    said = call("tune", "gate.avid", "--false-alarms-per-day", "0.1", "--video")
    assert said.code == 0
    assert "4 alarms; now 1 alarm" in said.out
    assert tuning.request.run == Path("gate.avid")
    assert tuning.request.settings.video is True


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        ("", 2, "no source given: name a recording"),
        ("--modle gate.avid gate.mp4", 2, "unknown option --modle: did you mean '--model'?"),
        ("gate.mp4 --xyzzy", 2, "unknown option --xyzzy; avid-watch watch --help"),
        ("fit gate.mp4 -o x.avid --stepps 3", 2, "did you mean '--steps'? (avid-watch fit --help"),
        ("gate.mp4 --seed", 2, "--seed needs a value"),
        ("gate.mp4 --seed two", 2, "--seed: 'two' must be a whole number"),
        ("gate.mp4 --seed -1", 2, "--seed: '-1' must be at least 0"),
        ("gate.mp4 --device gpu", 2, "--device: 'gpu' must be one of auto, cpu, cuda"),
        ("gate.mp4 --learn 3parsecs", 2, "--learn: '3parsecs' is no length of time: write 90"),
        ("gate.mp4 --learn 0", 2, "must be greater than 0"),
        ("gate.mp4 --false-alarms-per-day nan", 2, "must be a finite number"),
        ("gate.mp4 --name ../x", 2, "must be a plain name"),
        ("gate.mp4 yard.mp4 --name x", 2, "--name x cannot serve 2 sources"),
        ("gate.mp4 -qv", 2, "--quiet and --verbose exclude each other"),
        ("gate.mp4 --model m.avid --learn 5s", 2, "--model and --learn exclude each other"),
        ("gate.mp4 --model m.avid --normal yard.mp4", 2, "--model and --normal exclude each other"),
        ("gate.mp4 --normal yard.mp4 --learn 5s", 2, "--learn and --normal exclude each other"),
        ("gate.mp4 --config none.yaml", 2, "none.yaml: no such file"),
        ("gaet.mp4", 3, "gaet.mp4: no such file or folder; did you mean gate.mp4?"),
        ("inof", 3, "did you mean the command 'info'?"),
        ("a.mp4 b.mp4", 3, "a.mp4: no such file or folder, as all 2 given"),
        ("gate.mp4 --normal none.mp4", 3, "none.mp4: no such file or folder"),
        ("gate.mp4 --model gate.avdi", 5, "gate.avdi: no such model file; did you mean gate.avid?"),
        ("gate.mp4 --model gate.avid", 5, "gate.avid: a folder, not a model file"),
        ("fit", 2, "no footage given"),
        ("fit gate.mp4", 2, "fit needs --output FILE"),
        ("fit gate.mp4 -o x.avid --steps 3 --seconds 9", 2, "--seconds and --steps exclude each other"),
        ("tune", 2, "no run given"),
        ("tune gate.avid", 2, "tune needs --false-alarms-per-day X"),
        ("tune gate.mp4 --false-alarms-per-day 1", 3, "gate.mp4: not the folder of a run"),
        ("info none.mp4", 3, "none.mp4: no such file or folder"),
    ],
)
def test_a_refusal_is_one_line_with_its_exit_code(call, watching, fitting, tuning, argv, code, words):
    said = call(*argv.split())
    assert words in said.refusal
    assert said.code == code
    assert not said.out
    assert [work.requests for work in (watching, fitting, tuning)] == [[], [], []]


def test_missing_sources_beside_existing_ones_are_left_to_the_watch(call, watching):
    assert call("gate.mp4", "none.mp4").code == 0
    assert watching.request.sources == ("gate.mp4", "none.mp4")


@pytest.mark.parametrize("source", ["other://camera/1", "file:///gate.mp4"])
def test_what_is_no_path_is_left_to_the_source(call, source):
    assert call(source).code == 0


def _outcome(*sources, interrupted=False):
    return WatchOutcome(tuple(sources), interrupted=interrupted)


FINE = SourceOutcome("gate.mp4")
ALARMED = SourceOutcome("gate.mp4", alarms=2)
UNREADABLE = SourceOutcome("a.mp4", error=InputError("a.mp4: not a video; check it"))
UNUSABLE = SourceOutcome("b.mp4", error=ModelError("m.avid: damaged; fit again"))


@pytest.mark.parametrize(
    ("outcome", "flags", "code"),
    [
        (_outcome(FINE), [], 0),
        (_outcome(ALARMED), [], 0),
        (_outcome(ALARMED), ["--fail-on-alarm"], 1),
        (_outcome(FINE), ["--fail-on-alarm"], 0),
        (_outcome(UNREADABLE), [], 3),
        (_outcome(UNUSABLE), [], 5),
        (_outcome(UNREADABLE, UNUSABLE), [], 3),
        (_outcome(FINE, UNREADABLE), [], 4),
        (_outcome(ALARMED, UNREADABLE), ["--fail-on-alarm"], 4),
        (_outcome(ALARMED, interrupted=True), ["--fail-on-alarm"], 130),
        (_outcome(), [], 3),
    ],
)
def test_the_outcome_sets_the_exit_code(call, watching, outcome, flags, code):
    watching.answer = outcome
    assert call("gate.mp4", *flags).code == code


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("x.mp4: no frame could be scored; give a longer recording"), 3, "no frame could be scored"),
        (ModelError("m.avid: damaged; fit the model anew"), 5, "damaged"),
        (OutputError("gate.avid: exists already; --force replaces it"), 2, "exists already"),
        (AvidWatchError("of no kind"), 70, "of no kind"),
        (ZeroDivisionError("division\nby zero"), 70, "internal error: ZeroDivisionError: division by zero; run again"),
        (BrokenPipeError("pipe"), 2, "closed by its reader"),
        (KeyboardInterrupt(), 130, "stopped at once"),
    ],
)
def test_an_error_of_the_work_is_one_line_too(call, watching, error, code, words):
    watching.answer = error
    said = call("gate.mp4")
    assert said.code == code
    assert words in said.refusal


def test_a_traceback_is_shown_with_debug_alone(call, watching):
    watching.answer = ZeroDivisionError("oh")
    assert "Traceback" in call("gate.mp4", "--debug").err
    assert "Traceback" not in call("gate.mp4").err
    watching.answer = _outcome(UNREADABLE)
    assert "preprocess.errors.InputError" in call("gate.mp4", "--debug").err
    assert "not a video" in call("gate.mp4").refusal


def test_json_puts_one_line_per_source_on_stdout_and_nothing_else(call, watching):
    watching.answer = _outcome(SourceOutcome("gate.mp4", summary={"name": "gätë\udcff"}), UNREADABLE)
    said = call("gate.mp4", "a.mp4", "--json")
    first, second = (json.loads(line) for line in said.out.splitlines())
    assert first == {"name": "gätë\udcff"}
    assert second == {"source": "a.mp4", "error": "a.mp4: not a video; check it"}
    assert "a.mp4: not a video" in said.refusal


def test_fit_and_tune_speak_json_too(call):
    assert json.loads(call("fit", "gate.mp4", "-o", "x.avid", "--json").out)["steps"] == 1250
    assert json.loads(call("tune", "gate.avid", "--false-alarms-per-day", "1", "--json").out) == {"source": "gate.mp4"}


def test_quiet_says_errors_alone(call, watching):
    watching.answer = _outcome(SourceOutcome("gate.mp4", summary={"name": "gate"}), UNREADABLE)
    said = call("gate.mp4", "a.mp4", "-q")
    assert not said.out
    assert "not a video" in said.refusal


def test_the_help_tells_every_default_command_and_exit_code(call):
    said = call("--help")
    assert said.code == 0
    for words in ["[45s]", "[1]", "[auto]", "[joint]", "--no-video", "-o, --output DIR", "--config FILE.yaml"]:
        assert words in said.out
    for command in ("watch", "fit", "tune", "info"):
        assert f"\n  {command} " in said.out
        assert call(command, "-h").out.startswith(f"Usage: avid-watch {command} ")
    for code, text in MEANINGS.items():
        assert any(line.split() == [str(int(code)), *text.split()] for line in said.out.splitlines()), code


def test_every_setting_stands_in_the_help_of_its_command(call):
    text = call("watch", "--help").out
    for field in WatchSettings.model_fields:
        assert f"-{field.removeprefix('as_').replace('_', '-')}" in text


def test_the_version_is_told(call):
    assert call("--version").out.startswith("avid-watch")


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[3]
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_neither_help_nor_a_refusal_loads_the_networks_or_the_codecs():
    code = (
        "import sys; from streamer.cli import main\n"
        "main(['--help']), main(['fit', '-h']), main(['none.mp4']), main(['x', '--seed', 'y'])\n"
        "sys.exit(str(sorted({'torch', 'av', 'cv2', 'numpy', 'matplotlib'} & set(sys.modules))))"
    )
    assert _python(code).stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("avid-watch ", {"watch", "fit", "tune", "evaluate", "info", "check", "relearn"}),
        ("avid-watch --lea", {"--learn", "--learn-budget", "--learn-hours"}),
        ("avid-watch gate.mp4 --decision ", {"joint", "paper"}),
        ("avid-watch fit a.mp4 --pre", {"--preset", "--precision"}),
    ],
)
def test_the_shell_completes_commands_options_and_choices(words, offered):
    done = _python(
        "from streamer.cli import run; run()",
        _AVID_WATCH_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )
    assert set(done.stdout.split()) == offered
    assert done.returncode == 0


def test_a_reader_that_leaves_early_changes_nothing(tmp_path):
    code = (
        "import sys; from streamer.console import Console; from streamer.requests import SourceOutcome\n"
        "console = Console(as_json=True)\n"
        "for _ in range(3): console.finished(SourceOutcome('x' * 100000, summary={'a': 'b' * 100000}))\n"
    )
    command = f'"{sys.executable}" -c "{code}" | head -c 10; exit ${{PIPESTATUS[0]}}'
    root = Path(__file__).parents[3]
    done = subprocess.run(["bash", "-c", command], cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")

"""Live cameras from the command line: which sources are live, what a run is told, and how it ends."""

from __future__ import annotations

import json
import os
import sys
from types import ModuleType

import pytest

from preprocess.errors import InputError
from streamer.cli.exit_codes import ExitCode
from streamer.live.check import CameraCheck
from streamer.live.folder import LiveFolder
from streamer.requests import SourceOutcome, WatchOutcome

pytestmark = pytest.mark.usefixtures("watching", "live_watching")

GATE, YARD = "rtsp://viewer:hunter2@gate:8554/stream", "rtsp://yard/stream"
FILE = """
output: runs
defaults: {stall: 5s}
cameras:
  - name: gate
    uri: rtsp://gate/stream
  - name: yard
    uri: rtsp://yard/stream
    enabled: no
"""


@pytest.fixture
def cameras_yaml(call, tmp_path):
    path = tmp_path / "cameras.yaml"
    path.write_text(FILE)
    return path


def test_addresses_alone_make_live_cameras_with_all_defaults(call, live_watching, watching):
    assert call(GATE, YARD).code == 0
    request = live_watching.request
    assert [camera.name for camera in request.config.cameras] == ["gate_8554_stream", "yard_stream"]
    assert request.config.cameras[0].full_uri() == GATE
    assert (request.config.mqtt, request.config.metrics, request.config.webhooks) == (None, None, ())
    assert (request.config.retention.age, request.config.retention.bytes) == (30 * 86400, 50 * 10**9)
    assert request.config_file is None
    assert watching.requests == []


@pytest.mark.parametrize(
    "source", ["device:0", "/dev/video0", "rtsps://c/1", "http://c/mjpg", "https://c/live.m3u8", "rtmp://c/1"]
)
def test_network_addresses_and_devices_are_live(call, live_watching, source):
    (call(source), live_watching.request)


def test_every_live_option_arrives(call, live_watching):
    argv = (
        f"{GATE} --name door --transport udp --record --max-reconnects 7 --learn 30s --learn-hours 8"
        " --mqtt mqtts://u:pw@broker/site --webhook https://a/x --webhook http://b --apprise json://c --metrics 9100"
        " --keep 7 --keep-bytes 2GiB --device cpu --precision float32 --batch-size 8 --seed 5 -o runs"
        " --false-alarms-per-day 2 --decision paper"
    )
    assert call(*argv.split()).code == 0
    config = live_watching.request.config
    (camera,) = config.cameras
    assert (camera.name, camera.transport, camera.record, camera.max_reconnects) == ("door", "udp", 600, 7)
    assert (camera.learn, camera.learn_hours, camera.false_alarms_per_day) == (30, 8, 2)
    assert camera.decision == "paper"
    assert config.mqtt is not None
    assert config.mqtt.password is not None
    assert (config.mqtt.host, config.mqtt.port, config.mqtt.tls, config.mqtt.topic_prefix) == (
        "broker",
        8883,
        True,
        "site",
    )
    assert config.mqtt.password.get_secret_value() == "pw"
    assert [hook.url for hook in config.webhooks] == ["https://a/x", "http://b"]
    assert [url.get_secret_value() for url in config.apprise] == ["json://c"]
    assert config.metrics is not None
    assert (config.metrics.host, config.metrics.port) == ("127.0.0.1", 9100)
    assert (config.retention.age, config.retention.bytes) == (7 * 86400, 2 * 2**30)
    assert (config.device, config.precision, config.batch_size, config.seed) == ("cpu", "float32", 8, 5)
    assert str(config.output) == "runs"


def test_recordings_can_be_played_as_if_they_were_live(call, live_watching, watching):
    assert call("gate.mp4", "yard.mp4", "--realtime").code == 0
    assert [(camera.name, camera.realtime) for camera in live_watching.request.config.cameras] == [
        ("gate", True),
        ("yard", True),
    ]
    assert watching.requests == []


def test_a_settings_file_still_sets_options_and_a_cameras_file_is_known_by_its_key(
    call, live_watching, watching, cameras_yaml, tmp_path
):
    (tmp_path / "site.yaml").write_text("seed: 3\nmax-reconnects: 2\n")
    assert call(GATE, "--config", "site.yaml").code == 0
    assert live_watching.request.config.cameras[0].max_reconnects == 2
    live_watching.requests.clear()
    assert call("--config", "cameras.yaml", "--json", "--fail-on-alarm").code == 0
    request = live_watching.request
    assert request.config_file is not None
    assert request.config_file.name == "cameras.yaml"
    assert [camera.name for camera in request.config.watched] == ["gate"]
    assert request.config.cameras[0].stall == 5
    assert request.config.output == tmp_path / "runs"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (f"gate.mp4 {GATE}", "rtsp://gate:8554/stream is live and gate.mp4 is a recording: watch them by two commands"),
        ("gate.mp4 --mqtt mqtt://x", "--mqtt is for live cameras: leave it out, or play the recording with --realtime"),
        ("gate.mp4 --keep 3", "--keep is for live cameras"),
        (f"{GATE} --force", "--force is for recordings, not for live cameras"),
        (f"{GATE} --no-video", "--video is for recordings, not for live cameras"),
        (f"{GATE} --learn-budget 3", "--learn-budget is for recordings"),
        ("gate.mp4 --realtime --show", "--show is for recordings"),
        (f"{GATE} {YARD} --name x", "--name x cannot serve 2 sources"),
        (f"{GATE} {GATE}", "two cameras are called 'gate_8554_stream'"),
        (f"{GATE} --transport tpc", "--transport: 'tpc' must be one of tcp, udp"),
        (f"{GATE} --keep-bytes much", "--keep-bytes: 'much' is no size: write 50GB"),
        (f"{GATE} --metrics here", "--metrics: 'here' is no address for metrics"),
        (f"{GATE} --mqtt http://u:hunter2@x", "--mqtt: the broker's address must look like mqtt://"),
        (f"{GATE} --webhook mail:hunter2", "--webhook: this is no address that can be used"),
        (f"{GATE} --name a+b", "the name 'a+b' must be made of letters"),
        ("rtsp:/viewer:hunter2@gate/x", "in it begins like rtsp://, and the one given does not"),
        (f"{GATE} rtsp//viewer:hunter2@gate/x", "and number 2 of those given does not"),
        ("check rtsp//viewer:hunter2@gate/x", "in it begins like rtsp://"),
        ("gate.mp4 --normal rtsp:/viewer:hunter2@gate/x", "in it begins like rtsp://"),
        (f"{GATE} --config cameras.yaml", "cameras.yaml names the cameras to watch: leave out rtsp://gate:8554/stream"),
        ("--config cameras.yaml --mqtt mqtt://x", "--mqtt is set in cameras.yaml where that names the cameras"),
        ("--config cameras.yaml --device cpu", "--device is set in cameras.yaml"),
    ],
)
@pytest.mark.usefixtures("cameras_yaml")
def test_what_cannot_be_is_refused_in_one_line_that_shows_no_password(call, live_watching, watching, argv, words):
    said = call(*argv.split())
    assert said.code == 2
    assert words in said.refusal
    assert "hunter2" not in said.err + said.out
    assert live_watching.requests == watching.requests == []


def test_a_wrong_cameras_file_is_refused_with_its_line(call, cameras_yaml):
    cameras_yaml.write_text(FILE.replace("stall: 5s", "stall: -5s"))
    said = call("--config", "cameras.yaml")
    assert said.code == 2
    assert "cameras.yaml line 3: defaults.stall" in said.refusal


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("check cameras.yaml", "cameras.yaml line 4: camera: unknown key 'camera': did you mean 'cameras'?"),
        ("--config cameras.yaml", "cameras.yaml line 3: 'defaults' is a key of cameras files, which have 'cameras:'"),
        ("--config short.yaml", "short.yaml line 1: unknown setting 'camera': did you mean 'cameras'?"),
        ("fit gate.mp4 --config right.yml", "right.yml line 1: 'cameras' is a key of cameras files"),
    ],
)
def test_a_slip_in_the_key_of_the_cameras_is_named(call, live_watching, cameras_yaml, tmp_path, argv, words):
    cameras_yaml.write_text(FILE.replace("cameras:", "camera:"))
    (tmp_path / "short.yaml").write_text("camera: [rtsp://gate/1]\n")
    (tmp_path / "right.yml").write_text("cameras: [rtsp://gate/1]\n")
    said = call(*argv.split())
    assert said.code == 2
    assert words in said.refusal
    assert live_watching.requests == []


GAVE_UP = SourceOutcome("rtsp://gate/1", error=InputError("rtsp://gate/1: authentication; check user and password"))
FINE, ALARMED = SourceOutcome("rtsp://gate/1"), SourceOutcome("rtsp://yard/1", alarms=2)


@pytest.mark.parametrize(
    ("outcome", "flags", "code"),
    [
        (WatchOutcome((FINE,), interrupted=True), [], ExitCode.DONE),
        (WatchOutcome((FINE, GAVE_UP), interrupted=True), [], ExitCode.DONE),
        (WatchOutcome((FINE, ALARMED), interrupted=True), [], ExitCode.DONE),
        (WatchOutcome((FINE, ALARMED), interrupted=True), ["--fail-on-alarm"], ExitCode.ALARMS),
        (WatchOutcome((), interrupted=True), [], ExitCode.DONE),
        (WatchOutcome((GAVE_UP, GAVE_UP)), [], ExitCode.INPUT),
        (WatchOutcome((FINE, GAVE_UP)), [], ExitCode.PARTIAL),
        (WatchOutcome((FINE,)), [], ExitCode.DONE),
    ],
)
def test_a_service_that_is_asked_to_stop_ends_with_0_and_one_without_any_camera_with_3(
    call, live_watching, outcome, flags, code
):
    live_watching.answer = outcome
    assert call(GATE, *flags).code == code


def _checks(*fine):
    return [
        CameraCheck(f"c{number}", "rtsp://c", ok=True, verdict="fine", width=640, height=360, codec="h264", delay=0.25)
        if ok
        else CameraCheck(f"c{number}", "rtsp://c", ok=False, verdict="authentication: 401")
        for number, ok in enumerate(fine)
    ]


@pytest.fixture
def checking(monkeypatch):
    asked = []

    def answer(*fine):
        def check_cameras(cameras, **settings):
            asked.append((cameras, settings))
            return _checks(*fine)

        monkeypatch.setattr("streamer.live.check.check_cameras", check_cameras)
        return asked

    return answer


@pytest.mark.parametrize(("fine", "code"), [((True, True), 0), ((True, False), 4), ((False, False), 3)])
@pytest.mark.usefixtures("cameras_yaml")
def test_check_prints_a_table_and_its_code_says_how_many_are_fine(call, checking, fine, code):
    asked = checking(*fine)
    said = call("check", "cameras.yaml", "--timeout", "5s")
    assert said.code == code
    assert said.out.split()[:6] == ["camera", "picture", "rate", "codec", "delay", "verdict"]
    assert f"{sum(fine)} of 2 cameras are fine" in said.out
    ((cameras, settings),) = asked
    assert [camera.name for camera in cameras] == ["gate", "yard"]
    assert settings["timeout"] == 5


def test_check_takes_addresses_too_and_speaks_json(call, checking):
    asked = checking(True, False)
    said = call("check", GATE, YARD, "--json")
    assert said.code == 4
    first, second = json.loads(said.out)["cameras"]
    assert (first["width"], first["verdict"], second["ok"]) == (640, "fine", False)
    assert [camera.address for camera in asked[0][0]] == ["rtsp://gate:8554/stream", YARD]


def test_check_wants_cameras_and_a_file_that_is_there(call):
    assert "no cameras given" in call("check").refusal
    said = call("check", "camera.yaml")
    assert (said.code, "no such file or folder" in said.refusal) == (3, True)


@pytest.fixture
def relearned(monkeypatch):
    folders = []
    fake = ModuleType("streamer.live.learned_state")

    def relearn(folder):
        folders.append(folder)
        return folder / "learned" / "before" if folder.name == "yard.avid" else None

    fake.relearn = relearn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "streamer.live.learned_state", fake)
    return folders


def _camera(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "camera.json").write_text("{}")


def test_relearn_forgets_one_camera_by_its_name_or_folder(call, relearned, tmp_path):
    _camera(tmp_path / "runs" / "yard.avid")
    _camera(tmp_path / "gate.avid")
    said = call("relearn", "yard", "-o", "runs")
    assert said.code == 0
    assert said.out == "yard: it starts over; what it had learned lies in runs/yard.avid/learned/before\n"
    assert call("relearn", "gate.avid").out == "gate.avid: it had learned nothing yet\n"
    assert call("relearn", "gate.avid/").code == 0
    assert [folder.name for folder in relearned] == ["yard.avid", "gate.avid", "gate.avid"]


def test_relearn_finds_the_camera_beside_the_results_of_a_recording(call, relearned, tmp_path):
    _camera(tmp_path / "gate-live.avid")
    assert call("relearn", "gate").code == 0
    assert call("relearn", "gate-live").code == 0
    assert call("relearn", "gate-live.avid").code == 0
    assert [folder.name for folder in relearned] == ["gate-live.avid"] * 3


def test_relearn_refuses_a_folder_that_is_of_no_camera(call, relearned, tmp_path):
    said = call("relearn", "gate")
    assert said.code == 3
    assert "gate.avid: not the folder of a live camera (it has no camera.json); say with -o" in said.refusal
    _camera(tmp_path / "gate-live.avid")
    assert "did you mean 'gate-live'?" in call("relearn", "gate.avid").refusal
    assert relearned == []


def test_relearn_refuses_while_a_run_watches_the_camera(call, relearned, tmp_path):
    _camera(tmp_path / "gate.avid")
    with LiveFolder.open(tmp_path, "gate"):
        said = call("relearn", "gate")
        assert said.code == 2
        assert f"gate.avid: another avid-watch (process {os.getpid()}) writes into it; stop it first" in said.refusal
    assert relearned == []
    assert call("relearn", "gate").code == 0


def test_relearn_refuses_a_camera_that_is_not_there(call, relearned, tmp_path):
    _camera(tmp_path / "gate.avid")
    said = call("relearn", "gaet")
    assert (said.code, said.refusal.endswith("did you mean 'gate'?")) == (3, True)
    assert call("relearn").code == 2
    assert relearned == []


def test_the_help_has_a_heading_for_live_cameras(call):
    for argv in (("--help",), ("watch", "--help")):
        out = call(*argv).out
        assert "Live cameras" in out
        for option in ("--transport tcp|udp", "--realtime", "--record", "--mqtt URL", "--keep-bytes SIZE", "--metrics"):
            assert option in out
    for command in ("check", "relearn"):
        assert call(command, "-h").out.startswith(f"Usage: avid-watch {command} ")

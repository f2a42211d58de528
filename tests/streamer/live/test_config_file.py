"""``cameras.yaml``: what it may say, a line in every refusal, secrets from outside, the schema and the example."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from preprocess.errors import UsageError
from streamer.live.config_file import is_cameras_file, read_config
from streamer.live.config_schema import cameras_schema, schema_text

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "cameras.example.yaml"
SECRETS = {"MQTT_PASSWORD": "m1", "GUARD_SECRET": "g2", "GATE_PASSWORD": "p@ss/word", "YARD_PASSWORD": "y@/:"}
SCHEMA = json.loads(files("streamer").joinpath("schemas/cameras.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def read(tmp_path):
    def from_text(text, **environment):
        path = tmp_path / "cameras.yaml"
        path.write_text(text, encoding="utf-8")
        return read_config(path, environment=environment)

    return from_text


def test_the_example_reads_and_says_what_it_shows():
    config = read_config(EXAMPLE, environment=SECRETS)
    gate, yard, workshop = config.cameras
    assert gate.full_uri() == "rtsp://viewer:p%40ss%2Fword@gate.example/stream"
    assert yard.full_uri() == "rtsps://viewer:y%40%2F%3A@yard.example:322/live"
    assert gate.schedule == {"mon-fri": ("20:00-06:00",), "sat,sun": ("all day",)}
    assert [zone.kind for zone in gate.zones] == ["ignore", "nothing_may_move"]
    assert (gate.clips.pre_roll, yard.clips.annotated, yard.record, workshop.learn_hours) == (8, True, 600, 8)
    assert config.mqtt is not None
    assert config.mqtt.password is not None
    assert config.mqtt.password.get_secret_value() == "m1"


def test_the_schema_that_is_shipped_is_the_one_of_the_models():
    assert (ROOT / "streamer" / "schemas" / "cameras.schema.json").read_text(encoding="utf-8") == schema_text()
    Draft202012Validator.check_schema(cameras_schema())


GOOD = """
metrics: off
apprise: json://host
retention: {age: off, bytes: 1TB, free: 500MB}
webhooks: [https://a/b, {url: http://c, kinds: anomaly}]
mqtt: mqtt://broker
x-anything: {at: all}
defaults: {stall: 1m30s, record: off}
cameras:
- rtsp://a
- {uri: rtsp://b, clips: off, record: on, max_reconnects: off, normal: a.mp4, schedule: {mon: 8:00-9:00, tue: off}}
- {uri: rtsp://c, schedule: {mon: [08:00-09:00, 10:00-11:00]}, zones: [{name: z, polygon: [[0, 0], [1, 0], [1, 1]]}]}
"""


@pytest.mark.parametrize("text", [GOOD, EXAMPLE.read_text(encoding="utf-8")])
def test_what_the_reader_takes_the_schema_takes(read, text):
    read(text, **SECRETS)
    assert list(Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(text))) == []


class Yaml12(yaml.SafeLoader):
    """Reads as most editors do: of the switches, only true and false are none of the texts."""

    yaml_implicit_resolvers: ClassVar = {
        letter: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":bool")]
        for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)

SWITCHES = """
metrics: on
mqtt: {host: b, tls: yes, discovery: no, snapshots: on}
retention: {age: no, bytes: off}
defaults: {record: no, snapshots: off}
cameras:
- {uri: rtsp://a, enabled: no, realtime: on, clips: off, record: yes, max_reconnects: no}
- {uri: rtsp://b, clips: {enabled: on, annotated: yes}, schedule: {mon: on, tue: off, wed: yes, thu: no}}
- {uri: rtsp://c, clips: yes, record: on}
"""


@pytest.mark.parametrize("text", [GOOD, SWITCHES, EXAMPLE.read_text(encoding="utf-8")])
def test_an_editor_takes_the_switches_that_the_reader_takes(read, text):
    read(text, **SECRETS)
    for loader in (yaml.SafeLoader, Yaml12):
        assert list(Draft202012Validator(SCHEMA).iter_errors(yaml.load(text, Loader=loader))) == []  # noqa: S506 - safe


def test_an_editor_still_marks_what_is_no_switch():
    for wrong in ("clips: maybe", "enabled: maybe", "schedule: {mon: maybe}", "max_reconnects: maybe"):
        document = yaml.load(f"cameras: [{{uri: a, {wrong}}}]", Loader=Yaml12)  # noqa: S506 - safe
        assert list(Draft202012Validator(SCHEMA).iter_errors(document))


def test_the_example_means_the_same_to_every_reader_of_yaml():
    text = EXAMPLE.read_text(encoding="utf-8")
    assert yaml.safe_load(text) == yaml.load(text, Loader=Yaml12)  # noqa: S506 - safe


@pytest.mark.parametrize(
    "text",
    [
        "cameras: []",
        "cameras: [{name: a}]",
        "camera: [rtsp://a]",
        "cameras: [{uri: rtsp://a, stall: -1}]",
        "cameras: [{uri: rtsp://a, colour: red}]",
        "cameras: [{uri: rtsp://a, zones: [{name: z, polygon: [[0, 0], [1, 0]]}]}]",
        "cameras: [{uri: rtsp://a, zones: [{name: z, polygon: [[0, 0], [1, 0], [2, 1]]}]}]",
        "cameras: [{uri: rtsp://a, transport: tpc}]",
        "cameras: [{uri: rtsp://a, schedule: {mon: 20-6}}]",
    ],
)
def test_what_the_schema_refuses_the_reader_refuses(read, text):
    assert list(Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(text)))
    with pytest.raises(UsageError):
        read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "cameras:\n- uri: rtsp://a\n  pre-roll: 3",
            r"line 3: cameras\[0\].pre-roll: unknown key 'pre-roll': known are",
        ),
        (
            "cameras:\n- uri: rtsp://a\n  clip: off",
            r"line 3: cameras\[0\].clip: unknown key 'clip': did you mean 'clips'?",
        ),
        ("camera:\n- rtsp://a", r"line 1: camera: unknown key 'camera': did you mean 'cameras'?"),
        ("cameras:\n- name: a", r"line 2: cameras\[0\]: 'uri' is missing: add a line 'uri: ...'"),
        (
            "cameras:\n- rtsp://a\n- uri: rtsp://a",
            r"line 3: cameras\[1\]: a camera called 'a' stands in line 2 already",
        ),
        ("cameras:\n- uri: a\n  uri: b", r"line 3: 'uri' is set twice, first in line 2: leave one out"),
        (
            "cameras:\n- uri: a\n  learn-hours: 1\n  learn_hours: 2",
            r"line 4: 'learn_hours' is set twice, first in line 3",
        ),
        ("cameras: [a]\ndefaults:\n  stall: -3", r"line 3: defaults.stall: -3 is no length of time"),
        ("cameras: [a]\ndefaults:\n  transport: tpc", r"line 3: defaults.transport: 'tpc' must be one of tcp, udp"),
        ("cameras:\n- uri: a\n  events:\n    exit: two", r"line 4: cameras\[0\].events.exit: 'two' must be a number"),
        ("cameras:\n- uri: a\n  schedule:\n    mon-fro: all day", r"line 4: .*'mon-fro' are no weekdays: write mon"),
        ("cameras:\n- uri: a\n  schedule:\n    mon: 20-6", r"line 4: cameras\[0\].schedule.mon: '20-6' are no hours"),
        (
            "cameras:\n- uri: a\n  zones:\n  - name: z\n    polygon: [[0, 0], [1, 1], [1, 0], [0, 1]]",
            r"line 4: cameras\[0\].zones\[0\]: the polygon of zone 'z' crosses itself",
        ),
        (
            "cameras:\n- uri: a\n  zones:\n  - name: z\n    polygon:\n    - [0, 0]\n    - [1, 1.5]\n    - [1, 0]",
            r"line 7: cameras\[0\].zones\[0\].polygon\[1\]\[1\]: 1.5 must be at most 1",
        ),
        (
            "cameras: [a]\nwebhooks:\n- url: http://a\n  kinds: [nope]",
            r"line 4: webhooks\[0\].kinds\[0\]: 'nope' must be",
        ),
        ("cameras: [a]\nmqtt: 5", r"line 2: mqtt: must have lines of the form 'key: value' below it"),
        ("cameras:\n  gate: a", r"line 1: cameras: this must be a list"),
        ("cameras:\n- uri: ${GONE}", r"line 2: cameras\[0\].uri: the environment variable GONE is not set"),
        ("cameras:\n- uri: ${EMPTY}", r"line 2: cameras\[0\].uri: the environment variable EMPTY is empty"),
        ("cameras:\n- uri: rtsp://${a-b}/", r"line 2: .* must begin a variable like \$\{NAME\}"),
        (
            "cameras: [a]\nmqtt: {host: b, user: u, password_file: none.txt}",
            r"line 2: mqtt: password_file .*none.txt: no",
        ),
        ("cameras: &a [*a]", r"line 1: .*an anchor that holds itself"),
        ("cameras: [a\n", r"line 2: .*check indentation, quotes and brackets there"),
        ("cameras: [!!python/object/apply:os.system [ls]]", r"line 1: "),
        ("cameras: [a]\nseed: x\ndevice: gpu", r"line 2: seed: .* \(more to mend in line 3\)"),
        (
            "cameras:\n- uri: rtsp:/u:hunter2@a/x",
            r"line 2: cameras\[0\].uri: an address with a user or password in it begins like rtsp://",
        ),
        ("cameras:\n- uri: a\n  user: 2026-13-45", r"line 3: cameras\[0\].user: this looks like a date .* in quotes"),
        ("cameras: [a]\nseed: !!int many", r"line 2: seed: this looks like a date or a number and is none"),
        ("cameras: [a]\nseed: !!bool many", r"line 2: seed: this looks like"),
        ("cameras: [a]\nseed: !!timestamp many", r"line 2: seed: this looks like"),
        ("just words", r"a cameras file has lines of the form"),
    ],
)
def test_a_wrong_line_is_named_with_its_file_and_what_to_do(read, text, message):
    with pytest.raises(UsageError, match=message) as caught:
        read(text, EMPTY="")
    assert "cameras.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "cameras: [{uri: rtsp://a, stall: '${PW}'}]",
        "cameras: [{uri: rtsp://a, transport: '${PW}'}]",
        "cameras: [{uri: rtsp://a, user: u, password: [hunter2]}]",
        "cameras: [{uri: 5, user: u, password: {a: hunter2}}]",
        "cameras: [{uri: a, user: u, password: !!int hunter2}]",
        "cameras: [a]\nmqtt: http://u:hunter2@broker",
        "cameras: [a]\nmqtt: {host: 'u:${PW}@b', port: '${PW}'}",
        "cameras: [a]\nwebhooks: ['${PW}', hunter2, {url: hunter2}]",
        "cameras: [a]\napprise: [[hunter2]]",
        "cameras: ['rtsp://u:${PW}@a', 'rtsp://u:${PW}@a']",
        "cameras: [{uri: 'rtsp://u:${PW}@a', user: u}]",
        "cameras: [{uri: a, user: u, password: '${PW}', password_file: x}]",
        "cameras: ['rtsp:/u:${PW}@a', 'rtsp:/u:${PW}@a']",
        "cameras: [{uri: 'rtsp//u:hunter2@a'}]",
    ],
)
def test_no_refusal_shows_a_secret(read, text):
    with pytest.raises(UsageError) as caught:
        read(text, PW="hunter2")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_secrets_come_from_variables_or_from_files_beside_the_cameras_file(read, tmp_path):
    (tmp_path / "secret").write_text("from file\n")
    config = read(
        "mqtt: {host: b, user: u, password_file: secret}\nwebhooks: [{url: http://a, secret_file: secret}]\n"
        "cameras: [{uri: 'rtsp://${HOST}/a', user: u, password: '${PW}$${x}', model: m.avid}]",
        PW="a b",
        HOST="gate",
    )
    (gate,) = config.cameras
    assert gate.full_uri() == "rtsp://u:a%20b%24%7Bx%7D@gate/a"
    assert gate.model == tmp_path / "m.avid"
    assert config.mqtt is not None
    for secret in (config.mqtt.password, config.webhooks[0].secret):
        assert secret is not None
        assert secret.get_secret_value() == "from file"
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(UsageError, match="secret is empty: write the secret into it"):
        read("cameras: [{uri: 'rtsp://a', user: u, password_file: secret}]")


def test_dashes_and_anchors_may_be_used(read):
    config = read(
        "x-base: &base {max-reconnects: 3, clips: &clips {pre-roll: 2s}}\n"
        "cameras:\n- {<<: *base, uri: rtsp://a}\n- {<<: *base, uri: rtsp://b, max-reconnects: 4}\n"
        "- {uri: c, clips: *clips}\n"
    )
    assert [camera.max_reconnects for camera in config.cameras] == [3, 4, None]
    assert [camera.clips.pre_roll for camera in config.cameras] == [2, 2, 2]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("cameras: [a]", True),
        ("# first\ndevice: cpu\n'cameras':\n- a", True),
        ('{"cameras": ["a"]}', True),
        ("cameras: [a\n", True),
        ("device: cpu\n", False),
        ("defaults:\n  cameras: x\n", False),
        ("- cameras", False),
        ("", False),
    ],
)
def test_a_cameras_file_is_known_by_its_key(tmp_path, text, is_one):
    path = tmp_path / "some.yaml"
    path.write_text(text)
    assert is_cameras_file(path) is is_one
    assert is_cameras_file(tmp_path / "none.yaml") is False


def test_a_missing_file_and_a_picture_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"none.yaml: no such file or directory; check the path"):
        read_config(tmp_path / "none.yaml")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UsageError, match="no text file"):
        read_config(tmp_path / "a.png")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80) | st.lists(st.sampled_from(re.findall(r"\S+|\s", GOOD)), max_size=60).map("".join))
def test_no_text_whatever_breaks_the_reader(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cameras.yaml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        with contextlib.suppress(UsageError):
            read_config(path, environment={})
        is_cameras_file(path)

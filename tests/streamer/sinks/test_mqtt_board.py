"""What is said over MQTT, without a broker: topics, retained values, Home Assistant's configurations, settings."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.errors import UsageError
from streamer.live.notices import CameraState
from streamer.sinks.mqtt_board import Board
from streamer.sinks.mqtt_discovery import Discovery
from streamer.sinks.mqtt_settings import MqttSettings
from streamer.sinks.mqtt_topics import RETAINED, CameraTopic, Topics, discovery_id, topic_level
from tests.streamer.sinks.notices_for_tests import FOLDER, score, state, told

TOPICS = Topics("avid-watch", "house")
GATE = "avid-watch/house/cameras/gate"
NAMES = st.text(max_size=200)


def board(*cameras, snapshots=True, discovery=True) -> Board:
    made = Board(TOPICS, Discovery(TOPICS) if discovery else None, snapshots=snapshots)
    for camera in cameras:
        made.add(camera)
    return made


def taken(made: Board) -> dict[str, object]:
    return {item.topic: item.payload for item in made.take()}


@given(NAMES)
def test_every_name_makes_a_level_that_every_broker_takes(name) -> None:
    level = topic_level(name)
    assert 0 < len(level) <= 80
    assert not set(level) & set("/+#\0 ")
    assert level.encode("utf-8")
    assert topic_level(level) == level
    assert re.fullmatch(r"[A-Za-z0-9_-]+", discovery_id(level))
    assert TOPICS.level_in(TOPICS.of(level, CameraTopic.STATE)) == level


@given(NAMES, NAMES)
def test_two_cameras_never_share_a_topic_or_an_id(one, other) -> None:
    if one != other:
        assert topic_level(one) != topic_level(other)
        assert discovery_id(topic_level(one)) != discovery_id(topic_level(other))


def test_usual_names_stay_readable() -> None:
    assert topic_level("192.168.1.5_stream1") == "192.168.1.5_stream1"
    assert topic_level("Hof Süd") != topic_level("Hof_Süd") == "Hof_Süd"
    assert topic_level("Hof Süd").startswith("Hof_Süd-")


@pytest.mark.parametrize("topic", ["avid-watch/house/status", f"{GATE}/a/b", "avid-watch/house/cameras//state", "x"])
def test_foreign_topics_name_no_camera(topic) -> None:
    assert TOPICS.level_in(topic) is None


def test_a_new_camera_is_away_quiet_and_without_a_problem() -> None:
    said = taken(board("gate"))
    assert json.loads(said[f"{GATE}/state"]) == {"state": "connecting", "cause": "", "at": None}
    assert said[f"{GATE}/availability"] == b"offline"
    assert said[f"{GATE}/alarm"] == b"OFF"
    assert said[f"{GATE}/problem"] == b"OFF"
    assert f"{GATE}/snapshot" not in said


def test_a_state_comes_with_its_cause_and_with_availability() -> None:
    made = board("gate")
    made.take()
    made.note(state("watching"))
    said = taken(made)
    assert said[f"{GATE}/availability"] == b"online"
    made.note(state("offline", "watching", cause="time-out"))
    said = taken(made)
    assert json.loads(said[f"{GATE}/state"]) == {
        "state": "offline",
        "cause": "time-out",
        "at": "2026-03-01T08:00:12.300+00:00",
    }
    assert said[f"{GATE}/availability"] == b"offline"
    assert said[f"{GATE}/problem"] == b"ON"


@pytest.mark.parametrize("kind", ["anomaly", "forbidden_motion"])
def test_the_alarm_is_on_while_an_event_is_open(kind) -> None:
    made = board("gate", "yard")
    made.take()
    made.note(told("new", kind=kind))
    made.note(told("new", number=2))
    assert taken(made) == {f"{GATE}/alarm": b"ON"}
    made.note(told("update", kind=kind))
    made.note(told("end", kind=kind))
    assert taken(made) == {}
    made.note(told("end", number=2))
    assert taken(made) == {f"{GATE}/alarm": b"OFF"}


@pytest.mark.parametrize("kind", ["camera_offline", "camera_frozen", "camera_covered", "storage_full"])
def test_what_befalls_a_camera_is_a_problem_and_no_alarm(kind) -> None:
    made = board("gate")
    made.take()
    made.note(told("new", kind=kind))
    assert taken(made) == {f"{GATE}/problem": b"ON"}
    made.note(told("end", kind=kind))
    assert taken(made) == {f"{GATE}/problem": b"OFF"}


def test_a_lighting_change_is_neither_an_alarm_nor_a_problem() -> None:
    made = board("gate")
    made.take()
    made.note(told("new", kind="lighting_change"))
    assert taken(made) == {}


def test_only_the_latest_score_waits() -> None:
    made = board("gate")
    made.take()
    for level in (1.0, 5.0, None, 2.5):
        made.note(score(level))
    (item,) = made.take()
    assert not item.retain
    assert item.topic == f"{GATE}/score"
    assert json.loads(item.payload)["level"] == 2.5
    assert made.is_told


def test_a_score_that_is_none_is_null() -> None:
    made = board("gate")
    made.take()
    made.note(score(float("nan")))
    assert json.loads(made.take()[0].payload) == {
        "level": None,
        "threshold": 4.0,
        "at": "2026-03-01T08:00:12.300+00:00",
    }


def test_the_snapshot_is_told_when_it_comes_and_when_the_event_ends() -> None:
    made = board("gate")
    made.take()
    picture = FOLDER / "snapshots/gate-1000.jpg"
    made.note(told("new"))
    assert f"{GATE}/snapshot" not in taken(made)
    made.note(told("update", snapshot="snapshots/gate-1000.jpg"))
    assert taken(made) == {f"{GATE}/snapshot": picture}
    made.note(told("update", snapshot="snapshots/gate-1000.jpg"))
    assert taken(made) == {}
    made.note(told("end", snapshot="snapshots/gate-1000.jpg"))
    assert taken(made)[f"{GATE}/snapshot"] == picture


def test_without_snapshots_those_of_former_runs_are_cleared() -> None:
    made = board("gate", snapshots=False)
    said = taken(made)
    assert said[f"{GATE}/snapshot"] == b""
    assert said["homeassistant/image/avid-watch_house/gate_snapshot/config"] == b""
    made.note(told("end", snapshot="snapshots/gate-1000.jpg"))
    assert f"{GATE}/snapshot" not in taken(made)


def test_a_removed_camera_leaves_nothing_behind() -> None:
    made = board("gate", "yard")
    before = {topic for topic in taken(made) if "gate" in topic} | {f"{GATE}/snapshot"}
    made.note(score(1.0))
    made.remove("gate")
    gone = taken(made)
    assert set(gone) == before
    assert set(gone.values()) == {b""}
    made.note(state("watching"))
    made.note(told("new"))
    made.note(score(1.0))
    assert taken(made) == {}


def test_what_was_cleared_for_sure_is_not_said_again() -> None:
    made = board("gate", discovery=False)
    made.take()
    made.remove("gate")
    for item in made.take():
        assert item.clears
        made.cleared(item.topic)
    made.say_all_again()
    assert made.take() == []


def test_a_camera_that_came_back_is_not_cleared() -> None:
    made = board("gate", discovery=False)
    made.remove("gate")
    late = made.take()
    made.add("gate")
    for item in late:
        made.cleared(item.topic)
    made.say_all_again()
    assert taken(made)[f"{GATE}/alarm"] == b"OFF"


def test_cameras_of_former_runs_are_cleared_and_those_of_this_one_are_not() -> None:
    made = board("gate")
    made.take()
    made.found(f"{GATE}/availability")
    made.found("avid-watch/house/status")
    made.found("avid-watch/other/cameras/attic/availability")
    assert taken(made) == {}
    made.found("avid-watch/house/cameras/attic/availability")
    gone = taken(made)
    assert set(gone.values()) == {b""}
    assert {TOPICS.of("attic", kind) for kind in RETAINED} <= set(gone)
    assert "homeassistant/sensor/avid-watch_house/attic_score/config" in gone


def test_all_is_said_again_in_one_go() -> None:
    made = board("gate")
    first = taken(made)
    made.say_all_again()
    assert taken(made) == first
    assert made.is_told


# What Home Assistant's schemas demand and allow (homeassistant/components/mqtt: schemas.py and the platforms).
SHARED = {"name", "unique_id", "device", "origin", "availability", "availability_mode", "entity_category", "icon"}
ALLOWED = {
    "binary_sensor": SHARED | {"state_topic", "payload_on", "payload_off", "device_class"},
    "sensor": SHARED
    | {
        "state_topic",
        "value_template",
        "json_attributes_topic",
        "device_class",
        "state_class",
        "options",
        "expire_after",
        "suggested_display_precision",
    },
    "image": SHARED | {"image_topic", "content_type"},
}
CLASSES = {"motion", "problem", "connectivity", "enum"}


def configurations(made: Board) -> dict[str, dict]:
    return {topic: json.loads(payload) for topic, payload in taken(made).items() if topic.startswith("homeassistant/")}


def test_home_assistant_finds_what_its_schemas_demand() -> None:
    found = configurations(board("gate", "Hof Süd"))
    assert len(found) == 1 + 2 * 6
    for topic, config in found.items():
        _, component, node, entity, ending = topic.split("/")
        assert ending == "config"
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", part) for part in (node, entity))
        assert set(config) <= ALLOWED[component]
        assert {"name", "unique_id", "device", "origin"} <= set(config)
        assert config["device"]["identifiers"]
        assert config["origin"]["name"]
        assert "image_topic" in config if component == "image" else "state_topic" in config
        assert config.get("device_class", "motion") in CLASSES
        for place in config.get("availability", []):
            assert set(place) == {"topic"}
    assert len({config["unique_id"] for config in found.values()}) == len(found)


def test_each_camera_is_one_device_with_its_name() -> None:
    devices = {}
    for config in configurations(board("gate", "Hof Süd")).values():
        devices.setdefault(config["device"]["identifiers"][0], set()).add(config["device"]["name"])
    assert sorted(devices.values(), key=str) == sorted([{"gate"}, {"Hof Süd"}, {"avid-watch house"}], key=str)


def test_alarm_and_score_go_with_the_camera_and_the_rest_shows_that_it_is_away() -> None:
    found = configurations(board("gate"))
    both = [{"topic": "avid-watch/house/status"}, {"topic": f"{GATE}/availability"}]
    places = {
        topic.split("/")[3]: config["availability"] for topic, config in found.items() if "availability" in config
    }
    assert places == {
        "gate_alarm": both,
        "gate_score": both,
        "gate_problem": both[:1],
        "gate_connection": both[:1],
        "gate_state": both[:1],
        "gate_snapshot": both[:1],
    }


def test_the_options_of_the_state_are_all_there_are() -> None:
    config = configurations(board("gate"))["homeassistant/sensor/avid-watch_house/gate_state/config"]
    assert config["options"] == [state.value for state in CameraState]


def test_without_discovery_nothing_is_told_to_home_assistant() -> None:
    made = board("gate", discovery=False)
    made.remove("gate")
    assert not any(topic.startswith("homeassistant") for topic in taken(made))


def test_a_password_shows_nowhere() -> None:
    settings = MqttSettings("broker", user="me", password="hunter2")  # noqa: S106 - none at all
    assert "hunter2" not in repr(settings) + str(settings) + settings.address


def test_the_password_comes_from_the_environment_or_a_file(tmp_path) -> None:
    assert MqttSettings("broker").read_password() is None
    by_name = MqttSettings("broker", user="me", password_env="SECRET")  # noqa: S106 - a name
    assert by_name.read_password({"SECRET": "hunter2"}) == "hunter2"
    with pytest.raises(UsageError, match="SECRET"):
        by_name.read_password({})
    file = tmp_path / "secret"
    by_file = MqttSettings("broker", user="me", password_file=file)
    with pytest.raises(UsageError, match="cannot be read"):
        by_file.read_password()
    file.write_text("hunter 2\nsecond line\n")
    assert by_file.read_password() == "hunter 2"
    file.write_text("\n")
    with pytest.raises(UsageError, match="empty"):
        by_file.read_password()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"host": "mqtt://broker"}, "without a scheme"),
        ({"host": " "}, "host"),
        ({"port": 70000}, "port"),
        ({"topic_prefix": "a/#"}, "topic_prefix"),
        ({"discovery_prefix": "/ha"}, "discovery_prefix"),
        ({"password": "x"}, "user name"),
        ({"user": "me", "password": "x", "password_env": "Y"}, "one of"),
        ({"ca_file": "ca.pem"}, "tls"),
        ({"tls": True, "key_file": "key.pem"}, "certificate_file"),
        ({"keep_alive": 1}, "keep_alive"),
        ({"answer_timeout": 0}, "times"),
        ({"first_retry": 60}, "longest_retry"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, words) -> None:
    with pytest.raises(ValueError, match=words):
        MqttSettings(**({"host": "broker"} | wrong))


def test_ports_and_addresses_are_the_usual_ones() -> None:
    assert MqttSettings("broker").address == "broker:1883"
    assert MqttSettings("broker", tls=True).address == "broker:8883"
    assert MqttSettings("::1", port=1).address == "[::1]:1"
    assert MqttSettings("broker").name_of_instance


def test_a_certificate_that_cannot_be_read_is_named(tmp_path) -> None:
    nothing = tmp_path / "ca.pem"
    with pytest.raises(UsageError, match=r"ca\.pem"):
        MqttSettings("broker", tls=True, ca_file=nothing).tls_context()
    nothing.write_text("nonsense")
    with pytest.raises(UsageError, match=r"ca\.pem"):
        MqttSettings("broker", tls=True, ca_file=nothing).tls_context()
    with pytest.raises(UsageError, match="certificate for MQTT"):
        MqttSettings("broker", tls=True, certificate_file=nothing).tls_context()

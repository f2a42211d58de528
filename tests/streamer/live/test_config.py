"""The settings of a live run: defaults, short forms, secrets that never show, what excludes what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streamer.live.config import CameraConfig, LiveConfig, MqttConfig, WebhookConfig, ZoneConfig
from streamer.live.config_camera import name_from
from streamer.live.config_types import parse_size
from streamer.live.notices import EventKind
from streamer.live.polygons import why_not_simple


def camera(**settings):
    return CameraConfig.model_validate({"uri": "rtsp://gate/stream", **settings})


def live(**settings):
    return LiveConfig.model_validate({"cameras": ["rtsp://gate/stream"], **settings})


def test_the_defaults_are_those_the_documentation_names():
    config = live()
    (gate,) = config.cameras
    assert (gate.name, gate.transport, gate.realtime, gate.enabled) == ("gate_stream", "tcp", False, True)
    assert (gate.learn, gate.learn_hours, gate.model, gate.normal) == (30, 24, None, ())
    assert (gate.false_alarms_per_day, gate.decision) == (1, "joint")
    assert (gate.max_reconnects, gate.stall, gate.record, gate.snapshots) == (None, 20, None, True)
    assert (gate.clips.enabled, gate.clips.pre_roll, gate.clips.post_roll, gate.clips.annotated) == (True, 5, 5, False)
    assert (gate.zones, gate.schedule, gate.time_zone) == ((), None, None)
    assert (config.metrics, config.mqtt, config.webhooks, config.apprise) == (None, None, (), ())
    retention = config.retention
    assert (retention.age, retention.bytes, retention.free) == (30 * 86400, 50 * 10**9, 10**9)


def test_the_event_settings_are_multiples_of_the_cameras_threshold():
    settings = camera(events={"exit": 0.5, "cooldown": "10s", "maximum_duration": "2m"}).events.settings(4.0)
    assert (settings.enter_level, settings.exit_level) == (4, 2)
    assert (settings.cooldown, settings.maximum_duration, settings.merge_gap) == (10, 120, 1)


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("rtsp://viewer:pw@gate:554/stream", "gate_554_stream"),
        ("rtsp://192.168.1.5/cam/real?channel=1&user=x", "192.168.1.5_cam_real_channel=1"),
        ("rtsp://[fe80::1]/x", "fe80_1__x"),
        ("rtsp://gate", "gate"),
        ("device:0", "device_0"),
        ("/dev/video2", "video2"),
        ("file:///data/gate.mp4", "gate"),
        ("/data/day one+two.mp4", "day_one_two"),
    ],
)
def test_without_a_name_the_camera_is_called_by_its_address_and_never_by_its_login(uri, name):
    assert name_from(uri) == camera(uri=uri).name == name


@given(st.text(max_size=40))
def test_whatever_the_address_the_name_made_from_it_is_a_plain_one(text):
    assert camera(uri=f"rtsp://gate/{text}").name[0].isalnum()


def test_a_login_beside_the_address_is_put_into_it_as_addresses_need_it():
    gate = camera(uri="rtsp://gate:554/a?b=c", user="me@home", password="p/w:@")  # noqa: S106 - of nobody
    assert gate.full_uri() == "rtsp://me%40home:p%2Fw%3A%40@gate:554/a?b=c"
    assert gate.address == "rtsp://gate:554/a?b=c"
    assert camera(uri="rtsp://u:p@gate/a").full_uri() == "rtsp://u:p@gate/a"


def test_no_password_is_ever_shown():
    config = live(
        cameras=["rtsp://u:hunter2@gate/1", {"uri": "rtsp://yard/1", "user": "u", "password": "hunter2"}],
        mqtt="mqtt://u:hunter2@broker",
        webhooks=["https://u:x@hooks/services/hunter2", {"url": "http://a/hunter2", "secret": "hunter2"}],
        apprise=["tgram://hunter2/1"],
    )
    for text in (repr(config), str(config), config.model_dump_json(), str(config.model_dump())):
        assert "hunter2" not in text
    assert config.cameras[0].full_uri() == "rtsp://u:hunter2@gate/1"
    assert [hook.address for hook in config.webhooks] == ["https://hooks", "http://a"]


def test_cameras_take_what_defaults_say_and_say_otherwise_key_by_key():
    config = live(
        defaults={"stall": 5, "clips": {"pre_roll": 8, "annotated": True}, "schedule": {"daily": "all day"}},
        cameras=[
            "rtsp://a",
            {"uri": "rtsp://b", "stall": "7s", "clips": {"pre_roll": 1}, "schedule": {"mon": "never"}},
            {"uri": "rtsp://c", "clips": False},
        ],
    )
    first, second, third = config.cameras
    assert (first.stall, first.clips.pre_roll, first.clips.annotated) == (5, 8, True)
    assert (second.stall, second.clips.pre_roll, second.clips.annotated) == (7, 1, True)
    assert second.schedule == {"mon": ("never",)}
    assert third.clips.enabled is False


def test_short_forms_mean_the_same_as_long_ones():
    assert live(mqtt="mqtts://u:p%40@broker/site/a").mqtt == MqttConfig.model_validate(
        {"host": "broker", "port": 8883, "user": "u", "password": "p@", "tls": True, "topic_prefix": "site/a"}
    )
    assert MqttConfig.model_validate("broker:1884").port == 1884
    assert MqttConfig.model_validate({"host": "broker", "tls": True}).port == 8883
    for text, host, port in ((9100, "127.0.0.1", 9100), ("0.0.0.0:80", "0.0.0.0", 80), ("[::1]:9100", "::1", 9100)):  # noqa: S104
        metrics = live(metrics=text).metrics
        assert metrics is not None
        assert (metrics.host, metrics.port) == (host, port)
    assert live(metrics=False).metrics is live(metrics="off").metrics is None
    metrics = live(metrics=True).metrics
    assert metrics is not None
    assert metrics.port == 9790
    assert [camera(record=value).record for value in (True, "on", "5m", False, "off", None)] == [
        600,
        600,
        300,
        None,
        None,
        None,
    ]
    assert camera(max_reconnects=False).max_reconnects is None
    assert WebhookConfig.model_validate({"url": "http://a", "kinds": "anomaly"}).kinds == (EventKind.ANOMALY,)


@pytest.mark.parametrize(
    ("text", "size"),
    [("50GB", 50 * 10**9), ("1.5 tb", 15 * 10**11), ("20GiB", 20 * 2**30), ("7", 7), (7, 7), ("512 KB", 512_000)],
)
def test_a_size_is_read_however_people_write_it(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "1PB", "1e9", -1, None, True, 1.5])
def test_what_is_no_size_is_refused_with_a_hint(text):
    with pytest.raises(ValueError, match="is no size: write 50GB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "a/b"}, "must be made of letters"),
        ({"name": "+"}, "must be made of letters"),
        ({"password": "x"}, "a password needs its user"),
        ({"uri": "rtsp://u:p@gate", "user": "u"}, "user stands in the address and beside it"),
        ({"uri": "device:0", "user": "u"}, "user is for addresses such as rtsp://host/path, not for device:0"),
        ({"model": "a.avid", "normal": ["b.mp4"]}, "model and normal exclude each other"),
        ({"events": {"exit": 1.5}}, r"exit \(1.5\) must be at most enter \(1\)"),
        ({"events": {"enter": 0.5}}, "greater than or equal to 1"),
        ({"events": {"minimum_duration": "11m"}}, "maximum_duration must be above minimum_duration"),
        ({"time_zone": "Mars/Olympus"}, "no time zone known here"),
        ({"time_zone": "../etc/passwd"}, "no time zone known here"),
        ({"clips": {"pre_roll": 61}}, "less than or equal to 60"),
        ({"zones": [{"name": "a", "polygon": [[0, 0], [1, 0]]}]}, "at least 3"),
        ({"zones": [{"name": "a", "polygon": [[0, 0], [1, 0], [0, 1]]}] * 2}, "two zones are called 'a'"),
        ({"schedule": {}}, "at least 1"),
    ],
)
def test_what_contradicts_itself_is_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        camera(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cameras": []}, "at least 1"),
        (
            {"cameras": [{"uri": "rtsp://a", "name": "x"}, {"uri": "rtsp://b", "name": "X"}]},
            "two cameras are called 'X'",
        ),
        ({"mqtt": "http://broker"}, "must look like mqtt://"),
        ({"mqtt": {"host": "b", "topic_prefix": "a/#"}}, "pattern"),
        ({"mqtt": {"host": "b", "ca_file": "ca.pem"}}, "of use with tls alone"),
        ({"mqtt": {"host": "b", "password": "x"}}, "a password needs its user"),
        ({"webhooks": ["ftp://x"]}, "pattern"),
        ({"metrics": "70000"}, "less than or equal to 65535"),
        ({"instance": "a b"}, "pattern"),
    ],
)
def test_what_concerns_all_cameras_is_checked_too(settings, words):
    with pytest.raises(ValidationError, match=words):
        live(**settings)


@pytest.mark.parametrize(
    ("polygon", "words"),
    [
        ([[0, 0], [1, 1], [1, 0], [0, 1]], "crosses itself: side 1 meets side 3"),
        ([[0, 0], [0.5, 0.5], [1, 1]], "its corners lie on a line"),
        ([[0, 0], [1, 0], [1, 1], [0, 0]], "names a corner twice"),
        ([[0, 0], [1, 0], [0.2, 0], [0.5, 1]], "crosses itself"),
        ([[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]], "crosses itself"),
        ([[0, 0], [0.0001, 0], [0, 0.0001]], "no area|on a line"),
    ],
)
def test_a_polygon_that_is_not_simple_is_refused_by_its_sides(polygon, words):
    with pytest.raises(ValidationError, match=words):
        ZoneConfig.model_validate({"name": "a", "polygon": polygon})


@given(st.lists(st.floats(0.05, 0.45), min_size=3, max_size=30))
def test_a_star_around_a_point_is_simple_whatever_its_rays(radii):
    import math

    corners = [
        (0.5 + r * math.cos(2 * math.pi * k / len(radii)), 0.5 + r * math.sin(2 * math.pi * k / len(radii)))
        for k, r in enumerate(radii)
    ]
    assert why_not_simple(corners) is None
    assert why_not_simple(corners[::-1]) is None

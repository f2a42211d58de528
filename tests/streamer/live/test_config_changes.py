"""A cameras file that changes while everything runs: what is different, and a broken one changes nothing."""

from __future__ import annotations

import os

import pytest

from streamer.live.config import LiveConfig
from streamer.live.config_changes import ConfigReloader, changes
from streamer.live.config_file import read_config

BEFORE = "cameras: [rtsp://a, rtsp://b, {uri: rtsp://c, user: u, password: x}]"


def config(**settings):
    return LiveConfig.model_validate({"cameras": ["rtsp://a", "rtsp://b"], **settings})


def names(cameras):
    return [camera.name for camera in cameras]


def test_cameras_are_compared_by_name_and_their_order_means_nothing():
    new = config(cameras=["rtsp://d", {"uri": "rtsp://b", "stall": 3}, "rtsp://a"])
    found = changes(config(cameras=["rtsp://a", "rtsp://b", "rtsp://c"]), new)
    assert (names(found.added), names(found.removed)) == (["d"], ["c"])
    assert (names(found.changed), names(found.same)) == (["b"], ["a"])
    assert found.changed[0].stall == 3
    assert found.shared == ()


def test_a_camera_that_is_no_longer_enabled_is_removed_and_a_changed_default_changes_its_cameras():
    found = changes(config(), config(cameras=[{"uri": "rtsp://a", "enabled": False}, "rtsp://b"]))
    assert (names(found.removed), names(found.same)) == (["a"], ["b"])
    found = changes(config(), config(defaults={"stall": 3}, cameras=["rtsp://a", {"uri": "rtsp://b", "stall": 20}]))
    assert (names(found.changed), names(found.same)) == (["a"], ["b"])


def test_what_concerns_all_cameras_is_named():
    found = changes(config(), config(seed=3, mqtt="mqtt://b", retention={"age": "3d"}))
    assert found.shared == ("seed", "retention", "mqtt")
    assert names(found.same) == ["a", "b"]


def test_another_password_is_a_change():
    before, after = (
        config(cameras=[{"uri": "rtsp://a", "user": "u", "password": word}]) for word in ("hunter1", "hunter2")
    )
    assert names(changes(before, after).changed) == ["a"]


@pytest.fixture
def reloader(tmp_path):
    path = tmp_path / "cameras.yaml"
    path.write_text(BEFORE)
    said = []
    reloader = ConfigReloader(path, read_config(path), said.append)

    def write(text):
        path.write_text(text)
        status = path.stat()
        write.count += 1
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + write.count))

    write.count = 0
    return reloader, write, said, path


def test_a_changed_file_is_read_once_it_has_stood_still(reloader):
    watching, write, said, _ = reloader
    assert watching.poll() is None
    write("cameras: [rtsp://a, rtsp://b")
    assert watching.poll() is None
    write("cameras: [rtsp://a, rtsp://b]")
    assert watching.poll() is None
    found = watching.poll()
    assert found is not None
    assert names(found.removed) == ["c"]
    assert watching.poll() is None
    assert names(watching.config.cameras) == ["a", "b"]
    assert said == []


def test_a_file_that_changed_after_it_was_read_and_before_it_was_watched_is_taken_over(tmp_path):
    path = tmp_path / "cameras.yaml"
    path.write_text("cameras: [rtsp://a]")
    config = read_config(path)
    path.write_text("cameras: [rtsp://b]")
    found = ConfigReloader(path, config, print).poll()
    assert found is not None
    assert names(found.added) == ["b"]


def test_a_broken_file_is_warned_of_once_and_the_old_settings_stay(reloader):
    watching, write, said, path = reloader
    write("cameras: [rtsp://a\n")
    assert [watching.poll() for _ in range(5)] == [None] * 5
    assert len(said) == 1
    assert watching.reload() is None
    assert len(said) == 2  # who asks is answered
    assert "cameras.yaml line 2" in said[0]
    assert "everything goes on with the settings of before" in said[0]
    assert len(watching.config.cameras) == 3
    path.unlink()
    assert [watching.poll() for _ in range(3)] == [None] * 3
    write(BEFORE)
    assert [watching.poll() for _ in range(3)] == [None] * 3
    write("cameras: [rtsp://a\n")
    assert [watching.poll() for _ in range(3)] == [None] * 3
    assert len(said) == 3


def test_a_reload_on_request_reads_even_a_file_that_looks_the_same(reloader, monkeypatch):
    watching, write, _, _ = reloader
    assert watching.reload() is None
    write("cameras: ['rtsp://${HOST}']")
    monkeypatch.setenv("HOST", "z")
    found = watching.reload()
    assert found is not None
    assert names(found.added) == ["z"]
    monkeypatch.setenv("HOST", "y")
    assert watching.poll() is None
    found = watching.reload()
    assert found is not None
    assert names(found.added) == ["y"]

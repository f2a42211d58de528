"""The MQTT sink with a real broker: what is kept, what survives a restart of either, and what the user is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path

import pytest

from streamer.sinks import mqtt_link
from streamer.sinks.event_log import event_record
from streamer.sinks.event_store import EventStore
from streamer.sinks.messages import StoredMessage, event_message
from streamer.sinks.mqtt import BACK_OFF, MqttSettings, MqttSink
from streamer.sinks.outbox_worker import DeliveryError, OutboxWorker
from tests.mosquitto import PASSWORD, REQUIRE, USER, Listener, Mosquitto, free_port, program, retained
from tests.streamer.sinks.notices_for_tests import AT, event, score, state, told

BASE = "avid-watch/house"
GATE = f"{BASE}/cameras/gate"
QUICK = {"instance": "house", "first_retry": 0.05, "longest_retry": 0.2}


@pytest.fixture
def broker(tmp_path):
    made = Mosquitto(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def start():
    """Begin sinks, and close them after the test."""
    begun = []

    def begin(port, cameras=("gate",), *, report=lambda _: None, **more) -> MqttSink:
        sink = MqttSink(MqttSettings("127.0.0.1", port, **(QUICK | more)), cameras, report=report)
        begun.append(sink)
        sink.start()
        return sink

    yield begin
    for sink in begun:
        sink.close(1.0)


def until(condition, seconds=10.0) -> None:
    over = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < over, "it never came to be"
        time.sleep(0.01)


def stored(number, step="new", camera="gate") -> StoredMessage:
    text = event_message(number, AT, camera, step, event_record(event(camera, number)))
    return StoredMessage(number, AT, camera, step, text)


def test_what_is_now_is_kept_for_those_who_come_later(broker, start, tmp_path) -> None:
    picture = tmp_path / "snapshots" / "peak.jpg"
    picture.parent.mkdir()
    picture.write_bytes(b"\xff\xd8 a picture \xff\xd9")
    sink = start(broker.port)
    listener = Listener(broker.port, (f"{BASE}/#",))
    sink.give(state("watching"))
    sink.give(told("new", folder=tmp_path, snapshot="snapshots/peak.jpg"))
    sink.give(score(5.5))
    listener.wait_for(f"{GATE}/snapshot", picture.read_bytes())
    listener.wait(lambda _: listener.latest(f"{GATE}/score") is not None)
    kept = retained(broker.port)
    assert json.loads(kept[f"{GATE}/state"])["state"] == "watching"
    assert kept[f"{GATE}/availability"] == b"online"
    assert kept[f"{GATE}/alarm"] == b"ON"
    assert kept[f"{GATE}/problem"] == b"OFF"
    assert kept[f"{GATE}/snapshot"] == picture.read_bytes()
    assert kept[f"{BASE}/status"] == b"online"
    assert f"{GATE}/score" not in kept
    assert sum(topic.startswith("homeassistant/") for topic in kept) == 7
    sink.close(2.0)
    assert retained(broker.port)[f"{BASE}/status"] == b"offline"
    listener.close()


def test_an_event_is_published_once_and_not_kept(broker, start) -> None:
    listener = Listener(broker.port, (f"{GATE}/events",))
    sink = start(broker.port)
    until(lambda: sink.is_connected)
    for number, step in enumerate(("new", "update", "end"), start=1):
        sink.deliver(stored(number, step))
    listener.wait(lambda heard: len(heard) == 3)
    documents = [json.loads(item.payload) for item in listener.heard]
    assert [document["message"] for document in documents] == ["new", "update", "end"]
    assert documents[0]["event"]["id"] == "gate-1000"
    assert f"{GATE}/events" not in retained(broker.port)
    listener.close()


def test_a_missing_broker_fails_the_tests_where_it_is_required(monkeypatch) -> None:
    monkeypatch.setenv(REQUIRE, "1")
    with pytest.raises(pytest.fail.Exception, match="not installed"):
        program("no-such-broker")
    monkeypatch.delenv(REQUIRE)
    with pytest.raises(pytest.skip.Exception, match="not installed"):
        program("no-such-broker")


def test_messages_about_states_are_passed_over(broker, start) -> None:
    start(free_port()).deliver(StoredMessage(1, AT, "gate", "state", "{}"))


def test_after_a_kill_the_broker_says_offline(broker) -> None:
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("mqtt_child.py")), str(broker.port)],
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        assert child.stdout.readline() == b"up\n"
        listener = Listener(broker.port, (f"{BASE}/#",))
        listener.wait_for(f"{BASE}/status", b"online")
        listener.wait_for(f"{GATE}/alarm", b"ON")
        child.send_signal(signal.SIGKILL)
        listener.wait_for(f"{BASE}/status", b"offline")
        listener.close()
        assert retained(broker.port)[f"{BASE}/status"] == b"offline"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_a_broker_restarted_while_events_come_loses_none_and_keeps_their_order(broker, start, tmp_path) -> None:
    listener = Listener(broker.port, (f"{GATE}/events", f"{GATE}/alarm"))
    sink = start(broker.port)
    store = EventStore(tmp_path / "events.sqlite")
    worker = OutboxWorker(store, sink, back_off=BACK_OFF)
    over = threading.Event()
    given = []

    def happen() -> None:
        for number in count(1):
            if over.is_set():
                return
            for step in ("new", "end"):
                notice = told(step, number=number)
                sink.give(notice)
                given.append(store.append(notice))
                worker.give(notice)
            time.sleep(0.005)

    thread = threading.Thread(target=happen)
    thread.start()
    try:
        for _ in range(2):
            seen = len(listener.heard)
            listener.wait(lambda heard, enough=seen + 20: len(heard) > enough)
            broker.stop()
            time.sleep(0.1)
            broker.start()
        until(lambda: sink.is_connected)
    finally:
        over.set()
        thread.join()

    def came() -> list[int]:
        return [json.loads(payload)["sequence"] for payload in listener.all(f"{GATE}/events")]

    listener.wait(lambda _: set(given) <= set(came()), 20)
    first_time = list(dict.fromkeys(came()))
    assert first_time == given
    listener.wait_for(f"{GATE}/alarm", b"OFF")
    until(lambda: worker.counts.queued == 0)
    assert worker.counts.lost == 0
    worker.close(2.0)
    store.close()
    listener.close()


def test_a_broker_that_lost_its_memory_is_told_everything_again(broker, start, tmp_path) -> None:
    sink = start(broker.port)
    sink.give(state("watching"))
    sink.give(told("new"))
    until(lambda: retained(broker.port).get(f"{GATE}/alarm") == b"ON")
    before = retained(broker.port)
    broker.kill()
    (tmp_path / "mosquitto.db").unlink(missing_ok=True)
    until(lambda: not sink.is_connected)
    sink.give(told("end"))
    broker.start()
    until(lambda: sink.is_connected)
    until(lambda: retained(broker.port) == before | {f"{GATE}/alarm": b"OFF"})


def test_an_event_is_refused_for_now_while_the_broker_is_away(broker, start) -> None:
    sink = start(broker.port)
    until(lambda: sink.is_connected)
    broker.stop()
    with pytest.raises(DeliveryError, match=rf"MQTT broker 127\.0\.0\.1:{broker.port}") as failure:
        sink.deliver(stored(1))
    assert failure.value.retry
    until(lambda: sink.problem is not None and "nobody listens" in sink.problem)
    broker.start()
    until(lambda: sink.is_connected)
    assert sink.problem is None
    sink.deliver(stored(1))


def test_a_broker_that_hangs_holds_nobody_up(broker, start) -> None:
    sink = start(broker.port, answer_timeout=0.5)
    until(lambda: sink.is_connected)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        for _ in range(1000):
            sink.give(score(1.0))
        assert time.monotonic() - began < 0.5
        with pytest.raises(DeliveryError, match=r"within 0\.5 s"):
            sink.deliver(stored(1))
        with pytest.raises(DeliveryError):
            sink.deliver(stored(1))
        assert time.monotonic() - began < 3
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    until(lambda: sink.is_connected)
    sink.deliver(stored(1))


def test_a_wrong_password_is_told_once_and_tried_again(tmp_path, start) -> None:
    broker = Mosquitto(tmp_path, password=True)
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    told_lines = []
    try:
        sink = start(broker.port, user=USER, password_file=secret, report=told_lines.append)
        until(lambda: told_lines)
        time.sleep(0.5)  # some more attempts
        (line,) = told_lines
        assert line.startswith(f"MQTT broker 127.0.0.1:{broker.port}: refused the user name or the password")
        secret.write_text(PASSWORD + "\n")
        until(lambda: sink.is_connected)
        assert told_lines[1:] == [f"MQTT broker 127.0.0.1:{broker.port}: connected again"]
        assert not any(word in line for line in told_lines for word in ("hunter2", PASSWORD))
        listener = Listener(broker.port, (f"{BASE}/status",), user=USER, password=PASSWORD)
        listener.wait_for(f"{BASE}/status", b"online")
        listener.close()
    finally:
        broker.kill()


def test_a_removed_camera_disappears_and_so_does_one_of_a_former_run(broker, start) -> None:
    first = start(broker.port, ("gate", "attic"))
    until(lambda: f"{BASE}/cameras/attic/alarm" in retained(broker.port))
    first.close(2.0)
    second = start(broker.port, ("gate", "yard"))
    until(lambda: not any("attic" in topic for topic in retained(broker.port)))
    second.remove_camera("yard")
    until(lambda: not any("yard" in topic for topic in retained(broker.port)))
    second.add_camera("cellar")
    until(lambda: "homeassistant/sensor/avid-watch_house/cellar_score/config" in retained(broker.port))
    kept = retained(broker.port)
    assert kept[f"{GATE}/availability"] == b"offline"
    assert not any("yard" in topic or "attic" in topic for topic in kept)


def test_two_programs_of_one_name_are_told_why_they_push_each_other_out(broker, start) -> None:
    lines = []
    start(broker.port, report=lines.append)
    start(broker.port)
    until(lambda: any("does another program use the same instance name?" in line for line in lines))


def test_home_assistant_is_told_again_when_it_comes_back(broker, start) -> None:
    sink = start(broker.port)
    until(lambda: sink.is_connected)
    config = "homeassistant/binary_sensor/avid-watch_house/gate_alarm/config"
    listener = Listener(broker.port, ("homeassistant/+/+/+/config",), lasting=False)
    listener.wait(lambda _: len(listener.all(config)) == 1)
    listener.client.publish("homeassistant/status", b"online", qos=1)
    listener.wait(lambda _: len(listener.all(config)) == 2)
    assert len(set(listener.all(config))) == 1
    listener.close()


def test_a_will_that_comes_late_does_not_stand(broker, start) -> None:
    sink = start(broker.port)
    until(lambda: sink.is_connected)
    listener = Listener(broker.port, (f"{BASE}/status",))
    listener.client.publish(f"{BASE}/status", b"offline", qos=1, retain=True)
    listener.wait(lambda _: listener.all(f"{BASE}/status")[-2:] == [b"offline", b"online"])
    sink.close(2.0)
    listener.wait_for(f"{BASE}/status", b"offline")
    listener.close()


def test_a_picture_that_is_too_large_or_gone_is_left_out(broker, start, tmp_path) -> None:
    (tmp_path / "large.jpg").write_bytes(bytes(2000))
    (tmp_path / "small.jpg").write_bytes(b"small")
    sink = start(broker.port, ("gate", "yard", "cellar"), largest_snapshot=1000)
    sink.give(told("end", camera="gate", folder=tmp_path, snapshot="large.jpg"))
    sink.give(told("end", camera="yard", folder=tmp_path, snapshot="gone.jpg"))
    sink.give(told("end", camera="cellar", folder=tmp_path, snapshot="small.jpg"))
    until(lambda: f"{BASE}/cameras/cellar/snapshot" in retained(broker.port))
    assert [topic for topic in retained(broker.port) if topic.endswith("/snapshot")] == [
        f"{BASE}/cameras/cellar/snapshot"
    ]


def test_scores_are_lost_without_harm_while_the_broker_is_away(broker, start) -> None:
    sink = start(broker.port)
    until(lambda: sink.is_connected)
    listener = Listener(broker.port, (f"{GATE}/score",))
    broker.stop()
    for level in range(1000):
        sink.give(score(float(level)))
    listener.subscribed.clear()
    broker.start()
    until(lambda: sink.is_connected)
    assert listener.subscribed.wait(10)
    sink.give(score(7.5))
    listener.wait(lambda heard: bool(heard) and json.loads(heard[-1].payload)["level"] == 7.5)
    assert len(listener.heard) < 10
    listener.close()


def test_reconnecting_leaves_no_threads_and_no_open_files(broker, start) -> None:
    sink = start(broker.port)
    until(lambda: sink.is_connected)

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    threads, files = threading.active_count(), open_files()
    for _ in range(4):
        broker.stop()
        until(lambda: sink.problem is not None and "nobody listens" in sink.problem)
        broker.start()
        until(lambda: sink.is_connected)
    assert threading.active_count() <= threads
    assert open_files() <= files
    sink.close(2.0)
    assert threading.active_count() <= threads - 2
    sink.give(score(1.0))
    sink.close(2.0)


def test_a_sink_whose_broker_never_was_there_closes_at_once(start) -> None:
    sink = start(free_port())
    until(lambda: sink.problem is not None)
    began = time.monotonic()
    sink.close(5.0)
    assert time.monotonic() - began < 1


def test_a_server_that_is_no_broker_is_told_as_such(start) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        sink = start(server.getsockname()[1])
        connection, _ = server.accept()
        connection.close()
        until(lambda: sink.problem is not None)
        assert "closed the connection at once" in sink.problem


@pytest.fixture
def certificate(tmp_path) -> tuple[Path, Path]:
    made = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    subject = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    out = ["-addext", subject, "-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run([program("openssl"), *command.split(), *out], check=True, capture_output=True)
    return made


def test_a_broker_is_spoken_to_through_tls_and_only_when_trusted(tmp_path, certificate, start) -> None:
    broker = Mosquitto(tmp_path, tls=certificate)
    try:
        sink = start(broker.port, tls=True, ca_file=certificate[0])
        until(lambda: sink.is_connected)
        sink.deliver(stored(1))
        os.kill(broker.pid, signal.SIGSTOP)
        link = sink._link
        assert isinstance(link, mqtt_link.Link)
        link.drop()
        assert not sink.is_connected
        os.kill(broker.pid, signal.SIGCONT)
        until(lambda: sink.is_connected)
        stranger = start(broker.port, tls=True)
        until(lambda: stranger.problem is not None)
        assert "not trusted" in stranger.problem
        careless = start(broker.port, tls=True, verify=False, instance="careless")
        until(lambda: careless.is_connected)
        plain = start(broker.port, connect_timeout=1.0)
        until(lambda: plain.problem is not None)
    finally:
        broker.kill()

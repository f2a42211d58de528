"""The endpoint as Prometheus and a supervisor meet it, and as an attacker does."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import suppress

import pytest
from prometheus_client.parser import text_string_to_metric_families

from preprocess.errors import UsageError
from streamer.live.notices import CameraState
from streamer.metrics import Metrics
from streamer.sinks.http_endpoint import EndpointSettings, HttpEndpoint


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics()
    made.add_camera("gate")
    return made


@pytest.fixture
def endpoint(metrics):
    with HttpEndpoint(metrics, EndpointSettings(port=0, connections=4, seconds=0.6)) as made:
        yield made


def ask(endpoint, path, method="GET") -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def answer_threads() -> int:
    return sum(thread.name == "metrics-answer" for thread in threading.enumerate())


def until(condition, seconds=5.0) -> None:
    over = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < over
        time.sleep(0.01)


def test_prometheus_reads_the_metrics(endpoint, metrics) -> None:
    metrics.scored("gate", 3)
    answer, content = ask(endpoint, "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(content.decode())}
    assert families["avid_watch_camera_frames_scored"].samples[0].value == 3


def test_health_tells_every_camera(endpoint, metrics) -> None:
    metrics.state("gate", CameraState.WATCHING)
    metrics.frame_in("gate", time.time())
    metrics.add_camera("yard")
    metrics.state("yard", CameraState.DEGRADED)
    answer, content = ask(endpoint, "/healthz?verbose=1")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    told = json.loads(content)
    assert told["status"] == "degraded"
    assert told["working"] is True
    assert told["cameras"]["gate"]["state"] == "watching"
    assert 0 <= told["cameras"]["gate"]["last_frame_age"] < 5
    assert told["cameras"]["yard"] == {"state": "degraded", "fine": False, "last_frame_age": None}


def test_a_run_that_does_no_work_answers_503(endpoint, metrics) -> None:
    metrics.state("gate", CameraState.DEGRADED)
    answer, content = ask(endpoint, "/healthz")
    assert answer.status == 503
    assert json.loads(content)["status"] == "down"


def test_head_answers_without_the_content(endpoint) -> None:
    answer, content = ask(endpoint, "/metrics", "HEAD")
    assert answer.status == 200
    assert content == b""
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metricsx", "/../metrics", "/etc/passwd"])
def test_other_paths_are_not_there(endpoint, path) -> None:
    assert ask(endpoint, path)[0].status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(endpoint, method) -> None:
    answer, _ = ask(endpoint, "/metrics", method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


def test_nonsense_is_answered_with_an_error_or_not_at_all(endpoint) -> None:
    for nonsense in (b"\x16\x03\x01\x00\xff" * 20 + b"\r\n\r\n", b"GET " + b"a" * 70000 + b" HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", endpoint.port), timeout=5) as client:
            client.sendall(nonsense)
            assert b" 200 " not in client.recv(1000)
    assert ask(endpoint, "/healthz")[0].status == 200


def test_it_listens_on_this_machine_alone(metrics) -> None:
    assert EndpointSettings().host == "127.0.0.1"
    with HttpEndpoint(metrics, EndpointSettings(port=0)) as made:
        assert made.url == f"http://127.0.0.1:{made.port}"
        assert made.port > 0


def test_a_taken_port_is_told_with_the_way_out(metrics, endpoint) -> None:
    with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{endpoint.port} is taken; choose another port"):
        HttpEndpoint(metrics, EndpointSettings(port=endpoint.port))
    with pytest.raises(UsageError, match="no address of this machine"):
        HttpEndpoint(metrics, EndpointSettings(host="192.0.2.1", port=0))
    with pytest.raises(UsageError, match="cannot be listened on"):
        HttpEndpoint(metrics, EndpointSettings(port=70000))


def test_the_port_is_free_again_after_the_end(metrics) -> None:
    first = HttpEndpoint(metrics, EndpointSettings(port=0)).start()
    assert ask(first, "/healthz")[0].status == 200
    first.close()
    first.close()
    with HttpEndpoint(metrics, EndpointSettings(port=first.port)) as second:
        assert ask(second, "/healthz")[0].status == 200


def test_one_that_never_started_can_be_closed(metrics) -> None:
    HttpEndpoint(metrics, EndpointSettings(port=0)).close()


def test_silent_and_slow_clients_are_cut_off(endpoint) -> None:
    silent = socket.create_connection(("127.0.0.1", endpoint.port), timeout=5)
    slow = socket.create_connection(("127.0.0.1", endpoint.port), timeout=5)
    began = time.monotonic()
    with suppress(OSError):
        while time.monotonic() - began < 5:
            slow.sendall(b"G")
            time.sleep(0.05)
    assert time.monotonic() - began < 2
    assert silent.recv(10) == b""
    silent.close()
    slow.close()
    until(lambda: answer_threads() == 0)


def test_too_many_clients_are_turned_away_and_the_rest_is_served(endpoint) -> None:
    clients = [socket.create_connection(("127.0.0.1", endpoint.port), timeout=5) for _ in range(4)]
    until(lambda: answer_threads() == 4)
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=5) as one_more:
        assert one_more.recv(1000).startswith(b"HTTP/1.1 503")
    assert answer_threads() == 4
    for client in clients:
        client.close()
    until(lambda: answer_threads() == 0)
    assert ask(endpoint, "/metrics")[0].status == 200


def test_many_requests_leave_no_threads(endpoint) -> None:
    before = threading.active_count()
    for _ in range(50):
        assert ask(endpoint, "/healthz")[0].status == 200
    until(lambda: threading.active_count() <= before)


def test_closing_cuts_those_who_are_still_there(metrics) -> None:
    made = HttpEndpoint(metrics, EndpointSettings(port=0)).start()
    with socket.create_connection(("127.0.0.1", made.port), timeout=5) as client:
        until(lambda: answer_threads() == 1)
        began = time.monotonic()
        made.close()
        assert time.monotonic() - began < 1.5
        assert client.recv(10) == b""
    until(lambda: answer_threads() == 0)

"""Webhooks against a real server: nothing lost, nothing out of order, every signature right, no secret anywhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING

import jsonschema
import pytest

from preprocess.errors import UsageError
from streamer.sinks.event_store import EventStore
from streamer.sinks.messages import StoredMessage, event_message, state_message
from streamer.sinks.outbox_worker import BackOff, DeliveryError, OutboxWorker
from streamer.sinks.webhook import LARGEST_SNAPSHOT, Webhook
from tests.streamer.sinks.http_receiver import HttpReceiver
from tests.streamer.sinks.notices_for_tests import AT, event, state, told

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "a-shared-secret"  # noqa: S105 - of the test
SCHEMA = json.loads(files("streamer").joinpath("schemas/message.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


@pytest.fixture
def receiver():
    one = HttpReceiver()
    one.start()
    yield one
    one.stop()


def message(step="new", sequence=7, folder=None, **more) -> StoredMessage:
    from streamer.sinks.event_log import event_record

    text = event_message(sequence, AT, "gate", step, event_record(event(**more)))
    return StoredMessage(sequence, AT, "gate", step, text, folder)


def state_change(sequence=7) -> StoredMessage:
    return StoredMessage(sequence, AT, "gate", "state", state_message(sequence, state("offline")))


def verified(request, secret=SECRET, *, now=None, patience=300.0) -> dict:
    """What docs/alarms.md tells a receiver to do."""
    stamp = request.headers["X-Avid-Watch-Timestamp"]
    expected = hmac.new(secret.encode(), stamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(request.headers["X-Avid-Watch-Signature"], f"sha256={expected}")
    assert abs((time.time() if now is None else now) - int(stamp)) <= patience
    return json.loads(request.body)


def eventually(holds, seconds=20.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.01)
    return False


def test_a_message_arrives_as_documented_and_signed(receiver):
    Webhook(receiver.url + "?token=abc", secret=SECRET, headers={"X-Own": "1"}).deliver(message(zones=("door",)))
    (request,) = receiver.got
    document = verified(request)
    VALIDATOR.validate(document)
    assert request.path == "/alarms?token=abc"
    assert request.headers["Content-Type"] == "application/json"
    assert (request.headers["X-Avid-Watch-Delivery"], request.headers["X-Own"]) == ("7", "1")
    assert (document["sequence"], document["message"], document["event"]["zones"]) == (7, "new", ["door"])


def test_a_request_caught_on_the_way_is_no_good_later_or_with_another_time(receiver):
    Webhook(receiver.url, secret=SECRET, clock=lambda: 1_000_000.0).deliver(message())
    (request,) = receiver.got
    verified(request, now=1_000_100.0)
    with pytest.raises(AssertionError):
        verified(request, now=1_000_400.0)
    with pytest.raises(AssertionError):
        verified(replace(request, headers=request.headers | {"X-Avid-Watch-Timestamp": "1000400"}), now=1_000_400.0)


def test_without_a_secret_there_is_no_signature(receiver):
    Webhook(receiver.url).deliver(message())
    assert "X-Avid-Watch-Signature" not in receiver.got[0].headers


def test_user_and_password_become_basic_authentication(receiver):
    address = receiver.url.replace("//", "//gate%20keeper:p%40ss@")
    Webhook(address).deliver(message())
    expected = base64.b64encode(b"gate keeper:p@ss").decode()
    assert receiver.got[0].headers["Authorization"] == f"Basic {expected}"


@pytest.mark.parametrize("status", [400, 405, 410, 413, 415, 422])
def test_answers_about_the_message_are_refusals(receiver, status):
    receiver.status = status
    with pytest.raises(DeliveryError, match=f"answers {status}") as caught:
        Webhook(receiver.url).deliver(message())
    assert not caught.value.retry


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 407, 408, 425, 429, 500, 502, 503, 504])
def test_answers_about_the_receiver_are_tried_again(receiver, status):
    receiver.status = status
    receiver.answer_headers = {"Location": receiver.url, "Retry-After": "17"}
    with pytest.raises(DeliveryError, match=f"answers {status}") as caught:
        Webhook(receiver.url).deliver(message())
    assert caught.value.retry
    assert caught.value.after == (17 if status >= 400 else None)
    assert receiver.tries == 1  # redirects are not followed


def test_a_date_as_retry_after_is_left_aside(receiver):
    receiver.status = 503
    receiver.answer_headers = {"Retry-After": "Sun, 01 Mar 2026 08:00:00 GMT"}
    with pytest.raises(DeliveryError) as caught:
        Webhook(receiver.url).deliver(message())
    assert caught.value.after is None


def test_nobody_listens(receiver):
    receiver.stop()
    with pytest.raises(DeliveryError, match="nobody listens there") as caught:
        Webhook(receiver.url).deliver(message())
    assert caught.value.retry


def test_a_receiver_that_hangs_is_left_in_time(receiver):
    receiver.hangs = True
    began = time.monotonic()
    with pytest.raises(DeliveryError, match="time-out"):
        Webhook(receiver.url, time_out=0.2).deliver(message())
    assert time.monotonic() - began < 2


def test_a_receiver_that_answers_byte_by_byte_is_left_in_time():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def trickle() -> None:
            line, _ = listener.accept()
            with line:
                try:
                    for byte in b"HTTP/1.1 " + b"2" * 1000:
                        line.sendall(bytes([byte]))
                        time.sleep(0.05)
                except OSError:
                    pass

        threading.Thread(target=trickle, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(DeliveryError, match="time-out"):
            Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/", time_out=0.3).deliver(message())
        assert time.monotonic() - began < 2


def test_what_is_no_http_is_told(receiver):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            line, _ = listener.accept()
            with line:
                line.recv(65536)
                line.sendall(b"220 mail.example ESMTP\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(DeliveryError, match="no proper HTTP answer"):
            Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/").deliver(message())


def test_only_the_kinds_asked_for_are_sent(receiver):
    hook = Webhook(receiver.url, kinds=["camera_offline"], states=False)
    hook.deliver(message())
    hook.deliver(state_change())
    hook.deliver(message(sequence=9))
    hook.deliver(replace(message(sequence=8), text=message(sequence=8).text.replace('"anomaly"', '"camera_offline"')))
    assert [json.loads(request.body)["sequence"] for request in receiver.got] == [8]
    Webhook(receiver.url).deliver(state_change())
    VALIDATOR.validate(json.loads(receiver.got[-1].body))


def test_the_picture_goes_along_where_asked_for_and_there(receiver, tmp_path):
    hook = Webhook(receiver.url, snapshot=True, secret=SECRET)
    hook.deliver(message())
    hook.deliver(message(folder=tmp_path, snapshot="peak.jpg"))
    (tmp_path / "peak.jpg").write_bytes(b"\xff\xd8picture")
    hook.deliver(message(folder=tmp_path, snapshot="peak.jpg"))
    Webhook(receiver.url).deliver(message(folder=tmp_path, snapshot="peak.jpg"))
    (tmp_path / "peak.jpg").write_bytes(b"\0" * (LARGEST_SNAPSHOT + 1))
    hook.deliver(message(folder=tmp_path, snapshot="peak.jpg"))
    pictures = [json.loads(request.body).get("snapshot_jpeg") for request in receiver.got]
    assert pictures == [None, None, base64.b64encode(b"\xff\xd8picture").decode(), None, None]
    VALIDATOR.validate(verified(receiver.got[2]))


@pytest.mark.parametrize(
    "address",
    [
        "ftp://host/x",
        "host/x",
        "https:///x",
        "http://host:99999/x",
        "http://host/a b",
        "http://host/ü",
        "http://[::1/x",
    ],
)
def test_an_address_that_cannot_be_is_refused_without_being_repeated(address):
    with pytest.raises(UsageError) as caught:
        Webhook(address.replace("://", "://user:hidden@", 1))
    assert "hidden" not in str(caught.value)


def test_a_header_that_would_begin_another_is_refused():
    with pytest.raises(UsageError, match="line break"):
        Webhook("http://host/", headers={"X-A": "hidden\r\nX-B: 2"})


def test_no_secret_is_in_a_name_an_error_a_warning_or_the_store(receiver, tmp_path):
    warnings: list[str] = []
    address = receiver.url.replace("//", "//user:hidden-password@") + "/hidden-path?token=hidden-token"
    receiver.status = 500
    hook = Webhook(address, secret="hidden-" + SECRET, headers={"Authorization": "Bearer hidden-bearer"})
    with EventStore(tmp_path / "e.sqlite3", warn=warnings.append) as store:
        worker = OutboxWorker(store, hook, warn=warnings.append, back_off=BackOff(0.01, 0.02))
        store.append(told("new"))
        worker.wake()
        assert eventually(lambda: receiver.tries > 2)
        receiver.status = 400
        assert eventually(lambda: store.sink(hook.name).refused)
        receiver.stop()
        store.append(told("end"))
        worker.wake()
        assert eventually(lambda: store.sink(hook.name).last_error == "nobody listens there")
        worker.close(1)
    assert len(warnings) >= 2
    assert "hidden" not in repr((hook.name, worker.name, warnings))
    assert b"hidden" not in (tmp_path / "e.sqlite3").read_bytes()


def test_a_receiver_that_is_away_fails_and_hangs_gets_everything_in_order_in_the_end(receiver, tmp_path):
    """The receiver is gone, then answers 500, then hangs, then 429, then is well; alarms go on all the while."""
    warnings: list[str] = []
    hook = Webhook(receiver.url, secret=SECRET, time_out=0.2)
    sent: list[int] = []
    with EventStore(tmp_path / "e.sqlite3") as store:
        worker = OutboxWorker(store, hook, warn=warnings.append, back_off=BackOff(0.02, 0.1))

        def alarm(count=5) -> None:
            for _ in range(count):
                sent.append(store.append(told("new", number=len(sent) + 1)))
                worker.give(told("new"))

        alarm()
        assert eventually(lambda: len(receiver.got) == 5)
        receiver.stop()
        alarm()
        assert eventually(lambda: store.sink(hook.name).last_error == "nobody listens there")
        receiver.status = 500
        receiver.start()
        alarm()
        assert eventually(lambda: store.sink(hook.name).last_error.startswith("answers 500"))
        receiver.hangs = True
        alarm()
        assert eventually(lambda: store.sink(hook.name).last_error == "time-out")
        receiver.hangs, receiver.status = False, 429
        alarm()
        assert eventually(lambda: store.sink(hook.name).last_error.startswith("answers 429"))
        receiver.status = 200
        assert eventually(lambda: worker.counts.queued == 0)
        worker.close(5)
        counts = worker.counts
    got = [verified(request)["sequence"] for request in receiver.got]
    assert [number for at, number in enumerate(got) if at == 0 or number != got[at - 1]] == sent  # at least once
    assert [int(request.headers["X-Avid-Watch-Delivery"]) for request in receiver.got] == got
    assert (counts.delivered, counts.failed, counts.lost) == (25, 0, 0)
    assert [text.partition(": ")[2].startswith("reached again") for text in warnings] == [False, True]


def test_what_was_not_delivered_is_delivered_by_the_next_run(receiver, tmp_path):
    receiver.stop()
    hook = Webhook(receiver.url, secret=SECRET)
    with EventStore(tmp_path / "e.sqlite3") as store:
        worker = OutboxWorker(store, hook)
        sent = [store.append(told(kind)) for kind in ("new", "update", "end")]
        worker.close(0.5)
    receiver.start()
    with EventStore(tmp_path / "e.sqlite3") as store:
        worker = OutboxWorker(store, Webhook(receiver.url, secret=SECRET))
        sent.append(store.append(told("new", number=2)))
        worker.close(10)
    assert [verified(request)["sequence"] for request in receiver.got] == sent


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate of this test, is not installed")
    folder = tmp_path_factory.mktemp("tls")
    wanted = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    places = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    command = ["openssl", *wanted.split(), "-addext", "subjectAltName=IP:127.0.0.1", *places]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return folder / "cert.pem", folder / "key.pem"


def test_a_certificate_nobody_vouches_for_is_not_trusted(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    one = HttpReceiver(tls=context)
    one.start()
    try:
        with pytest.raises(DeliveryError, match="its certificate is not trusted") as caught:
            Webhook(one.url).deliver(message())
        assert caught.value.retry
        assert one.tries == 0
        Webhook(one.url, secret=SECRET, ca_file=certificate[0]).deliver(message())
        verified(one.got[0], now=datetime.now(UTC).timestamp())
    finally:
        one.stop()

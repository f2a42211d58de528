"""Alarms through Apprise, to a real HTTP server behind Apprise's own JSON service."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import datetime

import pytest

from preprocess.errors import UsageError
from streamer.events import MessageKind
from streamer.sinks.apprise_sink import AppriseSink, wording
from streamer.sinks.event_log import event_record
from streamer.sinks.messages import StoredMessage, event_message, state_message
from streamer.sinks.outbox_worker import DeliveryError
from tests.streamer.sinks.http_receiver import HttpReceiver
from tests.streamer.sinks.notices_for_tests import AT, event, state


def message(step="new", sequence=7, folder=None, **more) -> StoredMessage:
    text = event_message(sequence, AT, "gate", step, event_record(event(**more)))
    return StoredMessage(sequence, AT, "gate", step, text, folder)


def service(receiver) -> str:
    return receiver.url.replace("http://", "json://")


@pytest.fixture
def receiver():
    pytest.importorskip("apprise", reason="the optional extra 'apprise' is not installed")
    one = HttpReceiver(status=200)
    one.start()
    yield one
    one.stop()


def test_an_event_arrives_as_title_body_and_picture(receiver, tmp_path):
    (tmp_path / "peak.jpg").write_bytes(b"\xff\xd8picture")
    AppriseSink([service(receiver)]).deliver(message(folder=tmp_path, snapshot="peak.jpg", zones=("door",)))
    document = json.loads(receiver.got[0].body)
    assert document["title"] == "gate: something irregular"
    assert "in door" in document["message"]
    assert "level 6.5" in document["message"]
    assert [attachment["filename"] for attachment in document["attachments"]] == ["peak.jpg"]


def test_only_the_steps_and_kinds_asked_for_are_sent(receiver):
    sink = AppriseSink([service(receiver)], on=[MessageKind.END], kinds=["anomaly"])
    sink.deliver(message("new"))
    sink.deliver(message("update"))
    sink.deliver(StoredMessage(8, AT, "gate", "state", state_message(8, state("offline"))))
    other = message("end")
    sink.deliver(replace(other, text=other.text.replace('"kind":"anomaly"', '"kind":"camera_frozen"')))
    assert receiver.got == []
    sink.deliver(message("end"))
    assert json.loads(receiver.got[0].body)["title"] == "gate: something irregular - over"


def test_a_service_that_is_away_is_tried_again_and_the_others_hear_it_once(receiver, tmp_path):
    (tmp_path / "peak.jpg").write_bytes(b"\xff\xd8picture")
    other = HttpReceiver(status=500)
    other.start()
    sink = AppriseSink([service(receiver), service(other)])
    told = message(folder=tmp_path, snapshot="peak.jpg")
    with pytest.raises(DeliveryError, match="1 of 2 services") as caught:
        sink.deliver(told)
    assert caught.value.retry
    other.status = 200
    sink.deliver(told)
    other.stop()
    assert (len(receiver.got), len(other.got)) == (1, 1)
    assert json.loads(other.got[0].body)["attachments"] == []  # the picture may have been what was not taken


def test_addresses_never_reach_an_error_or_the_screen(receiver, capfd):
    with pytest.raises(UsageError, match="address 2") as caught:
        AppriseSink([service(receiver), "nosuch://hidden:hidden@host"])
    receiver.stop()
    with pytest.raises(DeliveryError) as failed:
        AppriseSink([service(receiver).replace("//", "//user:hidden@")]).deliver(message())
    assert "hidden" not in f"{caught.value} {failed.value} {capfd.readouterr()}"


def test_without_the_extra_the_way_to_install_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(UsageError, match=r"pip install 'avid-watch\[apprise\]'"):
        AppriseSink(["json://host"])


def test_the_wording_says_what_when_where_and_why():
    title, body = wording(message("new", kind="anomaly", provisional=True, detail="dusk").document)
    began = datetime.fromisoformat("2026-03-01T08:00:12.300+00:00").astimezone()
    assert title == "gate: something irregular"
    assert body.splitlines() == [
        f"since {began:%Y-%m-%d %H:%M:%S %Z}",
        "level 6.5",
        "provisional: the camera still learns what is normal",
        "dusk",
        "event gate-1000",
    ]
    document = message("end").document
    document["event"]["kind"] = "camera_offline"
    title, body = wording(document)
    assert title == "gate: camera offline - over"
    assert "level" not in body

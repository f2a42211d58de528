"""Notices as a live run makes them."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from streamer.events import Event, EventMessage, MessageKind
from streamer.live.notices import CameraState, EventNotice, ScoreNotice, StateNotice

AT = datetime(2026, 3, 1, 8, 0, 12, 300000, tzinfo=UTC)
FOLDER = Path("/nowhere/gate.avid")


def event(camera="gate", number=1, kind="anomaly", **more) -> Event:
    start = Fraction(number)
    values = {
        "id": f"{camera}-{number * 1000}",
        "source": camera,
        "kind": kind,
        "start": start,
        "end": start + 2,
        "peak": start + 1,
        "start_time": AT,
        "end_time": AT,
        "peak_time": AT,
        "peak_level": 6.5,
        "peak_p_value": 10.0**-6.5,
        "regions": (),
        "track": (),
        "frames": 20,
        "in_learning": False,
    }
    return Event(**(values | more))


def told(step="new", camera="gate", number=1, kind="anomaly", folder=FOLDER, **more) -> EventNotice:
    message = EventMessage(MessageKind(step), event(camera, number, kind, **more))
    return EventNotice(camera=camera, message=message, at=AT, folder=folder)


def state(now, before="connecting", camera="gate", cause="") -> StateNotice:
    return StateNotice(camera, CameraState(now), CameraState(before), AT, cause)


def score(level, camera="gate") -> ScoreNotice:
    return ScoreNotice(camera, level, 4.0, AT)

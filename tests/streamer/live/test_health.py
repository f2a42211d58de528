"""States, health events and holding back of one camera, with a clock that the test moves."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.conditions import Condition
from streamer.events import MessageKind
from streamer.live.camera_source import Cause
from streamer.live.health import CameraHealth, HealthSettings
from streamer.live.notices import CameraState, EventNotice, StateNotice

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEP = 0.1
GOOD = Condition(usable=True, kind="good")
COVERED = Condition(usable=False, kind="dark_or_covered", detail="the picture is dark")
FROZEN = Condition(usable=False, kind="frozen", detail="the same picture for 4 s")
RELIT = Condition(usable=False, kind="lighting_change", detail="the light is down at once")
BLURRED = Condition(usable=False, kind="blurred", detail="out of focus")
STUTTER = Condition(usable=False, kind="stutter", detail="stood still")
CONDITIONS = [GOOD, COVERED, FROZEN, RELIT, BLURRED, STUTTER]


class Camera:
    """A camera's health, its clock, and everything it said."""

    def __init__(self, settings: HealthSettings | None = None) -> None:
        self.now = START
        self.health = CameraHealth("gate", Path("gate.avid"), clock=lambda: self.now, settings=settings)
        self.said = []

    def do(self, notices) -> None:
        self.said += notices

    def up(self) -> Camera:
        self.do(self.health.connecting())
        self.do(self.health.connected())
        self.do(self.health.learned())
        return self

    @property
    def pts(self) -> Fraction:
        return Fraction(round(self.now.timestamp() * 1000), 1000)

    def show(self, condition: Condition, seconds: float, *, corrupt: bool = False) -> list[str]:
        """Frames of one condition; what each was held back for."""
        held = []
        for _ in range(round(seconds / STEP)):
            self.do(self.health.frame(condition, corrupt=corrupt, wall_clock=self.now, pts=self.pts))
            held.append(self.health.hold_back(self.pts))
            self.now += timedelta(seconds=STEP)
        return held

    def away(self, seconds: float, cause: Cause = Cause.TIME_OUT, detail: str = "") -> None:
        """Nobody answers; an attempt every two seconds, a tick every half."""
        for half in range(round(seconds * 2)):
            if half % 4 == 0:
                self.do(self.health.connecting())
                self.do(self.health.lost(cause, detail))
            self.do(self.health.tick())
            self.now += timedelta(seconds=0.5)

    @property
    def states(self) -> list[CameraState]:
        return [notice.state for notice in self.said if isinstance(notice, StateNotice)]

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(n.message.event.kind, n.message.kind.value) for n in self.said if isinstance(n, EventNotice)]

    def event(self, number: int):
        return [notice for notice in self.said if isinstance(notice, EventNotice)][number].message.event


def seconds(moment: Fraction) -> float:
    return float(moment) - START.timestamp()


def test_a_camera_connects_learns_and_watches() -> None:
    camera = Camera()
    camera.do(camera.health.connecting())
    camera.do(camera.health.connected())
    camera.show(GOOD, 3)
    camera.do(camera.health.learned())
    assert camera.states == [CameraState.CONNECTING, CameraState.LEARNING, CameraState.WATCHING]
    first = camera.said[0]
    assert (first.camera, first.before, first.at) == ("gate", CameraState.CONNECTING, START)
    camera.do(camera.health.learning())
    assert camera.health.state is CameraState.LEARNING
    assert camera.events == []


def test_a_short_reconnect_is_no_event() -> None:
    camera = Camera().up()
    camera.show(GOOD, 5)
    camera.away(3)
    camera.do(camera.health.connected())
    camera.show(GOOD, 5)
    assert camera.events == []
    assert camera.states[-2:] == [CameraState.CONNECTING, CameraState.WATCHING]


def test_a_camera_away_for_longer_is_offline_until_it_is_back() -> None:
    camera = Camera().up()
    camera.show(GOOD, 5)
    camera.away(20, Cause.AUTHENTICATION, "401")
    camera.do(camera.health.connected())
    camera.show(GOOD, 5)
    assert camera.events == [("camera_offline", "new"), ("camera_offline", "end")]
    new, end = camera.event(0), camera.event(1)
    assert new.id == end.id == f"gate-camera_offline-{round((START.timestamp() + 5) * 1000)}"
    assert (new.detail, end.detail) == ("authentication: 401", "online again")
    assert seconds(end.start) == pytest.approx(5)
    assert seconds(end.end) == pytest.approx(25)
    assert (end.peak_level, end.peak_p_value, end.regions, end.source) == (0.0, 1.0, (), "gate")
    assert camera.states[-3:] == [CameraState.CONNECTING, CameraState.OFFLINE, CameraState.WATCHING]
    offline = [notice for notice in camera.said if isinstance(notice, StateNotice)][-2]
    assert (offline.cause, (offline.at - START).total_seconds()) == ("authentication: 401", pytest.approx(10, abs=0.6))


def test_a_camera_dead_from_the_start_is_offline_after_the_grace() -> None:
    camera = Camera(HealthSettings(offline_after=2.0))
    camera.away(30, Cause.REFUSED)
    assert camera.events == [("camera_offline", "new")]
    assert camera.states == [CameraState.CONNECTING, CameraState.OFFLINE]


def test_a_connection_that_breaks_again_and_again_is_one_event() -> None:
    camera = Camera().up()
    for _ in range(10):
        camera.away(7)
        camera.do(camera.health.connected())
        camera.show(GOOD, 0.5)
    assert camera.events == [("camera_offline", "new")]


def test_flapping_makes_fewer_and_longer_events() -> None:
    camera = Camera().up()
    for _ in range(40):
        camera.away(7)
        camera.do(camera.health.connected())
        camera.show(GOOD, 5)
    assert Counter(camera.events)[("camera_offline", "new")] <= 8  # of 40 times away


@pytest.mark.parametrize(
    ("condition", "kind", "longest"),
    [(COVERED, "camera_covered", 3.3), (BLURRED, "camera_covered", 3.3), (FROZEN, "camera_frozen", 0.2)],
)
def test_an_unusable_picture_is_an_alarm_of_its_own(condition: Condition, kind: str, longest: float) -> None:
    camera = Camera().up()
    camera.show(GOOD, 5)
    camera.show(condition, 20)
    camera.show(GOOD, 10)
    assert camera.events == [(kind, "new"), (kind, "end")]
    new = next(notice for notice in camera.said if isinstance(notice, EventNotice))
    assert (new.at - START).total_seconds() - 5 <= longest
    assert condition.detail in new.message.event.detail
    assert "held back" in new.message.event.detail
    assert seconds(camera.event(1).end) == pytest.approx(25, abs=0.15)
    assert camera.states[-2:] == [CameraState.DEGRADED, CameraState.WATCHING]


def test_a_hand_that_passes_the_lens_is_no_event() -> None:
    camera = Camera().up()
    camera.show(GOOD, 5)
    camera.show(COVERED, 2)
    camera.show(GOOD, 10)
    assert camera.events == []


def test_a_cover_that_lets_light_through_at_times_is_one_event() -> None:
    camera = Camera().up()
    for _ in range(12):
        camera.show(COVERED, 1.5)
        camera.show(GOOD, 0.5)
    assert camera.events == [("camera_covered", "new")]


def test_alarms_are_held_back_as_long_as_the_picture_is_unusable_and_a_moment_after() -> None:
    camera = Camera().up()
    assert set(camera.show(GOOD, 5)) == {""}
    assert all("dark" in reason for reason in camera.show(COVERED, 200))
    after = camera.show(GOOD, 10)
    assert sum(map(bool, after)) * STEP == pytest.approx(1.5, abs=0.11)
    assert after[-1] == ""


def test_alarms_are_held_back_after_a_lighting_change_for_ten_seconds_at_most() -> None:
    camera = Camera().up()
    camera.show(GOOD, 5)
    held = camera.show(RELIT, 30)
    assert sum(map(bool, held)) * STEP == pytest.approx(10, abs=0.2)
    assert held[0]
    assert not held[-1]
    assert camera.events == [("lighting_change", "new")]


def test_a_stutter_holds_back_without_an_event_or_a_state() -> None:
    camera = Camera().up()
    camera.show(GOOD, 5)
    states = len(camera.states)
    held = camera.show(STUTTER, 0.1) + camera.show(GOOD, 5)
    assert sum(map(bool, held)) * STEP == pytest.approx(1.6, abs=0.15)
    assert (camera.events, len(camera.states)) == ([], states)


def test_verdicts_that_come_late_are_held_back_by_their_own_time() -> None:
    camera = Camera().up()
    camera.show(GOOD, 5)
    covered = camera.pts
    camera.show(COVERED, 5)
    camera.show(GOOD, 10)
    assert camera.health.hold_back(covered + 2)
    assert not camera.health.hold_back(covered - 1)
    assert not camera.health.hold_back(camera.pts)


def test_lighting_changes_close_together_are_one_event() -> None:
    camera = Camera().up()
    for _ in range(5):
        camera.show(RELIT, 2)
        camera.show(GOOD, 10)
    camera.show(GOOD, 30)
    assert camera.events == [("lighting_change", "new"), ("lighting_change", "end")]
    assert camera.event(1).detail == "steady again"


def test_nothing_but_damaged_pictures_degrades_a_camera() -> None:
    camera = Camera().up()
    camera.show(GOOD, 5)
    camera.show(GOOD, 5, corrupt=True)
    assert camera.health.state is CameraState.DEGRADED
    camera.show(GOOD, 1)
    assert camera.health.state is CameraState.WATCHING
    assert camera.events == []


def test_a_camera_covered_while_it_goes_away_ends_both_when_it_is_back() -> None:
    camera = Camera().up()
    camera.show(COVERED, 6)
    camera.away(10)
    camera.do(camera.health.connected())
    camera.show(GOOD, 15)
    assert camera.events == [
        ("camera_covered", "new"),
        ("camera_offline", "new"),
        ("camera_offline", "end"),
        ("camera_covered", "end"),
    ]


def test_closing_ends_what_is_open() -> None:
    camera = Camera().up()
    camera.show(FROZEN, 3)
    camera.do(camera.health.close())
    assert camera.events == [("camera_frozen", "new"), ("camera_frozen", "end")]
    assert "when the run ended" in camera.event(1).detail
    assert camera.health.close() == []


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("show"), st.sampled_from(CONDITIONS), st.floats(0.1, 15)),
        st.tuples(st.just("away"), st.sampled_from(list(Cause)), st.floats(0.5, 15)),
    ),
    max_size=12,
)


@given(STEPS)
def test_every_event_has_one_beginning_and_one_end_and_states_always_change(steps) -> None:
    camera = Camera().up()
    for step, what, length in steps:
        if step == "show":
            if not camera.health.state or camera.states[-1] in {CameraState.CONNECTING, CameraState.OFFLINE}:
                camera.do(camera.health.connected())
            camera.show(what, length)
        else:
            camera.away(length, what)
    camera.do(camera.health.close())
    messages = [notice.message for notice in camera.said if isinstance(notice, EventNotice)]
    by_id: dict[str, list[MessageKind]] = {}
    for message in messages:
        by_id.setdefault(message.event.id, []).append(message.kind)
        assert message.event.start <= message.event.end
    assert all(kinds == [MessageKind.NEW, MessageKind.END] for kinds in by_id.values())
    changes = [notice for notice in camera.said if isinstance(notice, StateNotice)]
    assert all(change.state is not change.before for change in changes[1:])
    assert all(change.before is earlier.state for earlier, change in pairwise(changes))


@given(st.lists(st.tuples(st.sampled_from([GOOD, RELIT]), st.floats(0.1, 25)), max_size=10))
def test_no_sequence_of_lighting_holds_back_longer_than_ten_seconds_after_a_change(spells) -> None:
    camera = Camera().up()
    since_change, before = None, GOOD
    for condition, length in spells:
        for _ in range(round(length / STEP)):
            if condition is RELIT and before is not RELIT:
                since_change = camera.pts
            before = condition
            (held,) = camera.show(condition, STEP)
            if held:
                assert camera.pts - STEP - since_change <= 10.11


def test_what_is_remembered_is_bounded() -> None:
    camera = Camera().up()
    for _ in range(300):
        camera.show(COVERED, 0.1)
        camera.show(GOOD, 3)
    assert len(camera.health._held) <= 64

"""How one camera is doing: its state, the alarms its health gives, and while anomaly alarms are held back.

Pure logic: the clock is injected, times come with the frames, nothing waits and nothing is written. Covering a camera,
freezing it or taking it off the network are alarms in their own right, so nobody silences one by it.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from streamer.live.health_alarms import HealthAlarm, Patience
from streamer.live.notices import CameraState, EventKind, EventNotice, StateNotice

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from preprocess.conditions import Condition, ConditionKind
    from streamer.events import EventMessage
    from streamer.live.camera_source import Cause
    from streamer.live.notices import Notice

HELD_PERIODS: Final = 64
"""Latest periods of holding back that are remembered: verdicts come a little behind their frames."""

DAMAGED: Final = 2.0
"""Seconds without a single sound picture after which a camera is degraded."""

RECOVERED: Final = 1.0
"""Seconds without trouble after which a degraded camera is so no longer: states do not flicker."""

HELD_BACK: Final = "anomaly alarms are held back"

_ALARM_OF: Final[dict[ConditionKind, EventKind]] = {
    "dark_or_covered": EventKind.CAMERA_COVERED,
    "blurred": EventKind.CAMERA_COVERED,
    "restless": EventKind.CAMERA_COVERED,
    "frozen": EventKind.CAMERA_FROZEN,
    "lighting_change": EventKind.LIGHTING_CHANGE,
}


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """Times of a camera's health, all in seconds.

    Attributes:
        offline_after: a camera away for longer is offline, which is an event; a reconnection within is none.
        online_after: pictures must come for so long before it counts as back.
        covered_after: an unusable picture (dark, covered, blurred, full of rain) is an event after so long.
        clear_after: an event of an unusable or frozen picture ends when nothing was wrong for so long.
        lighting_gap: lighting changes closer together than this are one event.
        longest_lighting: anomaly alarms are held back for at most so long after a lighting change.
        settle: they are held back for so long after an unusable picture, as the things in it have moved on meanwhile.
        flapping: events of one kind closer together than this count as flapping, and each takes twice as long to end
            as the one before, up to ``longest_clear``.
        longest_clear: see ``flapping``.
    """

    offline_after: float = 5.0
    online_after: float = 1.0
    covered_after: float = 3.0
    clear_after: float = 3.0
    lighting_gap: float = 20.0
    longest_lighting: float = 10.0
    settle: float = 1.5
    flapping: float = 300.0
    longest_clear: float = 60.0


@dataclass(slots=True)
class _Held:
    """A period in which anomaly alarms are held back; PTS in seconds."""

    start: Fraction
    end: Fraction
    reason: str
    kind: ConditionKind


class CameraHealth:
    """The health of one camera; may be fed from several threads.

    All notices it gives back are in order and must be sent on in that order. Event times are wall-clock seconds since
    1970, as the PTS of live cameras are.

    Args:
        camera: its name; never holds a password.
        folder: of the camera, where the paths of events begin.
        clock: wall clock with time zone.
        settings: times.
    """

    def __init__(
        self,
        camera: str,
        folder: Path,
        *,
        clock: Callable[[], datetime],
        settings: HealthSettings | None = None,
    ) -> None:
        self.settings = settings or HealthSettings()
        self._camera = camera
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._state: CameraState | None = None
        self._there = False
        self._learned = False
        self._lost: tuple[Fraction, str] | None = None
        self._unusable: tuple[Fraction, str] | None = None
        self._sound: Fraction | None = None
        self._relit: Fraction | None = None
        self._held: deque[_Held] = deque(maxlen=HELD_PERIODS)
        steady = Patience(self.settings.clear_after, self.settings.longest_clear, self.settings.flapping)
        self._alarms = {
            kind: HealthAlarm(camera, kind, after=after, patience=patience)
            for kind, after, patience in (
                (EventKind.CAMERA_OFFLINE, self.settings.offline_after, self._patient(self.settings.online_after)),
                (EventKind.CAMERA_COVERED, self.settings.covered_after, steady),
                (EventKind.CAMERA_FROZEN, 0.0, steady),
                (EventKind.LIGHTING_CHANGE, 0.0, self._patient(self.settings.lighting_gap)),
            )
        }

    def _patient(self, seconds: float) -> Patience:
        return Patience(seconds, max(seconds, self.settings.longest_clear), self.settings.flapping)

    @property
    def state(self) -> CameraState:
        """How the camera is doing just now."""
        return self._state or CameraState.CONNECTING

    def connecting(self) -> list[Notice]:
        """An attempt to connect begins."""
        with self._lock:
            return self._step(_seconds(self._clock()))

    def connected(self) -> list[Notice]:
        """The first picture of a connection came."""
        with self._lock:
            self._there, self._lost, self._sound = True, None, None
            now = _seconds(self._clock())
            return [*self._tell(EventKind.CAMERA_OFFLINE, now, ""), *self._step(now)]

    def lost(self, cause: Cause, detail: str = "") -> list[Notice]:
        """The connection, or an attempt, failed.

        Args:
            cause: why.
            detail: more in a few words, without a password.
        """
        with self._lock:
            now = _seconds(self._clock())
            words = f"{cause.value}: {detail}" if detail else cause.value
            self._lost = (self._lost[0] if self._lost else now, words)
            self._there, self._unusable = False, None
            return self._step(now)

    def learning(self) -> list[Notice]:
        """Pictures are learned from, and none is judged."""
        with self._lock:
            self._learned = False
            return self._step(_seconds(self._clock()))

    def learned(self) -> list[Notice]:
        """Pictures are judged from now on."""
        with self._lock:
            self._learned = True
            return self._step(_seconds(self._clock()))

    def tick(self) -> list[Notice]:
        """Call about once a second, whether frames come or not: grace periods end without them, too."""
        with self._lock:
            return self._step(_seconds(self._clock()))

    def frame(self, condition: Condition, *, corrupt: bool, wall_clock: datetime, pts: Fraction) -> list[Notice]:
        """A picture came.

        Args:
            condition: of the picture; of a damaged one it does not count.
            corrupt: it is damaged.
            wall_clock: when it came.
            pts: its time, seconds since 1970.
        """
        with self._lock:
            now = _seconds(wall_clock)
            if corrupt:
                return self._step(now)
            self._sound = now
            notices: list[Notice] = []
            kind = _ALARM_OF.get(condition.kind)
            for alarm in (EventKind.CAMERA_FROZEN, EventKind.CAMERA_COVERED, EventKind.LIGHTING_CHANGE):
                notices += self._tell(alarm, now, f"{_in_words(condition)}; {HELD_BACK}" if kind is alarm else "")
            self._hold(condition, pts)
            held = next((held for held in reversed(self._held) if held.start <= pts <= held.end), None)
            if held is not None and held.kind != "stutter":
                self._unusable = (now, held.reason)
            return [*notices, *self._step(now)]

    def hold_back(self, pts: Fraction) -> str:
        """Why an anomaly alarm of this moment must be held back; empty where it must not.

        Args:
            pts: time of a frame that :meth:`frame` has seen; verdicts may come a little behind.
        """
        with self._lock:
            return self._reason(pts)

    def close(self) -> list[Notice]:
        """End the events that are still open, at the end of the run."""
        with self._lock:
            now = _seconds(self._clock())
            ended = [message for alarm in self._alarms.values() for message in alarm.close(now)]
            return [self._event(message) for message in ended]

    def _hold(self, condition: Condition, pts: Fraction) -> None:
        lighting = condition.kind == "lighting_change"
        if not lighting:
            self._relit = None
        elif self._relit is None or pts < self._relit:
            self._relit = pts
        if condition.usable:
            return
        end = pts + Fraction(self.settings.settle)
        if self._relit is not None:
            if pts - self._relit > self.settings.longest_lighting:
                return
            end = pts
        last = self._held[-1] if self._held else None
        if last is not None and last.kind == condition.kind and last.start <= pts <= last.end + 1:
            last.end, last.reason = max(last.end, end), _in_words(condition)
        else:
            self._held.append(_Held(pts, end, _in_words(condition), condition.kind))

    def _reason(self, pts: Fraction) -> str:
        return next((held.reason for held in reversed(self._held) if held.start <= pts <= held.end), "")

    def _tell(self, kind: EventKind, now: Fraction, detail: str) -> list[Notice]:
        """Tell an alarm whether something is wrong now (``detail`` says what)."""
        alarm = self._alarms[kind]
        messages = alarm.wrong(now, detail) if detail else alarm.fine(now)
        return [self._event(message) for message in messages]

    def _step(self, now: Fraction) -> list[Notice]:
        """Whatever the passing of time brings, and the state that follows."""
        notices: list[Notice] = []
        if self._lost is not None:
            offline = self._alarms[EventKind.CAMERA_OFFLINE]
            notices += [self._event(message) for message in offline.wrong(now, self._lost[1], since=self._lost[0])]
        else:
            notices += self._tell(EventKind.CAMERA_OFFLINE, now, "")
        return [*notices, *self._go(*self._now(now))]

    def _now(self, now: Fraction) -> tuple[CameraState, str]:
        """The state that follows from what is known, and its cause."""
        if not self._there:
            cause = self._lost[1] if self._lost else ""
            away = self._alarms[EventKind.CAMERA_OFFLINE].open
            return (CameraState.OFFLINE if away else CameraState.CONNECTING), cause
        if self._unusable is not None and now - self._unusable[0] < RECOVERED:
            return CameraState.DEGRADED, self._unusable[1]
        self._sound = now if self._sound is None else self._sound
        if now - self._sound > DAMAGED:
            return CameraState.DEGRADED, "no sound picture comes"
        return (CameraState.WATCHING if self._learned else CameraState.LEARNING), ""

    def _go(self, state: CameraState, cause: str) -> list[Notice]:
        before = self._state
        if state is before:
            return []
        self._state = state
        return [StateNotice(self._camera, state, before or state, self._clock(), cause)]

    def _event(self, message: EventMessage) -> EventNotice:
        return EventNotice(self._camera, message, self._clock(), self._folder)


def _in_words(condition: Condition) -> str:
    kind = condition.kind.replace("_", " ")
    return f"{kind}: {condition.detail}" if condition.detail else kind


def _seconds(moment: datetime) -> Fraction:
    """Seconds since 1970, to the microsecond."""
    return Fraction(round(moment.timestamp() * 1_000_000), 1_000_000)

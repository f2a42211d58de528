"""One kind of health event of one camera: raised after it has lasted, ended when it is over, and damped."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from streamer.events import Event, EventMessage, MessageKind
from streamer.live.notices import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable

BRIDGED: Final = Fraction(1)
"""Seconds without trouble that do not start the count anew: a hand before the lens lets light through at times."""

ENDED_WITH_RUN: Final = "not over when the run ended"

REMEMBERED: Final = 16
"""Ends of events that are remembered to find flapping."""

_OVER: Final = {
    EventKind.CAMERA_OFFLINE: "online again",
    EventKind.CAMERA_FROZEN: "moving again",
    EventKind.CAMERA_COVERED: "usable again",
    EventKind.LIGHTING_CHANGE: "steady again",
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something must be fine for its event to end.

    Attributes:
        seconds: at first.
        longest: at most.
        flapping: events that ended within so many seconds before each double it.
    """

    seconds: float
    longest: float
    flapping: float

    def after(self, ended: Iterable[Fraction], now: Fraction) -> Fraction:
        """Seconds it must be fine for, given when earlier events ended."""
        recent = sum(1 for moment in ended if 0 <= now - moment < self.flapping)
        return Fraction(min(self.longest, self.seconds * 2**recent))


class HealthAlarm:
    """Events of one kind; told what is so at every frame or tick. Times are wall-clock seconds since 1970.

    Args:
        camera: its name.
        kind: of the events.
        after: seconds something must be wrong before it is an event.
        patience: how long it must be fine for the event to end.
    """

    def __init__(self, camera: str, kind: EventKind, *, after: float, patience: Patience) -> None:
        self._camera = camera
        self._kind = kind
        self._after = Fraction(after)
        self._patience = patience
        self._since: Fraction | None = None
        self._last: Fraction | None = None
        self._fine: Fraction | None = None
        self._event: Event | None = None
        self._ended: deque[Fraction] = deque(maxlen=REMEMBERED)
        self._latest_id = 0

    @property
    def open(self) -> bool:
        """Whether an event of this kind goes on."""
        return self._event is not None

    def wrong(self, now: Fraction, detail: str, *, since: Fraction | None = None) -> list[EventMessage]:
        """It is wrong now.

        Args:
            now: the moment.
            detail: what exactly.
            since: when it began, where that is known better than by the first call.
        """
        if self._since is None or self._last is None or (self._event is None and now - self._last > BRIDGED):
            self._since = now if since is None else since
        self._last, self._fine = now, None
        if self._event is not None or now - self._since < self._after:
            return []
        number = max(round(self._since * 1000), self._latest_id + 1)
        self._latest_id = number
        self._event = _event(f"{self._camera}-{self._kind.value}-{number}", self._camera, self._kind, self._since)
        self._event = _until(replace(self._event, detail=detail), now)
        return [EventMessage(MessageKind.NEW, self._event)]

    def fine(self, now: Fraction) -> list[EventMessage]:
        """It is not wrong now."""
        if self._last is None:
            return []
        if self._event is None:
            if now - self._last > BRIDGED:
                self._since = self._last = None
            return []
        self._fine = now if self._fine is None else self._fine
        if now - self._fine < self._patience.after(self._ended, now):
            return []
        return self._end(self._fine, _OVER[self._kind])

    def close(self, now: Fraction) -> list[EventMessage]:
        """End the event that is open, as nobody looks any more."""
        return self._end(now, ENDED_WITH_RUN)

    def _end(self, moment: Fraction, detail: str) -> list[EventMessage]:
        event, self._event = self._event, None
        self._since = self._last = self._fine = None
        if event is None:
            return []
        self._ended.append(moment)
        return [EventMessage(MessageKind.END, replace(_until(event, moment), detail=detail))]


def _event(name: str, camera: str, kind: EventKind, start: Fraction) -> Event:
    return Event(
        id=name,
        source=camera,
        kind=kind.value,
        start=start,
        end=start,
        peak=start,
        start_time=_time(start),
        end_time=_time(start),
        peak_time=_time(start),
        peak_level=0.0,
        peak_p_value=1.0,
        regions=(),
        track=(),
        frames=0,
        in_learning=False,
    )


def _until(event: Event, end: Fraction) -> Event:
    end = max(end, event.start)
    return replace(event, end=end, end_time=_time(end))


def _time(seconds: Fraction) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)

"""When a camera's alarms are armed: hours by weekday, over midnight, right on the days the clocks change.

A stretch of armed hours runs from the first moment its first wall-clock time is reached to the last moment its second
one is: hours that exist twice in autumn are armed twice, and hours that do not exist in spring begin or end with the
change itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALL_DAY = "all day"
NEVER = "never"
_EVERY_DAY = ("daily", "every day", "always")
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", re.ASCII)
_DAY_MINUTES = 24 * 60
_LOCAL_ZONE_FILE = Path("/etc/localtime")
_DAYS_BEFORE = 2  # a stretch begun the day before may still run; one more for zones that skipped a date
_DAYS_AHEAD = 10  # a week and what the clocks may shift
_MINUTE = timedelta(minutes=1)

Interval = tuple[datetime, datetime]
"""First armed moment and first one no longer armed, both in UTC."""


@dataclass(frozen=True, slots=True)
class ArmedHours:
    """Armed hours that begin on one weekday.

    Attributes:
        weekday: 0 is Monday.
        start: minutes after midnight, 0 .. 1439.
        end: minutes after the same midnight, above ``start``; more than 1440 where they end on the day after.
    """

    weekday: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """Armed hours of a week, repeated for ever.

    Attributes:
        hours: in any order; they may overlap. None at all: never armed.
        time_zone: whose wall clock they are meant by.
    """

    hours: tuple[ArmedHours, ...]
    time_zone: tzinfo

    @classmethod
    def parse(cls, days: Mapping[str, str | bool | Sequence[str]] | None, time_zone: str | None = None) -> Self:
        """Read armed hours as people write them.

        Args:
            days: ``{"mon-fri": "20:00-06:00", "sat,sun": "all day"}``. Days are ``mon`` .. ``sun``, ranges, lists with
                commas, or ``daily``; hours are ``HH:MM-HH:MM`` (over midnight where the end is not after the start),
                several of them in a list or with commas, ``all day`` or ``never``. None: always armed.
            time_zone: name such as ``Europe/Berlin``; None is that of this machine.

        Raises:
            ValueError: a text is none of these, a weekday is told twice, or the time zone is unknown.
        """
        zone = ZoneInfo(time_zone) if time_zone is not None else local_zone()
        if days is None:
            return cls(tuple(ArmedHours(day, 0, _DAY_MINUTES) for day in range(7)), zone)
        told: dict[int, str] = {}
        hours: list[ArmedHours] = []
        for key, value in days.items():
            spans = parse_hours(value)
            for day in parse_days(key):
                if day in told:
                    raise ValueError(f"{WEEKDAYS[day]} is told twice, by {told[day]!r} and by {key!r}: leave one out")
                told[day] = key
                hours += [ArmedHours(day, start, end) for start, end in spans]
        return cls(tuple(hours), zone)

    def armed(self, at: datetime) -> bool:
        """Whether alarms are armed at a moment.

        Args:
            at: with a time zone, any.

        Raises:
            ValueError: the moment has no time zone.
        """
        moment = _in_utc(at)
        return any(start <= moment < end for start, end in self._around(moment, _DAYS_BEFORE))

    def next_change(self, at: datetime) -> datetime | None:
        """The first moment after ``at`` at which alarms become armed or stop being so, in UTC.

        (Moments of a zone whose clocks change are treacherous to subtract: Python goes by the wall clock there.)

        Args:
            at: with a time zone, any.

        Returns:
            The moment; None where nothing ever changes: always or never armed.

        Raises:
            ValueError: the moment has no time zone.
        """
        moment = _in_utc(at)
        merged = _merged(self._around(moment, _DAYS_AHEAD))
        limit = moment + timedelta(days=_DAYS_AHEAD - 1)
        changes = [change for interval in merged for change in interval if moment < change < limit]
        return min(changes) if changes else None

    def _around(self, moment: datetime, days_ahead: int) -> list[Interval]:
        today = moment.astimezone(self.time_zone).date()
        days = [today + timedelta(days=number) for number in range(-_DAYS_BEFORE, days_ahead + 1)]
        return [
            (_moment(day, span.start, self.time_zone)[0], _moment(day, span.end, self.time_zone)[1])
            for day in days
            for span in self.hours
            if span.weekday == day.weekday()
        ]


def parse_days(text: str) -> tuple[int, ...]:
    """Weekdays of ``mon``, ``mon-fri``, ``fri-mon``, ``sat,sun`` or ``daily``, 0 being Monday.

    Raises:
        ValueError: it is none of these.
    """
    lowered = text.strip().lower()
    if lowered in _EVERY_DAY:
        return tuple(range(7))
    days: list[int] = []
    for part in lowered.split(","):
        ends = [_weekday(name, text) for name in part.split("-")]
        if len(ends) > 2:
            raise _no_day(text)
        count = (ends[-1] - ends[0]) % 7 + 1
        days += [(ends[0] + number) % 7 for number in range(count)]
    if len(set(days)) < len(days):
        raise ValueError(f"{text!r} names a weekday twice: leave one out")
    return tuple(days)


def parse_hours(value: str | bool | Sequence[str]) -> tuple[tuple[int, int], ...]:  # noqa: FBT001 - YAML's on and off
    """Stretches of armed minutes after midnight; the second may be past 1440, which is on the day after.

    Raises:
        ValueError: they are not hours.
    """
    if isinstance(value, bool):
        return ((0, _DAY_MINUTES),) if value else ()
    if not isinstance(value, str) and isinstance(value, Sequence) and len(value) == 1:
        (value,) = value
    if isinstance(value, str):
        lowered = value.strip().lower()
        if lowered == NEVER:
            return ()
        if lowered == ALL_DAY:
            return ((0, _DAY_MINUTES),)
        value = value.split(",")
    if not isinstance(value, Sequence) or not value:
        raise _no_hours(value)
    return tuple(_span(text) for text in value)


@lru_cache(maxsize=1)
def local_zone() -> tzinfo:
    """The time zone of this machine, with its rules for the clocks' changes; UTC where it says none."""
    name = os.environ.get("TZ", "").lstrip(":")
    try:
        if name:
            return ZoneInfo(name)
        with _LOCAL_ZONE_FILE.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError, KeyError):
        return UTC


def _weekday(name: str, text: str) -> int:
    short = name.strip()
    for number, day in enumerate(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")):
        if len(short) >= 3 and day.startswith(short):
            return number
    raise _no_day(text)


def _no_day(text: str) -> ValueError:
    return ValueError(f"{text!r} are no weekdays: write mon, mon-fri, sat,sun or daily")


def _span(text: object) -> tuple[int, int]:
    match = _HOURS.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise _no_hours(text)
    start_hour, start_minute, end_hour, end_minute = (int(part) for part in match.groups())
    start, end = 60 * start_hour + start_minute, 60 * end_hour + end_minute
    if start >= _DAY_MINUTES or end > _DAY_MINUTES or max(start_minute, end_minute) >= 60:
        raise _no_hours(text)
    return start, end if end > start else end + _DAY_MINUTES


def _no_hours(value: object) -> ValueError:
    return ValueError(f"{value!r} are no hours: write 20:00-06:00, several in a list, 'all day' or 'never'")


def _in_utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a moment needs its time zone to be compared with armed hours")
    return at.astimezone(UTC)


def _merged(intervals: list[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if start >= end:
            continue  # the clocks jumped over all of it
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


@lru_cache(maxsize=4096)
def _moment(day: date, minutes: int, zone: tzinfo) -> tuple[datetime, datetime]:
    """First and last moment, in UTC, at which the wall clock reaches a time of a day: nearly always one."""
    wall = datetime.combine(day, time()) + timedelta(minutes=minutes)
    before = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if before <= after:
        return before, after
    # The wall clock jumps over it: both are the jump, the first minute from which the later offset holds.
    offset = before.astimezone(zone).utcoffset()
    low, high = after, before
    while high - low > _MINUTE:
        middle = low + (high - low) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    jump = high.replace(second=0, microsecond=0)
    return jump, jump

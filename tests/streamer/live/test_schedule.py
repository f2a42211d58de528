"""Armed hours: by weekday, over midnight, and on the two days a year when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.live.schedule import Schedule, local_zone, parse_days, parse_hours

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTS = Schedule.parse({"mon-fri": "20:00-06:00"}, "Europe/Berlin")
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "UTC"]


def berlin(text):
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("at", "armed"),
    [
        ("2026-03-02 19:59:59", False),  # a Monday
        ("2026-03-02 20:00:00", True),
        ("2026-03-03 05:59:59", True),
        ("2026-03-03 06:00:00", False),
        ("2026-03-07 05:00:00", True),  # Saturday morning still belongs to Friday
        ("2026-03-07 21:00:00", False),
        ("2026-03-02 05:00:00", False),  # Sunday evening is not armed, so neither is Monday morning
    ],
)
def test_hours_over_midnight_belong_to_the_day_they_begin_on(at, armed):
    assert NIGHTS.armed(berlin(at)) is armed
    assert NIGHTS.armed(berlin(at).astimezone(UTC)) is armed


@pytest.mark.parametrize(
    ("at", "change"),
    [
        ("2026-03-02 12:00", "2026-03-02 20:00"),
        ("2026-03-02 20:00", "2026-03-03 06:00"),
        ("2026-03-07 05:00", "2026-03-07 06:00"),
        ("2026-03-07 06:00", "2026-03-09 20:00"),
    ],
)
def test_the_next_change_is_told_in_utc_whatever_the_zone_of_the_question(at, change):
    told = NIGHTS.next_change(berlin(at))
    assert told == berlin(change) == NIGHTS.next_change(berlin(at).astimezone(UTC))
    assert told is not None
    assert told.tzinfo is UTC


def test_a_night_in_which_the_clocks_change_begins_and_ends_by_the_clock_on_the_wall():
    nights = Schedule.parse({"daily": "20:00-06:00"}, "Europe/Berlin")
    for evening, hours in (("2026-03-28 20:00", 9), ("2026-10-24 20:00", 11), ("2026-05-01 20:00", 10)):
        start = berlin(evening)
        end = nights.next_change(start)
        assert end is not None
        assert end - start.astimezone(UTC) == timedelta(hours=hours)
        assert end.astimezone(BERLIN).time() == time(6)


def test_an_hour_that_exists_twice_is_armed_twice_without_a_break():
    schedule = Schedule.parse({"sun": "02:00-02:30"}, "Europe/Berlin")
    start = datetime(2026, 10, 25, 0, tzinfo=UTC)  # 02:00 summer time
    assert schedule.next_change(start - timedelta(minutes=1)) == start
    assert schedule.next_change(start) == start + timedelta(hours=1, minutes=30)
    assert all(schedule.armed(start + timedelta(minutes=minute)) for minute in range(90))


@pytest.mark.parametrize(
    ("hours", "start", "end"),
    [("02:15-04:00", "03:00", "04:00"), ("01:00-02:45", "01:00", "03:00"), ("02:10-02:50", None, None)],
)
def test_an_hour_that_does_not_exist_begins_or_ends_with_the_change_itself(hours, start, end):
    schedule = Schedule.parse({"sun": hours}, "Europe/Berlin")
    midnight = berlin("2026-03-29 00:00")
    if start is None:
        assert schedule.next_change(midnight) == berlin("2026-04-05 02:10")
        return
    assert schedule.next_change(midnight) == berlin(f"2026-03-29 {start}")
    assert schedule.next_change(berlin(f"2026-03-29 {start}")) == berlin(f"2026-03-29 {end}")


def test_always_and_never_have_no_next_change():
    now = berlin("2026-03-28 12:00")
    for days, armed in (
        (None, True),
        ({"daily": "all day"}, True),
        ({"daily": "never"}, False),
        ({"mon": False}, False),
    ):
        schedule = Schedule.parse(days, "Europe/Berlin")
        assert schedule.armed(now) is armed
        assert schedule.next_change(now) is None


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon", {0}),
        ("Monday", {0}),
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("fri-mon", {4, 5, 6, 0}),
        ("sat,sun", {5, 6}),
        ("sat, tue-wed", {5, 1, 2}),
        ("daily", set(range(7))),
    ],
)
def test_weekdays_are_read_however_people_write_them(text, days):
    assert set(parse_days(text)) == days


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        ("20:00-06:00", ((1200, 1800),)),
        ("8:00 - 12:00, 13:00-17:30", ((480, 720), (780, 1050))),
        (["08:00-12:00"], ((480, 720),)),
        ("00:00-24:00", ((0, 1440),)),
        ("00:00-00:00", ((0, 1440),)),
        ("all day", ((0, 1440),)),
        (True, ((0, 1440),)),
        (False, ()),
        ("never", ()),
        (("never",), ()),
    ],
)
def test_hours_are_read_however_people_write_them(value, spans):
    assert parse_hours(value) == spans


@pytest.mark.parametrize("value", ["", "20-6", "25:00-26:00", "24:00-25:00", "20:60-21:00", "20:00", [], 5, [5], None])
def test_what_is_no_hours_is_refused_with_a_hint(value):
    with pytest.raises(ValueError, match="are no hours: write 20:00-06:00"):
        parse_hours(value)


@pytest.mark.parametrize("text", ["", "mo", "monsday", "mon-tue-wed", "mon-", "1"])
def test_what_is_no_weekday_is_refused_with_a_hint(text):
    with pytest.raises(ValueError, match="are no weekdays: write mon"):
        parse_days(text)


def test_a_weekday_told_twice_and_a_moment_without_a_zone_are_refused():
    with pytest.raises(ValueError, match="tue is told twice, by 'mon-fri' and by 'tue'"):
        Schedule.parse({"mon-fri": "all day", "tue": "never"})
    with pytest.raises(ValueError, match="names a weekday twice"):
        Schedule.parse({"mon,mon": "all day"})
    with pytest.raises(ValueError, match="needs its time zone"):
        NIGHTS.armed(datetime(2026, 3, 2, 20))  # noqa: DTZ001 - that is what is refused


def test_this_machines_time_zone_is_used_with_its_rules(monkeypatch):
    local_zone.cache_clear()
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert local_zone() == BERLIN
    local_zone.cache_clear()
    monkeypatch.setenv("TZ", "No/Such")
    assert local_zone() == UTC
    local_zone.cache_clear()


spans = st.tuples(st.integers(0, 1439), st.integers(0, 1440)).map(
    lambda pair: f"{pair[0] // 60:02d}:{pair[0] % 60:02d}-{pair[1] // 60:02d}:{pair[1] % 60:02d}"
)
weeks = st.dictionaries(
    st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), st.lists(spans, min_size=1, max_size=3)
)
moments = st.datetimes(datetime(2011, 12, 20), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=60, deadline=None)
@given(weeks, moments, st.sampled_from(ZONES))
def test_between_two_changes_nothing_changes_and_at_a_change_it_does(days, at, zone):
    schedule = Schedule.parse(days, zone)
    change = schedule.next_change(at)
    until = change if change is not None else at + timedelta(days=9)
    for share in (0.0, 0.1, 0.5, 0.9, 0.999999):
        assert schedule.armed(at + share * (until - at)) is schedule.armed(at)
    if change is not None:
        assert at < change <= at + timedelta(days=9)
        assert schedule.armed(change) is not schedule.armed(at)


@settings(max_examples=60, deadline=None)
@given(weeks, st.integers(0, 7 * 24 * 60 - 1))
def test_without_changes_of_the_clocks_it_is_what_the_minutes_of_the_week_say(days, minute):
    schedule = Schedule.parse(days, "Asia/Kolkata")
    monday = datetime(2026, 3, 2, tzinfo=ZoneInfo("Asia/Kolkata"))
    armed = any(
        start <= candidate - 1440 * day < end
        for key, hours in days.items()
        for day in parse_days(key)
        for start, end in parse_hours(hours)
        for candidate in (minute, minute + 7 * 1440)
    )
    assert schedule.armed(monday + timedelta(minutes=minute)) is armed


@settings(max_examples=30, deadline=None)
@given(weeks, moments, st.sampled_from(ZONES))
def test_following_the_changes_through_a_week_flips_each_time(days, at, zone):
    schedule = Schedule.parse(days, zone)
    changes = [at]
    while len(changes) < 12 and (change := schedule.next_change(changes[-1])) is not None:
        changes.append(change)
    for before, after in pairwise(changes):
        assert before < after
    states = [schedule.armed(change) for change in changes]
    assert all(first is not second for first, second in pairwise(states))

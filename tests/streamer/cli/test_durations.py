import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.durations import format_clock, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1s", 1),
        ("90s", 90),
        ("1m30s", 90),
        ("1M30S", 90),
        (" 1m 30s ", 90),
        ("2m", 120),
        ("2min", 120),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1d", 86400),
        ("250ms", 0.25),
        ("1m250ms", 60.25),
        ("01:30", 90),
        ("1:30.5", 90.5),
        ("90:00", 5400),
        ("00:01:30", 90),
        ("26:00:00", 93600),
        (45, 45),
        (0.25, 0.25),
        ("0", 0),
    ],
)
def test_a_time_is_read_however_people_write_it(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "s",
        "-1",
        "-1s",
        "1x",
        "3 parsecs",
        "1:60",
        "00:60:00",
        "1:2:3:4",
        "30s1m",
        "1e3",
        "nan",
        "inf",
        "1,5",
        "٣",
        None,
        True,
        [],
        float("nan"),
        float("inf"),
        -1,
        -0.5,
    ],
)
def test_what_is_no_time_is_refused_with_a_hint(text):
    with pytest.raises(ValueError, match="length of time"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_written_length_is_read_back_as_the_same_number(milliseconds):
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.integers(min_value=0, max_value=10**11))
def test_a_written_clock_time_is_read_back_as_the_same_number(milliseconds):
    assert parse_duration(format_clock(milliseconds / 1000, decimals=3)) == milliseconds / 1000


@given(st.floats(min_value=0, max_value=1e7), st.integers(min_value=0, max_value=3))
def test_a_clock_time_lies_at_or_before_the_moment_it_names(seconds, decimals):
    shown = parse_duration(format_clock(seconds, decimals=decimals))
    assert seconds - 10**-decimals <= shown + 1e-9
    assert shown <= seconds + 1e-6


@given(st.floats(min_value=0, max_value=1e9))
def test_seconds_pass_through_unchanged(seconds):
    assert parse_duration(seconds) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.25, "0.25s"), (90, "1m30s"), (7200, "2h"), (3601.5, "1h1.5s"), (60, "1m")]
)
def test_a_length_is_written_the_short_way(seconds, text):
    assert format_duration(seconds) == text


def test_a_clock_time_shows_hours_only_where_there_are_any():
    assert format_clock(90.59) == "01:30"
    assert format_clock(12.6, decimals=1) == "00:12.6"
    assert format_clock(3725) == "1:02:05"

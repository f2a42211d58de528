"""How much of a recording is learned from."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.learning_part import duration_of, enough_to_know, learning_part
from streamer.sources import open_source

if TYPE_CHECKING:
    from streamer.frames import SourceInfo

MEDIA = Path(__file__).resolve().parents[3] / "shared" / "media"


@pytest.mark.parametrize(("duration", "part"), [(30, 12), (149, Fraction(298, 5)), (150, 60), (3600, 60)])
def test_by_default_it_is_the_smaller_of_a_minute_and_two_fifths(duration, part):
    assert learning_part(Fraction(duration), None).seconds == part
    assert learning_part(Fraction(duration), None).warning is None


def test_as_much_as_was_asked_for_is_learned_from_where_it_fits():
    assert learning_part(Fraction(1000), 90.0).seconds == 90
    assert learning_part(Fraction(1000), 90.0).warning is None


def test_more_than_two_fifths_is_cut_with_a_warning():
    part = learning_part(Fraction(50), 30.0)
    assert part.seconds == 20
    assert part.warning == "--learn 30s is more than 40 % of the 50s there are: learning from the first 20s"


def test_a_source_without_an_end_gives_what_is_asked_for():
    assert learning_part(None, None).seconds == 60
    assert learning_part(None, 5.0).seconds == 5


@settings(deadline=None)
@given(
    st.fractions(Fraction(1, 100), 100_000, max_denominator=1000),
    st.none() | st.floats(0.01, 1e5, allow_nan=False),
)
def test_never_more_than_two_fifths_and_never_nothing(duration, asked):
    part = learning_part(duration, asked)
    assert 0 < part.seconds <= duration * 2 / 5
    assert (part.warning is not None) == (asked is not None and Fraction(str(asked)) > duration * 2 / 5)


@settings(deadline=None)
@given(st.fractions(1, 100_000, max_denominator=1000), st.none() | st.floats(0.01, 1e4, allow_nan=False))
def test_counting_on_beyond_enough_would_change_nothing(duration, asked):
    enough = enough_to_know(asked)
    assert learning_part(min(duration, enough), asked).seconds == learning_part(duration, asked).seconds


def info_without_duration(path: Path) -> SourceInfo:
    with open_source(path) as source:
        return replace(source.info, duration=None)


def test_a_recording_that_does_not_say_how_long_it_is_is_counted(clip):
    path = clip(100)
    assert duration_of(info_without_duration(path), str(path), enough=Fraction(1000)) == 4


def test_counting_stops_when_enough_is_known(clip):
    path = clip(100)
    assert 1 <= duration_of(info_without_duration(path), str(path), enough=Fraction(1)) < Fraction(3, 2)


def test_raw_h264_is_counted_by_its_pictures(clip, tmp_path):
    raw = tmp_path / "gate.h264"
    with av.open(str(clip(50))) as source, av.open(str(raw), "w", format="h264") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    info = info_without_duration(raw)
    assert duration_of(info, str(raw), enough=Fraction(1000)) == 50 / info.frame_rate


def test_a_device_has_no_length(clip):
    assert duration_of(info_without_duration(clip(10)), "device:0", enough=Fraction(1000)) is None


@pytest.mark.shared
@pytest.mark.skipif(not MEDIA.is_dir(), reason="the odd media are not at hand")
@pytest.mark.parametrize("name", ["bitflips.ts", "missing_pts_annexb.h264", "vp9.webm", "variable_res.ts"])
def test_odd_recordings_are_counted_too(name):
    path = MEDIA / name
    duration = duration_of(info_without_duration(path), str(path), enough=Fraction(1000))
    assert duration is not None
    assert Fraction(9, 10) <= duration <= 4

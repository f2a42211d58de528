"""One row per frame, readable at any moment, exact enough to work from."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import Region, Verdict
from preprocess.errors import InputError
from streamer.sinks.score_table import COLUMNS, CORRUPT, WARM_UP, ScoreRow, ScoreTable, read_scores

VERDICT = Verdict(
    4.5,
    10**-4.5,
    0.25,
    0.75,
    True,
    np.zeros((1, 1), np.float32),
    (Region(1, 2, 3, 4, 4.5, 12), Region(5, 6, 7, 8, 4.1, 9)),
)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_table_reads_as_documented(tmp_path):
    path = tmp_path / "scores.csv"
    with ScoreTable(path) as table:
        table.write(ScoreRow.unscored(0, Fraction(0), WARM_UP, learning=True))
        table.write(ScoreRow.scored(1, Fraction(1001, 30000), VERDICT))
        table.write(ScoreRow.unscored(2, Fraction(1, 4), CORRUPT))
    assert path.read_text().splitlines() == [
        "index,pts,score,p_value,inpainter,detector,alarm,regions,learning,note",
        "0,0,,,,,0,,1,warm-up",
        "1,0.033366667,4.5,3.16228e-05,0.25,0.75,1,1 2 3 4;5 6 7 8,0,",
        "2,0.25,,,,,0,,0,corrupt",
    ]


finite = st.floats(0, 300, width=32)
boxes = st.lists(st.tuples(*[st.integers(0, 9999)] * 4), max_size=3).map(tuple)


@settings(max_examples=50)
@given(
    pts=st.integers(-(10**12), 10**15).map(lambda n: Fraction(n, 10**9)),
    score=st.none() | finite,
    regions=boxes,
    learning=st.booleans(),
    note=st.sampled_from(["", "muted", "gap", 'odd, "quoted"']),
)
def test_a_row_comes_back_as_it_was_written(tmp_path_factory, pts, score, regions, learning, note):
    path = tmp_path_factory.mktemp("table") / "scores.csv"
    part = None if score is None else 0.5
    row = ScoreRow(7, pts, score, part, part, part, score is not None, regions, learning, note)
    with ScoreTable(path) as table:
        table.write(row)
    assert list(read_scores(path)) == [row]


def test_rows_reach_the_system_every_second_and_a_torn_one_is_left_out(tmp_path):
    path, clock = tmp_path / "scores.csv", Clock()
    table = ScoreTable(path, clock)
    for index in range(20):
        clock.now += 0.1
        table.write(ScoreRow.scored(index, Fraction(index, 10), VERDICT))
    assert len(list(read_scores(path))) >= 10
    table.close()
    table.close()
    path.write_bytes(path.read_bytes()[:-5])
    assert [row.index for row in read_scores(path)] == list(range(19))


def test_a_foreign_or_damaged_table_is_refused_with_its_line(tmp_path):
    path = tmp_path / "scores.csv"
    with pytest.raises(InputError, match="cannot be read"):
        list(read_scores(path))
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="is not a table of scores"):
        list(read_scores(path))
    path.write_text(",".join(COLUMNS) + "\n0,0,,,,,0,,0,\nrubbish\n")
    with pytest.raises(InputError, match="line 3 is damaged"):
        list(read_scores(path))
    path.write_bytes((",".join(COLUMNS) + "\n").encode() + b"\xff\xfe\n")
    with pytest.raises(InputError, match="not a text"):
        list(read_scores(path))

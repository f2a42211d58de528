"""What a benchmark shows: sections of a record, the table, contact sheets and timelines."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from rich.console import Console as RichConsole

from detectors.evaluation.protocol import Clip, EvaluationScene, EvaluationSet, TestClip
from detectors.evaluation.record import SeedResult, results_document
from preprocess.errors import OutputError
from preprocess.geometry import CellGrid
from streamer.evaluate_curves import draw_roc, draw_timeline, spans_of
from streamer.evaluate_measure import MeasuredClip, equal_error_threshold
from streamer.evaluate_output import put_section, write_outputs
from streamer.evaluate_pictures import APART, draw_sheet, worst_moments
from streamer.evaluate_scores import ClipScores
from streamer.evaluate_text import markdown_of, render_results, section_key
from tests.streamer.evaluate_set import SCENE, write_clip

if TYPE_CHECKING:
    from pathlib import Path

GRID = CellGrid(stride=8.0, offset=3.5, receptive_field=19, rows=8, columns=12)


def measured(folder: Path, statistic: list[float], irregular: list[bool], name: str = "gate") -> MeasuredClip:
    """A clip of ten pictures a second whose maps are highest in one cell."""
    values = np.array(statistic, np.float32)
    write_clip(folder, [SCENE] * len(values))
    maps = np.zeros((len(values), 8, 12), np.float16)
    maps[:, 4, 6] = values
    scores = ClipScores(
        statistic=values,
        rows=np.arange(len(values)),
        maps=maps,
        times=np.arange(len(values)) / 10,
        events=np.empty((0, 2)),
        boxes=np.empty((0, 6)),
        alarming=True,
        threshold=4.0,
        size=(96, 64),
        working_size=(96, 64),
        grid=GRID,
        seconds=1.0,
    )
    truth = np.array(irregular)
    test = TestClip(Clip(name, str(folder)), truth, lambda _: np.tri(64, 96, dtype=bool))
    scene = EvaluationScene("yard", (), (test,))
    return MeasuredClip(scene, test, truth, scores)


def results(**changes: object) -> dict:
    seed = SeedResult(
        seed=0,
        pooled={"frame_auc": 0.9, "frame_eer": 0.1, "event_delay_seconds": 0.5},
        per_scene={"a": {"frame_auc": 0.8}, "b": {"frame_auc": 1.0}},
        per_clip={"a/x": {"frames": 3}},
        variants={"a": {"as fitted": 0.8, "30 fps": 0.7}, "b": {"as fitted": 1.0, "30 fps": 1.0}},
        training_seconds={"a": 60.0, "b": 30.0},
        frames=100,
        unscored=5,
        scoring_seconds=2.0,
    )
    machine = {"processor": "a chip", "cores": 2, "precision": "float32", "versions": {"torch": "2"}, "gpu": None}
    document = results_document(
        EvaluationSet("ucsd-ped2", "UCSD Ped2", (), ("a note.",)),
        [seed, replace(seed, seed=1, pooled={"frame_auc": 0.8, "frame_eer": 0.2, "event_delay_seconds": 0.7})],
        detector="avid",
        score="joint",
        settings={"preset": "default"},
        machine=machine,
    )
    return {**document, **changes}


def test_a_section_takes_the_place_of_the_earlier_one_and_leaves_the_others(tmp_path):
    record = tmp_path / "docs" / "results.md"
    put_section(record, "umn", "first")
    put_section(record, "ucsd-ped2", "other")
    put_section(record, "umn", "second \\1")
    text = record.read_text()
    assert text.startswith("# Results\n")
    assert "first" not in text
    assert text.index("second \\1") < text.index("other")
    assert text.count("<!-- evaluate: umn -->") == text.count("<!-- end: umn -->") == 1


def test_what_a_person_wrote_into_the_record_stays(tmp_path):
    record = tmp_path / "results.md"
    record.write_text("# Mine\n\nBefore.\n\n<!-- evaluate: umn -->\nold\n<!-- end: umn -->\n\nAfter.\n")
    put_section(record, "umn", "new")
    assert record.read_text() == ("# Mine\n\nBefore.\n\n<!-- evaluate: umn -->\nnew\n<!-- end: umn -->\n\nAfter.\n")


def test_a_record_that_is_no_text_is_not_overwritten(tmp_path):
    record = tmp_path / "picture.png"
    record.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(OutputError, match="cannot be read as text; give another file with --docs"):
        put_section(record, "umn", "new")
    assert record.read_bytes() == b"\xff\xfe\x00\x80"


def test_sections_are_named_by_what_is_not_the_default():
    assert section_key(results()) == "ucsd-ped2"
    other = results(detector="energy", score="paper", settings={"preset": "paper"})
    assert section_key(other) == "ucsd-ped2, energy, score paper, preset paper"


def test_the_table_shows_means_spreads_rates_and_what_others_published():
    text = markdown_of(results())
    assert "| frame AUC (micro) | 85.00 % | 10.00 % |" in text
    assert "| delay of events | 0.60 s | 0.20 s |" in text
    assert "| a | 80.00 % | 70.00 % |" in text
    assert "Largest difference between two rates: 10.00 %." in text
    assert "| HF2-VAD (ICCV 2021) | frame AUC (micro) | 99.30 % |" in text
    assert "5 of 100 test frames have no window of their own" in text
    assert "- A note.\n" in text


def test_the_terminal_shows_the_same_figures(tmp_path):
    out = io.StringIO()
    RichConsole(file=out, width=200).print(render_results(results(), tmp_path))
    said = out.getvalue()
    for words in ("UCSD Ped2, avid (2 seeds, 100 frames)", "85.00 %", "10.00 %", "50.0 frames/s", "fitted in 1m30s"):
        assert words in said
    assert "best frame AUC seen 99.90 %" in said


def test_the_worst_moments_are_of_their_kind_and_apart(tmp_path):
    values = [float(n % 7) for n in range(60)]
    truth = [n >= 30 for n in range(60)]
    clip = measured(tmp_path / "clip", values, truth)
    misses = worst_moments([clip], misses=True)
    alarms = worst_moments([clip], misses=False)
    assert all(truth[moment.number] for moment in misses)
    assert [moment.statistic for moment in misses] == sorted(moment.statistic for moment in misses)
    assert not any(truth[moment.number] for moment in alarms)
    assert alarms[0].statistic == 6
    for moments in (misses, alarms):
        times = sorted(moment.time for moment in moments)
        assert all(later - earlier >= APART for earlier, later in pairwise(times))


def test_a_sheet_shows_every_moment_with_its_heat_and_truth(tmp_path):
    clip = measured(tmp_path / "clip", [8.0] + [0.0] * 29, [n == 25 for n in range(30)])
    moments = worst_moments([clip], misses=False, most=2)
    draw_sheet(tmp_path / "sheet.png", moments, 4.0)
    sheet = cv2.imdecode(np.fromfile(tmp_path / "sheet.png", np.uint8), cv2.IMREAD_COLOR).astype(int)
    left, right = sheet[:, : sheet.shape[1] // 2], sheet[:, sheet.shape[1] // 2 :]
    red = [int(((part[..., 2] - part[..., 0]) > 60).sum()) for part in (left, right)]
    assert red[0] > 50
    assert red[1] < red[0] / 10
    assert ((sheet[..., 1] - sheet[..., 2]) > 60).any()  # the outline of the truth


def test_no_sheet_is_left_where_there_is_nothing_to_show(tmp_path):
    path = tmp_path / "sheet.jpg"
    path.write_bytes(b"of an earlier run")
    draw_sheet(path, [], 4.0)
    assert not path.exists()


def test_the_operating_point_of_the_sheets_is_the_equal_error_rate(tmp_path):
    clip = measured(tmp_path / "clip", [0, 1, 2, 5, 3, 4, 6, 7], [False] * 4 + [True] * 4)
    assert equal_error_threshold([clip]) == 4  # one of four normal frames reaches it, one of four irregular ones not


def test_a_timeline_is_a_picture(tmp_path):
    clip = measured(tmp_path / "clip", [0.0, 1.0, np.nan, 5.0], [False, True, True, False])
    draw_timeline(tmp_path / "line.png", clip.scores, clip.irregular, "gate")
    assert cv2.imread(str(tmp_path / "line.png")).shape[2] == 3


def test_spans_are_told_by_first_and_last_frame():
    assert spans_of(np.array([True, True, False, True])) == [(0, 1), (3, 3)]
    assert spans_of(np.zeros(3, bool)) == []


def test_titles_are_taken_as_they_are(tmp_path, recwarn):
    clip = measured(tmp_path / "run", [1, 2, 9, 9, 1, 1], [False, False, True, True, False, False])
    draw_timeline(tmp_path / "run.png", clip.scores, clip.irregular, "cost$1_$2 門")
    draw_roc(tmp_path / "roc.png", {"seed 0": (np.array([0, 1.0]), np.array([0, 1.0]))}, "a$^$_ 門")
    assert (tmp_path / "run.png").stat().st_size > 1000
    assert (tmp_path / "roc.png").stat().st_size > 1000
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


def test_no_curve_and_no_timeline_is_lost_or_left_from_another_truth(tmp_path, console):
    first = measured(tmp_path / "one", [1, 2], [False, False], "cam 1")
    second = measured(tmp_path / "two", [1, 2], [False, False], "cam_1")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "roc.png").write_bytes(b"old")
    write_outputs(tmp_path / "out", results(), [[first, second]], None, console)
    assert not (tmp_path / "out" / "roc.png").exists()
    assert len(list((tmp_path / "out" / "timelines").iterdir())) == 2


def test_every_set_of_ones_own_has_a_section_of_its_own():
    gate = {**results(), "dataset": "custom", "title": "gate"}
    assert section_key(gate) == "custom, gate"
    assert section_key({**gate, "title": "yard"}) == "custom, yard"

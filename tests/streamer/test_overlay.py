"""What a person sees: quiet scenes stay quiet, alarms cannot be missed, and everything is where it belongs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import Region, Verdict
from preprocess.geometry import CellGrid
from streamer.frames import Frame, SourceInfo
from streamer.overlay import Overlay, snapshot
from streamer.overlay.banner import clock, date
from streamer.overlay.strip import ScoreStrip
from streamer.overlay.style import ALARM, LEARNING_ALARM, Style, put_text, text_width

THRESHOLD = 5.0
WORKING = (160, 90)
GRID = CellGrid(8.0, 15.5, 32, 8, 17)


class Still:
    """A picture that can be asked for again and again."""

    def __init__(self, width=320, height=180):
        rows, columns = np.mgrid[:height, :width]
        self.picture = np.stack([90 + rows % 40, 100 + columns % 30, 120 + (rows + columns) % 20], axis=2).astype(
            np.uint8
        )

    def bgr(self):
        return self.picture.copy()


def info_of(width=320, height=180, duration=Fraction(60)):
    return SourceInfo(
        "g", "gate", width, height, Fraction(25), None, duration, None, "h264", "yuv420p", 0, has_audio=False
    )


def frame_of(still, pts=Fraction(1), wall_clock=None):
    return Frame("gate", 0, Fraction(pts), wall_clock, 0, still.picture[..., 0], still)


def verdict_of(cells=None, regions=(), *, alarm=None):
    levels = np.full((GRID.rows, GRID.columns), 0.4, np.float32)
    for place, level in (cells or {}).items():
        levels[place] = level
    score = float(levels.max())
    return Verdict(score, 10**-score, 0.5, 0.5, bool(regions) if alarm is None else alarm, levels, tuple(regions))


def overlay_of(width=320, height=180, **options):
    return Overlay(info_of(width, height), GRID, WORKING, threshold=THRESHOLD, **options)


def drawn(verdict, *, still=None, learning=False, event_ids=(), overlay=None, **frame):
    still = still or Still()
    overlay = overlay or overlay_of()
    return overlay.draw(frame_of(still, **frame), verdict, learning=learning, event_ids=event_ids)


def above_strip(picture):
    return picture[: picture.shape[0] - Style.for_size((picture.shape[1], picture.shape[0])).strip]


def changed(verdict):
    """The mask of pixels the overlay touched above the strip."""
    still = Still()
    return (above_strip(drawn(verdict, still=still)) != above_strip(still.picture)).any(axis=2)


def test_a_quiet_frame_is_left_alone_but_for_the_strip():
    assert not changed(verdict_of()).any()
    assert not changed(verdict_of({(3, 8): 0.69 * THRESHOLD})).any()
    assert not changed(None).any()


def test_a_level_near_the_threshold_begins_to_show_where_its_cell_lies_and_nowhere_else():
    touched = changed(verdict_of({(3, 8): 0.95 * THRESHOLD}))
    rows, columns = np.nonzero(touched)
    # Cell (3, 8) lies at (79.5, 39.5) in the working picture, which is half the source's size.
    assert rows.mean() == pytest.approx(79.5, abs=2)
    assert columns.mean() == pytest.approx(159.5, abs=2)
    assert rows.max() - rows.min() < 32
    assert columns.max() - columns.min() < 32


def test_the_same_level_has_the_same_colour_whatever_else_is_in_the_picture():
    alone = above_strip(drawn(verdict_of({(3, 4): 1.1 * THRESHOLD})))
    beside = above_strip(drawn(verdict_of({(3, 4): 1.1 * THRESHOLD, (5, 14): 4 * THRESHOLD})))
    np.testing.assert_array_equal(alone[:, :160], beside[:, :160])
    assert (alone[:, 220:] != beside[:, 220:]).any()


def test_colour_grows_with_the_level_until_it_is_saturated():
    still = Still()

    def strength(ratio):
        picture = drawn(verdict_of(dict.fromkeys(np.ndindex(8, 17), ratio * THRESHOLD)), still=still)
        return float(np.abs(picture[80, 160].astype(int) - still.picture[80, 160]).sum())

    strengths = [strength(ratio) for ratio in (0.6, 0.75, 0.9, 1.1)]
    assert strengths[0] == 0
    assert strengths == sorted(set(strengths))
    assert strength(1.5) == pytest.approx(strength(5.0), abs=2)


def test_the_scene_can_be_made_out_through_the_heat():
    picture = drawn(verdict_of(dict.fromkeys(np.ndindex(8, 17), 50.0)))
    middle = picture[60:100, 100:200].astype(int)
    assert middle.std(axis=(0, 1)).min() > 2


@pytest.mark.parametrize(
    ("verdict", "event_ids"),
    [(verdict_of(alarm=True), ()), (verdict_of(), ("gate-1",)), (None, ("gate-1",))],
    ids=["verdict", "running event", "running event without a score"],
)
def test_an_alarm_has_a_border_all_around_and_a_banner(verdict, event_ids):
    picture = drawn(verdict, event_ids=event_ids)
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == ALARM).all()
    style = Style.for_size((320, 180))
    assert (np.abs(picture[style.border : style.banner].astype(int) - ALARM).sum(axis=2) < 60).mean() > 0.7


def test_an_alarm_of_the_learning_part_is_orange_and_not_counted():
    overlay = overlay_of()
    picture = drawn(verdict_of(alarm=True), overlay=overlay, learning=True, event_ids=("gate-1",))
    assert (picture[0] == LEARNING_ALARM).all()
    assert overlay.events == 0


def test_events_are_counted_once_however_long_they_run():
    overlay = overlay_of()
    for index, ids in enumerate([(), ("a",), ("a", "b"), ("b",), (), ("c",), ("c",)]):
        drawn(verdict_of(), overlay=overlay, event_ids=ids, pts=Fraction(index))
    assert overlay.events == 3


def test_the_learning_part_is_labelled_and_tinted():
    still = Still()
    pictures = []
    for learning in (True, False):
        overlay = overlay_of()
        for pts in range(10):
            picture = drawn(verdict_of(), still=still, overlay=overlay, learning=learning, pts=Fraction(pts))
        pictures.append(picture)
    learning, watching = pictures
    assert (above_strip(learning) != above_strip(still.picture)).any()
    assert not (above_strip(watching) != above_strip(still.picture)).any()
    blue = (learning[-24:, :, 0].astype(int) - watching[-24:, :, 0]).mean(axis=0) > 20
    assert blue.sum() > 20


def test_the_banner_carries_the_time_and_the_wall_clock_where_it_is_known():
    alarm = verdict_of(alarm=True)
    banner = slice(0, Style.for_size((320, 180)).banner)
    base = drawn(alarm)[banner]
    assert (base != drawn(alarm, pts=Fraction(2))[banner]).any()
    dated = drawn(alarm, wall_clock=datetime(2026, 5, 14, 3, 12, 40, tzinfo=UTC))[banner]
    assert (base[:, 160:] != dated[:, 160:]).any()
    np.testing.assert_array_equal(base[:, :120], dated[:, :120])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00:00.0"),
        (Fraction(599, 10), "0:00:59.9"),
        (Fraction(59999, 1000), "0:00:59.9"),
        (Fraction(36005, 10), "1:00:00.5"),
        (0.3, "0:00:00.3"),
        (Fraction(-3, 2), "-0:00:01.5"),
        (360000, "100:00:00.0"),
    ],
)
def test_times_read_as_hours_minutes_seconds_and_tenths(seconds, text):
    assert clock(seconds) == text


def test_a_date_says_when_it_is_utc():
    assert date(datetime(2026, 5, 14, 3, 12, 40, tzinfo=UTC)) == "2026-05-14 03:12:40 UTC"
    assert date(datetime(2026, 5, 14, 3, 12, 40)) == "2026-05-14 03:12:40"  # noqa: DTZ001


def test_a_region_has_its_box_and_a_contour():
    region = Region(130, 60, 60, 40, 9.0, 2000)
    cells = {(row, column): 9.0 for row in (2, 3) for column in (7, 8, 9)}
    with_region, without = drawn(verdict_of(cells, [region])), drawn(verdict_of(cells, alarm=True))
    assert (with_region[60, 135:185] == ALARM).all()
    assert (with_region[99, 135:185] == ALARM).all()
    assert (with_region[65:95, 130] == ALARM).all()
    inside = (slice(64, 96), slice(134, 186))
    assert (with_region[inside] != without[inside]).any(), "the contour"


@pytest.mark.parametrize("corner", [(0, 0), (300, 0), (0, 170), (310, 172)])
def test_regions_at_the_edges_are_drawn_within_the_picture(corner):
    region = Region(*corner, 320 - corner[0], 180 - corner[1], 6.0, 100)
    assert drawn(verdict_of({(0, 0): 6.0, (7, 16): 6.0}, [region])).shape == (180, 320, 3)


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (160, 120), (161, 121), (120, 400), (640, 360), (1920, 1080)])
def test_every_size_is_drawn_at_its_size_with_odd_sides_grown_by_one(size):
    overlay = overlay_of(*size)
    verdict = verdict_of({(3, 8): 9.0}, [Region(size[0] // 2, size[1] // 3, size[0] // 4, size[1] // 4, 9.0, 50)])
    picture = drawn(verdict, still=Still(*size), overlay=overlay, event_ids=("gate-0001", "gate-0002"))
    assert picture.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
    assert overlay.size == (picture.shape[1], picture.shape[0])


@pytest.mark.parametrize("size", [(160, 120), (640, 360), (1920, 1080)])
def test_letters_are_large_enough_to_be_read_and_the_banner_holds_the_time(size):
    style = Style.for_size(size)
    assert min(style.text, style.small) >= 7
    assert text_width("ALARM   0:00:00.0", style.text) < size[0] - 2 * style.text
    canvas = np.zeros((60, 400, 3), np.uint8)
    put_text(canvas, "E", 10, 50, style.text)
    rows = np.flatnonzero(canvas.max(axis=(1, 2)) > 100)
    assert rows.size == pytest.approx(style.text, abs=2, rel=0.2)


def test_later_sizes_are_letterboxed_with_their_regions_in_the_right_place():
    overlay, still = overlay_of(), Still(90, 90)
    picture = drawn(verdict_of({}, [Region(0, 30, 90, 20, 6.0, 10)]), still=still, overlay=overlay)
    assert picture.shape == (180, 320, 3)
    assert (picture[60:100, 10:60] == 0).all(), "black beside the picture"
    assert (picture[80:90, 70:72] == ALARM).any(), "the box begins where the picture does"


def test_a_snapshot_is_the_alarm_at_its_own_size_without_the_strip():
    still = Still(321, 181)
    verdict = verdict_of({(3, 8): 9.0}, [Region(140, 60, 40, 40, 9.0, 900)])
    picture = snapshot(
        frame_of(still), verdict, grid=GRID, working_size=WORKING, threshold=THRESHOLD, event_ids=("gate-1",)
    )
    assert picture.shape == (181, 321, 3)
    assert (picture[0] == ALARM).all()
    np.testing.assert_array_equal(picture[150:170, 20:100], still.picture[150:170, 20:100])


def test_drawing_a_frame_leaves_its_image_untouched():
    still = Still()
    before = still.picture.copy()
    drawn(verdict_of({(3, 8): 9.0}, [Region(140, 60, 40, 40, 9.0, 900)]), still=still)
    np.testing.assert_array_equal(still.picture, before)


class TestStrip:
    WIDTH = 320
    STYLE = Style.for_size((WIDTH, 180))

    def strip(self, scores, *, duration=10.0, step=Fraction(1, 10), **kinds):
        strip = ScoreStrip(self.WIDTH, self.STYLE, THRESHOLD, duration)
        for index, score in enumerate(scores):
            marks = {name: index in at for name, at in kinds.items()}
            ids = ("event",) if marks.get("alarm") else ()
            strip.add(index * step, score, ids, alarm=bool(ids), learning=marks.get("learning", False))
        return strip

    def heights(self, strip):
        """Height of every column's bar in pixels, told from the ground by its brightness."""
        rows = strip._plot[: strip._floor].max(axis=2) > 180
        rows[strip._level_row(1.0)] = False
        return rows.sum(axis=0)

    def test_bars_grow_with_the_score_and_frames_without_score_are_gaps(self):
        heights = self.heights(self.strip([1.0] * 30 + [None] * 30 + [0.0] * 20 + [4.0] * 20))
        width = heights.size
        low, gap, zero, high = (heights[round(at * width)] for at in (0.15, 0.45, 0.7, 0.9))
        assert gap == 0 < zero < low < high

    def test_a_pause_in_the_times_is_a_gap_too(self):
        strip = ScoreStrip(self.WIDTH, self.STYLE, THRESHOLD, 10.0)
        for pts in (0, 1, 9, 10):
            strip.add(Fraction(pts), 3.0, (), alarm=False, learning=False)
        heights = self.heights(strip)
        assert (heights[heights.size // 4 : heights.size * 3 // 4] == 0).all()

    def test_few_frames_fill_the_strip_without_gaps(self):
        assert (self.heights(self.strip([2.0] * 20, step=Fraction(1, 2)))[:-10] > 0).all()

    def test_the_peak_of_many_frames_in_one_column_is_kept(self):
        scores = [1.0] * 5000
        scores[2500] = 4.5
        heights = self.heights(self.strip(scores, duration=5000.0, step=Fraction(1)))
        assert heights.max() > 3 * np.median(heights)

    def test_alarms_are_red_and_the_learning_part_has_another_ground(self):
        strip = self.strip([1.0] * 50 + [6.0] * 50, alarm=range(50, 60), learning=range(30))
        plot, width = strip._plot, strip._plot_width
        grounds = [tuple(plot[2, round(at * width)]) for at in (0.15, 0.4, 0.55)]
        assert len(set(grounds)) == 3
        assert tuple(plot[strip._floor - 2, round(0.55 * width)]) == ALARM

    def test_a_recording_longer_than_it_said_is_squeezed_and_keeps_its_alarms(self):
        strip = self.strip([1.0] * 350, alarm=range(20, 30))
        assert strip._span == 40.0
        red = (strip._plot[strip._floor - 1] == ALARM).all(axis=1)
        place = np.flatnonzero(red).mean() / red.size
        assert place == pytest.approx(2.5 / 40, abs=0.01)

    def test_without_a_duration_the_last_seconds_scroll_by(self):
        strip = self.strip([1.0] * 400, duration=None, alarm=range(300, 310))
        red = np.flatnonzero((strip._plot[strip._floor - 1] == ALARM).all(axis=1))
        # 40 s long, 20 s shown: the alarm at 30 s stands in the middle.
        assert red.mean() / strip._plot_width == pytest.approx(0.5, abs=0.03)
        for index in range(400, 800):
            strip.add(Fraction(index, 10), 1.0, (), alarm=False, learning=False)
        assert not (strip._plot[strip._floor - 1] == ALARM).all(axis=1).any()
        assert strip.events == 1

    def test_what_is_remembered_does_not_grow(self):
        strip = ScoreStrip(self.WIDTH, self.STYLE, THRESHOLD, None)
        for index in range(3000):
            strip.add(Fraction(index), 1.0, (f"event-{index}",), alarm=True, learning=False)
        assert strip.events == 3000
        assert len(strip._known) <= 256

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(st.fractions(0, 4000), st.none() | st.floats(0, 300), st.booleans()), min_size=1, max_size=40
        ),
        st.none() | st.floats(0, 3000),
        st.sampled_from([16, 64, 160, 641]),
    )
    def test_any_times_and_scores_can_be_drawn(self, frames, duration, width):
        strip = ScoreStrip(width, Style.for_size((width, 48)), THRESHOLD, duration)
        pts = Fraction(0)
        for step, score, alarm in frames:
            pts += step
            strip.add(pts, score, ("a",) if alarm else (), alarm=alarm, learning=not alarm)
            picture = np.full((48, width, 3), 128, np.uint8)
            strip.draw(picture, pts)
            assert 0 <= strip._column < strip._plot_width
            assert strip._marks[strip._column] or score is None
        assert (picture[-1] != 128).all()


def test_a_frame_of_an_unknown_length_source_scrolls():
    overlay = Overlay(replace(info_of(), duration=None), GRID, WORKING, threshold=THRESHOLD)
    assert drawn(verdict_of(), overlay=overlay).shape == (180, 320, 3)

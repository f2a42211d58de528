"""Places people walk at: feet are found, visits shared among ground that looks alike, and strangers to it followed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from detectors.calibration import TailPrior, calibrate
from detectors.ground import (
    FEWEST_FEET,
    HELD,
    MOVING,
    NOWHERE,
    STEPS,
    FeetStream,
    NoveltyTail,
    as_statistic,
    background_on_cells,
    feet,
    learn_novelty,
)
from preprocess.geometry import CellGrid

ROWS, COLUMNS = 20, 30
PATH = slice(8, 12)  # rows of the path; the lawn is darker


def ground() -> np.ndarray:
    grey = np.full((ROWS, COLUMNS), 80.0, np.float32)
    grey[PATH] = 140.0
    return grey


def visits() -> np.ndarray:
    counted = np.zeros((ROWS, COLUMNS))
    counted[PATH, :20] = 50  # nobody walked on the right third of the path
    return counted


def walker(row: int, column: int) -> np.ndarray:
    """Motion of one body two cells tall, ``(h, w)``."""
    motion = np.zeros((ROWS, COLUMNS), np.float32)
    motion[row - 1 : row + 1, column] = 2 * MOVING
    return motion


def stream_of(motion: list[np.ndarray], period: Fraction = Fraction(1, 10)) -> np.ndarray:
    novelty = learn_novelty(visits(), ground())
    assert novelty is not None
    return FeetStream(novelty).push(np.stack(motion), [period * n for n in range(len(motion))], [0] * len(motion))


def test_a_foot_has_motion_above_it_and_stillness_below() -> None:
    found = feet(walker(9, 5)[None])[0]
    assert np.argwhere(found).tolist() == [[9, 5]]


def test_a_body_cut_off_by_the_lower_edge_has_no_foot() -> None:
    assert not feet(walker(ROWS - 1, 5)[None]).any()


def test_visits_are_shared_along_ground_that_looks_alike_and_not_beyond() -> None:
    novelty = learn_novelty(visits(), ground())
    assert novelty is not None
    assert novelty[9, 10] < 0.5
    assert novelty[9, 22] < 2.0  # path, three cells on from where others walked
    assert novelty[13, 10] > 3.0  # lawn, one row beside the path


def test_too_few_feet_say_nothing_of_places() -> None:
    few = np.zeros((ROWS, COLUMNS))
    few[9, 5] = FEWEST_FEET - 1
    assert learn_novelty(few, ground()) is None


def test_who_keeps_to_the_lawn_is_found_after_the_steps_and_on_the_whole_body() -> None:
    kept = stream_of([walker(15, 5 + step // 3) for step in range(STEPS + HELD + 4)])
    assert (kept[: STEPS + HELD - 1] == NOWHERE).all()
    last = kept[-1]
    column = 5 + (STEPS + HELD + 3) // 3
    assert last[15, column] > 3.0
    assert last[14, column] == last[15, column]
    assert last[5, 5] == NOWHERE


def test_who_keeps_to_the_path_or_leaves_it_for_a_moment_is_not_novel() -> None:
    on_path = stream_of([walker(9, 5 + step // 3) for step in range(40)])
    assert on_path.max() < 0.5
    shortly = stream_of([walker(13 if 15 <= step < 20 else 11, 5 + step // 3) for step in range(40)])
    assert shortly.max() < 1.5


def test_a_foot_hidden_for_a_step_is_still_followed() -> None:
    motion = [walker(15, 5 + step // 3) for step in range(STEPS + HELD + 6)]
    motion[STEPS] = np.zeros_like(motion[0])
    assert stream_of(motion)[-1].max() > 3.0


def test_more_frames_a_second_need_as_many_seconds() -> None:
    slow = stream_of([walker(15, 5) for _ in range(30)])
    fast = stream_of([walker(15, 5) for _ in range(90)], Fraction(1, 30))
    first = [int(np.argmax(kept.reshape(len(kept), -1).max(1) > 0)) for kept in (slow, fast)]
    assert first[1] / 30 == pytest.approx(first[0] / 10, abs=0.1)


def test_batches_change_nothing_and_a_new_segment_forgets() -> None:
    novelty = learn_novelty(visits(), ground())
    assert novelty is not None
    motion = np.stack([walker(15, 5 + step // 3) for step in range(30)])
    times = [Fraction(n, 10) for n in range(30)]
    whole = FeetStream(novelty).push(motion, times, [0] * 30)
    pieces = FeetStream(novelty)
    parts = [pieces.push(motion[n : n + 7], times[n : n + 7], [0] * len(times[n : n + 7])) for n in range(0, 30, 7)]
    assert np.array_equal(np.concatenate(parts), whole)
    cut = FeetStream(novelty).push(motion, times, [0] * 12 + [1] * 18)
    assert (cut[12 : 12 + STEPS + HELD - 1] == NOWHERE).all()


def test_a_novelty_gets_the_statistic_of_equally_many_false_events() -> None:
    normal = np.random.default_rng(0).normal(size=4000)
    calibration = calibrate([normal], 10.0, TailPrior(event_shape=0.0))
    tail = NoveltyTail((1.0, 3.0, 5.0), (0.05, 0.01, 0.001))
    for novelty, rate in zip(tail.novelty, tail.rates, strict=True):
        statistic = float(as_statistic(np.array(novelty), calibration, tail))
        if statistic > calibration.event_start:
            assert calibration.events_per_day(statistic) == pytest.approx(86_400 * rate, rel=1e-3)
    rising = as_statistic(np.linspace(-2, 8, 50), calibration, tail)
    assert (np.diff(rising) > 0).all()


@pytest.mark.parametrize(
    ("novelty", "rates"),
    [
        ((1.0,), (0.1,)),
        ((1.0, 1.0), (0.1, 0.05)),
        ((1.0, 2.0), (0.1, 0.1)),
        ((1.0, 2.0), (0.1, 0.0)),
        ((1.0, 2.0), (1,)),
    ],
)
def test_what_is_no_tail_of_novelty_is_refused(novelty: tuple[float, ...], rates: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="tail of novelty"):
        NoveltyTail(novelty, rates)


def test_the_background_is_read_where_the_cells_truly_lie() -> None:
    picture = np.zeros((80, 120), np.float32)
    picture[:, 60:] = 100.0
    grid = CellGrid(stride=8.0, offset=3.5, receptive_field=43, rows=10, columns=15)
    cells = background_on_cells(picture, grid, (120, 80))
    assert cells.shape == (10, 15)
    assert cells[5, 2] == pytest.approx(0, abs=1)
    assert cells[5, 13] == pytest.approx(100, abs=1)

"""Contact sheets of a benchmark: the worst misses and the worst false alarms, with what the detector saw drawn on."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detectors.regions import Placement, verdict_of
from preprocess.geometry import Letterbox
from streamer.evaluate_footage import used_frames
from streamer.overlay.heat import HeatMap
from streamer.overlay.style import Style, put_text, text_width
from streamer.sinks.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from streamer.evaluate_measure import MeasuredClip
    from streamer.frames import Bgr
    from streamer.overlay.style import Colour

MOST_TILES = 12
COLUMNS = 3
TILE_WIDTH = 480
APART = 2.0
"""Seconds between two moments of one clip on a sheet, so that one thing does not fill all of it."""
LEAST_THRESHOLD = 0.5
"""Smallest statistic that a sheet's colours are scaled to: below it there is nothing to see but noise."""

SHEET_HEAT = 0.6
"""Heat begins at a lower share of the threshold than in videos: of a miss one wants to know where it nearly was."""

_TRUTH: Colour = (90, 220, 60)
_PAPER: Colour = (32, 32, 32)
_GAP = 6
_CAPTION = 26
_LETTER = 9


@dataclass(frozen=True, slots=True)
class Moment:
    """One scored frame.

    Attributes:
        clip: where it is.
        row: among the scored frames of the clip.
        statistic: the largest of the frame.
    """

    clip: MeasuredClip
    row: int
    statistic: float

    @property
    def number(self) -> int:
        """Among the used frames of the clip."""
        return int(self.clip.scores.rows[self.row])

    @property
    def time(self) -> float:
        """Seconds of the source's clock."""
        return float(self.clip.scores.times[self.number])


def worst_moments(clips: Iterable[MeasuredClip], *, misses: bool, most: int = MOST_TILES) -> list[Moment]:
    """The irregular frames with the lowest statistic, or the normal ones with the highest; worst first.

    Args:
        clips: scored, with truth.
        misses: irregular frames; False: normal ones.
        most: at most so many, ``APART`` seconds from each other within a clip.
    """
    found = []
    for clip in clips:
        wanted = clip.irregular[clip.scores.rows] == misses
        values = clip.scores.statistic[clip.scores.rows]
        found += [Moment(clip, int(row), float(values[row])) for row in np.flatnonzero(wanted)]
    found.sort(key=lambda moment: moment.statistic if misses else -moment.statistic)
    kept: list[Moment] = []
    for moment in found:
        near = (abs(other.time - moment.time) < APART for other in kept if other.clip is moment.clip)
        if not any(near):
            kept.append(moment)
        if len(kept) >= most:
            break
    return kept


def draw_sheet(path: Path, moments: Sequence[Moment], threshold: float) -> None:
    """Draw moments side by side, worst first; none where there are none.

    Heat and boxes are relative to one threshold for the whole sheet; true irregular pixels are outlined in green.

    Args:
        path: JPEG to write.
        moments: what to show.
        threshold: statistic at which boxes are drawn: that of the equal error rate.

    Raises:
        InputError: a clip cannot be read any more.
        OutputError: the sheet cannot be written.
    """
    if not moments:
        path.unlink(missing_ok=True)
        return
    pictures = _pictures(moments)
    tiles = [_tile(moment, picture, max(threshold, LEAST_THRESHOLD)) for moment, picture in pictures]
    height = max(tile.shape[0] for tile in tiles)
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (height + _GAP) + _GAP, columns * (TILE_WIDTH + _GAP) + _GAP, 3), _PAPER, dtype=np.uint8)
    for place, tile in enumerate(tiles):
        top = _GAP + place // columns * (height + _GAP)
        left = _GAP + place % columns * (TILE_WIDTH + _GAP)
        sheet[top : top + tile.shape[0], left : left + TILE_WIDTH] = tile
    _, content = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])
    write_whole(path, content.tobytes())


def _pictures(moments: Sequence[Moment]) -> list[tuple[Moment, Bgr]]:
    """The moments with their pictures; every clip is read once, no further than needed."""
    found: dict[int, Bgr] = {}
    clips = {id(moment.clip): moment.clip for moment in moments}
    for key, clip in clips.items():
        wanted = {moment.number: place for place, moment in enumerate(moments) if id(moment.clip) == key}
        with closing(used_frames(clip.test.clip, clip.scene.ignored)) as frames:
            for used in frames:
                if used.number in wanted:
                    found[wanted.pop(used.number)] = used.frame.image.bgr()
                if not wanted:
                    break
    return [(moment, found[place]) for place, moment in enumerate(moments) if place in found]


def _tile(moment: Moment, picture: Bgr, threshold: float) -> Bgr:
    scores = moment.clip.scores
    scale = TILE_WIDTH / picture.shape[1]
    size = (TILE_WIDTH, max(1, round(picture.shape[0] * scale)))
    source = (picture.shape[1], picture.shape[0])
    shown = np.asarray(
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8
    )
    levels = np.maximum(scores.maps[moment.row].astype(np.float32), 0)
    verdict = verdict_of(levels, scores.grid, Placement(scores.working_size, source), threshold)
    place = Letterbox(source, size, (0, 0, *size))
    HeatMap(scores.grid, scores.working_size, SHEET_HEAT * threshold).draw(shown, place, verdict, Style.for_size(size))
    if moment.clip.test.masks is not None:
        _outline(shown, moment.clip.test.masks(moment.number))
    caption = np.full((_CAPTION, TILE_WIDTH, 3), _PAPER, np.uint8)
    text = f"{moment.clip.name}  frame {moment.number}  {moment.time:.1f} s"
    figure = f"{moment.statistic:.2f} at {threshold:.2f}"
    put_text(caption, text, 4, _CAPTION - 8, _LETTER)
    put_text(caption, figure, TILE_WIDTH - 4 - text_width(figure, _LETTER), _CAPTION - 8, _LETTER)
    return np.concatenate([caption, shown])


def _outline(picture: Bgr, mask: NDArray[np.bool_]) -> None:
    size = (picture.shape[1], picture.shape[0])
    enlarged = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(enlarged, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, _TRUTH, 2)

"""One annotated picture per frame: heat map and regions, border and banner, and the strip along the bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preprocess.geometry import Letterbox, even_size, pad_to_even
from streamer.overlay.banner import alarm_colour, draw_banner, draw_border, draw_learning_label
from streamer.overlay.heat import HeatMap
from streamer.overlay.strip import ScoreStrip
from streamer.overlay.style import Style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detectors.base import Verdict
    from preprocess.geometry import CellGrid, Size
    from streamer.frames import Bgr, Frame, SourceInfo


class Overlay:
    """Draws the frames of one source, in order.

    A frame alarms where its verdict does or an event is running. Quiet frames cost the copy of the picture and the
    strip; the heat map is blended only where it shows.

    Attributes:
        size: ``(width, height)`` of the pictures: the source's, odd sides grown by one.
    """

    def __init__(
        self,
        info: SourceInfo,
        grid: CellGrid,
        working_size: Size,
        *,
        threshold: float,
        whole_recording: bool = True,
    ) -> None:
        """Prepare for one source.

        Args:
            info: of the source: its size, and its duration for the strip.
            grid: where the cells of the verdicts' maps lie in the working picture.
            working_size: of the picture the networks see, which shows the whole frame.
            threshold: level of the alarm; colours and strip are relative to it.
            whole_recording: the strip shows the whole recording where its duration is known (default); otherwise, and
                with False, the last 20 s.
        """
        source_size = (info.width, info.height)
        self.size = even_size(source_size)
        self._source_size = source_size
        self._style = Style.for_size(self.size)
        self._heat = HeatMap(grid, working_size, threshold)
        duration = float(info.duration) if whole_recording and info.duration is not None else None
        self._strip = ScoreStrip(self.size[0], self._style, threshold, duration)

    @property
    def events(self) -> int:
        """Events counted so far, those of the learning part left out."""
        return self._strip.events

    def draw(self, frame: Frame, verdict: Verdict | None, *, learning: bool, event_ids: Sequence[str]) -> Bgr:
        """Annotate a frame.

        Args:
            frame: of any size; another than the source's first is letterboxed.
            verdict: None where the frame has no score.
            learning: the frame belongs to the part that is learned from.
            event_ids: events running at this frame.

        Returns:
            A picture ``(H, W, 3)`` of :attr:`size`, the caller's own.
        """
        picture, place = self._fit(frame)
        alarm = bool(event_ids) or (verdict is not None and verdict.alarm)
        score = None if verdict is None else verdict.score
        self._strip.add(frame.pts, score, event_ids, alarm=alarm, learning=learning)
        if verdict is not None:
            self._heat.draw(picture, place, verdict, self._style, alarm_colour(learning=learning))
        self._strip.draw(picture, frame.pts)
        if alarm:
            draw_banner(picture, frame, event_ids, self._style, learning=learning)
            draw_border(picture, self._style, learning=learning)
        elif learning:
            draw_learning_label(picture, self._style)
        return picture

    def _fit(self, frame: Frame) -> tuple[Bgr, Letterbox]:
        """The frame's picture at the output's size, and where the frame lies in it."""
        picture = frame.image.bgr()
        size = (picture.shape[1], picture.shape[0])
        if size == self._source_size:
            return pad_to_even(picture), Letterbox(size, self.size, (0, 0, *size))
        place = Letterbox.fit(size, self.size)
        return place.apply(picture), place


def snapshot(
    frame: Frame,
    verdict: Verdict,
    *,
    grid: CellGrid,
    working_size: Size,
    threshold: float,
    event_ids: Sequence[str] = (),
    learning: bool = False,
) -> Bgr:
    """Annotate one frame for itself, without the strip: an event's picture.

    Args:
        frame: the event's peak.
        verdict: of that frame.
        grid: where the cells of the verdict's map lie in the working picture.
        working_size: of the picture the networks see.
        threshold: level of the alarm.
        event_ids: named in the banner.
        learning: the event lies in the part that is learned from.

    Returns:
        A picture ``(H, W, 3)`` of the frame's own size.
    """
    picture = frame.image.bgr()
    size = (picture.shape[1], picture.shape[0])
    style = Style.for_size(size)
    place = Letterbox(size, size, (0, 0, *size))
    HeatMap(grid, working_size, threshold).draw(picture, place, verdict, style, alarm_colour(learning=learning))
    draw_banner(picture, frame, event_ids, style, learning=learning)
    draw_border(picture, style, learning=learning)
    return picture

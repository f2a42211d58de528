"""Colours, measures and type of the overlay, all from the picture's size, so that 160x120 and 1080p read alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    from preprocess.geometry import Size
    from streamer.frames import Bgr

Colour = tuple[int, int, int]
"""Blue, green, red, 0..255."""

WHITE: Colour = (245, 245, 245)
ALARM: Colour = (48, 44, 226)
LEARNING: Colour = (214, 120, 38)
LEARNING_ALARM: Colour = (26, 122, 232)
"""Orange: irregular, but in the part that was learned from."""
CONTOUR: Colour = (90, 225, 255)

_FONT = cv2.FONT_HERSHEY_DUPLEX
_CAP_HEIGHT = 20.5
"""Height of a capital letter at font scale 1, pixels: 20 in OpenCV 5's typeface, 21 in OpenCV 4's strokes."""
_STROKES = int(cv2.__version__.split(".")[0]) < 5
"""OpenCV 4 draws letters of strokes, which must grow with the letters; OpenCV 5's typeface is bold by itself."""


@dataclass(frozen=True, slots=True)
class Style:
    """Measures in pixels for one picture size.

    Attributes:
        text: height of a capital letter.
        small: the same on tags and in the strip.
        line: width of boxes.
        contour: width of contours.
        border: width of the alarm's border.
        banner: height of the alarm's banner, the border above it included.
        strip: height of the score strip.
    """

    text: int
    small: int
    line: int
    contour: int
    border: int
    banner: int
    strip: int

    @classmethod
    def for_size(cls, size: Size) -> Style:
        """Measures for a picture of ``(width, height)``."""
        width, height = size
        side = min(height, width * 3 // 4)
        strip = min(max(24, round(height * 0.08)), height)
        text = max(7, round(side * 0.03))
        border = max(2, round(side * 0.012))
        return cls(
            text=text,
            small=max(7, min(round(side * 0.024), strip // 3)),
            line=max(1, round(side / 220)),
            contour=max(1, round(side / 400)),
            border=border,
            banner=round(text * 2.2) + border,
            strip=strip,
        )


def text_width(text: str, cap_height: int) -> int:
    """Pixels a line of text takes."""
    return int(cv2.getTextSize(text, _FONT, cap_height / _CAP_HEIGHT, _thickness(cap_height))[0][0])


def put_text(picture: Bgr, text: str, left: int, baseline: int, cap_height: int, colour: Colour = WHITE) -> None:
    """Write one line, its letters standing on row ``baseline``; the picture changes in place."""
    scale = cap_height / _CAP_HEIGHT
    cv2.putText(picture, text, (left, baseline), _FONT, scale, colour, _thickness(cap_height), cv2.LINE_AA)


def _thickness(cap_height: int) -> int:
    return max(1, round(cap_height / 12)) if _STROKES else 1


def tint(picture: Bgr, colour: Colour, opacity: float) -> None:
    """Lay a colour over a view of a picture, in place."""
    if picture.size:
        cv2.addWeighted(picture, 1.0 - opacity, _filled(picture, colour), opacity, 0.0, dst=picture)


def _filled(like: Bgr, colour: Colour) -> Bgr:
    filled = like.copy()
    filled[:] = colour
    return filled

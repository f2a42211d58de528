"""One picture file: read whole or not at all."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from preprocess.pictures import Luma

_ENDINGS = {b"\xff\xd8": (b"\xff\xda", b"\xff\xd9"), b"\x89P": (b"IDAT", b"IEND")}
"""First bytes of JPEG and PNG: the mark that starts pixels, and the one that must follow the last of them."""


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture file's content.

    Attributes:
        luma: full-range grey ``(H, W)`` uint8.
        pixels: ``(H, W)`` grey or ``(H, W, 3)`` blue-green-red, uint8.
        format: e.g. ``gray``, ``gray16``, ``bgr24``.
    """

    luma: Luma
    pixels: NDArray[np.uint8]
    format: str


def read_picture(path: Path) -> StoredPicture | None:
    """Read a tif, png, jpg or bmp file of 8 or 16 bits; None where it is missing, damaged or cut off.

    16-bit pictures are taken to use their whole range (0..65535). A turn noted in a JPEG's EXIF data is applied.
    """
    try:
        data = path.read_bytes()
        if not _is_whole(data):
            return None
        with _quiet_opencv():
            stored = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    except (OSError, cv2.error):
        return None
    if stored is None or stored.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        return None
    bits = 8 * stored.itemsize
    if bits == 16:
        stored = cv2.convertScaleAbs(stored, alpha=1 / 257)
    pixels: NDArray[np.uint8] = np.ascontiguousarray(stored, dtype=np.uint8)
    if pixels.ndim == 2:
        return StoredPicture(pixels, pixels, "gray" if bits == 8 else "gray16")
    luma = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
    return StoredPicture(luma, pixels, "bgr24" if bits == 8 else "bgr48")


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep OpenCV's own lines about a damaged TIFF off stderr: the damage is counted and shown in the summary."""
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)


def _is_whole(data: bytes) -> bool:
    """Whether the end of the pixels is there: OpenCV fills what is missing with grey and only prints a warning."""
    if len(data) < 8:
        return False
    marks = _ENDINGS.get(data[:2])
    if marks is not None:
        start, end = marks
        return data.rfind(end) > data.rfind(start)
    if data[:2] == b"BM":
        return len(data) >= int.from_bytes(data[2:6], "little")
    return True

"""Byte layout of ``maps.avmaps``: a file header, then blocks that each stand on their own. See ``docs/outputs.md``."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from preprocess.geometry import CellGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from preprocess.geometry import Size

MAGIC = b"AVIDMAPS"
VERSION = 1
STEPS_PER_LEVEL = 16
HIGHEST_LEVEL = 255 / STEPS_PER_LEVEL
QUIET_LEVEL = 0.5
"""Lower levels are stored as 0: only a third of all normal cells reach 0.5, and leaving out the others saves 40 %
(calibrated noise on 22 x 40 cells: 0.34 KB per map instead of 0.54 KB; thresholds lie far above)."""

BLOCK_FRAMES = 64

_START = struct.Struct("<8sHI")  # magic, version, length of the JSON that follows; then the JSON and its CRC
_CRC = struct.Struct("<I")
BLOCK_MAGIC = b"BLK1"
_BLOCK = struct.Struct("<4sHHIIQQI")
"""Magic, frames, 0, source width, source height, first frame, last frame, length of the payload; then its CRC."""
BLOCK_START = _BLOCK.size + _CRC.size
LARGEST_JSON = 65536


class DamagedMapsError(ValueError):
    """The bytes are not what this format says they should be."""


@dataclass(frozen=True, slots=True)
class MapsHeader:
    """What all maps of a file have in common.

    Attributes:
        grid: where the cells lie in the working picture.
        working_size: ``(width, height)`` of the picture the network saw.
        quiet_level: lower levels are stored as 0.
    """

    grid: CellGrid
    working_size: Size
    quiet_level: float = QUIET_LEVEL

    def to_bytes(self) -> bytes:
        """The file's first bytes."""
        content = {
            "grid": asdict(self.grid),
            "working_size": list(self.working_size),
            "steps_per_level": STEPS_PER_LEVEL,
            "quiet_level": self.quiet_level,
        }
        text = json.dumps(content, allow_nan=False).encode()
        return _START.pack(MAGIC, VERSION, len(text)) + text + _CRC.pack(zlib.crc32(text))

    @classmethod
    def from_bytes(cls, data: bytes) -> tuple[Self, int]:
        """Read a header; returns it and its length in bytes.

        Args:
            data: the first ``LARGEST_JSON + 32`` bytes of the file, or all of it.

        Raises:
            DamagedMapsError: these are not the first bytes of such a file.
        """
        if len(data) < _START.size:
            raise DamagedMapsError("it is too short")
        magic, version, length = _START.unpack_from(data)
        if magic != MAGIC:
            raise DamagedMapsError("it is no file of maps")
        if version != VERSION:
            raise DamagedMapsError(f"it has format {version}, and this version of avid-watch reads {VERSION}")
        end = _START.size + length
        text = data[_START.size : end]
        if length > LARGEST_JSON or len(data) < end + _CRC.size or _CRC.unpack_from(data, end)[0] != zlib.crc32(text):
            raise DamagedMapsError("its header is damaged")
        try:
            content: dict[str, Any] = json.loads(text)
            grid = CellGrid(**content["grid"])
            width, height = (int(side) for side in content["working_size"])
            header = cls(grid, (width, height), float(content["quiet_level"]))
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedMapsError("its header is damaged") from error
        if not (grid.rows > 0 and grid.columns > 0 and grid.stride > 0 and width > 0 and height > 0):
            raise DamagedMapsError("its header is damaged")
        return header, end + _CRC.size


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """What is known of a block without unpacking it.

    Attributes:
        frames: number of maps.
        source_size: ``(width, height)`` of the upright source pictures.
        first, last: frame numbers of the first and the last map.
        length: bytes of the payload.
        crc: of the bytes before it and the payload.
    """

    frames: int
    source_size: Size
    first: int
    last: int
    length: int
    crc: int

    @classmethod
    def from_bytes(cls, data: bytes) -> Self | None:
        """Read the first ``BLOCK_START`` bytes of a block; None where they are not that."""
        if len(data) < BLOCK_START:
            return None
        magic, frames, _, width, height, first, last, length = _BLOCK.unpack_from(data)
        if magic != BLOCK_MAGIC or not 0 < frames <= BLOCK_FRAMES or not 0 < frames <= last - first + 1:
            return None
        return cls(frames, (width, height), first, last, length, _CRC.unpack_from(data, _BLOCK.size)[0])

    def fields(self) -> bytes:
        """The header as it is written, but for its CRC."""
        width, height = self.source_size
        return _BLOCK.pack(BLOCK_MAGIC, self.frames, 0, width, height, self.first, self.last, self.length)

    def check(self, payload: bytes) -> bool:
        """Whether header and payload are what was written."""
        return zlib.crc32(payload, zlib.crc32(self.fields())) == self.crc


def pack_block(indices: list[int], steps: NDArray[np.uint8], source_size: Size) -> bytes:
    """A whole block.

    The maps lie cell after cell, each with its values over time: a scene's places differ more than its moments, so
    this compresses as well as or better than map after map.

    Args:
        indices: frame numbers, increasing, one per map, at most ``BLOCK_FRAMES``.
        steps: ``(frames, rows, columns)`` uint8.
        source_size: ``(width, height)``.
    """
    offsets = (np.asarray(indices, dtype=np.int64) - indices[0]).astype("<u4")
    payload = zlib.compress(offsets.tobytes() + np.ascontiguousarray(steps.transpose(1, 2, 0)).tobytes(), 6)
    header = BlockHeader(len(indices), source_size, indices[0], indices[-1], len(payload), 0)
    fields = header.fields()
    return fields + _CRC.pack(zlib.crc32(payload, zlib.crc32(fields))) + payload


def unpack_block(header: BlockHeader, payload: bytes, grid: CellGrid) -> tuple[list[int], NDArray[np.uint8]]:
    """Frame numbers and maps ``(frames, rows, columns)`` uint8 of a block.

    Raises:
        DamagedMapsError: the block is not what was written.
    """
    if len(payload) != header.length or not header.check(payload):
        raise DamagedMapsError(f"the maps of frames {header.first} to {header.last} are damaged")
    cells = grid.rows * grid.columns
    expected = header.frames * (4 + cells)
    try:
        content = zlib.decompressobj().decompress(payload, expected + 1)
    except zlib.error as error:
        raise DamagedMapsError(f"the maps of frames {header.first} to {header.last} cannot be unpacked") from error
    if len(content) != expected:
        raise DamagedMapsError(f"the maps of frames {header.first} to {header.last} are of another size")
    offsets = np.frombuffer(content, dtype="<u4", count=header.frames)
    steps = np.frombuffer(content, dtype=np.uint8, offset=4 * header.frames)
    maps = np.ascontiguousarray(steps.reshape(grid.rows, grid.columns, header.frames).transpose(2, 0, 1))
    return [header.first + int(offset) for offset in offsets], maps

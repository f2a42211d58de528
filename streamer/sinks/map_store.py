"""``maps.avmaps``: the level map of every scored frame, small, append-only, readable after a kill."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from detectors.regions import Placement
from preprocess.errors import InputError
from streamer.sinks.map_format import (
    BLOCK_FRAMES,
    BLOCK_START,
    LARGEST_JSON,
    QUIET_LEVEL,
    STEPS_PER_LEVEL,
    BlockHeader,
    DamagedMapsError,
    MapsHeader,
    pack_block,
    unpack_block,
)
from streamer.sinks.writing import told_as_output_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from preprocess.geometry import CellGrid, Size


@dataclass(frozen=True, slots=True)
class StoredMap:
    """The map of one frame as it was stored.

    Attributes:
        index: number of the frame in its source.
        levels: ``(rows, columns)`` float32, in steps of 1/16 up to 15.9375; 0 below the quiet level.
        placement: sizes of the working picture and of the source at this frame.
    """

    index: int
    levels: NDArray[np.float32]
    placement: Placement


def to_steps(levels: NDArray[np.float32], quiet_level: float = QUIET_LEVEL) -> NDArray[np.uint8]:
    """Levels in sixteenths, rounded to nearest; NaN and what lies below the quiet level become 0."""
    finite = np.nan_to_num(levels, nan=0.0, posinf=255.0, neginf=0.0)
    steps = np.clip(np.rint(finite * STEPS_PER_LEVEL), 0, 255)
    return np.where(finite < quiet_level, 0, steps).astype(np.uint8)


class MapWriter:
    """Appends maps; a block of ``BLOCK_FRAMES`` is written as soon as it is full. Usable as a context manager."""

    def __init__(self, path: Path, grid: CellGrid, working_size: Size, *, quiet_level: float = QUIET_LEVEL) -> None:
        """Begin an empty file.

        Args:
            path: the file to write.
            grid: where the cells lie in the working picture.
            working_size: ``(width, height)`` of the picture the network sees.
            quiet_level: lower levels are stored as 0; 0 keeps all.

        Raises:
            OutputError: the file cannot be written.
        """
        self._path = path
        self._header = MapsHeader(grid, working_size, quiet_level)
        self._indices: list[int] = []
        self._steps = np.zeros((BLOCK_FRAMES, grid.rows, grid.columns), dtype=np.uint8)
        self._source_size: Size = (0, 0)
        self._latest = -1
        with told_as_output_errors(path):
            self._file = path.open("wb")
            self._file.write(self._header.to_bytes())
            self._file.flush()

    def append(self, index: int, levels: NDArray[np.float32], source_size: Size) -> None:
        """Store the map of one frame.

        Args:
            index: number of the frame; larger than the one before.
            levels: ``(rows, columns)``.
            source_size: ``(width, height)`` of the upright source at this frame.

        Raises:
            OutputError: the file cannot be written, for instance because the disk is full.
            ValueError: the map is not of the grid's shape, or comes out of order.
        """
        if levels.shape != self._steps.shape[1:]:
            raise ValueError(f"a map of shape {levels.shape} does not belong into a file of {self._steps.shape[1:]}")
        if index <= self._latest:
            raise ValueError(f"the map of frame {index} comes after that of frame {self._latest}")
        if source_size != self._source_size:
            self.flush()
            self._source_size = source_size
        self._latest = index
        self._steps[len(self._indices)] = to_steps(levels, self._header.quiet_level)
        self._indices.append(index)
        if len(self._indices) == BLOCK_FRAMES:
            self.flush()

    def flush(self) -> None:
        """Write the maps held back for the block begun.

        Raises:
            OutputError: the file cannot be written.
        """
        if not self._indices:
            return
        block = pack_block(self._indices, self._steps[: len(self._indices)], self._source_size)
        self._indices = []
        with told_as_output_errors(self._path):
            self._file.write(block)
            self._file.flush()

    def close(self) -> None:
        """Write what is held back and close the file; may be called twice."""
        try:
            self.flush()
        finally:
            with told_as_output_errors(self._path):
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MapReader:
    """Reads maps in order or by frame number. Usable as a context manager.

    Opening reads the blocks' headers only. A last block that a kill cut off is left out.

    Attributes:
        header: grid, working size and quantisation.
        truncated: bytes at the end belong to no whole block.
    """

    def __init__(self, path: Path) -> None:
        """Open a file of maps.

        Raises:
            InputError: there is none, or it is damaged from the start.
        """
        self._path = path
        self._block: tuple[int, dict[int, NDArray[np.uint8]]] | None = None
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); name the folder of a finished run") from error
        try:
            self.header, start = MapsHeader.from_bytes(self._file.read(LARGEST_JSON + 32))
        except DamagedMapsError as error:
            self._file.close()
            raise InputError(f"{path}: {error}; run the source again") from error
        self._blocks, self.truncated = self._scan(start)
        self._firsts = [block.first for _, block in self._blocks]

    def __len__(self) -> int:
        """The number of maps."""
        return sum(block.frames for _, block in self._blocks)

    def __iter__(self) -> Iterator[StoredMap]:
        """All maps in order; raises InputError at a damaged block."""
        for number, (_, block) in enumerate(self._blocks):
            for index, steps in self._maps(number).items():
                yield self._stored(index, steps, block)

    def at(self, index: int) -> StoredMap | None:
        """The map of one frame; None where it has none. Asking in order reads every block once.

        Raises:
            InputError: its block is damaged.
        """
        number = bisect_right(self._firsts, index) - 1
        if number < 0 or index > self._blocks[number][1].last:
            return None
        steps = self._maps(number).get(index)
        return None if steps is None else self._stored(index, steps, self._blocks[number][1])

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def _scan(self, start: int) -> tuple[list[tuple[int, BlockHeader]], bool]:
        """Position of every payload with its block's header, and whether anything is left over."""
        size = self._file.seek(0, 2)
        blocks: list[tuple[int, BlockHeader]] = []
        position = start
        while position < size:
            self._file.seek(position)
            block = BlockHeader.from_bytes(self._file.read(BLOCK_START))
            payload = position + BLOCK_START
            in_order = block is not None and (not blocks or block.first > blocks[-1][1].last)
            if block is None or not in_order or payload + block.length > size:
                return blocks, True
            blocks.append((payload, block))
            position = payload + block.length
        if blocks:
            position, block = blocks[-1]  # after a power cut its bytes may be missing although the file is long enough
            self._file.seek(position)
            if not block.check(self._file.read(block.length)):
                return blocks[:-1], True
        return blocks, False

    def _maps(self, number: int) -> dict[int, NDArray[np.uint8]]:
        if self._block is None or self._block[0] != number:
            position, block = self._blocks[number]
            self._file.seek(position)
            try:
                indices, maps = unpack_block(block, self._file.read(block.length), self.header.grid)
            except DamagedMapsError as error:
                raise InputError(f"{self._path}: {error}; run the source again") from error
            self._block = number, dict(zip(indices, maps, strict=True))
        return self._block[1]

    def _stored(self, index: int, steps: NDArray[np.uint8], block: BlockHeader) -> StoredMap:
        levels = steps.astype(np.float32) / np.float32(STEPS_PER_LEVEL)
        return StoredMap(index, levels, Placement(self.header.working_size, block.source_size))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

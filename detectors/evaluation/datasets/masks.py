"""Pixel truth as the sets store it: a picture per frame, NumPy stacks, MATLAB cells."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from detectors.evaluation.datasets.files import read_pixels
from preprocess.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MaskPictures:
    """One picture per used frame; whatever is not black is irregular.

    Attributes:
        paths: in the order of the used frames.
    """

    paths: tuple[Path, ...]

    def __call__(self, frame: int) -> NDArray[np.bool_]:
        """Irregular pixels ``(H, W)``; InputError where the picture cannot be read."""
        path = self.paths[frame]
        pixels = read_pixels(path)
        if pixels is None:
            raise InputError(f"{path}: this mask cannot be read; copy it again")
        shown = pixels if pixels.ndim == 2 else pixels[..., :3].any(axis=2)  # without an alpha channel
        return np.asarray(shown, dtype=np.bool_)

    def irregular(self) -> NDArray[np.bool_]:
        """``(N,)`` whether each frame has an irregular pixel; reads all, and raises as the call does."""
        return np.array([self(frame).any() for frame in range(len(self.paths))], np.bool_)


@dataclass(frozen=True, slots=True)
class MaskStack:
    """A NumPy file of ``(N, H, W)``; whatever is not zero is irregular. Only the frame asked for is read.

    Attributes:
        path: the ``.npy`` file.
    """

    path: Path

    def __call__(self, frame: int) -> NDArray[np.bool_]:
        """Irregular pixels ``(H, W)``; InputError where the file cannot be read."""
        return np.asarray(load_numpy(self.path, dimensions=3)[frame] != 0, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class MaskCells:
    """A MATLAB file with a cell per frame (``volLabel`` of Avenue); whatever is not zero is irregular.

    Attributes:
        path: the ``.mat`` file.
    """

    path: Path

    def __call__(self, frame: int) -> NDArray[np.bool_]:
        """Irregular pixels ``(H, W)``; InputError where the file cannot be read."""
        packed, width = _cells(self.path)
        return np.unpackbits(packed[frame], axis=-1, count=width).astype(np.bool_)

    def irregular(self) -> NDArray[np.bool_]:
        """``(N,)`` whether each frame has an irregular pixel; raises as the call does."""
        return np.asarray(_cells(self.path)[0].any(axis=(1, 2)), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class NothingIrregular:
    """Pixel truth of a clip that is normal all through.

    Attributes:
        height: of the picture, pixels.
        width: of the picture, pixels.
    """

    height: int
    width: int

    def __call__(self, frame: int) -> NDArray[np.bool_]:  # noqa: ARG002 -- every frame is the same
        """No pixel at all, ``(H, W)``."""
        return np.zeros((self.height, self.width), np.bool_)


def load_numpy(path: Path, *, dimensions: int) -> NDArray[Any]:
    """Map a NumPy file into memory; objects in it are refused, so that loading runs no code.

    Raises:
        InputError: it is missing, damaged, or of another shape.
    """
    try:
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError, SyntaxError, TokenError) as error:
        raise InputError(f"{path}: cannot be read as a NumPy array ({_first_line(error)}); copy it again") from error
    if array.ndim != dimensions:
        raise InputError(f"{path}: holds an array of {array.shape}, not of {dimensions} dimensions; is it that file?")
    return array


@lru_cache(maxsize=1)  # clips are scored one after the other; one of Avenue takes up to 330 MB before it is packed
def _cells(path: Path) -> tuple[NDArray[np.uint8], int]:
    """All masks of a ``volLabel``, ``(N, H, W / 8)`` bits, and their width."""
    try:
        stored = loadmat(str(path), variable_names=["volLabel"])["volLabel"]
    except NotImplementedError as error:
        raise InputError(f"{path}: saved in MATLAB's 7.3 format, not as published; save it again with -v7") from error
    except KeyError as error:
        raise InputError(f"{path}: holds no volLabel; is it a label file of Avenue?") from error
    except (OSError, ValueError, TypeError, EOFError, MatReadError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as a MATLAB file ({_first_line(error)}); copy it again") from error
    masks = [np.asarray(mask) for mask in stored.ravel()] if stored.dtype == object else []
    if not masks or masks[0].ndim != 2 or any(mask.shape != masks[0].shape for mask in masks):
        raise InputError(f"{path}: its volLabel is no row of masks of one size; is it a label file of Avenue?")
    return np.stack([np.packbits(mask != 0, axis=-1) for mask in masks]), masks[0].shape[1]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

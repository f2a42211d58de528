"""Random textures: tileable noise of a chosen roughness, looked up in metres so that perspective comes for free."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Field = NDArray[np.float32]

_SIDE = 256
_BAND = (1 / 12, 1 / 5)
"""A tile holds wavelengths of 5 to 12 of its pixels only, so one look-up is one octave."""


def fractal(rng: np.random.Generator, height: int, width: int, roughness: float = 1.6) -> Field:
    """Tileable noise with the spectrum 1 / f ** roughness, mean 0, standard deviation 1: ``(height, width)``."""
    white = rng.standard_normal((height, width))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None, :] * width)
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(white) / frequency**roughness
    spectrum[0, 0] = 0.0
    field = np.fft.irfft2(spectrum, s=(height, width))
    return (field / max(float(field.std()), 1e-9)).astype(np.float32)


class Octaves:
    """Noise over the ground whose octaves fade where the picture is too coarse to show them.

    Args:
        rng: decides the pattern.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        white = rng.standard_normal((_SIDE, _SIDE))
        frequency = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None, :])
        spectrum = np.fft.rfft2(white) * ((frequency > _BAND[0]) & (frequency < _BAND[1]))
        tile = np.fft.irfft2(spectrum, s=(_SIDE, _SIDE))
        self._tile = (tile / tile.std()).astype(np.float32)
        self._rng = rng

    def sample(self, x: Field, y: Field, footprint: Field, waves: Sequence[float], *, stretch: float = 1.0) -> Field:
        """Sum of one octave per wavelength, each of standard deviation 1 where it can be seen.

        Args:
            x: ``(H, W)`` metres on the ground, across.
            y: ``(H, W)`` metres on the ground, away from the camera.
            footprint: ``(H, W)`` metres that a pixel spans.
            waves: wavelengths in metres.
            stretch: how much longer the pattern is along x than along y.

        Returns:
            ``(H, W)``; standard deviation about the root of the number of octaves.
        """
        total = np.zeros(x.shape, dtype=np.float32)
        for wave in waves:
            scale = 8.0 / wave
            shift = self._rng.uniform(0, _SIDE, 2)
            turn = self._rng.uniform(-0.2, 0.2)
            along = (x * (scale / stretch) + y * (turn * scale) + shift[0]) % _SIDE
            across = (y * scale - x * (turn * scale / stretch) + shift[1]) % _SIDE
            layer = cv2.remap(
                self._tile,
                along.astype(np.float32),
                across.astype(np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_WRAP,
            )
            seen = np.clip(wave / (2.0 * footprint) - 0.5, 0.0, 1.0)
            total += layer * seen
        return total

"""I and D together, ready to score: windows in, both maps out, I's residual brought to D's cells."""

from __future__ import annotations

import copy
import math
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from detectors.avid.networks import POOL, Maps, at_cells, shared_networks
from detectors.avid.settings import AvidSettings
from detectors.base import Scores
from detectors.inference import Runtime, choose_runtime
from preprocess.errors import ModelError
from preprocess.pictures import GREY_LEVELS_PER_UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from preprocess.geometry import CellGrid

RESIDUAL_FLOOR = 1e-4  # input units squared: (0.64 grey levels)^2, below sensor noise


class Avid:
    """The AVID system in inference mode: networks, shared by all cameras with the same weights, and a camera's blur.

    Attributes:
        name: its registry name.
        settings: what it is built from.
        blur: standard deviation of the blur over I's residual, working pixels.
        runtime: device and precision.
    """

    name = "avid"

    def __init__(
        self,
        settings: AvidSettings,
        tensors: Mapping[str, torch.Tensor],
        *,
        blur: float,
        runtime: Runtime | None = None,
    ) -> None:
        """Take the networks with these weights.

        Args:
            settings: networks and recipe.
            tensors: ``inpainter.*`` and ``detector.*``; must not be written to afterwards.
            blur: working pixels.
            runtime: device and precision; chosen for this machine by default.

        Raises:
            KeyError, RuntimeError: the tensors do not fit the settings.
        """
        self.settings = settings
        self.runtime = runtime if runtime is not None else choose_runtime()
        self._networks = shared_networks(settings, tensors, self.runtime)
        self._set_blur(blur)

    def _set_blur(self, blur: float) -> None:
        self.blur = blur
        self._kernel = _gaussian(blur / POOL).to(self.runtime.device)
        self._noise = torch.Generator().manual_seed(0)

    def with_blur(self, blur: float) -> Avid:
        """The same networks with another camera's blur (working pixels): no weight is copied."""
        other = copy.copy(self)
        other._set_blur(blur)  # noqa: SLF001 - of this class
        return other

    @property
    def networks_id(self) -> str:
        """Equal for two systems exactly where their networks give the same maps, so that one run serves both."""
        return self._networks.identity

    def grid(self, height: int, width: int) -> CellGrid:
        """Where D's cells of a working picture lie."""
        return self.settings.detector.grid(height, width)

    def state(self) -> dict[str, torch.Tensor]:
        """The tensors it was built from."""
        return dict(self._networks.tensors)

    def score(self, windows: torch.Tensor) -> Scores:
        """Score a batch of windows.

        Args:
            windows: ``(B, 3, H, W)`` float32 in units of 64 grey levels.
        """
        return self.score_jointly([(self, len(windows))], windows)[0]

    @torch.inference_mode()
    def score_jointly(self, parts: Sequence[tuple[Avid, int]], windows: torch.Tensor) -> list[Scores]:
        """Score windows of several cameras in one run of the networks.

        Args:
            parts: each camera's system, with this one's ``networks_id``, and the number of its windows, in order.
            windows: ``(B, 3, H, W)`` float32 in units of 64 grey levels; ``B`` is the sum of the numbers.

        Returns:
            The scores of every part: what its own :meth:`score` would say of its windows.

        Raises:
            ValueError: a system has other networks, or the numbers do not add up.
        """
        if any(camera.networks_id != self.networks_id for camera, _ in parts):
            raise ValueError("only systems with the same networks are scored together")
        if sum(count for _, count in parts) != len(windows):
            raise ValueError(f"{len(windows)} windows are not those of {[count for _, count in parts]}")
        ends = list(accumulate(count for _, count in parts))
        rows = [(camera, end - count, end) for (camera, count), end in zip(parts, ends, strict=True)]
        windows = self.runtime.upload(windows)
        shown = windows
        if any(camera.settings.noise_at_test for camera, _ in parts):
            noisy = [camera._shown(windows[start:end]) for camera, start, end in rows]  # noqa: SLF001 - of this class
            shown = self.runtime.upload(torch.cat(noisy))
        maps = self._networks.forward(windows, shown, self.grid(*windows.shape[-2:]))
        return [camera._finished(maps.part(start, end)) for camera, start, end in rows]  # noqa: SLF001 - of this class

    def _shown(self, windows: torch.Tensor) -> torch.Tensor:
        """Windows as the networks are shown them: with the training noise where the settings say so."""
        if not self.settings.noise_at_test:
            return windows
        deviation = self.settings.training.noise / GREY_LEVELS_PER_UNIT
        return windows + (torch.randn(windows.shape, generator=self._noise) * deviation).to(windows.device)

    def _finished(self, maps: Maps) -> Scores:
        """The networks' maps with this camera's blur."""
        on_cells = at_cells(self._blurred(maps.pooled), maps.grid, POOL)
        return Scores(
            inpainter=maps.residual,
            detector=maps.detector,
            residual=torch.log(on_cells + RESIDUAL_FLOOR),
            motion=maps.motion,
            grid=maps.grid,
        )

    def _blurred(self, pooled: torch.Tensor) -> torch.Tensor:
        """Gaussian blur of a residual on the lattice of one point per 4x4 pixels, ``(B, 1, H / 4, W / 4)``."""
        reach = len(self._kernel) // 2
        mode = "reflect" if reach < min(pooled.shape[-2:]) else "replicate"
        padded = functional.pad(pooled, (reach, reach, reach, reach), mode=mode)
        rows = functional.conv2d(padded, self._kernel[None, None, :, None])
        return functional.conv2d(rows, self._kernel[None, None, None, :])


def rebuild(settings: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: Path) -> Avid:
    """Rebuild from a model file's header and tensors (see :class:`detectors.registry.DetectorFactory`)."""
    try:
        own = AvidSettings.from_json(settings)
        return Avid(own, tensors, blur=float(settings.get("blur_pixels", own.blur * 9.0)))
    except ModelError as error:
        raise ModelError(f"{path}: {error}; fit the camera anew") from error
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its weights do not fit its settings; fit the camera anew") from error


def _gaussian(deviation: float) -> torch.Tensor:
    """Normalised Gaussian, ``(2 * reach + 1,)``."""
    reach = max(1, math.ceil(2.5 * deviation))
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / max(deviation, 1e-3)) ** 2)
    return kernel / kernel.sum()

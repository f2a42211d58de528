"""I and D together, ready to score: windows in, both maps out, I's residual brought to D's cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from detectors.avid.detector import DetectorNetwork, irregular_logit
from detectors.avid.inpainter import Inpainter
from detectors.avid.settings import AvidSettings
from detectors.avid.training import load_weights
from detectors.base import Scores
from detectors.inference import Runtime, choose_runtime, prepare
from preprocess.errors import ModelError
from preprocess.pictures import GREY_LEVELS_PER_UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from preprocess.geometry import CellGrid

RESIDUAL_FLOOR = 1e-4  # input units squared: (0.64 grey levels)^2, below sensor noise
POOL = 4  # the residual is averaged over 4x4 pixels before it is blurred; the blur is wider than that anyway


class Avid:
    """The AVID system in inference mode.

    Attributes:
        name: its registry name.
        settings: what it is built from.
        blur: standard deviation of the blur over I's residual, working pixels.
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
        """Build the networks and give them their weights.

        Args:
            settings: networks and recipe.
            tensors: ``inpainter.*`` and ``detector.*``.
            blur: working pixels.
            runtime: device and precision; chosen for this machine by default.

        Raises:
            KeyError, RuntimeError: the tensors do not fit the settings.
        """
        self.settings = settings
        self.blur = blur
        self.runtime = runtime if runtime is not None else choose_runtime()
        inpainter, detector = Inpainter(settings.inpainter), DetectorNetwork(settings.detector)
        load_weights(inpainter, detector, dict(tensors))
        self._tensors = dict(tensors)
        self._inpainter = prepare(inpainter, self.runtime)
        self._detector = prepare(detector, self.runtime)
        self._kernel = _gaussian(blur / POOL).to(self.runtime.device)
        self._noise = torch.Generator().manual_seed(0)

    def grid(self, height: int, width: int) -> CellGrid:
        """Where D's cells of a working picture lie."""
        return self._detector.grid(height, width)

    def state(self) -> dict[str, torch.Tensor]:
        """The tensors it was built from."""
        return dict(self._tensors)

    @torch.inference_mode()
    def score(self, windows: torch.Tensor) -> Scores:
        """Score a batch of windows.

        Args:
            windows: ``(B, 3, H, W)`` float32 in units of 64 grey levels.
        """
        windows = self.runtime.upload(windows)
        shown = windows
        if self.settings.noise_at_test:
            deviation = self.settings.training.noise / GREY_LEVELS_PER_UNIT
            shown = windows + (torch.randn(windows.shape, generator=self._noise) * deviation).to(windows.device)
        with self.runtime.autocast():
            restored = self._inpainter(shown)
            # The first published code judges what I made of the window; a D that knows irregular windows judges X.
            judged = self._detector(restored if self._judges_restored else shown)
        residual = (windows - restored.float()).square().mean(1)
        grid = self.grid(*windows.shape[-2:])
        on_cells = _at_cells(self._blurred(residual), grid, POOL)
        changes = windows.abs() if self.settings.mode == "difference" else windows.diff(dim=1).abs()
        moving = _at_cells(functional.avg_pool2d(changes.mean(1, keepdim=True), 8, ceil_mode=True), grid, 8)
        return Scores(
            inpainter=residual,
            detector=irregular_logit(judged.float(), self.settings.detector.output),
            residual=torch.log(on_cells + RESIDUAL_FLOOR),
            motion=moving,
            grid=grid,
        )

    @property
    def _judges_restored(self) -> bool:
        return not self.settings.training.simulated_weight

    def _blurred(self, residual: torch.Tensor) -> torch.Tensor:
        """Gaussian blur of ``(B, H, W)`` on a lattice of one point per 4x4 pixels, ``(B, 1, H / 4, W / 4)``."""
        pooled = functional.avg_pool2d(residual[:, None], POOL, ceil_mode=True, count_include_pad=False)
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


def _at_cells(plane: torch.Tensor, grid: CellGrid, pool: int) -> torch.Tensor:
    """Sample a pooled plane ``(B, 1, H / pool, W / pool)`` bilinearly at the cells' true centres, ``(B, h, w)``."""
    height, width = plane.shape[-2:]
    rows, columns = (torch.from_numpy(axis).float().to(plane.device) for axis in grid.centres())
    y = ((rows + 0.5) / pool * 2 / height) - 1
    x = ((columns + 0.5) / pool * 2 / width) - 1
    lattice = torch.stack((x[None, :].expand(len(y), -1), y[:, None].expand(-1, len(x))), dim=-1)
    points = lattice[None].expand(len(plane), -1, -1, -1)
    return functional.grid_sample(plane, points, padding_mode="border", align_corners=False)[:, 0]

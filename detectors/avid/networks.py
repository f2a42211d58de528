"""I and D prepared to score, held once for all cameras that have the same weights.

Forty cameras on the base weights are one pair of networks, whether they came from one model or from forty model files:
what is the same is told by the weights themselves.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import torch
from torch.nn import functional

from detectors.avid.detector import DetectorNetwork, irregular_logit
from detectors.avid.inpainter import Inpainter
from detectors.avid.training import load_weights
from detectors.inference import prepare
from detectors.tracing import traced
from preprocess.geometry import CellGrid  # noqa: TC001 - the annotation of a cached function

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detectors.avid.detector import DetectorOutput
    from detectors.avid.settings import AvidSettings
    from detectors.inference import Runtime

POOL: Final = 4  # the residual is averaged over 4x4 pixels before it is blurred; the blur is wider than that anyway
MOTION_POOL: Final = 8


@dataclass(frozen=True, slots=True)
class Maps:
    """What both networks say of a batch, before anything that belongs to one camera.

    Attributes:
        residual: ``(B, H, W)`` float32 squared residual, see :class:`detectors.base.Scores`.
        pooled: the same on a lattice of one point per 4x4 pixels, ``(B, 1, H / 4, W / 4)``.
        detector: ``(B, h, w)`` float32 logit of *irregular*.
        motion: ``(B, h, w)`` float32 mean absolute input on D's cells.
        grid: where the cells lie in the working picture.
    """

    residual: torch.Tensor
    pooled: torch.Tensor
    detector: torch.Tensor
    motion: torch.Tensor
    grid: CellGrid

    def part(self, start: int, end: int) -> Maps:
        """Those of the windows ``start`` up to ``end``; views, no copies."""
        rows = slice(start, end)
        return Maps(self.residual[rows], self.pooled[rows], self.detector[rows], self.motion[rows], self.grid)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Networks:
    """I and D ready to score; immutable, and so safe to share.

    Attributes:
        identity: equal where, and only where, two pairs of networks give the same maps for the same windows: a digest
            of weights, structure, device and precision.
        inpainter, detector: prepared for the runtime.
        tensors: what they were built from, on the CPU.
        differences: the channels of their windows are signed differences, not pictures.
        judges_restored: D judges what I made of the window, as in the first published code; a D that knows irregular
            windows judges the window.
        output: what D's raw map says.
        runtime: device and precision.
    """

    identity: str
    inpainter: torch.nn.Module
    detector: torch.nn.Module
    tensors: Mapping[str, torch.Tensor]
    differences: bool
    judges_restored: bool
    output: DetectorOutput
    runtime: Runtime

    def forward(self, windows: torch.Tensor, shown: torch.Tensor, grid: CellGrid) -> Maps:
        """Run both networks once.

        Args:
            windows: ``(B, 3, H, W)`` float32 on the device, units of 64 grey levels.
            shown: what the networks are shown of them: the same, or with noise added.
            grid: D's cells in a picture of ``H`` x ``W``.
        """
        with self.runtime.autocast():
            restored = self.inpainter(shown)
            judged = self.detector(restored if self.judges_restored else shown)
        residual = _mean_of_channels((windows - restored).square_())  # float32, whatever the precision of I
        changes = _mean_of_channels(windows.abs() if self.differences else windows.diff(dim=1).abs())
        motion = functional.avg_pool2d(changes[:, None], MOTION_POOL, ceil_mode=True)
        return Maps(
            residual=residual,
            pooled=functional.avg_pool2d(residual[:, None], POOL, ceil_mode=True, count_include_pad=False),
            detector=irregular_logit(judged.float(), self.output),
            motion=at_cells(motion, grid, MOTION_POOL),
            grid=grid,
        )


def _mean_of_channels(planes: torch.Tensor) -> torch.Tensor:
    """Mean of the channels of ``(B, C, H, W)``, C at least 2: ``(B, H, W)``.

    Where channels are last, ``mean(1)`` of three takes more than twice as long: an eighth of all scoring on a CPU.
    """
    first, second, *others = planes.unbind(1)
    total = first + second
    for other in others:
        total += other
    return total.div_(planes.shape[1])


def shared_networks(settings: AvidSettings, tensors: Mapping[str, torch.Tensor], runtime: Runtime) -> Networks:
    """The networks with these weights: those that some camera uses already, or new ones.

    They live as long as somebody uses them.

    Args:
        settings: networks and recipe.
        tensors: ``inpainter.*`` and ``detector.*``; must not be written to afterwards.
        runtime: device and precision.

    Raises:
        KeyError, RuntimeError: the tensors do not fit the settings.
    """
    judges_restored = not settings.training.simulated_weight
    structure = {
        "inpainter": asdict(settings.inpainter),
        "detector": asdict(settings.detector),
        "mode": settings.mode,
        "judges_restored": judges_restored,
        "device": str(runtime.device),
        "precision": str(runtime.precision),
    }
    identity = _digest(structure, tensors)
    with _lock:
        networks = _living.get(identity)
        if networks is None:
            inpainter, detector = Inpainter(settings.inpainter), DetectorNetwork(settings.detector)
            load_weights(inpainter, detector, dict(tensors))
            networks = Networks(
                identity=identity,
                inpainter=traced(prepare(inpainter, runtime), runtime),
                detector=traced(prepare(detector, runtime), runtime),
                tensors=dict(tensors),
                differences=settings.mode == "difference",
                judges_restored=judges_restored,
                output=settings.detector.output,
                runtime=runtime,
            )
            _living[identity] = networks
        return networks


_living: WeakValueDictionary[str, Networks] = WeakValueDictionary()
_lock = Lock()


def _digest(structure: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> str:
    """Digest of a structure and the values of its tensors; 16-bit values count as the float32 they are used as.

    0.9 M parameters take about 4 ms.
    """
    digest = hashlib.sha256(json.dumps(structure, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu()
        values = (tensor.float() if tensor.is_floating_point() else tensor.long()).contiguous()
        digest.update(json.dumps([name, str(values.dtype), list(values.shape)]).encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def at_cells(plane: torch.Tensor, grid: CellGrid, pool: int) -> torch.Tensor:
    """Sample a pooled plane ``(B, 1, H / pool, W / pool)`` bilinearly at the cells' true centres, ``(B, h, w)``."""
    height, width = plane.shape[-2:]
    points = _lattice(grid, pool, height, width, plane.device).expand(len(plane), -1, -1, -1)
    return functional.grid_sample(plane, points, padding_mode="border", align_corners=False)[:, 0]


@lru_cache(maxsize=64)
def _lattice(grid: CellGrid, pool: int, height: int, width: int, device: torch.device) -> torch.Tensor:
    """The cells' centres in a pooled plane in the units of ``grid_sample``, ``(1, h, w, 2)``."""
    rows, columns = (torch.from_numpy(axis).float() for axis in grid.centres())
    y = ((rows + 0.5) / pool * 2 / height) - 1
    x = ((columns + 0.5) / pool * 2 / width) - 1
    lattice = torch.stack((x[None, :].expand(len(y), -1), y[:, None].expand(-1, len(x))), dim=-1)
    return lattice[None].to(device)

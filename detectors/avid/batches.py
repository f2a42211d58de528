"""What a training step sees: normal crops, noise and simulated irregularities, made while the step before is computed.

Every batch is a function of the seed and the number of its step alone. So it does not matter which thread makes it and
how far ahead, and a training that goes on after an interruption sees what it would have seen.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import numpy as np
import torch

from detectors.avid.rendered import RenderedTruth, rendered_crops
from detectors.avid.simulate import IRREGULAR, Kind, SceneScale, SimulatedBatch, augment, simulate
from detectors.bank import WindowBank, draw_crops, pairs_to_channels
from preprocess.pictures import GREY_LEVELS_PER_UNIT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from detectors.avid.settings import AvidSettings
    from preprocess.geometry import CellGrid

T = TypeVar("T")

CROP_MULTIPLE: Final = 8
"""Sides of D's crops are multiples of so many pixels."""

MOST_SCENES: Final = 4
"""Scenes that one batch is drawn from at most."""


@dataclass(frozen=True, slots=True)
class TrainingScene:
    """One scene to learn from.

    Attributes:
        bank: normal windows.
        scale: how large and fast normal things are in them.
        rendered: windows with known irregularities, where the scene was rendered.
    """

    bank: WindowBank
    scale: SceneScale
    rendered: RenderedTruth | None = None


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """The inputs of one step, on the CPU; channels in units of 64 grey levels.

    Attributes:
        normal: ``(B, 3, S, S)`` float32 normal windows.
        noise: as large; what I has to remove is the sum.
        simulated: ``(B, 3, S, S)`` float32 windows with irregularities in part of them; None where D learns none.
        labels: ``(B, h, w)`` float32 truth of their cells: 1 irregular, 0 normal, -1 not known.
    """

    normal: torch.Tensor
    noise: torch.Tensor
    simulated: torch.Tensor | None
    labels: torch.Tensor | None


class BatchMaker:
    """Makes the batch of any step; several threads may use it."""

    def __init__(
        self,
        settings: AvidSettings,
        scenes: Sequence[TrainingScene],
        grid: Callable[[int, int], CellGrid],
        *,
        seed: int,
        kinds: tuple[Kind, ...] = IRREGULAR,
    ) -> None:
        """Prepare.

        Args:
            settings: the recipe.
            scenes: normal footage; those without a window are left out.
            grid: D's cells in a picture of this height and width, pixels.
            seed: of all draws.
            kinds: of simulated irregularities.

        Raises:
            ValueError: no scene has a window.
        """
        self.scenes = [scene for scene in scenes if len(scene.bank)]
        if not self.scenes:
            raise ValueError("training needs at least one window of normal footage")
        self._settings = settings
        self._grid = grid
        self._seed = seed
        self._kinds = kinds
        self._rows = [() if s.rendered is None else s.rendered.irregular_rows() for s in self.scenes]

    def with_seed(self, seed: int) -> BatchMaker:
        """The same with another seed."""
        return BatchMaker(self._settings, self.scenes, self._grid, seed=seed, kinds=self._kinds)

    def batch(self, step: int) -> TrainingBatch:
        """The batch of step ``step``, from 0 on."""
        random = np.random.default_rng((self._seed, step))
        recipe = self._settings.training
        normal = self.normal(random)
        noise = self.noise(normal.shape, random)
        if not recipe.simulated_weight:
            return TrainingBatch(normal, noise, None, None)
        crops = self.simulated(random)
        labels = crops.labels(self._grid(*crops.pictures.shape[-2:]))
        return TrainingBatch(normal, noise, pairs_to_channels(crops.pictures, self._settings.mode), labels)

    def normal(self, random: np.random.Generator) -> torch.Tensor:
        """Draw normal windows ``(B, 3, S, S)``, units of 64 grey levels."""
        recipe = self._settings.training
        crops = []
        for count in self._parts(recipe.batch):
            bank = self._scene(random)[0].bank
            size = min(recipe.inpainter_crop, *bank.pictures.shape[1:])
            crops.append(draw_crops(bank, count, size, random, moving_share=0.9)[0])
        smallest = min(crop.shape[-1] for crop in crops)
        pictures = torch.from_numpy(np.concatenate([crop[..., :smallest, :smallest] for crop in crops])).float()
        if random.random() < 0.5:
            pictures = pictures.flip(-1)
        return pairs_to_channels(pictures, self._settings.mode)

    def noise(self, shape: torch.Size, random: np.random.Generator) -> torch.Tensor:
        """Draw the recipe's noise, units of 64 grey levels."""
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        return torch.randn(shape, generator=generator) * (self._settings.training.noise / GREY_LEVELS_PER_UNIT)

    def simulated(self, random: np.random.Generator) -> SimulatedBatch:
        """Draw crops, part of them irregular."""
        recipe = self._settings.training
        parts = []
        for count in self._parts(recipe.batch):
            scene, rows = self._scene(random)
            size = min(recipe.detector_crop, *scene.bank.pictures.shape[1:]) // CROP_MULTIPLE * CROP_MULTIPLE
            if scene.rendered is not None and rows and random.random() < recipe.rendered_share:
                parts.append(rendered_crops(scene.rendered, rows, count, size, random))
            else:
                parts.append(
                    simulate(
                        scene.bank,
                        scene.scale,
                        count,
                        size,
                        random,
                        irregular_share=recipe.irregular_share,
                        kinds=self._kinds,
                    )
                )
        smallest = min(part.pictures.shape[-1] for part in parts)
        pictures = torch.cat([part.pictures[..., :smallest, :smallest] for part in parts])
        covered = torch.cat([part.covered[..., :smallest, :smallest] for part in parts])
        if random.random() < 0.5:
            pictures, covered = pictures.flip(-1), covered.flip(-1)
        return SimulatedBatch(augment(pictures, random), covered, np.concatenate([part.kinds for part in parts]))

    def _scene(self, random: np.random.Generator) -> tuple[TrainingScene, tuple[NDArray[np.int64], ...]]:
        number = int(random.integers(len(self.scenes)))
        return self.scenes[number], self._rows[number]

    def _parts(self, count: int) -> list[int]:
        """Share a batch among a few scenes, so that no step sees one scene alone."""
        parts = min(MOST_SCENES, len(self.scenes), count)
        return [count // parts + (1 if part < count % parts else 0) for part in range(parts)]


class Ahead(Generic[T]):
    """Makes the things of the next steps on other threads while the present one is used.

    Every thing has a thread of its own that ends with it: nothing has to be closed.

    Attributes:
        workers: threads at a time.
    """

    def __init__(self, make: Callable[[int], T], workers: int) -> None:
        """Start nothing yet.

        Args:
            make: the thing of a step; several threads call it.
            workers: threads at a time; 0 makes everything when it is asked for.
        """
        self._make = make
        self.workers = workers
        self._coming: deque[tuple[int, Future[T]]] = deque()

    def get(self, step: int) -> T:
        """The thing of ``step``; those of the steps after it are begun."""
        if not self.workers:
            return self._make(step)
        while self._coming and self._coming[0][0] != step:  # asked for another step than expected
            self._coming.popleft()
        if not self._coming:
            self._begin(step)
        found = self._coming.popleft()[1].result()
        while len(self._coming) < self.workers:
            self._begin(step + 1 + len(self._coming))
        return found

    def _begin(self, step: int) -> None:
        coming: Future[T] = Future()
        self._coming.append((step, coming))
        threading.Thread(target=_made, args=(self._make, step, coming), name="avid-batches").start()


def _made(make: Callable[[int], T], step: int, coming: Future[T]) -> None:
    torch.set_num_threads(1)  # of this thread: the other cores are the networks'
    try:
        coming.set_result(make(step))
    except Exception as error:  # noqa: BLE001 - told to whoever asks for the thing
        coming.set_exception(error)

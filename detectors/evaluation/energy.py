"""The baseline that any detector has to beat: how much changes between the pictures of a window, without a network.

The mean squared difference of the window, blurred over the scene's body width, takes the place of I's residual; from
there on everything is as for AVID: causal smoothing, calibration, threshold and events. One scale serves the whole
picture: what is usual at each place is learned, and a baseline should show how far one gets without learning.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import torch

from detectors.base import Scores
from detectors.calibration import TailPrior, calibrate
from detectors.checkpoint import ModelHeader, current_versions
from detectors.evidence import Fusion, Places, learn_places, something_moves
from detectors.learning import (
    BATCH,
    TOLERATED,
    LearnProgress,
    as_segments,
    frame_statistics,
    read_bank,
    read_measure,
)
from detectors.registry import register
from detectors.scene import choose_windows, scale_at
from detectors.scene_model import DECISIONS, Knowledge, SceneModel, preprocessing_json
from preprocess.errors import InputError, ModelError
from preprocess.geometry import CellGrid, pixels_to_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from detectors.avid.system import Avid
    from preprocess.pictures import Footage

NAME = "energy"
STRIDE = 8  # working pixels between cells, as between those of D
ENERGY_FLOOR = 1e-4  # input units squared, as for I's residual
BLUR = 1.0  # standard deviation in body widths
MEMORY = 0.2  # seconds of causal smoothing where no base model says otherwise
LEAST_WINDOWS = 20

register(NAME, "detectors.evaluation.energy:rebuild", "frame-difference energy without any network, a baseline")


class EnergyDetector:
    """Frame-difference energy behind the detector contract; its D is silent.

    Attributes:
        name: its registry name.
        blur: standard deviation of the blur over the energy, working pixels.
    """

    name = NAME

    def __init__(self, blur: float) -> None:
        """Blur by so many working pixels.

        Raises:
            ValueError: not a positive number.
        """
        if not 0 < blur < float("inf"):
            raise ValueError(f"the blur must be a positive number of pixels, not {blur}")
        self.blur = blur

    def grid(self, height: int, width: int) -> CellGrid:
        """A cell for every 8x8 pixels; it sees what the blur brings in."""
        reach = round(2 * 2.5 * self.blur) + STRIDE
        return CellGrid(STRIDE, (STRIDE - 1) / 2, reach, max(1, height // STRIDE), max(1, width // STRIDE))

    def state(self) -> dict[str, torch.Tensor]:
        """Nothing is learned but what calibration knows."""
        return {}

    def score(self, windows: torch.Tensor) -> Scores:
        """Score a batch of windows.

        Args:
            windows: ``(B, 3, H, W)`` float32 in units of 64 grey levels.
        """
        height, width = windows.shape[-2:]
        grid = self.grid(height, width)
        inputs = windows.cpu().numpy()
        energy = np.square(inputs).mean(1)
        moving = np.abs(inputs).mean(1)
        size = (width, height)
        blurred = [cv2.GaussianBlur(plane, (0, 0), self.blur, borderType=cv2.BORDER_REFLECT) for plane in energy]
        on_cells = np.stack([pixels_to_cells(np.asarray(plane, np.float32), grid, size) for plane in blurred])
        motion = np.stack([pixels_to_cells(plane, grid, size) for plane in moving])
        return Scores(
            inpainter=torch.from_numpy(energy),
            detector=torch.zeros(on_cells.shape),
            residual=torch.from_numpy(np.log(on_cells + ENERGY_FLOOR)),
            motion=torch.from_numpy(motion),
            grid=grid,
        )


def rebuild(settings: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: Path) -> EnergyDetector:
    """Rebuild from a model file's header (see :class:`detectors.registry.DetectorFactory`).

    Raises:
        ModelError: the settings do not fit.
    """
    del tensors  # it has none
    try:
        return EnergyDetector(float(settings["blur_pixels"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its settings are not those of {NAME!r}; fit the camera anew") from error


def fit_energy(
    footage: Footage,
    *,
    progress: Callable[[LearnProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> SceneModel:
    """Calibrate the baseline on one camera's normal footage, by the code that calibrates AVID.

    Raises:
        InputError: the footage is too short.
    """
    measure = read_measure(footage)
    windows = choose_windows(measure, mode="difference")
    bank = read_bank(footage, windows)
    if len(bank) < LEAST_WINDOWS:
        raise InputError(
            f"only {len(bank)} windows of normal footage; {NAME} wants at least {LEAST_WINDOWS}: give more"
        )
    body, step = scale_at(measure, windows)
    detector = EnergyDetector(BLUR * body)
    scored: list[tuple[Scores, list[int]]] = []
    for start in range(0, len(bank), BATCH):
        if stop():
            raise InputError("stopped before the baseline was calibrated")
        rows = list(range(start, min(start + BATCH, len(bank))))
        scored.append((detector.score(torch.from_numpy(bank.windows(rows))), rows))
        progress(LearnProgress("calibrating", rows[-1] / len(bank)))
    places = one_scale(learn_places(scores for scores, _ in scored))
    known = Knowledge(Fusion(1.0, 0.0), MEMORY, {decision: TailPrior() for decision in DECISIONS}, {}, places)
    steps = [float(after - before) for before, after in pairwise(bank.times) if after > before]
    moves = np.concatenate([something_moves(scores.motion.cpu().numpy()) for scores, _ in scored])
    calibrations = {}
    for decision in DECISIONS:
        segments = frame_statistics(scored, bank, places, known, decision)
        calibrations[decision] = calibrate(
            segments,
            1.0 / float(np.median(steps)),
            known.priors[decision],
            tolerated=TOLERATED,
            moving=as_segments(moves, segments),
        )
    knowledge = replace(known, calibrations=calibrations)
    header = ModelHeader(
        detector=NAME,
        detector_settings={"blur_pixels": BLUR * body},
        preprocessing=preprocessing_json(windows),
        calibration={**knowledge.to_json(), "body": body, "step": step},
        versions=current_versions(),
        trained_on={"footage_seconds": round(bank.seconds, 3), "windows": len(bank), "pictures": len(bank.pictures)},
        training={"steps": 0},
    )
    # The scene model asks of its detector what every detector has; AVID is what it is written for.
    return SceneModel(cast("Avid", detector), windows, knowledge, header, "fitted")


def one_scale(places: Places) -> Places:
    """The same location and spread everywhere: the mean of those of all places."""
    tables = (getattr(places, name) for name in Places.__slots__)
    return Places(*(np.full_like(table, table.mean()) for table in tables))

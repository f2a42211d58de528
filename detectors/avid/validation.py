"""How good a system is on held-out normal footage: what chooses between checkpoints. No label, no test video."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from detectors.avid.simulate import SceneScale, simulate
from detectors.bank import draw_crops, pairs_to_channels

if TYPE_CHECKING:
    from detectors.avid.system import Avid
    from detectors.bank import WindowBank

BATCHES = 4
CROPS = 24
CROP = 96
MOVING = 2.0 / 64.0  # mean absolute difference, input units, from which a cell counts as moving


def validate(detector: Avid, held_out: WindowBank, scale: SceneScale, seed: int) -> float:
    """Ranking of simulated irregular cells over moving normal ones on held-out windows, 0.5 (chance) to 1.

    Half from the joint map's two parts each: the area under the ROC curve of D's logit, and that of I's residual.

    Args:
        detector: the system.
        held_out: normal windows that trained nothing.
        scale: of the scene.
        seed: of the simulation; the same for everything that is compared.
    """
    random = np.random.default_rng(seed + 1)
    size = min(CROP, *held_out.pictures.shape[1:]) // 8 * 8
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for _ in range(BATCHES):
        batch = simulate(held_out, scale, CROPS, size, random)
        scores = detector.score(pairs_to_channels(batch.pictures, detector.settings.mode))
        labels = batch.labels(scores.grid).numpy()
        judged = (labels > 0) | ((labels == 0) & (scores.motion.cpu().numpy() > MOVING))
        parts.append((labels[judged] > 0, scores.detector.cpu().numpy()[judged], scores.residual.cpu().numpy()[judged]))
    truth, logits, residuals = (np.concatenate(column) for column in zip(*parts, strict=True))
    return 0.5 * (ranking(truth, logits) + ranking(truth, residuals))


def held_out_residual(detector: Avid, held_out: WindowBank, seed: int) -> float:
    """Mean squared residual of moving crops of held-out normal windows, input units squared: the paper's figure.

    Sabokrou et al. (ACCV 2018) keep the inpainter of the smallest reconstruction error on validation data.
    """
    random = np.random.default_rng(seed + 2)
    size = min(CROP, *held_out.pictures.shape[1:]) // 8 * 8
    total = 0.0
    for _ in range(BATCHES):
        crops = torch.from_numpy(draw_crops(held_out, CROPS, size, random, moving_share=1.0)[0]).float()
        total += float(detector.score(pairs_to_channels(crops, detector.settings.mode)).inpainter.mean())
    return total / BATCHES


def ranking(truth: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve (Mann-Whitney), ties counted half; 0.5 where one class is missing."""
    positive = int(truth.sum())
    negative = len(truth) - positive
    if positive == 0 or negative == 0:
        return 0.5
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))

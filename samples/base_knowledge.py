"""What the base model knows beside its weights: how to join both maps, and what the tails of normal scenes look like.

Chosen on generated scenes that trained nothing, each learned from its own first part as any camera is.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from scipy.stats import genpareto

from detectors.avid.system import Avid
from detectors.bank import BACKGROUND_PICTURES
from detectors.base import Scores
from detectors.calibration import TAIL_FROM, TailPrior, cluster_peaks, location_and_scale, sustained
from detectors.evidence import Decision, Fusion, decide, learn_places
from detectors.ground import NOWHERE, FeetStream, NoveltyTail, background_on_cells, feet, learn_novelty
from detectors.scene_model import DECISIONS, Knowledge
from preprocess.geometry import pixels_to_cells
from samples.training_scenes import FRAME_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from detectors.avid.settings import AvidSettings
    from samples.training_scenes import RenderedScene

BATCH: Final = 8
LEARNED_SECONDS: Final = 28.0
SUSTAINED_FRAMES: Final = 3
GAP_FRAMES: Final = FRAME_RATE
SHARES: Final = (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85)  # I always has a say: D knows only what it was shown
MEMORIES: Final = (0.0, 0.1, 0.2)
RATES_PER_MINUTE: Final = (1.0, 0.5, 0.2)
LARGEST_SHAPE: Final = 0.1
LEAST_NOVELTY: Final = 0.0  # a place as usual as where feet mostly are
NOVELTY_RATES_PER_MINUTE: Final = (4.0, 2.0, 1.0, 0.5, 0.3, 0.2, 0.1, 0.06)
EVENT_TAIL_FROM: Final = 0.5  # quantile of normal scenes' peaks at which the event tail begins


@dataclass(frozen=True, slots=True)
class LearnedKnowledge:
    """Knowledge for the base model, and how it came about in lines to print."""

    values: Knowledge
    report: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Scored:
    """One scene: ``(N, h, w)`` maps of evidence, truth and novelty, from which window on it is watched, its events."""

    name: str
    inpainter: NDArray[np.float32]
    detector: NDArray[np.float32]
    learned: int
    truth: NDArray[np.float32]
    events: tuple[tuple[str, int, int], ...]
    novelty: NDArray[np.float32]


def learn_knowledge(
    with_events: Iterable[RenderedScene],
    normal: Iterable[RenderedScene],
    settings: AvidSettings,
    tensors: Mapping[str, torch.Tensor],
) -> LearnedKnowledge:
    """Choose fusion and smoothing by events found at a few false ones a minute, and fit the tails of normal scenes.

    Args:
        with_events: scenes whose first part is normal and whose rest holds known events.
        normal: scenes without events.
        settings: of the trained system.
        tensors: its weights.
    """
    scenes = [_score(scene, settings, tensors) for scene in (*with_events, *normal)]
    report: list[str] = []
    best, best_recall = (0.0, 0.7), -1.0
    for memory in MEMORIES:
        for share in SHARES:
            recall = _recall(scenes, "joint", Fusion(1 - share, share), memory)
            report.append(f"memory {memory:.1f} s, D's share {share:.1f}: mean recall {recall:.3f}")
            if recall > best_recall:
                best, best_recall = (memory, share), recall
    memory, share = best
    fusion = Fusion(round(1 - share, 2), round(share, 2))
    by_paper = _recall(scenes, "paper", fusion, memory)
    report.append(f"chosen: memory {memory} s, D's share {share}; the paper's rule has {by_paper:.3f}")
    priors: dict[Decision, TailPrior] = {}
    for decision in DECISIONS:
        priors[decision] = _tails(scenes, decision, fusion, memory)
        report.append(f"{decision}: {priors[decision]}")
    report += _kinds(scenes, fusion, memory)
    tail, lines = _novelty_tail(scenes)
    known = Knowledge(fusion, memory, priors, {}, None, novelty_tail=tail)
    return LearnedKnowledge(known, (*report, *lines))


def _score(scene: RenderedScene, settings: AvidSettings, tensors: Mapping[str, torch.Tensor]) -> _Scored:
    detector = Avid(settings, tensors, blur=settings.blur * scene.scale.body)
    bank = scene.bank()
    parts = [
        detector.score(torch.from_numpy(bank.windows(range(start, min(start + BATCH, len(bank))))))
        for start in range(0, len(bank), BATCH)
    ]
    whole = Scores(
        inpainter=torch.empty(0),
        detector=torch.cat([part.detector for part in parts]),
        residual=torch.cat([part.residual for part in parts]),
        motion=torch.cat([part.motion for part in parts]),
        grid=parts[0].grid,
    )
    first = len(scene.pictures) - len(bank)
    learned = min(scene.learning, int(LEARNED_SECONDS * FRAME_RATE)) - first
    places = learn_places(
        [Scores(torch.empty(0), whole.detector[:learned], whole.residual[:learned], whole.motion[:learned], whole.grid)]
    )
    inpainter, logit = places.evidence(whole)
    size = (scene.windows.width, scene.windows.height)
    truth = np.stack([pixels_to_cells(mask / np.float32(255), whole.grid, size) for mask in scene.covered[first:]])
    spans: dict[int, tuple[str, int, int]] = {}
    for row, regions in enumerate(scene.boxes[first:]):
        for event, kind, *_ in regions:
            begun = spans.get(event, (kind, row, row))
            spans[event] = (kind, begun[1], row)
    novelty = _novelty(scene, whole, learned, first)
    return _Scored(scene.name, inpainter, logit, learned, truth, tuple(spans.values()), novelty)


def _novelty(scene: RenderedScene, scores: Scores, learned: int, first: int) -> NDArray[np.float32]:
    """What watching would say of the places feet are at, ``(N, h, w)`` nats; nowhere new where too few feet were."""
    motion = scores.motion.numpy()
    pictures = scene.pictures[: first + learned]
    spread = np.linspace(0, len(pictures) - 1, BACKGROUND_PICTURES).round().astype(int)
    background = np.asarray(np.median(pictures[spread], axis=0), np.float32)
    size = (scene.windows.width, scene.windows.height)
    ground = background_on_cells(background, scores.grid, size)
    novelty = learn_novelty(feet(motion[:learned]).sum(0), ground)
    if novelty is None:
        return np.full_like(motion, NOWHERE)
    times = [Fraction(row, FRAME_RATE) for row in range(len(motion))]
    return FeetStream(novelty).push(motion, times, [0] * len(times))


def _novelty_tail(scenes: Sequence[_Scored]) -> tuple[NoveltyTail | None, list[str]]:
    """The tail of novelty on normal footage, and what of each kind of event is found by it alone."""
    peaks: list[float] = []
    found: list[tuple[str, float]] = []
    frames = 0
    for scene in scenes:
        flat = scene.novelty.reshape(len(scene.novelty), -1).max(1)
        watched = np.arange(len(flat)) >= scene.learned
        for kind, begun, ended in scene.events:
            watched[max(0, begun - 6) : ended + 20] = False
            near = np.where(scene.truth[begun : ended + 1] > 0.1, scene.novelty[begun : ended + 1], NOWHERE)
            found.append((kind, float(near.max(initial=NOWHERE))))
        calm = sustained(np.where(watched, flat, NOWHERE), SUSTAINED_FRAMES)
        peaks += cluster_peaks(calm, LEAST_NOVELTY, GAP_FRAMES).tolist()
        frames += int(watched.sum())
    seconds = frames / FRAME_RATE
    values = np.sort(peaks)[::-1]
    # One cluster in all this footage is the rarest that is known; rarer ones are extrapolated to.
    ranks = sorted(
        {round(rate * seconds / 60) for rate in NOVELTY_RATES_PER_MINUTE if 1 <= rate * seconds / 60 <= len(values)}
    )
    knots = {round(float(values[rank - 1]), 4): rank / seconds for rank in reversed(ranks)}
    tail = NoveltyTail(tuple(knots), tuple(knots.values())) if len(knots) > 1 else None
    lines = [f"novelty of places: {tail}; highest in {seconds / 60:.1f} min: {values[:15].round(2).tolist()}"]
    kinds = sorted({kind for kind, _ in found})
    lines += [
        f"novelty of {kind}: {sorted(round(value, 2) for name, value in found if name == kind)}" for kind in kinds
    ]
    return tail, lines


def _statistic(scene: _Scored, decision: Decision, fusion: Fusion, memory: float) -> NDArray[np.float32]:
    joined = decide(scene.inpainter, scene.detector, decision, fusion)
    if memory > 0:
        keep = np.float32(np.exp(-1 / FRAME_RATE / memory))
        joined = joined.copy()
        for row in range(1, len(joined)):
            joined[row] += keep * (joined[row - 1] - joined[row])
    return joined


def _peaks(
    scenes: Sequence[_Scored], decision: Decision, fusion: Fusion, memory: float
) -> tuple[list[tuple[str, float]], NDArray[np.float64], NDArray[np.float64], float]:
    """Sustained peaks of the events, of normal footage, all normal excesses, and the normal seconds, in scene units."""
    events: list[tuple[str, float]] = []
    peaks: list[NDArray[np.float64]] = []
    excesses: list[NDArray[np.float64]] = []
    frames = 0
    for scene in scenes:
        joined = _statistic(scene, decision, fusion, memory)
        flat = joined.reshape(len(joined), -1).max(1)
        _, unit = location_and_scale(flat[: scene.learned])
        start = float(np.quantile(flat[: scene.learned], TAIL_FROM))
        event_start = float(np.quantile(sustained(flat[: scene.learned], SUSTAINED_FRAMES), TAIL_FROM))
        busy = np.zeros(len(flat), bool)
        for kind, begun, ended in scene.events:
            busy[max(0, begun - 6) : ended + 8] = True
            near = np.where(scene.truth[begun : ended + 1] > 0.1, joined[begun : ended + 1], -np.inf)
            lasting = sustained(np.maximum(near.reshape(len(near), -1).max(1), -1e3), SUSTAINED_FRAMES)
            events.append((kind, float((lasting[SUSTAINED_FRAMES - 1 :].max(initial=-1e3) - event_start) / unit)))
        watched = np.arange(len(flat)) >= scene.learned
        calm = np.where(busy | ~watched, -1e3, flat)
        peaks.append((cluster_peaks(sustained(calm, SUSTAINED_FRAMES), event_start, GAP_FRAMES) - event_start) / unit)
        excesses.append((calm[calm > start] - start) / unit)
        frames += int((~busy & watched).sum())
    return events, np.concatenate(peaks), np.concatenate(excesses), frames / FRAME_RATE


def _recall(scenes: Sequence[_Scored], decision: Decision, fusion: Fusion, memory: float) -> float:
    """Share of events found, averaged over a few rates of false ones."""
    events, peaks, _, seconds = _peaks(scenes, decision, fusion, memory)
    falling = np.sort(peaks)[::-1]
    found = np.array([value for _, value in events])
    recalls = []
    for rate in RATES_PER_MINUTE:
        allowed = int(rate * seconds / 60)
        threshold = falling[allowed] if allowed < len(falling) else 0.0
        recalls.append(float((found > threshold).mean()))
    return float(np.mean(recalls))


def _tails(scenes: Sequence[_Scored], decision: Decision, fusion: Fusion, memory: float) -> TailPrior:
    _, peaks, excesses, seconds = _peaks(scenes, decision, fusion, memory)
    shape, scale = _fit(excesses)
    offset = float(np.quantile(peaks, EVENT_TAIL_FROM)) if len(peaks) else 0.0
    high = peaks[peaks > offset]
    event_shape, event_scale = _fit(high - offset)
    return TailPrior(
        shape, scale, round(offset, 4), event_shape, event_scale, max(len(high), 1) / seconds, round(seconds, 1)
    )


def _fit(excesses: NDArray[np.float64]) -> tuple[float, float]:
    """Generalised Pareto shape, bounded to 0..0.15, and the scale of the same mean."""
    if len(excesses) < 20:
        return 0.05, 1.0
    shape = float(np.clip(genpareto.fit(excesses, floc=0)[0], 0.0, LARGEST_SHAPE))
    return round(shape, 4), round(float(excesses.mean()) * (1 - shape), 4)


def _kinds(scenes: Sequence[_Scored], fusion: Fusion, memory: float) -> list[str]:
    events, peaks, _, seconds = _peaks(scenes, "joint", fusion, memory)
    highest = np.sort(peaks)[::-1][:15].round(1).tolist()
    lines = [f"normal peaks above the tail's start in {seconds / 60:.1f} min: {highest}"]
    for kind in sorted({kind for kind, _ in events}):
        values = sorted(round(value, 1) for name, value in events if name == kind)
        lines.append(f"{kind}: {values}")
    return lines

"""Many cameras in one run of the networks: the same verdicts as one camera at a time, and one pair of networks."""

from __future__ import annotations

import gc
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detectors import scorer as scorer_module
from detectors.avid.networks import Networks
from detectors.avid.system import Avid
from detectors.calibration import TailPrior, calibrate
from detectors.evaluation.energy import EnergyDetector
from detectors.evidence import Fusion, Places
from detectors.ground import Ground
from detectors.inference import Runtime
from detectors.joint_scoring import score_together
from detectors.scene_model import SceneModel
from detectors.scorer import EvidenceStream, Scorer
from preprocess.pictures import Window, WindowSettings
from tests.scenes import CPU32, tiny_base, tiny_settings

if TYPE_CHECKING:
    from pathlib import Path

    from detectors.base import Detector, Verdict

HEIGHT, WIDTH = 48, 64


@pytest.fixture(scope="module")
def base() -> SceneModel:
    return tiny_base()


def another_base(base: SceneModel) -> Avid:
    """A system with weights of its own."""
    tensors = {name: value.clone() for name, value in base.detector.state().items()}
    tensors["detector.output.bias"] += 0.5
    return Avid(base.detector.settings, tensors, blur=6.0, runtime=CPU32)


def camera(
    detector: Detector, seed: int, *, size: tuple[int, int] = (WIDTH, HEIGHT), memory: float = 0.3, ground: bool = False
) -> Scorer:
    """A camera with usual evidence, calibration and memory of its own."""
    random = np.random.default_rng(seed)
    windows = WindowSettings(Fraction(1, 10), *size)
    grid = detector.grid(size[1], size[0])
    shape = (grid.rows, grid.columns)
    usual = [random.normal(level, 0.3, shape).astype(np.float32) for level in (-3.0, 0.0)]
    spread = [random.uniform(0.7, 1.4, shape).astype(np.float32) for _ in range(2)]
    places = Places(usual[0], spread[0], usual[1], spread[1])
    novelty = Ground(random.uniform(0, 3, shape).astype(np.float32)) if ground else None
    calibration = calibrate([random.normal(0, 1, 400)], 10, TailPrior())
    stream = EvidenceStream(places, Fusion(0.4, 0.6), "joint", memory, novelty)
    return Scorer(detector, windows, grid, stream, calibration, source_size=(640, 480), threshold=3.0 + seed / 10)


def footage(count: int, seed: int, *, size: tuple[int, int] = (WIDTH, HEIGHT), start: int = 0) -> list[Window]:
    """Windows of noise, ten a second, with a new segment in their middle."""
    random = np.random.default_rng([seed, start])
    return [
        Window(
            random.normal(0, 0.3, (3, size[1], size[0])).astype(np.float32),
            Fraction(start + number, 10),
            2 * start + (number > count // 2),
        )
        for number in range(count)
    ]


def assert_same(one: list[Verdict], two: list[Verdict]) -> None:
    assert len(one) == len(two)
    for first, second in zip(one, two, strict=True):
        assert np.allclose(first.levels, second.levels, atol=1e-4)
        assert first.score == pytest.approx(second.score, abs=1e-4)
        assert first.inpainter_part == pytest.approx(second.inpainter_part, abs=1e-3)
        assert first.detector_part == pytest.approx(second.detector_part, abs=1e-3)
        assert first.alarm == second.alarm
        assert len(first.regions) == len(second.regions)


class Counting:
    """Counts the windows of every run of one pair of networks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs: list[int] = []
        forward = Networks.forward

        def counted(networks, windows, shown, grid):
            self.runs.append(len(windows))
            return forward(networks, windows, shown, grid)

        monkeypatch.setattr(Networks, "forward", counted)


def test_scoring_together_says_what_every_camera_says_alone(base: SceneModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def cameras() -> list[Scorer]:
        blurred = [base.detector.with_blur(blur) for blur in (2.0, 6.0, 11.0)]
        return [camera(detector, seed, ground=seed == 1) for seed, detector in enumerate(blurred)]

    together, alone = cameras(), cameras()
    counting = Counting(monkeypatch)
    for start, counts in ((0, (3, 1, 5)), (10, (1, 0, 2)), (20, (4, 4, 0))):
        given = [footage(count, seed, start=start) for seed, count in enumerate(counts)]
        found = score_together(list(zip(together, given, strict=True)))
        assert counting.runs == [sum(counts)]
        for scorer, windows, verdicts in zip(alone, given, found, strict=True):
            assert_same(verdicts, scorer.verdicts(windows))
        counting.runs.clear()


def test_the_cameras_calibrations_are_not_mixed_up(base: SceneModel) -> None:
    windows = footage(3, 0)
    first, second = score_together([(camera(base.detector, 0), windows), (camera(base.detector, 9), windows)])
    assert not np.allclose(first[0].levels, second[0].levels, atol=0.01)


def test_other_weights_and_other_sizes_are_runs_of_their_own(base: SceneModel, monkeypatch: pytest.MonkeyPatch) -> None:
    other, large = another_base(base), (80, 64)

    def parts() -> list[tuple[Scorer, list[Window]]]:
        return [
            (camera(base.detector, 0), footage(2, 0)),
            (camera(other, 1), footage(3, 1)),
            (camera(base.detector, 2, size=large), footage(1, 2, size=large)),
            (camera(base.detector.with_blur(3.0), 3), footage(4, 3)),
        ]

    counting = Counting(monkeypatch)
    found = score_together(parts())
    assert counting.runs == [6, 3, 1]
    for (scorer, windows), verdicts in zip(parts(), found, strict=True):
        assert_same(verdicts, scorer.verdicts(windows))


def test_what_is_too_large_for_one_run_comes_in_several_and_says_the_same(
    base: SceneModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parts() -> list[tuple[Scorer, list[Window]]]:
        return [(camera(base.detector, seed), footage(count, seed)) for seed, count in enumerate((3, 0, 5, 1))]

    whole = score_together(parts())
    monkeypatch.setattr(scorer_module, "LARGEST_SCORED_AREA", 4 * HEIGHT * WIDTH)
    counting = Counting(monkeypatch)
    cut = score_together(parts())
    assert counting.runs == [4, 4, 1]
    for one, two in zip(whole, cut, strict=True):
        assert_same(one, two)


def test_nothing_to_score_runs_nothing(base: SceneModel, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    assert score_together([]) == []
    assert score_together([(camera(base.detector, 0), []), (camera(base.detector, 1), [])]) == [[], []]
    assert counting.runs == []


def test_noise_at_test_time_is_drawn_per_camera(base: SceneModel) -> None:
    noisy = replace(base.detector.settings, noise_at_test=True)

    def cameras() -> list[Scorer]:
        tensors = base.detector.state()
        return [
            camera(Avid(settings, tensors, blur=6.0, runtime=CPU32), seed)
            for seed, settings in enumerate((noisy, base.detector.settings, noisy))
        ]

    given = [footage(2, seed) for seed in range(3)]
    found = score_together(list(zip(cameras(), given, strict=True)))
    for scorer, windows, verdicts in zip(cameras(), given, found, strict=True):
        assert_same(verdicts, scorer.verdicts(windows))


def test_a_detector_without_networks_shares_with_itself_alone() -> None:
    def cameras() -> list[Scorer]:
        first, second = EnergyDetector(4.0), EnergyDetector(9.0)
        return [camera(first, 0), camera(second, 1), camera(first, 2)]

    together = cameras()
    assert together[0].group == together[2].group != together[1].group
    given = [footage(2 + seed, seed) for seed in range(3)]
    found = score_together(list(zip(together, given, strict=True)))
    for scorer, windows, verdicts in zip(cameras(), given, found, strict=True):
        assert_same(verdicts, scorer.verdicts(windows))


def test_systems_with_other_networks_are_refused(base: SceneModel) -> None:
    with pytest.raises(ValueError, match="same networks"):
        base.detector.score_jointly([(another_base(base), 1)], torch.zeros(1, 3, HEIGHT, WIDTH))
    with pytest.raises(ValueError, match="2 windows are not those of"):
        base.detector.score_jointly([(base.detector, 1)], torch.zeros(2, 3, HEIGHT, WIDTH))


def test_another_blur_shares_every_tensor_and_scores_as_a_system_built_with_it(base: SceneModel) -> None:
    shared = base.detector.with_blur(2.5)
    built = Avid(base.detector.settings, base.detector.state(), blur=2.5, runtime=CPU32)
    windows = torch.randn(2, 3, HEIGHT, WIDTH)
    assert shared.blur == 2.5
    assert base.detector.blur == 6.0
    assert shared.networks_id == base.detector.networks_id
    for name, tensor in base.detector.state().items():
        assert shared.state()[name] is tensor
    for name in ("inpainter", "detector", "residual", "motion"):
        assert torch.equal(getattr(shared.score(windows), name), getattr(built.score(windows), name))
    assert not torch.allclose(shared.score(windows).residual, base.detector.score(windows).residual, atol=1e-3)


def test_a_model_file_with_the_base_weights_joins_the_base_group(base: SceneModel, tmp_path: Path) -> None:
    base.save(tmp_path / "gate.avid")
    loaded = SceneModel.load(tmp_path / "gate.avid", CPU32)
    assert loaded.detector.networks_id == base.detector.networks_id
    mine, theirs = base.detector._networks, loaded.detector._networks
    assert theirs.inpainter is mine.inpainter
    assert camera(loaded.detector, 0).group == camera(base.detector, 1).group


def test_weights_structure_or_precision_of_its_own_is_a_group_of_its_own(base: SceneModel) -> None:
    tensors, settings = base.detector.state(), base.detector.settings
    reduced = Runtime(torch.device("cpu"), torch.bfloat16)
    paper = tiny_settings(simulated_weight=0.0)
    others = [
        another_base(base),
        Avid(settings, tensors, blur=6.0, runtime=reduced),
        Avid(replace(settings, mode="mean"), tensors, blur=6.0, runtime=CPU32),
        Avid(replace(settings, detector=replace(settings.detector, leak=0.2)), tensors, blur=6.0, runtime=CPU32),
        Avid(paper, tensors, blur=6.0, runtime=CPU32),
    ]
    assert len({base.detector.networks_id, *(other.networks_id for other in others)}) == len(others) + 1


def test_forty_loads_of_one_model_are_one_pair_of_networks(base: SceneModel, tmp_path: Path) -> None:
    base.save(tmp_path / "gate.avid")
    loaded = [SceneModel.load(tmp_path / "gate.avid", CPU32) for _ in range(40)]
    assert len({id(model.detector._networks) for model in loaded}) == 1


def test_networks_nobody_uses_any_more_are_given_up(base: SceneModel) -> None:
    from detectors.avid import networks

    before = len(networks._living)
    other = another_base(base)
    assert len(networks._living) == before + 1
    del other
    gc.collect()
    assert len(networks._living) == before

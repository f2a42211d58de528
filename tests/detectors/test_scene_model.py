"""One camera's model: its file brings back the very same verdicts, and a bad file is refused in one line."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from detectors.checkpoint import ModelHeader, load_model, save_model
from detectors.learning import learn_scene
from detectors.scene_model import DECISIONS, Knowledge, SceneModel
from preprocess.errors import ModelError
from preprocess.temporal import WindowBuilder
from tests.scenes import CPU32, Recorded, tiny_base, walkers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detectors.base import Verdict

SIZE = (96, 64)


@pytest.fixture(scope="module")
def model() -> SceneModel:
    return learn_scene(Recorded(walkers().film(10, 6)), tiny_base(), budget_seconds=600, runtime=CPU32)


def verdicts_of(model: SceneModel, **options: Any) -> list[Verdict]:
    builder = WindowBuilder(model.windows)
    windows = [w for p in walkers().film(10, 2, start=20) if (w := builder.push(p)) is not None]
    return model.scorer(SIZE, **options).verdicts(windows)


def test_a_model_read_back_from_its_file_gives_identical_verdicts(model: SceneModel, tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    model.save(path)
    again = SceneModel.load(path, CPU32)
    assert again.windows == model.windows
    assert json.dumps(asdict(again.header)) == json.dumps(asdict(model.header))
    assert again.file == str(path)
    assert again.knowledge.calibrations == model.knowledge.calibrations
    assert again.supported_per_day == model.supported_per_day
    for decision in DECISIONS:
        for one, two in zip(verdicts_of(model, decision=decision), verdicts_of(again, decision=decision), strict=True):
            assert np.array_equal(one.levels, two.levels)
            assert one.regions == two.regions
            assert (one.inpainter_part, one.detector_part) == (two.inpainter_part, two.detector_part)
        thresholds = [m.scorer(SIZE, decision=decision).threshold for m in (model, again)]
        assert thresholds[0] == thresholds[1]


def test_saving_again_changes_nothing(model: SceneModel, tmp_path: Path) -> None:
    model.save(tmp_path / "one.avid")
    SceneModel.load(tmp_path / "one.avid", CPU32).save(tmp_path / "two.avid")
    first, second = (load_model(tmp_path / name) for name in ("one.avid", "two.avid"))
    assert first[0] == second[0]
    assert first[1].keys() == second[1].keys()
    assert all(torch.equal(first[1][name], second[1][name]) for name in first[1])


def test_half_kernels_change_the_verdicts_little(model: SceneModel, tmp_path: Path) -> None:
    model.save(tmp_path / "half.avid", half_kernels=True)
    again = SceneModel.load(tmp_path / "half.avid", CPU32)
    for one, two in zip(verdicts_of(model), verdicts_of(again), strict=True):
        assert np.allclose(one.levels, two.levels, atol=0.1)


def test_a_base_model_keeps_its_tails_and_has_learned_no_scene(tmp_path: Path) -> None:
    base = tiny_base()
    base.save(tmp_path / "base.avid")
    again = SceneModel.load(tmp_path / "base.avid", CPU32)
    assert again.knowledge == base.knowledge
    assert again.supported_per_day is None
    assert again.calibration_json() == {}
    with pytest.raises(ModelError, match=r"has not learned a camera yet.*avid-watch fit"):
        again.scorer(SIZE)


def test_a_slower_source_is_watched_at_its_own_pace_and_that_is_said(model: SceneModel) -> None:
    usual = model.scorer(SIZE, period=model.windows.spacing)
    assert usual.notes == ()
    assert usual.windows == model.windows
    slow = model.scorer(SIZE, period=2 * model.windows.spacing)
    assert slow.windows.spacing == 2 * model.windows.spacing
    assert len(slow.notes) == 1
    assert "slower" in slow.notes[0]
    for ratio in (Fraction(10, 9), Fraction(6, 5), Fraction(13, 10)):
        assert model.scorer(SIZE, period=ratio * model.windows.spacing).notes != ()
    assert model.scorer(SIZE, period=Fraction(1001, 1000) * model.windows.spacing).windows == model.windows
    faster = model.scorer(SIZE, period=Fraction(1, 100))
    assert faster.notes == ()
    assert faster.windows == model.windows


def test_a_slower_source_gives_windows_and_verdicts_all_the_same(model: SceneModel) -> None:
    scorer = model.scorer(SIZE, period=Fraction(1, 4))
    builder = WindowBuilder(scorer.windows)
    windows = [w for p in walkers().film(4, 3) if (w := builder.push(p)) is not None]
    assert len(scorer.verdicts(windows)) == 7


def test_another_shape_of_the_picture_is_said(model: SceneModel) -> None:
    assert "another shape" in model.scorer((640, 480 // 2)).notes[0]
    assert model.scorer((1920, 1280)).notes == ()


def break_header(path: Path, target: Path, change: Callable[[ModelHeader], ModelHeader]) -> None:
    header, tensors = load_model(path)
    save_model(target, change(header), tensors)


def without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def calibration_with(**values: Any) -> Callable[[ModelHeader], ModelHeader]:
    return lambda h: replace(h, calibration=h.calibration | {"joint": h.calibration["joint"] | values})


def preprocessing_with(**values: Any) -> Callable[[ModelHeader], ModelHeader]:
    return lambda h: replace(h, preprocessing=h.preprocessing | values)


def settings_with(**values: Any) -> Callable[[ModelHeader], ModelHeader]:
    return lambda h: replace(h, detector_settings=h.detector_settings | values)


BROKEN = {
    "another detector": lambda h: replace(h, detector="ganomaly"),
    "no preprocessing": lambda h: replace(h, preprocessing={}),
    "no spacing": lambda h: replace(h, preprocessing=without(h.preprocessing, "spacing")),
    "a spacing of nothing": preprocessing_with(spacing="0"),
    "a spacing over zero": preprocessing_with(spacing="1/0"),
    "a spacing in words": preprocessing_with(spacing="often"),
    "an odd width": preprocessing_with(width=97),
    "no width": preprocessing_with(width=None),
    "an endless width": preprocessing_with(width="1e999"),
    "another working size": preprocessing_with(width=128),
    "no settings": lambda h: replace(h, detector_settings={}),
    "settings of another kind": settings_with(inpainter=[1, 2]),
    "unknown settings": settings_with(training={"speed": 3}),
    "layers that are no layers": settings_with(detector={"layers": [5]}),
    "weights of another network": settings_with(inpainter={"channels": [8, 8]}),
    "no blur": lambda h: replace(h, detector_settings=without(h.detector_settings, "blur_pixels")),
    "no calibration": lambda h: replace(h, calibration={}),
    "a fusion of another kind": lambda h: replace(h, calibration=h.calibration | {"fusion": 3}),
    "no priors": lambda h: replace(h, calibration=without(h.calibration, "priors")),
    "knots that fall": calibration_with(knots=[3.0, 1.0], survival=[1.0, 0.5]),
    "a rate of nothing": calibration_with(event_rate=0.0),
    "a calibration of another kind": lambda h: replace(h, calibration=h.calibration | {"joint": 7}),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_damaged_header_is_one_line_that_names_the_file(model: SceneModel, tmp_path: Path, damage: str) -> None:
    good, bad = tmp_path / "good.avid", tmp_path / "bad.avid"
    model.save(good)
    break_header(good, bad, BROKEN[damage])
    with pytest.raises(ModelError) as caught:
        SceneModel.load(bad, CPU32)
    text = str(caught.value)
    assert "bad.avid" in text
    assert "\n" not in text


@pytest.mark.parametrize("missing", ["places.inpainter_mean", "detector.output.weight", "inpainter.output.bias"])
def test_a_missing_tensor_is_one_line_that_names_the_file(model: SceneModel, tmp_path: Path, missing: str) -> None:
    model.save(tmp_path / "good.avid")
    header, tensors = load_model(tmp_path / "good.avid")
    assert missing in tensors
    save_model(tmp_path / "bad.avid", header, without(tensors, missing))
    with pytest.raises(ModelError, match=r"bad\.avid: [^\n]*$"):
        SceneModel.load(tmp_path / "bad.avid", CPU32)


def test_knowledge_comes_back_from_json(model: SceneModel) -> None:
    known = model.knowledge
    assert known.places is not None
    tables = {f"places.{name}": torch.from_numpy(getattr(known.places, name)) for name in type(known.places).__slots__}
    again = Knowledge.from_json(known.to_json(), tables)
    assert again.to_json() == known.to_json()
    assert again.places is not None
    assert np.array_equal(again.places.inpainter_mean, known.places.inpainter_mean)
    with pytest.raises(KeyError):
        Knowledge.from_json({}, {})


def test_a_source_whose_frames_do_not_fit_the_spacing_is_told(model: SceneModel) -> None:
    spacing = model.windows.spacing
    for fitting in (spacing, spacing / 2, spacing / 3, Fraction(1001, 1000) * spacing):
        assert model.scorer(SIZE, period=fitting).notes == ()
    uneven = model.scorer(SIZE, period=spacing * Fraction(5, 6))
    assert uneven.windows == model.windows
    assert "of which none fit" in uneven.notes[0]

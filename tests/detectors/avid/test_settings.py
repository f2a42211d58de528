"""The recipes are plain JSON values, named, and told apart by what the paper says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from detectors.avid.detector import DetectorNetwork
from detectors.avid.inpainter import Inpainter
from detectors.avid.settings import RECIPES, AvidSettings, recipe
from preprocess.errors import ModelError, UsageError
from tests.scenes import tiny_settings


@pytest.mark.parametrize("settings", [recipe(name) for name in RECIPES] + [tiny_settings()], ids=[*RECIPES, "tiny"])
def test_settings_come_back_from_json_as_they_went(settings: AvidSettings) -> None:
    values = json.loads(json.dumps(settings.to_json(), allow_nan=False))
    assert AvidSettings.from_json(values) == settings


def test_values_beside_the_settings_are_left_alone() -> None:
    values = tiny_settings().to_json() | {"blur_pixels": 3.0}
    assert AvidSettings.from_json(values) == tiny_settings()


def test_the_default_recipe_is_ours() -> None:
    ours = recipe("default")
    assert ours.mode == "difference"
    assert ours.training.noise == 32
    assert ours.training.simulated_weight > 0
    assert ours.training.reconstruction_weight > 0
    assert not ours.noise_at_test


def test_the_paper_s_recipe_is_the_paper_s() -> None:
    paper = recipe("paper")
    assert paper.mode == "mean"
    assert paper.training.noise == pytest.approx(0.4 * 255)
    assert paper.training.optimiser == "sgd"
    assert paper.training.simulated_weight == 0
    assert paper.training.adversarial_every == 1
    assert paper.inpainter.channels == (64, 128, 256, 256, 64)
    assert sum(p.numel() for p in Inpainter(paper.inpainter).parameters()) == 4_432_899
    assert sum(p.numel() for p in DetectorNetwork(paper.detector).parameters()) == 2_477_408


def test_an_unknown_recipe_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'fancy'; known: default, paper"):
        recipe("fancy")


GOOD = tiny_settings().to_json()
DAMAGE: dict[str, dict[str, Any]] = {
    "nothing at all": {},
    "no training": {key: value for key, value in GOOD.items() if key != "training"},
    "an unknown setting": GOOD | {"inpainter": GOOD["inpainter"] | {"colour": 1}},
    "a network no one can build": GOOD | {"inpainter": GOOD["inpainter"] | {"channels": [4]}},
    "an unknown training setting": GOOD | {"training": GOOD["training"] | {"luck": 1}},
    "a list for a mapping": GOOD | {"detector": [1]},
    "no betas": GOOD | {"training": {"batch": 3}},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_settings_that_do_not_fit_are_a_model_error_of_one_line(damage: str) -> None:
    with pytest.raises(ModelError, match=r"do not fit this version[^\n]*$"):
        AvidSettings.from_json(DAMAGE[damage])

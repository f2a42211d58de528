"""The command ``avid-watch evaluate``: its settings, refusals and exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from preprocess.errors import InputError, ModelError
from streamer.requests import EvaluateOutcome
from streamer.settings import EvaluateSettings

RESULTS = {"dataset": "umn", "metrics": {"frame_auc": 0.9}}


@pytest.fixture
def evaluating(monkeypatch):
    """The benchmark only notes what it was asked."""

    class Work:
        def __init__(self):
            self.requests = []
            self.answer = EvaluateOutcome(Path("evaluation/umn"), RESULTS)

        def __call__(self, request, console):
            self.requests.append(request)
            if isinstance(self.answer, BaseException):
                raise self.answer
            return self.answer

    work = Work()
    for module, name, function in (
        ("streamer.evaluate", "evaluate", work),
        ("streamer.evaluate_text", "render_results", lambda results, folder: f"{results['dataset']} in {folder}"),
    ):
        fake = ModuleType(module)
        setattr(fake, name, function)
        monkeypatch.setitem(sys.modules, module, fake)
    return work


@pytest.fixture(autouse=True)
def _data(call, tmp_path):
    (tmp_path / "data").mkdir()


def test_a_set_and_its_place_are_enough(call, evaluating):
    said = call("evaluate", "umn", "data")
    assert said.code == 0
    assert said.out == "umn in evaluation/umn\n"
    (request,) = evaluating.requests
    assert (request.dataset, request.path) == ("umn", Path("data"))
    assert request.settings == EvaluateSettings()
    assert request.settings.training_seconds == 900


def test_every_option_arrives(call, evaluating):
    argv = (
        "evaluate ucsd-ped2 data --detector avid --preset paper --time-budget 5m --seeds 3 --score inpainter"
        " --out bench --docs docs/results.md --device cpu --precision float32 --batch-size 4 --seed 7 -v"
    )
    assert call(*argv.split()).code == 0
    settings = evaluating.requests[0].settings
    assert settings == EvaluateSettings(
        preset="paper",
        time_budget=300,
        seeds=3,
        score="inpainter",
        out=Path("bench"),
        docs=Path("docs/results.md"),
        device="cpu",
        precision="float32",
        batch_size=4,
        seed=7,
        verbose=True,
    )
    assert EvaluateSettings(steps=5).training_seconds is None


def test_settings_come_from_a_file_too(call, evaluating, tmp_path):
    (tmp_path / "bench.yaml").write_text("seeds: 3\ntime-budget: 5m\n")
    assert call("evaluate", "umn", "data", "--config", "bench.yaml", "--seeds", "2").code == 0
    settings = evaluating.requests[0].settings
    assert (settings.seeds, settings.training_seconds) == (2, 300)


def test_the_record_is_printed_as_json(call, evaluating):
    said = call("evaluate", "umn", "data", "--json")
    assert json.loads(said.out) == RESULTS


def test_stopped_it_says_how_to_go_on(call, evaluating):
    evaluating.answer = EvaluateOutcome(Path("evaluation/umn"), interrupted=True)
    said = call("evaluate", "umn", "data")
    assert said.code == 130
    assert "kept in evaluation/umn, the same command goes on from there" in said.refusal
    assert said.out == ""


@pytest.mark.parametrize(("error", "code"), [(InputError("a clip"), 3), (ModelError("a model"), 5)])
def test_what_fails_has_its_exit_code(call, evaluating, error, code):
    evaluating.answer = error
    said = call("evaluate", "umn", "data")
    assert said.code == code
    assert said.refusal == f"avid-watch: {error}"


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        ("", 2, "no data set given: name one of ucsd-ped1, ucsd-ped2, umn"),
        ("ucsd-ped2", 2, 'no path given: say where the set lies, as in "avid-watch evaluate ucsd-ped2'),
        ("ucsd-pde2 data", 2, "ucsd-pde2: no data set has this name; did you mean 'ucsd-ped2'?"),
        ("xyz data", 2, "xyz: no data set has this name; known are ucsd-ped1"),
        ("umn dtaa", 3, "dtaa: no such file or folder; did you mean data?"),
        ("umn data --model none.avid", 5, "none.avid: no such model file"),
        ("umn data --seeds 0", 2, "--seeds: '0' must be at least 1"),
        ("umn data --steps 3 --time-budget 9", 2, "--time-budget and --steps exclude each other: leave one out"),
        ("umn data --model gate.mp4 --seeds 2", 2, "--model and --seeds exclude each other"),
        ("umn data --model gate.mp4 --steps 2", 2, "--model and --steps exclude each other"),
        ("umn data --detector energy --score paper", 2, "--score paper is for --detector avid alone, not for energy"),
        ("umn data --score both", 2, "'both' must be one of joint, paper, inpainter, detector"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call, evaluating, argv, code, words):
    said = call("evaluate", *argv.split())
    assert said.code == code
    assert words in said.refusal
    assert evaluating.requests == []


def test_an_unknown_detector_is_answered_with_the_known_ones():
    from preprocess.errors import UsageError
    from streamer.evaluate_fitting import refuse_unknown_detector

    with pytest.raises(UsageError, match=r"no detector is called 'yolo'; known: avid, energy"):
        refuse_unknown_detector("yolo")

"""Fitting a camera: what is checked first, what is written, and how it is stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from preprocess.errors import InputError, OutputError, UsageError
from preprocess.pictures import WindowSettings
from streamer.fit import fit
from streamer.requests import FitRequest
from streamer.settings import FitSettings
from streamer.summary_text import render_fit


@dataclass
class Fitted:
    windows: WindowSettings
    header: Any
    file: str = "fitted"
    supported_per_day: float = 100.0

    def calibration_json(self):
        return {"joint": {"seconds": 259_200.0, "base_seconds": 0.0}}

    def save(self, path):
        path.write_bytes(b"model")


@dataclass
class Fitter:
    """Reads the footage, remembers what it was asked, writes a loss curve."""

    asked: list[Any] = field(default_factory=list)
    during: Any = None
    least: int = 1

    def fit(self, footage, settings, files, *, progress, stop):
        self.asked.append((settings, files))
        if self.during is not None:
            self.during()
        pictures = list(footage.pictures())
        if len(pictures) < self.least:
            raise InputError("too few windows: give more")
        for step in range(3):
            progress(SimpleNamespace(stage="training", done=step / 3, note=f"step {step}"))
        files.loss_curve.write_bytes(b"png")
        return Fitted(
            WindowSettings(Fraction(1, 10), 320, 184),
            SimpleNamespace(
                trained_on={"pictures": len(pictures), "footage_seconds": len(pictures) / 25},
                training={"preset": settings.preset, "steps": 3, "best_step": 2, "finished": True},
                calibration={"body": 11.6},
            ),
        )


@pytest.fixture
def fitter():
    return Fitter()


@pytest.fixture
def fitted(console, fitter, clip, tmp_path):
    def run(*normal, output="gate.avid", **values):
        sources = normal or (str(clip(50)),)
        settings = FitSettings(output=tmp_path / output, **values)
        return fit(FitRequest(sources, settings), console, networks=fitter)

    return run


def test_the_model_and_its_loss_curve_lie_side_by_side(fitted, tmp_path):
    outcome = fitted()
    assert outcome.model == tmp_path / "gate.avid"
    assert outcome.model.read_bytes() == b"model"
    assert outcome.loss_curve == tmp_path / "gate.losses.png"
    assert (outcome.frames, outcome.footage_seconds, outcome.steps) == (50, 2.0, 3)
    assert not outcome.interrupted
    text = render_fit(outcome).plain
    for words in ("0.1 s apart at 320x184", "about 21 of these pixels", "step 2", "4.17 false alarms an hour"):
        assert words in text


def test_several_recordings_are_one_footage(fitted, clip):
    assert fitted(str(clip(50, name="a.mp4")), str(clip(30, name="b.mp4"))).frames == 80


def test_the_folder_of_the_model_is_made(fitted, tmp_path):
    assert fitted(output="models/gate.avid").model == tmp_path / "models" / "gate.avid"


def test_an_existing_model_is_not_overwritten_unasked(fitted, fitter):
    fitted()
    with pytest.raises(OutputError, match="--force"):
        fitted()
    assert len(fitter.asked) == 1
    fitted(force=True)


@pytest.mark.parametrize(("output", "hint"), [("gate", r"try gate\.avid"), ("gate.pt", r"try gate\.pt\.avid")])
def test_a_model_is_called_so(fitted, fitter, output, hint):
    with pytest.raises(OutputError, match=hint):
        fitted(output=output)
    assert fitter.asked == []


def test_the_folder_of_a_run_is_no_place_for_a_model(fitted, tmp_path):
    (tmp_path / "gate.avid").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        fitted()


def test_there_must_be_something_to_resume(fitted, fitter):
    with pytest.raises(UsageError, match=r"no interrupted training .*gate\.training"):
        fitted(resume=True)
    assert fitter.asked == []


def test_resuming_replaces_the_model_it_goes_on_from(fitted, fitter, tmp_path):
    fitted()
    (tmp_path / "gate.training").touch()
    fitted(resume=True)
    settings, files = fitter.asked[-1]
    assert settings.resume
    assert files.training == tmp_path / "gate.training"


@pytest.mark.parametrize("over", [False, True])
def test_stopped_in_training_or_after_it_the_model_is_still_written(fitted, fitter, console, monkeypatch, over):
    original = Fitter.fit

    def stopped(self, footage, settings, files, **options):
        model = original(self, footage, settings, files, **options)
        console.stop.set()
        files.training.touch()
        model.header.training["finished"] = over
        return model

    monkeypatch.setattr(Fitter, "fit", stopped)
    outcome = fitted()
    assert outcome.interrupted is not over  # once trained to its end, there is nothing to go on from
    assert outcome.model.exists()
    assert fitter.asked[-1][1].training.exists() is not over


def test_stopped_while_reading_there_is_no_model_and_no_blame(fitted, fitter, console, tmp_path):
    fitter.during = console.stop.set
    with pytest.raises(KeyboardInterrupt):
        fitted()
    assert not (tmp_path / "gate.avid").exists()


def test_footage_that_is_too_short_is_named(fitted, fitter):
    fitter.least = 1000
    with pytest.raises(InputError, match=r"gate\.mp4: too few windows"):
        fitted()


def test_footage_that_is_none_is_named_once(fitted, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"nothing that plays" * 100)
    with pytest.raises(InputError) as refusal:
        fitted(str(bad))
    assert str(refusal.value).count("bad.mp4") == 1


def test_a_finished_training_outlives_a_model_that_cannot_be_saved(fitted, fitter, monkeypatch, tmp_path):
    fitter.during = (tmp_path / "gate.training").touch

    def full(self, path):
        raise OutputError(f"{path}: cannot be written (no space left on device); free some space")

    monkeypatch.setattr(Fitted, "save", full)
    with pytest.raises(OutputError, match="no space left"):
        fitted()
    assert (tmp_path / "gate.training").is_file()
    monkeypatch.undo()
    fitted(resume=True)
    assert not (tmp_path / "gate.training").exists()


def test_a_folder_is_no_place_for_the_loss_curve(fitted, fitter, tmp_path):
    (tmp_path / "curves").mkdir()
    with pytest.raises(OutputError, match=r"--loss-curve: .*curves is a folder"):
        fitted(loss_curve=tmp_path / "curves")
    assert fitter.asked == []


@pytest.mark.parametrize(
    ("trained_on", "words"),
    [
        ({"moved": False}, "nothing moved in the footage"),
        ({"one_stretch_in": 4}, "one stretch in 4 of it, spread over all: at most 20,000 pictures"),
        ({"read_to_the_end": False}, "the end of the footage: reading it took as long as the training"),
    ],
)
def test_what_the_footage_lacked_is_said(fitted, fitter, monkeypatch, trained_on, words):
    original = Fitter.fit

    def fit(self, *given, **named):
        model = original(self, *given, **named)
        model.header.trained_on.update(trained_on)
        return model

    monkeypatch.setattr(Fitter, "fit", fit)
    assert words in render_fit(fitted()).plain

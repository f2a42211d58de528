"""The command line with the shipped networks: learning, watching, fitting and tuning on small real files."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamer.cli import main
from streamer.footage import RecordedFootage
from streamer.networks import TorchNetworks
from streamer.requests import WatchRequest
from streamer.settings import WatchSettings
from streamer.sinks.score_table import read_scores
from streamer.watch import watch

MEDIA = Path(__file__).resolve().parents[3] / "shared" / "media"
SHOWN = (
    "bitflips.mp4",
    "full_range.mp4",
    "interlaced.mp4",
    "missing_pts_annexb.h264",
    "odd_dims_yuv444.mp4",
    "one_frame.mp4",
    "rotated90.mp4",
    "ten_bit.mp4",
    "tiny16.mp4",
    "truncated_faststart.mp4",
    "variable_res.mkv",
    "vfr.mp4",
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Threads stay as the tests set them up: two of torch's beside a busy machine can be twenty times slower."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamer.networks.share_the_machine", lambda: None)
        yield


@pytest.fixture
def call(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        code = main([str(word) for word in argv])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(scope="module")
def normal(tmp_path_factory):
    """A recording of something small that crosses a textured ground."""
    path = tmp_path_factory.mktemp("normal") / "normal.mp4"
    ground = np.random.default_rng(3).integers(60, 110, (120, 160), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(60):
            picture = ground.copy()
            picture[50:70, 2 * number : 2 * number + 8] = 190
            frame = av.VideoFrame.from_ndarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), "bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def model(normal):
    """A camera's model, learned in a few seconds."""
    learned = TorchNetworks(WatchSettings()).learn(
        RecordedFootage([normal]), budget_seconds=6, seed=0, progress=lambda _: None, stop=lambda: False
    )
    path = normal.with_name("gate.avid")
    learned.save(path)
    return path


def scores(folder):
    return [row.score for row in read_scores(folder / "scores.csv")]


def test_a_fitted_model_has_its_loss_curve_and_watches(normal, clip, call, tmp_path):
    code, out, err = call("fit", normal, "-o", "gate.avid", "--steps", "2")
    assert (code, err) == (0, "")
    assert "2 steps" in out
    assert (tmp_path / "gate.losses.png").stat().st_size > 1000
    assert not (tmp_path / "gate.training").exists()
    code, out, err = call("info", "gate.avid", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["training"]["steps"] == 2
    code, _, err = call(clip(60, size=(160, 120)), "--model", "gate.avid", "--name", "yard")
    assert (code, err) == (0, "")


def test_a_model_watches(model, clip, call, tmp_path):
    code, out, err = call(clip(60, size=(160, 120)), "--model", model)
    assert (code, err) == (0, "")
    summary = json.loads((tmp_path / "gate.avid" / "summary.json").read_text())
    assert summary["learning"] is None
    assert summary["counts"]["scored"] == sum(score is not None for score in scores(tmp_path / "gate.avid")) > 40
    assert "nothing new: watched with" in out


@pytest.mark.parametrize("decision", ["joint", "paper"])
def test_batches_of_one_and_of_eight_give_the_same_scores(model, clip, console, tmp_path, decision):
    path, tables = clip(60, size=(160, 120)), []
    for batch_size in (1, 8):
        settings = WatchSettings(
            model=model,
            batch_size=batch_size,
            decision=decision,
            precision="float32",
            video=False,
            output=tmp_path / str(batch_size),
        )
        (source,) = watch(WatchRequest((str(path),), settings), console).sources
        tables.append(scores(source.folder))
    one, eight = tables
    assert [score is None for score in one] == [score is None for score in eight]
    for single, batched in zip(one, eight, strict=True):
        assert single == pytest.approx(batched, abs=1e-3)


def test_a_run_can_be_tuned_and_drawn_anew(model, clip, call, tmp_path):
    assert call(clip(60, size=(160, 120)), "--model", model)[0] == 0
    code, out, err = call("tune", tmp_path / "gate.avid", "--false-alarms-per-day", "10", "--video")
    assert (code, err) == (0, "")
    assert "10 false alarms a day asked for" in out


def test_a_foreign_model_is_refused_in_one_line(clip, call, tmp_path):
    foreign = tmp_path / "foreign.avid"
    foreign.write_bytes(b"no model at all" * 10)
    code, _, err = call(clip(60), "--model", foreign)
    assert code == 5
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "gate.avid").exists()


def test_a_recording_of_its_own_is_learned_from_and_watched(clip, call, tmp_path):
    code, _, err = call(clip(120, size=(160, 120)), "--learn-budget", "6", "--json")
    assert (code, err) == (0, "")
    summary = json.loads((tmp_path / "gate.avid" / "summary.json").read_text())
    assert summary["learning"]["budget_seconds"] == 6
    assert summary["model"]["adapted"]
    assert summary["threshold"]["supported_false_alarms_per_day"] > 0
    assert set(summary["calibration"]) >= {"decision", "joint", "paper"}


@pytest.mark.shared
@pytest.mark.skipif(not MEDIA.is_dir(), reason="the odd media are not at hand")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", SHOWN)
def test_odd_media_work_or_are_refused_in_one_line(name, call, tmp_path):
    code, _, err = call(MEDIA / name, "--learn-budget", "6", "-q")
    assert code == (3 if name in {"one_frame.mp4", "vfr.mp4"} else 0)
    assert len(err.splitlines()) == (1 if code else 0)
    if code == 0:
        summary = json.loads(next(tmp_path.glob("*.avid/summary.json")).read_text())
        assert summary["counts"]["scored"] > 0

"""``avid-watch evaluate ir-mnist``: from MNIST's files to figures, going on where it was stopped."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from detectors.evaluation.datasets.ir_mnist import HELD_OUT
from preprocess.errors import InputError, UsageError
from streamer import evaluate_stills
from streamer.console import Console
from streamer.evaluate import CACHE, evaluate
from streamer.evaluate_stills_output import worst_cells
from streamer.evaluate_text import render_results
from streamer.requests import EvaluateOutcome, EvaluateRequest
from streamer.settings import EvaluateSettings

SIZE = 28


def write_idx(path: Path, values: np.ndarray) -> None:
    head = bytes((0, 0, 8, values.ndim)) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(head + values.astype(np.uint8).tobytes()))


def look_alike(folder: Path, *, train: int = 120, test: int = 60) -> Path:
    """MNIST's four files: every "digit" is an upright bar as long as its number says; the held-out one is a ring."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for part, count in (("train", train), ("t10k", test)):
        labels = np.arange(count) % 10
        digits = random.integers(0, 12, (count, SIZE, SIZE))
        for digit, label in zip(digits, labels, strict=True):
            if label == HELD_OUT:
                digit[6:22, 6:22] += 200
                digit[9:19, 9:19] -= 200
            else:
                digit[8 - label // 2 : 18 + label // 2, 12:16] += 200
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", digits)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return folder


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr("streamer.evaluate_stills.TRAIN_PICTURES", 2)
    monkeypatch.setattr("streamer.evaluate_stills.TEST_PICTURES", 2)
    monkeypatch.setattr("detectors.evaluation.stills.networks._TRAINING_GRIDS", 1)


def run(path: Path, out: Path, console: Console | None = None, **settings: object) -> EvaluateOutcome:
    chosen = EvaluateSettings(**{"steps": 2, "device": "cpu", "precision": "float32", "out": out, **settings})
    return evaluate(EvaluateRequest("ir-mnist", path, chosen), console or Console(quiet=True))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished benchmark of two seeds: its place, its folder, its outcome."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamer.evaluate_stills.TRAIN_PICTURES", 2)
        patch.setattr("streamer.evaluate_stills.TEST_PICTURES", 2)
        patch.setattr("detectors.evaluation.stills.networks._TRAINING_GRIDS", 1)
        root = tmp_path_factory.mktemp("stills")
        path = look_alike(root / "mnist")
        return path, root / "out", run(path, root / "out", seeds=2)


def kept(out: Path) -> list[dict[str, np.ndarray]]:
    found = []
    for path in sorted((out / CACHE).rglob("scores.npz")):
        with np.load(path) as arrays:
            found.append(dict(arrays))
    return found


def test_the_figures_are_those_of_scores_and_truth(done):
    _, out, outcome = done
    results = json.loads((out / "results.json").read_text())
    of_seeds = [roc_auc_score(one["irregular"].ravel(), one["part-joint"].ravel()) for one in kept(out)]
    assert len(of_seeds) == 2
    assert results["metrics"]["cell_auc"] == pytest.approx(np.mean(of_seeds), abs=1e-9)
    assert results["metrics"]["cell_auc_joint"] == results["metrics"]["cell_auc"]
    assert {"cell_eer", "cell_auc_inpainter", "cell_auc_detector", "cell_auc_memory"} <= results["metrics"].keys()
    assert [row["seed"] for row in results["per_seed"]] == [0, 1]
    assert results["published"] == []
    assert results["frames"] == 2
    assert results["training_seconds"] > 0
    assert results["metrics"] == outcome.results["metrics"]


def test_a_ring_among_bars_is_far_from_the_memory(done):
    _, out, _ = done
    assert json.loads((out / "results.json").read_text())["metrics"]["cell_auc_memory"] > 0.95


def test_everything_promised_is_written(done):
    _, out, outcome = done
    names = {path.name for path in out.iterdir()}
    assert {"results.json", "results.md", "roc.png", "worst-cells.png"} <= names
    table = render_results(outcome.results, out).plain
    assert "IR-MNIST, avid (2 seeds, 2 pictures)" in table
    assert "cell AUC, memory alone" in table
    assert "frames/s" not in table
    assert "window" not in (out / "results.md").read_text()


def test_a_second_run_learns_and_scores_nothing_and_says_the_same(done, monkeypatch):
    path, out, outcome = done
    monkeypatch.setattr(evaluate_stills, "build_ir_mnist", None)
    assert run(path, out, seeds=2).results["metrics"] == outcome.results["metrics"]


def test_another_score_of_the_same_cells_is_taken_from_what_was_kept(done, monkeypatch):
    path, out, outcome = done
    monkeypatch.setattr(evaluate_stills, "build_ir_mnist", None)
    metrics = run(path, out, seeds=2, score="inpainter").results["metrics"]
    assert metrics["cell_auc"] == outcome.results["metrics"]["cell_auc_inpainter"]


def test_stopped_while_training_it_goes_on_to_the_same_figures(done, tmp_path, monkeypatch):
    path, _, outcome = done
    from detectors.evaluation.stills.networks import StillTrainer

    console = Console(quiet=True)
    step = StillTrainer.step

    def stop_after_one(trainer: StillTrainer, progress: float) -> object:
        console.stop.set()
        return step(trainer, progress)

    monkeypatch.setattr(StillTrainer, "step", stop_after_one)
    assert run(path, tmp_path / "out", console).interrupted
    monkeypatch.setattr(StillTrainer, "step", step)
    metrics = run(path, tmp_path / "out").results["metrics"]
    assert metrics["cell_auc"] == pytest.approx(outcome.results["per_seed"][0]["metrics"]["cell_auc"], abs=1e-6)


def test_a_damaged_state_is_begun_anew(done, tmp_path):
    path, _, _ = done
    run(path, tmp_path / "out")
    entry = next((tmp_path / "out" / CACHE).iterdir())
    (entry / "training.state").write_bytes(b"torn")
    (entry / "scores.npz").write_bytes(b"torn")
    assert run(path, tmp_path / "out").results is not None


def test_the_worst_cells_are_each_shown_once(done):
    from streamer.evaluate_stills_cache import StillScores

    pictures = np.zeros((1, 11 * SIZE, 11 * SIZE), np.uint8)
    pictures[0, :SIZE, :SIZE] = 9
    values = np.arange(121, dtype=np.float32).reshape(1, 11, 11)
    irregular = np.zeros((1, 11, 11), bool)
    irregular[0, 0, 0] = irregular[0, 10, 10] = irregular[0, 5, 5] = True
    scores = StillScores({"joint": values}, irregular, pictures, 0.0, 0.0)
    assert worst_cells(scores, "joint", misses=True, most=9) == [(0, 0.0), (60, 60.0)]  # the last looks like 60
    assert worst_cells(scores, "joint", misses=False, most=9) == [(119, 119.0)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"detector": "energy"}, "--detector energy: ir-mnist is of still pictures"),
        ({"preset": "paper"}, "--preset paper: ir-mnist is of still pictures"),
        ({"score": "paper"}, "--score paper: ir-mnist is of still pictures"),
        ({"look_ahead": "1s"}, "--look-ahead: ir-mnist is of still pictures"),
        ({"model": Path("gate.avid"), "steps": None}, "--model: ir-mnist is of still pictures"),
    ],
)
def test_what_stills_lack_is_refused(tmp_path, settings, words):
    with pytest.raises(UsageError, match=words):
        run(tmp_path, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_too_few_digits_and_none_at_all_are_told_in_one_line(tmp_path):
    with pytest.raises(InputError, match="too few to learn from; 40 are needed; give MNIST's own files"):
        run(look_alike(tmp_path / "few", train=20), tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no train-images-idx3-ubyte"):
        run(tmp_path / "empty", tmp_path / "out")

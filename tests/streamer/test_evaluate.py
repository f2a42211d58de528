"""A benchmark from footage to figures: what it measures, what it keeps, and that nothing stale is ever read."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from detectors.evaluation.datasets import read_set
from preprocess.errors import InputError, UsageError
from streamer.console import Console
from streamer.evaluate import CACHE, evaluate, with_rate
from streamer.evaluate_look_ahead import looking_ahead
from streamer.evaluate_scores import ClipScores
from streamer.requests import EvaluateRequest
from streamer.settings import EvaluateSettings
from tests.streamer.evaluate_set import (
    QUIET_FRAMES,
    RUN_FRAMES,
    RUN_FROM,
    SCENE,
    TinyNetworks,
    request_for,
    tiny_recipes,
    write_clip,
    write_picture,
    write_set,
)

if TYPE_CHECKING:
    from pathlib import Path

TRUTH = np.concatenate([np.zeros(QUIET_FRAMES, bool), np.arange(RUN_FRAMES) >= RUN_FROM])


class Bench:
    """A set, a folder for results, and runs over both."""

    def __init__(self, root: Path, out: Path) -> None:
        self.root, self.out = root, out

    def run(self, console: Console | None = None, **settings: object) -> tuple[TinyNetworks, dict | None]:
        request = request_for(self.root, self.out, **settings)
        networks = TinyNetworks(request.settings)
        outcome = evaluate(request, console or Console(quiet=True), networks=networks)
        assert outcome.interrupted == (outcome.results is None)
        return networks, outcome.results

    def kept_scores(self) -> dict[str, ClipScores]:
        """Scores in the cache by clip: of the only settings used so far."""
        found = {}
        for path in sorted((self.out / CACHE).rglob("*.npz")):
            with np.load(path) as arrays:
                if "statistic" in arrays:
                    found[path.name.split("-")[0]] = ClipScores.from_arrays(arrays)
        return found


@pytest.fixture(autouse=True)
def _small(monkeypatch, done):
    """Tiny networks, and no pictures: those of the finished benchmark are enough."""
    tiny_recipes(monkeypatch)
    for name in ("draw_roc", "draw_timeline", "draw_sheet"):
        monkeypatch.setattr(f"streamer.evaluate_output.{name}", lambda *_: None)


@pytest.fixture(scope="module")
def whole_set(tmp_path_factory) -> Path:
    return write_set(tmp_path_factory.mktemp("set") / "gate")


@pytest.fixture(scope="module")
def done(whole_set, tmp_path_factory):
    """A finished benchmark, to be copied by those who go on from it."""
    with pytest.MonkeyPatch.context() as patch:
        tiny_recipes(patch)
        bench = Bench(whole_set, tmp_path_factory.mktemp("done") / "out")
        bench.run()
    return bench


@pytest.fixture
def bench(done, tmp_path):
    """The finished benchmark in folders of the test's own; files keep their times."""
    shutil.copytree(done.out, tmp_path / "out")
    return Bench(done.root, tmp_path / "out")


def test_the_figures_are_those_of_scores_and_truth(done):
    results = json.loads((done.out / "results.json").read_text())
    scores = done.kept_scores()
    unscored = {name: int(np.isnan(clip.statistic).sum()) for name, clip in scores.items()}
    # At the start of a clip the five pictures behind the first window are missing, and their score is the first one's.
    filled = [np.where(np.isnan(s.statistic), s.statistic[s.rows[0]], s.statistic) for s in scores.values()]
    assert list(scores) == ["quiet", "run"]
    assert results["metrics"]["frame_auc"] == pytest.approx(roc_auc_score(TRUTH, np.concatenate(filled)), abs=1e-9)
    assert results["metrics"]["frame_auc_macro"] == pytest.approx(roc_auc_score(TRUTH[QUIET_FRAMES:], filled[1]))
    assert results["frames"] == len(TRUTH)
    assert results["unscored_frames"] == sum(unscored.values()) == 2 * unscored["run"] > 0
    assert results["per_clip"]["gate/run"]["irregular_frames"] == RUN_FRAMES - RUN_FROM
    assert results["per_clip"]["gate/quiet"]["frames"] == QUIET_FRAMES
    assert {"pixel_auc", "pixel_eer", "dual_pixel_auc", "rbdc", "tbdc", "event_recall"} <= results["metrics"].keys()
    assert results["per_scene"] == {"gate": results["metrics"]}
    assert results["spread"] == {}
    assert results["training_seconds"] > 0
    assert results["scoring_frames_per_second"] > 0
    assert results["machine"]["versions"]["torch"]
    assert results["settings"]["steps"] == 3


def test_everything_promised_is_written(done):
    names = {path.relative_to(done.out).as_posix() for path in done.out.rglob("*") if CACHE not in path.parts}
    assert {"results.json", "results.md", "roc.png", "worst-misses.jpg", "worst-false-alarms.jpg"} <= names
    assert {"timelines/gate-quiet.png", "timelines/gate-run.png"} <= names


def test_a_second_run_fits_and_scores_nothing_and_says_the_same(bench, monkeypatch):
    before = json.loads((bench.out / "results.json").read_text())
    monkeypatch.setattr("streamer.evaluate.score_clip", None)
    networks, results = bench.run()
    assert networks.seeds_fitted == []
    assert results is not None
    again = json.loads((bench.out / "results.json").read_text())
    assert {**again, "settings": None} == {**before, "settings": None}  # the folder itself is among the settings


def test_looking_ahead_ranks_anew_what_was_scored_before(bench, monkeypatch):
    before = json.loads((bench.out / "results.json").read_text())
    monkeypatch.setattr("streamer.evaluate.score_clip", None)
    networks, results = bench.run(look_ahead="1s")
    assert networks.seeds_fitted == []
    scores = [looking_ahead(clip, 1.0) for clip in bench.kept_scores().values()]
    filled = [np.where(np.isnan(s.statistic), s.statistic[s.rows[0]], s.statistic) for s in scores]
    assert results["metrics"]["frame_auc"] == pytest.approx(roc_auc_score(TRUTH, np.concatenate(filled)), abs=1e-9)
    assert results["metrics"]["pixel_auc"] != before["metrics"]["pixel_auc"]
    assert results["metrics"]["event_recall"] == before["metrics"]["event_recall"]
    assert "looking 1s ahead" in (bench.out / "results.md").read_text()
    _, again = bench.run()
    assert again["metrics"] == before["metrics"]  # what was kept of one is never taken for the other


def test_every_seed_is_fitted_once_and_the_figures_are_their_mean(bench):
    networks, results = bench.run(seeds=2)
    assert networks.seeds_fitted == [1]
    aucs = [row["metrics"]["frame_auc"] for row in results["per_seed"]]
    assert [row["seed"] for row in results["per_seed"]] == [0, 1]
    assert results["metrics"]["frame_auc"] == pytest.approx(sum(aucs) / 2)
    assert results["spread"]["frame_auc"] == pytest.approx(max(aucs) - min(aucs))


def test_another_setting_never_reads_what_was_kept_for_the_first(bench):
    networks, _ = bench.run(steps=2)
    assert networks.seeds_fitted == [0]


def test_another_score_is_of_the_same_model(bench):
    before = json.loads((bench.out / "results.json").read_text())["per_clip"]
    networks, results = bench.run(score="inpainter")
    assert networks.seeds_fitted == []
    assert results["score"] == "inpainter"
    assert "event_recall" not in results["metrics"]
    assert results["per_clip"]["gate/run"]["highest_irregular"] != before["gate/run"]["highest_irregular"]


def test_changed_footage_is_learned_and_scored_anew(bench, tmp_path):
    bench.root = shutil.copytree(bench.root, tmp_path / "gate")
    networks, _ = bench.run()
    assert networks.seeds_fitted == [0]  # another place, other files
    write_picture(bench.root / "test" / "quiet" / "010.png", SCENE.luma(99.0))
    again, _ = bench.run()
    assert again.seeds_fitted == []
    write_picture(bench.root / "normal" / "monday" / "010.png", SCENE.luma(99.0))
    again, _ = bench.run()
    assert again.seeds_fitted == [0]


def test_corrected_truth_is_measured_with_the_scores_that_are_there(bench, tmp_path, monkeypatch):
    first = json.loads((bench.out / "results.json").read_text())["metrics"]
    bench.root = shutil.copytree(bench.root, tmp_path / "gate")
    bench.run()
    monkeypatch.setattr("streamer.evaluate.score_clip", None)
    write_picture(bench.root / "masks" / "run" / "029.png", np.zeros((64, 96), np.uint8))
    _, results = bench.run()
    assert results["per_clip"]["gate/run"]["irregular_frames"] == RUN_FRAMES - RUN_FROM - 1
    assert results["metrics"]["pixel_auc"] != first["pixel_auc"]


def test_pictures_without_times_get_the_rate_asked_for(whole_set):
    evaluated = read_set("custom", whole_set)
    assert with_rate(evaluated, None) is evaluated
    scene = with_rate(evaluated, 12.5).scenes[0]
    assert {clip.frame_rate for clip in (*scene.normal, *(test.clip for test in scene.test))} == {Fraction(25, 2)}


def test_a_damaged_cache_is_made_anew(bench):
    for path in (bench.out / CACHE).rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:100])
    for path in (bench.out / CACHE).rglob("model.avid"):
        path.write_bytes(b"no model")
    before = json.loads((bench.out / "results.json").read_text())["metrics"]
    networks, results = bench.run()
    assert networks.seeds_fitted == [0]
    assert results["metrics"] == pytest.approx(before)


def test_stopped_while_fitting_it_goes_on_with_the_training(whole_set, tmp_path, done, monkeypatch):
    bench = Bench(whole_set, tmp_path / "out")
    console = Console(quiet=True)
    from detectors.avid.training import AvidTrainer

    step = AvidTrainer.step

    def stop_after_a_step(self, share):
        console.stop.set()
        return step(self, share)

    monkeypatch.setattr(AvidTrainer, "step", stop_after_a_step)
    networks, results = bench.run(console)
    assert networks.seeds_fitted == [0]
    assert results is None
    assert not (bench.out / "results.json").exists()
    monkeypatch.setattr(AvidTrainer, "step", step)
    networks, results = bench.run()
    assert networks.resumed == [True]
    # By steps, an interrupted training gives the weights of an uninterrupted one.
    assert results["metrics"] == json.loads((done.out / "results.json").read_text())["metrics"]


def test_stopped_while_calibrating_it_keeps_the_model(whole_set, tmp_path, monkeypatch):
    bench, console = Bench(whole_set, tmp_path / "out"), Console(quiet=True)
    from detectors import fitting

    calibrate = fitting.calibrate_scene

    def stop_then_calibrate(*given, **named):
        console.stop.set()
        return calibrate(*given, **named)

    monkeypatch.setattr(fitting, "calibrate_scene", stop_then_calibrate)
    assert bench.run(console)[1] is None
    networks, results = bench.run()
    assert networks.seeds_fitted == []
    assert results is not None


def test_the_time_of_a_training_that_was_killed_counts(whole_set, tmp_path, monkeypatch):
    bench = Bench(whole_set, tmp_path / "out")
    from detectors import fitting
    from streamer import evaluate_fitting

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate_fitting, "FACTS_EVERY", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(fitting, "calibrate_scene", killed)
        with pytest.raises(KeyboardInterrupt):
            bench.run()
    (facts,) = (bench.out / CACHE).rglob("facts.json")
    kept = json.loads(facts.read_text())
    assert kept["training_seconds"] > 0
    facts.write_text(json.dumps({**kept, "training_seconds": 1000.0}))
    networks, results = bench.run()
    assert networks.resumed == [True]
    assert results["training_seconds"] > 1000


def test_stopped_while_scoring_it_keeps_the_clips_that_are_done(bench, monkeypatch):
    from streamer import evaluate as room

    for path in (bench.out / CACHE).rglob("*.npz"):
        path.unlink()
    console = Console(quiet=True)
    score, scored = room.score_clip, []

    def one_then_stop(model, clip, *arguments, **named):
        scored.append(clip.name)
        result = score(model, clip, *arguments, **named)
        console.stop.set()
        return result

    monkeypatch.setattr(room, "score_clip", one_then_stop)
    assert bench.run(console)[1] is None
    assert bench.run()[1] is not None
    assert scored == ["quiet", "run"]


def test_a_finished_model_is_measured_as_it_is(bench, tmp_path):
    model = shutil.copy(next((bench.out / CACHE).rglob("model.avid")), tmp_path / "gate.avid")
    before = json.loads((bench.out / "results.json").read_text())["metrics"]
    networks, results = bench.run(model=model)
    assert networks.seeds_fitted == []
    assert results["training_seconds"] is None
    assert results["metrics"] == pytest.approx(before)


def test_the_baseline_needs_no_network(bench):
    networks, results = bench.run(detector="energy", steps=None)
    assert networks.seeds_fitted == []
    assert results["detector"] == "energy"
    assert results["metrics"]["frame_auc"] > 0.8  # somebody large who runs is what it is good at
    assert results["metrics"]["event_recall"] >= 0


def test_one_model_cannot_be_measured_on_several_cameras(whole_set, tmp_path):
    for camera in ("gate", "yard"):
        shutil.copytree(whole_set, tmp_path / "set" / camera)
    bench = Bench(tmp_path / "set", tmp_path / "out")
    with pytest.raises(UsageError, match="has 2 cameras, a model knows one; leave it out"):
        bench.run(model=tmp_path / "gate.avid")


def test_a_picture_that_would_move_the_truth_is_refused(bench, tmp_path):
    bench.root = shutil.copytree(bench.root, tmp_path / "gate")
    (bench.root / "test" / "run" / "005.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"005\.png: this picture cannot be read"):
        bench.run()


def test_too_little_normal_footage_is_refused_with_the_scenes_name(tmp_path, whole_set):
    root = shutil.copytree(whole_set, tmp_path / "gate")
    shutil.rmtree(root / "normal")
    write_clip(root / "normal" / "short", [replace(SCENE)] * 12)
    with pytest.raises(InputError, match=r"gate: only \d+ windows of normal footage"):
        Bench(root, tmp_path / "out").run()


def test_the_code_that_learns_and_scores_is_in_the_names_of_what_is_kept(tmp_path, monkeypatch):
    from streamer import evaluate_cache as room

    (tmp_path / "evaluation").mkdir()
    for name in ("scorer.py", "evaluation/metrics.py"):
        (tmp_path / name).write_text("first")
    ours = room.files("streamer")
    monkeypatch.setattr(room, "files", lambda package: ours if package == "streamer" else tmp_path)
    first = room.code_digest.__wrapped__()
    (tmp_path / "evaluation" / "metrics.py").write_text("second")
    assert room.code_digest.__wrapped__() == first
    (tmp_path / "scorer.py").write_text("second")
    assert room.code_digest.__wrapped__() != first


def test_a_clip_without_truth_of_its_own_may_have_any_size():
    from detectors.evaluation.datasets.masks import NothingIrregular
    from streamer.evaluate_measure import _tally

    class Scores:
        rows, size = (1,), (16, 8)

        def __len__(self):
            return 2

        def pixels(self, row):
            return np.zeros((8, 16), np.float32)

    clip = SimpleNamespace(clip=SimpleNamespace(name="quiet", uri="test/quiet"))
    normal = np.zeros(2, np.bool_)
    result = _tally(clip, NothingIrregular(4, 4), normal, Scores(), Console(quiet=True), "quiet")
    assert len(result.normal) == 2
    with pytest.raises(InputError, match="its pictures are 16x8, its masks 4x4"):
        _tally(clip, lambda _: np.zeros((4, 4), np.bool_), normal, Scores(), Console(quiet=True), "quiet")


def test_masks_of_another_size_are_refused_before_anything_is_fitted(bench, tmp_path):
    bench.root = shutil.copytree(bench.root, tmp_path / "gate")
    for mask in (bench.root / "masks" / "run").iterdir():
        write_picture(mask, np.zeros((10, 20), np.uint8))
    write_picture(mask, np.full((10, 20), 255, np.uint8))
    with pytest.raises(InputError, match=r"run: its pictures are 96x64, its masks 20x10"):
        bench.run(seed=7)


def test_the_default_folder_is_not_taken_from_another_set(bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "evaluation" / "custom"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({"title": "yard"}))
    with pytest.raises(UsageError, match=r"evaluation/custom: holds the results of yard; give gate .* --out"):
        evaluate(EvaluateRequest("custom", bench.root, EvaluateSettings(steps=3)), Console(quiet=True))

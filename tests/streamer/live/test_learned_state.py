"""What a camera learned outlives a restart; damage is moved aside and told of, and nothing is ever deleted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from detectors.camera_knowledge import CameraKnowledge, Learned
from detectors.live_learning import LearningSettings
from preprocess.errors import OutputError
from streamer.live.learned_state import LearnedState, relearn
from tests.live_scores import first_model, small_base, watch
from tests.scenes import CPU32

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
STAMP = "20260301T120000Z"
BASE = small_base()
SETTINGS = LearningSettings(learn_seconds=3600.0)


@pytest.fixture(scope="module")
def knowledge() -> CameraKnowledge:
    """A camera that watched two minutes by day and one by night."""
    known = CameraKnowledge(SETTINGS)
    watch(known.begin("colour", first_model(BASE)), 120, first=NOW.timestamp())
    watch(known.begin("infrared", first_model(BASE, seed=901)), 60, first=NOW.timestamp())
    return known


@pytest.fixture
def camera(tmp_path: Path, knowledge: CameraKnowledge) -> Path:
    """A camera's folder after a run."""
    LearnedState(tmp_path).save(knowledge.learned(), SETTINGS.learn_seconds, NOW)
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_new_camera_knows_nothing_and_no_folder_is_made(tmp_path: Path) -> None:
    found = LearnedState(tmp_path).load(NOW, CPU32)
    assert not found.lights
    assert not found.warnings
    assert not list(tmp_path.iterdir())


def test_models_and_progress_come_back_as_they_were(camera: Path, knowledge: CameraKnowledge) -> None:
    found = LearnedState(camera).load(NOW, CPU32)
    assert not found.warnings
    assert set(found.lights) == {"colour", "infrared"}
    for light, learned in knowledge.learned().items():
        back = found.lights[light]
        assert back.model.knowledge.calibrations == learned.model.knowledge.calibrations
        assert back.model.windows == learned.model.windows
        assert back.progress.watches == learned.progress.watches
        assert back.progress.watched == pytest.approx(learned.progress.watched, abs=1e-3)
    again = CameraKnowledge(SETTINGS, found.lights)
    assert again.provisional("colour")
    learner = again.learner("colour")
    assert learner is not None
    watch(learner, 240)
    assert learner.progress.refreshes > found.lights["colour"].progress.refreshes


def test_networks_that_are_the_base_model_s_stay_shared(camera: Path) -> None:
    found = LearnedState(camera).load(NOW, CPU32)
    assert {learned.model.detector.networks_id for learned in found.lights.values()} == {BASE.detector.networks_id}


def test_the_state_says_since_when_how_much_and_until_when(camera: Path) -> None:
    state = json.loads((camera / "learned" / "state.json").read_text())
    colour = state["lights"]["colour"]
    assert state["schema"]
    assert "torch" in state["versions"]
    assert colour["started_at"] == NOW.isoformat()
    assert colour["watched_seconds"] == pytest.approx(120, abs=1)
    left = datetime.fromisoformat(colour["provisional_until"]) - NOW
    assert left.total_seconds() == pytest.approx(3480, abs=2)


def test_learning_that_is_over_is_provisional_no_more(camera: Path, knowledge: CameraKnowledge) -> None:
    LearnedState(camera).save(knowledge.learned(), 60.0, NOW)
    state = json.loads((camera / "learned" / "state.json").read_text())
    assert state["lights"]["colour"]["provisional_until"] is None


def test_a_model_is_written_only_when_it_is_new(camera: Path, knowledge: CameraKnowledge) -> None:
    state = LearnedState(camera)
    found = state.load(NOW, CPU32)
    model = camera / "learned" / "colour.avid"
    before = model.stat().st_ino
    state.save(found.lights, 3600.0, NOW)
    assert model.stat().st_ino == before
    state.save(knowledge.learned(), 3600.0, NOW)
    assert model.stat().st_ino != before


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"schema": "another"}',
        '{"schema": "avid-watch learned 1"}',
        '{"schema": "avid-watch learned 1", "lights": {"colour": {"started": 1e999}}}',
        "[" * 100_000,
        "\x00\xff",
    ],
)
def test_a_damaged_state_is_moved_aside_with_one_warning_and_learning_starts_over(camera: Path, content: str) -> None:
    (camera / "learned" / "state.json").write_text(content)
    found = LearnedState(camera).load(NOW, CPU32)
    assert not found.lights
    assert len(found.warnings) == 1
    assert "learning starts over" in found.warnings[0]
    assert "\n" not in found.warnings[0]
    assert names(camera / "learned") == [
        f"before-{STAMP}/colour.avid",
        f"before-{STAMP}/infrared.avid",
        f"state.json.damaged-{STAMP}",
    ]
    assert LearnedState(camera).load(NOW, CPU32).warnings == ()


@pytest.mark.parametrize("key", ["watched_seconds", "watches", "model_seconds", "refreshes"])
@pytest.mark.parametrize("value", [None, "x", -1, float("inf"), [], {"joint": [1]}])
def test_any_wrong_value_in_the_state_starts_over_and_never_aborts(camera: Path, key: str, value: object) -> None:
    path = camera / "learned" / "state.json"
    state = json.loads(path.read_text())
    state["lights"]["colour"][key] = value
    path.write_text(json.dumps(state))
    assert len(LearnedState(camera).load(NOW, CPU32).warnings) <= 1


def test_a_missing_state_beside_models_starts_over_without_losing_them(camera: Path) -> None:
    (camera / "learned" / "state.json").unlink()
    found = LearnedState(camera).load(NOW, CPU32)
    assert not found.lights
    assert len(found.warnings) == 1
    assert names(camera / "learned") == [f"before-{STAMP}/colour.avid", f"before-{STAMP}/infrared.avid"]


def test_a_damaged_model_is_moved_aside_and_the_other_light_stays(camera: Path) -> None:
    model = camera / "learned" / "colour.avid"
    model.write_bytes(model.read_bytes()[:-100])
    found = LearnedState(camera).load(NOW, CPU32)
    assert set(found.lights) == {"infrared"}
    assert len(found.warnings) == 1
    assert "colour is learned anew" in found.warnings[0]
    assert f"colour.avid.damaged-{STAMP}" in names(camera / "learned")


def test_a_crash_between_model_and_state_keeps_the_model_and_forgets_the_peaks(
    camera: Path, knowledge: CameraKnowledge
) -> None:
    old = (camera / "learned" / "state.json").read_bytes()
    again = CameraKnowledge(SETTINGS, knowledge.learned())
    learner = again.learner("colour")
    assert learner is not None
    watch(learner, 240, first=NOW.timestamp() + 200)
    LearnedState(camera).save(again.learned(), 3600.0, NOW)
    (camera / "learned" / "state.json").write_bytes(old)
    found = LearnedState(camera).load(NOW, CPU32)
    assert not found.warnings
    progress = found.lights["colour"].progress
    assert progress.refreshes == learner.progress.refreshes
    assert not any(progress.watches.values())
    assert progress.model_seconds == pytest.approx(learner.progress.model_seconds, abs=0.01)


def test_half_written_files_of_a_killed_run_do_not_stand_in_the_way(camera: Path, knowledge: CameraKnowledge) -> None:
    (camera / "learned" / ".colour.avid.1.part").write_bytes(b"half")
    LearnedState(camera).load(NOW, CPU32)
    assert not list((camera / "learned").glob(".*"))


def test_relearn_puts_everything_away_and_deletes_nothing(camera: Path) -> None:
    before = {path.name: path.read_bytes() for path in (camera / "learned").iterdir()}
    assert relearn(camera, NOW) == camera / "learned" / f"before-{STAMP}"
    after = {path.name: path.read_bytes() for path in (camera / "learned" / f"before-{STAMP}").iterdir()}
    assert after == before
    found = LearnedState(camera).load(NOW, CPU32)
    assert not found.lights
    assert not found.warnings
    assert relearn(camera, NOW) is None


def test_two_relearns_within_a_second_keep_both(camera: Path, knowledge: CameraKnowledge) -> None:
    first = relearn(camera, NOW)
    LearnedState(camera).save(knowledge.learned(), 3600.0, NOW)
    second = relearn(camera, NOW)
    assert first is not None
    assert second is not None
    assert first != second
    assert len(names(camera / "learned")) == 6


def test_a_camera_that_learned_nothing_has_nothing_to_put_away(tmp_path: Path) -> None:
    assert relearn(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path, knowledge: CameraKnowledge) -> None:
    (tmp_path / "learned").write_text("a file")
    with pytest.raises(OutputError):
        LearnedState(tmp_path).save(knowledge.learned(), 3600.0, NOW)
    assert isinstance(knowledge.learned()["colour"], Learned)

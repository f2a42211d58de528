"""Nobody's results are overwritten unasked, and every name is a safe one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.errors import OutputError
from streamer.sinks.run_folder import RunFolder, distinct_names, run_name


def test_equal_names_of_one_run_get_numbers_and_never_take_anothers_name():
    assert distinct_names(["gate", "gate", "yard", "Gate", "gate-2"]) == ["gate", "gate-3", "yard", "Gate-4", "gate-2"]


def test_a_name_holds_no_password_and_no_folder():
    name = run_name("rtsp://admin:secret@10.0.0.7:554/stream/1")
    assert "secret" not in name
    assert "admin" not in name
    assert "10.0.0.7" in name
    assert run_name("../../etc/passwd") == run_name(run_name("../../etc/passwd"))
    assert "/" not in run_name("../../etc/passwd")
    assert run_name("con") == "_con"


@given(texts=st.lists(st.text(max_size=300), max_size=8))
def test_every_source_gets_a_name_of_its_own_that_file_systems_take(texts):
    names = distinct_names(texts)
    assert len({name.casefold() for name in names}) == len(texts)
    for name in names:
        assert name
        assert not set(name) & set('/\\:*?"<>|\0')
        assert len(f"{name}-1234567890123.jpg".encode()) <= 255
        assert not name.startswith(".")


def test_an_existing_run_is_refused_with_the_way_out(tmp_path):
    folder = RunFolder.at(tmp_path, "gate")
    folder.create()
    folder.events.write_text("results")
    with pytest.raises(OutputError, match=r"gate\.avid: exists already; --force"):
        folder.create()
    assert folder.events.read_text() == "results"


def test_force_replaces_our_own_files_and_nothing_else(tmp_path):
    folder = RunFolder.at(tmp_path, "gate")
    folder.create()
    for path in (folder.events, folder.scores, folder.maps, folder.summary, folder.video):
        path.write_text("old")
    for name in ("gate-1200.jpg", "gate-1200-2.jpg", "gate--40.jpg", "holiday.jpg", "yard-1200.jpg"):
        (folder.snapshots / name).write_text("picture")
    (folder.path / "notes.txt").write_text("mine")
    folder.create(force=True)
    left = sorted(path.name for path in folder.path.rglob("*") if path.is_file())
    assert left == ["holiday.jpg", "notes.txt", "yard-1200.jpg"]


def test_an_empty_folder_serves_and_one_that_came_to_nothing_is_taken_away(tmp_path):
    folder = RunFolder.at(tmp_path / "results", "gate")
    folder.create()
    folder.discard_if_empty()
    assert not folder.path.exists()
    folder.path.mkdir()
    folder.create()
    folder.events.write_text("results")
    folder.discard_if_empty()
    assert folder.events.exists()


def test_a_file_in_the_folders_place_is_refused_even_with_force(tmp_path):
    (tmp_path / "gate.avid").write_text("a model, perhaps")
    with pytest.raises(OutputError, match="is not a folder"):
        RunFolder.at(tmp_path, "gate").create(force=True)


def test_a_place_where_nothing_can_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        RunFolder.at(tmp_path / "file", "gate").create()
    assert "\n" not in str(caught.value)


def test_the_outputs_named_in_the_summary_are_those_there_are(tmp_path):
    folder = RunFolder.at(tmp_path, "gate")
    folder.create()
    folder.scores.write_text("")
    (folder.snapshots / "gate-1.jpg").write_text("")
    assert folder.outputs() == {"scores": "scores.csv", "snapshots": "snapshots/", "summary": "summary.json"}
    assert RunFolder.of(folder.path) == folder

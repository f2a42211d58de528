"""Model files: what goes in comes out, and whatever is wrong with a file ends in one line, never in a traceback."""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as dump_safetensors

from detectors import checkpoint
from detectors.checkpoint import (
    ModelHeader,
    current_versions,
    load_model,
    read_header,
    save_model,
)
from preprocess.errors import ModelError, OutputError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = ModelHeader(
    detector="avid",
    detector_settings={"inpainter": {"channels": [2, 3]}},
    preprocessing={"spacing": "1/10", "width": 320, "height": 184, "mode": "difference"},
    calibration={"threshold": 4.25, "tail": [0.1, -0.2], "places": None},
    versions={"torch": "2.13"},
    trained_on={"files": ["gate.mp4"], "seconds": 60.0},
    training={"steps": 12, "resumed": False},
)
TENSORS = {
    "inpainter.weight": torch.arange(54, dtype=torch.float32).reshape(2, 3, 3, 3) / 7,
    "inpainter.count": torch.tensor(5),
    "calibration.quantiles": torch.linspace(0, 1, 11, dtype=torch.float64),
    "mask": torch.tensor([[True, False]]),
    "none": torch.zeros(0, 4),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a sound model file."""
    path = tmp_path_factory.mktemp("sound") / "gate.avid"
    save_model(path, HEADER, TENSORS)
    return path.read_bytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file name that examples write to in turn."""
    return tmp_path_factory.mktemp("scratch") / "camera.avid"


def assert_refused(path: Path, reason: str = "") -> None:
    with pytest.raises(ModelError) as told:
        load_model(path)
    message = str(told.value)
    assert "\n" not in message
    assert str(path) in message
    assert reason in message


def with_metadata(data: bytes, **changes: str | None) -> bytes:
    """The same file with other metadata and a checksum that fits it: someone made it so on purpose."""
    length = int.from_bytes(data[:8], "little")
    texts = json.loads(data[8 : 8 + length])["__metadata__"]
    for name, text in changes.items():
        if text is None:
            del texts[name]
        else:
            texts[name] = text
    tensors = load_safetensors(data)
    texts["sha256"] = checkpoint._checksum({k: v for k, v in texts.items() if k != "sha256"}, tensors)
    return dump_safetensors(tensors, metadata=texts)


def test_a_model_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    save_model(path, HEADER, TENSORS)
    header, tensors = load_model(path)
    assert header == HEADER
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].equal(tensor)


def test_the_header_can_be_read_without_the_tensors(tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    save_model(path, HEADER, TENSORS)
    values = read_header(path)
    assert values["format"] == "avid-watch"
    assert values["format_version"] == 1
    assert values["preprocessing"] == HEADER.preprocessing


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    header=st.builds(
        ModelHeader,
        detector=st.text(),
        detector_settings=OBJECTS,
        preprocessing=OBJECTS,
        calibration=OBJECTS,
        versions=st.dictionaries(st.text(), st.text(), max_size=3),
        trained_on=OBJECTS,
        training=OBJECTS,
    )
)
def test_any_header_of_json_values_comes_back_as_it_was(header: ModelHeader, scratch: Path) -> None:
    save_model(scratch, header, {"weight": torch.ones(2)})
    assert load_model(scratch)[0] == header
    assert {name: read_header(scratch)[name] for name in ("training", "detector")} == {
        "training": header.training,
        "detector": header.detector,
    }


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_a_file_cut_short_anywhere_is_one_model_error(data: st.DataObject, sound: bytes, scratch: Path) -> None:
    scratch.write_bytes(sound[: data.draw(st.integers(0, len(sound) - 1))])
    assert_refused(scratch)
    with pytest.raises(ModelError):
        read_header(scratch)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_of_another_length_than_its_header_says_is_damage(change: int, sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    path.write_bytes(sound[:change] if change < 0 else sound + b"\0" * change)
    assert_refused(path, "damaged or cut short")
    with pytest.raises(ModelError, match="damaged or cut short"):
        read_header(path)


@pytest.mark.parametrize(
    "place", [b"5", b'{"data_offsets": [0]}', b'{"data_offsets": [0, "a"]}', b'{"data_offsets": 1}']
)
def test_a_header_whose_tensors_have_no_place_is_damage(place: bytes, sound: bytes, tmp_path: Path) -> None:
    texts = json.dumps(json.loads(sound[8 : 8 + int.from_bytes(sound[:8], "little")])["__metadata__"]).encode()
    header = b'{"__metadata__": ' + texts + b', "weight": ' + place + b"}"
    path = tmp_path / "gate.avid"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert_refused(path, "damaged or cut short")
    with pytest.raises(ModelError, match="damaged or cut short"):
        read_header(path)


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_flipped_bits_are_one_model_error_or_change_nothing(data: st.DataObject, sound: bytes, scratch: Path) -> None:
    damaged = bytearray(sound)
    for bit in data.draw(st.sets(st.integers(0, 8 * len(sound) - 1), min_size=1, max_size=4)):
        damaged[bit // 8] ^= 1 << bit % 8
    scratch.write_bytes(damaged)
    try:
        header, tensors = load_model(scratch)
    except ModelError:
        return
    assert header == HEADER
    assert all(tensors[name].equal(tensor) for name, tensor in TENSORS.items())


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_reading_a_damaged_header_raises_nothing_else(data: st.DataObject, sound: bytes, scratch: Path) -> None:
    header_bytes = 8 + int.from_bytes(sound[:8], "little")
    damaged = bytearray(sound)
    for bit in data.draw(st.sets(st.integers(0, 8 * header_bytes - 1), min_size=1, max_size=4)):
        damaged[bit // 8] ^= 1 << bit % 8
    scratch.write_bytes(damaged)
    with contextlib.suppress(ModelError):
        read_header(scratch)


@settings(max_examples=80, deadline=None)
@given(content=st.binary(max_size=300))
def test_a_foreign_file_is_one_model_error(content: bytes, scratch: Path) -> None:
    scratch.write_bytes(content)
    assert_refused(scratch)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        b'{"__metadata__": ' + b'{"a":' * 50_000,
        b'{"__metadata__": "avid-watch"}',
        b'{"__metadata__": {"format": ["avid-watch"]}}',
        b'{"__metadata__": {"format": "pt"}}',
        b"\xff\xfe{}",
        b"9" * 5000,
    ],
)
def test_a_header_made_to_hurt_is_refused(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "camera.avid"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert_refused(path, "not a model file of avid-watch")


def test_a_model_of_another_program_is_called_foreign(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(dump_safetensors({"weight": torch.ones(3)}, metadata={"format": "pt"}))
    assert_refused(path, "not a model file of avid-watch")


def test_a_picture_or_a_pickle_is_called_foreign(tmp_path: Path) -> None:
    path = tmp_path / "model.avid"
    torch.save({"weight": torch.ones(3)}, path)
    assert_refused(path, "not a model file of avid-watch")


def test_a_later_format_is_named_with_what_to_do(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    path.write_bytes(with_metadata(sound, format_version="2"))
    assert_refused(path, "model format 2, this version reads format 1")
    with pytest.raises(ModelError, match="format 2"):
        read_header(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"calibration": None},
        {"calibration": "[1, 2]"},
        {"calibration": '{"threshold": NaN}'},
        {"calibration": '{"threshold": Infinity}'},
        {"calibration": "{"},
        {"detector": "{}"},
    ],
)
def test_header_parts_that_are_missing_or_of_another_kind_are_damage(
    changes: dict[str, str | None], sound: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "gate.avid"
    path.write_bytes(with_metadata(sound, **changes))
    assert_refused(path, "damaged")


def test_a_changed_setting_under_the_old_checksum_is_damage(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    path.write_bytes(sound.replace(b"4.25", b"0.25"))
    assert_refused(path, "damaged or cut short")


def test_a_header_over_8_megabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    path.write_bytes((8 * 2**20 + 1).to_bytes(8, "little") + b"{}")
    assert_refused(path, "not a model file")
    with pytest.raises(ModelError, match="not a model file"):
        read_header(path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    with path.open("wb") as file:
        file.truncate(2**30 + 1)
    assert_refused(path, "over 1 GiB")


def test_values_that_are_no_numbers_are_refused_when_loaded(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    length = int.from_bytes(sound[:8], "little")
    texts = json.loads(sound[8 : 8 + length])["__metadata__"]
    for value in (math.nan, math.inf):
        poisoned = {"weight": torch.tensor([1.0, value])}
        texts["sha256"] = checkpoint._checksum({k: v for k, v in texts.items() if k != "sha256"}, poisoned)
        path.write_bytes(dump_safetensors(poisoned, metadata=texts))
        assert_refused(path, "tensor weight holds values that are not finite numbers")


def test_values_that_are_no_numbers_are_refused_when_saved(tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    with pytest.raises(ValueError, match="not finite"):
        save_model(path, HEADER, {"weight": torch.tensor([math.nan])})
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_model(path, ModelHeader("avid", calibration={"threshold": math.inf}), {})
    with pytest.raises(ValueError, match="too large"):
        save_model(path, ModelHeader("avid", training={"log": "x" * 5 * 2**20}), {})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_answered_with_how_to_make_one(tmp_path: Path) -> None:
    assert_refused(tmp_path / "gate.avid", "avid-watch fit NORMAL -o gate.avid")


def test_a_folder_is_not_taken_for_a_model(tmp_path: Path) -> None:
    folder = tmp_path / "gate.avid"
    folder.mkdir()
    assert_refused(folder, "a folder, not a model file")
    with pytest.raises(ModelError, match="a folder"):
        read_header(folder)


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    pipe = tmp_path / "gate.avid"
    os.mkfifo(pipe)
    assert_refused(pipe, "not a model file")


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gate.avid"
    save_model(path, HEADER, TENSORS)

    def refuse(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", refuse)
    assert_refused(path, "cannot be read (Permission denied)")


def test_a_path_no_system_can_hold_is_refused(tmp_path: Path) -> None:
    for name in ("a" * 5000 + ".avid", "nul\0byte.avid"):
        with pytest.raises(ModelError):
            load_model(tmp_path / name)


def test_saving_replaces_the_old_file_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "gate.avid"
    path.write_bytes(b"old")
    save_model(path, HEADER, TENSORS)
    assert load_model(path)[0] == HEADER
    assert [item.name for item in tmp_path.iterdir()] == ["gate.avid"]
    assert stat.S_IMODE(path.stat().st_mode) & stat.S_IRUSR


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gate.avid"
    save_model(path, HEADER, TENSORS)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        save_model(path, ModelHeader("other"), {})
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["gate.avid"]


def test_a_model_is_not_saved_under_a_name_that_hides_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"try gate\.avid"):
        save_model(tmp_path / "gate.pt", HEADER, TENSORS)
    with pytest.raises(OutputError, match="cannot be written"):
        save_model(tmp_path / "nowhere" / "gate.avid", HEADER, TENSORS)


def test_half_kernels_halve_the_file_and_leave_vectors_exact(tmp_path: Path) -> None:
    tensors = {
        "kernel": torch.randn(64, 32, 3, 3),
        "large": torch.full((1, 1, 3, 3), 1e6),
        "variance": torch.rand(64) / 3,
        "places": torch.rand(23, 40) / 3,
    }
    whole, half = tmp_path / "whole.avid", tmp_path / "half.avid"
    save_model(whole, HEADER, tensors)
    save_model(half, HEADER, tensors, half_kernels=True)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    back = load_model(half)[1]
    assert {tensor.dtype for tensor in back.values()} == {torch.float32}
    for name in ("large", "variance", "places"):
        assert back[name].equal(tensors[name])
    assert (back["kernel"] - tensors["kernel"]).abs().max() < 2e-3


def test_shared_and_channels_last_tensors_can_be_stored(tmp_path: Path) -> None:
    base = torch.randn(4, 3, 3, 3).contiguous(memory_format=torch.channels_last)
    save_model(tmp_path / "gate.avid", HEADER, {"one": base, "same": base, "part": base[:2]})
    back = load_model(tmp_path / "gate.avid")[1]
    assert back["one"].equal(base)
    assert back["part"].equal(base[:2])


def test_the_versions_tell_what_made_the_file() -> None:
    versions = current_versions()
    assert all(versions.values())
    assert set(versions) == {"avid-watch", "python", "torch", "numpy", "safetensors"}

from __future__ import annotations

import json
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from detectors.checkpoint import ModelHeader, save_model


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "door.mkv"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25, 2))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in range(8):
            picture = np.full((48, 64, 3), level * 20, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "door.avid"
    header = ModelHeader(
        "avid",
        detector_settings={"inpainter": {"channels": [16, 32], "upsampling": "nearest"}},
        preprocessing={"spacing": "3/25", "mode": "difference"},
        calibration={"table": list(range(100)), "shape": 0.1234567, "extreme": True, "floor": None},
        trained_on={"footage": ["monday.mp4"], "layers": [{"stride": 2}]},
    )
    save_model(path, header, {"weight": torch.zeros(3)})
    return path


def test_a_source_is_told_by_its_picture_and_coding(call, recording):
    said = call("info", str(recording))
    assert said.code == 0
    for words in ["door.mkv", "64x48", "h264, yuv420p", "12.5 fps", "audio     no"]:
        assert words in said.out


def test_a_source_as_json(call, recording):
    document = json.loads(call("info", str(recording), "--json").out)
    assert document["kind"] == "source"
    assert (document["width"], document["height"], document["frame_rate"]) == (64, 48, 12.5)


def test_a_model_is_told_by_its_header(call, model):
    said = call("info", str(model))
    assert said.code == 0
    for words in [
        "detector  avid",
        "spacing: 3/25",
        "channels: 16, 32",
        "table: 100 values",
        "extreme: yes",
        "floor: -",
    ]:
        assert words in said.out
    assert json.loads(call("info", str(model), "--json").out)["calibration"]["shape"] == 0.1234567


def test_a_model_under_another_name_is_known_by_its_content(call, model):
    other = model.rename(model.with_suffix(".bin"))
    assert "detector  avid" in call("info", str(other)).out


@pytest.mark.parametrize("end", [20, -1])
def test_a_damaged_model_is_refused_in_one_line(call, model, end):
    model.write_bytes(model.read_bytes()[:end])
    said = call("info", str(model))
    assert said.code == 5
    assert "door.avid" in said.refusal


def test_what_is_neither_is_refused_in_one_line(call):
    said = call("info", "gate.mp4")
    assert said.code == 3
    assert "gate.mp4" in said.refusal


def test_a_finished_run_shows_its_summary_again(call, tmp_path):
    folder = tmp_path / "gate.avid"
    (folder / "summary.json").write_text(json.dumps({"format": 1, "name": "gate", "events": {"alarms": 1}}))
    (folder / "events.jsonl").write_text('{"kind": "anomaly", "start": 3.0, "end": 4.0, "peak": 3.5}\n')
    said = call("info", "gate.avid")
    assert "1 alarm" in said.out
    assert "00:03.5" in said.out
    (folder / "events.jsonl").write_text("garbage{\n")
    said = call("info", "gate.avid")
    assert said.code == 3
    assert "events.jsonl: line 1 is damaged" in said.refusal
    (folder / "summary.json").write_text("{")
    assert call("info", "gate.avid").code == 3


def test_this_machine_is_told_by_cores_codecs_and_versions(call):
    said = call("info")
    assert said.code == 0
    for words in ["CPU", "GPU", "FFmpeg", "h264, hevc, av1, mpeg4, mjpeg, vp9", "encodes   h264, aac", "torch "]:
        assert words in said.out
    document = json.loads(call("info", "--json").out)
    assert document["kind"] == "machine"
    assert document["versions"]["torch"]

"""Recorded networks: the same numbers as the network itself, for every shape, from several threads."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from detectors import tracing
from detectors.avid.detector import DetectorNetwork, DetectorSettings
from detectors.avid.inpainter import Inpainter, InpainterSettings
from detectors.inference import Runtime, prepare
from detectors.tracing import MOST_SHAPES, SEEN_BEFORE, Traced, traced

CPU = Runtime(torch.device("cpu"), torch.float32)
BFLOAT16 = Runtime(torch.device("cpu"), torch.bfloat16)


class Counting(torch.nn.Module):
    """Doubles, and counts how often Python called it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return 2 * windows


@pytest.mark.parametrize("runtime", [CPU, BFLOAT16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("network", ["inpainter", "detector"])
def test_a_recorded_network_says_the_same_to_the_last_bit(network: str, runtime: Runtime) -> None:
    plain = Inpainter(InpainterSettings()) if network == "inpainter" else DetectorNetwork(DetectorSettings())
    ready = prepare(plain, runtime)
    recorded = Traced(ready)
    with torch.inference_mode(), runtime.autocast():
        for shape in [(1, 3, 64, 88), (3, 3, 72, 104), (2, 3, 72, 104)]:
            for _ in range(SEEN_BEFORE + 4):
                windows = runtime.upload(torch.randn(shape))
                assert torch.equal(recorded(windows), ready(windows))


def test_a_shape_is_recorded_once_it_has_come_again_and_python_is_not_called_any_more() -> None:
    network = Counting()
    recorded = Traced(network)
    for _ in range(SEEN_BEFORE + 1):  # the last of them is the recording
        recorded(torch.ones(2, 3))
    called = network.calls
    assert torch.equal(recorded(torch.full((2, 3), 5.0)), torch.full((2, 3), 10.0))
    assert network.calls == called == SEEN_BEFORE + 1


def test_only_so_many_shapes_stay_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "SEEN_BEFORE", 0)
    recorded = Traced(Counting())
    for size in range(1, MOST_SHAPES + 4):
        recorded(torch.ones(size))
    assert len(recorded._recorded) == MOST_SHAPES
    assert torch.equal(recorded(torch.ones(1)), torch.full((1,), 2.0)), "one that was forgotten is recorded anew"


def test_threads_that_meet_in_one_network_get_what_is_theirs() -> None:
    ready = prepare(DetectorNetwork(DetectorSettings()), CPU)
    recorded = Traced(ready)
    windows = [torch.randn(1 + number % 3, 3, 64, 64) for number in range(24)]

    def both(given: torch.Tensor) -> bool:
        with torch.inference_mode():
            return bool(torch.equal(recorded(given), ready(given)))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(both, windows))


def test_recording_says_nothing_to_the_user() -> None:
    recorded = Traced(Counting())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(SEEN_BEFORE + 1):
            recorded(torch.ones(2))


def test_on_a_gpu_the_network_stays_as_it_is() -> None:
    network = Counting()
    assert traced(network, Runtime(torch.device("cuda"), torch.bfloat16)) is network
    assert isinstance(traced(network, CPU), Traced)

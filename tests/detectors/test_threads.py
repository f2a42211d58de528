"""Threads are decided before torch is loaded, or kept to one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from detectors.threads import ThreadPolicy, configure_threads, leave_cores, usable_cores

ROOT = Path(__file__).resolve().parents[2]


def in_a_new_process(code: str, **environment: str) -> str:
    """What a fresh interpreter prints; the policy of this process does not reach it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean | environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_before_torch_is_loaded_waiting_threads_are_put_to_sleep() -> None:
    told = in_a_new_process(
        "import os, sys\n"
        "from detectors.threads import configure_threads, usable_cores\n"
        "assert 'torch' not in sys.modules\n"
        "policy = configure_threads()\n"
        "import torch\n"
        "print(policy.threads == torch.get_num_threads() == usable_cores(), os.environ['OMP_WAIT_POLICY'])"
    )
    assert told == "True PASSIVE"


def test_after_torch_was_loaded_without_the_policy_one_thread_is_used() -> None:
    told = in_a_new_process(
        "import torch\n"
        "from detectors.threads import configure_threads\n"
        "print(configure_threads(), torch.get_num_threads())"
    )
    assert told == "ThreadPolicy(threads=1, passive=False) 1"


def test_a_policy_of_the_user_is_kept() -> None:
    told = in_a_new_process(
        "import os\n"
        "from detectors.threads import configure_threads\n"
        "print(configure_threads(), os.environ['OMP_WAIT_POLICY'])",
        OMP_WAIT_POLICY="ACTIVE",
    )
    assert told == "ThreadPolicy(threads=1, passive=False) ACTIVE"


def test_a_number_of_threads_asked_for_is_the_number_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    before = torch.get_num_threads()
    try:
        assert configure_threads(1) == ThreadPolicy(threads=1, passive=True)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_no_thread_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one thread"):
        configure_threads(0)


def test_the_cores_that_count_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {3}, raising=False)
    assert usable_cores() == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


def test_cores_left_to_others_come_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with leave_cores(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with leave_cores(5):
            assert torch.get_num_threads() == 1, "one is always left"
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)

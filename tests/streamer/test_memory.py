"""Free memory goes back to the system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from streamer import memory
from streamer.memory import give_back_memory


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not hasattr(os, "confstr") or "glibc" not in str(os.confstr("CS_GNU_LIBC_VERSION")), reason="glibc")
def test_what_many_small_pieces_left_behind_goes_back() -> None:
    pieces = [bytes(60_000) for _ in range(2_000)]  # too small for maps of their own
    keeps_the_top = [bytes(60_000) for _ in range(50)]
    full = resident()
    pieces.clear()
    give_back_memory()
    assert full - resident() > 60e6, "of 120 MB"
    assert len(keeps_the_top) == 50


def test_elsewhere_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    memory._trimmer.cache_clear()
    try:
        give_back_memory()
        assert memory._trimmer()(0) is None
    finally:
        memory._trimmer.cache_clear()

"""The real sets, where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data sets: ``$AVID_WATCH_DATA``, or ``shared/data`` beside the checkout."""
    given = os.environ.get("AVID_WATCH_DATA")
    folder = Path(given) if given else CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not at {folder}; AVID_WATCH_DATA names another place")
    return folder

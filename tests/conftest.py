"""What every test shares: torch's threads sleep while they wait, as the command line loads it, the same numbers are
drawn in every run, and no test is timed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from detectors.threads import configure_threads

configure_threads(1)
# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(autouse=True)
def same_numbers_in_every_run() -> None:
    """Tests that draw weights or windows from torch's own generator pass or fail alike in every run."""
    import torch

    torch.manual_seed(0)

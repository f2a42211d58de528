"""What every test shares: torch's threads sleep while they wait, as the command line loads it, and no test is timed."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from detectors.threads import configure_threads

configure_threads(1)
# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

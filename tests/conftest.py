"""What every test shares: torch is loaded with threads that sleep while they wait, as the command line loads it."""

from __future__ import annotations

from detectors.threads import configure_threads

configure_threads(1)

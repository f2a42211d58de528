"""Which addresses are live: cameras that show the present, and go away and come back."""

from __future__ import annotations

from streamer.sources.device import device_path
from streamer.sources.naming import scheme_of
from streamer.sources.stream_options import LIVE_SCHEMES


def is_live(uri: str) -> bool:
    """Whether ``uri`` names a network stream or a camera device; recordings, folders and unknown schemes do not."""
    return device_path(uri) is not None or scheme_of(uri) in LIVE_SCHEMES

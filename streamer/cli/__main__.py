"""``python -m streamer.cli`` is ``avid-watch``."""

from streamer.cli import run

run()

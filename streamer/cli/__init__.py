"""The command line: parse and check everything, then hand a plain request to the work.

``main(["camera.mp4"])`` is a whole run in process and returns its exit code; ``run()`` is the console script.
"""

from __future__ import annotations

import sys

from streamer.cli.main import main

__all__ = ["main", "run"]


def run() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(main(sys.argv[1:]))

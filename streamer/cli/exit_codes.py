"""The exit codes, in the words of the help and in the numbers of the process."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.requests import WatchOutcome


class ExitCode(IntEnum):
    """How a run of the command line ends."""

    DONE = 0
    ALARMS = 1
    USAGE = 2
    INPUT = 3
    PARTIAL = 4
    MODEL = 5
    INTERNAL = 70
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.DONE: "done; also a live run that was asked to stop",
    ExitCode.ALARMS: "done, and there were alarms (only with --fail-on-alarm)",
    ExitCode.USAGE: "wrong usage, or the output cannot be written",
    ExitCode.INPUT: "input unreadable, or no frame of it could be scored",
    ExitCode.PARTIAL: "some of several sources failed",
    ExitCode.MODEL: "model unusable",
    ExitCode.INTERNAL: "internal error (run again with --debug)",
    ExitCode.INTERRUPTED: "interrupted",
}


def code_for(outcome: WatchOutcome, *, fail_on_alarm: bool, live: bool = False) -> int:
    """Say how a watch ended: an interruption over failures, failures over alarms.

    A live run has no other end than to be asked to stop, so that is no failure: a service manager sees 0.

    Args:
        outcome: of the watch.
        fail_on_alarm: alarms count.
        live: it was one of live cameras.
    """
    done = ExitCode.ALARMS if fail_on_alarm and any(source.alarms for source in outcome.sources) else ExitCode.DONE
    if outcome.interrupted:
        return done if live else ExitCode.INTERRUPTED
    errors = [source.error for source in outcome.sources if source.error is not None]
    if errors and len(errors) < len(outcome.sources):
        return ExitCode.PARTIAL
    if errors:
        codes = {error.exit_code for error in errors}
        return codes.pop() if len(codes) == 1 else ExitCode.INPUT
    return done if outcome.sources else ExitCode.INPUT


def code_of_checks(fine: Sequence[bool]) -> int:
    """Say how a check of cameras ended: all fine, some not, or none."""
    if all(fine) and fine:
        return ExitCode.DONE
    return ExitCode.PARTIAL if any(fine) else ExitCode.INPUT

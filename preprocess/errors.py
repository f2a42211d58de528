"""The one error root. Every child maps to an exit code; every message says what, which input and what to do."""

from __future__ import annotations


class AvidWatchError(Exception):
    """Root of all errors a user can meet; its text is one line: what was wrong, with which input, what to try."""

    exit_code = 1


class UsageError(AvidWatchError):
    """The command line or a settings file asks for something that cannot be (exit code 2)."""

    exit_code = 2


class InputError(AvidWatchError):
    """An input cannot be read, or no frame of it could be scored (exit code 3)."""

    exit_code = 3


class PartialFailureError(AvidWatchError):
    """Some inputs of a batch failed while others were done (exit code 4)."""

    exit_code = 4


class ModelError(AvidWatchError):
    """A model file is damaged, foreign, or does not fit (exit code 5)."""

    exit_code = 5


class OutputError(AvidWatchError):
    """An output cannot be written: the folder exists, the disk is full, no permission (exit code 2)."""

    exit_code = 2

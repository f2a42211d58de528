"""When to try again, and why the last attempt failed.

A camera that reboots must not be hammered by forty readers at once: waits grow exponentially and are drawn at random
(full jitter). What will not heal by itself in seconds (a wrong password, a wrong path, a codec nobody reads) is tried
more slowly, as cameras lock accounts after a few wrong passwords.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError

from streamer.live.camera_source import Cause
from streamer.sources.naming import without_password

if TYPE_CHECKING:
    from random import Random

    from streamer.sources.stream_options import CameraOptions

SLOW_CAUSES = frozenset({Cause.AUTHENTICATION, Cause.NOT_FOUND, Cause.CODEC})
"""Tried again after one to two times the longest wait."""

_MOST_DOUBLINGS = 32
_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})
_LONGEST_DETAIL = 200


class ConnectionLostError(Exception):
    """A connection, or the attempt at one, came to its end.

    Attributes:
        cause: which of the causes users are told.
        detail: a few words more, without a password.
    """

    def __init__(self, cause: Cause, detail: str) -> None:
        self.cause = cause
        self.detail = without_password(detail).replace("\n", " ")[:_LONGEST_DETAIL]
        super().__init__(f"{cause.value}: {self.detail}")


class Backoff:
    """How long to wait before the next attempt, and when to give up."""

    def __init__(self, options: CameraOptions, random: Random) -> None:
        """Start in good health; ``random`` draws the jitter."""
        self._options = options
        self._random = random
        self._failures = 0

    def after(self, cause: Cause, healthy_seconds: float) -> float | None:
        """Seconds to wait after a connection that failed, None to give up.

        Args:
            cause: why it failed.
            healthy_seconds: how long it had delivered pictures, 0 where it never came up.
        """
        options = self._options
        if healthy_seconds >= options.healthy_after > 0:
            self._failures = 0
        self._failures += 1
        if options.max_reconnects is not None and self._failures > options.max_reconnects:
            return None
        if cause in SLOW_CAUSES:
            return self._random.uniform(options.most_wait, 2 * options.most_wait)
        ceiling = min(options.most_wait, options.least_wait * 2 ** min(self._failures, _MOST_DOUBLINGS))
        return self._random.uniform(options.least_wait, ceiling)


def failure_of(error: BaseException, *, connected: bool) -> ConnectionLostError:
    """What an error of opening or reading means.

    Args:
        error: of PyAV or the system.
        connected: packets had come before; a time-out is then a stall.
    """
    if isinstance(error, ConnectionLostError):
        return error
    return ConnectionLostError(_cause_of(error, connected=connected), _words_of(error))


def _cause_of(error: BaseException, *, connected: bool) -> Cause:  # noqa: PLR0911 - a table, one line a cause
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return Cause.AUTHENTICATION
    if isinstance(error, av.error.HTTPNotFoundError | FileNotFoundError | socket.gaierror):
        return Cause.NOT_FOUND
    if isinstance(
        error, av.error.DecoderNotFoundError | av.error.DemuxerNotFoundError | av.error.ProtocolNotFoundError
    ):
        return Cause.CODEC
    if isinstance(error, ConnectionRefusedError):
        return Cause.REFUSED
    # PyAV's own time limit ends reading with "immediate exit requested".
    if isinstance(error, TimeoutError | av.error.ExitError):
        return Cause.STALLED if connected else Cause.TIME_OUT
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return Cause.TIME_OUT
    if isinstance(error, PermissionError):
        return Cause.AUTHENTICATION
    # The end of a stream inside TLS, and of RTMP, is an input/output error to FFmpeg.
    over = connected and isinstance(error, OSError) and error.errno == errno.EIO
    if over or isinstance(error, EOFError | ConnectionResetError | BrokenPipeError):
        return Cause.ENDED
    return Cause.BROKEN


def _words_of(error: BaseException) -> str:
    """What the error says, without the address it says it about."""
    if isinstance(error, av.error.ExitError):
        return "no answer within the time limit"
    if isinstance(error, FFmpegError | OSError) and error.strerror:
        return str(error.strerror)
    return str(error) or type(error).__name__

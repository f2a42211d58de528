"""When to try again, and what errors mean."""

from __future__ import annotations

import errno
from random import Random

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.live.camera_source import Cause
from streamer.sources.reconnecting import SLOW_CAUSES, Backoff, ConnectionLostError, failure_of
from streamer.sources.stream_options import CameraOptions


class Longest(Random):
    """Always draws the longest wait."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_waits_double_up_to_the_longest_one() -> None:
    backoff = Backoff(CameraOptions(), Longest())
    assert [backoff.after(Cause.TIME_OUT, 0) for _ in range(7)] == [2, 4, 8, 16, 30, 30, 30]


def test_a_minute_of_health_makes_the_next_wait_short_again() -> None:
    backoff = Backoff(CameraOptions(), Longest())
    for _ in range(5):
        backoff.after(Cause.ENDED, 10)
    assert backoff.after(Cause.ENDED, 59) == 30
    assert backoff.after(Cause.ENDED, 60) == 2


@pytest.mark.parametrize("cause", sorted(SLOW_CAUSES, key=lambda cause: cause.value))
def test_what_does_not_heal_by_itself_is_tried_slowly(cause: Cause) -> None:
    waits = [Backoff(CameraOptions(), Random(seed)).after(cause, 0) for seed in range(50)]
    assert all(wait is not None and 30 <= wait <= 60 for wait in waits)


@given(st.integers(0, 5), st.lists(st.sampled_from(Cause), max_size=10))
def test_attempts_after_the_first_are_counted_until_all_are_used(most: int, causes: list[Cause]) -> None:
    backoff = Backoff(CameraOptions(max_reconnects=most), Random(0))
    waits = [backoff.after(cause, 0) for cause in causes]
    assert [wait is None for wait in waits] == [number >= most for number in range(len(causes))]


@given(st.randoms(use_true_random=False), st.lists(st.sampled_from(Cause), min_size=1, max_size=80))
def test_waits_stay_within_their_limits_for_ever(random: Random, causes: list[Cause]) -> None:
    backoff = Backoff(CameraOptions(least_wait=0.5, most_wait=4), random)
    for cause in causes:
        wait = backoff.after(cause, 0)
        assert wait is not None
        assert 0.5 <= wait <= (8 if cause in SLOW_CAUSES else 4)


def fault(kind: type[av.error.FFmpegError], text: str) -> av.error.FFmpegError:
    return kind(1, text, "rtsp://me:s3cret@host/x")


@pytest.mark.parametrize(
    ("error", "connected", "cause"),
    [
        (fault(av.error.HTTPUnauthorizedError, "Server returned 401"), False, Cause.AUTHENTICATION),
        (fault(av.error.HTTPForbiddenError, "Server returned 403"), False, Cause.AUTHENTICATION),
        (fault(av.error.HTTPNotFoundError, "Server returned 404"), False, Cause.NOT_FOUND),
        (fault(av.error.DecoderNotFoundError, "Decoder not found"), False, Cause.CODEC),
        (fault(av.error.HTTPServerError, "Server returned 5XX"), False, Cause.BROKEN),
        (fault(av.error.InvalidDataError, "Invalid data"), False, Cause.BROKEN),
        (fault(av.error.ExitError, "Immediate exit requested"), True, Cause.STALLED),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), False, Cause.TIME_OUT),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), True, Cause.STALLED),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), False, Cause.REFUSED),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset"), True, Cause.ENDED),
        (OSError(errno.EHOSTUNREACH, "No route to host"), False, Cause.TIME_OUT),
        (FileNotFoundError(errno.ENOENT, "No such file"), False, Cause.NOT_FOUND),
        (OSError(errno.EIO, "Input/output error"), False, Cause.BROKEN),
        (RuntimeError("odd rtsp://me:s3cret@host/x?token=abc"), False, Cause.BROKEN),
    ],
)
def test_errors_are_told_apart_and_say_no_password(error: Exception, connected: bool, cause: Cause) -> None:
    failure = failure_of(error, connected=connected)
    assert failure.cause is cause
    assert failure.detail
    assert "s3cret" not in str(failure)
    assert "abc" not in str(failure)


def test_a_failure_already_told_stays_as_it_is() -> None:
    failure = ConnectionLostError(Cause.CODEC, "none\nat all")
    assert failure_of(failure, connected=True) is failure
    assert failure.detail == "none at all"

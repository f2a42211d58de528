"""How many threads the networks use, decided before torch is loaded. Imports nothing heavy, for that reason."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_POLICY: Final = "OMP_WAIT_POLICY"


@dataclass(frozen=True, slots=True)
class ThreadPolicy:
    """What was decided.

    Attributes:
        threads: threads torch computes one operator with.
        passive: waiting threads sleep instead of spinning.
    """

    threads: int
    passive: bool


def configure_threads(threads: int | None = None) -> ThreadPolicy:
    """Make torch share the machine with decoders and encoders; call once, before anything imports torch.

    Torch's worker threads spin while they wait for each other. As soon as a decoder or an encoder keeps a core busy,
    all of them wait for the one that has none: on two cores a small network fell from over 1,000 to 28-106 pictures
    a second. Sleeping threads (``OMP_WAIT_POLICY=PASSIVE``) lose nothing, but the policy is read when torch is loaded.
    So: not loaded yet, the policy is set (unless the user set one) and every core used; already loaded without it,
    one thread, which nobody can make wait.

    Args:
        threads: at least 1; None takes every core this process may use, or 1 where waiting threads would spin.

    Returns:
        What now holds.

    Raises:
        ValueError: fewer than one thread.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"torch needs at least one thread, not {threads}")
    if "torch" not in sys.modules:
        os.environ.setdefault(WAIT_POLICY, "PASSIVE")
    # Set after torch was loaded by someone else this would be a lie; then the user's shell set it before the start.
    passive = os.environ.get(WAIT_POLICY, "").upper() == "PASSIVE"
    count = threads if threads is not None else (usable_cores() if passive else 1)

    import torch  # noqa: PLC0415 - the policy above has to be in place first

    torch.set_num_threads(count)
    return ThreadPolicy(threads=count, passive=passive)


@contextmanager
def leave_cores(count: int) -> Iterator[None]:
    """Let torch use so many cores less, at least one, within this context: other threads have work for them.

    Two threads of a small network on two cores, beside one that makes its next batch, took 0.23 s a step; one took
    0.15 s.
    """
    import torch  # noqa: PLC0415 - the policy of waiting has to be in place before it is loaded

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before - count))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def usable_cores() -> int:
    """Cores this process may run on (a container or ``taskset`` may leave fewer than the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

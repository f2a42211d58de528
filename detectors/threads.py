"""How many threads the networks use, decided before torch is loaded. Imports nothing heavy, for that reason."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Final

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


def usable_cores() -> int:
    """Cores this process may run on (a container or ``taskset`` may leave fewer than the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""Memory that is free and still counted: what a large piece of work leaves behind in the C library's heap."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def give_back_memory() -> None:
    """Hand what the heap holds free back to the system; some 10 ms, for after work that took a lot.

    glibc keeps freed pieces of up to 32 MiB for the next time, in a heap per thread. For a program that runs for weeks
    and learns more and more rarely that is growth: eight cameras took 25 to 30 MB more with each round of learning.
    Other C libraries return memory by themselves.
    """
    _trimmer()(0)


@cache
def _trimmer() -> Callable[[int], object]:
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
            return found
    return lambda _: None

"""Times as people write them (``90``, ``90s``, ``1m30s``, ``01:30``, ``00:01:30``) to seconds and back.

Arithmetic is exact (fractions) until the last step, so that a text written here is read back as the same number.
"""

from __future__ import annotations

import re
from fractions import Fraction

_NUMBER = r"\d+(?:\.\d+)?|\.\d+"
_PLAIN = re.compile(rf"(?P<s>{_NUMBER})", re.ASCII)
_UNITS = re.compile(
    rf"(?:(?P<d>{_NUMBER})\s*d)?\s*(?:(?P<h>{_NUMBER})\s*h)?\s*(?:(?P<m>{_NUMBER})\s*m(?:in)?)?"
    rf"\s*(?:(?P<s>{_NUMBER})\s*s)?"
    rf"\s*(?:(?P<ms>{_NUMBER})\s*ms)?",
    re.ASCII,
)
_CLOCK = re.compile(r"(?:(?P<h>\d+):)?(?P<m>\d{1,2}):(?P<s>\d{1,2}(?:\.\d+)?)", re.ASCII)
_SECONDS = {
    "d": Fraction(86400),
    "h": Fraction(3600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 1000),
}
_CLOCK_LIMIT = 60


def parse_duration(value: object) -> float:
    """Read a length of time.

    Args:
        value: a number of seconds, or text: ``90``, ``90s``, ``1m30s``, ``1h``, ``250ms``, ``mm:ss`` or ``hh:mm:ss``,
            each with decimals in its last part where wanted.

    Returns:
        Seconds, never negative.

    Raises:
        ValueError: the value is no time; the message says how to write one.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if 0 <= value < float("inf"):
            return float(value)
        raise ValueError(f"{value} is no length of time: it must be a finite number of seconds, 0 or more")
    text = str(value).strip().lower()
    seconds = _exact(text) if isinstance(value, str) else None
    if seconds is None:
        raise ValueError(f"{value!r} is no length of time: write 90, 90s, 1m30s, 01:30 or 00:01:30")
    return float(seconds)


def _exact(text: str) -> Fraction | None:
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        minutes, seconds = int(clock["m"]), Fraction(clock["s"])
        if seconds >= _CLOCK_LIMIT or (clock["h"] is not None and minutes >= _CLOCK_LIMIT):
            return None
        return 3600 * int(clock["h"] or 0) + 60 * minutes + seconds
    match = _PLAIN.fullmatch(text) or _UNITS.fullmatch(text)
    if match is None:
        return None
    parts = [_SECONDS[unit] * Fraction(number) for unit, number in match.groupdict().items() if number is not None]
    return sum(parts, Fraction(0)) if parts else None


def format_duration(seconds: float) -> str:
    """Write a length of time the short way, to the millisecond: ``1m30s``, ``2h``, ``0.25s``.

    The text is read back by :func:`parse_duration` as the same number where that has no part below a millisecond.
    """
    total = _milliseconds(seconds)
    hours, rest = divmod(total, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    if rest or not total:
        parts.append(f"{_decimal(rest)}s")
    return "".join(parts)


def format_clock(seconds: float, *, decimals: int = 0) -> str:
    """Write a moment of a recording as ``mm:ss`` or ``h:mm:ss``, with ``decimals`` (0 to 3) places of a second.

    Cut off, not rounded, as a player's clock does: the moment named is never past the one meant.
    """
    # Microseconds first: 12.6 as a float lies a hair below twelve and six tenths.
    total = round(max(Fraction(0), Fraction(seconds)) * 1_000_000) // 1000
    hours, rest = divmod(total, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    whole, fraction = divmod(rest, 1000)
    tail = f".{fraction:03d}"[: decimals + 1] if decimals else ""
    return f"{hours}:{minutes:02d}:{whole:02d}{tail}" if hours else f"{minutes:02d}:{whole:02d}{tail}"


def _milliseconds(seconds: float) -> int:
    return round(max(Fraction(0), Fraction(seconds)) * 1000)


def _decimal(milliseconds: int) -> str:
    whole, fraction = divmod(milliseconds, 1000)
    return f"{whole}.{fraction:03d}".rstrip("0") if fraction else str(whole)

"""Values of this program as strict JSON: no infinities, times as numbers, moments as ISO texts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from fractions import Fraction
from functools import singledispatch
from pathlib import PurePath

import numpy as np


@singledispatch
def plain(value: object) -> object:
    """Turn a value into what JSON knows: dictionaries, lists, texts, finite numbers, booleans and None.

    Fractions (times in seconds) become numbers rounded to the microsecond, moments ISO 8601 to the millisecond,
    numbers that are not finite None, paths texts with forward slashes, dataclasses dictionaries.

    Raises:
        TypeError: there is no JSON for such a value.
    """
    if value is None:
        return None
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"a value of type {type(value).__name__} has no place in JSON")


@plain.register(str)
@plain.register(int)
def _(value: str | int) -> object:
    return plain(value.value) if isinstance(value, Enum) else value


@plain.register
def _(value: float) -> object:
    return float(value) if math.isfinite(value) else None


@plain.register
def _(value: Fraction) -> object:
    return round(float(value), 6)


@plain.register
def _(value: Enum) -> object:
    return plain(value.value)


@plain.register
def _(value: datetime) -> object:
    return value.isoformat(timespec="milliseconds")


@plain.register
def _(value: PurePath) -> object:
    return value.as_posix()


@plain.register(np.generic)
@plain.register(np.ndarray)
def _(value: np.generic | np.ndarray) -> object:
    return plain(value.tolist())


@plain.register(Mapping)
def _(value: Mapping[object, object]) -> object:
    return {str(plain(key)): plain(entry) for key, entry in value.items()}


@plain.register(AbstractSet)
def _(value: AbstractSet[object]) -> object:
    return sorted((plain(entry) for entry in value), key=str)


@plain.register(Sequence)
def _(value: Sequence[object]) -> object:
    return [plain(entry) for entry in value]


@plain.register(bytes)
@plain.register(bytearray)
def _(value: bytes | bytearray) -> object:
    raise TypeError(f"a value of type {type(value).__name__} has no place in JSON")


def json_bytes(value: object, *, indent: int | None = None) -> bytes:
    """The value as UTF-8 JSON without a line end; parts of file names that are no UTF-8 are escaped."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    return text.encode("utf-8", "backslashreplace")

"""How values of ``cameras.yaml`` are written: lengths of time, sizes on a disk, paths, secrets, time zones."""

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, WithJsonSchema

from streamer.durations import parse_duration
from streamer.live.schedule import ALL_DAY, NEVER, parse_days, parse_hours

FOLDER = "folder"
"""Key of the validation context: the folder that relative paths begin in."""

SWITCH_WORDS = ("yes", "no", "on", "off")
"""Switches of YAML 1.1, which an editor that knows YAML 1.2 takes for texts."""

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]I?)?B?", re.ASCII | re.IGNORECASE)


def parse_size(value: object) -> int:
    """Read a number of bytes: ``50GB``, ``1.5 TB``, ``512MiB`` or a plain number.

    Raises:
        ValueError: it is no size; the message says how to write one.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no size: write 50GB, 512MB or 20GiB")
    return int(Fraction(match["number"]) * _UNITS[(match["unit"] or "").upper()])


def known_zone(value: object) -> str:
    """Take the name of a time zone that this machine knows.

    Raises:
        ValueError: it knows none of that name.
    """
    try:
        ZoneInfo(str(value))
    except (ValueError, OSError) as error:  # an unknown name is a KeyError or an OSError, by what it looks like
        raise _no_zone(value) from error
    except KeyError as error:
        raise _no_zone(value) from error
    return str(value)


def _no_zone(value: object) -> ValueError:
    return ValueError(f"{value!r} is no time zone known here: write one like Europe/Berlin (Debian's package tzdata)")


def below_folder(value: object, info: ValidationInfo) -> object:
    """Read a path as people mean it in a file: from the folder of that file, ``~`` being the home folder."""
    if not isinstance(value, str | Path):
        return value
    path = Path(value).expanduser()
    folder = (info.context or {}).get(FOLDER)
    return path if folder is None else Path(folder) / path


def secret_from_file(values: object, info: ValidationInfo, name: str) -> object:
    """Fill the field ``name`` from the file that ``<name>_file`` names, less the line break at its end.

    Args:
        values: what a model is to be made from; anything but a mapping is left alone.
        info: of the validation under way.
        name: of the secret.

    Raises:
        ValueError: both are given, or the file cannot be read or is empty.
    """
    if not isinstance(values, Mapping) or values.get(f"{name}_file") is None:
        return values
    if values.get(name) is not None:
        raise ValueError(f"{name} and {name}_file exclude each other: leave one out")
    path = below_folder(values[f"{name}_file"], info)
    if not isinstance(path, Path):
        return values  # the field's own check says what is wrong
    try:
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "not readable as text"
        raise ValueError(f"{name}_file {path}: {why}; check the path and who may read it") from error
    if not text:
        raise ValueError(f"{name}_file {path} is empty: write the secret into it")
    return {**values, name: text}


def _weekdays(text: str) -> str:
    parse_days(text)
    return text


def _hours(value: object) -> object:
    """Hours as a list of texts, whichever way they were written."""
    if isinstance(value, bool):
        return (ALL_DAY,) if value else (NEVER,)
    if isinstance(value, str):
        value = tuple(part.strip() for part in value.split(","))
    if isinstance(value, list | tuple):
        parse_hours(value)
    return value


def _off_as_none(value: object) -> object:
    return None if value is False or value == "off" else value


def _one_as_list(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _schema(description: str, *, zero: bool) -> WithJsonSchema:
    limit = {"minimum": 0} if zero else {"exclusiveMinimum": 0}
    return WithJsonSchema({"anyOf": [{"type": "number", **limit}, {"type": "string", "description": description}]})


_WRITTEN = "a length of time: 90, 90s, 1m30s, 01:30, 2h or 7d"

Length = Annotated[float, BeforeValidator(parse_duration), Field(gt=0), _schema(_WRITTEN, zero=False)]
"""A length of time above 0, in seconds."""

LengthOrZero = Annotated[float, BeforeValidator(parse_duration), Field(ge=0), _schema(_WRITTEN, zero=True)]
"""A length of time in seconds that may be 0."""

Bytes = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(gt=0),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "string", "description": "50GB, 512MiB"}]}
    ),
]
"""A number of bytes."""

FilePath = Annotated[Path, BeforeValidator(below_folder), WithJsonSchema({"type": "string"})]
"""A path; in a file, a relative one begins in the folder of that file."""

TimeZone = Annotated[str, BeforeValidator(known_zone), WithJsonSchema({"type": "string"})]
"""Name of a time zone, e.g. ``Europe/Berlin``."""

Secret = Annotated[SecretStr, WithJsonSchema({"type": "string", "minLength": 1}), Field(min_length=1)]
"""Text that is shown as stars wherever it is printed."""

Weekdays = Annotated[str, AfterValidator(_weekdays)]
"""``mon``, ``mon-fri``, ``sat,sun`` or ``daily``."""

_SPAN = {"type": "string", "pattern": r"^\s*\d{1,2}:\d{2}\s*-\s*\d{1,2}:\d{2}\s*(,.*)?$"}
Hours = Annotated[
    tuple[str, ...],
    BeforeValidator(_hours),
    WithJsonSchema(
        {
            "anyOf": [
                _SPAN,
                {"enum": [ALL_DAY, NEVER, True, False, *SWITCH_WORDS]},
                {"type": "array", "items": _SPAN, "minItems": 1},
            ]
        }
    ),
]
"""Armed hours of a day: ``20:00-06:00``, several of them, ``all day`` or ``never``."""

OffAsNone: Any = BeforeValidator(_off_as_none)
"""``off`` and ``no`` say None."""

OneAsList: Any = BeforeValidator(_one_as_list)
"""One value is as good as a list of one."""

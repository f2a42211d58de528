"""The settings file of ``--config``: YAML with the names of the options, checked key by key with its line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from preprocess.errors import UsageError
from streamer.cli.wording import did_you_mean
from streamer.live.yaml_tree import NO_VALUE, NO_VALUE_TEXT
from streamer.settings import (
    CheckSettings,
    EvaluateSettings,
    FitSettings,
    InfoSettings,
    RelearnSettings,
    Settings,
    TuneSettings,
    WatchSettings,
    option_name,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from pydantic.fields import FieldInfo

CAMERAS = "cameras"
"""The key at whose presence a settings file is one of cameras."""

_COMMANDS: Mapping[str, type[Settings]] = {
    "watch": WatchSettings,
    "fit": FitSettings,
    "tune": TuneSettings,
    "evaluate": EvaluateSettings,
    "info": InfoSettings,
    "check": CheckSettings,
    "relearn": RelearnSettings,
}


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What a settings file says.

    Attributes:
        path: the file.
        values: by field of the settings model, not yet validated.
        lines: the line each value stands in, by field, counted from 1.
    """

    path: Path
    values: Mapping[str, object]
    lines: Mapping[str, int]


def read_settings_file(path: Path, model: type[Settings]) -> SettingsFile:
    """Read a settings file for one command.

    Keys may be written with dashes or underscores; ``no-video: true`` says the same as ``video: false``.

    Args:
        path: the YAML file.
        model: the settings it may set.

    Raises:
        UsageError: unreadable, no YAML mapping, an unknown key or a key given twice; names file and line.
    """
    values: dict[str, object] = {}
    lines: dict[str, int] = {}
    fields = {option_name(field, info): field for field, info in model.model_fields.items()}
    for key, value, line in _entries(path):
        name = key.replace("_", "-")
        negated = name.removeprefix("no-") if name.startswith("no-") else ""
        if negated in fields and isinstance(value, bool):
            name, value = negated, not value  # noqa: PLW2901 - the same setting, said the other way round
        if name not in fields:
            raise UsageError(f"{path} line {line}: {_unknown(key, name, fields, model)}")
        field = fields[name]
        if field in values:
            raise UsageError(f"{path} line {line}: {key!r} is set twice, first in line {lines[field]}: leave one out")
        values[field] = _as_field(value, model.model_fields[field])
        lines[field] = line
    return SettingsFile(path, values, lines)


def _entries(path: Path) -> list[tuple[str, object, int]]:
    loader = None
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        if root is None:
            return []
        if not isinstance(root, yaml.MappingNode):
            raise UsageError(f"{path}: a settings file has lines of the form 'device: cpu', this one has not")
        return [
            (str(_value(path, loader, key)), _value(path, loader, value), key.start_mark.line + 1)
            for key, value in root.value
        ]
    except OSError as error:
        raise UsageError(f"--config {path}: {(error.strerror or str(error)).lower()}; check the path") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: this is no text file; a settings file has lines of the form 'device: cpu'"
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        what = getattr(error, "problem", None) or "not readable as YAML"
        raise UsageError(f"{path}{where}: {what}; lines have the form 'device: cpu'") from error
    finally:
        if loader is not None:
            loader.dispose()


def _value(path: Path, loader: yaml.SafeLoader, node: yaml.Node) -> object:
    try:
        return loader.construct_object(node, deep=True)
    except NO_VALUE as error:
        raise UsageError(f"{path} line {node.start_mark.line + 1}: {NO_VALUE_TEXT}") from error


def _unknown(
    key: str,
    name: str,
    fields: Mapping[str, str],
    model: type[Settings],
) -> str:
    for command, other in _COMMANDS.items():
        if other is not model and name in {option_name(field, info) for field, info in other.model_fields.items()}:
            return f"{key!r} is a setting of 'avid-watch {command}' alone: take it out of this file"
    if name.replace("-", "_") in _keys_of_cameras_files():
        return (
            f"{key!r} is a key of cameras files, which have 'cameras:' at their top: "
            "'avid-watch --config' and 'avid-watch check' take them"
        )
    known = [*fields, CAMERAS] if model is WatchSettings else fields
    hint = did_you_mean(name, known) or f"known are {', '.join(sorted(fields))}"
    return f"unknown setting {key!r}: {hint}"


def _keys_of_cameras_files() -> Collection[str]:
    from streamer.live.config import LiveConfig  # noqa: PLC0415 - it brings the decoders with it

    return LiveConfig.model_fields


def _as_field(value: object, info: FieldInfo) -> object:
    """One value is as good as a list of one, as on the command line."""
    if isinstance(info.default, tuple) and isinstance(value, str):
        return (value,)
    return value

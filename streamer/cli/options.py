"""From the settings models to command-line options and back: no option is written down twice."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin

import typer
from pydantic import ValidationError

from preprocess.errors import UsageError
from streamer.cli.settings_file import read_settings_file
from streamer.cli.wording import explain
from streamer.durations import format_duration
from streamer.settings import CONSOLE, Opt, Settings, look_of, option_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic.fields import FieldInfo

Model = TypeVar("Model", bound=Settings)
CONFIG = "config"


def settings_options(model: type[Settings]) -> Iterator[inspect.Parameter]:
    """The options of a command, as parameters that typer reads like any hand-written ones.

    Every value arrives as text, or None where it was not given: only so can the settings file fill the gaps, and one
    check serves both.
    """
    for field, info in model.model_fields.items():
        look = look_of(info)
        name = option_name(field, info)
        kind: Any = str
        flag = f"--{name}"
        if info.annotation is bool:
            kind, flag = bool, f"--{name}/--no-{name}"
        elif get_origin(info.annotation) is tuple:
            kind = list[str]
        option = typer.Option(
            *([flag, look.short] if look.short else [flag]),
            help=_help(info, look),
            metavar=look.value or None,
            rich_help_panel=look.group,
            autocompletion=_completion(info),
            show_default=False,
        )
        yield _keyword(field, Annotated[kind | None, option])
    config = typer.Option(
        "--config",
        metavar="FILE.yaml",
        rich_help_panel=CONSOLE,
        help="Read settings from this file: lines like 'learn: 2m', 'video: no'; the command line wins.",
    )
    yield _keyword(CONFIG, Annotated[str | None, config])


def with_options(model: type[Settings], function: Callable[..., int]) -> Callable[..., int]:
    """Give a command function that takes its settings as keywords the options of ``model``."""
    signature = inspect.signature(function, eval_str=True)
    own = [item for item in signature.parameters.values() if item.kind is not inspect.Parameter.VAR_KEYWORD]
    parameters = [*own, *settings_options(model)]

    def command(**values: Any) -> int:
        return function(**values)

    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in parameters}
    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    return command


def resolve(model: type[Model], values: Mapping[str, object], command: str) -> Model:
    """Make the settings: command line, else settings file, else default.

    Args:
        model: the settings of the command.
        values: what the command line gave, by field; None where it gave nothing.
        command: name of the command, for the hint.

    Raises:
        UsageError: a value cannot be, a key is unknown, the file is unreadable.
    """
    given = {field: value for field, value in values.items() if value is not None and field != CONFIG}
    path = values.get(CONFIG)
    file = read_settings_file(Path(str(path)), model) if path is not None else None
    merged = {**(file.values if file is not None else {}), **given}
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = problem["loc"]
        if not place:
            raise UsageError(explain(problem)) from error
        field = str(place[0])
        name = option_name(field, model.model_fields[field])
        if problem["type"] == "missing":
            value = look_of(model.model_fields[field]).value
            raise UsageError(f"{command} needs --{name} {value}; avid-watch {command} --help says more") from error
        if file is not None and field not in given:
            raise UsageError(f"{file.path} line {file.lines[field]}: {name}: {explain(problem)}") from error
        raise UsageError(f"--{name}: {explain(problem)}") from error


def _keyword(name: str, annotation: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _help(info: FieldInfo, look: Opt) -> str:
    default = look.default
    if not default and isinstance(info.default, int | float | str) and not isinstance(info.default, bool):
        default = _default_words(info.default, look)
    text = info.description or ""
    return f"{text} [{default}]" if default else text


def _default_words(default: object, look: Opt) -> str:
    if look.value == "TIME" and isinstance(default, float):
        return format_duration(default)
    return f"{default:g}" if isinstance(default, float) else str(default)


def _completion(info: FieldInfo) -> Callable[[str], list[str]] | None:
    """Offer the choices of a setting that has choices; the shell itself knows the files."""
    choices = [choice for choice in get_args(info.annotation) if isinstance(choice, str)]
    if not choices:
        return None

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete

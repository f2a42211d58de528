"""Reads ``cameras.yaml``: every refusal names the file, the line, the key, what is wrong and what to try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from preprocess.errors import UsageError
from streamer.cli.wording import did_you_mean, explain
from streamer.live.config import LiveConfig
from streamer.live.config_camera import name_from
from streamer.live.config_types import FOLDER
from streamer.live.yaml_tree import LARGEST, is_cameras_file, read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from streamer.live.yaml_tree import Place, Tree

__all__ = ["is_cameras_file", "read_config"]

FREE_KEYS = frozenset({"schedule"})
"""Below these a person chooses the keys."""

_MORE_LINES = 5


@dataclass(frozen=True, slots=True)
class _Stand:
    """Stands in a message for a value that may be secret, or is too much to be shown."""

    text: str

    def __repr__(self) -> str:
        return self.text


_CONTAINER = _Stand("this")
_SECRET = _Stand("'***'")


def read_config(path: Path, *, environment: Mapping[str, str] | None = None) -> LiveConfig:
    """Read a cameras file, its secrets from the environment and from files included.

    Args:
        path: the file; relative paths in it begin in its folder.
        environment: where ``${NAME}`` is looked up; the process' own by default.

    Raises:
        UsageError: it cannot be; one line with file, line, key, what and what to try. No secret is ever in it.
    """
    tree = read_tree(path, free_keys=FREE_KEYS, environment=environment)
    _refuse_equal_names(tree)
    try:
        return LiveConfig.model_validate(tree.values, context={FOLDER: path.expanduser().absolute().parent})
    except ValidationError as error:
        raise UsageError(_told(tree, error)) from None  # the cause would show the values, passwords among them


def _refuse_equal_names(tree: Tree) -> None:
    cameras = tree.values.get("cameras")
    lines: dict[str, int | None] = {}
    for number, camera in enumerate(cameras if isinstance(cameras, list) else ()):
        address = camera.get("uri") if isinstance(camera, dict) else camera
        name = camera.get("name") if isinstance(camera, dict) else None
        if name is None and isinstance(address, str):
            name = name_from(address)
        if not isinstance(name, str):
            continue
        place: Place = ("cameras", number)
        key = name.casefold()
        if key in lines:
            raise UsageError(
                f"{tree.where(place)}: a camera called {name!r} stands in line {lines[key]} already: "
                "give each a 'name:' of its own"
            )
        lines[key] = tree.line_of(place)


def _told(tree: Tree, error: ValidationError) -> str:
    problems: dict[tuple[Place, str], str] = {}
    found = error.errors(include_url=False)
    for problem in found:
        if problem["type"] == "too_short" and any(_lies_in(other["loc"], problem["loc"]) for other in found):
            continue  # entries that are wrong themselves are not counted
        place = _as_written(tree, problem["loc"])
        what = _what(tree, place, problem)
        problems.setdefault((place, what), f"{tree.where(_key_place(tree, place))}: {what}")
    ordered = sorted(problems, key=lambda entry: tree.line_of(entry[0]) or LARGEST)
    more = [str(tree.line_of(place)) for place, _ in ordered[1 : _MORE_LINES + 1] if tree.line_of(place)]
    rest = f" (more to mend in line {', '.join(dict.fromkeys(more))})" if more else ""
    return f"{problems[ordered[0]]}{rest}"


def _lies_in(place: Place, outer: Place) -> bool:
    return len(place) > len(outer) and place[: len(outer)] == outer


def _as_written(tree: Tree, place: Place) -> Place:
    """Where a value stands in the file: what a camera has from ``defaults`` stands there."""
    if len(place) > 2 and place[0] == "cameras" and place[:3] not in tree.lines:
        inherited: Place = ("defaults", *place[2:])
        if inherited[:2] in tree.lines:
            return inherited
    return place


def _key_place(tree: Tree, place: Place) -> Place:
    """The part of an error's place that names something in the file; a missing key is named by the message."""
    while place and place not in tree.lines:
        place = place[:-1]
    return place


def _what(tree: Tree, place: Place, problem: ErrorDetails) -> str:
    value = problem["input"]
    if isinstance(value, dict | list | tuple):
        problem = {**problem, "input": _CONTAINER}
    elif _is_secret(place):
        problem = {**problem, "input": _SECRET}
    words = _WORDS.get(problem["type"])
    text = words(tree, place, problem) if words is not None else explain(problem)
    return tree.without_secrets(text.replace(repr(value), repr(_SECRET)) if _is_secret(place) else text)


def _unknown(tree: Tree, place: Place, _problem: ErrorDetails) -> str:
    known = sorted(_model_at(place[:-1]).model_fields)
    written = tree.written.get(place, str(place[-1]))
    return f"unknown key {written!r}: {did_you_mean(str(place[-1]), known) or 'known are ' + ', '.join(known)}"


def _too_short(_tree: Tree, _place: Place, problem: ErrorDetails) -> str:
    least = problem.get("ctx", {}).get("min_length", 1)
    return f"needs at least {least}: add {'one' if least == 1 else 'more'}"


def _no_choice(_tree: Tree, _place: Place, problem: ErrorDetails) -> str:
    expected = str(problem["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
    return f"{problem['input']!r} must be one of {expected}"


def _no_lines(_tree: Tree, _place: Place, _problem: ErrorDetails) -> str:
    return "must have lines of the form 'key: value' below it"


_WORDS: Mapping[str, Callable[[Tree, Place, ErrorDetails], str]] = {
    "missing": lambda _tree, place, _problem: f"{place[-1]!r} is missing: add a line '{place[-1]}: ...'",
    "extra_forbidden": _unknown,
    "model_type": _no_lines,
    "dict_type": _no_lines,
    "too_short": _too_short,
    "enum": _no_choice,
    "string_pattern_mismatch": (
        lambda _tree, _place, problem: f"{problem['input']!r} is not of the form {problem['ctx']['pattern']}"
    ),
}


def _is_secret(place: Place) -> bool:
    """Whether a value must not be shown: it is of a secret's type, or an address, which may hold a login."""
    name = next((part for part in reversed(place) if isinstance(part, str)), "")
    return name in _SECRET_FIELDS


def _model_at(place: Place) -> type[BaseModel]:
    """The model that a mapping of the file is made into."""
    model: type[BaseModel] = LiveConfig
    for part in place:
        info = model.model_fields.get(str(part)) if isinstance(part, str) else None
        if info is not None:
            model = next(_models_in(info.annotation), model)
    return model


def _models_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    if get_origin(annotation) is Annotated:
        yield from _models_in(get_args(annotation)[0])
        return
    for part in get_args(annotation):
        yield from _models_in(part)


def _secret_fields(model: type[BaseModel]) -> set[str]:
    names = {"uri", "url"}
    for name, info in model.model_fields.items():
        if "SecretStr" in repr(info.annotation) or info.annotation is SecretStr:
            names.add(name)
        for inner in _models_in(info.annotation):
            names |= _secret_fields(inner)
    return names


_SECRET_FIELDS = frozenset(_secret_fields(LiveConfig))

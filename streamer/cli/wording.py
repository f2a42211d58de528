"""Turn what the libraries say about a wrong value into one line a person can act on."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

_TYPE_WORDS = {
    "bool": "must be yes or no",
    "int": "must be a whole number",
    "float": "must be a number",
    "finite": "must be a finite number",
    "string": "must be text (in a settings file, put it in quotes)",
    "path": "must be a path (in a settings file, put it in quotes)",
    "tuple": "must be a list",
}
_LIMIT_WORDS = {
    "greater_than": ("gt", "must be greater than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was most likely meant, or None."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean 'device'?``, or an empty text where nothing comes near."""
    match = nearest(word, known)
    return f"did you mean {match!r}?" if match else ""


def explain(problem: ErrorDetails) -> str:
    """Say what is wrong with one value, e.g. ``'fast' must be one of auto, cpu, cuda``."""
    kind, value = problem["type"], problem["input"]
    context: Mapping[str, Any] = problem.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"{value!r} must be one of {_choices(str(context['expected']))}"
    if kind in _LIMIT_WORDS:
        key, words = _LIMIT_WORDS[kind]
        return f"{value!r} {words} {context[key]:g}"
    if kind == "string_too_short":
        return "must not be empty"
    for prefix, words in _TYPE_WORDS.items():
        if kind.startswith(prefix):
            return f"{value!r} {words}"
    message = problem["msg"]
    return f"{value!r}: {message[:1].lower()}{message[1:]}"


def _choices(expected: str) -> str:
    return expected.replace("'", "").replace(" or ", ", ")

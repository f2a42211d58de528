"""YAML as plain values, with the line every value stands in, duplicates refused and ``${NAME}`` filled in.

PyYAML takes the last of two equal keys without a word, and a value has forgotten its line once it is made; so the tree
of nodes is walked here, once.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import yaml

from preprocess.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Place = tuple[str | int, ...]
"""Keys and positions from the top of the file to a value."""

DEEPEST = 20
"""Levels of nesting; no camera needs a quarter of them, and a list that holds itself has no end."""
LARGEST = 200_000
"""Values in one file, those of repeated anchors counted each time."""
NO_VALUE = (ValueError, LookupError, AttributeError, OverflowError)
"""What PyYAML lets through of its own accord where a text looks like a date or a number and is none: 2026-13-45."""
NO_VALUE_TEXT = "this looks like a date or a number and is none; put it in quotes if it is a text"
_SHORTEST_SECRET = 2

_VARIABLE = re.compile(r"\$\$(?=\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
_BROKEN_VARIABLE = re.compile(r"(?<!\$)\$\{(?![A-Za-z_][A-Za-z0-9_]*\})")
_TELLS = re.compile(r"^\s*[{]?\s*[\"']?cameras[\"']?\s*:", re.MULTILINE)
_LOGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s]*@")


@dataclass(slots=True)
class Tree:
    """What a file says.

    Attributes:
        path: the file.
        values: plain mappings, lists, texts, numbers and switches.
        lines: line of every key and list entry, counted from 1; of an anchor's content, that of the anchor.
        written: key as it stands in the file, where it is not the one in the place.
        held: what variables were filled in with; never to be shown.
    """

    path: Path
    values: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    written: dict[Place, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)

    def line_of(self, place: Place) -> int | None:
        """Line of a place, or of the nearest one above it that has any."""
        for length in range(len(place), 0, -1):
            line = self.lines.get(place[:length])
            if line is not None:
                return line
        return None

    def without_secrets(self, text: str) -> str:
        """A message without what variables held; texts of a letter or two are in every message and hide nothing."""
        for held in sorted(self.held, key=len, reverse=True):
            if len(held) > _SHORTEST_SECRET:
                text = text.replace(held, "***")
        return text

    def where(self, place: Place) -> str:
        """``cameras.yaml line 12: cameras[0].events.exit``."""
        line = self.line_of(place)
        text = f"{self.path} line {line}" if line is not None else str(self.path)
        key = self.key_of(place)
        return f"{text}: {key}" if key else text

    def key_of(self, place: Place) -> str:
        """``cameras[0].events.exit``, as it is written in the file."""
        text = ""
        for number, part in enumerate(place):
            if isinstance(part, int):
                text += f"[{part}]"
            else:
                shown = self.written.get(place[: number + 1], part)
                text += f".{shown}" if text else shown
        return text


def is_cameras_file(path: Path) -> bool:
    """Whether a settings file is one of cameras: it has ``cameras:`` at its top.

    False for what cannot be read at all: the reader of settings files says why.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return _TELLS.search(text) is not None
    return isinstance(root, yaml.MappingNode) and any(key.value == "cameras" for key, _ in root.value)


def read_tree(path: Path, *, free_keys: frozenset[str], environment: Mapping[str, str] | None = None) -> Tree:
    """Read a file.

    Dashes of keys become underscores, except where a person chooses the keys: within mappings under ``free_keys``.
    Top-level keys that begin with ``x-`` are left out: a place for anchors.

    Args:
        path: the YAML (or JSON) file.
        free_keys: keys below which the keys are kept as they are.
        environment: where variables are looked up; the process' own by default.

    Raises:
        UsageError: unreadable, not YAML, a key twice, a variable that is not set; names file and line.
    """
    loader = None
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise UsageError(f"{path}: a cameras file has lines of the form 'key: value', 'cameras:' among them")
        _refuse_duplicates(path, root)
        return _Walk(Tree(path), loader, free_keys, os.environ if environment is None else environment).of(root)
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}; check the path") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: this is no text file; a cameras file is YAML") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        what = getattr(error, "problem", None) or "not readable as YAML"
        raise UsageError(f"{path}{where}: {what}; check indentation, quotes and brackets there") from error
    finally:
        if loader is not None:
            loader.dispose()


def _refuse_duplicates(path: Path, root: yaml.Node) -> None:
    """Look at every mapping as it is written, before ``<<`` puts one into another."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                waiting.append(value)
                name = str(key.value).replace("-", "_")
                line = key.start_mark.line + 1
                if name in lines:
                    raise UsageError(
                        f"{path} line {line}: {key.value!r} is set twice, first in line {lines[name]}: leave one out"
                    )
                lines[name] = line


class _Walk:
    """Makes the values of one tree."""

    def __init__(
        self, tree: Tree, loader: yaml.SafeLoader, free_keys: frozenset[str], environment: Mapping[str, str]
    ) -> None:
        self._tree = tree
        self._loader = loader
        self._free_keys = free_keys
        self._environment = environment
        self._count = 0

    def of(self, root: yaml.MappingNode) -> Tree:
        self._tree.values = self._mapping(root, ())
        return self._tree

    def _value(self, node: yaml.Node, place: Place) -> object:
        self._count += 1
        if len(place) > DEEPEST or self._count > LARGEST:
            raise UsageError(f"{self._tree.where(place[:2])}: nested too deep, or an anchor that holds itself")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            values = []
            for number, item in enumerate(node.value):
                self._tree.lines[(*place, number)] = item.start_mark.line + 1
                values.append(self._value(item, (*place, number)))
            return values
        try:
            value = self._loader.construct_object(node)
        except NO_VALUE:
            raise UsageError(f"{self._tree.where(place)}: {NO_VALUE_TEXT}") from None  # the value may be a password
        return self._filled(value, place) if isinstance(value, str) else value

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, object]:
        self._loader.flatten_mapping(node)
        free = bool(place) and place[-1] in self._free_keys
        values: dict[str, object] = {}
        for key_node, value_node in node.value:
            written = str(key_node.value)
            if not place and written.startswith("x-"):
                continue
            key = written if free else written.replace("-", "_")
            inner = (*place, key)
            self._tree.lines[inner] = key_node.start_mark.line + 1
            if key != written:
                self._tree.written[inner] = written
            values[key] = self._value(value_node, inner)
        return values

    def _filled(self, text: str, place: Place) -> str:
        """The text with its variables; within the login of an address, what they hold is escaped as addresses need."""
        if _BROKEN_VARIABLE.search(text):
            raise UsageError(
                f"{self._tree.where(place)}: '${{' must begin a variable like ${{NAME}}; write $${{ for it"
            )
        login = _LOGIN.match(text)
        login_end = login.end() if login is not None else 0

        def value(match: re.Match[str]) -> str:
            name = match["name"]
            if name is None:
                return "$"  # of "$${", where the brace follows by itself
            held = self._environment.get(name)
            if not held:
                state = "not set" if held is None else "empty"
                raise UsageError(
                    f"{self._tree.where(place)}: the environment variable {name} is {state}: set it before the start"
                )
            self._tree.held.add(held)
            return quote(held, safe="") if match.end() <= login_end else held

        return _VARIABLE.sub(value, text)

"""How the help looks, and the default command: ``avid-watch camera.mp4`` means ``avid-watch watch camera.mp4``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from streamer.cli.exit_codes import MEANINGS
from streamer.settings import ALARMS, CONSOLE, LEARNING, LIVE, MACHINE, OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_COMMAND = "watch"
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
_OTHER = "Other"
_HEADINGS = (LEARNING, ALARMS, OUTPUT, LIVE, MACHINE, CONSOLE, _OTHER)
_COLUMN = 30
"""Where the explanations begin; a longer option gets its explanation on the next line."""


class Command(TyperCommand):
    """A command whose help lists its options under headings, each with its one useful spelling."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, purpose and options."""
        names = " ".join(str(item.metavar) for item in self.params if item.param_type_name == "argument")
        formatter.write_usage(ctx.command_path, f"{names} [OPTIONS]")
        self.format_help_text(ctx, formatter)
        write_options(self, ctx, formatter)
        self.format_epilog(ctx, formatter)


class Group(TyperGroup):
    """The program itself: takes a first argument that is no command's name for a source to watch."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command before arguments that name none; also serves the shell completion."""
        own = {option for item in self.get_params(ctx) for option in item.opts}
        # Without arguments the watch itself says what is missing; a completion has none yet and wants all commands.
        if (args and args[0] not in own | set(self.commands)) or not (args or ctx.resilient_parsing):
            args = [DEFAULT_COMMAND, *args]
        return list(super().parse_args(ctx, args))

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Offer the default command's options beside the commands."""
        found = list(super().shell_complete(ctx, incomplete))
        return found + list(self.commands[DEFAULT_COMMAND].shell_complete(ctx, incomplete))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole story: usage, examples, commands, the options of watching, exit codes."""
        formatter.write_usage(ctx.command_path, "SOURCE... [OPTIONS]")
        formatter.write_usage(ctx.command_path, "COMMAND ... [OPTIONS]", prefix="       ")
        self.format_help_text(ctx, formatter)
        with formatter.section(_heading("Commands")):
            rows = [(name, _first_line(command)) for name, command in self.commands.items() if not command.hidden]
            formatter.write_dl(rows, col_max=_COLUMN)
        write_options(self.commands[DEFAULT_COMMAND], ctx, formatter, extra=self.get_params(ctx))
        with formatter.section(_heading("Exit codes")):
            formatter.write_dl([(str(int(code)), text) for code, text in MEANINGS.items()], col_max=_COLUMN)
        self.format_epilog(ctx, formatter)


def write_options(command: Any, ctx: Any, formatter: Any, extra: Iterable[Any] = ()) -> None:
    """Write the options under their headings, the explanations of all of them in one column."""
    groups: dict[str, list[tuple[str, str]]] = {heading: [] for heading in _HEADINGS}
    seen = set()
    for item in [*command.get_params(ctx), *extra]:
        if item.param_type_name != "option" or item.hidden or tuple(item.opts) in seen:
            continue
        seen.add(tuple(item.opts))
        heading = getattr(item, "rich_help_panel", None) or _OTHER
        groups[heading].append((_spelling(item), item.help or ""))
    widths = [len(name) for rows in groups.values() for name, _ in rows if len(name) <= _COLUMN]
    width = max(widths, default=0)
    for heading, rows in groups.items():
        if rows:
            with formatter.section(_heading(heading)):
                formatter.write_dl([(name.ljust(width), text) for name, text in rows], col_max=_COLUMN)


def _spelling(item: Any) -> str:
    """``-o, --output DIR``: short form first, and of a switch the side that changes something."""
    long = next(option for option in item.opts if option.startswith("--"))
    shorts = [option for option in item.opts if not option.startswith("--")]
    negative = next(iter(item.secondary_opts), None)
    if negative is not None and (item.help or "").startswith("Do not"):
        long = negative
    lead = f"{shorts[0]}, " if shorts else "    "
    return f"{lead}{long} {item.metavar}" if item.metavar and not item.is_flag else f"{lead}{long}"


def _first_line(command: Any) -> str:
    text: str = (command.help or "").strip().split("\n\n")[0]
    return " ".join(text.split())


def _heading(text: str) -> str:
    return text if os.environ.get("NO_COLOR") else typer.style(text, bold=True)

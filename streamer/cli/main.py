"""From arguments to an exit code; every refusal becomes one line on stderr."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

import typer

from preprocess.errors import AvidWatchError
from streamer.cli.app import app
from streamer.cli.exit_codes import ExitCode
from streamer.cli.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "avid-watch"

# typer brings its own copy of click since 0.16 or uses the installed one: the classes are reached through what typer
# itself exports, so that both serve.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[1]


def main(argv: Sequence[str]) -> int:
    """Run the command line.

    Args:
        argv: the arguments behind the program's name.

    Returns:
        The exit code (see :class:`~streamer.cli.exit_codes.ExitCode`).
    """
    debug = "--debug" in argv
    try:
        return int(app(args=list(argv), prog_name=PROGRAM, standalone_mode=False) or 0)
    except AvidWatchError as error:
        return _refuse(str(error), _code_of(error), debug=debug)
    except _CommandLineError as error:
        return _refuse(_usage_line(error), ExitCode.USAGE, debug=debug)
    except (KeyboardInterrupt, typer.Abort):
        return _refuse("stopped before anything was begun", ExitCode.INTERRUPTED, debug=False)
    except SystemExit as end:
        # The shell completion ends the process itself.
        return end.code if isinstance(end.code, int) else 0
    except Exception as error:  # noqa: BLE001 - the last line of defence: one line, not a wall of text
        text = f"internal error: {type(error).__name__}: {error}"
        hint = "" if debug else "; run again with --debug to see where"
        return _refuse(f"{text}{hint}", ExitCode.INTERNAL, debug=debug)


def _code_of(error: AvidWatchError) -> int:
    # The root's own code is taken by "alarms were raised": an error that is of no kind is an internal one.
    return ExitCode.INTERNAL if type(error) is AvidWatchError else error.exit_code


def _refuse(message: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc(file=sys.stderr)
    sys.stderr.write(f"{PROGRAM}: {' '.join(message.split())}\n")
    return int(code)


def _usage_line(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    help_hint = f"{context.command_path if context is not None else PROGRAM} --help lists all"
    option = getattr(error, "option_name", None)
    if option is not None and type(error).__name__ == "NoSuchOption":
        known = [name for item in context.command.get_params(context) for name in item.opts] if context else []
        suggestion = did_you_mean(str(option), known)
        return (
            f"unknown option {option}: {suggestion} ({help_hint})"
            if suggestion
            else f"unknown option {option}; {help_hint}"
        )
    if option is not None and "requires an argument" in str(error):
        return f"{option} needs a value; {help_hint}"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return f"{message[:1].lower()}{message[1:].rstrip('.')}; {help_hint}"

"""The commands: each makes a checked request, then calls the work behind it.

The work is imported inside the functions: torch takes seconds to load, and neither the help nor a refusal needs it.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from preprocess.errors import InputError, OutputError, UsageError
from streamer.cli.checks import (
    refuse_missing_model,
    refuse_missing_sources,
    refuse_unknown_dataset,
    refuse_unused_name,
)
from streamer.cli.exit_codes import ExitCode, code_for, code_of_checks
from streamer.cli.layout import CONTEXT, Command, Group
from streamer.cli.live import are_live, camera_folder, cameras_file, cameras_to_check, config_of, refuse_beside_a_file
from streamer.cli.options import CONFIG, resolve, with_options
from streamer.requests import EvaluateRequest, FitRequest, LiveRequest, TuneRequest, WatchRequest
from streamer.settings import (
    CheckSettings,
    EvaluateSettings,
    FitSettings,
    InfoSettings,
    RelearnSettings,
    TuneSettings,
    WatchSettings,
    look_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from streamer.console import Console
    from streamer.live.config import LiveConfig
    from streamer.settings import ConsoleSettings, Settings

TIMES = "TIME is written as 90, 90s, 1m30s, 01:30 or 00:01:30."
EPILOG = f"""{TIMES}

Run 'avid-watch COMMAND --help' for the options of another command."""

app = typer.Typer(
    cls=Group,
    name="avid-watch",
    context_settings=CONTEXT,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
)

Sources = Annotated[list[str] | None, typer.Argument(metavar="SOURCE...", show_default=False)]
Normals = Annotated[list[str] | None, typer.Argument(metavar="NORMAL...", show_default=False)]
Run = Annotated[str | None, typer.Argument(metavar="RUN", show_default=False)]
Dataset = Annotated[str | None, typer.Argument(metavar="DATASET", show_default=False)]
DatasetPath = Annotated[str | None, typer.Argument(metavar="PATH", show_default=False)]
Cameras = Annotated[list[str] | None, typer.Argument(metavar="cameras.yaml", show_default=False)]
Name = Annotated[str | None, typer.Argument(metavar="NAME", show_default=False)]
Target = Annotated[str | None, typer.Argument(metavar="[FILE]", show_default=False)]


def _version(value: bool) -> None:  # noqa: FBT001 - the form typer calls
    if value:
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - only asked here

        try:
            typer.echo(f"avid-watch {version('avid-watch')}")
        except PackageNotFoundError:
            typer.echo("avid-watch, not installed (run from its folder)")
        raise typer.Exit


@app.callback()
def program(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.", show_default=False)
    ] = False,
) -> None:
    """Learn what is normal in front of a fixed camera and show what is not: when and where.

    \b
    Examples
      avid-watch camera.mp4                        learn from its beginning, watch the rest
      avid-watch --normal monday.mp4 tuesday.mp4   learn from one recording, watch another
      avid-watch fit monday.mp4 -o gate.avid       learn a camera properly, once
      avid-watch --model gate.avid tuesday.mp4     watch with what was learned
      avid-watch tune tuesday.avid --false-alarms-per-day 1000
                                                   another threshold, without watching again
      avid-watch rtsp://gate/1 rtsp://yard/1       watch cameras, until Ctrl-C or SIGTERM
      avid-watch --config cameras.yaml             the same, with zones, hours and receivers of alarms
    """  # noqa: D301 - \b keeps click from flowing the lines together


def watch_command(sources: Sources = None, **values: Any) -> int:
    """Watch recordings, folders of pictures or cameras (the default).

    Each SOURCE gets a folder NAME.avid with annotated.mp4, events.jsonl, scores.csv, snapshots and summary.json.
    """
    path = cameras_file(values.get(CONFIG))
    if path is not None:
        refuse_beside_a_file(values, sources or (), path)
        settings = resolve(WatchSettings, {**values, CONFIG: None}, "watch")
        return _watch_live(settings, LiveRequest(_read_config(path), path))
    settings = resolve(WatchSettings, values, "watch")
    request = WatchRequest(tuple(sources or ()), settings)
    refuse_missing_sources(
        request.sources,
        'no source given: name a recording, a folder of pictures or a camera, as in "avid-watch gate.mp4"',
        commands=[str(command.name) for command in app.registered_commands],
    )
    refuse_missing_sources(settings.normal)
    refuse_unused_name(settings.name, request.sources)
    refuse_missing_model(settings.model)
    if are_live(request.sources, settings):
        return _watch_live(settings, LiveRequest(config_of(request.sources, settings)))
    with _console(settings) as console:
        from streamer.watch import watch  # noqa: PLC0415

        outcome = watch(request, console)
        for source in outcome.sources:
            console.finished(source)
        return code_for(outcome, fail_on_alarm=settings.fail_on_alarm)


def _watch_live(settings: WatchSettings, request: LiveRequest) -> int:
    with _console(settings) as console:
        from streamer.live.run import watch_live  # noqa: PLC0415

        outcome = watch_live(request, console)
        for source in outcome.sources:
            console.finished(source)
        return code_for(outcome, fail_on_alarm=settings.fail_on_alarm, live=True)


def _read_config(path: Path) -> LiveConfig:
    from streamer.live.config_file import read_config  # noqa: PLC0415

    return read_config(path)


def check_command(cameras: Cameras = None, **values: Any) -> int:
    """Try every camera of a cameras file (or address) and say what came: picture, rate, codec, delay.

    Nothing is watched and nothing is written. Exit code 0: all are fine; 4: some are not; 3: none is.
    """
    given = tuple(cameras or ())
    settings = resolve(CheckSettings, values, "check")
    refuse_missing_sources(given, 'no cameras given: name their file, as in "avid-watch check cameras.yaml"')
    path = cameras_to_check(given)
    config = _read_config(path) if path is not None else config_of(given, WatchSettings())
    with _console(settings) as console:
        from streamer.cli.check_text import render_check  # noqa: PLC0415
        from streamer.live.check import NOT_ENABLED, check_cameras  # noqa: PLC0415

        checks = check_cameras(config.cameras, timeout=settings.timeout, measure=settings.measure, stop=console.stop)
        console.result(render_check(checks))
        console.json({"cameras": [asdict(check) for check in checks]})
        if console.stop.is_set():
            return ExitCode.INTERRUPTED
        return code_of_checks([check.ok for check in checks if check.verdict != NOT_ENABLED])


def relearn_command(name: Name = None, **values: Any) -> int:
    """Let the live camera NAME start over: what it learned is put away, its events and clips stay.

    Stop the run that watches it first, and start it again afterwards.
    """
    settings = resolve(RelearnSettings, values, "relearn")
    if not name:
        raise UsageError('no camera given: name it, as in "avid-watch relearn gate -o /var/lib/avid-watch"')
    with _console(settings) as console:
        folder = camera_folder(name, settings.output)
        from streamer.live.folder import locked  # noqa: PLC0415
        from streamer.live.learned_state import relearn  # noqa: PLC0415

        with locked(folder):
            before = relearn(folder)
        told = (
            "it had learned nothing yet" if before is None else f"it starts over; what it had learned lies in {before}"
        )
        console.result(f"{name}: {told}")
        console.json({"camera": name, "folder": str(folder), "before": None if before is None else str(before)})
        return ExitCode.DONE


def fit_command(normal: Normals = None, **values: Any) -> int:
    """Learn one camera properly from NORMAL footage and write its model."""
    refuse_missing_sources(
        tuple(normal or ()), 'no footage given: name normal footage, as in "avid-watch fit monday.mp4 -o gate.avid"'
    )
    settings = resolve(FitSettings, values, "fit")
    request = FitRequest(tuple(normal or ()), settings)
    with _console(settings) as console:
        from streamer.fit import fit  # noqa: PLC0415
        from streamer.summary_text import render_fit  # noqa: PLC0415

        outcome = fit(request, console)
        console.result(render_fit(outcome))
        console.json(asdict(outcome))
        return ExitCode.INTERRUPTED if outcome.interrupted else ExitCode.DONE


def tune_command(run: Run = None, **values: Any) -> int:
    """Set another threshold for a finished RUN, from its scores, without running a network."""
    refuse_missing_sources(
        (run,) if run else (),
        'no run given: name its folder, as in "avid-watch tune gate.avid --false-alarms-per-day 0.1"',
    )
    settings = resolve(TuneSettings, values, "tune")
    request = TuneRequest(Path(str(run)), settings)
    if not request.run.is_dir():
        raise InputError(f"{run}: not the folder of a run; give the NAME.avid folder that avid-watch wrote")
    with _console(settings) as console:
        from streamer.console import events_of  # noqa: PLC0415
        from streamer.summary_text import render_tune  # noqa: PLC0415
        from streamer.tune_run import tune  # noqa: PLC0415

        outcome = tune(request, console)
        console.result(render_tune(outcome, events_of(outcome.folder)))
        console.json(outcome.summary)
        return ExitCode.INTERRUPTED if outcome.interrupted else ExitCode.DONE


def evaluate_command(dataset: Dataset = None, path: DatasetPath = None, **values: Any) -> int:
    """Measure a detector on DATASET, which lies at PATH: figures, curves and the worst moments.

    DATASET is the name of a published set, read in its published layout, or 'custom' for clips with truth of your own.
    """
    settings = resolve(EvaluateSettings, values, "evaluate")
    refuse_unknown_dataset(dataset)
    refuse_missing_sources(
        (path,) if path else (),
        f'no path given: say where the set lies, as in "avid-watch evaluate {dataset} data/{dataset}"',
    )
    refuse_missing_model(settings.model)
    request = EvaluateRequest(str(dataset), Path(str(path)).expanduser(), settings)
    with _console(settings) as console:
        from streamer.evaluate import evaluate  # noqa: PLC0415
        from streamer.evaluate_text import render_results  # noqa: PLC0415

        outcome = evaluate(request, console)
        if outcome.results is None:
            console.warn(f"stopped; what was measured is kept in {outcome.folder}, the same command goes on from there")
            return ExitCode.INTERRUPTED
        console.result(render_results(outcome.results, outcome.folder))
        console.json(outcome.results)
        return ExitCode.INTERRUPTED if outcome.interrupted else ExitCode.DONE


def info_command(target: Target = None, **values: Any) -> int:
    """Say what a model, a source or, without FILE, this machine is."""
    settings = resolve(InfoSettings, values, "info")
    if target is not None:
        refuse_missing_sources((target,))
    with _console(settings) as console:
        from streamer.info import describe, render_info  # noqa: PLC0415

        document = describe(target)
        console.result(render_info(document))
        console.json(document)
        return ExitCode.DONE


def _console(settings: ConsoleSettings) -> AbstractContextManager[Console]:
    from contextlib import contextmanager  # noqa: PLC0415

    from streamer.console import Console  # noqa: PLC0415
    from streamer.interrupts import stop_on_signals  # noqa: PLC0415

    @contextmanager
    def opened() -> Iterator[Console]:
        console = Console.of(settings)
        with stop_on_signals(console.warn) as stop:
            console.stop = stop
            yield console

    return opened()


def _ended_here(function: Callable[..., int]) -> Callable[..., int]:
    """Keep from typer what it would end in its own way: silently, and with 1, which here means alarms."""

    @wraps(function)
    def command(**values: Any) -> int:
        try:
            return function(**values)
        except KeyboardInterrupt:
            sys.stderr.write("avid-watch: stopped at once; what was written until then is kept\n")
            return ExitCode.INTERRUPTED
        except BrokenPipeError as error:
            raise OutputError(f"an output was closed by its reader ({error}); keep it open, or use -o DIR") from error

    return command


def _add(name: str, model: type[Settings], function: Callable[..., int]) -> None:
    epilog = TIMES if any(look_of(info).value == "TIME" for info in model.model_fields.values()) else None
    app.command(name, cls=Command, context_settings=CONTEXT, epilog=epilog)(with_options(model, _ended_here(function)))


_add("watch", WatchSettings, watch_command)
_add("fit", FitSettings, fit_command)
_add("tune", TuneSettings, tune_command)
_add("evaluate", EvaluateSettings, evaluate_command)
_add("info", InfoSettings, info_command)
_add("check", CheckSettings, check_command)
_add("relearn", RelearnSettings, relearn_command)

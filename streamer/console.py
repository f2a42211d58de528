"""What a person sees while a run goes on: progress with an ETA on a terminal, nothing in a pipe, then the summary.

Progress, warnings and errors go to stderr. Stdout carries the result alone: the summary as text, or with ``--json`` as
one line of JSON per source.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn
from rich.text import Text

from streamer.durations import format_clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import RenderableType
    from rich.progress import Task

    from streamer.requests import SourceOutcome
    from streamer.settings import ConsoleSettings

PROGRAM = "avid-watch"
_BAR_WIDTH = 28
_REFRESHES_PER_SECOND = 5


class Phase:
    """One stretch of work with a progress bar; on no terminal, one that nobody sees.

    Safe to use from several threads.
    """

    def __init__(self, progress: Progress | None, task: TaskID | None) -> None:
        self._progress = progress
        self._task = task

    def advance(self, amount: float = 1.0) -> None:
        """Count ``amount`` more units as done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, amount)

    def at(self, completed: float, *, total: float | None = None) -> None:
        """Set how many units are done, and where better known by now, how many there will be."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=completed, total=total)

    def note(self, text: str) -> None:
        """Say a few words behind the bar, e.g. ``loss 0.31``; replaces what was said before."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, note=text)


class Console:
    """The user's side of a run.

    Attributes:
        stop: set when the user asked to stop; the work looks at it between batches.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        as_json: bool = False,
        debug: bool = False,
        stop: threading.Event | None = None,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self.stop = stop if stop is not None else threading.Event()
        self._quiet = quiet
        self._verbose = verbose
        self._as_json = as_json
        self._debug = debug
        # Soft wrapping: a refusal stays one line, and a path can be copied, however narrow the window.
        self._out = RichConsole(file=out if out is not None else sys.stdout, soft_wrap=True, highlight=False)
        self._err = RichConsole(file=err if err is not None else sys.stderr, soft_wrap=True, highlight=False)
        self._progress: Progress | None = None
        self._phases = 0
        self._lock = threading.RLock()
        self._shown: list[SourceOutcome] = []

    @classmethod
    def of(cls, settings: ConsoleSettings, stop: threading.Event | None = None) -> Console:
        """Make the console that these settings ask for, on this process's stdout and stderr."""
        return cls(
            quiet=settings.quiet,
            verbose=settings.verbose,
            as_json=settings.as_json,
            debug=settings.debug,
            stop=stop,
        )

    @contextmanager
    def phase(self, label: str, total: float | None = None, unit: str = "frames") -> Iterator[Phase]:
        """Show progress while the block runs.

        Args:
            label: what goes on, e.g. ``learning gate.mp4``.
            total: units of work in all; None where unknown (the bar then shows only that something goes on).
            unit: what is counted. The rate is shown for every unit but ``seconds`` (a time budget needs none).
        """
        progress = self._enter_phase()
        task = None
        if progress is not None:
            task = progress.add_task(label, total=total, unit=unit, note="")
        elif self._verbose:
            self.detail(f"{label} …")
        try:
            yield Phase(progress, task)
        finally:
            if progress is not None and task is not None:
                progress.remove_task(task)
            self._leave_phase()

    def detail(self, text: str) -> None:
        """Say something only ``--verbose`` wants to hear."""
        if self._verbose:
            self._line(text, style="dim")

    def warn(self, text: str) -> None:
        """Say one line the user should know; the run goes on."""
        if not self._quiet:
            self._line(f"{PROGRAM}: {text}", style="yellow")

    def error(self, text: str) -> None:
        """Say one line about what failed; said even with ``--quiet``."""
        self._line(f"{PROGRAM}: {' '.join(text.split())}", style="red")

    def finished(self, outcome: SourceOutcome) -> None:
        """Report a source that is done, stopped or failed: once, however often this is called."""
        with self._lock:
            if any(outcome is shown for shown in self._shown):
                return
            self._shown.append(outcome)
        if outcome.error is not None:
            if self._debug:
                self._line("".join(traceback.format_exception(outcome.error)).rstrip(), style="dim")
            self.error(str(outcome.error))
        if self._as_json:
            self.json(_as_document(outcome))
        elif outcome.summary is not None and outcome.summary.get("live"):
            from streamer.live.summary_text import render_live  # noqa: PLC0415 - as below

            self.result(render_live(outcome.summary, outcome.folder))
        elif outcome.summary is not None:
            from streamer.summary_text import render_summary  # noqa: PLC0415 - not needed to say "no such file"

            self.result(render_summary(outcome.summary, events_of(outcome.folder), outcome.folder))

    def result(self, text: RenderableType) -> None:
        """Print the result for a person on stdout; nothing with ``--quiet`` or ``--json``."""
        if not self._quiet and not self._as_json:
            with self._out.capture() as captured:
                self._out.print(text)
            self._write(captured.get())

    def json(self, document: object) -> None:
        """Print one line of JSON on stdout; nothing without ``--json``."""
        if self._as_json:
            self._write(json.dumps(document, ensure_ascii=False, default=str) + "\n")

    def _write(self, text: str) -> None:
        file = self._out.file
        # A file name that is no valid text must not cost the summary.
        encoding = getattr(file, "encoding", None) or "utf-8"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        with self._paused():
            try:
                file.write(text)
                file.flush()
            except BrokenPipeError:
                # The reader has left, as in "| head": the run itself is as good as before. Without this, the
                # interpreter would complain when it closes the stream at the end.
                os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())

    def _line(self, text: str, style: str) -> None:
        with self._lock:
            self._err.print(Text(text, style=style), soft_wrap=True)

    def _enter_phase(self) -> Progress | None:
        with self._lock:
            self._phases += 1
            if self._progress is None and not self._quiet and self._err.is_terminal:
                self._progress = Progress(
                    TextColumn("{task.description}"),
                    BarColumn(_BAR_WIDTH, complete_style="cyan", finished_style="cyan"),
                    _Share(),
                    _Rate(),
                    _Left(),
                    TextColumn("{task.fields[note]}", style="dim"),
                    console=self._err,
                    transient=True,
                    refresh_per_second=_REFRESHES_PER_SECOND,
                    redirect_stdout=False,
                )
                self._progress.start()
            return self._progress

    def _leave_phase(self) -> None:
        with self._lock:
            self._phases -= 1
            if self._phases == 0 and self._progress is not None:
                self._progress.stop()
                self._progress = None

    @contextmanager
    def _paused(self) -> Iterator[None]:
        """Take the bars away while stdout, which may be the same terminal, is written to."""
        with self._lock:
            progress = self._progress
            if progress is not None:
                progress.stop()
            try:
                yield
            finally:
                if progress is not None:
                    progress.start()


def events_of(folder: Path | None) -> list[dict[str, Any]]:
    """The event records of a run's folder; none where it has no such file."""
    from streamer.sinks.event_log import read_events  # noqa: PLC0415 - as above
    from streamer.sinks.run_folder import RunFolder  # noqa: PLC0415 - as above

    path = None if folder is None else RunFolder.of(folder).events
    return read_events(path) if path is not None and path.is_file() else []


def _as_document(outcome: SourceOutcome) -> dict[str, object]:
    document: dict[str, object] = dict(outcome.summary) if outcome.summary is not None else {"source": outcome.source}
    if outcome.error is not None:
        document["error"] = str(outcome.error)
    return document


class _Share(ProgressColumn):
    """``62 %``, or the number done where the total is unknown."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text(f"{task.completed:,.0f} {task.fields['unit']}", justify="right")
        return Text(f"{task.percentage:3.0f} %", justify="right")


class _Rate(ProgressColumn):
    """``118 frames/s``; empty for time budgets and until there is a rate."""

    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        speed = task.finished_speed or task.speed
        if unit == "seconds" or not speed:
            return Text("")
        return Text(f"{speed:.0f} {unit}/s" if speed >= 10 else f"{speed:.1f} {unit}/s", justify="right")


class _Left(ProgressColumn):
    """``00:42 left``."""

    # A new estimate every frame cannot be read.
    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        if task.total is None or task.finished:
            return Text("")
        left = task.time_remaining
        return Text("--:-- left" if left is None else f"{format_clock(left)} left", style="cyan")

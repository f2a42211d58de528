"""``avid-watch SOURCE...``: every source into its folder, one after the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from preprocess.errors import AvidWatchError, InputError, OutputError
from streamer.frames import Pace
from streamer.networks import TorchNetworks
from streamer.requests import SourceOutcome, WatchOutcome
from streamer.scene_learning import Learned, SceneLearner
from streamer.sinks.run_folder import RunFolder, distinct_names
from streamer.source_run import SourceRun
from streamer.sources import open_source, source_name
from streamer.sources.naming import path_of, without_password
from streamer.window import refuse_without_display

if TYPE_CHECKING:
    from streamer.console import Console
    from streamer.frames import Source
    from streamer.networks import Networks
    from streamer.requests import WatchRequest


def watch(request: WatchRequest, console: Console, *, networks: Networks | None = None) -> WatchOutcome:
    """Watch sources.

    A source that fails does not keep the others from being watched. What concerns all of them (a folder that exists,
    the model, the footage of ``--normal``) is checked first and raised.

    Args:
        request: checked settings.
        console: tells progress; its ``stop`` ends the run politely.
        networks: what makes models; by default the real ones.

    Raises:
        OutputError: a folder exists already, or cannot be written.
        ModelError: the model of ``--model`` is unusable.
        InputError: the footage of ``--normal`` is.
        UsageError: ``--show`` without a display, ``--device cuda`` without one.
    """
    return _Watch(request, console, networks).run()


class _Watch:
    """One run over all sources."""

    def __init__(self, request: WatchRequest, console: Console, networks: Networks | None) -> None:
        self._request = request
        self._settings = request.settings
        self._console = console
        self._networks: Networks = networks if networks is not None else TorchNetworks(request.settings)
        self._learner = SceneLearner(self._networks, request.settings, console)
        self._shared: Learned | None = None

    def run(self) -> WatchOutcome:
        folders = self._folders()
        if self._settings.show:
            refuse_without_display()
        outcomes: list[SourceOutcome] = []
        for uri, folder in zip(self._request.sources, folders, strict=True):
            if self._console.stop.is_set():
                break
            outcome = self._source(uri, folder)
            outcomes.append(outcome)
            self._console.finished(outcome)
        return WatchOutcome(tuple(outcomes), interrupted=self._console.stop.is_set())

    def _folders(self) -> list[RunFolder]:
        """The folders of all sources, checked before anything slow is begun."""
        settings, sources = self._settings, self._request.sources
        directory = (settings.output or Path()).expanduser()
        named = [settings.name] if settings.name is not None else [source_name(uri) for uri in sources]
        folders = [RunFolder.at(directory, name) for name in distinct_names(named)]
        for uri, folder in zip(sources, folders, strict=True):
            folder.check(force=settings.force)
            if path_of(uri).resolve().parent == folder.path.resolve():
                raise OutputError(f"{folder.path}: holds the source itself, {without_password(uri)}; choose another -o")
        return folders

    def _source(self, uri: str, folder: RunFolder) -> SourceOutcome:
        shown = without_password(uri)
        rate = self._settings.frame_rate
        try:
            source = open_source(uri, name=folder.name, frame_rate=None if rate is None else Fraction(str(rate)))
        except AvidWatchError as error:
            return SourceOutcome(shown, error=error)
        with source:
            # Asked for only now: nobody should wait for a model before an unreadable source is refused. What is wrong
            # with it concerns all sources, so it is raised.
            shared = self._shared_model()
            try:
                return self._opened(source, uri, folder, shared)
            except AvidWatchError as error:
                folder.discard_if_empty()
                if self._console.stop.is_set() and isinstance(error, InputError):
                    # Stopped while learning: that what was read by then was too little is no failure.
                    return self._stopped_while_learning(source)
                return SourceOutcome(shown, error=error)

    def _opened(self, source: Source, uri: str, folder: RunFolder, shared: Learned | None) -> SourceOutcome:
        started = datetime.now(UTC)
        folder.reserve(force=self._settings.force)
        # A camera shows every moment once: the frames behind the learning part are watched from the same reading.
        live = source.frames() if source.pace is Pace.LATEST else None
        try:
            if shared is not None:
                learned = shared
            elif live is not None:
                learned = self._learner.from_live(source, live)
            else:
                learned = self._learner.from_recording(source, uri)
        finally:
            # It is made anew once there is something to write; until then nothing is to be left of a run that fails.
            folder.discard_if_empty()
        if self._console.stop.is_set():
            return self._stopped_while_learning(source)
        folder.create(force=self._settings.force)
        run = SourceRun(
            source,
            uri,
            folder,
            learned,
            self._settings,
            self._console,
            batch_size=self._networks.batch_size,
            frames=live,
            started=started,
        )
        return run.watch()

    def _shared_model(self) -> Learned | None:
        """The model that serves all sources; None where each is learned by itself."""
        settings = self._settings
        if settings.model is None and not settings.normal:
            return None
        if self._shared is not None:
            # The time it took counts once.
            self._shared = replace(self._shared, seconds=0.0)
        elif settings.model is not None:
            self._shared = Learned(self._networks.load(settings.model.expanduser()))
        else:
            self._shared = self._learner.from_elsewhere()
        return self._shared

    def _stopped_while_learning(self, source: Source) -> SourceOutcome:
        self._console.warn(f"{source.info.uri}: stopped while learning; nothing of it was watched")
        return SourceOutcome(source.info.uri)

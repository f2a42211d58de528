"""Learning one scene for a run: from which footage, within which budget, and what to say of it afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from preprocess.errors import InputError
from streamer.durations import format_duration
from streamer.footage import RecordedFootage
from streamer.learning_part import SHORT_RECORDING, duration_of, enough_to_know, learning_part
from streamer.live_footage import LiveFootage
from streamer.sinks.summary import LearningSummary, ModelSummary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from detectors.learning import LearnProgress
    from preprocess.pictures import PictureStream
    from streamer.console import Console
    from streamer.frames import Frame, Source
    from streamer.networks import CameraModel, Networks
    from streamer.settings import WatchSettings


class NamedFootage(Protocol):
    """Footage that messages can name."""

    @property
    def name(self) -> str:
        """What messages call it: the input as the user gave it."""
        ...

    def pictures(self) -> PictureStream:
        """Read all pictures from the start, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Learned:
    """A model and how it came about.

    Attributes:
        model: ready to watch.
        part: length in seconds of the source's first part that was learned from; 0 where it was learned elsewhere.
        seconds: time the learning took; 0 with a finished model.
        budget: time it was allowed, seconds; None with a finished model.
        gone: frames of a live source that were learned from, and are not there to be watched any more.
        warnings: what the user should know.
    """

    model: CameraModel
    part: Fraction = Fraction(0)
    seconds: float = 0.0
    budget: float | None = None
    gone: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def model_summary(self) -> ModelSummary:
        """For ``summary.json``: what watched."""
        header = self.model.header
        return ModelSummary(
            file=self.model.file,
            detector=header.detector,
            preset=_text(header.training, "preset", "default"),
            trained_on=_in_words(header.trained_on),
            adapted=self.budget is not None,
        )

    @property
    def learning_summary(self) -> LearningSummary | None:
        """For ``summary.json``: what was learned in this run; None with a finished model."""
        if self.budget is None:
            return None
        header, windows = self.model.header, self.model.windows
        steps = round(_number(header.training, "steps"))
        return LearningSummary(
            footage_seconds=_number(header.trained_on, "footage_seconds") or float(self.part),
            steps=steps,
            budget_seconds=self.budget,
            spacing_seconds=float(windows.spacing),
            working_size=(windows.width, windows.height),
            mode=windows.mode,
            result="trained" if steps else "calibrated",
        )


class SceneLearner:
    """Learns scenes with one run's settings."""

    def __init__(self, networks: Networks, settings: WatchSettings, console: Console) -> None:
        self._networks = networks
        self._settings = settings
        self._console = console

    def from_elsewhere(self) -> Learned:
        """Learn from the footage of ``--normal``.

        Raises:
            InputError: it cannot be read, or holds no window.
        """
        rate = self._settings.frame_rate
        footage = RecordedFootage(self._settings.normal, frame_rate=None if rate is None else Fraction(str(rate)))
        return self.learn(footage, footage.name)

    def from_recording(self, source: Source, uri: str) -> Learned:
        """Learn from the first part of a recording.

        Raises:
            InputError: no part of it holds a window.
        """
        asked = self._settings.learn
        duration = duration_of(source.info, uri, enough=enough_to_know(asked))
        chosen = learning_part(duration, asked)
        if chosen.warning is not None:
            self._console.warn(f"{source.info.uri}: {chosen.warning}")
        warnings = () if chosen.warning is None else (chosen.warning,)
        parts = [chosen.seconds, *self._longer_parts(chosen.seconds, duration)]
        for part in parts[:-1]:
            try:
                return self._from_part(uri, source, part, warnings)
            except InputError:
                # Too short, or too broken, for a single window.
                shown = format_duration(round(float(part), 2))
                warnings = (f"its first {shown} hold nothing to learn from; learned from a longer part",)
        return self._from_part(uri, source, parts[-1], warnings)

    @staticmethod
    def _longer_parts(first: Fraction, duration: Fraction | None) -> list[Fraction]:
        """What to try when the first choice holds no window: the default part, then a short recording as a whole."""
        if duration is None:
            return []
        others = {learning_part(duration, None).seconds}
        if duration <= SHORT_RECORDING:
            # A header may announce less than there is: this reaches to the end in any case.
            others.add(Fraction(SHORT_RECORDING))
        return sorted(part for part in others if part > first)

    def _from_part(self, uri: str, source: Source, part: Fraction, warnings: tuple[str, ...]) -> Learned:
        rate = self._settings.frame_rate
        footage = RecordedFootage([uri], until=part, frame_rate=None if rate is None else Fraction(str(rate)))
        return replace(self.learn(footage, source.info.name), part=part, warnings=warnings)

    def from_live(self, source: Source, frames: Iterator[Frame]) -> Learned:
        """Learn from what a live source shows first; ``frames`` goes on behind it.

        The pictures are kept in memory until they are learned from. What the source shows during the learning itself
        is dropped by the source, and counted.

        Raises:
            InputError: the pictures hold no window.
        """
        name = source.info.name
        until = learning_part(None, self._settings.learn).seconds
        footage = LiveFootage(source.info.uri)
        with self._console.phase(f"looking at {name}", total=float(until), unit="seconds") as phase:
            footage.gather(frames, until, stop=self._console.stop.is_set, told=phase.at)
        warnings: tuple[str, ...] = ()
        if footage.full:
            shown = format_duration(round(footage.seconds, 1))
            warnings = (f"learned from the first {shown} only: more pictures do not fit into the memory set aside",)
        return replace(self.learn(footage, name), gone=footage.frames, warnings=warnings)

    def learn(self, footage: NamedFootage, name: str) -> Learned:
        """Learn from any footage, with progress under ``name``.

        Raises:
            InputError: it holds no window.
        """
        budget = self._settings.learn_budget
        began = time.monotonic()
        with self._console.phase(f"learning {name}", total=budget, unit="seconds") as phase:

            def show(progress: LearnProgress) -> None:
                phase.at(progress.done * budget)
                phase.note(f"{progress.stage} {progress.note}".strip())

            try:
                model = self._networks.learn(
                    footage,
                    budget_seconds=budget,
                    seed=self._settings.seed,
                    progress=show,
                    stop=self._console.stop.is_set,
                )
            except InputError as error:
                if str(error).startswith(footage.name):
                    raise
                # The networks do not know where the pictures come from.
                raise InputError(f"{footage.name}: {error}") from error
        learned = Learned(model, seconds=time.monotonic() - began, budget=budget)
        windows = model.windows
        self._console.detail(
            f"learned {name} in {format_duration(round(learned.seconds, 1))}: windows of six pictures "
            f"{float(windows.spacing):.3g} s apart at {windows.width}x{windows.height}"
        )
        return learned


def _in_words(trained_on: Mapping[str, object]) -> str:
    """What a model was trained on: its header's own words, else how much of what."""
    for key in ("words", "name"):
        value = trained_on.get(key)
        if isinstance(value, str) and value:
            return value
    seconds = _number(trained_on, "footage_seconds")
    own = f"{format_duration(round(seconds, 1))} of normal footage" if seconds else "unknown footage"
    start = trained_on.get("started_from")
    return f"{own}, starting from {_in_words(start)}" if isinstance(start, dict) and start else own


def _text(values: Mapping[str, object], name: str, otherwise: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else otherwise


def _number(values: Mapping[str, object], name: str) -> float:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0

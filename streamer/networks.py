"""The door to the networks: what watching needs of a camera's model, and the one place that loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from fractions import Fraction
    from pathlib import Path

    from detectors.base import Verdict
    from detectors.inference import Runtime
    from detectors.learning import LearnProgress
    from detectors.regions import Placement
    from detectors.scene_model import SceneModel
    from preprocess.geometry import CellGrid, Size
    from preprocess.pictures import Footage, Window, WindowSettings
    from streamer.settings import Decision, FitSettings, MachineSettings

OWN_PRESET = "default"
"""The recipe that begins with the base model's weights; the paper's begins from nothing."""

BATCH_ON_CPU = 8
BATCH_ON_GPU = 32


@dataclass(frozen=True, slots=True)
class FitFiles:
    """Files beside a model that is being fitted.

    Attributes:
        training: state of the training, for ``--resume``.
        loss_curve: picture of the losses.
    """

    training: Path
    loss_curve: Path


class SourceScorer(Protocol):
    """Judges the windows of one source, in order."""

    @property
    def windows(self) -> WindowSettings:
        """How its windows must be built."""
        ...

    @property
    def grid(self) -> CellGrid:
        """Where the cells of the verdicts' maps lie in the working picture."""
        ...

    @property
    def placement(self) -> Placement:
        """Sizes of the working picture and of the source."""
        ...

    @property
    def threshold(self) -> float:
        """Level from which a region alarms."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how the model fits this source."""
        ...

    def verdicts(self, windows: Sequence[Window]) -> list[Verdict]:
        """One verdict per window, in order."""
        ...


class CameraModel(Protocol):
    """One camera's model, as far as watching knows it; :class:`detectors.scene_model.SceneModel` is one."""

    @property
    def windows(self) -> WindowSettings:
        """Spacing, working size and mode."""
        ...

    @property
    def file(self) -> str:
        """Where it came from."""
        ...

    @property
    def header(self) -> Any:
        """What the model file says of itself: ``detector``, ``detector_settings``, ``trained_on``, ``training``."""
        ...

    @property
    def supported_per_day(self) -> float | None:
        """The lowest rate of false events per day that its footage supports."""
        ...

    def calibration_json(self) -> Mapping[str, Any]:
        """The calibrations by decision."""
        ...

    def scorer(
        self,
        source_size: Size,
        *,
        false_alarms_per_day: float,
        decision: Decision = "joint",
        period: Fraction | None = None,
    ) -> SourceScorer:
        """A scorer for one source."""
        ...


class FittedModel(CameraModel, Protocol):
    """A model that can be kept."""

    def save(self, path: Path) -> None:
        """Write the model file; raises OutputError."""
        ...


class Fitter(Protocol):
    """What learns a camera properly."""

    def fit(
        self,
        footage: Footage,
        settings: FitSettings,
        files: FitFiles,
        *,
        progress: Callable[[LearnProgress], None],
        stop: Callable[[], bool],
    ) -> FittedModel:
        """Fit a model; raises InputError where the footage is too short, UsageError for an unknown preset."""
        ...


class Networks(Protocol):
    """What makes models for watching."""

    @property
    def batch_size(self) -> int:
        """Windows per run of the networks."""
        ...

    def load(self, path: Path) -> CameraModel:
        """Read a model file; raises ModelError."""
        ...

    def learn(
        self,
        footage: Footage,
        *,
        budget_seconds: float,
        seed: int,
        progress: Callable[[LearnProgress], None],
        stop: Callable[[], bool],
    ) -> CameraModel:
        """Learn a scene within a budget; raises InputError where the footage has no window at all."""
        ...


class TorchNetworks:
    """The real ones. Torch is loaded when the first model is asked for: refusals come before that."""

    def __init__(self, settings: MachineSettings) -> None:
        self._settings = settings
        self._runtime: Runtime | None = None
        self._base: SceneModel | None = None

    @property
    def runtime(self) -> Runtime:
        """Device and precision; the first call sets up threads and loads torch.

        Raises:
            UsageError: the device asked for is not there.
        """
        if self._runtime is None:
            share_the_machine()
            from detectors.inference import choose_runtime  # noqa: PLC0415 - loads torch, after its threads are set up

            self._runtime = choose_runtime(self._settings.device, self._settings.precision)
        return self._runtime

    @property
    def batch_size(self) -> int:
        """As asked for, else by device."""
        if self._settings.batch_size is not None:
            return self._settings.batch_size
        return BATCH_ON_GPU if self.runtime.device.type == "cuda" else BATCH_ON_CPU

    def load(self, path: Path) -> SceneModel:
        """Read a model file; raises ModelError."""
        runtime = self.runtime
        from detectors.scene_model import SceneModel  # noqa: PLC0415 - loads torch

        return SceneModel.load(path, runtime)

    def base(self) -> SceneModel:
        """The shipped base model; raises ModelError where the installation lacks it."""
        if self._base is None:
            runtime = self.runtime
            from detectors.scene_model import SceneModel  # noqa: PLC0415 - loads torch

            self._base = SceneModel.base(runtime)
        return self._base

    def learn(
        self,
        footage: Footage,
        *,
        budget_seconds: float,
        seed: int,
        progress: Callable[[LearnProgress], None],
        stop: Callable[[], bool],
    ) -> SceneModel:
        """Learn a scene from the base model on."""
        runtime = self.runtime
        from detectors.learning import learn_scene  # noqa: PLC0415 - loads torch

        return learn_scene(
            footage,
            self.base(),
            budget_seconds=budget_seconds,
            seed=seed,
            runtime=runtime,
            progress=progress,
            stop=stop,
        )

    def calibrate(self, footage: Footage, *, budget_seconds: float, seed: int, stop: Callable[[], bool]) -> SceneModel:
        """Learn a live camera's scene with the base model's networks as they are, which all cameras share.

        Raises:
            InputError: the footage has no window at all.
        """
        runtime = self.runtime
        from detectors.learning import learn_scene  # noqa: PLC0415 - loads torch

        return learn_scene(
            footage, self.base(), budget_seconds=budget_seconds, seed=seed, runtime=runtime, stop=stop, adapt=False
        )

    def fit(
        self,
        footage: Footage,
        settings: FitSettings,
        files: FitFiles,
        *,
        progress: Callable[[LearnProgress], None],
        stop: Callable[[], bool],
    ) -> SceneModel:
        """Learn a camera properly, from the base model on where the recipe allows it."""
        runtime = self.runtime
        from detectors.avid.settings import recipe  # noqa: PLC0415 - loads torch
        from detectors.fitting import FitOptions, fit_scene  # noqa: PLC0415 - beside the above

        recipe(settings.preset)  # refuses an unknown name before the footage is read
        options = FitOptions(
            preset=settings.preset,
            seconds=settings.time_budget,
            steps=settings.steps,
            seed=settings.seed,
            resume_file=files.training,
            resume=settings.resume,
            loss_curve=files.loss_curve,
        )
        start = self.base() if settings.preset == OWN_PRESET else None
        return fit_scene(footage, options, start=start, runtime=runtime, progress=progress, stop=stop)


def share_the_machine() -> None:
    """Let networks, decoders and encoders live beside each other; call before anything loads torch."""
    import cv2  # noqa: PLC0415 - only here for its thread count

    from detectors.threads import configure_threads  # noqa: PLC0415 - beside the above

    # OpenCV's own threads would fight torch's for the cores: its operations here take well under a millisecond.
    cv2.setNumThreads(1)
    configure_threads()

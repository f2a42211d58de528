"""What one camera has learned, day and night apart: a picture in infrared is another scene, though nothing moved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from detectors.live_learning import LearningSettings, LiveLearner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from detectors.learning_progress import Progress
    from detectors.scene_model import SceneModel

Light = Literal["colour", "infrared"]
LIGHTS: Final[tuple[Light, ...]] = ("colour", "infrared")


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned in one light.

    Attributes:
        model: to watch with.
        progress: how far learning is.
    """

    model: SceneModel
    progress: Progress


class CameraKnowledge:
    """A learner for each light a camera was seen in. Whoever has the pictures says which light it is.

    Attributes:
        settings: how this camera learns; each light gets half of the memory.
    """

    def __init__(
        self,
        settings: LearningSettings,
        learned: Mapping[Light, Learned] | None = None,
        *,
        watched: Callable[[SceneModel], NDArray[np.bool_] | None] = lambda _: None,
    ) -> None:
        """Know what was saved, or nothing yet.

        Args:
            settings: of this camera.
            learned: of earlier runs.
            watched: the ``(h, w)`` cells of a model's grid whose evidence can alarm; None: all.
        """
        self.settings = settings
        self._watched = watched
        self._learners = {light: self._learner(old.model, old.progress) for light, old in (learned or {}).items()}

    def learner(self, light: Light) -> LiveLearner | None:
        """Who learns in this light; None where it was never seen: learn a first model from the base, and ``begin``."""
        return self._learners.get(light)

    def begin(self, light: Light, first: SceneModel) -> LiveLearner:
        """Begin to learn in a light never seen.

        Args:
            light: the light.
            first: from the base model and the first minute in this light: ``learn_scene(..., adapt=False)``.

        Raises:
            ValueError: the light is known; ``relearn`` is what starts over.
        """
        if light in self._learners:
            raise ValueError(f"{light} was learned already")
        self._learners[light] = self._learner(first, None)
        return self._learners[light]

    def provisional(self, light: Light) -> bool:
        """Whether alarms in this light are provisional: it still learns, or was never seen."""
        learner = self._learners.get(light)
        return learner is None or learner.provisional

    def learned(self) -> dict[Light, Learned]:
        """All that is worth saving."""
        return {light: Learned(learner.model, learner.progress) for light, learner in tuple(self._learners.items())}

    @property
    def nbytes(self) -> int:
        """Memory taken by scores in all lights."""
        return sum(learner.nbytes for learner in self._learners.values())

    def _learner(self, model: SceneModel, progress: Progress | None) -> LiveLearner:
        settings = replace(self.settings, memory_bytes=self.settings.memory_bytes // len(LIGHTS))
        return LiveLearner(model, settings, progress=progress, watched=self._watched(model))

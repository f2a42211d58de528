"""A camera's model at work: its scorer, and what the camera's zones make of the verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preprocess.temporal import window_of
from streamer.live.forbidden_motion import ForbiddenMotion, motion_on_cells
from streamer.live.zones import ZoneMask

if TYPE_CHECKING:
    from collections.abc import Hashable
    from fractions import Fraction

    from detectors.base import Verdict
    from detectors.scene_model import SceneModel
    from detectors.scorer import Scorer
    from preprocess.geometry import Size
    from preprocess.pictures import WindowPictures
    from streamer.live.config import CameraConfig


class Watching:
    """One model for one camera at one size of picture; another model, or another size, is another of these.

    Attributes:
        model: what it judges with.
        scorer: of this camera.
        mask: the camera's zones on the scorer's cells.
        size: ``(width, height)`` of the upright pictures, pixels.
        period: seconds between them, where known.
    """

    def __init__(
        self,
        model: SceneModel,
        config: CameraConfig,
        size: Size,
        *,
        period: Fraction | None = None,
        before: Watching | None = None,
    ) -> None:
        """Make the scorer.

        Args:
            model: has learned the scene.
            config: of the camera.
            size: of the upright pictures.
            period: seconds between the camera's pictures, where known.
            before: what watched until now; zones where nothing may move keep what they know of stillness.
        """
        self.model = model
        self.size = size
        self.period = period
        self.scorer: Scorer = model.scorer(
            size, false_alarms_per_day=config.false_alarms_per_day, decision=config.decision, period=period
        )
        placement, threshold = self.scorer.placement, self.scorer.threshold
        self.mask = ZoneMask(config.zones, self.scorer.grid, placement, threshold)
        self._forbidden = ForbiddenMotion(config.zones, self.scorer.grid, placement, threshold)
        if before is not None and before.size == size and before.model.windows == model.windows:
            self._forbidden = before._forbidden.at(threshold)  # noqa: SLF001 - of this class

    @property
    def threshold(self) -> float:
        """Level from which the camera alarms."""
        return self.scorer.threshold

    @property
    def group(self) -> Hashable:
        """Cameras of equal groups share a run of the networks."""
        return self.scorer.group

    def in_zones(self, verdict: Verdict) -> Verdict:
        """The verdict with the camera's zones applied."""
        return self.mask.apply(verdict)

    def zones_of(self, verdict: Verdict | None) -> tuple[str, ...]:
        """Names of the zones that the regions of a verdict touch, each once."""
        if verdict is None:
            return ()
        return tuple(dict.fromkeys(name for names in self.mask.touched(verdict) for name in names))

    def forbidden(self, pictures: WindowPictures, *, learn: bool) -> Verdict | None:
        """What the zones where nothing may move say of a window; None where there are none, or all is still."""
        if not self._forbidden.is_needed:
            return None
        channels = window_of(pictures).channels
        return self._forbidden.push(motion_on_cells(channels, self.scorer.grid), pictures.pts, learn=learn)

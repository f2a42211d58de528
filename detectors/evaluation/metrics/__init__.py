"""Metrics of a benchmark: from scores, maps, events and truth to figures. Knows no network, no file and no clock."""

from detectors.evaluation.metrics.curves import Curve, roc
from detectors.evaluation.metrics.events import Alarm, AlarmBox, EventFigures, EventTruth, event_level
from detectors.evaluation.metrics.frame import fill_unscored, macro_area
from detectors.evaluation.metrics.regions import RegionCurves
from detectors.evaluation.metrics.summary import ClipResult, MetricSet, summarise
from detectors.evaluation.metrics.tally import (
    PixelResult,
    PixelTally,
    dual_pixel_curve,
    pixel_curve,
    pooled_region_curves,
)

__all__ = [
    "Alarm",
    "AlarmBox",
    "ClipResult",
    "Curve",
    "EventFigures",
    "EventTruth",
    "MetricSet",
    "PixelResult",
    "PixelTally",
    "RegionCurves",
    "dual_pixel_curve",
    "event_level",
    "fill_unscored",
    "macro_area",
    "pixel_curve",
    "pooled_region_curves",
    "roc",
    "summarise",
]

"""Generated surveillance scenes with ground truth, the clip a newcomer runs first, and how the base model was made."""

from samples.render import Painter, Scene, plan_scene, render
from samples.settings import KINDS, LAYOUTS, EventPlan, Kind, LayoutName, SceneError, SceneSettings
from samples.truth import SceneFrame, TruthRegion

__all__ = [
    "KINDS",
    "LAYOUTS",
    "EventPlan",
    "Kind",
    "LayoutName",
    "Painter",
    "Scene",
    "SceneError",
    "SceneFrame",
    "SceneSettings",
    "TruthRegion",
    "plan_scene",
    "render",
]

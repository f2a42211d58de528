"""Whether a camera's picture can be judged at all: frozen, dark, covered, blurred, full of rain, or just relit.

A running reference of what the camera usually shows decides, not fixed figures; it follows dawn and dusk. It is renewed
when the light has changed at once, and it stands still while the picture is unusable, so that a cover never becomes
usual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from preprocess.light_changes import LightWatch
from preprocess.picture_measures import FlickerWatch, measure
from preprocess.reference import Reference
from preprocess.stillness import StillWatch

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

    from preprocess.picture_measures import Measures
    from preprocess.pictures import Luma
    from preprocess.reference import Likeness

ConditionKind = Literal["good", "dark_or_covered", "frozen", "stutter", "blurred", "lighting_change", "restless"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What one picture is fit for.

    Attributes:
        usable: whether an alarm may be raised from it.
        kind: ``good``; ``dark_or_covered`` (dark, plain, or the usual structure gone); ``frozen``; ``stutter`` (the
            first picture after a short standstill: what moved has jumped); ``blurred``; ``lighting_change``;
            ``restless`` (rain or snow before the lens, or as much noise).
        detail: which of these exactly, in a few words; empty for ``good``.
    """

    usable: bool
    kind: ConditionKind
    detail: str = ""


GOOD: Final = Condition(usable=True, kind="good")


@dataclass(frozen=True, slots=True)
class ConditionSettings:
    """When a picture is unusable. Times are seconds.

    Attributes:
        frozen_after: standstill that counts as frozen.
        longest_lighting: no lighting change makes pictures unusable for longer.
        settle: time without a further change after which a lighting change is over.
        lost_after: the usual view must be gone for so long, as trucks drive by; a plain picture counts at once.
        blurred_after: pictures must lack detail for so long, as people pass close to the camera.
        restless_after: flicker all over the picture must last so long: rain does, a crowd that runs away does not.
        adopt_after: a picture that is blurred, restless or another view for so long is the usual one from then on;
            a dark, plain or frozen one never is.
        memory: time constant of the running reference.
    """

    frozen_after: float = 4.0
    longest_lighting: float = 10.0
    settle: float = 1.0
    lost_after: float = 1.0
    blurred_after: float = 2.0
    restless_after: float = 5.0
    adopt_after: float = 1800.0
    memory: float = 60.0


LONGEST_STEP: Final = 2.0
"""Seconds between two pictures above which nothing is learned from the step."""
PLAIN_CONTRAST: Final = 3.0
"""Standard deviation of the picture, grey levels, below which it is plain; a cloth over the lens leaves 0.1."""
DARK_LEVEL: Final = 20.0
"""Mean grey level below which a plain picture is called dark."""
LEAST_OWN_EDGES: Final = 0.15
"""Share of the usual edges that a picture must have for it to be another view rather than a covered one."""
BLURRED_DETAIL: Final = 0.4
SHARP_DETAIL: Final = 0.55
"""Share of the usual fine detail from which a picture is blurred, and sharp again; a defocus with a standard deviation
of 1 % of the height leaves a quarter."""
GREY_SPREAD: Final = 3.0
"""Grey levels by which the channels of a picture without colour differ from its tint; wet asphalt by day has 4."""


class ConditionMonitor:
    """Judges the pictures of one camera in order; about 0.4 ms per picture at 640x360.

    Args:
        settings: times.
    """

    def __init__(self, settings: ConditionSettings | None = None) -> None:
        self.settings = settings or ConditionSettings()
        self._still = StillWatch(self.settings.frozen_after)
        self._light = LightWatch()
        self._flicker = FlickerWatch()
        self._reference = Reference(self.settings.memory)
        self._kept: dict[bool, Reference] = {}
        self._infrared: bool | None = None
        self._before: Fraction | None = None
        self._unusual: tuple[ConditionKind, Fraction] | None = None
        self._lost = False
        self._covered = _Lasting(self.settings.lost_after)
        self._blurred = _Lasting(self.settings.blurred_after)
        self._restless = _Lasting(self.settings.restless_after)
        self._lighting: _Lighting | None = None

    def push(self, luma: Luma, pts: Fraction, *, infrared: bool | None = None) -> Condition:
        """Judge the next picture.

        Args:
            luma: ``(H, W)`` uint8, upright.
            pts: its time, seconds; gaps and steps back are taken for what they are.
            infrared: whether the picture has no colour (see :func:`is_infrared`); None where nobody looked.
        """
        measures = measure(luma)
        step = 0.0 if self._before is None else float(pts - self._before)
        self._before = pts
        step = step if 0 < step < LONGEST_STEP else 0.0
        stood = self._still.push(measures.sample, pts)
        self._reference.flickered(self._flicker.push(measures.middle, pts), step)
        changing = self._light.push(measures, pts)
        switched = infrared is not None and self._infrared is not None and infrared != self._infrared
        if switched:
            self._kept[not infrared] = self._reference
        self._infrared = self._infrared if infrared is None else infrared
        condition = self._judge(measures, pts, changing=changing, switched=switched)
        condition = self._unless_usual(condition, pts)
        if condition.usable:
            if not self._lost:
                self._reference.take(measures, step)
            if stood:
                return Condition(usable=False, kind="stutter", detail=f"the picture had stood still for {stood:.1f} s")
        return condition

    def _judge(self, measures: Measures, pts: Fraction, *, changing: bool, switched: bool) -> Condition:
        if measures.contrast < PLAIN_CONTRAST:
            self._lost, self._lighting = True, None
            tone = "dark" if measures.brightness.mean() < DARK_LEVEL else "without any structure"
            return Condition(usable=False, kind="dark_or_covered", detail=f"the picture is {tone}")
        if self._still.frozen:
            return Condition(usable=False, kind="frozen", detail=f"the same picture for {self._still.stood:.0f} s")
        likeness_now = self._reference.compare(measures)
        was_lost, self._lost = self._lost, likeness_now.lost(before=self._lost)
        relit = changing and not was_lost
        unlike = self._lost and not (switched and likeness_now.edges >= LEAST_OWN_EDGES)
        if (relit or (switched and not unlike)) and self._lighting is None:
            words = "colour or infrared view switched" if switched else _in_words(self._light.gain)
            self._lighting = _Lighting(pts, pts, words)
        lighting = self._relit(measures, pts, changing=changing or switched)
        return lighting or self._worn(likeness_now, pts)

    def _worn(self, likeness_now: Likeness, pts: Fraction) -> Condition:
        """What the reference says of a picture in steady light."""
        if self._covered.now(pts, 0.0 if self._lost else 1.0, below=0.5, until=0.5):
            own = likeness_now.edges >= LEAST_OWN_EDGES
            words = "another view than usual" if own else "the usual structure is gone"
            return Condition(usable=False, kind="dark_or_covered", detail=words)
        if self._lost:
            return GOOD
        if self._blurred.now(pts, likeness_now.detail, below=BLURRED_DETAIL, until=SHARP_DETAIL):
            return Condition(usable=False, kind="blurred", detail="out of focus, or something on the lens")
        restless = self._reference.restlessness
        if self._restless.now(pts, -restless, below=-1.0, until=-0.5):
            return Condition(usable=False, kind="restless", detail="rain or snow before the lens, or as much noise")
        return GOOD

    def _relit(self, measures: Measures, pts: Fraction, *, changing: bool) -> Condition | None:
        """What a lighting change that goes on says of this picture; None where there is none, or it lasts too long."""
        lighting = self._lighting
        if lighting is None:
            return None
        if changing:
            lighting.latest = pts
        settled = pts - lighting.latest >= self.settings.settle
        # What flickers without end is one change: nobody keeps a camera quiet with a lamp.
        too_long = not 0 <= pts - lighting.started < self.settings.longest_lighting
        if not lighting.renewed and (settled or too_long):
            lighting.renewed = True
            self._renew(measures)
        if settled:
            self._lighting = None
            return None
        if too_long:
            return None
        return Condition(usable=False, kind="lighting_change", detail=lighting.words)

    def _renew(self, measures: Measures) -> None:
        """Start a new reference, or go back to the one of the day or the night."""
        kept = None if self._infrared is None else self._kept.get(self._infrared)
        if kept is not None and kept is not self._reference and not kept.compare(measures).lost(before=True):
            self._reference = kept
        else:
            self._reference = self._reference.renewed()
        self._lost = False
        self._covered.clear()
        self._blurred.clear()
        self._restless.clear()

    def _unless_usual(self, condition: Condition, pts: Fraction) -> Condition:
        """The condition, or ``good`` where it has lasted so long that it is this camera's usual one."""
        adoptable = condition.kind in {"blurred", "restless"} or condition.detail.startswith("another view")
        if not adoptable:
            self._unusual = None
            return condition
        if self._unusual is None or self._unusual[0] != condition.kind:
            self._unusual = (condition.kind, pts)
        if pts - self._unusual[1] < self.settings.adopt_after:
            return condition
        self._unusual = None
        self._reference = Reference(self.settings.memory)
        self._lost = False
        self._covered.clear()
        self._blurred.clear()
        self._restless.clear()
        return GOOD


@dataclass(slots=True)
class _Lighting:
    """A lighting change that goes on."""

    started: Fraction
    latest: Fraction
    words: str
    renewed: bool = False


class _Lasting:
    """Something that counts once it has lasted, and then until it is clearly over."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.clear()

    def clear(self) -> None:
        """It is over."""
        self._since: Fraction | None = None
        self._on = False

    def now(self, pts: Fraction, value: float, *, below: float, until: float) -> bool:
        """Whether a value has been ``below`` for long enough, and not above ``until`` since."""
        if value >= (until if self._on else below):
            self.clear()
            return False
        if self._since is None or pts < self._since:
            self._since = pts
        self._on = self._on or pts - self._since >= self._seconds
        return self._on


def _in_words(gain: float) -> str:
    return f"the light is {'up' if gain >= 1 else 'down'} at once"


def is_infrared(bgr: NDArray[np.uint8]) -> bool | None:
    """Whether a colour picture ``(H, W, 3)`` uint8 has no colour but, maybe, one tint: a night view.

    About 0.1 ms; a look a second will do.

    Returns:
        None where it is too dark to tell.
    """
    height, width = bgr.shape[:2]
    few = np.ascontiguousarray(bgr[:: max(1, height // 36), :: max(1, width // 64)]).astype(np.int16)
    if few.max(axis=2).mean() < DARK_LEVEL:
        return None
    return _without_colour(few[..., 0] - few[..., 1], few[..., 2] - few[..., 1], GREY_SPREAD)


def _without_colour(blue: NDArray[np.int16], red: NDArray[np.int16], spread: float) -> bool:
    away = np.maximum(np.abs(blue - np.median(blue)), np.abs(red - np.median(red)))
    return bool(np.percentile(away, 98) < spread)

"""What an AVID system is built from and how it is trained, as plain JSON values, with the two named recipes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from detectors.avid import presets
from detectors.avid.detector import DetectorSettings
from detectors.avid.inpainter import InpainterSettings
from preprocess.errors import ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from detectors.avid.losses import AdversarialForm
    from preprocess.pictures import WindowMode

Optimiser = Literal["adam", "sgd"]


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How I and D are trained against each other on normal windows.

    Attributes:
        batch: crops per step.
        inpainter_crop: side of I's training crops, pixels.
        detector_crop: side of D's training crops, pixels.
        noise: standard deviation of the noise I learns to remove, grey levels (the paper: 0.4 x 255 = 102).
        optimiser: ``adam`` or ``sgd`` (momentum 0.9).
        inpainter_rate, detector_rate: peak learning rates.
        betas: Adam's.
        warm_up: share of the training over which the rate rises; it then falls to zero by a cosine. 0 keeps it.
        adversarial_form: see :class:`detectors.avid.losses.AdversarialLoss`.
        adversarial_weight: weight of the adversarial term in I's loss.
        reconstruction_weight: weight of ``mean (X - I(X~))^2`` in I's loss.
        inpainted_weight: weight of inpainted crops, as irregular, in D's loss.
        adversarial_every: steps between two that hold the adversarial terms (they double a step's cost).
        simulated_weight: weight of simulated irregularities in D's loss; 0 trains D on real against inpainted alone.
        irregular_share: share of D's crops that hold a simulated irregularity.
        rendered_share: share of batches of a rendered scene that show its own irregularities instead.
        average_decay: of the running average of the weights that is used afterwards; 0 uses the last step's.
        history: inpainted crops remembered for D (SimGAN's buffer); 0 for none.
        frozen_norms: keep the running statistics of batch norm as they are: a few steps on one scene would only
            move them, and with them every score, without learning anything.
    """

    batch: int = 32
    inpainter_crop: int = 64
    detector_crop: int = 96
    noise: float = 32.0
    optimiser: Optimiser = "adam"
    inpainter_rate: float = 2e-3
    detector_rate: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.999)
    warm_up: float = 0.1
    adversarial_form: AdversarialForm = "least_squares"
    adversarial_weight: float = 0.001
    reconstruction_weight: float = 1.0
    inpainted_weight: float = 0.01
    adversarial_every: int = 4
    simulated_weight: float = 1.0
    irregular_share: float = 0.5
    rendered_share: float = 0.5
    average_decay: float = 0.995
    history: int = 256
    frozen_norms: bool = False


@dataclass(frozen=True, slots=True)
class AvidSettings:
    """One AVID system.

    Attributes:
        inpainter, detector: the two networks.
        training: how they are trained.
        mode: channels of the windows they are made for.
        blur: standard deviation of the blur over I's residual, in widths of a body's core (see
            :func:`detectors.scene.scale_at`): half its peak wide as a standing person is tall, about three bodies.
        noise_at_test: add the training noise when scoring, as the first published code does (off: the clean window).
    """

    inpainter: InpainterSettings = field(default_factory=presets.fast_inpainter)
    detector: DetectorSettings = field(default_factory=presets.watch_detector)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    mode: WindowMode = "difference"
    blur: float = 2.6
    noise_at_test: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> AvidSettings:
        """Rebuild from :meth:`to_json`; ModelError where the values do not fit."""
        try:
            training = dict(values["training"])
            training["betas"] = tuple(training["betas"])
            return cls(
                inpainter=InpainterSettings(**values["inpainter"]),
                detector=DetectorSettings(**values["detector"]),
                training=TrainingSettings(**training),
                **{f.name: values[f.name] for f in fields(cls)[3:]},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the model's AVID settings do not fit this version of avid-watch: {error}") from error


def default_recipe() -> AvidSettings:
    """Ours: signed differences, light networks, D alive on simulated irregularities, I tied to its input."""
    return AvidSettings()


def paper_recipe() -> AvidSettings:
    """The paper's: mean channels, noise of 102 grey levels, its networks, real against inpainted and nothing else.

    Sabokrou et al. (ACCV 2018): SGD with 2e-3 and momentum 0.9, batches of 16; the least-squares form published with
    it, no reconstruction term, stopped at the smallest reconstruction error on held-out normal windows.
    """
    return AvidSettings(
        inpainter=presets.paper_inpainter(),
        detector=presets.paper_detector_64(),
        training=TrainingSettings(
            batch=16,
            noise=102.0,
            optimiser="sgd",
            inpainter_rate=2e-3,
            detector_rate=2e-3,
            warm_up=0.0,
            adversarial_weight=1.0,
            reconstruction_weight=0.0,
            inpainted_weight=1.0,
            adversarial_every=1,
            simulated_weight=0.0,
            irregular_share=0.0,
            average_decay=0.0,
            history=0,
        ),
        mode="mean",
    )


def mean_recipe() -> AvidSettings:
    """Ours on the paper's `mean` channels: what signed differences are worth (starts from nothing)."""
    return AvidSettings(mode="mean")


def _with_geometry(detector: DetectorSettings) -> AvidSettings:
    """Ours with one of the paper's detector geometries, which begins from nothing."""
    return AvidSettings(detector=replace(detector, output="irregular_logit", output_bias=True))


RECIPES: Mapping[str, Callable[[], AvidSettings]] = {
    "default": default_recipe,
    "paper": paper_recipe,
    "mean": mean_recipe,
    "detector-64": lambda: _with_geometry(presets.paper_detector_64()),
    "detector-112": lambda: _with_geometry(presets.paper_detector_112()),
    "detector-224": lambda: _with_geometry(presets.paper_detector()),
}
"""Recipes by the names users give; all but the first two exist to compare with."""


def recipe(name: str) -> AvidSettings:
    """The recipe called ``name``; UsageError names the known ones."""
    if name not in RECIPES:
        raise UsageError(f"no AVID preset is called {name!r}; known: {', '.join(RECIPES)}")
    return RECIPES[name]()

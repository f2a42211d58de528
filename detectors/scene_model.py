"""One camera's model: networks, windows, usual evidence per place and calibration, and the file it is kept in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from detectors.avid.settings import AvidSettings
from detectors.avid.system import Avid
from detectors.calibration import Calibration, TailPrior
from detectors.checkpoint import ModelHeader, load_model, save_model
from detectors.evidence import Decision, Fusion, Places
from detectors.ground import Ground, NoveltyTail
from detectors.scorer import EvidenceStream, Scorer
from preprocess.errors import ModelError
from preprocess.pictures import WindowSettings
from preprocess.temporal import spacing_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from detectors.inference import Runtime
    from preprocess.geometry import CellGrid, Size

BASE_MODEL = "base.avid"
PLACES = "places"
GROUND_STATISTIC = "ground.statistic"
UNEVEN = Fraction(1, 10)  # share of the spacing by which the nearest frames may miss it without a word
DECISIONS: tuple[Decision, ...] = ("joint", "paper")


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What calibration knows, beside the networks.

    Attributes:
        fusion: weights of the joint score.
        memory: time constant of the causal smoothing, seconds.
        priors: tails from the base model, by decision.
        calibrations: of this scene, by decision; empty in the base model.
        places: usual evidence per place of this scene; None in the base model.
        novelty_tail: how novelty of places behaves on normal footage, from the base model; None where it knows nothing.
        ground: places people walk at in this scene; None where too few did.
    """

    fusion: Fusion
    memory: float
    priors: Mapping[Decision, TailPrior]
    calibrations: Mapping[Decision, Calibration]
    places: Places | None
    novelty_tail: NoveltyTail | None = None
    ground: Ground | None = None

    def stream(self, places: Places, decision: Decision) -> EvidenceStream:
        """What turns this scene's scores into evidence."""
        ground = self.ground if decision == "joint" else None
        return EvidenceStream(places, self.fusion, decision, self.memory, ground)

    def to_json(self) -> dict[str, Any]:
        """All but the tables, as plain JSON values."""
        tail = self.novelty_tail
        return {
            "fusion": asdict(self.fusion),
            "memory": self.memory,
            "priors": {decision: asdict(prior) for decision, prior in self.priors.items()},
            **({"novelty_tail": asdict(tail)} if tail is not None else {}),
            **{decision: calibration.to_json() for decision, calibration in self.calibrations.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Self:
        """Rebuild from :meth:`to_json` and a file's tables; KeyError, TypeError or ValueError where they do not fit."""
        tail = values.get("novelty_tail")
        return cls(
            fusion=Fusion(**values["fusion"]),
            memory=float(values["memory"]),
            priors={decision: TailPrior(**values["priors"][decision]) for decision in DECISIONS},
            calibrations={d: Calibration.from_json(values[d]) for d in DECISIONS if d in values},
            places=_read_places(tensors),
            novelty_tail=NoveltyTail(tuple(tail["novelty"]), tuple(tail["rates"])) if tail is not None else None,
            ground=_read_ground(tensors),
        )


@dataclass(frozen=True, slots=True)
class SceneModel:
    """One camera's model; immutable.

    Attributes:
        detector: the networks, ready to score.
        windows: spacing, working size and mode of the scene.
        knowledge: calibration.
        header: what the model file says of itself.
        file: where it came from, for summaries.
    """

    detector: Avid
    windows: WindowSettings
    knowledge: Knowledge
    header: ModelHeader
    file: str

    @classmethod
    def load(cls, path: Path, runtime: Runtime | None = None) -> Self:
        """Read a model file.

        Raises:
            ModelError: missing, damaged, foreign, or made by a version that does not fit.
        """
        header, tensors = load_model(path)
        if header.detector != Avid.name:
            raise ModelError(f"{path}: holds a {header.detector!r} detector, which this version cannot watch with")
        try:
            preprocessing = header.preprocessing
            windows = WindowSettings(
                Fraction(preprocessing["spacing"]),
                int(preprocessing["width"]),
                int(preprocessing["height"]),
                preprocessing["mode"],
            )
            settings = AvidSettings.from_json(header.detector_settings)
            blur = float(header.detector_settings["blur_pixels"])
            networks = {n: t for n, t in tensors.items() if not n.startswith((PLACES, GROUND_STATISTIC))}
            detector = Avid(settings, networks, blur=blur, runtime=runtime)
            knowledge = Knowledge.from_json(header.calibration, tensors)
        except ModelError as error:
            raise ModelError(f"{path}: {error}; fit the camera anew") from error
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
            raise ModelError(f"{path}: does not fit this version of avid-watch; fit the camera anew") from error
        model = cls(detector, windows, knowledge, header, str(path))
        if knowledge.places is not None:
            grid = model.grid
            tables = [knowledge.places.inpainter_mean, *([knowledge.ground.statistic] if knowledge.ground else [])]
            if any(table.shape != (grid.rows, grid.columns) for table in tables):
                raise ModelError(f"{path}: its place tables do not fit its working size; fit the camera anew")
        return model

    @classmethod
    def base(cls, runtime: Runtime | None = None) -> Self:
        """The shipped base model, from the installed package."""
        with as_file(files("detectors") / "weights" / BASE_MODEL) as path:
            return replace(cls.load(path, runtime), file="base model")

    def save(self, path: Path, *, half_kernels: bool = False) -> None:
        """Write the model file (see :func:`detectors.checkpoint.save_model`)."""
        tensors = self.detector.state()
        if self.knowledge.places is not None:
            for name, table in _tables(self.knowledge.places).items():
                tensors[f"{PLACES}.{name}"] = torch.from_numpy(table)
        if self.knowledge.ground is not None:
            tensors[GROUND_STATISTIC] = torch.from_numpy(np.ascontiguousarray(self.knowledge.ground.statistic))
        save_model(path, self.header, tensors, half_kernels=half_kernels)

    @property
    def grid(self) -> CellGrid:
        """D's cells in the working picture."""
        return self.detector.grid(self.windows.height, self.windows.width)

    @property
    def supported_per_day(self) -> float | None:
        """The lowest rate of false events per day that the footage behind the calibration supports; None without."""
        calibration = self.knowledge.calibrations.get("joint")
        return calibration.supported_per_day if calibration is not None else None

    def calibration_json(self) -> dict[str, Any]:
        """The calibrations by decision, for ``summary.json`` and re-thresholding."""
        return {decision: calibration.to_json() for decision, calibration in self.knowledge.calibrations.items()}

    def scorer(
        self,
        source_size: Size,
        *,
        false_alarms_per_day: float = 1.0,
        decision: Decision = "joint",
        period: Fraction | None = None,
    ) -> Scorer:
        """A scorer for one source.

        Args:
            source_size: ``(width, height)`` of the upright source, pixels.
            false_alarms_per_day: accepted false events per watched day.
            decision: joint score or the paper's rule.
            period: frame period of the source, seconds, where known.

        Raises:
            ModelError: the model has not learned a scene yet.
        """
        calibration = self.knowledge.calibrations.get(decision)
        places = self.knowledge.places
        if calibration is None or places is None:
            raise ModelError(
                f"{self.file}: has not learned a camera yet; make a model with: avid-watch fit NORMAL -o FILE"
            )
        windows, notes = self.windows, []
        if period is not None and spacing_at(windows.spacing, period) != windows.spacing:
            notes.append(
                f"the source has one frame every {float(period):.3g} s, slower than the {float(windows.spacing):.3g} s "
                "the model was learned with; its calibration may be off"
            )
            windows = replace(windows, spacing=period)
        elif period is not None and abs(round(windows.spacing / period) * period / windows.spacing - 1) > UNEVEN:
            notes.append(
                f"the source has one frame every {float(period):.3g} s, of which none fit the "
                f"{float(windows.spacing):.3g} s between those the model was learned with; its calibration may be off"
            )
        here, learned = source_size[0] / source_size[1], windows.width / windows.height
        if not 0.85 < here / learned < 1.18:
            notes.append("the picture has another shape than the footage the model was learned from")
        return Scorer(
            self.detector,
            windows,
            self.grid,
            self.knowledge.stream(places, decision),
            calibration,
            source_size=source_size,
            threshold=calibration.threshold(false_alarms_per_day),
            notes=tuple(notes),
        )


def preprocessing_json(windows: WindowSettings) -> dict[str, Any]:
    """Window settings as a model header keeps them."""
    return {
        "spacing": str(windows.spacing),
        "width": windows.width,
        "height": windows.height,
        "mode": windows.mode,
    }


def _tables(places: Places) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(getattr(places, name), np.float32) for name in Places.__slots__}


def _read_places(tensors: Mapping[str, torch.Tensor]) -> Places | None:
    if not any(name.startswith(PLACES) for name in tensors):
        return None
    return Places(**{name: tensors[f"{PLACES}.{name}"].numpy().astype(np.float32) for name in Places.__slots__})


def _read_ground(tensors: Mapping[str, torch.Tensor]) -> Ground | None:
    table = tensors.get(GROUND_STATISTIC)
    return Ground(table.numpy().astype(np.float32)) if table is not None else None

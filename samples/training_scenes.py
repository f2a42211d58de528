"""Rendered scenes as training sees them: encoded, decoded, at working size, with their truth; kept in a folder."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import av
import cv2
import numpy as np

from detectors.avid.rendered import TRUTH_PIXELS, RenderedTruth
from detectors.avid.simulate import SceneScale
from detectors.bank import WindowBank, build_bank
from detectors.scene import LARGEST_AREA, choose_windows, measure_scene, scale_at
from preprocess.luma import luma_of
from preprocess.pictures import Luma, Picture, WindowSettings
from preprocess.temporal import to_working_size
from samples.render import Painter, plan_scene
from samples.settings import KINDS, EventPlan, Kind, LayoutName, SceneSettings, random_stream

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Purpose = Literal["train", "val", "norm"]

FRAME_RATE = 10
LAYOUTS: tuple[LayoutName, ...] = ("plaza", "walkway", "street", "hall")  # the car park stays unseen, for checks
TRUTH_SIZE = (160, 90)
LONGEST_EVENT = 6.0  # seconds
SCATTER_SHARE = 0.3
AREAS = (55_000, 140_000)  # working sizes vary in training, so that the networks know bodies of several widths


@dataclass(frozen=True, slots=True)
class RenderedScene:
    """One rendered scene.

    Attributes:
        name: purpose and seed.
        windows: chosen from its normal part, as for any camera.
        scale: of what is normal.
        pictures: ``(P, H, W)`` uint8 at working size.
        covered: ``(P, H / 4, W / 4)`` uint8: share of 4x4 pixels that is irregular.
        learning: pictures at the beginning without events.
        boxes: per picture, rows ``(event, kind, x, y, width, height)`` in source pixels.
    """

    name: str
    windows: WindowSettings
    scale: SceneScale
    pictures: NDArray[np.uint8]
    covered: NDArray[np.uint8]
    learning: int
    boxes: list[list[Any]]

    def bank(self, last: int | None = None) -> WindowBank:
        """Windows of the pictures up to ``last`` (exclusive), all by default."""
        return build_bank(
            (Picture(luma, Fraction(i, FRAME_RATE), 0) for i, luma in enumerate(self.pictures[:last])), self.windows
        )

    def truth(self) -> RenderedTruth:
        """All windows with their truth."""
        return RenderedTruth(self.bank(), self.covered)


def rendered_scene(folder: Path, purpose: Purpose, seed: int, seconds: float) -> RenderedScene:
    """Read a scene from the folder, or render it there first.

    Args:
        folder: where scenes are kept.
        purpose: ``norm`` scenes hold no event; ``train`` scenes come in varied working sizes and qualities.
        seed: of the scene; also decides the layout, in turn.
        seconds: length.
    """
    path = folder / f"{purpose}{seed}.npz"
    if not path.exists():
        _render(path, purpose, seed, seconds)
    with np.load(path) as kept:
        pictures = kept["L"]
        windows = WindowSettings(Fraction(str(kept["spacing"])), pictures.shape[2], pictures.shape[1])
        scale = SceneScale(float(kept["body"]), float(kept["step"]))
        return RenderedScene(
            path.stem, windows, scale, pictures, kept["T"], int(kept["learn"]), json.loads(str(kept["boxes"]))
        )


def training_events(settings: SceneSettings) -> tuple[EventPlan, ...]:
    """Events a detector of motion can learn, one after the other: all kinds but walking off the path.

    Who walks where nobody walks moves as everybody does: there is nothing in it for D to see.
    """
    random = np.random.default_rng(random_stream(settings.seed, 12))
    plans: list[EventPlan] = []
    deck: list[Kind] = []
    time = settings.learning + random.uniform(0.5, 1.5)
    while time + LONGEST_EVENT < settings.duration:
        if not deck:
            deck = [kind for kind in KINDS if kind not in ("off_path", "scatter")]
            deck = [*deck, "abandoned_object", "thrown_object"]  # the shortest: twice as often
            deck = [deck[int(place)] for place in random.permutation(len(deck))]
        plans.append(EventPlan(deck.pop(), round(float(time), 1)))
        time += random.uniform(4.5, 7.0)
    if random.random() < SCATTER_SHARE:
        plans[-1] = EventPlan("scatter", plans[-1].start)
    return tuple(plans)


def _render(path: Path, purpose: Purpose, seed: int, seconds: float) -> None:
    layout = LAYOUTS[(seed - 1) % 4] if purpose == "train" else LAYOUTS[seed % 4]
    settings = SceneSettings(seed=seed, layout=layout, duration=seconds, events=() if purpose == "norm" else "auto")
    if purpose == "train":
        settings = replace(settings, events=training_events(settings))
    painter = Painter(plan_scene(settings))
    masks: list[NDArray[np.uint8]] = []
    boxes: list[list[Any]] = []
    quality = 20 + (seed - 1) % 9 if purpose == "train" else 23
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = settings.width, settings.height, "yuv420p"
        stream.options = {"crf": str(quality), "preset": "veryfast"}
        stream.thread_count = 1
        for index in range(settings.frame_count):
            frame = painter.frame(index)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.bgr, format="bgr24")))
            share = cv2.resize(frame.mask.astype(np.uint8) * 255, TRUTH_SIZE, interpolation=cv2.INTER_AREA)
            masks.append(np.asarray(share, np.uint8))
            boxes.append([[region.event, region.kind, *region.box] for region in frame.truth])
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as container:
        lumas: list[Luma] = [luma_of(frame) for frame in container.decode(video=0)]
    learning = int(settings.learning * FRAME_RATE)
    measure = measure_scene([Picture(luma, Fraction(i, FRAME_RATE), 0) for i, luma in enumerate(lumas[:learning])])
    area = int(np.random.default_rng(seed).uniform(*AREAS)) if purpose == "train" else LARGEST_AREA
    windows = choose_windows(measure, largest_area=area)
    body, step = scale_at(measure, windows)
    small = (windows.width // TRUTH_PIXELS, windows.height // TRUTH_PIXELS)
    np.savez(
        path,
        L=np.stack([to_working_size(luma, windows.width, windows.height) for luma in lumas]),
        T=np.stack([cv2.resize(mask, small, interpolation=cv2.INTER_AREA) for mask in masks]),
        spacing=str(windows.spacing),
        body=body,
        step=step,
        learn=learning,
        boxes=json.dumps(boxes),
    )

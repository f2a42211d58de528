"""Scenes as files: an H.264 clip, its ground truth beside it, and whole sets of such clips."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np

from preprocess.errors import OutputError
from samples.disturbances import Disturbed
from samples.render import Painter, plan_scene
from samples.settings import SceneError, SceneSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from samples.disturbances import Disturbance
    from samples.truth import Mask, SceneFrame, TruthRegion

FORMAT: Final = "avid-watch scene truth 1"
_TIME_BASE: Final = Fraction(1, 90_000)
_KEYFRAME_SECONDS: Final = 4
"""Seconds from one complete picture to the next, as surveillance recorders are commonly set."""

_PRESETS: Final = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a clip is compressed.

    Attributes:
        crf: constant rate factor of H.264, 0 (lossless) to 51; 23 is what cameras come near to.
        preset: of x264, the slower the smaller.
        grey: render luma alone (colour planes are flat).
    """

    crf: int = 23
    preset: str = "veryfast"
    grey: bool = False

    def __post_init__(self) -> None:
        """Refuse what x264 does not know.

        Raises:
            SceneError: a value lies outside of its range.
        """
        if not 0 <= self.crf <= 51:
            raise SceneError(f"CRF {self.crf}: must be 0 to 51")
        if self.preset not in _PRESETS:
            raise SceneError(f"preset {self.preset!r} is unknown; x264 has {', '.join(_PRESETS)}")


@dataclass(frozen=True, slots=True)
class ClipReport:
    """What came of writing one clip.

    Attributes:
        video: path of the clip.
        truth: path of its ground truth.
        frames: number of frames.
        events: kinds of the events that can be seen, in order of their start.
        size: of the clip in bytes.
    """

    video: Path
    truth: Path
    frames: int
    events: tuple[str, ...]
    size: int


class TruthWriter:
    """Collects ground truth frame by frame.

    Args:
        settings: of the scene.
        layout: name of the layout that came out.
        keep_masks: whether masks are collected too (bit-packed; about 29 kB per irregular actor and frame at 640x360).
    """

    def __init__(self, settings: SceneSettings, layout: str, *, keep_masks: bool) -> None:
        self._settings = settings
        self._layout = layout
        self._keep_masks = keep_masks
        self._events: dict[int, dict[str, Any]] = {}
        self._masks: list[NDArray[np.uint8]] = []
        self._rows: list[tuple[int, int, int]] = []

    def add(self, frame: SceneFrame) -> None:
        """Take in the truth of one frame."""
        for region in frame.truth:
            self._add_region(frame, region)

    def _add_region(self, frame: SceneFrame, region: TruthRegion) -> None:
        time = round(float(frame.pts), 6)
        event = self._events.setdefault(
            region.event, {"id": region.event, "kind": region.kind, "start": time, "end": time, "frames": []}
        )
        event["end"] = time
        boxes = event["frames"]
        if not boxes or boxes[-1]["index"] != frame.index:
            boxes.append({"index": frame.index, "pts": time, "boxes": [], "tracks": []})
        boxes[-1]["boxes"].append(list(region.box))
        boxes[-1]["tracks"].append(region.track_id)
        if self._keep_masks:
            self._masks.append(np.packbits(region.mask))
            self._rows.append((frame.index, region.event, region.track_id))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of the events seen so far, by their start."""
        return tuple(event["kind"] for event in self._ordered())

    def _ordered(self) -> list[dict[str, Any]]:
        return sorted(self._events.values(), key=lambda event: (event["start"], event["id"]))

    def document(self) -> dict[str, Any]:
        """The ground truth as it is written; ``boxes`` are x, y, width, height in pixels, times are seconds."""
        settings = self._settings
        return {
            "format": FORMAT,
            "seed": settings.seed,
            "layout": self._layout,
            "width": settings.width,
            "height": settings.height,
            "frame_rate": str(settings.frame_rate),
            "frames": settings.frame_count,
            "duration": settings.duration,
            "learning": settings.learning,
            "events": self._ordered(),
        }

    def write(self, path: Path) -> None:
        """Write the boxes as JSON, one line per frame of an event."""
        path.write_text(_as_text(self.document()), encoding="utf-8")

    def write_masks(self, path: Path) -> None:
        """Write the masks; :func:`read_masks` reads them.

        The file holds ``masks`` ``(K, ceil(H * W / 8))`` uint8 (see :func:`numpy.packbits`), ``rows`` ``(K, 3)`` with
        frame, event and track of each, and ``shape`` (H, W).
        """
        size = (self._settings.height, self._settings.width)
        packed = np.stack(self._masks) if self._masks else np.zeros((0, -(-size[0] * size[1] // 8)), dtype=np.uint8)
        rows = np.array(self._rows, dtype=np.int64).reshape(-1, 3)
        np.savez_compressed(path, masks=packed, rows=rows, shape=np.array(size))


def _as_text(document: dict[str, Any]) -> str:
    """JSON that a person can read and a diff can show: one line per frame, not one per number."""
    head = json.dumps({key: value for key, value in document.items() if key != "events"}, indent=1)
    events = []
    for event in document["events"]:
        frames = ",\n".join("    " + json.dumps(frame) for frame in event["frames"])
        facts = json.dumps({key: value for key, value in event.items() if key != "frames"})
        events.append(f'  {facts[:-1]}, "frames": [\n{frames}\n  ]}}')
    return head[:-2] + ',\n "events": [\n' + ",\n".join(events) + "\n ]\n}\n"


def read_masks(path: Path) -> Iterator[tuple[int, int, int, Mask]]:
    """Frame, event, track and mask ``(H, W)`` of every region in a file that :class:`TruthWriter` wrote."""
    with np.load(path) as stored:
        height, width = (int(side) for side in stored["shape"])
        rows, packed = stored["rows"], stored["masks"]
    for (frame, event, track), bits in zip(rows, packed, strict=True):
        mask = np.unpackbits(bits, count=height * width).reshape(height, width).astype(np.bool_)
        yield int(frame), int(event), int(track), mask


def write_clip(
    settings: SceneSettings,
    path: Path,
    *,
    encoding: Encoding | None = None,
    masks: bool = False,
    disturbance: Disturbance | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ClipReport:
    """Render a scene into an H.264 file, and its ground truth beside it.

    For ``walkway.mp4`` the truth is ``walkway.truth.json`` and, where asked for, ``walkway.masks.npz``.

    Args:
        settings: what to render; both sides of the picture must be even.
        path: of the clip; its suffix decides the container.
        encoding: how to compress it.
        masks: whether to write the masks, too.
        disturbance: what happens to the camera, if anything.
        progress: called after every frame with the frames done and the frames in all.

    Raises:
        SceneError: the size is odd, or an event finds no room.
        OutputError: the file cannot be written.
    """
    encoding = encoding or Encoding()
    if settings.width % 2 or settings.height % 2:
        raise SceneError(f"{path}: H.264 needs even sides, not {settings.width}x{settings.height}")
    scene = plan_scene(settings)
    undisturbed = Painter(scene, grey=encoding.grey)
    painter = undisturbed if disturbance is None else Disturbed(undisturbed, disturbance)
    truth = TruthWriter(settings, scene.layout.name, keep_masks=masks)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=settings.frame_rate)
            stream.width, stream.height, stream.pix_fmt = settings.width, settings.height, "yuv420p"
            # One thread: more of them change the bits from machine to machine.
            stream.options = {"crf": str(encoding.crf), "preset": encoding.preset, "threads": "1"}
            stream.codec_context.time_base = _TIME_BASE
            stream.codec_context.gop_size = max(1, round(settings.frame_rate * _KEYFRAME_SECONDS))
            for index in range(settings.frame_count):
                frame = painter.frame(index)
                truth.add(frame)
                picture = av.VideoFrame.from_ndarray(frame.picture, format="gray" if encoding.grey else "bgr24")
                picture.pts = round(frame.pts / _TIME_BASE)
                picture.time_base = _TIME_BASE
                container.mux(stream.encode(picture))
                if progress is not None:
                    progress(index + 1, settings.frame_count)
            container.mux(stream.encode(None))
        truth_path = path.with_suffix(".truth.json")
        truth.write(truth_path)
        if masks:
            truth.write_masks(path.with_suffix(".masks.npz"))
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"{path}: cannot be written: {reason}; try another folder, or a name that ends in .mp4"
        ) from error
    return ClipReport(path, truth_path, settings.frame_count, truth.kinds, path.stat().st_size)


def write_dataset(
    settings: SceneSettings,
    folder: Path,
    clips: int,
    *,
    encoding: Encoding | None = None,
    masks: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[ClipReport]:
    """Write many clips, ``scene-<seed>.mp4``, with seeds that count up from that of the settings.

    Args:
        settings: of the first clip; without a layout the seeds choose one each.
        folder: where the clips go; made when missing.
        clips: how many.
        encoding: how to compress them.
        masks: whether to write masks, too.
        progress: called after every frame with the frames done and the frames in all, over all clips.

    Yields:
        A report per clip, as soon as it is written.
    """
    total = clips * settings.frame_count
    for number in range(clips):
        one = replace(settings, seed=settings.seed + number)
        before = number * settings.frame_count

        def advance(done: int, _: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, total)

        yield write_clip(one, folder / f"scene-{one.seed}.mp4", encoding=encoding, masks=masks, progress=advance)

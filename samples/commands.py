"""The command line of the generator: ``python -m samples``."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import cv2
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from preprocess.errors import AvidWatchError, OutputError
from samples.clip import ClipReport, Encoding, write_clip, write_dataset
from samples.disturbances import DISTURBANCES, NOTES, Disturbance
from samples.newcomer import NEWCOMER, NEWCOMER_ENCODING
from samples.settings import (
    KIND_NOTES,
    KINDS,
    LAYOUT_NOTES,
    LAYOUTS,
    EventPlan,
    Kind,
    LayoutName,
    SceneError,
    SceneSettings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Generate surveillance scenes with ground truth: a fixed camera, people who walk, and irregular events.",
)

Seed = Annotated[int, typer.Option(help="Decides everything drawn by lot; the same seed gives the same clip.")]
Layout = Annotated[str | None, typer.Option(help=f"One of {', '.join(LAYOUTS)}; by default the seed chooses.")]
Seconds = Annotated[float, typer.Option(help="Length of a clip in seconds.")]
Rate = Annotated[str, typer.Option("--fps", help="Frames per second, for example 10, 29.97 or 30000/1001.")]
Size = Annotated[str, typer.Option(help="Width and height in pixels, both even.")]
Density = Annotated[
    float | None, typer.Option(help="People in the picture on average; by default the seed chooses 5 to 18.")
]
Events = Annotated[
    str,
    typer.Option(
        help="auto: a mixture that spares the learning part (the first 40 %, at most 60 s). none. "
        "Or a list of KIND@SECONDS, for example cyclist@35,cart@50.5."
    ),
]
Crf = Annotated[int, typer.Option(help="Rate factor of H.264: 0 (lossless) to 51 (worst).")]
Preset = Annotated[str, typer.Option(help="Preset of x264: ultrafast to veryslow.")]
Grey = Annotated[bool, typer.Option("--grey", help="Luma alone; faster.")]
Disturb = Annotated[
    str | None,
    typer.Option(
        "--disturbance",
        metavar="NAME@SECONDS+SECONDS",
        help=f"What happens to the camera, from when on and how long: one of {', '.join(DISTURBANCES)}, "
        "for example rain@35+20.",
    ),
]
Masks = Annotated[bool, typer.Option("--masks", help="Write pixel masks, too: NAME.masks.npz.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]


def parse_events(text: str) -> tuple[EventPlan, ...] | Literal["auto"]:
    """Read ``auto``, ``none`` or a list such as ``cyclist@35,cart@50.5``.

    Raises:
        SceneError: it is none of these.
    """
    if text == "auto":
        return "auto"
    if text in {"none", ""}:
        return ()
    plans = []
    for part in text.split(","):
        kind, _, start = part.strip().partition("@")
        if not start:
            raise SceneError(f"event {part.strip()!r}: write KIND@SECONDS, for example cyclist@35, or auto, or none")
        try:
            plans.append(EventPlan(_kind(kind), float(start)))
        except ValueError:
            raise SceneError(f"event {part.strip()!r}: {start!r} is no number of seconds") from None
    return tuple(plans)


def _kind(text: str) -> Kind:
    for kind in KINDS:
        if kind == text:
            return kind
    raise SceneError(f"event {text!r} is unknown; there are {', '.join(KINDS)}")


def parse_disturbance(text: str | None, seed: int) -> Disturbance | None:
    """Read ``rain@35+20``: from second 35 on, for 20 s.

    Raises:
        SceneError: it is none of these.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\w+)@([\d.]+)\+([\d.]+)", text)
    for name in DISTURBANCES:
        if match is not None and match[1] == name:
            try:
                return Disturbance(name, float(match[2]), float(match[3]), seed)
            except ValueError:
                break
    raise SceneError(
        f"disturbance {text!r}: write NAME@START+LENGTH in seconds, for example rain@35+20; "
        f"there are {', '.join(DISTURBANCES)}"
    )


def _layout(text: str | None) -> LayoutName | None:
    for name in get_args(LayoutName):
        if name == text:
            return name  # type: ignore[no-any-return]
    if text is not None:
        raise SceneError(f"layout {text!r} is unknown; there are {', '.join(LAYOUTS)}")
    return None


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise SceneError(f"size {text!r}: write WIDTHxHEIGHT, for example 640x360")
    return int(match[1]), int(match[2])


def _rate(text: str) -> Fraction:
    try:
        return Fraction(text).limit_denominator(1001)
    except (ValueError, ZeroDivisionError):
        raise SceneError(f"frame rate {text!r}: write a number such as 10, 29.97 or 30000/1001") from None


def _settings(
    seed: int, layout: str | None, seconds: float, rate: str, size: str, density: float | None, events: str
) -> SceneSettings:
    width, height = _size(size)
    return SceneSettings(
        seed=seed,
        layout=_layout(layout),
        width=width,
        height=height,
        frame_rate=_rate(rate),
        duration=seconds,
        density=density,
        events=parse_events(events),
    )


@contextmanager
def _bar(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar with a time to go, on a terminal; nothing in a pipe."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _refuse_existing(path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        raise OutputError(f"{path} exists; take another name, or --force to overwrite it")


def _say(report: ClipReport) -> None:
    events = ", ".join(report.events) or "no events"
    print(f"{report.video}: {report.frames} frames, {report.size / 1024:.0f} KiB; {events}")


@app.command()
def clip(
    output: Annotated[Path, typer.Argument(metavar="OUT.mp4", help="Where the clip goes; the truth goes beside it.")],
    seed: Seed = 0,
    layout: Layout = None,
    seconds: Seconds = 60.0,
    rate: Rate = "10",
    size: Size = "640x360",
    density: Density = None,
    events: Events = "auto",
    crf: Crf = 23,
    preset: Preset = "veryfast",
    grey: Grey = False,  # noqa: FBT002 (typer's form of a flag)
    masks: Masks = False,  # noqa: FBT002 (typer's form of a flag)
    disturbance: Disturb = None,
    force: Force = False,  # noqa: FBT002 (typer's form of a flag)
) -> None:
    """Write one clip and its ground truth, OUT.truth.json."""
    settings = _settings(seed, layout, seconds, rate, size, density, events)
    encoding = Encoding(crf=crf, preset=preset, grey=grey)
    disturbed = parse_disturbance(disturbance, seed)
    _refuse_existing(output, force=force)
    with _bar(output.name) as progress:
        report = write_clip(settings, output, encoding=encoding, masks=masks, disturbance=disturbed, progress=progress)
    _say(report)


@app.command()
def dataset(
    output: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="Folder for the clips; made when missing.")],
    clips: Annotated[int, typer.Option(min=1, help="How many clips.")] = 20,
    first_seed: Annotated[int, typer.Option(help="Seed of the first clip; the others count up from it.")] = 1000,
    layout: Layout = None,
    seconds: Seconds = 75.0,
    rate: Rate = "10",
    size: Size = "640x360",
    density: Density = None,
    events: Events = "auto",
    crf: Crf = 23,
    preset: Preset = "veryfast",
    grey: Grey = False,  # noqa: FBT002 (typer's form of a flag)
    masks: Masks = False,  # noqa: FBT002 (typer's form of a flag)
    force: Force = False,  # noqa: FBT002 (typer's form of a flag)
) -> None:
    """Write many clips, scene-SEED.mp4, each with its ground truth."""
    settings = _settings(first_seed, layout, seconds, rate, size, density, events)
    encoding = Encoding(crf=crf, preset=preset, grey=grey)
    for number in range(clips):
        _refuse_existing(output / f"scene-{first_seed + number}.mp4", force=force)
    with _bar(str(output)) as progress:
        for report in write_dataset(settings, output, clips, encoding=encoding, masks=masks, progress=progress):
            _say(report)


@app.command()
def newcomer(
    output: Annotated[Path, typer.Argument(metavar="OUT.mp4")] = Path("samples/walkway.mp4"),
    force: Force = False,  # noqa: FBT002 (typer's form of a flag)
) -> None:
    """Write the clip that ships with the project, samples/walkway.mp4, and its ground truth."""
    _refuse_existing(output, force=force)
    with _bar(output.name) as progress:
        report = write_clip(NEWCOMER, output, encoding=NEWCOMER_ENCODING, progress=progress)
    _say(report)


@app.command()
def kinds() -> None:
    """List the kinds of irregular events."""
    for kind in KINDS:
        print(f"{kind:18}{KIND_NOTES[kind]}")


@app.command()
def disturbances() -> None:
    """List what can happen to the camera."""
    for name in DISTURBANCES:
        print(f"{name:18}{NOTES[name]}")


@app.command()
def layouts() -> None:
    """List the layouts."""
    for name in LAYOUTS:
        print(f"{name:18}{LAYOUT_NOTES[name]}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code: 0 done, 2 the request cannot be met, 130 interrupted."""
    cv2.setNumThreads(1)
    try:
        result = app(arguments, standalone_mode=False)
    except AvidWatchError as error:
        print(f"samples: {error}", file=sys.stderr)
        return error.exit_code
    except typer.Exit as leaving:
        return int(leaving.exit_code)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is None:
            raise
        message = usage()
        if message:  # without one the help has been shown
            print(f"samples: {message} (try: python -m samples --help)", file=sys.stderr)
        return 2
    return int(result) if isinstance(result, int) else 0

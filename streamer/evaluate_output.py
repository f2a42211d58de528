"""What a benchmark writes: results.json, the table, curves, timelines and contact sheets; and what it ran on."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.errors import OutputError
from streamer.evaluate_curves import draw_roc, draw_timeline
from streamer.evaluate_fitting import ENERGY
from streamer.evaluate_measure import equal_error_threshold, summary_of
from streamer.evaluate_pictures import draw_sheet, worst_moments
from streamer.evaluate_text import markdown_of, section_key
from streamer.sinks.json_text import json_bytes
from streamer.sinks.run_folder import distinct_names
from streamer.sinks.writing import told_as_output_errors, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detectors.inference import Runtime
    from streamer.console import Console
    from streamer.evaluate_measure import MeasuredClip
    from streamer.settings import EvaluateSettings

RESULTS = "results.json"
TABLE = "results.md"
ROC = "roc.png"
TIMELINES = "timelines"
MISSES = "worst-misses.jpg"
FALSE_ALARMS = "worst-false-alarms.jpg"

_DECIDING = ("torch", "numpy", "opencv-python", "av")  # their versions may change what is decoded, learned and scored
_PACKAGES = ("avid-watch", *_DECIDING)


def write_outputs(
    folder: Path,
    results: Mapping[str, Any],
    seeds: Sequence[Sequence[MeasuredClip]],
    docs: Path | None,
    console: Console,
) -> None:
    """Write everything into ``folder``; pictures of clips are of the first seed.

    Raises:
        OutputError: something cannot be written.
        InputError: a clip cannot be read any more.
    """
    write_whole(folder / RESULTS, json_bytes(results, indent=2) + b"\n")
    table = markdown_of(results)
    write_whole(folder / TABLE, table.encode())
    if docs is not None:
        put_section(docs.expanduser(), section_key(results), table)
    first = seeds[0]
    curves = {}
    for number, clips in enumerate(seeds):
        curve = summary_of(clips).frame
        if curve is not None:
            name = f"seed {results['per_seed'][number]['seed']}: AUC {curve.area():.4f}"
            curves[name] = (curve.false_positive, curve.true_positive)
    timelines = folder / TIMELINES
    with told_as_output_errors(timelines):
        timelines.mkdir(exist_ok=True)
    with console.phase("drawing", total=len(first) + 3, unit="pictures") as phase:
        if curves:
            draw_roc(folder / ROC, curves, f"{results['title']}, frame level")
        else:
            (folder / ROC).unlink(missing_ok=True)  # of another truth
        phase.advance()
        threshold = equal_error_threshold(first)
        draw_sheet(folder / MISSES, worst_moments(first, misses=True), threshold)
        phase.advance()
        draw_sheet(folder / FALSE_ALARMS, worst_moments(first, misses=False), threshold)
        phase.advance()
        names = distinct_names(clip.name.replace("/", "-") for clip in first)
        for clip, name in zip(first, names, strict=True):
            draw_timeline(timelines / f"{name}.png", clip.scores, clip.irregular, clip.name)
            phase.advance()


def put_section(path: Path, key: str, text: str) -> None:
    """Put a set's section into a record, in the place of the earlier one or at the end.

    Args:
        path: Markdown file; made where it is missing.
        key: names the section in its markers.
        text: its content.

    Raises:
        OutputError: it cannot be read or written.
    """
    begin, end = f"<!-- evaluate: {key} -->", f"<!-- end: {key} -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    try:
        before = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        before = "# Results\n"
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"{path}: cannot be read as text; give another file with --docs") from error
    pattern = re.compile(re.escape(begin) + r".*?" + re.escape(end), re.DOTALL)
    if pattern.search(before):
        after = pattern.sub(lambda _: section, before, count=1)
    else:
        after = f"{before.rstrip()}\n\n{section}\n"
    with told_as_output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, after.encode())


def machine(runtime: Runtime) -> dict[str, object]:
    """Where a benchmark ran, for whoever compares its times."""
    import torch  # noqa: PLC0415 - loaded after its threads are set up

    from detectors.threads import usable_cores  # noqa: PLC0415 - beside the above

    gpu = torch.cuda.get_device_name(0) if runtime.device.type == "cuda" else None
    return {
        "processor": _processor(),
        "cores": usable_cores(),
        "cores_in_machine": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": runtime.device.type,
        "gpu": gpu,
        "precision": str(runtime.precision).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
    }


def fit_settings(settings: EvaluateSettings, runtime: Runtime) -> dict[str, object]:
    """Every setting that decides a model, for the name of its cache entry."""
    if settings.model is not None:
        content = settings.model.expanduser().read_bytes()
        chosen: dict[str, object] = {"model": hashlib.sha256(content).hexdigest()}
    else:
        chosen = {"preset": settings.preset, "seconds": settings.training_seconds, "steps": settings.steps}
    if settings.detector == ENERGY:
        # The room of evaluation is no part of the code digest; nothing is trained, so no budget matters.
        source = Path(str(files("detectors.evaluation"))) / "energy.py"
        chosen = {"code": hashlib.sha256(source.read_bytes()).hexdigest()}
    return {
        **chosen,
        "detector": settings.detector,
        "device": runtime.device.type,
        "precision": str(runtime.precision),
        **{name: _version(name) for name in _DECIDING},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

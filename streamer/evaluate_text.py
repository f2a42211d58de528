"""The table of a benchmark, for the terminal and for the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamer.page import WARN, Page, count, roughly, short_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.text import Text

FIGURES: tuple[tuple[str, str, str], ...] = (
    ("frame_auc", "frame AUC (micro)", "%"),
    ("frame_auc_macro", "frame AUC (macro)", "%"),
    ("frame_eer", "frame EER", "%"),
    ("pixel_auc", "pixel AUC (40 % rule)", "%"),
    ("pixel_eer", "pixel EER (40 % rule)", "%"),
    ("dual_pixel_auc", "dual-pixel AUC", "%"),
    ("dual_pixel_eer", "dual-pixel EER", "%"),
    ("rbdc", "RBDC (own tracks)", "%"),
    ("tbdc", "TBDC (own tracks)", "%"),
    ("event_recall", "events found", "%"),
    ("false_events_per_hour", "false events per hour", ""),
    ("event_delay_seconds", "delay of events", "s"),
    ("cell_auc", "cell AUC", "%"),
    ("cell_eer", "cell EER", "%"),
    ("cell_auc_inpainter", "cell AUC, I alone", "%"),
    ("cell_auc_detector", "cell AUC, D alone", "%"),
    ("cell_auc_memory", "cell AUC, memory alone", "%"),
    ("cell_auc_joint", "cell AUC, joint", "%"),
)
"""Name in ``metrics``, words and unit, in the order of the table."""

_NAMES = {name: words for name, words, _ in FIGURES}
_MOST_SCENES = 20
_STILL_SET = "ir-mnist"  # its frames are pictures, and none of them needs a window
_LOOK_AHEAD = "look-ahead"
OWN_FOOTAGE = "custom"  # every set of this kind is another one, told by its title


def render_results(results: Mapping[str, Any], folder: Path) -> Text:
    """Write the table of a benchmark for a person."""
    page = Page()
    page.title(_title(results))
    several = results["seeds"] > 1
    page.row(f"{'figure':<26}{'mean' if several else '':>10}{'   spread' if several else ''}".rstrip())
    for name, words, unit in _known(results["metrics"]):
        spread = f"{_shown(results['spread'].get(name), unit):>9}" if several else ""
        page.row(f"{words:<26}{_shown(results['metrics'][name], unit):>10}{spread}")
    if len(results["per_scene"]) > 1:
        for scene, figures in list(results["per_scene"].items())[:_MOST_SCENES]:
            page.line(scene, f"frame AUC {_shown(figures.get('frame_auc'), '%')}")
    variants = results.get("variants")
    if variants:
        rates = ", ".join(f"{name} {_shown(value, '%')}" for name, value in variants["frame_auc"].items())
        page.line("rates", f"{rates}; largest difference {_shown(variants['largest_difference'], '%')}")
    page.line("speed", _speed(results))
    page.line("machine", _machine(results["machine"]))
    page.line("published", _best_published(results["published"]))
    for note in results["notes"]:
        page.line("note", note, WARN)
    page.line("outputs", short_path(folder))
    return page.text


def markdown_of(results: Mapping[str, Any]) -> str:
    """The section of a set in a record such as ``docs/results.md``."""
    several = results["seeds"] > 1
    lines = [f"## {_title(results)}", ""]
    lines += [
        "| figure | mean | spread |" if several else "| figure | value |",
        "|---|---|---|" if several else "|---|---|",
    ]
    for name, words, unit in _known(results["metrics"]):
        cells = [words, _shown(results["metrics"][name], unit)]
        lines.append(_row([*cells, _shown(results["spread"].get(name), unit)] if several else cells))
    lines.append("")
    if len(results["per_scene"]) > 1:
        names = [name for name, _, _ in FIGURES if any(name in row for row in results["per_scene"].values())]
        units = {name: unit for name, _, unit in FIGURES}
        lines += [_row(["scene", *(_NAMES[name] for name in names)]), _row(["---"] * (len(names) + 1))]
        for scene, figures in results["per_scene"].items():
            lines.append(_row([scene, *(_shown(figures.get(name), units[name]) for name in names)]))
        lines.append("")
    variants = results.get("variants")
    if variants:
        rates = list(variants["frame_auc"])
        lines += [_row(["frame AUC at", *rates]), _row(["---"] * (len(rates) + 1))]
        for scene, figures in variants["per_scene"].items():
            lines.append(_row([scene, *(_shown(figures.get(rate), "%") for rate in rates)]))
        lines.append(f"\nLargest difference between two rates: {_shown(variants['largest_difference'], '%')}.")
        lines.append("")
    lines += [f"- {sentence}" for sentence in _sentences(results)]
    if results["published"]:
        lines += [
            "",
            "Published figures of others:",
            "",
            "| method | figure | value | read in | note |",
            _row(["---"] * 5),
        ]
        for row in results["published"]:
            value = _shown(row["value"], "%")
            lines.append(_row([row["method"], _NAMES[row["metric"]], value, row["source"], row["note"]]))
    return "\n".join(lines) + "\n"


def section_key(results: Mapping[str, Any]) -> str:
    """Names a section of a record: the set, and what of it is not the default."""
    settings = results["settings"]
    parts = [results["dataset"]]
    parts += [results["title"]] if results["dataset"] == OWN_FOOTAGE else []
    parts += [results["detector"]] if results["detector"] != "avid" else []
    parts += [f"score {results['score']}"] if results["score"] != "joint" else []
    parts += [f"preset {settings['preset']}"] if settings.get("preset", "default") != "default" else []
    parts += ["look-ahead"] if settings.get(_LOOK_AHEAD) else []
    return ", ".join(parts)


def _title(results: Mapping[str, Any]) -> str:
    words = [results["title"], results["detector"]]
    words += [f"score {results['score']}"] if results["score"] != "joint" else []
    noun = "picture" if results["dataset"] == _STILL_SET else "frame"
    preset = results["settings"].get("preset", "default")
    words += [f"preset {preset}"] if preset != "default" else []
    ahead = results["settings"].get(_LOOK_AHEAD)
    words += [f"looking {roughly(ahead)} ahead"] if ahead else []
    return f"{', '.join(words)} ({count(results['seeds'], 'seed')}, {count(results['frames'], noun)})"


def _sentences(results: Mapping[str, Any]) -> list[str]:
    said = [f"Speed: {_speed(results)}.", f"Machine: {_machine(results['machine'])}."]
    if results["dataset"] != _STILL_SET:
        said.append(f"{results['unscored_frames']:,} of {results['frames']:,} test frames have no window of their own.")
    if results["settings"].get(_LOOK_AHEAD):
        said.append("Frame scores and maps are Gaussian means over time, both ways; events are those of watching.")
    return [*said, *(f"{note[:1].upper()}{note[1:].rstrip('.')}." for note in results["notes"])]


def _speed(results: Mapping[str, Any]) -> str:
    rate, seconds = results["scoring_frames_per_second"], results["training_seconds"]
    what = "pictures/s" if results["dataset"] == _STILL_SET else "frames/s from decoding to events"
    facts = [f"{rate:.1f} {what}"] if rate else []
    facts += [f"fitted in {roughly(seconds)} for all scenes"] if seconds else ["nothing was fitted"]
    return ", ".join(facts)


def _machine(machine: Mapping[str, Any]) -> str:
    device = machine.get("gpu") or f"{count(machine['cores'], 'core')} of {machine['processor']}"
    return f"{device}, {machine['precision']}, torch {machine['versions'].get('torch')}"


def _best_published(published: Sequence[Mapping[str, Any]]) -> str | None:
    rows = [row for row in published if row["metric"] == "frame_auc"]
    if not rows:
        return None
    best = max(rows, key=lambda row: row["value"])
    return f"best frame AUC seen {_shown(best['value'], '%')} ({best['method']}); more in results.md"


def _known(metrics: Mapping[str, float]) -> list[tuple[str, str, str]]:
    return [row for row in FIGURES if row[0] in metrics]


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "%":
        return f"{100 * value:.2f} %"
    return f"{value:.2f} {unit}".rstrip()


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

"""The short summary a person reads at the end of a run: what was learned, what was seen, how fast, what was lost.

It is made from the content of ``summary.json`` alone, so that it says the same whether the run has just ended or the
file is read back. A part that the summary does not have is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from streamer.durations import format_clock
from streamer.page import ALARM, GOOD, LABEL, WARN, Page, count, roughly, short_path

if TYPE_CHECKING:
    from streamer.requests import FitOutcome, TuneOutcome

_MOST_EVENTS = 12
"""A longer list scrolls the rest of the summary away; all of them stand in events.jsonl."""


def render_summary(summary: Mapping[str, object], folder: Path | None = None) -> Text:
    """Write the summary of one watched source.

    Args:
        summary: the content of ``summary.json``.
        folder: where the outputs lie; taken from the summary where not given.

    Returns:
        Lines of text, aligned, with colours that are left out wherever they cannot be shown.
    """
    page = Page()
    page.title(_title(summary))
    page.line("learned", _learned(summary))
    page.line("alarms", *_alarms(summary))
    _event_table(page, _events(summary))
    page.line("threshold", _threshold(summary))
    page.line("speed", _speed(summary))
    page.line("skipped", *_skipped(summary))
    page.line("outputs", _outputs(summary, folder))
    for warning in _texts(summary.get("warnings")):
        page.line("note", warning, WARN)
    if summary.get("interrupted") is True:
        page.line("note", "stopped on request; everything up to there is complete", WARN)
    return page.text


def render_fit(outcome: FitOutcome) -> Text:
    """Write what was learned, from how much, and where it lies."""
    page = Page()
    page.title(str(outcome.model))
    page.line("learned", f"from {roughly(outcome.footage_seconds)} of normal footage, {count(outcome.frames, 'frame')}")
    page.line("training", f"{count(outcome.steps, 'step')} in {roughly(outcome.seconds)}")
    page.line("threshold", _rates(outcome.false_alarms_per_day, outcome.supported_false_alarms_per_day))
    for name, value in outcome.details.items():
        page.line(name, value)
    if outcome.loss_curve is not None:
        page.line("losses", short_path(outcome.loss_curve))
    page.line("next", f"avid-watch --model {short_path(outcome.model)} SOURCE")
    if outcome.interrupted:
        page.line("note", "stopped on request: this is what was learned until then; --resume goes on", WARN)
    return page.text


def render_tune(outcome: TuneOutcome) -> Text:
    """Write the summary at the new threshold, with what it changed."""
    text = render_summary(outcome.summary, outcome.folder)
    line = Page()
    line.line("before", f"{count(outcome.alarms_before, 'alarm')}; now {count(outcome.alarms, 'alarm')}")
    return Text("\n").join([text, line.text])


def _title(summary: Mapping[str, object]) -> str:
    source = _part(summary, "source")
    width, height, rate = source.get("width"), source.get("height"), _number(source.get("frame_rate"))
    duration = _number(source.get("duration"))
    facts = [
        f"{width}x{height}" if width and height else "",
        f"{rate:.4g} fps" if rate else "",
        roughly(duration) if duration else "",
    ]
    name = str(source.get("uri") or source.get("name") or summary.get("source") or "source")
    known = ", ".join(fact for fact in facts if fact)
    return f"{name}  ({known})" if known else name


def _learned(summary: Mapping[str, object]) -> str | None:
    learning = _part(summary, "learning")
    if not learning:
        return None
    if learning.get("from") == "model":
        return f"nothing new; watched with {learning.get('model')}"
    places = _texts(learning.get("normal"))
    seconds = _number(learning.get("seconds"))
    extent = roughly(seconds) if seconds is not None else "part"
    where = f"from {extent} of {', '.join(places)}" if places else f"from its first {extent}"
    taken = _number(learning.get("took_seconds"))
    steps = _number(learning.get("steps"))
    facts = [
        count(int(frames), "frame") if (frames := _number(learning.get("frames"))) is not None else "",
        count(int(steps), "step") if steps else "base model as it is" if steps == 0 else "",
        f"took {roughly(taken)}" if taken is not None else "",
    ]
    return ", ".join([where, *(fact for fact in facts if fact)])


def _alarms(summary: Mapping[str, object]) -> tuple[str, str]:
    events = _events(summary)
    learned = sum(event.get("in_learning") is True for event in events)
    alarms = len(events) - learned
    text = count(alarms, "alarm") if alarms else "none"
    if learned:
        text += f", and {count(learned, 'event')} in the learning part"
    return text, ALARM if alarms else GOOD


def _event_table(page: Page, events: Sequence[Mapping[str, object]]) -> None:
    if not events:
        return
    # The alarms first where not all fit: what was learned from is of less interest.
    chosen = sorted(events, key=lambda event: event.get("in_learning") is True)[:_MOST_EVENTS]
    rows = [_event_row(event) for event in sorted(chosen, key=lambda event: _number(event.get("start")) or 0.0)]
    header = ("at", "for", "peak at", "rarity", "")
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for number, row in enumerate([header, *rows]):
        cells = [cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        page.row("  ".join([*cells, row[-1]]).rstrip(), LABEL if number == 0 or row[-1] else "")
    if len(events) > len(rows):
        page.row(f"and {len(events) - len(rows)} more in events.jsonl", LABEL)


def _event_row(event: Mapping[str, object]) -> tuple[str, ...]:
    start, end, peak = (_number(event.get(name)) for name in ("start", "end", "peak"))
    kind = str(event.get("kind") or "")
    remark = "learning part" if event.get("in_learning") is True else "" if kind in {"", "anomaly"} else kind
    return (
        format_clock(start, decimals=1) if start is not None else "-",
        f"{max(0.0, end - start):.1f}s" if start is not None and end is not None else "-",
        format_clock(peak, decimals=1) if peak is not None else "-",
        _odds(_number(event.get("peak_p_value"))),
        remark,
    )


def _odds(p_value: float | None) -> str:
    """``1 in 25,000`` frames: what a probability means to a person. Beyond a million it is an estimate of a tail."""
    if p_value is None:
        return "-"
    if p_value < 1e-9:
        return "below 1 in 10^9"
    if p_value < 1e-6:
        return f"1 in {1e-6 / p_value:,.0f} million"
    return f"1 in {round(1 / p_value, -max(0, len(str(int(1 / p_value))) - 2)):,.0f}"


def _threshold(summary: Mapping[str, object]) -> str | None:
    threshold = _part(summary, "threshold")
    asked = _number(threshold.get("false_alarms_per_day"))
    if asked is None:
        return None
    return _rates(asked, _number(threshold.get("supported_false_alarms_per_day")))


def _rates(asked: float, supported: float | None) -> str:
    text = f"set for {_rate(asked)}"
    if supported is None:
        return text
    if supported <= asked:
        return f"{text}, which the normal footage supports"
    return f"{text}\nthis much normal footage supports {_rate(supported)}; the rest is extrapolated"


def _rate(per_day: float) -> str:
    if per_day >= 48:
        return f"{per_day / 24:.3g} false alarms an hour"
    return f"{per_day:.3g} false alarm{'' if per_day == 1 else 's'} a day"


def _speed(summary: Mapping[str, object]) -> str | None:
    timing = _part(summary, "timing")
    speed, factor = _number(timing.get("frames_per_second")), _number(timing.get("times_real_time"))
    total = _number(timing.get("total_seconds"))
    facts = [
        f"{speed:.0f} frames/s" if speed is not None else "",
        f"{factor:.1f}x real time" if factor is not None else "",
        f"{roughly(total)} in all" if total is not None else "",
    ]
    return ", ".join(fact for fact in facts if fact) or None


def _skipped(summary: Mapping[str, object]) -> tuple[str | None, str]:
    counts = _part(summary, "counts")
    if not counts:
        return None, ""
    words = {
        "dropped": "dropped",
        "corrupt": "corrupt",
        "decode_errors": "decode errors",
        "unscored": "without a score",
        "gaps": "gaps",
    }
    found = {words[name]: int(value) for name in words if (value := _number(counts.get(name))) is not None}
    lost = any(number for name, number in found.items() if name != words["unscored"])
    return ", ".join(f"{number:,} {name}" for name, number in found.items()), WARN if lost else ""


def _outputs(summary: Mapping[str, object], folder: Path | None) -> str | None:
    place = folder if folder is not None else summary.get("folder")
    return short_path(Path(str(place))) if place else None


def _events(summary: Mapping[str, object]) -> list[Mapping[str, object]]:
    events = summary.get("events")
    if not isinstance(events, Sequence) or isinstance(events, str):
        return []
    return [event for event in events if isinstance(event, Mapping)]


def _part(summary: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = summary.get(name)
    return part if isinstance(part, Mapping) else {}


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else []


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

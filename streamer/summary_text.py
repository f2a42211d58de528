"""The short summary a person reads at the end of a run: what was learned, what was seen, how fast, what was lost.

It is made from ``summary.json`` and ``events.jsonl`` alone, so that it says the same whether the run has just ended or
the files are read back. What the summary does not have is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from streamer.durations import format_clock
from streamer.page import ALARM, GOOD, LABEL, WARN, Page, count, roughly, short_path

if TYPE_CHECKING:
    from pathlib import Path

    from streamer.requests import FitOutcome, TuneOutcome

    Record = Mapping[str, object]

_MOST_EVENTS = 12
"""A longer list scrolls the rest of the summary away; all of them stand in events.jsonl."""
_PER_HOUR_FROM = 48.0
_SECONDS_PER_DAY = 86_400.0
"""Rates of more than two an hour are easier to grasp per hour than per day."""
_LEAST_MEASURED = 1e-9
"""Below this, a probability is a figure of speech."""

_LOSSES = {
    "dropped": ("dropped", "dropped"),
    "corrupt": ("corrupt", "corrupt"),
    "decode_errors": ("decode error", "decode errors"),
    "gaps": ("gap", "gaps"),
    "pts_jumps": ("jump in time", "jumps in time"),
    "size_changes": ("change of size", "changes of size"),
}
_ALWAYS_SAID = ("dropped", "corrupt", "decode_errors", "gaps")


def render_summary(summary: Record, events: Sequence[Record] = (), folder: Path | None = None) -> Text:
    """Write the summary of one watched source.

    Args:
        summary: the content of ``summary.json``.
        events: the records of ``events.jsonl``.
        folder: where the outputs lie.

    Returns:
        Lines of text, aligned, with colours that are left out wherever they cannot be shown.
    """
    page = Page()
    page.title(_title(summary))
    page.line("learned", _learned(summary))
    page.line("alarms", *_alarms(summary))
    _event_table(page, events)
    threshold = _part(summary, "threshold")
    page.line(
        "threshold",
        _rates(
            _number(threshold.get("asked_false_alarms_per_day")),
            _number(threshold.get("supported_false_alarms_per_day")),
            lowest_rate(_part(summary, "calibration")),
        ),
    )
    page.line("speed", _speed(summary))
    page.line("skipped", *_skipped(summary))
    page.line("sound", _text(summary.get("audio")))
    page.line("outputs", _outputs(summary, folder))
    for warning in _texts(summary.get("warnings")):
        page.line("note", warning, WARN)
    if summary.get("status") == "interrupted":
        page.line("note", "stopped on request; everything up to there is complete", WARN)
    return page.text


def render_fit(outcome: FitOutcome) -> Text:
    """Write what was learned, from how much, and where it lies."""
    page = Page()
    page.title(str(outcome.model))
    page.line("learned", f"from {roughly(outcome.footage_seconds)} of normal footage, {count(outcome.frames, 'frame')}")
    page.line("training", f"{count(outcome.steps, 'step')} in {roughly(outcome.seconds)}")
    page.line(
        "threshold",
        _rates(
            outcome.false_alarms_per_day,
            outcome.supported_false_alarms_per_day,
            outcome.lowest_false_alarms_per_day,
        ),
    )
    for name, value in outcome.details.items():
        page.line(name, value)
    if outcome.loss_curve is not None:
        page.line("losses", short_path(outcome.loss_curve))
    page.line("next", f"avid-watch --model {short_path(outcome.model)} SOURCE")
    if outcome.interrupted:
        page.line("note", "stopped on request: this is what was learned until then; --resume goes on", WARN)
    return page.text


def render_tune(outcome: TuneOutcome, events: Sequence[Record] = ()) -> Text:
    """Write the summary at the new threshold, with what it changed."""
    page = Page()
    page.line("before", f"{count(outcome.alarms_before, 'alarm')}; now {count(outcome.alarms, 'alarm')}")
    return Text("\n").join([render_summary(outcome.summary, events, outcome.folder), page.text])


def _title(summary: Record) -> str:
    source = _part(summary, "source")
    width, height, rate = source.get("width"), source.get("height"), _number(source.get("frame_rate"))
    duration = _number(source.get("duration"))
    facts = [
        f"{width}x{height}" if width and height else "",
        f"{rate:.4g} fps" if rate else "",
        roughly(duration) if duration else "",
    ]
    name = _text(source.get("uri")) or _text(summary.get("name")) or "source"
    return f"{name}  ({_joined(facts)})" if any(facts) else name


def _learned(summary: Record) -> str | None:
    learning, model = _part(summary, "learning"), _part(summary, "model")
    if not learning:
        return f"nothing new: watched with {model['file']}" if model.get("file") else None
    extent = roughly(_number(learning.get("footage_seconds")) or 0.0)
    elsewhere = _texts(_part(summary, "settings").get("normal"))
    where = f"from {extent} of {', '.join(elsewhere)}" if elsewhere else f"from its first {extent}"
    trained = learning.get("result") == "trained"
    taken = _number(_part(summary, "timings").get("learning_seconds"))
    return _joined(
        [
            where,
            count(int(_number(learning.get("steps")) or 0), "step") if trained else "calibration alone",
            f"took {roughly(taken)}" if taken is not None else "",
        ]
    )


def _alarms(summary: Record) -> tuple[str, str]:
    counts = _part(summary, "events")
    alarms, learned = (int(_number(counts.get(name)) or 0) for name in ("alarms", "in_learning"))
    text = count(alarms, "alarm") if alarms else "none"
    if learned:
        text += f", and {count(learned, 'event')} in the learning part"
    return text, ALARM if alarms else GOOD


def _event_table(page: Page, events: Sequence[Record]) -> None:
    if not events:
        return
    # The alarms first where not all fit: what happened while learning is of less interest.
    chosen = sorted(events, key=lambda event: event.get("in_learning") is True)[:_MOST_EVENTS]
    rows = [_event_row(event) for event in sorted(chosen, key=lambda event: _number(event.get("start")) or 0.0)]
    header = ("at", "for", "peak at", "rarity", "")
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header) - 1)]
    for number, row in enumerate([header, *rows]):
        cells = [cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        page.row("  ".join([*cells, row[-1]]).rstrip(), LABEL if number == 0 or row[-1] else "")
    if len(events) > len(rows):
        page.row(f"and {len(events) - len(rows):,} more in events.jsonl", LABEL)


def _event_row(event: Record) -> tuple[str, ...]:
    start, end, peak = (_number(event.get(name)) for name in ("start", "end", "peak"))
    kind = _text(event.get("kind")) or ""
    remark = "learning part" if event.get("in_learning") is True else "" if kind == "anomaly" else kind
    return (
        format_clock(start, decimals=1) if start is not None else "-",
        f"{max(0.0, end - start):.1f}s" if start is not None and end is not None else "-",
        format_clock(peak, decimals=1) if peak is not None else "-",
        _odds(_number(event.get("peak_p_value"))),
        remark,
    )


def _odds(p_value: float | None) -> str:
    """``1 in 25,000`` normal frames scores as high: what a probability means to a person."""
    if p_value is None:
        return "-"
    if p_value < _LEAST_MEASURED:
        return "below 1 in a billion"
    frames = 1 / p_value
    # Two digits are all such an estimate has.
    rounded = round(frames, -max(0, len(str(int(frames))) - 2))
    return f"1 in {rounded / 1e6:,.3g} million" if rounded >= 1e6 else f"1 in {rounded:,.0f}"


def _rates(asked: float | None, supported: float | None, lowest: float | None = None) -> str | None:
    """The rate asked for, the rate the threshold is set for, and the rate this footage supports by itself."""
    if asked is None:
        return None
    text = f"set for {_rate(asked)}"
    if lowest is not None and lowest > asked:
        text = f"{_rate(asked)} asked for; set for {_rate(lowest)}, the fewest that can be vouched for yet"
    if supported is None:
        return text
    if supported <= asked:
        return f"{text}, which the normal footage supports"
    return f"{text}\nthe footage behind it supports {_rate(supported)} by itself; more supports fewer"


def lowest_rate(calibration: Mapping[str, object]) -> float | None:
    """The lowest rate that this footage and the base model's scenes bear out, false alarms per day.

    It is :attr:`detectors.calibration.Calibration.lowest_per_day`: three over the time watched (95 %) for each of the
    causes that share the threshold.

    Args:
        calibration: that of ``summary.json``, with its decision.
    """
    decision = calibration.get("decision")
    values = calibration.get(decision) if isinstance(decision, str) else None
    if not isinstance(values, Mapping):
        return None
    seconds = (_number(values.get("seconds")) or 0.0) + (_number(values.get("base_seconds")) or 0.0)
    causes = _number(values.get("causes")) or 1.0
    return causes * 3 * _SECONDS_PER_DAY / seconds if seconds > 0 else None


def _rate(per_day: float) -> str:
    if per_day >= _PER_HOUR_FROM:
        per_hour = per_day / 24
        return f"{per_hour:,.0f} false alarms an hour" if per_hour >= 100 else f"{per_hour:.3g} false alarms an hour"
    return f"{per_day:.3g} false alarm{'' if per_day == 1 else 's'} a day"


def _speed(summary: Record) -> str | None:
    timings = _part(summary, "timings")
    watching, footage = _number(timings.get("watching_seconds")), _number(timings.get("footage_seconds"))
    speed = _number(timings.get("frames_per_second"))
    facts = [
        f"{speed:.0f} frames/s" if speed is not None else "",
        f"{footage / watching:.1f}x real time" if watching and footage else "",
        f"took {roughly(watching)}" if watching is not None else "",
    ]
    return _joined(facts) or None


def _skipped(summary: Record) -> tuple[str | None, str]:
    counts = _part(summary, "counts")
    if not counts:
        return None, ""
    losses = {name: int(_number(counts.get(name)) or 0) for name in _LOSSES}
    said = [
        f"{number:,} {_LOSSES[name][number != 1]}" for name, number in losses.items() if number or name in _ALWAYS_SAID
    ]
    reasons = {name: int(_number(number) or 0) for name, number in _part(counts, "unscored").items()}
    text = f"{_joined(said)}; {count(sum(reasons.values()), 'frame')} without a score"
    if any(reasons.values()):
        text += f" ({_joined([f'{name} {number:,}' for name, number in reasons.items() if number])})"
    return text, WARN if any(losses.values()) else ""


def _outputs(summary: Record, folder: Path | None) -> str | None:
    files = ", ".join(_texts(list(_part(summary, "outputs").values())))
    if folder is None:
        return files or None
    return f"{short_path(folder)}\n{files}"


def _joined(facts: Sequence[str]) -> str:
    return ", ".join(fact for fact in facts if fact)


def _part(record: Record, name: str) -> Record:
    part = record.get(name)
    return part if isinstance(part, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else []


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

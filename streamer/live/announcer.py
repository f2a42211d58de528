"""A line on the terminal for whatever happens to a live camera: who sits before it sees it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamer.events import MessageKind
from streamer.live.notices import CameraState, EventKind, EventNotice, StateNotice

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from streamer.live.notices import Notice

_WORDS = {
    EventKind.ANOMALY.value: "ALARM",
    EventKind.FORBIDDEN_MOTION.value: "ALARM, motion where nothing may move",
    EventKind.CAMERA_OFFLINE.value: "camera offline",
    EventKind.CAMERA_FROZEN.value: "camera frozen",
    EventKind.CAMERA_COVERED.value: "camera covered",
    EventKind.LIGHTING_CHANGE.value: "lighting change",
    EventKind.STORAGE_FULL.value: "storage full",
}


class Announcer:
    """Says states and events in one line each; a :class:`streamer.live.notices.NoticeSink`."""

    name = "console"

    def __init__(self, say: Callable[[str], None]) -> None:
        """Begin.

        Args:
            say: prints one line.
        """
        self._say = say

    def give(self, notice: Notice) -> None:
        """Say it, if a person wants to know."""
        if isinstance(notice, StateNotice):
            cause = f" ({notice.cause})" if notice.cause and notice.state is not CameraState.WATCHING else ""
            self._say(f"{_clock(notice.at)}  {notice.camera}: {notice.state.value}{cause}")
        elif isinstance(notice, EventNotice) and notice.message.kind is not MessageKind.UPDATE:
            self._say(f"{_clock(notice.at)}  {notice.camera}: {_words(notice)}")

    def close(self, seconds: float) -> None:
        """Nothing waits here."""


def _words(notice: EventNotice) -> str:
    event = notice.message.event
    what = _WORDS.get(event.kind, event.kind)
    if notice.message.kind is MessageKind.NEW:
        more = [f"1 normal frame in {1 / event.peak_p_value:,.0f}"] if event.peak_level else []
        more += ["provisional"] if event.provisional else []
        more += [f"in {', '.join(event.zones)}"] if event.zones else []
        more += [event.detail] if event.detail else []
        return f"{what}{': ' if more else ''}{'; '.join(more)}"
    lasted = f"over after {float(event.end - event.start):.1f} s"
    kept = [path for path in (event.snapshot, event.clip) if path]
    return f"{what} {lasted}{': ' if kept else ''}{', '.join(kept)}"


def _clock(moment: datetime) -> str:
    return moment.astimezone().strftime("%H:%M:%S")

"""A fault's row: a run with real servers, and the books that are kept of it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import av

from streamer.live.config import LiveConfig
from streamer.live.notices import CameraState
from streamer.live.receivers import STORE
from streamer.live.run import LiveTimes
from tests.benchmarks.live_bench import Cameras, Receiver, Scene
from tests.streamer.live.live_run import Run
from tests.streamer.live.servers import RtspServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.mosquitto import Listener

WATCHING = CameraState.WATCHING
HEALTHY = "healthy"
INTRUDED = 12.0
"""Seconds after an intruder was sent in which an anomaly of that camera may begin."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes:
        fault: what happened.
        detected, recovered: seconds; None where there is nothing to measure.
        lost: events missing somewhere.
        false: anomaly alarms without an intruder.
        note: what else is to be said.
        failed: it could not be measured.
    """

    HEAD: ClassVar[tuple[str, ...]] = (
        "fault",
        "time to detect",
        "time to recover",
        "events lost",
        "false anomaly alarms",
        "remarks",
    )

    fault: str
    detected: float | None = None
    recovered: float | None = None
    lost: int = 0
    false: int = 0
    note: str = ""
    failed: bool = False

    @property
    def cells(self) -> tuple[str, ...]:
        """As text."""
        times = ["-" if s is None else f"{s:.1f} s" for s in (self.detected, self.recovered)]
        return (self.fault, *times, str(self.lost), str(self.false), self.note)

    def to_json(self) -> str:
        """On one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Row:
        """From such a line."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is written after a run, against what should be.

    Attributes:
        out: the program's output folder.
        got: what each receiver took, in order.
        intrusions: cameras an intruder was sent past, with the moment in seconds since 1970.
    """

    out: Path
    got: Sequence[Sequence[dict[str, Any]]]
    intrusions: Sequence[tuple[str, float]]

    def row(self, fault: str, *, expected: Sequence[tuple[str, str]], note: str = "", **measured: Any) -> Row:
        """The row.

        Args:
            fault: what happened.
            expected: cameras and kinds of events that must be there.
            note: what else is to be said.
            measured: times, for :class:`Row`.
        """
        events = self._events()
        lost = sum(1 for pair in expected if pair not in {(camera, kind) for _, camera, kind, _, _ in events})
        logged = self._logged()
        lost += sum(1 for name, _, _, _, ended in events if ended and name not in logged)
        for got in self.got:
            told = {(m["message"], m["event"]["id"]) for m in got if m["message"] != "state"}
            lost += sum(1 for name, *_ in events if ("new", name) not in told or ("end", name) not in told)
            first = list(dict.fromkeys(m["sequence"] for m in got))
            if first != sorted(first):
                note = f"{note}; OUT OF ORDER"
        broken = self._unreadable(logged)
        if broken:
            note = f"{note}; EVIDENCE UNREADABLE: {', '.join(broken)}"
        for name, _, kind, _, _ in filter(self._false, events):
            note = f"{note}; FALSE: {kind} {name}, {logged.get(name, (None, {}))[1]}"
        others = [camera for _, camera, kind, _, _ in events if camera == HEALTHY and kind != "storage_full"]
        if others:
            note = f"{note}; THE HEALTHY CAMERA HAD {len(others)} EVENTS"
        return Row(fault, lost=lost, false=sum(map(self._false, events)), note=note, **measured)

    def _events(self) -> list[tuple[str, str, str, float, bool]]:
        """Id, camera, kind, start in seconds since 1970, and whether it has ended, of all events in the store."""
        with closing(sqlite3.connect(f"file:{self.out / STORE}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT id, camera, kind, record, end_at FROM events").fetchall()
        return [
            (name, camera, kind, json.loads(record)["start"], ended is not None)
            for name, camera, kind, record, ended in rows
        ]

    def _logged(self) -> dict[str, tuple[Path, dict[str, Any]]]:
        """Events of the cameras' logs, with the folder, by id."""
        logs = self.out.glob("*.avid/events.jsonl")
        return {
            event["id"]: (log.parent, event)
            for log in logs
            for event in map(json.loads, log.read_text(encoding="utf-8").splitlines())
        }

    def _false(self, event: tuple[str, str, str, float, bool]) -> bool:
        _, camera, kind, start, _ = event
        wanted = any(camera == whose and -1 <= start - at <= INTRUDED for whose, at in self.intrusions)
        return kind in {"anomaly", "forbidden_motion"} and not wanted

    @staticmethod
    def _unreadable(logged: dict[str, tuple[Path, dict[str, Any]]]) -> list[str]:
        """Clips that events name and PyAV cannot decode to the end."""
        return [
            name
            for name, (folder, event) in logged.items()
            if event["clip"] and not pictures_of(folder / event["clip"])
        ]


def pictures_of(clip: Path) -> int:
    """Pictures that can be decoded; 0 where the file cannot be read."""
    try:
        with av.open(str(clip)) as container:
            return sum(1 for _ in container.decode(video=0))
    except (av.FFmpegError, OSError):
        return 0


def published(listener: Listener) -> list[dict[str, Any]]:
    """The events that came over MQTT, in order."""
    return [
        json.loads(heard.payload) for heard in list(listener.heard) if heard.topic.endswith("/events") and heard.payload
    ]


@dataclass
class Bench:
    """One row: its scene, its folder, and everything that ends with it.

    Attributes:
        scene: what the cameras show.
        folder: of the row.
        stall: seconds without a picture after which a camera is connected anew.
        ending: closed at the end of the row.
        receiver: of a webhook, in every run.
        intrusions: cameras an intruder was sent past, with the moment.
        more_receivers: what others took, known at the end of the run.
    """

    scene: Scene
    folder: Path
    stall: float
    ending: ExitStack
    receiver: Receiver = field(default_factory=Receiver)
    intrusions: list[tuple[str, float]] = field(default_factory=list)
    more_receivers: list[list[dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ending.enter_context(self.receiver)

    @property
    def out(self) -> Path:
        """Where the program writes."""
        return self.folder / "out"

    def rtsp(self, **options: object) -> RtspServer:
        """A camera that plays the scene's clip."""
        return self.ending.enter_context(RtspServer(file=self.scene.clip, **options))

    def http(self, count: int = 1) -> Cameras:
        """Cameras that show what they are told."""
        return self.ending.enter_context(Cameras(self.scene, count))

    def settings(self, *cameras: dict[str, object], **more: object) -> dict[str, object]:
        """What ``cameras.yaml`` would say."""
        return {
            "output": str(self.out),
            "webhooks": [self.receiver.url],
            "metrics": "off",
            "retention": {"free": "1MB"},
            "defaults": {"model": str(self.scene.model), "stall": self.stall},
            "cameras": list(cameras),
            **more,
        }

    def healthy(self) -> dict[str, object]:
        """The camera beside the one that suffers."""
        return {"name": HEALTHY, "uri": self.rtsp().uri}

    @contextmanager
    def watch(self, *cameras: dict[str, object], wait: tuple[str, ...] = (), **more: object) -> Iterator[Run]:
        """A run that watches these cameras and a healthy one, once ``wait`` and that one are being watched."""
        config = LiveConfig.model_validate(self.settings(*cameras, self.healthy(), **more))
        with Run(config, LiveTimes()) as run:
            for name in (*wait, HEALTHY):
                run.wait_for(name, WATCHING, seconds=60)
                run.wait_scored(name)
            yield run

    def intrude(self, run: Run, cameras: Cameras, camera: str, number: int = 0) -> None:
        """Send an intruder past a camera, and wait for the event to end."""
        self.intrusions.append((camera, cameras.show(number, "intruder")))
        run.wait(lambda: run.events(camera, "anomaly"), 20)
        cameras.show(number, "normal")
        run.wait(lambda: "end" in [message.kind for message in run.events(camera, "anomaly")], 20)

    def row(self, fault: str, **measured: Any) -> Row:
        """The row, with what the books say."""
        got = [[message for _, message in self.receiver.got], *self.more_receivers]
        return Ledger(self.out, got, self.intrusions).row(fault, **measured)

"""A whole command line in process: work that only notes what it was asked."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from streamer.cli import main
from streamer.requests import FitOutcome, SourceOutcome, TuneOutcome, WatchOutcome


@dataclass
class Work:
    """Stands in for watch, fit and tune."""

    requests: list[Any] = field(default_factory=list)
    answer: Any = None

    def __call__(self, request, console):
        self.requests.append(request)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer(request, console) if callable(self.answer) else self.answer

    @property
    def request(self):
        assert len(self.requests) == 1
        return self.requests[0]


def _stand_in(monkeypatch, module: str, function: str, answer: Any) -> Work:
    work = Work(answer=answer)
    fake = ModuleType(module)
    setattr(fake, function, work)
    monkeypatch.setitem(sys.modules, module, fake)
    return work


@pytest.fixture
def watching(monkeypatch) -> Work:
    def done(request, console):
        return WatchOutcome(tuple(SourceOutcome(source, summary={"source": source}) for source in request.sources))

    return _stand_in(monkeypatch, "streamer.watch", "watch", done)


@pytest.fixture
def live_watching(monkeypatch) -> Work:
    """Stands in for the watch of live cameras; asked to stop at once."""

    def stopped(request, console):
        cameras = request.config.watched
        return WatchOutcome(tuple(SourceOutcome(camera.address) for camera in cameras), interrupted=True)

    return _stand_in(monkeypatch, "streamer.live.run", "watch_live", stopped)


@pytest.fixture
def fitting(monkeypatch) -> Work:
    outcome = FitOutcome(Path("gate.avid"), 900, 90.0, 1250, 41.3, 1.0, 12.0)
    return _stand_in(monkeypatch, "streamer.fit", "fit", outcome)


@pytest.fixture
def tuning(monkeypatch) -> Work:
    outcome = TuneOutcome(Path("gate.avid"), {"source": "gate.mp4"}, alarms=1, alarms_before=4)
    return _stand_in(monkeypatch, "streamer.tune_run", "tune", outcome)


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line on stderr; fails where there is more or less."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("avid-watch: ")
        return lines[0]


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """Run the command line in an empty folder that has gate.mp4, yard.mp4 and a finished run."""
    monkeypatch.chdir(tmp_path)
    for name in ("gate.mp4", "yard.mp4"):
        (tmp_path / name).write_bytes(b"not decoded here")
    (tmp_path / "gate.avid").mkdir()

    def run(*argv: str) -> Said:
        code = main(argv)
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return run

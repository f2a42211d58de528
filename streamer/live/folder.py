"""The folder of a live camera: its state and its evidence. A restart goes on in it; nothing in it is ever replaced."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Self

from preprocess.errors import OutputError
from streamer.sinks.json_text import json_bytes
from streamer.sinks.run_folder import CAMERA, EVENTS, SNAPSHOTS, SUFFIX, RunFolder
from streamer.sinks.writing import told_as_output_errors, write_whole
from streamer.sources.naming import without_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

LOCK = ".lock"
CLIPS = "clips"
RECORDINGS = "recordings"
LEARNED = "learned"
SCORE_DAYS = "scores"
FOLDERS = (CLIPS, SNAPSHOTS, RECORDINGS, SCORE_DAYS, LEARNED)
FORMAT = 1
BESIDE = "-live"
"""Ending of a camera's folder where a recording of the same name has taken its own."""

_ADVICE = "stop that one, or give this camera another name with --name"
_NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}


class OpenFiles:
    """Files that are being written just now, which the retention must leave alone; used by many threads."""

    def __init__(self) -> None:
        """None yet."""
        self._paths: set[Path] = set()
        self._lock = Lock()

    def add(self, path: Path) -> None:
        """The file is going to be written."""
        with self._lock:
            self._paths.add(path)

    def discard(self, path: Path) -> None:
        """The file is done with."""
        with self._lock:
            self._paths.discard(path)

    def paths(self) -> frozenset[Path]:
        """All of them."""
        with self._lock:
            return frozenset(self._paths)

    def __contains__(self, path: object) -> bool:
        with self._lock:
            return path in self._paths

    def delete(self, path: Path) -> bool:
        """Delete a file, unless it is being written; nobody can begin to write it meanwhile.

        Returns:
            Whether it is gone.

        Raises:
            OSError: it cannot be deleted.
        """
        with self._lock:
            if path in self._paths:
                return False
            path.unlink(missing_ok=True)
            return True


@dataclass(slots=True)
class LiveFolder:
    """Where everything of one live camera lies. Usable as a context manager, which gives the lock back.

    The lock is the system's own and ends with the process: a kill leaves nothing behind that would keep a restart out.

    Attributes:
        path: the folder, ``<directory>/<name>.avid``.
        name: the camera's name.
        created: when it was made; a restart does not change it.
        files: what is being written just now.
    """

    path: Path
    name: str
    created: datetime
    files: OpenFiles = field(default_factory=OpenFiles)
    _lock: int | None = None

    @classmethod
    def open(
        cls, directory: Path, name: str, uri: str = "", now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> Self:
        """Open the camera's folder, made where there is none, and lock it.

        Args:
            directory: where it lies.
            name: of the camera, safe as a file name.
            uri: its address, written to the marker without a password.
            now: the wall clock.

        Raises:
            OutputError: another program writes into it; neither ``<name>.avid`` nor ``<name>-live.avid`` can be used;
                a newer version made it; or it cannot be made.
        """
        path = live_path(directory, name)
        with told_as_output_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
        try:
            folder = cls(path, name, _mark(path, name, without_password(uri), now()), _lock=lock)
            with told_as_output_errors(path):
                for part in FOLDERS:
                    (path / part).mkdir(exist_ok=True)
        except BaseException:
            if lock is not None:
                os.close(lock)
            raise
        return folder

    @property
    def events(self) -> Path:
        """One JSON object per event and line; appended to, never cut."""
        return self.path / EVENTS

    @property
    def scores(self) -> Path:
        """Folder of one table per day, ``YYYY-MM-DD.csv``."""
        return self.path / SCORE_DAYS

    @property
    def snapshots(self) -> Path:
        """Folder of the events' peak pictures."""
        return self.path / SNAPSHOTS

    @property
    def clips(self) -> Path:
        """Folder of the events' evidence clips."""
        return self.path / CLIPS

    @property
    def recordings(self) -> Path:
        """Folder of the continuous recording, one folder per day."""
        return self.path / RECORDINGS

    @property
    def learned(self) -> Path:
        """Folder of what the camera learned; never deleted."""
        return self.path / LEARNED

    def as_run(self) -> RunFolder:
        """The same folder for those who write into the folder of a run, such as the keeper of snapshots."""
        return RunFolder(self.path, self.name)

    def close(self) -> None:
        """Give the lock back; may be called twice."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def live_path(directory: Path, name: str) -> Path:
    """The folder that the camera called ``name`` has, or would get; nothing is touched.

    ``<name>.avid``, unless a recording of that name was watched there: then ``<name>-live.avid``, and from then on
    always that one, so that what was learned in it is found again even where the recording's folder is gone.

    Raises:
        OutputError: something else bears both names.
    """
    candidates = _candidates(directory, name)
    with told_as_output_errors(candidates[0]):
        found = path_of_camera(directory, name)
        if found is not None:
            return found
        for path in candidates:
            if _is_free(path):
                return path
    first, second = candidates
    raise OutputError(
        f"{first}: holds something other than a live camera, and so does {second.name}; "
        "move one of them away, or choose another name with --name or another folder with -o"
    )


def path_of_camera(directory: Path, name: str) -> Path | None:
    """The folder that the camera called ``name`` has; None where it has none yet."""
    return next((path for path in _candidates(directory, name) if (path / CAMERA).is_file()), None)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a camera's folder, to change it while no run watches the camera.

    Raises:
        OutputError: a run holds it; one line says which process, and to stop it first.
    """
    lock = _lock(path, "stop it first: it keeps what it learned in memory and would write it back")
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _candidates(directory: Path, name: str) -> tuple[Path, Path]:
    return directory / f"{name}{SUFFIX}", directory / f"{name}{BESIDE}{SUFFIX}"


def _is_free(path: Path) -> bool:
    """Whether nothing is there, or no more than a kill while the folder was being made leaves behind."""
    if not path.is_dir():
        return not path.exists() and not path.is_symlink()
    return {entry.name for entry in path.iterdir()} <= {LOCK, f".{CAMERA}.tmp"}


def _lock(path: Path, advice: str = _ADVICE) -> int | None:
    """Lock the folder for this program; None where the file system knows no locks."""
    with told_as_output_errors(path):
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            os.close(lock)
            who = f"another avid-watch (process {holder})" if holder else "another avid-watch"
            raise OutputError(f"{path}: {who} writes into it; {advice}") from None
        except OSError as error:
            os.close(lock)
            if error.errno in _NO_LOCKS_HERE:
                return None
            raise
        with suppress(OSError):  # who holds it is good to know, and no reason to stop on a full disk
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode("ascii"), 0)
    return lock


def _mark(path: Path, name: str, uri: str, now: datetime) -> datetime:
    """Read the marker, or write it where it is absent, damaged or names another address; returns when it was made."""
    marker = path / CAMERA
    created = now
    with told_as_output_errors(marker):
        found = marker.read_bytes() if marker.is_file() else b""
    with suppress(ValueError, TypeError, KeyError, AttributeError):  # a damaged marker is written anew
        content = json.loads(found)
        if int(content["format"]) > FORMAT:
            raise OutputError(f"{path}: was made by a newer avid-watch; update this one, or choose another -o")
        created = datetime.fromisoformat(content["created"])
        if content["name"] == name and content.get("uri") == uri:
            return created
    write_whole(marker, json_bytes({"format": FORMAT, "name": name, "created": created, "uri": uri}, indent=2) + b"\n")
    return created

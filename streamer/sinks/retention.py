"""Retention: the oldest evidence goes first, by age, by bytes, and where the disk runs full.

What is deleted: whole files of ``clips/``, ``snapshots/``, ``recordings/`` and ``scores/``. Never: a file that is being
written, ``learned/``, ``events.jsonl``, the event store, or any file of another kind. Events keep their line, and may
name files that are gone.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamer.sinks.evidence_files import EvidenceFile, EvidenceFiles
from streamer.sinks.storage import free_bytes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from streamer.live.folder import LiveFolder
    from streamer.sinks.storage import StorageWatch

INTERVAL_SECONDS = 60.0
AGE_DAYS = 30.0
FREE_BYTES = 2**30
_DAY = 86400.0
_IN_VAIN_BYTES = 256 * 2**20
# So much deleted and nothing freed: it is not ours that fills the disk, or what we delete lies elsewhere.


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How much evidence is kept, of all cameras together.

    Attributes:
        age_days: older files are deleted, by the time they were last written; None: however old.
        most_bytes: of all evidence; None: without end.
        free_bytes: kept free on every disk, as far as deleting evidence can; 0: not looked at.
    """

    age_days: float | None = AGE_DAYS
    most_bytes: int | None = None
    free_bytes: int = FREE_BYTES

    def __post_init__(self) -> None:
        """Refuse negative bounds."""
        if min(self.age_days or 0, self.most_bytes or 0, self.free_bytes) < 0:
            raise ValueError("the bounds of the retention must not be negative")


@dataclass(slots=True)
class RetentionCounts:
    """What was deleted since the start, and what is kept.

    Attributes:
        files, bytes: deleted.
        kept_files, kept_bytes: there at the last look.
        refused: files that could not be deleted; tried again at the next look.
    """

    files: int = 0
    bytes: int = 0
    kept_files: int = 0
    kept_bytes: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Disk:
    """The cameras' folders that lie on one disk."""

    folders: list[LiveFolder] = field(default_factory=list)


class Retention:
    """Looks every minute, on a thread of its own once :meth:`start` is called, and deletes what has to go.

    A look lists only folders that have changed, and asks only for the size of files it does not know or that were
    being written: 100,000 files that stay as they are cost nothing.

    Attributes:
        counts: of what was deleted.
    """

    def __init__(
        self,
        folders: Sequence[LiveFolder],
        settings: RetentionSettings,
        storage: StorageWatch | None = None,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        now: Callable[[], float] = time.time,
        free: Callable[[Path], int] = free_bytes_of,
    ) -> None:
        """Prepare; nothing is deleted yet.

        Args:
            folders: of all cameras; :meth:`watch` changes them.
            settings: the bounds.
            storage: told where a disk stays too full whatever is deleted.
            interval_seconds: between two looks.
            now: seconds since 1970, as files' times are.
            free: free bytes of the disk that holds a path.
        """
        self.counts = RetentionCounts()
        self._settings = settings
        self._storage = storage
        self._interval = interval_seconds
        self._now = now
        self._free = free
        self._files: dict[Path, EvidenceFiles] = {}
        self._folders: list[LiveFolder] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ending = False
        self._thread: threading.Thread | None = None
        self.watch(folders)

    def watch(self, folders: Sequence[LiveFolder]) -> None:
        """Look after these folders from now on: cameras came or went."""
        with self._lock:
            self._folders = list(folders)
            paths = {folder.path for folder in folders}
            self._files = {path: files for path, files in self._files.items() if path in paths}

    def start(self) -> None:
        """Begin to look by itself."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="avid-retention", daemon=True)
            self._thread.start()

    def hurry(self) -> None:
        """Look at once: there is no room left. Returns at once."""
        self._wake.set()

    def close(self, seconds: float) -> None:
        """End the thread within so many seconds; may be called twice."""
        self._ending = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(max(0.0, seconds))

    def look(self) -> int:
        """Look once and delete what has to go; returns the number of files deleted."""
        with self._lock:
            folders = list(self._folders)
            for folder in folders:
                self._files.setdefault(folder.path, EvidenceFiles(folder)).refresh(self._now())
            before = self.counts.files
            self._delete_the_old()
            self._delete_the_most()
            for disk in _disks(folders):
                self._make_room(disk)
            known = [files for folder in folders if (files := self._files.get(folder.path)) is not None]
            self.counts.kept_files = sum(files.count for files in known)
            self.counts.kept_bytes = sum(files.bytes for files in known)
            return self.counts.files - before

    def _delete_the_old(self) -> None:
        if self._settings.age_days is None:
            return
        oldest = self._now() - self._settings.age_days * _DAY
        for files in self._files.values():
            for file in files.oldest_first():
                if file.written >= oldest or self._ending:
                    break
                self._delete(files, file)

    def _delete_the_most(self) -> None:
        most = self._settings.most_bytes
        if most is None:
            return
        total = sum(files.bytes for files in self._files.values())
        if total <= most:
            return
        for files, file in _oldest_of(list(self._files.values())):
            if total <= most or self._ending:
                return
            if self._delete(files, file):
                total -= file.size

    def _make_room(self, disk: _Disk) -> None:
        wanted = self._settings.free_bytes
        where = disk.folders[0].path
        free = self._free_bytes(where)
        if wanted == 0 or free is None or free >= wanted:
            return
        began, deleted = free, 0
        for files, file in _oldest_of([self._files[folder.path] for folder in disk.folders]):
            in_vain = deleted >= _IN_VAIN_BYTES and free < began + deleted // 10
            if self._ending or in_vain:
                break
            if not self._delete(files, file):
                continue
            deleted += file.size
            free = self._free_bytes(where) or 0
            if free >= wanted:
                return
        if self._storage is not None and not self._ending:
            reason = f"only {free // 2**20} MB are free on the disk"
            self._storage.failed(disk.folders[0].name, where, reason, room_bytes=wanted)

    def _delete(self, files: EvidenceFiles, file: EvidenceFile) -> bool:
        """Delete a file unless it is being written; True where it is gone."""
        try:
            if not files.folder.files.delete(file.path):
                return False
        except OSError:
            self.counts.refused += 1
            return False
        files.forget(file)
        self.counts.files += 1
        self.counts.bytes += file.size
        return True

    def _free_bytes(self, path: Path) -> int | None:
        try:
            return self._free(path)
        except OSError:
            return None

    def _run(self) -> None:
        while not self._ending:
            with suppress(OSError):  # a disk that does not answer may do so at the next look
                self.look()
            self._wake.wait(self._interval)
            self._wake.clear()


def _oldest_of(all_files: list[EvidenceFiles]) -> list[tuple[EvidenceFiles, EvidenceFile]]:
    """The files of several cameras together, oldest first."""
    pairs = [(files, file) for files in all_files for file in files.oldest_first()]
    pairs.sort(key=lambda pair: pair[1].order)
    return pairs


def _disks(folders: list[LiveFolder]) -> list[_Disk]:
    disks: dict[int, _Disk] = {}
    for folder in folders:
        try:
            device = folder.path.stat().st_dev
        except OSError:
            continue
        disks.setdefault(device, _Disk()).folders.append(folder)
    return list(disks.values())

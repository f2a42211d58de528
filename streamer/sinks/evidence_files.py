"""What evidence a camera's folder holds, kept up to date without listing everything every time."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.live.folder import CLIPS, RECORDINGS, SCORE_DAYS
from streamer.sinks.run_folder import SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamer.live.folder import LiveFolder

KINDS = {CLIPS: (".mp4", ".mkv"), SNAPSHOTS: (".jpg",), RECORDINGS: (".mp4",), SCORE_DAYS: (".csv",)}
"""Files that the retention may delete, by folder; whatever else lies there is not ours."""

_YOUNG_SECONDS = 300.0
# A file written within this time may have grown since: its size is asked for again.

_LEFT_OVER_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file.

    Attributes:
        path: where it is.
        written: when last, seconds since 1970.
        size: bytes.
    """

    path: Path
    written: float
    size: int

    @property
    def order(self) -> tuple[float, str]:
        """Oldest first."""
        return self.written, str(self.path)


@dataclass(slots=True)
class _Listing:
    """A folder as it was listed last."""

    changed: int = -1  # its own modification time, nanoseconds
    listed_at: float = 0.0
    files: dict[str, EvidenceFile] = field(default_factory=dict)
    young: set[str] = field(default_factory=set)  # names of those that may still grow


class EvidenceFiles:
    """The evidence of one camera.

    Attributes:
        folder: of the camera.
        bytes: of all files together.
        listings: folders listed so far, to show that unchanged ones are not.
    """

    def __init__(self, folder: LiveFolder) -> None:
        """Nothing is known yet; see :meth:`refresh`."""
        self.folder = folder
        self.bytes = 0
        self.listings = 0
        self._listings: dict[Path, _Listing] = {}
        self._sorted: list[EvidenceFile] | None = None

    @property
    def count(self) -> int:
        """Files known."""
        return sum(len(listing.files) for listing in self._listings.values())

    def refresh(self, now: float) -> None:
        """Take in what was added, changed or taken away since the last time.

        Args:
            now: seconds since 1970.
        """
        wanted: dict[Path, tuple[str, ...]] = {}
        for name, endings in KINDS.items():
            folder = self.folder.path / name
            if name == RECORDINGS:
                wanted |= dict.fromkeys(self._days(folder), endings)
            else:
                wanted[folder] = endings
        for gone in self._listings.keys() - wanted.keys():
            for file in list(self._listings[gone].files.values()):
                self.forget(file)
            del self._listings[gone]
        for folder, endings in wanted.items():
            self._refresh(folder, endings, now)

    def oldest_first(self) -> Iterator[EvidenceFile]:
        """All files known, by the time they were last written."""
        if self._sorted is None:
            files = [file for listing in self._listings.values() for file in listing.files.values()]
            self._sorted = sorted(files, key=lambda file: file.order)
        return iter(list(self._sorted))

    def forget(self, file: EvidenceFile) -> None:
        """The file is gone; a day of recordings goes with its last one."""
        listing = self._listings.get(file.path.parent)
        if listing is None or listing.files.pop(file.path.name, None) is None:
            return
        self.bytes -= file.size
        self._sorted = None
        if not listing.files and file.path.parent.parent == self.folder.recordings:
            with suppress(OSError):  # something else lies there, or a new file just began
                file.path.parent.rmdir()

    def _days(self, recordings: Path) -> list[Path]:
        try:
            with os.scandir(recordings) as entries:
                return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            return []

    def _refresh(self, folder: Path, endings: tuple[str, ...], now: float) -> None:
        listing = self._listings.setdefault(folder, _Listing())
        try:
            changed = folder.stat().st_mtime_ns
        except OSError:
            changed = -1
        # A file added within the clock tick of the listing would leave the folder's time as it is.
        if changed != listing.changed or changed / 1e9 > listing.listed_at - 2:
            self._list(folder, listing, endings, now)
            listing.changed, listing.listed_at = changed, now
        growing = {path.name for path in self.folder.files.paths() if path.parent == folder}
        for name in list((listing.young | growing) & listing.files.keys()):
            self._look_at(listing, folder / name)
        young = {name for name in listing.young & listing.files.keys() if self._is_young(listing, name, now)}
        listing.young = young | (growing & listing.files.keys())

    def _list(self, folder: Path, listing: _Listing, endings: tuple[str, ...], now: float) -> None:
        self.listings += 1
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries]
        except OSError:
            names = []
        found = {name for name in names if name.endswith(endings) or self._is_left_over(folder / name, now)}
        for name in listing.files.keys() - found:
            self.forget(listing.files[name])
        for name in found - listing.files.keys():
            self._look_at(listing, folder / name)
            listing.young.add(name)

    @staticmethod
    def _is_young(listing: _Listing, name: str, now: float) -> bool:
        return listing.files[name].written > now - _YOUNG_SECONDS

    @staticmethod
    def _is_left_over(path: Path, now: float) -> bool:
        """Whether a kill left this half of a file behind (see :func:`streamer.sinks.writing.write_whole`)."""
        if not (path.name.startswith(".") and path.name.endswith(".tmp")):
            return False
        try:
            return path.lstat().st_mtime < now - _LEFT_OVER_SECONDS
        except OSError:
            return False

    def _look_at(self, listing: _Listing, path: Path) -> None:
        """Take in a file's size and time; one that is a link or gone is left out."""
        known = listing.files.get(path.name)
        try:
            told = path.lstat()
        except OSError:
            if known is not None:
                self.forget(known)
            return
        if not stat.S_ISREG(told.st_mode):
            return
        if known is not None and (known.size, known.written) == (told.st_size, told.st_mtime):
            return
        self.bytes += told.st_size - (0 if known is None else known.size)
        listing.files[path.name] = EvidenceFile(path, told.st_mtime, told.st_size)
        self._sorted = None

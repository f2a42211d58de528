"""The folder of one watched source: its name, its files, and the promise to overwrite nobody's results unasked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Self

from preprocess.errors import OutputError
from streamer.sinks.writing import temporary, told_as_output_errors
from streamer.sources.naming import name_of, without_password

if TYPE_CHECKING:
    from collections.abc import Iterable

SUFFIX = ".avid"
EVENTS = "events.jsonl"
SCORES = "scores.csv"
MAPS = "maps.avmaps"
SUMMARY = "summary.json"
VIDEO = "annotated.mp4"
SNAPSHOTS = "snapshots"
CAMERA = "camera.json"
"""Marks the folder of a live camera, which is state and no run's to replace."""
OWN_FILES = (EVENTS, SCORES, MAPS, SUMMARY, VIDEO)
"""Files of a run folder; with ``force`` these, and the snapshots, are all that is ever deleted."""

_LONGEST_NAME = 180  # bytes: a snapshot's file name is longer by the event's time, and 255 is the limit of file systems
_FORBIDDEN_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def run_name(text: str) -> str:
    """A name that is safe as part of a file name everywhere; a password in an address is left out.

    Args:
        text: a source's name, the name the user gave, or an address.
    """
    name = name_of(PurePath(without_password(text).replace("://", "_").replace("/", "_")), is_folder=True)
    name = name.encode("utf-8", "replace")[:_LONGEST_NAME].decode("utf-8", "ignore")
    return f"_{name}" if _FORBIDDEN_ON_WINDOWS.fullmatch(name) else name


def distinct_names(texts: Iterable[str]) -> list[str]:
    """One run name per source; equal ones, upper and lower case alike, get ``-2``, ``-3`` and so on."""
    wanted = [run_name(text) for text in texts]
    taken: set[str] = set()
    plain = {name.casefold() for name in wanted}
    names = []
    for name in wanted:
        chosen, number = name, 1
        while chosen.casefold() in taken or (number > 1 and chosen.casefold() in plain):
            number += 1
            chosen = f"{name}-{number}"
        taken.add(chosen.casefold())
        names.append(chosen)
    return names


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where the results of one source lie.

    Attributes:
        path: the folder, ``<directory>/<name>.avid``.
        name: the name without the suffix; the source's id in events and snapshots.
    """

    path: Path
    name: str

    @classmethod
    def at(cls, directory: Path, name: str) -> Self:
        """The folder of the source called ``name``; nothing is touched."""
        return cls(directory / f"{name}{SUFFIX}", name)

    @classmethod
    def of(cls, path: Path) -> Self:
        """The folder of a finished run."""
        return cls(path, path.name.removesuffix(SUFFIX))

    @property
    def events(self) -> Path:
        """One JSON object per event and line."""
        return self.path / EVENTS

    @property
    def scores(self) -> Path:
        """One row per frame."""
        return self.path / SCORES

    @property
    def maps(self) -> Path:
        """The level maps of all scored frames."""
        return self.path / MAPS

    @property
    def summary(self) -> Path:
        """What was run, and what came out."""
        return self.path / SUMMARY

    @property
    def video(self) -> Path:
        """The annotated recording."""
        return self.path / VIDEO

    @property
    def snapshots(self) -> Path:
        """Folder of the events' peak pictures."""
        return self.path / SNAPSHOTS

    def check(self, *, force: bool = False) -> None:
        """Refuse at once what :meth:`create` would refuse, before anything slow is begun.

        Raises:
            OutputError: there is a run in the folder and ``force`` is not set, it is a live camera's, or something else
                bears its name.
        """
        if (self.path / CAMERA).is_file():
            raise OutputError(
                f"{self.path}: is the folder of a live camera, which no run replaces; "
                "choose another name with --name, or another folder with -o"
            )
        if self.path.is_dir():
            if not force and any(self.path.iterdir()):
                raise OutputError(
                    f"{self.path}: exists already; --force replaces its results, -o DIR puts new ones elsewhere"
                )
        elif self.path.exists() or self.path.is_symlink():
            raise OutputError(f"{self.path}: is not a folder; move it away, or choose another folder with -o")

    def reserve(self, *, force: bool = False) -> None:
        """Make the folder where there is none, so that what follows cannot be in vain; results in it stay.

        Raises:
            OutputError: see :meth:`check`; or the folder cannot be made.
        """
        with told_as_output_errors(self.path):
            self.check(force=force)
            self.path.mkdir(parents=True, exist_ok=True)
            self.snapshots.mkdir(exist_ok=True)

    def create(self, *, force: bool = False) -> None:
        """Make the folder, empty of results.

        With ``force``, results of an earlier run are deleted, and nothing else that lies in the folder.

        Raises:
            OutputError: see :meth:`check`; or the folder cannot be made.
        """
        self.reserve(force=force)
        if force:
            self.clear()

    def discard_if_empty(self) -> None:
        """Take the folder away again where the run came to nothing."""
        for folder in (self.snapshots, self.path):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def outputs(self) -> dict[str, str]:
        """What there is by now: file name by kind, relative to the folder; for the summary."""
        kinds = {"video": VIDEO, "events": EVENTS, "scores": SCORES, "maps": MAPS}
        found = {kind: file for kind, file in kinds.items() if (self.path / file).is_file()}
        if self.snapshots.is_dir() and any(self.snapshots.iterdir()):
            found["snapshots"] = f"{SNAPSHOTS}/"
        return {**found, "summary": SUMMARY}

    def clear(self) -> None:
        """Delete results of an earlier run, and nothing else that lies in the folder.

        Raises:
            OutputError: they cannot be deleted.
        """
        with told_as_output_errors(self.path):
            for file in OWN_FILES:
                (self.path / file).unlink(missing_ok=True)
                temporary(self.path / file).unlink(missing_ok=True)
        self.clear_snapshots()

    def clear_snapshots(self) -> None:
        """Delete the events' peak pictures, and nothing else.

        Raises:
            OutputError: they cannot be deleted.
        """
        ours = re.compile(rf"{re.escape(self.name)}--?\d+(-\d+)?\.jpg")
        with told_as_output_errors(self.snapshots):
            if self.snapshots.is_dir():
                for picture in self.snapshots.iterdir():
                    if ours.fullmatch(picture.name):
                        picture.unlink()

"""A changed cameras file while everything runs: what is different, and when to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from preprocess.errors import UsageError
from streamer.live.config import CameraConfig, LiveConfig
from streamer.live.config_file import read_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Changes:
    """What to do with each camera; one that is not enabled counts as not there.

    Attributes:
        added: cameras to begin with.
        removed: cameras to end, as they were.
        changed: cameras to end and begin anew, as they are now.
        same: cameras that must not notice.
        shared: keys that concern all cameras and differ: they take a restart.
    """

    added: tuple[CameraConfig, ...]
    removed: tuple[CameraConfig, ...]
    changed: tuple[CameraConfig, ...]
    same: tuple[CameraConfig, ...]
    shared: tuple[str, ...]


def changes(old: LiveConfig, new: LiveConfig) -> Changes:
    """Compare two configurations camera by camera, by name; the order of the cameras means nothing."""
    before = {camera.name: camera for camera in old.watched}
    now = {camera.name: camera for camera in new.watched}
    both = [camera for name, camera in now.items() if name in before]
    shared = [
        name
        for name in LiveConfig.model_fields
        if name not in {"cameras", "defaults"} and getattr(old, name) != getattr(new, name)
    ]
    return Changes(
        added=tuple(camera for name, camera in now.items() if name not in before),
        removed=tuple(camera for name, camera in before.items() if name not in now),
        changed=tuple(camera for camera in both if camera != before[camera.name]),
        same=tuple(camera for camera in both if camera == before[camera.name]),
        shared=tuple(shared),
    )


_Stamp = tuple[int, int, int] | None


class ConfigReloader:
    """Tells when a cameras file has changed; a broken one is warned of once and changes nothing."""

    def __init__(self, path: Path, config: LiveConfig, warn: Callable[[str], None]) -> None:
        """Start from what runs.

        Args:
            path: the cameras file.
            config: what was read from it and runs.
            warn: says one line to the user.
        """
        self._path = path
        self._config = config
        self._warn = warn
        self._seen = self._look()
        self._stamp: _Stamp = None  # the file may have changed since it was read: the first look reads it again
        self._told = ""

    @property
    def config(self) -> LiveConfig:
        """The configuration in force: the latest one that could be read."""
        return self._config

    def poll(self) -> Changes | None:
        """Look whether the file is another one; call it about once a second.

        A file is read once it has looked the same twice, so that a half-written one is not.

        Returns:
            What to do; None where there is nothing.
        """
        stamp = self._look()
        settled, self._seen = stamp == self._seen, stamp
        if stamp is None or stamp == self._stamp or not settled:
            return None  # an editor may take the file away for a moment before it puts the new one there
        return self._read()

    def reload(self) -> Changes | None:
        """Read the file now, whatever it looks like: what SIGHUP asks for.

        Whoever asks is told what is wrong with it each time.

        Returns:
            What to do; None where it is broken or says the same as before.
        """
        self._told = ""
        return self._read()

    def _read(self) -> Changes | None:
        self._stamp = self._seen = self._look()
        try:
            config = read_config(self._path)
        except UsageError as error:
            text = f"{error}; everything goes on with the settings of before"
            if text != self._told:
                self._warn(text)
            self._told = text
            return None
        self._told = ""
        found = changes(self._config, config)
        self._config = config
        different = found.added or found.removed or found.changed or found.shared
        return found if different else None

    def _look(self) -> _Stamp:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

"""The files of one evidence clip: one where all goes well, a further part after every break of the stream."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import av

from streamer.live.folder import CLIPS
from streamer.sinks.packet_file import PacketFile, ending_for
from streamer.sinks.storage import storage_reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.live.camera_source import EncodedPacket, EncodedStream
    from streamer.live.folder import LiveFolder
    from streamer.live.packet_ring import Piece
    from streamer.sinks.storage import StorageWatch

MOST_PARTS = 20
_ENDINGS = (".mp4", ".mkv")


def free_stem(folder: LiveFolder, wanted: str) -> str:
    """A file name without ending that no clip has yet: no evidence is ever overwritten."""
    stem, number = wanted.replace("/", "_"), 1
    while any((folder.clips / f"{stem}{ending}").exists() for ending in _ENDINGS):
        number += 1
        stem = f"{wanted.replace('/', '_')}-again{number}"
    return stem


class ClipFiles:
    """Writes the packets of one clip; used by the writer's thread alone, but for :attr:`first`.

    A failure ends the part, not the clip: with room again, and with another stream, it goes on at a key frame.

    Attributes:
        stem: name of the first part without its ending; the second is ``<stem>-part2``.
        first: path of the first part relative to the camera's folder; None until there is one.
        parts: files written.
        fault: what went wrong other than with the disk; None where nothing did.
    """

    def __init__(
        self,
        folder: LiveFolder,
        wanted: str,
        storage: StorageWatch,
        *,
        most_parts: int,
        quiet_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """Prepare; nothing is written yet.

        Args:
            folder: of the camera.
            wanted: the event's id, which names the files.
            storage: asked before, and told of every failure.
            most_parts: files at most.
            quiet_seconds: without a packet for so long, the file is closed.
            clock: monotonic seconds.
        """
        self.stem = free_stem(folder, wanted)
        self.first: str | None = None
        self.parts = 0
        self.fault: str | None = None
        self._folder = folder
        self._storage = storage
        self._most_parts = most_parts
        self._quiet_seconds = quiet_seconds
        self._clock = clock
        self._file: PacketFile | None = None
        self._stream: EncodedStream | None = None
        self._refused: EncodedStream | None = None
        self._taken = 0.0

    def take_all(self, piece: Piece) -> None:
        """Write the pre-roll."""
        for packet in piece.packets:
            self.take(piece.stream, packet)

    def take(self, stream: EncodedStream, packet: EncodedPacket) -> None:
        """Write a packet, in a new file where the stream is another one."""
        if stream == self._refused or not self._storage.may_write():
            self.pause()
            return
        if self._stream != stream:
            self.pause()
        self._taken = self._clock()
        try:
            if self._file is None:
                if not packet.is_keyframe or self.parts >= self._most_parts:
                    return
                self._open(stream)
            if self._file is not None:
                self._file.write(packet)
        except (av.FFmpegError, OSError, ValueError) as error:
            self._failed(stream, error)

    def pause(self) -> None:
        """Complete the file that is open; the next key frame begins another."""
        file, self._file = self._file, None
        self._stream = None
        if file is None:
            return
        try:
            file.close()
        except (av.FFmpegError, OSError) as error:
            self._tell(error)
        finally:
            self._release(file)

    def look_for_quiet(self) -> None:
        """Complete the file where nothing came for long."""
        if self._file is not None and self._clock() - self._taken > self._quiet_seconds:
            self.pause()

    def _open(self, stream: EncodedStream) -> None:
        name = self.stem if self.parts == 0 else f"{self.stem}-part{self.parts + 1}"
        path = self._folder.clips / f"{name}{ending_for(stream)}"
        self._folder.files.add(path)
        try:
            self._file = PacketFile(path, stream)
        except BaseException:
            self._folder.files.discard(path)
            raise
        self._stream = stream
        self.parts += 1
        if self.first is None:
            self.first = f"{CLIPS}/{path.name}"

    def _failed(self, stream: EncodedStream, error: Exception) -> None:
        file, self._file = self._file, None
        self._stream = None
        if file is not None:
            with suppress(av.FFmpegError, OSError):
                file.close()
            self._release(file)
        if not self._tell(error):
            self._refused = stream

    def _release(self, file: PacketFile) -> None:
        """The file is done; one without a picture is gone, and no part of the clip."""
        self._folder.files.discard(file.path)
        if not file.path.exists():
            self.parts -= 1
            if self.parts == 0:
                self.first = None

    def _tell(self, error: Exception) -> bool:
        """Say what went wrong; True where it was the disk, which stops all recording."""
        reason = storage_reason(error)
        if reason is None:
            self.fault = str(error)
            return False
        self._storage.failed(self._folder.name, self._folder.clips, reason)
        return True

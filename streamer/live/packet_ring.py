"""The last seconds of a camera's own encoded stream, kept for the pre-roll of evidence clips.

Packets, not pictures: ten seconds at 4 Mb/s are 5 MB, and 1.5 GB as decoded 1080p.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from streamer.live.camera_source import EncodedPacket, EncodedStream

MOST_BYTES = 64 * 2**20
_SET_BACK = timedelta(seconds=1)  # the wall clock was set back: what came before has no place on it


@dataclass(frozen=True, slots=True)
class Piece:
    """Packets that a decoder can read in one go.

    Attributes:
        stream: what a muxer must know of them.
        packets: in the order they came; the first one is a key frame.
    """

    stream: EncodedStream
    packets: tuple[EncodedPacket, ...]


@dataclass(slots=True)
class _Group:
    """A key frame and everything up to the next one."""

    stream: EncodedStream
    packets: list[EncodedPacket] = field(default_factory=list)
    bytes: int = 0

    @property
    def began(self) -> datetime:
        return self.packets[0].arrived

    @property
    def ended(self) -> datetime:
        return self.packets[-1].arrived


class PacketRing:
    """Keeps at least the last ``seconds`` of packets, in whole groups from key frame to key frame; thread-safe.

    Where a camera sends more than ``most_bytes`` in that time, or no key frame for so long, less is kept: the bound on
    memory holds in any case. Packets before the first key frame of a connection are of no use and are not kept.

    Attributes:
        stream: of the packets that come; None before the first connection.
        shortened: groups thrown away before their time because of ``most_bytes``.
    """

    def __init__(self, seconds: float, most_bytes: int = MOST_BYTES) -> None:
        """Start empty.

        Args:
            seconds: at least so much is kept, where it fits.
            most_bytes: bound on what is kept.
        """
        if seconds < 0 or most_bytes <= 0:
            raise ValueError("a packet ring keeps some seconds and some bytes")
        self._seconds = timedelta(seconds=seconds)
        self._most_bytes = most_bytes
        self._groups: deque[_Group] = deque()
        self._bytes = 0
        self._complete = False  # the last group goes on: nothing of it is missing so far
        self._lock = Lock()
        self.stream: EncodedStream | None = None
        self.shortened = 0

    @property
    def bytes(self) -> int:
        """Bytes kept just now."""
        with self._lock:
            return self._bytes

    @property
    def latest(self) -> datetime | None:
        """When the newest packet kept came; None where there is none."""
        with self._lock:
            return self._groups[-1].ended if self._groups else None

    def begin(self, stream: EncodedStream) -> None:
        """Packets of a new connection, or of a changed stream, follow."""
        with self._lock:
            self.stream = stream
            self._complete = False

    def add(self, packet: EncodedPacket) -> bool:
        """Take the next packet; False where a decoder could not use it, for want of a key frame before it."""
        with self._lock:
            if self.stream is None or packet.epoch != self.stream.epoch:
                return False
            if self._groups and packet.arrived < self._groups[-1].ended - _SET_BACK:
                self._forget()
            if packet.is_keyframe:
                self._groups.append(_Group(self.stream))
                self._complete = True
            elif not self._complete:
                return False
            group = self._groups[-1]
            group.packets.append(packet)
            group.bytes += len(packet.data)
            self._bytes += len(packet.data)
            self._throw_away(packet.arrived)
            return True

    def since(self, moment: datetime) -> list[Piece]:
        """What is kept from ``moment`` on, one piece per connection, oldest first.

        The first piece begins with the last key frame at or before the moment, or with the oldest one kept.
        Connections that ended before the moment are left out.
        """
        with self._lock:
            groups = list(self._groups)
            pieces: list[Piece] = []
            taken: list[EncodedPacket] = []
            for index, group in enumerate(reversed(groups), start=1):
                taken = [*group.packets, *taken]
                older = groups[-index - 1] if index < len(groups) else None
                if older is None or older.stream is not group.stream or group.began <= moment:
                    pieces.append(Piece(group.stream, tuple(taken)))
                    taken = []
                    if older is None or older.ended < moment or group.began <= moment:
                        break
            return [piece for piece in reversed(pieces) if piece.packets[-1].arrived >= moment]

    def clear(self) -> None:
        """Throw everything away; the next piece begins with the next key frame."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self._groups.clear()
        self._bytes = 0
        self._complete = False

    def _throw_away(self, now: datetime) -> None:
        while len(self._groups) > 1 and self._groups[1].began <= now - self._seconds:
            self._bytes -= self._groups.popleft().bytes
        while self._bytes > self._most_bytes:
            self._bytes -= self._groups.popleft().bytes
            self._complete = bool(self._groups)
            self.shortened += 1

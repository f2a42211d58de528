"""The source's sound for the annotated video: packets copied where MP4 can hold them, re-encoded to AAC otherwise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from numpy.typing import NDArray

    SoundPacket = Packet[Any]

COPIED_CODECS = frozenset({"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"})
"""What players expect to find in MP4."""

_DESCRIBED_CODECS = frozenset({"aac", "opus", "flac", "alac"})
# These need the codec's description in the header. MPEG-TS carries AAC and Opus without one.

_LATE = Fraction(1, 2)
# MP4's first header waits for a packet of every track: sound that begins later than this many seconds after the first
# picture would keep the file unreadable until then. Such sound is re-encoded behind silence.

_GAP = Fraction(1, 10)
# Longer holes in the sound are filled with silence; longer steps back are taken for a new start of its clock.

_PEEK_PACKETS = 2000
_AAC_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})


class AudioTrack(ABC):
    """Sound that keeps pace with the pictures.

    Attributes:
        note: what the summary should say of the sound; None where it was copied as it is.
    """

    def __init__(self, reader: _Reader, note: str | None) -> None:
        self.note = note
        self._reader = reader

    @abstractmethod
    def until(self, end: Fraction) -> Iterator[SoundPacket]:
        """Packets, ready to be muxed, that begin before ``end`` (seconds after the first picture)."""

    def finish(self, end: Fraction) -> Iterator[SoundPacket]:
        """The last packets: up to the end of the last picture."""
        yield from self.until(end)

    def close(self) -> None:
        """Close the source; may be called twice."""
        self._reader.close()

    def _say_where_it_ended(self, at: Fraction) -> None:
        if self._reader.broken:
            ending = f"the audio ends at {float(at):.1f} s: it could not be read any further"
            self.note = f"{self.note}; {ending}" if self.note else ending


def open_audio(source: str | Path, origin: Fraction, output: OutputContainer) -> tuple[AudioTrack | None, str | None]:
    """Find the source's first audio stream and give it a track in ``output``.

    Args:
        source: file or address the pictures came from.
        origin: PTS of the first picture, in seconds of the source's clock; the sound before it is left out.
        output: the MP4, its header not yet written.

    Returns:
        The track, None where there is nothing to carry over; and the note for the summary.
    """
    local = Path(source)
    # An absolute path: FFmpeg would take a name such as "gate:1.mp4" for an address.
    name = str(local.absolute()) if local.exists() else str(source)
    try:
        container = av.open(name)
    except (av.FFmpegError, OSError):
        return None, "the audio was left out: the source could not be opened a second time"
    if not container.streams.audio:
        container.close()
        return None, None
    stream = container.streams.audio[0]
    try:
        reader = _Reader(container, stream, origin)
        return _make_track(reader, output)
    except (av.FFmpegError, OSError, ValueError) as error:
        container.close()
        return None, f"the audio was left out: {_reason(error)}"


def _make_track(reader: _Reader, output: OutputContainer) -> tuple[AudioTrack, str | None]:
    """Choose between copying and encoding."""
    context = reader.stream.codec_context
    codec = context.codec.canonical_name
    late = reader.begins is None or reader.begins > _LATE
    described = codec not in _DESCRIBED_CODECS or bool(context.extradata)
    if codec in COPIED_CODECS and described and not late:
        return _CopiedAudio(reader, output.add_stream_from_template(reader.stream)), None
    if codec in COPIED_CODECS and described:
        note = f"the audio ({codec}) was re-encoded to AAC: it does not begin with the pictures"
    else:
        note = f"the audio ({codec}) was re-encoded to AAC: MP4 cannot hold it as it is"
    return _EncodedAudio(reader, output, note), note


class _Reader:
    """Audio packets of one stream, one ahead; a damaged source ends the sound, never the pictures."""

    def __init__(self, container: InputContainer, stream: AudioStream, origin: Fraction) -> None:
        self.stream = stream
        self.origin = origin
        self.broken = False
        self._container = container
        # Video packets are read along only to know how far the source has been read.
        wanted: list[Stream] = [stream, *container.streams.video[:1]]
        self._demuxed: Iterator[SoundPacket] | None = iter(container.demux(wanted))
        self._ahead: deque[SoundPacket] = deque()
        self.begins = self._find_begin()

    def _find_begin(self) -> Fraction | None:
        """Seconds from the first picture to the first packet; None where none comes near it."""
        for _ in range(_PEEK_PACKETS):
            packet = self._read()
            if packet is None:
                return None
            time = _time(packet)
            if packet.stream.type == "audio":
                self._ahead.append(packet)
                if time is not None and time >= self.origin:
                    return time - self.origin
            elif time is not None and time > self.origin + 2 * _LATE:
                return None
        return None

    def next(self) -> SoundPacket | None:
        """The next audio packet, None at the end."""
        while not self._ahead:
            packet = self._read()
            if packet is None:
                return None
            if packet.stream.type == "audio":
                self._ahead.append(packet)
        return self._ahead.popleft()

    def _read(self) -> SoundPacket | None:
        if self._demuxed is None:
            return None
        try:
            return next(self._demuxed, None)
        except (av.FFmpegError, OSError):
            self.broken = True
            return None

    def close(self) -> None:
        self._demuxed = None
        self._ahead.clear()
        self._container.close()


def _time(packet: SoundPacket) -> Fraction | None:
    return None if packet.pts is None else packet.pts * packet.time_base


class _CopiedAudio(AudioTrack):
    """Packet by packet, moved to the pictures' origin."""

    def __init__(self, reader: _Reader, out: AudioStream) -> None:
        super().__init__(reader, None)
        self._out = out
        self._offset = -reader.origin
        self._end = Fraction(0)
        self._next: tuple[Fraction, SoundPacket] | None = None

    def until(self, end: Fraction) -> Iterator[SoundPacket]:
        while True:
            self._next = self._next or self._fetch()
            if self._next is None or self._next[0] >= end:
                return
            _, packet = self._next
            self._next = None
            yield packet

    def _fetch(self) -> tuple[Fraction, SoundPacket] | None:
        """The next packet at or after the first picture: when it begins there, and itself with its new times."""
        while (packet := self._reader.next()) is not None:
            time = _time(packet)
            if time is None or packet.size == 0:
                continue
            duration = (packet.duration or 0) * packet.time_base
            if time + self._offset < self._end - _GAP and self._end > 0:
                self._offset = self._end - time
            begin = time + self._offset
            if begin + duration < 0:
                continue  # the packet that ends at 0 stays: the decoder needs its run-up
            begin = max(begin, self._end) if self._end > 0 else begin
            self._end = begin + max(duration, packet.time_base)
            packet.pts = packet.dts = round(begin / packet.time_base)
            packet.stream = self._out
            return begin, packet
        self._say_where_it_ended(self._end)
        return None


class _EncodedAudio(AudioTrack):
    """Decoded, laid on the pictures' time line with silence where there is none, and encoded to AAC."""

    def __init__(self, reader: _Reader, output: OutputContainer, note: str) -> None:
        super().__init__(reader, note)
        context = reader.stream.codec_context
        rate = context.sample_rate if context.sample_rate in _AAC_RATES else 48000
        layout = "mono" if context.channels == 1 else "stereo"
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        self._out = output.add_stream("aac", rate=rate, layout=layout, format="fltp")
        self._out.time_base = Fraction(1, rate)
        self._layout, self._rate = layout, rate
        self._pending: list[NDArray[np.float32]] = []
        self._laid = 0  # samples put on the time line
        self._encoded = 0  # samples given to the encoder
        self._offset = -reader.origin
        self._waiting: tuple[Fraction, NDArray[np.float32]] | None = None
        self._frames: Iterator[AudioFrame] | None = self._decoded()

    def until(self, end: Fraction) -> Iterator[SoundPacket]:
        while self._laid < round(end * self._rate):
            if self._waiting is None:
                self._waiting = self._decode()
            if self._waiting is None:
                break
            begin, samples = self._waiting
            if begin >= end:
                self._lay_silence(round(end * self._rate))
                break
            self._waiting = None
            if begin - Fraction(self._laid, self._rate) > _GAP:
                self._lay_silence(round(begin * self._rate))
            self._lay(samples)
        yield from self._encode()

    def finish(self, end: Fraction) -> Iterator[SoundPacket]:
        yield from self.until(end)
        yield from self._encode(whole=True)
        yield from self._out.encode(None)

    def _decoded(self) -> Iterator[AudioFrame]:
        while (packet := self._reader.next()) is not None:
            try:
                yield from self._reader.stream.codec_context.decode(packet)
            except (av.FFmpegError, OSError):
                continue  # one damaged packet; the hole is filled with silence

    def _decode(self) -> tuple[Fraction, NDArray[np.float32]] | None:
        """The next piece of sound: its time after the first picture and ``(channels, n)`` samples."""
        while self._frames is not None and (frame := next(self._frames, None)) is not None:
            laid = Fraction(self._laid, self._rate)
            begin = laid if frame.pts is None else frame.pts * Fraction(frame.time_base or 1) + self._offset
            parts = [part.to_ndarray() for part in self._resampler.resample(frame)]
            if not parts:
                continue
            samples = np.asarray(np.concatenate(parts, axis=1), dtype=np.float32)
            if self._laid and begin < laid - _GAP:
                self._offset += laid - begin
                begin = laid
            early = round(-begin * self._rate) if not self._laid else 0
            if early >= samples.shape[1]:
                continue
            return max(begin, Fraction(0)), samples[:, max(early, 0) :]
        if self._frames is not None:
            self._frames = None
            self._say_where_it_ended(Fraction(self._laid, self._rate))
        return None

    def _lay(self, samples: NDArray[np.float32]) -> None:
        self._pending.append(samples)
        self._laid += samples.shape[1]

    def _lay_silence(self, until: int) -> None:
        if until > self._laid:
            channels = 1 if self._layout == "mono" else 2
            self._lay(np.zeros((channels, until - self._laid), dtype=np.float32))

    def _encode(self, *, whole: bool = False) -> Iterator[SoundPacket]:
        """Encode all full pieces of the encoder's size, and with ``whole`` the rest of them too."""
        if not self._pending:
            return
        samples = np.concatenate(self._pending, axis=1)
        size = self._out.codec_context.frame_size or 1024
        count = samples.shape[1] if whole else samples.shape[1] // size * size
        self._pending = [samples[:, count:]]
        for start in range(0, count, size):
            piece = np.ascontiguousarray(samples[:, start : min(start + size, count)])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=self._layout)
            frame.sample_rate = self._rate
            frame.time_base = Fraction(1, self._rate)
            frame.pts = self._encoded
            self._encoded += piece.shape[1]
            yield from self._out.encode(frame)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)

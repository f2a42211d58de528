"""Folders of numbered pictures (the layout of UCSD Ped1 and Ped2): one picture per step of a given frame rate."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Self

from preprocess.errors import InputError
from streamer.frames import Frame, Pace, SourceCounts, SourceInfo
from streamer.sources.images import StoredImage
from streamer.sources.numbering import series_of
from streamer.sources.picture_files import read_picture
from streamer.sources.reading import Readings
from streamer.sources.segments import Timeline

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from types import TracebackType

DEFAULT_FRAME_RATE = Fraction(10)
"""Pictures per second of a folder unless the user says otherwise: the rate of UCSD Ped1 and Ped2."""


class PictureFolder:
    """A folder of numbered pictures as a source."""

    def __init__(self, folder: Path, *, uri: str, name: str, frame_rate: Fraction | None = None) -> None:
        """Find the series and read its first readable picture.

        Args:
            folder: where the pictures lie.
            uri: as the user gave it.
            name: id and output name.
            frame_rate: pictures per second.

        Raises:
            InputError: there is no single series of numbered pictures, or none of them can be read.
        """
        self._uri = uri
        self._series = series_of(folder, uri)
        self._step = 1 / (frame_rate or DEFAULT_FRAME_RATE)
        self._counts = SourceCounts()
        self._readings: Readings[Frame] = Readings(uri)
        self._info = self._describe(name)

    @property
    def info(self) -> SourceInfo:
        """What the first picture shows and how many there are."""
        return self._info

    @property
    def pace(self) -> Pace:
        """Nothing of a folder is ever dropped."""
        return Pace.EVERY_FRAME

    @property
    def counts(self) -> SourceCounts:
        """Counts of the latest reading; an unreadable file counts as corrupt and gives no frame."""
        return self._counts

    def frames(self) -> Iterator[Frame]:
        """Read all pictures from the first; may be called again.

        Raises:
            InputError: not one of them can be read any more.
            ValueError: the source is closed.
        """
        return self._readings.started(self._read)

    def close(self) -> None:
        """End the readings going on; the files are closed after each picture anyway."""
        self._readings.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> Generator[Frame, None, None]:
        counts = self._counts = SourceCounts()
        timeline = Timeline(self._step, counts)
        due = 0
        broken = hole = False
        for numbered in self._series:
            hole = hole or numbered.place > due
            due = numbered.place + 1
            picture = read_picture(numbered.path)
            if picture is None:
                counts.corrupt += 1
                broken = True
                continue
            height, width = picture.luma.shape
            gaps = counts.gaps
            place = timeline.place(numbered.place * self._step, (width, height), broken=broken or hole)
            if hole and counts.gaps == gaps:  # too short for the rule of times, but pictures are missing
                counts.gaps += 1
            broken = hole = False
            index = counts.decoded
            counts.decoded += 1
            yield Frame(
                source=self._info.name,
                index=index,
                pts=place.pts,
                wall_clock=None,
                segment=place.segment,
                luma=picture.luma,
                image=StoredImage(picture.pixels),
            )
        if counts.decoded == 0:
            raise self._nothing_readable()

    def _describe(self, name: str) -> SourceInfo:
        first = next((picture for numbered in self._series if (picture := read_picture(numbered.path))), None)
        if first is None:
            raise self._nothing_readable()
        height, width = first.luma.shape
        return SourceInfo(
            uri=self._uri,
            name=name,
            width=width,
            height=height,
            frame_rate=1 / self._step,
            frames=len(self._series),
            duration=(self._series[-1].place + 1) * self._step,
            start=None,
            codec="pictures",
            pixel_format=first.format,
            rotation=0,
            has_audio=False,
        )

    def _nothing_readable(self) -> InputError:
        return InputError(f"{self._uri}: none of its {len(self._series)} pictures can be read; open one in a viewer")

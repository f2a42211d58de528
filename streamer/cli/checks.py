"""What can be refused at once, before seconds are spent on loading the networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from preprocess.errors import InputError, ModelError, UsageError
from streamer.cli.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence


def refuse_missing_sources(
    sources: Sequence[str], none_given: str | None = None, *, commands: Sequence[str] = ()
) -> None:
    """Refuse when every source is a plain path to nothing, or one is an address with a slip in its beginning.

    Where some exist, the missing ones are part of a batch: the others are still to be watched.

    Args:
        sources: as the user gave them.
        none_given: what to say where there is none at all; None where that is fine.
        commands: names one of which may have been meant by the first source.

    Raises:
        UsageError: there is none, or one is such an address; it is not shown, as it may hold a password.
        InputError: none of them exists.
    """
    if not sources:
        if none_given is not None:
            raise UsageError(none_given)
        return
    for number, source in enumerate(sources, start=1):
        if _is_misspelled_address(source):
            which = f"number {number} of those given" if len(sources) > 1 else "the one given"
            raise UsageError(f"an address with a user or password in it begins like rtsp://, and {which} does not")
    missing = [source for source in sources if _is_missing(source)]
    if len(missing) == len(sources):
        first = missing[0]
        others = f", as all {len(missing)} given" if len(missing) > 1 else ""
        command = nearest(first, commands)
        hint = f"did you mean the command {command!r}?" if command else _hint(Path(first).expanduser())
        raise InputError(f"{first}: no such file or folder{others}; {hint}")


def refuse_missing_model(model: Path | None) -> None:
    """Refuse a model file that is not there.

    Raises:
        ModelError: no such file.
    """
    if model is None:
        return
    if not model.expanduser().exists():
        raise ModelError(f"{model}: no such model file; {_hint(model.expanduser())}")
    if model.expanduser().is_dir():
        raise ModelError(f"{model}: a folder, not a model file; models are written by 'avid-watch fit'")


def refuse_unknown_dataset(name: str | None) -> None:
    """Refuse a data set that no reader knows.

    Raises:
        UsageError: none is given, or it is unknown.
    """
    from detectors.evaluation.datasets import SET_NAMES  # noqa: PLC0415 - only this command needs it

    known = ", ".join(SET_NAMES)
    if name is None:
        raise UsageError(f"no data set given: name one of {known}")
    if name in SET_NAMES:
        return
    match = nearest(name, SET_NAMES)
    hint = f"did you mean {match!r}?" if match else f"known are {known}"
    raise UsageError(f"{name}: no data set has this name; {hint}")


def refuse_unused_name(name: str | None, sources: Sequence[str]) -> None:
    """Refuse one name for several sources.

    Raises:
        UsageError: there are several.
    """
    if name is not None and len(sources) > 1:
        raise UsageError(f"--name {name} cannot serve {len(sources)} sources: leave it out, or watch them one by one")


def _is_misspelled_address(source: str) -> bool:
    if "@" not in source.partition(":")[2]:
        return False
    from streamer.sources.naming import is_misspelled_address  # noqa: PLC0415 - it brings the decoders with it

    return is_misspelled_address(source)


def _is_missing(source: str) -> bool:
    # Addresses (rtsp://…) and devices (device:0), which may be plugged in later, are not paths; the source itself knows
    # what to make of them.
    if "://" in source or source.startswith(("device:", "/dev/video", "/dev/v4l/")):
        return False
    return not Path(source).expanduser().exists()


def _hint(path: Path) -> str:
    """Name a file beside the missing one that was probably meant."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        names = []
    match = nearest(path.name, names)
    return f"did you mean {path.parent / match}?" if match else "check the path"

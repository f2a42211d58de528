"""From the command line to live cameras: which sources are live, and what a run of them is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from preprocess.errors import InputError, UsageError
from streamer.settings import LIVE, ConsoleSettings, WatchSettings, look_of, option_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from streamer.live.config import LiveConfig

FOR_RECORDINGS = ("learn_budget", "force", "video", "show")
"""Settings that mean nothing for a live camera."""
BESIDE_A_FILE = (*ConsoleSettings.model_fields, "fail_on_alarm")
"""Settings that may stand beside a cameras file, which holds all others."""

_CAMERA = {
    "model": "model",
    "learn": "learn",
    "normal": "normal",
    "false_alarms_per_day": "false_alarms_per_day",
    "decision": "decision",
    "frame_rate": "frame_rate",
    "realtime": "realtime",
    "transport": "transport",
    "max_reconnects": "max_reconnects",
    "learn_hours": "learn_hours",
    "record": "record",
}
_SHARED = {
    "output": "output",
    "device": "device",
    "precision": "precision",
    "batch_size": "batch_size",
    "seed": "seed",
    "mqtt": "mqtt",
    "webhook": "webhooks",
    "apprise": "apprise",
    "metrics": "metrics",
}
_FOLDER = ".avid"
_DAY_SECONDS = 86400.0


def are_live(sources: Sequence[str], settings: WatchSettings) -> bool:
    """Whether these sources are watched live: network addresses, camera devices, or recordings with ``--realtime``.

    Raises:
        UsageError: some are and some are not, or an option is for the other kind; one line says which.
    """
    live = [_is_live(source) for source in sources]
    if any(live) and not all(live) and not settings.realtime:
        camera, recording = _shown(sources[live.index(True)]), _shown(sources[live.index(False)])
        raise UsageError(
            f"{camera} is live and {recording} is a recording: watch them by two commands, "
            "or play the recording with --realtime"
        )
    given = settings.model_fields_set
    if settings.realtime or any(live):
        for field in FOR_RECORDINGS:
            if field in given:
                raise UsageError(f"{_option(field)} is for recordings, not for live cameras: leave it out")
        return True
    for field, info in WatchSettings.model_fields.items():
        if field in given and look_of(info).group == LIVE and getattr(settings, field) != info.default:
            raise UsageError(
                f"{_option(field)} is for live cameras: leave it out, or play the recording with --realtime"
            )
    return False


def config_of(sources: Sequence[str], settings: WatchSettings) -> LiveConfig:
    """What a live run of these sources is told.

    Raises:
        UsageError: a value cannot be; names its option.
    """
    from pydantic import ValidationError  # noqa: PLC0415

    from streamer.cli.wording import explain  # noqa: PLC0415
    from streamer.live.config import LiveConfig  # noqa: PLC0415

    given = settings.model_fields_set
    camera = {key: getattr(settings, field) for field, key in _CAMERA.items() if field in given}
    shared = {key: getattr(settings, field) for field, key in _SHARED.items() if field in given}
    named = {"name": settings.name} if settings.name is not None else {}
    document = {
        **shared,
        "retention": {"age": settings.keep * _DAY_SECONDS, "bytes": settings.keep_bytes},
        "cameras": [{"uri": source, **named, **camera} for source in sources],
    }
    try:
        return LiveConfig.model_validate(document)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        option = _option_at(problem["loc"])
        secret = problem["loc"][:1] in {("mqtt",), ("webhooks",), ("apprise",)} and problem["type"] != "value_error"
        what = "this is no address that can be used; see docs/cameras.md" if secret else explain(problem)
        raise UsageError(f"{option}: {what}" if option else what) from None  # the cause would show passwords


def cameras_file(path: object) -> Path | None:
    """The path, where it is a file with ``cameras:`` at its top; None for other settings files and for none."""
    if path is None or not Path(str(path)).is_file():
        return None
    from streamer.live.yaml_tree import is_cameras_file  # noqa: PLC0415

    return Path(str(path)) if is_cameras_file(Path(str(path))) else None


def cameras_to_check(given: Sequence[str]) -> Path | None:
    """The cameras file to check, where one is given; None for addresses.

    Any YAML file is taken for one, so that a slip in its ``cameras:`` is found there and named with its line.
    """
    if len(given) != 1:
        return None
    from streamer.sources.refusals import SETTINGS_SUFFIXES  # noqa: PLC0415 - it brings the decoders with it

    path = Path(given[0])
    return path if path.suffix.lower() in SETTINGS_SUFFIXES and path.is_file() else cameras_file(path)


def camera_folder(name: str, output: Path | None) -> Path:
    """The folder of a live camera: NAME.avid, or NAME-live.avid where a recording's results have the first.

    Args:
        name: of the camera; the folder's own name will do, and means that folder alone.
        output: where it lies; None: here.

    Raises:
        InputError: no folder of that name is one of a live camera.
    """
    from streamer.cli.wording import nearest  # noqa: PLC0415
    from streamer.live.folder import path_of_camera  # noqa: PLC0415
    from streamer.sinks.run_folder import CAMERA  # noqa: PLC0415

    directory = (output or Path()).expanduser()
    named = name.rstrip("/")
    folder = directory / (named if named.endswith(_FOLDER) else f"{named}{_FOLDER}")
    found = folder if (folder / CAMERA).is_file() else None
    if found is None and not named.endswith(_FOLDER):
        found = path_of_camera(directory, named)
    if found is not None:
        return found
    known = sorted(path.parent.name.removesuffix(_FOLDER) for path in directory.glob(f"*{_FOLDER}/{CAMERA}"))
    match = nearest(named.removesuffix(_FOLDER), known)
    hint = f"did you mean {match!r}?" if match else "say with -o where the cameras' folders lie"
    what = f"not the folder of a live camera (it has no {CAMERA})" if folder.is_dir() else "no folder of a camera"
    raise InputError(f"{folder}: {what}; {hint}")


def refuse_beside_a_file(values: Mapping[str, object], sources: Iterable[str], path: object) -> None:
    """Refuse what a cameras file says itself: the sources and nearly all options.

    Args:
        values: of the command line, by field; None where it gave nothing.
        sources: of the command line.
        path: of the cameras file.

    Raises:
        UsageError: one was given.
    """
    for source in sources:
        raise UsageError(f"{path} names the cameras to watch: leave out {_shown(source)}, or add it to that file")
    for field, value in values.items():
        if value is not None and field not in {"config", *BESIDE_A_FILE}:
            raise UsageError(f"{_option(field)} is set in {path} where that names the cameras: leave it out here")


def _option_at(place: tuple[str | int, ...]) -> str:
    """The option that a value of the configuration came from; nothing where no single one is to blame."""
    keys = [str(part) for part in place if isinstance(part, str)]
    if not keys:
        return ""
    if keys[0] == "retention":
        return "--keep-bytes" if keys[-1] == "bytes" else "--keep"
    names = _CAMERA if keys[0] == "cameras" else _SHARED
    key = keys[1] if keys[0] == "cameras" and len(keys) > 1 else keys[0]
    if key == "name":
        return "--name"
    return next((_option(field) for field, name in names.items() if name == key), "")


def _option(field: str) -> str:
    return f"--{option_name(field, WatchSettings.model_fields[field])}"


def _is_live(source: str) -> bool:
    if "://" not in source and not source.startswith(("device:", "/dev/")):
        return False
    from streamer.sources.live import is_live  # noqa: PLC0415 - it brings the decoders with it

    return is_live(source)


def _shown(source: str) -> str:
    from streamer.sources.naming import without_password  # noqa: PLC0415 - as above

    return without_password(source)

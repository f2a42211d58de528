"""Model files: one safetensors file whose metadata is a JSON header. Loading one executes nothing.

Everything a camera's model is made of is tensors and JSON values, so there is nothing a file could make us run; and
because every file carries a checksum, a damaged one is told from a sound one before a network is built from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from dataclasses import dataclass, field, fields
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as dump_safetensors
from torch import nn

from preprocess.errors import ModelError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

FORMAT: Final = "avid-watch"
FORMAT_VERSION: Final = 1
SUFFIX: Final = ".avid"
MAX_HEADER_BYTES: Final = 8 * 2**20
MAX_FILE_BYTES: Final = 2**30
"""No network here comes near this; a larger file is refused before it fills the memory."""

FLOATS: Final = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS: Final = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool)
HALF_MAX: Final = torch.finfo(torch.float16).max

_CHECKSUM = "sha256"
_LENGTH_BYTES = 8

Settings = TypeVar("Settings")
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """What a model file says of itself. Every value is JSON: str, int, finite float, bool, None, list, dict.

    Attributes:
        detector: registry name of the detector (``avid``).
        detector_settings: what its networks are built from.
        preprocessing: spacing in seconds (as text, exact), working size in pixels, channel mode.
        calibration: what turns its scores into p-values; large tables are tensors beside the weights.
        versions: of this package, torch and what else made the file.
        trained_on: names, lengths and times of the footage, or that it was generated scenes.
        training: anything else worth keeping: steps done, seed, losses.
    """

    detector: str
    detector_settings: dict[str, Any] = field(default_factory=dict)
    preprocessing: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    trained_on: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


def current_versions() -> dict[str, str]:
    """Versions of what makes a model file now: this package (``source`` when not installed), Python, torch, NumPy."""
    versions = {"python": platform.python_version()}
    for name in ("avid-watch", "torch", "numpy", "safetensors"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "source"
    return versions


def save_model(
    path: Path, header: ModelHeader, tensors: Mapping[str, torch.Tensor], *, half_kernels: bool = False
) -> None:
    """Write a model file so that at any moment the old file or the whole new one is there.

    Args:
        path: where; the name ends in ``.avid`` and the folder exists.
        header: what the file says of itself.
        tensors: all state, by name; moved to the CPU and made contiguous as needed.
        half_kernels: store convolution kernels in 16 bits (they come back as float32). Halves the file. Vectors and
            calibration tables stay exact, and so does a kernel with a value float16 cannot hold.

    Raises:
        ValueError: a header value is no JSON (NaN and infinity are none), the header is over 8 MB, a tensor holds
            values that are not finite or has an unusual type.
        OutputError: the file cannot be written.
    """
    if path.suffix != SUFFIX:
        raise OutputError(f"{path}: a model file's name ends in {SUFFIX}; try {path.stem or 'camera'}{SUFFIX}")
    stored = {name: _storable(name, tensor, half=half_kernels) for name, tensor in tensors.items()}
    texts = {"format": FORMAT, "format_version": str(FORMAT_VERSION)}
    for part in fields(ModelHeader):
        texts[part.name] = json.dumps(getattr(header, part.name), allow_nan=False)
    if sum(map(len, texts.values())) > MAX_HEADER_BYTES // 2:
        raise ValueError("the header is too large; keep tables as tensors")
    texts[_CHECKSUM] = _checksum(texts, stored)
    _write_whole(path, dump_safetensors(stored, metadata=texts))


def read_header(path: Path) -> dict[str, Any]:
    """The header of a model file as plain JSON values, without reading its tensors (and so without its checksum).

    Raises:
        ModelError: the file is missing, foreign, damaged, cut short or of another format version.
    """
    with _reading(path), path.open("rb") as file:
        start = file.read(_LENGTH_BYTES)
        length = int.from_bytes(start, "little")
        if len(start) < _LENGTH_BYTES or not 2 <= length <= MAX_HEADER_BYTES:
            raise _foreign(path)
        raw = file.read(length)
        values = _parse(path, raw, length)[0]
        if path.stat().st_size != _LENGTH_BYTES + length + _tensor_bytes(path, raw):
            raise _damaged(path)
        return values


def load_model(path: Path) -> tuple[ModelHeader, dict[str, torch.Tensor]]:
    """Read and verify a model file.

    Returns:
        The header, and all tensors on the CPU; 16-bit floats come back as float32.

    Raises:
        ModelError: the file is missing, a folder, foreign, of another format version, damaged or cut short, over
            1 GiB, or holds values that are not finite.
    """
    with _reading(path):
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(f"{path}: over 1 GiB, so no model file of avid-watch; give the file that fit wrote")
        data = path.read_bytes()
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if len(data) < _LENGTH_BYTES or not 2 <= length <= MAX_HEADER_BYTES:
        raise _foreign(path)
    values, texts = _parse(path, data[_LENGTH_BYTES : _LENGTH_BYTES + length], length)
    try:
        tensors = load_safetensors(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        raise _damaged(path) from error
    if any(tensor.dtype not in FLOATS + INTEGERS for tensor in tensors.values()):
        raise _damaged(path)
    if _checksum({name: text for name, text in texts.items() if name != _CHECKSUM}, tensors) != texts.get(_CHECKSUM):
        raise _damaged(path)
    for name, tensor in tensors.items():
        if not _finite(tensor):
            raise ModelError(f"{path}: tensor {name} holds values that are not finite numbers; fit the model anew")
    header = ModelHeader(**{part.name: values[part.name] for part in fields(ModelHeader)})
    return header, {
        name: tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
        for name, tensor in tensors.items()
    }


def build_settings(settings: type[Settings], values: Mapping[str, Any], path: Path) -> Settings:
    """Settings dataclass from a header's JSON values; ModelError where a name is unknown or a value impossible."""
    try:
        return settings(**values)
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path}: settings that do not fit this version ({error}); use the one that made it or fit the model anew"
        ) from error


def build_network(
    factory: Callable[[], Network], tensors: Mapping[str, torch.Tensor], path: Path, prefix: str = ""
) -> Network:
    """Build a network around loaded tensors, in inference mode.

    The network is laid out without memory first, so that settings that promise more than the file holds cost nothing.

    Args:
        factory: makes the network from the header's settings.
        tensors: what :func:`load_model` gave. The network takes them over, without a copy.
        path: the file they came from, for messages.
        prefix: the network's share of the names, with its dot (``inpainter.``).

    Raises:
        ModelError: a tensor is missing, left over or of another shape.
    """
    with torch.device("meta"):
        network = factory()
    expected = network.state_dict()
    given = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    for name in sorted(expected.keys() ^ given.keys()):
        what = "is missing" if name in expected else "belongs to no layer"
        raise ModelError(f"{path}: tensor {prefix}{name} {what}; fit the model anew")
    for name, tensor in given.items():
        wanted = expected[name]
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            found = f"{tuple(tensor.shape)} of {tensor.dtype}, not {tuple(wanted.shape)} of {wanted.dtype}"
            raise ModelError(f"{path}: tensor {prefix}{name} is {found}; fit the model anew")
    network.load_state_dict(given, assign=True)
    return network.eval()


def _storable(name: str, tensor: torch.Tensor, *, half: bool) -> torch.Tensor:
    plain = tensor.detach().cpu()
    if plain.dtype not in FLOATS + INTEGERS or not _finite(plain):
        raise ValueError(f"tensor {name} ({plain.dtype}) cannot be stored: not finite numbers of a usual type")
    if half and plain.ndim == 4 and plain.dtype == torch.float32 and plain.abs().max() <= HALF_MAX:
        plain = plain.half()
    # Views of one storage cannot be stored as such; channels-last kernels have to be laid out plainly.
    return plain.clone(memory_format=torch.contiguous_format)


def _finite(tensor: torch.Tensor) -> bool:
    return tensor.dtype in INTEGERS or bool(torch.isfinite(tensor).all())


def _checksum(texts: Mapping[str, str], tensors: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(sorted(texts.items())).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _parse(path: Path, raw: bytes, length: int) -> tuple[dict[str, Any], dict[str, str]]:
    """The header's values and the texts they came as; ModelError for anything but a header of ours."""
    if len(raw) < length:
        raise _damaged(path)
    try:
        texts = json.loads(raw)["__metadata__"]
        ours = texts["format"] == FORMAT
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _foreign(path) from error
    if not ours:
        raise _foreign(path)
    if texts.get("format_version") != str(FORMAT_VERSION):
        raise ModelError(
            f"{path}: model format {texts.get('format_version')}, this version reads format {FORMAT_VERSION}; "
            "use the version of avid-watch that made it, or fit the model anew"
        )
    values: dict[str, Any] = {"format": FORMAT, "format_version": FORMAT_VERSION}
    try:
        for part in fields(ModelHeader):
            values[part.name] = json.loads(texts[part.name], parse_constant=_refuse_constant)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path) from error
    if not all(isinstance(values[part.name], str if part.name == "detector" else dict) for part in fields(ModelHeader)):
        raise _damaged(path)
    return values, texts


def _tensor_bytes(path: Path, raw: bytes) -> int:
    """How many bytes of tensors follow a header, as it says itself."""
    try:
        parts = json.loads(raw)
        return max((int(part["data_offsets"][1]) for name, part in parts.items() if name != "__metadata__"), default=0)
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise _damaged(path) from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn the system's refusals into one line each."""
    try:
        if path.is_dir():
            raise ModelError(f"{path}: a folder, not a model file; give the {SUFFIX} file that fit wrote")
        if path.exists() and not path.is_file():
            raise _foreign(path)
        yield
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such model file; make one with: avid-watch fit NORMAL -o {path.name}") from error
    except (OSError, ValueError, MemoryError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ModelError(f"{path}: cannot be read ({reason}); check its permissions") from error


def _foreign(path: Path) -> ModelError:
    return ModelError(f"{path}: not a model file of avid-watch; give the {SUFFIX} file that fit wrote")


def _damaged(path: Path) -> ModelError:
    return ModelError(f"{path}: damaged or cut short; copy it again or fit the model anew")


def _write_whole(path: Path, data: bytes) -> None:
    """Write beside the target, flush to disk, then rename: a crash leaves no half file under the name."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place with -o") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()

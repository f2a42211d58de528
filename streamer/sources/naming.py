"""What a source is called: its output name, and its address without a password."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from urllib.parse import urlsplit
from urllib.request import url2pathname

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_UNSAFE = re.compile(r"[^\w.+=@-]+")
LONGEST_NAME = 80


def scheme_of(uri: str) -> str | None:
    """Lower-case scheme of an address such as ``rtsp://...``; None for a plain path."""
    match = _SCHEME.match(uri)
    return match.group()[:-3].lower() if match else None


def without_password(uri: str) -> str:
    """The address with ``user:password@`` taken out, for messages, logs and outputs."""
    return _CREDENTIALS.sub("", uri)


def path_of(uri: str) -> Path:
    """The path that a plain path or a ``file://`` address means."""
    if scheme_of(uri) == "file":
        return Path(url2pathname(urlsplit(uri).path))
    return Path(uri).expanduser()


def name_of(path: PurePath, *, is_folder: bool = False) -> str:
    """A name for outputs: the file's name without its ending (the folder's name), without odd characters."""
    text = path.name if is_folder else path.stem
    cleaned = _UNSAFE.sub("_", text).strip("._")[:LONGEST_NAME]
    return cleaned or "source"

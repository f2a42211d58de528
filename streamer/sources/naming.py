"""What a source is called: its output name, and its address without a password."""

from __future__ import annotations

import re
import zlib
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
# Slashes too many ("rtsp:///user:password@host") hide no login; those of file:/// begin a path.
_CREDENTIALS = re.compile(r"(?<=://)(?:(?<!file://)/+)?[^/?#\s]*@")
_SLASHED_CREDENTIALS = re.compile(r"(?<=://)(?:(?<!file://)/+)?[^/@\s:]*:(?!\d{1,5}(?:[/?#\s]|$))[^@\s]*@")
# What begins like no address and holds a login all the same: "rtsp:/user:password@host", "rtsp//user:password@host".
_BARE_LOGIN = re.compile(r"(?<![^\s'\"(])(?!['\"(])[^\s:]*:(?!//)(?:(?!://)\S)*@")
_SECRETS = (
    "password|passwd|passphrase|passcode|pass|pwd|psw|pw|token|access_token|auth_token|auth|authorization|key|api_?key"
    "|secret|signature|sig|session|sessionid|sid|credential|credentials"
)
_ASKED = re.compile(rf"(?i)(?P<key>[?&;](?:[\w.-]*[_.-])?(?:{_SECRETS})=)[^&;#\s'\"]*")
# Some cameras take them inside the path: "/user=admin_password=..._channel=1".
_IN_PATH = re.compile(rf"(?i)(?P<key>[/_](?:{_SECRETS})=)(?:(?!_[A-Za-z0-9]+=)[^&;#?/\s'\"])*")
_USER_KEYS = re.compile(rf"(?i)(?:[\w.-]*[_.-])?(?:user|usr|username|login|account|{_SECRETS})")
_PARTS = re.compile(r"[/?&;]")
_PARTS_WITHIN = re.compile(r"_(?=[A-Za-z0-9]+=)")
_UNSAFE = re.compile(r"[^\w.+=@-]+")
LONGEST_NAME = 80


def scheme_of(uri: str) -> str | None:
    """Lower-case scheme of an address such as ``rtsp://...``; None for a plain path."""
    match = _SCHEME.match(uri)
    return match.group()[:-3].lower() if match else None


def without_password(uri: str) -> str:
    """The address with ``user:password@`` taken out, for messages, logs and outputs; any text around it stays.

    The values of ``?password=...``, ``&token=...`` and their like become ``***``. A password with ``/`` or ``@`` in it,
    which no server would accept, is taken out too, and so is all that stands before the host where ``://`` is missing.
    """
    plain = _SLASHED_CREDENTIALS.sub("", _CREDENTIALS.sub("", uri))
    if _BARE_LOGIN.search(plain) and not _is_there(uri):
        plain = _BARE_LOGIN.sub("***@", plain)
    return _IN_PATH.sub(r"\g<key>***", _ASKED.sub(r"\g<key>***", plain))


def is_misspelled_address(uri: str) -> bool:
    """Whether a text holds a login as addresses do, begins like none, and is no path to anything either.

    It may hold a password, so it must not be shown.
    """
    if scheme_of(uri) is not None or uri.startswith("device:"):
        return False
    return "@" in uri.partition(":")[2] and not _is_there(uri)


def host_path(uri: str) -> str:
    """Name of a network source: host, port, path and what it is asked for, such as ``gate.local_554_stream``.

    The query stays, as the channels of a recorder often differ by nothing else; users and secrets in it do not.
    """
    address = without_password(uri).partition("://")[2].partition("#")[0]
    parts = [
        part
        for asked in _PARTS.split(address)
        for part in (_PARTS_WITHIN.split(asked) if asked.count("=") > 1 else [asked])
        if not _USER_KEYS.fullmatch(part.partition("=")[0])
    ]
    cleaned = _UNSAFE.sub("_", unquote("_".join(parts))).strip("._")
    if len(cleaned) > LONGEST_NAME:  # what tells it from others may stand at the end
        cleaned = f"{cleaned[: LONGEST_NAME - 9]}-{zlib.crc32(cleaned.encode()):08x}"
    return cleaned or "source"


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


def _is_there(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long, a null in it, a home that nobody has
        return False

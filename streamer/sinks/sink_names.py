"""Names for sinks that are known by an address: stable, so that a sink finds its place in the outbox again."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGITS = 6


def webhook_names(urls: Sequence[str]) -> list[str]:
    """``webhook`` and the host, for each address.

    Addresses on one host get some digits of a hash behind it, so that their order does not matter; too few to guess
    anything from.
    """
    return _distinct([f"webhook {_host(url)}" for url in urls], urls)


def apprise_names(urls: Sequence[str]) -> list[str]:
    """``apprise`` and the service, for each address; its host may be a password. Same services as with webhooks."""
    return _distinct([f"apprise {_service(url)}" for url in urls], urls)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "unreadable"
    except ValueError:
        return "unreadable"


def _service(url: str) -> str:
    scheme = url.partition("://")[0]
    return scheme if "://" in url and scheme.isalnum() else "unreadable"


def _distinct(names: list[str], urls: Sequence[str]) -> list[str]:
    counted = Counter(names)
    told = [
        f"{name} {hashlib.sha256(url.encode('utf-8', 'surrogateescape')).hexdigest()[:_DIGITS]}"
        if counted[name] > 1
        else name
        for name, url in zip(names, urls, strict=True)
    ]
    # The same address twice: numbered.
    return [name if (copies := told[:at].count(name)) == 0 else f"{name}-{copies + 1}" for at, name in enumerate(told)]

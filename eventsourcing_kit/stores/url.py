"""A store's URL: `sqlite:///file.db`, `sqlite://` (in memory), `dynamodb://TABLE?region=&profile=&endpoint_url=`.

`transport=direct` behind a table's name is for many short streams: most of what such a page takes is boto3's. It is not
for who watches boto3's calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from eventsourcing_kit.errors import InvalidStoreURL

__all__ = ["StoreURL", "Transport", "absolute", "parse_url"]

_COMMON: Final = ("legacy", "retention_days")
_OPTIONS: Final = {
    "sqlite": _COMMON,
    "dynamodb": (*_COMMON, "connections", "endpoint_url", "profile", "region", "snapshots", "transport"),
}
_MAX_RETENTION_DAYS: Final = 36_500
_MAX_CONNECTIONS: Final = 32

Transport = Literal["direct"]


@dataclass(frozen=True)
class StoreURL:
    """`place` is a path (None: in memory) or a table's name."""

    scheme: str
    place: str | None
    url: str
    retention_days: int | None
    legacy: bool
    region: str | None
    profile: str | None
    endpoint_url: str | None
    snapshots: str | None  # the table of snapshots, where it is not `TABLE-snapshots`
    connections: int | None  # over which a long stream is read at once, where it is not the store's usual number
    transport: Transport | None  # of what is read; None: boto3's own. See `stores.direct`


def parse_url(url: str) -> StoreURL:
    """Takes a store's URL apart. Raises InvalidStoreURL, whose text never repeats credentials."""
    parts = urlsplit(url)
    if "://" not in url:
        named = url.partition("?")[0].rpartition("@")[2]
        raise InvalidStoreURL(named, "it has no '://'; a file is sqlite:///FILE, a table dynamodb://TABLE")
    if parts.scheme not in _OPTIONS:
        raise InvalidStoreURL(_masked(url), f"it begins with '{parts.scheme}://', expected {_either(_OPTIONS)}")
    if "@" in parts.netloc:
        raise InvalidStoreURL(_masked(url), "credentials do not belong in a URL; use the AWS environment or a profile")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(options) - set(_OPTIONS[parts.scheme]))
    if unknown:
        expected = _either(_OPTIONS[parts.scheme])
        raise InvalidStoreURL(_masked(url), f"it has the option '{unknown[0]}', expected {expected}")
    _check_endpoint(url, options.get("endpoint_url") or None)
    return StoreURL(
        scheme=parts.scheme,
        place=_path(url, parts.netloc, parts.path)
        if parts.scheme == "sqlite"
        else _table(url, parts.netloc, parts.path),
        url=url,
        retention_days=_whole(url, "retention_days", options.get("retention_days"), _MAX_RETENTION_DAYS),
        legacy=_switch(url, "legacy", options.get("legacy")),
        region=options.get("region") or None,
        profile=options.get("profile") or None,
        endpoint_url=options.get("endpoint_url") or None,
        snapshots=options.get("snapshots") or None,
        connections=_whole(url, "connections", options.get("connections"), _MAX_CONNECTIONS),
        transport=_transport(url, options.get("transport")),
    )


def absolute(url: str, folder: Path) -> str:
    """The same URL, where a file's relative name starts from `folder`. Raises as `parse_url`."""
    place = parse_url(url)
    if place.scheme != "sqlite" or place.place is None or Path(place.place).is_absolute():
        return url
    _, question, query = url.partition("?")
    return f"sqlite:///{quote(str(folder / place.place))}{question}{query}"


def _path(url: str, netloc: str, path: str) -> str | None:
    if netloc:
        raise InvalidStoreURL(url, f"a file's path begins behind three slashes: sqlite:///{netloc}{path}")
    return unquote(path[1:]) or None


def _table(url: str, netloc: str, path: str) -> str:
    if not netloc or path.strip("/"):
        raise InvalidStoreURL(url, "it names no table, expected dynamodb://TABLE")
    return unquote(netloc)


def _check_endpoint(url: str, text: str | None) -> None:
    if text is None:
        return
    if "@" in text:
        raise InvalidStoreURL(_masked(url), "credentials do not belong in an endpoint's URL")
    try:
        parts = urlsplit(text)
        complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket too many
        complete = False
    if not complete:
        raise InvalidStoreURL(_masked(url), "its endpoint_url is none, expected for example http://127.0.0.1:8000")


def _whole(url: str, name: str, text: str | None, most: int) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise InvalidStoreURL(url, f"{name} is '{text}', expected a whole number from 1 to {most:,}")
    return int(text)


def _switch(url: str, name: str, text: str | None) -> bool:
    if text not in (None, "0", "1"):
        raise InvalidStoreURL(url, f"{name} is '{text}', expected 0 or 1")
    return text == "1"


def _transport(url: str, text: str | None) -> Transport | None:
    if text is None or text == "direct":
        return "direct" if text else None
    raise InvalidStoreURL(url, f"transport is '{text}', expected 'direct'")


def _masked(url: str) -> str:
    """The URL without what stands where credentials or unknown options would."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def _either(names: object) -> str:
    return " or ".join(f"'{name}'" for name in sorted(names))  # type: ignore[call-overload]  # any iterable of texts

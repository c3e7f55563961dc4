"""Stores: the same contract on an SQLite file and on a DynamoDB table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.stores.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing_kit.stores.base import BaseStore

__all__ = ["open_store"]


def open_store(url: str, *, clock: Callable[[], int] | None = None) -> BaseStore:
    """The store at `url`, which is not touched before its first use. Close it, or use it in a `with`.

    `sqlite:///events.db` is a file (four slashes: an absolute path), `sqlite://` is memory, and
    `dynamodb://TABLE?region=&profile=&endpoint_url=` a table. Both take `retention_days=N`, which gives each event an
    expiry that many days behind its moment, and `legacy=1`, which reads keys in other spellings of time, too. A table
    keeps its snapshots in another one, `TABLE-snapshots` or `snapshots=NAME`, and reads a long stream over four
    connections at once, or `connections=N` of them, from 1 to 32. With `transport=direct` it asks for pages past most
    of boto3, by which many short streams take a third of the time; what watches boto3's calls does not see them.

    `clock` gives nanoseconds since 1970 and stamps `recordedAt`; without it, it is the machine's.

    Raises InvalidStoreURL, and InvalidOption for a table without the library boto3.
    """
    place = parse_url(url)
    if place.scheme == "dynamodb":
        try:
            from eventsourcing_kit.stores.dynamodb import DynamoDBStore
        except ModuleNotFoundError as error:
            expected = "the library boto3: pip install 'eventsourcing-kit[aws]'"
            raise InvalidOption("open_store", found=f"no {error.name}", expected=expected) from error

        return DynamoDBStore(
            place.place or "",
            url=url,
            region=place.region,
            profile=place.profile,
            endpoint_url=place.endpoint_url,
            retention_days=place.retention_days,
            legacy=place.legacy,
            snapshots=place.snapshots,
            connections=place.connections,
            transport=place.transport,
            clock=clock,
        )
    from eventsourcing_kit.stores.sqlite import SQLiteStore

    return SQLiteStore(place.place, url=url, retention_days=place.retention_days, legacy=place.legacy, clock=clock)

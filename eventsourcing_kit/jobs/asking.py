"""What is settled once, when something long begins, so that all of its streams are asked the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InvalidOption, InvalidStoreURL
from eventsourcing_kit.moment import to_canonical
from eventsourcing_kit.span import names_event
from eventsourcing_kit.stores.url import absolute
from eventsourcing_kit.times import resolve

if TYPE_CHECKING:
    from datetime import datetime

    from eventsourcing_kit.stores.contract import Readable

__all__ = ["absolute_url", "known_when"]


def known_when(known_at: datetime | str | None, *, tz: str, now: int) -> str:
    """The moment asked for, in the canonical spelling; `now` where none is. Raises InvalidMoment, and InvalidOption for
    `event:...`."""
    if known_at is not None and names_event(known_at):
        raise InvalidOption("known_at", found=known_at, expected="a moment that is the same for all streams")
    return to_canonical(now if known_at is None else resolve(known_at, tz=tz, now=now))


def absolute_url(store: Readable) -> str:
    """The store's URL, the same from any working directory."""
    try:
        return absolute(store.url, Path.cwd())
    except InvalidStoreURL:  # an adapter of somebody's own
        return store.url

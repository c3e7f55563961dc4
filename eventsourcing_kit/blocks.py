"""Blocks: a long row of events in lists, so that what is usual can be told of many of them at once."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventsourcing_kit.event import Event

__all__ = ["in_blocks"]

_MOST: Final = 128  # events, over which the cost of a block is spread
_FIRST: Final = 16  # who looks at the beginning only has not to wait for more
_BYTES: Final = 1_000_000  # of details, as far as a block's last event tells what the next ones are like


def in_blocks(events: Iterable[Event]) -> Iterator[list[Event]]:
    """The same events in lists, of some hundred or of about 1 MB. Where `events` raises, those before come first."""
    remaining = iter(events)
    size = _FIRST
    while True:
        block: list[Event] = []
        try:
            block.extend(islice(remaining, size))
        except Exception:
            if block:
                yield block
            raise
        if not block:
            return
        size = min(_MOST, 1 + _BYTES // (1 + len(block[-1].packed_detail)))
        yield block

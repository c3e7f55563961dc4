"""Blocks: a long row of events, or of the rows that they are made of, in lists, so that what is usual can be told of
many of them at once."""

from __future__ import annotations

from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["blocks_of", "in_blocks"]

_MOST: Final = 128  # events, over which the cost of a block is spread
_FIRST: Final = 16  # who looks at the beginning only has not to wait for more
_BYTES: Final = 1_000_000  # of details, as far as the last of a block tells what the next ones are like

Thing = TypeVar("Thing")
Detail = str | bytes


def in_blocks(
    things: Iterable[Thing], *, detail: Callable[[Thing], Detail] = attrgetter("packed_detail"), most: int = _MOST
) -> Iterator[list[Thing]]:
    """The same events in lists, of at most so many or of about 1 MB. Where `things` raises, those before come first."""
    remaining = iter(things)
    size = min(_FIRST, most)
    while True:
        block: list[Thing] = []
        try:
            block.extend(islice(remaining, size))
        except Exception:
            if block:
                yield block
            raise
        if not block:
            return
        size = min(most, 1 + _BYTES // (1 + len(detail(block[-1]))))
        yield block


def blocks_of(things: Iterable[Thing]) -> Iterator[list[Thing]]:
    """The blocks that a reading comes in; those of `in_blocks`, where these are some other things."""
    blocks: Callable[[], Iterator[list[Thing]]] | None = getattr(things, "blocks", None)
    return in_blocks(things) if blocks is None else blocks()

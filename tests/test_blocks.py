"""Blocks change neither which events come nor when an error does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit.blocks import in_blocks
from eventsourcing_kit.event import Event

if TYPE_CHECKING:
    from collections.abc import Iterator


def made(number: int, size: int = 10) -> Event:
    return Event("order-17", f"{number}", "Grew", f"{number}", "shop", "", "x" * size)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 144, 145, 1_000])
def test_all_events_come_once_and_in_their_order(count: int) -> None:
    events = [made(number) for number in range(count)]
    blocks = list(in_blocks(events))
    assert [event for block in blocks for event in block] == events
    assert all(blocks)


def test_what_came_before_an_error_is_handed_out_first() -> None:
    def broken() -> Iterator[Event]:
        yield from (made(number) for number in range(20))
        raise RuntimeError("broken")

    blocks = in_blocks(broken())
    seen = [event.id for event in [*next(blocks), *next(blocks)]]
    with pytest.raises(RuntimeError, match="broken"):
        next(blocks)
    assert seen == [str(number) for number in range(20)]


def test_large_events_make_small_blocks() -> None:
    blocks = list(in_blocks(made(number, 100_000) for number in range(100)))
    assert max(len(block) for block in blocks[1:]) <= 10

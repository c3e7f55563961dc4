"""Segments: a DynamoDB table in one pass, several parts of it at once.

A Scan reads a table by the hashes of its partition keys, so the items of a stream stand together, in one segment, by
ascending sort key. That is how DynamoDB works, and promised nowhere: `scanning` looks at every item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import StoreDamaged
from eventsourcing_kit.event import UNREADABLE
from eventsourcing_kit.record import BOOKKEEPING_END
from eventsourcing_kit.stores.contract import ScannedPage, Unread
from eventsourcing_kit.stores.pages import answer_of, each_page, page_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.pages import Answer, Ask, Key

__all__ = ["is_live", "scan_request", "segment_pages"]

_NS: Final = 1_000_000_000


def scan_request(table: str, segment: int, *, of: int, prefix: str, limit: int | None) -> dict[str, Any]:
    """What is asked for one segment. A filter spares the way of what it leaves out, and none of the read units."""
    request: dict[str, Any] = {
        "TableName": table,
        "Segment": segment,
        "TotalSegments": of,
        "ConsistentRead": True,
    }
    if limit is not None:
        request["Limit"] = limit
    if prefix:
        request["FilterExpression"] = "begins_with(pk, :prefix)"
        request["ExpressionAttributeValues"] = {":prefix": {"S": prefix}}
    return request


def segment_pages(ask: Ask, *, url: str, now: int) -> Iterator[ScannedPage]:
    """Each page of a segment, the next one under way meanwhile. Raises what `ask` does, and StoreUnavailable."""

    def read(answer: Answer) -> tuple[ScannedPage, Key | None]:
        page = page_of(answer, url=url)
        try:
            return ScannedPage(list(page.events)), page.key
        except (StoreDamaged, *UNREADABLE):  # whoever reads that stream by itself is told what it is
            items = answer_of(answer, url=url, doing="scanning")["Items"]
            return ScannedPage((), [Unread(item["pk"]["S"], _is_live(item, now)) for item in items]), page.key

    return each_page(ask, read)


def is_live(event: Event, now: int) -> bool:
    """Whether a row is why its stream is listed, as `streams` has it: an event that has not expired."""
    return event.key > BOOKKEEPING_END and (event.expires is None or event.expires * _NS > now)


def _is_live(item: dict[str, Any], now: int) -> bool:
    expires = item.get("expireRecord")
    return item["sk"]["S"] > BOOKKEEPING_END and (expires is None or float(expires.get("N", "-inf")) * _NS > now)

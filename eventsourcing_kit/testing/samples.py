"""Sample envelopes: for what does not matter to a test, and in pairs for what must work both ways."""

from __future__ import annotations

import copy
import json
import uuid
from typing import TYPE_CHECKING, Any, Final, Literal

from eventsourcing_kit.envelope import parse
from eventsourcing_kit.moment import from_rfc3339, to_canonical, to_key_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventsourcing_kit.event import Event

__all__ = ["OPTIONAL", "EventFactory", "envelope", "event", "pair"]

_IDS: Final = uuid.UUID("4b3b4a9c-6f0a-4a43-9f6c-0d5f7f3f4c11")  # any fixed one
_SECOND: Final = "2026-03-01T11:03:27Z"


def envelope(
    type: str,  # noqa: A002 - the word of the kit for it
    /,
    *,
    stream: str = "order-17",
    time: str = _SECOND,
    id: str | None = None,  # noqa: A002 - the envelope's own word
    source: str = "shop",
    metadata: Mapping[str, Any] | None = None,
    **data: Any,
) -> dict[str, Any]:
    """An envelope as EventBridge delivers it, new at each call. `data` are the facts, `metadata` more `metaData`.

    The id follows from the content: the same call gives the same event, so it may stand for a redelivery; another
    `id` makes it a producer's retry. `time` stands in `metaData.time`, and, in whole seconds, in the envelope itself.
    """
    detail = {"metaData": {"time": time, **(metadata or {})}, "data": {"primaryKey": stream, **data}}
    return {
        "version": "0",
        "id": id or str(uuid.uuid5(_IDS, json.dumps([type, source, detail], sort_keys=True))),
        "detail-type": type,
        "source": source,
        "account": "123456789012",
        "time": _whole_seconds(time),
        "region": "eu-west-1",
        "resources": [],
        "detail": detail,
    }


def event(
    type: str,  # noqa: A002 - the word of the kit for it
    /,
    *,
    identity: Literal["content", "id"] = "content",
    **content: Any,
) -> Event:
    """The event of `envelope(type, **content)`."""
    return parse(envelope(type, **content), identity=identity)


class EventFactory:
    """Makes events of one stream, each a second behind the latest that it has made, from 2026-03-01T00:00:00Z on.

        placed, paid = events("OrderPlaced", total=3), events("OrderPaid")

    Whatever `event` takes may be given; a `stream` or `time` of its own is for that event, and the next moment lies
    behind it. The same calls make the same events.
    """

    def __init__(self, stream: str, *, start: str = "2026-03-01T00:00:00Z") -> None:
        self.stream = stream
        self._next = from_rfc3339(start)

    def __call__(self, type: str, /, *, stream: str | None = None, time: str | None = None, **content: Any) -> Event:  # noqa: A002 - the word of the kit for it
        """The next event."""
        time = to_canonical(self._next) if time is None else time
        made = event(type, stream=self.stream if stream is None else stream, time=time, **content)
        self._next = max(self._next, made.moment_ns + 1_000_000_000)
        return made


OPTIONAL: Final = (
    "replay-name",
    "account",
    "region",
    "resources",
    "detail.metaData",
    "detail.metaData.time",
    "detail.metaData.sequence",
    "detail.metaData.correlationId",
    "detail.metaData.causationId",
    "detail.metadata",
    "detail.data",
)
"""The fields of an envelope that may be missing: `pair` has a sample with and one without each."""

_FILLED: Final[dict[str, Any]] = {
    "version": "0",
    "id": "6f1d7c2e-58a4-5d52-9a53-3c6f5a0f7f10",
    "detail-type": "OrderPlaced",
    "source": "shop",
    "account": "123456789012",
    "time": _SECOND,
    "region": "eu-west-1",
    "resources": ["arn:aws:dynamodb:eu-west-1:123456789012:table/orders"],
    "replay-name": "after-the-outage",
    "detail": {
        "metaData": {
            "time": "2026-03-01T11:03:27.123456789Z",
            "sequence": 3,
            "correlationId": "cart-5",
            "causationId": "8f0d4b1a-2f4c-5c55-8a25-0a1c3f8f6b61",
        },
        "data": {"primaryKey": "order-17", "total": 42},
    },
}


def pair(field: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two new envelopes that differ in one field of `OPTIONAL` alone: all have it, and all but this one."""
    having = copy.deepcopy(_FILLED)
    detail = having["detail"]
    if field == "detail.metadata":  # the other spelling of `metaData`
        detail["metadata"] = detail.pop("metaData")
    lacking = copy.deepcopy(having)
    if field == "detail.data":  # then the detail itself is the data
        lacking["detail"] |= lacking["detail"].pop("data")
        return having, lacking
    *parents, name = field.split(".")
    inner = lacking
    for parent in parents:
        inner = inner[parent]
    del inner[name]
    return having, lacking


def _whole_seconds(time: str) -> str:
    try:
        return f"{to_key_time(from_rfc3339(time))[:19]}Z"
    except ValueError:  # a time that the test wants to see refused
        return _SECOND

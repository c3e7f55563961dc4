"""Pages of a Query, of which all but the first hold events in brief: half of the bytes to send, to check and to decode.

The first one is whole, as most streams have no second: there the last event would have to be fetched once more.
DynamoDB counts the same for both (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from eventsourcing_kit.brief import Brief
from eventsourcing_kit.stores.pages import NO_DETAIL, NO_TEXT, Bytes, Number, Page, Text, body_of, page_of

if TYPE_CHECKING:
    from eventsourcing_kit.brief import Rest
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.pages import Answer, Key
    from eventsourcing_kit.stores.windows import Range

__all__ = ["BriefPages"]

_PROJECTION: Final = "sk, detailType, eventDetail, eventDetailZ, recordedAt, digest, expireRecord"
_ASKED: Final = "key, kept by eventsourcing_kit"  # a member that no answer of DynamoDB has


class AskWith(Protocol):
    """As `windows.Ask`, with more members for the request."""

    def __call__(self, key: Key | None, among: Range | None = None, **more: Any) -> Answer: ...


class BriefPages:
    """Asks for the pages of one stream in brief, and reads them; `ask` asks for whole ones."""

    def __init__(self, stream: str, ask: AskWith, rest: Rest, *, url: str) -> None:
        self._stream = stream
        self._whole = ask
        self._rest = rest
        self._url = url
        self._is_plain = True

    def ask(self, key: Key | None, among: Range | None = None) -> Answer:
        is_first = key is None and among is None
        if is_first or self._rest.was_asked or not self._is_plain:
            return self._whole(key, among)
        return {**self._whole(key, among, ProjectionExpression=_PROJECTION), _ASKED: (key, among)}

    def page(self, answer: Answer) -> Page:
        """As `page_of`. What is not as this kit writes it is asked for once more, whole, and so is all behind it."""
        if _ASKED not in answer:
            return page_of(answer, url=self._url)
        body = body_of(answer, self._url, "reading")
        if body is not None:
            try:
                found = _PAGES.decode(body)
                return Page(map(self._event, found.Items), found.LastEvaluatedKey)
            except (msgspec.MsgspecError, RecursionError):
                pass
        self._is_plain = False
        return page_of(self._whole(*answer[_ASKED]), url=self._url)

    def _event(self, item: _Item) -> Event:
        key, type_ = item.sk.S, item.detailType.S
        packed, expires = item.eventDetailZ, item.expireRecord
        return Brief(
            self._stream,
            key,
            key.partition("#")[2] if type_ is None else type_,
            "",
            "",
            "",
            item.eventDetail.S if packed is None else packed.B,
            item.recordedAt.S,
            item.digest.S,
            None if expires is None else float(expires.N),
            rest=self._rest,
        )


class _Item(msgspec.Struct, gc=False):
    """The attributes of the projection, in their own spelling."""

    sk: Text
    detailType: Text = NO_TEXT  # noqa: N815 - the attributes' names, as below
    eventDetail: Text = NO_DETAIL  # noqa: N815
    eventDetailZ: Bytes | None = None  # noqa: N815
    recordedAt: Text = NO_TEXT  # noqa: N815
    digest: Text = NO_TEXT
    expireRecord: Number | None = None  # noqa: N815


class _Items(msgspec.Struct, gc=False):
    Items: list[_Item]
    LastEvaluatedKey: dict[str, dict[str, str]] | None = None


_PAGES: Final = msgspec.json.Decoder(_Items)

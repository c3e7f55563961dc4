"""The table on AWS. The only module that uses boto3, and only its client.

Retries are botocore's standard mode (throttling, 5xx, lost answers); a put that was applied although its answer was
lost is recognised by its `putToken` when it is tried again.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
from botocore.config import Config

from eventsourcing_kit.errors import StoreNotFound, StoreUnavailable
from eventsourcing_kit.record import BOOKKEEPING_END, COLUMNS, LATE_KEY, LATE_KEYS_END, plain_key
from eventsourcing_kit.stores.base import BaseStore
from eventsourcing_kit.stores.contract import TableSize
from eventsourcing_kit.stores.pages import (
    TAGS,
    answer_of,
    asked,
    each_page,
    error_code,
    item_of,
    items_of,
    keep_bodies,
    page_of,
    record_of,
)
from eventsourcing_kit.stores.reading import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from eventsourcing_kit.errors import EventRefused
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.record import Record
    from eventsourcing_kit.snapshot import Snapshot
    from eventsourcing_kit.stores.ahead import Awaited, Unanswered
    from eventsourcing_kit.stores.brief_pages import AskWith
    from eventsourcing_kit.stores.contract import Outcome, Readable, ScannedPage
    from eventsourcing_kit.stores.direct import Direct
    from eventsourcing_kit.stores.dynamodb_index import CorrelationIndex
    from eventsourcing_kit.stores.dynamodb_snapshots import SnapshotTable
    from eventsourcing_kit.stores.pages import Answer, Key, Page
    from eventsourcing_kit.stores.url import Transport
    from eventsourcing_kit.stores.windows import Ask, Range

__all__ = ["DynamoDBStore"]

_WINDOWS: Final = 4  # of a long stream at once, unless the URL says otherwise
IN_FLIGHT: Final = 8  # puts of one batch under way at once
_CONNECTIONS: Final = 32  # kept open, for as many readings at once; none is made before it is needed
_CONFIG: Final = Config(
    connect_timeout=1,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=_CONNECTIONS,
    user_agent_extra="eventsourcing_kit",
)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class DynamoDBStore(BaseStore):
    """A table with `pk` and `sk`. Threads may share a store. Credentials come from the AWS environment or a profile."""

    def __init__(
        self,
        table: str,
        *,
        url: str,
        region: str | None = None,
        profile: str | None = None,
        endpoint_url: str | None = None,
        retention_days: int | None = None,
        legacy: bool = False,
        clock: Callable[[], int] | None = None,
        token: Callable[[], str] | None = None,
        snapshots: str | None = None,
        connections: int | None = None,
        transport: Transport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(url, retention_days=retention_days, legacy=legacy, clock=clock, token=token)
        self.table = table
        self.snapshots_table = snapshots or f"{table}-snapshots"
        self._region = region
        self._profile = profile
        self._endpoint_url = endpoint_url
        self._transport = transport
        self._sleep = sleep
        self._connecting = threading.Lock()
        self._direct: Direct | None = None  # made with the client
        self.page_size: int | None = None  # events to a page of a reading; None: as many as fit into 1 MB
        self.in_flight = connections or _WINDOWS  # windows of a long stream at once; each may hold a page of 1 MB

    def create_table(self) -> None:
        from eventsourcing_kit.stores.dynamodb_table import create_table  # which few need

        with self._translated("creating the table"):
            create_table(self._client, self.table, url=self.url)

    def streams(self, prefix: str = "") -> Iterator[str]:
        found: set[str] = set()
        with self._translated("listing streams"):
            for item in items_of(self._reads.scan, self._scan(), url=self.url, doing="listing streams"):
                found.add(item["pk"]["S"])
        yield from sorted(stream for stream in found if stream.startswith(prefix))

    def _glimpse(self, limit: int) -> tuple[list[str], bool]:
        # One page: to list the streams of a table is to read all of it, which a notebook must not do unasked.
        with self._translated("listing streams"):
            answer = asked(self._reads.scan, self._scan())
            page = answer_of(answer, url=self.url, doing="listing streams")
        found = sorted({item["pk"]["S"] for item in page["Items"]})
        return found[:limit], len(found) > limit or "LastEvaluatedKey" in page

    def _scan(self) -> dict[str, Any]:
        seconds, ns = divmod(self._clock(), 1_000_000_000)
        return {
            "TableName": self.table,
            "ProjectionExpression": "pk",
            "FilterExpression": "sk > :bookkeeping AND (attribute_not_exists(expireRecord) OR expireRecord > :now)",
            "ExpressionAttributeValues": {":bookkeeping": {"S": BOOKKEEPING_END}, ":now": {"N": f"{seconds}.{ns:09d}"}},
            "ConsistentRead": True,
        }

    def close(self) -> None:
        if "_client" in self.__dict__:
            self._reads.close()

    def _append_batch(self, events: list[Event]) -> list[Outcome | EventRefused]:
        # Events of one key go one after another, or it would be chance which of two equal ones is the duplicate.
        by_key: dict[tuple[str, str], list[int]] = {}
        for place, event in enumerate(events):
            by_key.setdefault((event.stream, plain_key(event)), []).append(place)
        outcomes: dict[int, Outcome | EventRefused] = {}

        def append_in_order(places: list[int]) -> None:
            for place in places:
                outcomes[place] = self._append_or_refuse(events[place])

        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            for _ in pool.map(append_in_order, by_key.values()):
                pass  # raises what the first failure has raised
        return [outcomes[place] for place in range(len(events))]

    def _put(self, record: Record) -> Record | None:
        return self._put_if(record, "attribute_not_exists(sk)", {})

    def _swap(self, record: Record, *, expected: Record) -> Record | None:
        value = {":expected": {"S": expected.event_detail or ""}}
        return self._put_if(record, "eventDetail = :expected", {"ExpressionAttributeValues": value})

    def _put_if(self, record: Record, condition: str, more: dict[str, Any]) -> Record | None:
        with self._translated("appending"):
            try:
                self._client.put_item(
                    TableName=self.table,
                    Item=item_of(record, COLUMNS, TAGS),
                    ConditionExpression=condition,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **more,
                )
            except botocore.exceptions.ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                item: Any = error.response["Item"]  # type: ignore[typeddict-item]  # ALL_OLD brings it
                return record_of(item, url=self.url)
        return None

    def _delete(self, stream: str, key: str) -> None:
        with self._translated("deleting"):
            self._client.delete_item(TableName=self.table, Key={"pk": {"S": stream}, "sk": {"S": key}})

    def _rows(self, stream: str, low: str, high: str) -> Iterator[Event]:
        for events in each_page(self._asking(stream, low, high), self._page_of):
            yield from events

    def _event_rows(self, stream: str, low: str, high: str, first: Awaited | None = None) -> Iterator[Event]:
        return self._in_windows(stream, low, high, self._asking_events(stream, low, high), self._page_of, first)

    def _brief_rows(self, stream: str, low: str, high: str, first: Awaited | None = None) -> Iterator[Event]:
        from eventsourcing_kit.brief import Rest  # which a function that only appends never loads
        from eventsourcing_kit.stores.brief_pages import BriefPages

        rest = Rest(partial(self._rows, stream), high, url=self.url)
        brief = BriefPages(stream, self._asking_events(stream, low, high), rest, url=self.url)
        return self._in_windows(stream, low, high, brief.ask, brief.page, first)

    def _in_windows(
        self,
        stream: str,
        low: str,
        high: str,
        ask: Ask,
        read: Callable[[Answer], Page],
        first: Awaited | None,
    ) -> Iterator[Event]:
        """`first` is the first page, where it is on its way already."""
        from eventsourcing_kit.stores.windows import pages_in_windows  # as above

        def last_key(among: Range) -> str | None:
            ask = self._asking(stream, *among)
            answer = ask(None, ScanIndexForward=False, Limit=1, ProjectionExpression="sk")
            items = answer_of(answer, url=self.url, doing="reading")["Items"]
            return str(items[0]["sk"]["S"]) if items else None

        def asking(key: Key | None, among: Range | None = None) -> Answer:
            return ask(key, among) if first is None or key is not None or among is not None else first.result()

        for events in pages_in_windows(asking, read, (low, high), last_key, in_flight=self.in_flight):
            yield from events

    def _page_of(self, answer: Answer) -> Page:
        return page_of(answer, url=self.url)

    def _asking(self, stream: str, low: str, high: str) -> AskWith:
        """What asks for a page of a range of keys, or of one inside of it."""

        def ask(key: Key | None, among: Range | None = None, **more: Any) -> Answer:
            request = self._request(stream, *(among or (low, high)))
            more |= {} if key is None else {"ExclusiveStartKey": key}
            with self._translated("reading"):
                return asked(self._reads.query, {**request, **more})

        return ask

    def _request(self, stream: str, low: str, high: str) -> dict[str, Any]:
        return {
            "TableName": self.table,
            "KeyConditionExpression": "pk = :stream AND sk BETWEEN :low AND :high",
            "ExpressionAttributeValues": {":stream": {"S": stream}, ":low": {"S": low}, ":high": {"S": high}},
            "ConsistentRead": True,
            **({} if self.page_size is None else {"Limit": self.page_size}),
        }

    def _asking_events(self, stream: str, low: str, high: str) -> AskWith:
        """As `_asking`. A page that ends among the markers of late events is the last with any: there may be many."""
        ask = self._asking(stream, low, high)

        def past_markers(key: Key | None, among: Range | None = None, **more: Any) -> Answer:
            if key is not None and key["sk"]["S"].startswith(LATE_KEY) and high > LATE_KEYS_END:
                return ask(None, (LATE_KEYS_END, high), **more)
            return ask(key, among, **more)

        return past_markers

    def ahead(
        self, streams: Iterable[str], *, start: datetime | str | None = None, at: datetime | str | None = None
    ) -> Generator[tuple[str, Readable]]:
        from eventsourcing_kit.stores.ahead import in_flight  # as above

        window = Window.resolve(start=start, at=at)
        rows = self._event_rows, self._brief_rows
        return in_flight(streams, self._asking_events, *rows, window, url=self.url, now=self._clock, send=self._sent)

    def _sent(self, stream: str, low: str, high: str) -> Unanswered | None:
        """The question for a first page, sent off without a thread; None where that can not be."""
        from eventsourcing_kit.stores.ahead import Unanswered  # as above

        direct = self._direct if self._client else None  # which is made with the client
        begun = None if direct is None else direct.begin_query(self._request(stream, low, high))
        if begun is None:
            return None

        def result() -> Answer:
            with self._translated("reading"):
                return asked(begun.result, {})

        return Unanswered(result, begun.cancel)

    def scanned(self, segment: int, *, of: int, prefix: str = "") -> Iterator[ScannedPage]:
        from eventsourcing_kit.stores.segments import scan_request, segment_pages  # as above

        request = scan_request(self.table, segment, of=of, prefix=prefix, limit=self.page_size)

        def ask(key: Key | None) -> Answer:
            with self._translated("scanning"):
                return asked(self._reads.scan, request if key is None else {**request, "ExclusiveStartKey": key})

        return segment_pages(ask, url=self.url, now=self._clock())

    def measured(self) -> TableSize:
        with self._translated("describing the table"):
            found = self._client.describe_table(TableName=self.table)["Table"]
        billing = found.get("BillingModeSummary", {}).get("BillingMode")
        return TableSize(found["ItemCount"], found["TableSizeBytes"], billing == "PAY_PER_REQUEST")

    def correlations(self) -> Iterator[tuple[str, str, str]]:
        return self._index.correlations()

    def _correlated(self, correlation_id: str) -> Iterator[Event]:
        return self._index.correlated(correlation_id)

    @cached_property
    def _index(self) -> CorrelationIndex:
        from eventsourcing_kit.stores.dynamodb_index import CorrelationIndex  # as above

        return CorrelationIndex(self._client, self.table, url=self.url, translated=self._translated, sleep=self._sleep)

    def create_snapshots_table(self) -> None:
        self._snapshots.create()

    def put_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        self._snapshots.put(snapshots)

    def snapshots(self, stream: str, identity: str, *, before: int | None = None) -> Iterator[Snapshot]:
        return self._snapshots.newest_first(stream, identity, before)

    def all_snapshots(self, stream: str) -> Iterator[Snapshot]:
        return self._snapshots.all_of(stream)

    def delete_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        self._snapshots.delete(snapshots)

    def connected(self) -> tuple[DynamoDBClient, Callable[[str], AbstractContextManager[None]]]:
        """Its client, and what translates that client's errors: for what lies on AWS beside events. Closed with it."""
        return self._client, self._translated

    @cached_property
    def _snapshots(self) -> SnapshotTable:
        from eventsourcing_kit.stores.dynamodb_snapshots import SnapshotTable  # as above

        return SnapshotTable(
            self._client, self.snapshots_table, url=self.url, now=self.now, translated=self._translated
        )

    @cached_property
    def _client(self) -> DynamoDBClient:
        with self._connecting:  # from Python 3.12 on, threads would make one each
            if "_client" not in self.__dict__:
                self.__dict__["_client"] = self._connect()
            client: DynamoDBClient = self.__dict__["_client"]
            return client

    @property
    def _reads(self) -> DynamoDBClient | Direct:
        """What asks for pages of events."""
        client = self._client
        return self._direct or client

    def _connect(self) -> DynamoDBClient:
        with self._translated("connecting"):
            session = boto3.Session(profile_name=self._profile, region_name=self._region)
            if urlsplit(self._endpoint_url or "").hostname in _LOOPBACK and session.get_credentials() is None:
                # A server on this machine looks at no credentials, yet botocore signs nothing without any.
                session = boto3.Session("local", "local", region_name=self._region)
            client = session.client("dynamodb", endpoint_url=self._endpoint_url, config=_CONFIG)
            keep_bodies(client)
            if self._transport == "direct":
                from eventsourcing_kit.stores.direct import Direct  # as above

                self._direct = Direct(client, session)
        return client

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except botocore.exceptions.ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                raise StoreNotFound(self.url, "'eskit create-table' makes it") from error
            raise StoreUnavailable(self.url, code=error_code(error), doing=doing) from error
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.HTTPClientError) as error:
            raise StoreUnavailable(self.url, code=type(error).__name__, doing=doing) from error

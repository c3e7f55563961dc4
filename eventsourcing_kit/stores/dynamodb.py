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
from itertools import chain
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
import msgspec
from botocore.config import Config

from eventsourcing_kit.errors import StoreDamaged, StoreNotFound, StoreUnavailable
from eventsourcing_kit.record import COLUMNS, LATE_KEY, LATE_KEYS_END, plain_key
from eventsourcing_kit.stores.base import BaseStore
from eventsourcing_kit.stores.contract import TableSize
from eventsourcing_kit.stores.pages import (
    TAGS,
    Paging,
    answer_of,
    asked,
    items_of,
    keep_bodies,
    page_of,
    pages,
    record_of,
)
from eventsourcing_kit.stores.reading import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from datetime import datetime

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from eventsourcing_kit.errors import EventRefused
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.record import Record
    from eventsourcing_kit.snapshot import Snapshot
    from eventsourcing_kit.stores.contract import Outcome, Readable, ScannedPage
    from eventsourcing_kit.stores.dynamodb_index import CorrelationIndex
    from eventsourcing_kit.stores.dynamodb_snapshots import SnapshotTable
    from eventsourcing_kit.stores.pages import Answer, Key, Query

__all__ = ["DynamoDBStore"]

IN_FLIGHT: Final = 8  # puts of one batch under way at once
_CONNECTIONS: Final = 32  # kept open, for as many readings at once; none is made before it is needed
_CONFIG: Final = Config(
    connect_timeout=1,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=_CONNECTIONS,
    user_agent_extra="eventsourcing_kit",
)
_KEY_SCHEMA: Final = (("pk", "HASH"), ("sk", "RANGE"))
_INDEX: Final = "correlationId"  # the index bears the name of its attribute
_INDEX_KEY_SCHEMA: Final = ((_INDEX, "HASH"), ("sk", "RANGE"))
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
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(url, retention_days=retention_days, legacy=legacy, clock=clock, token=token)
        self.table = table
        self.snapshots_table = snapshots or f"{table}-snapshots"
        self._region = region
        self._profile = profile
        self._endpoint_url = endpoint_url
        self._sleep = sleep
        self._connecting = threading.Lock()
        self.page_size: int | None = None  # events to a page of a reading; None: as many as fit into 1 MB

    def create_table(self) -> None:
        with self._translated("creating the table"):
            try:
                self._client.create_table(
                    TableName=self.table,
                    KeySchema=_schema(_KEY_SCHEMA),
                    AttributeDefinitions=[
                        {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", _INDEX)
                    ],
                    GlobalSecondaryIndexes=[
                        {
                            "IndexName": _INDEX,
                            "KeySchema": _schema(_INDEX_KEY_SCHEMA),
                            "Projection": {"ProjectionType": "KEYS_ONLY"},
                        }
                    ],
                    BillingMode="PAY_PER_REQUEST",
                )
            except self._client.exceptions.ResourceInUseException:
                self._check_keys()
                self._wait_for_table()  # somebody else may have begun to make it just now
                return
            self._wait_for_table()
            self._client.update_time_to_live(
                TableName=self.table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expireRecord"}
            )

    def streams(self, prefix: str = "") -> Iterator[str]:
        found: set[str] = set()
        with self._translated("listing streams"):
            for item in items_of(self._client.scan, self._scan(), url=self.url, doing="listing streams"):
                found.add(item["pk"]["S"])
        yield from sorted(stream for stream in found if stream.startswith(prefix))

    def _glimpse(self, limit: int) -> tuple[list[str], bool]:
        # One page: to list the streams of a table is to read all of it, which a notebook must not do unasked.
        with self._translated("listing streams"):
            answer = asked(self._client.scan, self._scan())
            page = answer_of(answer, url=self.url, doing="listing streams")
        found = sorted({item["pk"]["S"] for item in page["Items"]})
        return found[:limit], len(found) > limit or "LastEvaluatedKey" in page

    def _scan(self) -> dict[str, Any]:
        seconds, ns = divmod(self._clock(), 1_000_000_000)
        return {
            "TableName": self.table,
            "ProjectionExpression": "pk",
            "FilterExpression": "sk > :bookkeeping AND (attribute_not_exists(expireRecord) OR expireRecord > :now)",
            "ExpressionAttributeValues": {":bookkeeping": {"S": "#~"}, ":now": {"N": f"{seconds}.{ns:09d}"}},
            "ConsistentRead": True,
        }

    def close(self) -> None:
        if "_client" in self.__dict__:
            self._client.close()

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
                    Item=_to_item(record),
                    ConditionExpression=condition,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **more,
                )
            except botocore.exceptions.ClientError as error:
                if _code(error) != "ConditionalCheckFailedException":
                    raise
                item: Any = error.response["Item"]  # type: ignore[typeddict-item]  # ALL_OLD brings it
                return record_of(item, url=self.url)
        return None

    def _delete(self, stream: str, key: str) -> None:
        with self._translated("deleting"):
            self._client.delete_item(TableName=self.table, Key={"pk": {"S": stream}, "sk": {"S": key}})

    def _rows(self, stream: str, low: str, high: str) -> Iterator[Event]:
        return self._pages(self._query(stream, low, high))

    def _event_rows(self, stream: str, low: str, high: str) -> Iterator[Event]:
        return self._pages(self._query_of_events(stream, low, high))

    def _brief_rows(self, stream: str, low: str, high: str) -> Iterator[Event]:
        yield from chain.from_iterable(pages(*self._in_brief(stream, low, high)))

    def _in_brief(self, stream: str, low: str, high: str) -> Paging:
        from eventsourcing_kit.brief import Rest  # which a function that only appends never loads
        from eventsourcing_kit.stores.brief_pages import BriefPages

        rest = Rest(partial(self._rows, stream), high, url=self.url)
        found = BriefPages(stream, self._query_of_events(stream, low, high), rest, url=self.url)
        return Paging(found.ask, found.page)

    def _whole(self, query: Query) -> Paging:
        def ask(key: Key | None) -> Answer:
            return query({} if key is None else {"ExclusiveStartKey": key})

        return Paging(ask, lambda answer: page_of(answer, url=self.url))

    def _pages(self, query: Query) -> Iterator[Event]:
        yield from chain.from_iterable(pages(*self._whole(query)))

    def _query(self, stream: str, low: str, high: str) -> Query:
        """What asks for a page of a range of keys, with the members given beside those of each such request."""
        request: dict[str, Any] = {
            "TableName": self.table,
            "KeyConditionExpression": "pk = :stream AND sk BETWEEN :low AND :high",
            "ExpressionAttributeValues": {":stream": {"S": stream}, ":low": {"S": low}, ":high": {"S": high}},
            "ConsistentRead": True,
        }
        return self._asks(self._client.query, request, "reading")

    def _asks(self, operation: Callable[..., Any], request: dict[str, Any], doing: str) -> Query:
        if self.page_size is not None:
            request["Limit"] = self.page_size

        def query(more: dict[str, Any]) -> Answer:
            with self._translated(doing):
                return asked(operation, request | more)

        return query

    def _query_of_events(self, stream: str, low: str, high: str) -> Query:
        """As `_query`. A page that ends among the markers of late events is the last with any: there may be many."""
        query = self._query(stream, low, high)

        def past_markers(more: dict[str, Any]) -> Answer:
            key = more.get("ExclusiveStartKey")
            if key is None or not key["sk"]["S"].startswith(LATE_KEY) or high <= LATE_KEYS_END:
                return query(more)
            others = {name: value for name, value in more.items() if name != "ExclusiveStartKey"}
            return self._query(stream, LATE_KEYS_END, high)(others)

        return past_markers

    def ahead(
        self, streams: Iterable[str], *, start: datetime | str | None = None, at: datetime | str | None = None
    ) -> Generator[tuple[str, Readable]]:
        from eventsourcing_kit.stores.ahead import in_flight  # which a function that only appends never loads

        def whole(stream: str, low: str, high: str) -> Paging:
            return self._whole(self._query_of_events(stream, low, high))

        window = Window.resolve(start=start, at=at)
        return in_flight(streams, whole, self._in_brief, window, url=self.url, now=self._clock)

    def scanned(self, segment: int, *, of: int, prefix: str = "") -> Iterator[ScannedPage]:
        from eventsourcing_kit.stores.segments import scan_request, segment_pages  # as above

        request = scan_request(self.table, segment, of=of, prefix=prefix)
        scan = self._asks(self._client.scan, request, "scanning")
        return segment_pages(self._whole(scan).ask, url=self.url, now=self._clock())

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

    @cached_property
    def _snapshots(self) -> SnapshotTable:
        from eventsourcing_kit.stores.dynamodb_snapshots import (
            SnapshotTable,  # which a function that only appends never loads
        )

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

    def _connect(self) -> DynamoDBClient:
        with self._translated("connecting"):
            session = boto3.Session(profile_name=self._profile, region_name=self._region)
            if urlsplit(self._endpoint_url or "").hostname in _LOOPBACK and session.get_credentials() is None:
                # A server on this machine looks at no credentials, yet botocore signs nothing without any.
                session = boto3.Session("local", "local", region_name=self._region)
            client = session.client("dynamodb", endpoint_url=self._endpoint_url, config=_CONFIG)
        keep_bodies(client)
        return client

    def _wait_for_table(self) -> None:
        self._client.get_waiter("table_exists").wait(TableName=self.table, WaiterConfig={"Delay": 1})

    def _check_keys(self) -> None:
        described = self._client.describe_table(TableName=self.table)["Table"]
        found = tuple((key["AttributeName"], key["KeyType"]) for key in described["KeySchema"])
        if found != _KEY_SCHEMA:
            names = ", ".join(name for name, _ in found)
            raise StoreDamaged(self.url, f"the table's key is ({names}), expected (pk, sk)")

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except botocore.exceptions.ClientError as error:
            if _code(error) == "ResourceNotFoundException":
                raise StoreNotFound(self.url, "'eskit create-table' makes it") from error
            raise StoreUnavailable(self.url, code=_code(error), doing=doing) from error
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.HTTPClientError) as error:
            raise StoreUnavailable(self.url, code=type(error).__name__, doing=doing) from error


def _to_item(record: Record) -> dict[str, Any]:
    values = zip(COLUMNS, msgspec.structs.astuple(record), strict=True)
    return {
        name: {TAGS.get(name, "S"): str(value) if name == "expireRecord" else value}
        for name, value in values
        if value is not None
    }


def _schema(keys: tuple[tuple[str, str], ...]) -> Any:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in keys]


def _code(error: botocore.exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))

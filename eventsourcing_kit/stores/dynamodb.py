"""The table on AWS. The only module that uses boto3, and only its client.

Retries are botocore's standard mode (throttling, 5xx, lost answers); a put that was applied although its answer was
lost is recognised by its `putToken` when it is tried again.
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
import msgspec
from botocore.config import Config

from eventsourcing_kit.errors import IndexNotFound, StoreDamaged, StoreNotFound, StoreUnavailable
from eventsourcing_kit.record import COLUMNS, LATE_KEY, LATE_KEYS_END, decode, plain_key
from eventsourcing_kit.stores.base import BaseStore
from eventsourcing_kit.stores.pages import TAGS, answer_of, asked, each_page, keep_bodies, page_of, record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from eventsourcing_kit.errors import EventRefused
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.record import Record
    from eventsourcing_kit.snapshot import Snapshot
    from eventsourcing_kit.stores.brief_pages import AskWith
    from eventsourcing_kit.stores.contract import Outcome
    from eventsourcing_kit.stores.dynamodb_snapshots import SnapshotTable
    from eventsourcing_kit.stores.pages import Answer, Key, Page
    from eventsourcing_kit.stores.windows import Ask, Range

__all__ = ["DynamoDBStore"]

IN_FLIGHT: Final = 8  # puts of one batch under way at once
_CONFIG: Final = Config(
    connect_timeout=1,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=IN_FLIGHT,
    user_agent_extra="eventsourcing_kit",
)
_KEY_SCHEMA: Final = (("pk", "HASH"), ("sk", "RANGE"))
_INDEX: Final = "correlationId"  # the index bears the name of its attribute
_INDEX_KEY_SCHEMA: Final = ((_INDEX, "HASH"), ("sk", "RANGE"))
_KEYS_OF_A_BATCH: Final = 100
_MOST_TRIES: Final = 5  # of a batch of which nothing at all came back
_LONGEST_PAUSE: Final = 20.0  # seconds, as botocore's
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
        self.in_flight = 4  # windows of time of a long stream that are read at once; each may hold a page

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
            for item in self._items(self._client.scan, self._scan(), "listing streams"):
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
        for events in each_page(self._asking(stream, low, high), self._page_of):
            yield from events

    def _event_rows(self, stream: str, low: str, high: str) -> Iterator[Event]:
        return self._in_windows(stream, low, high, self._asking_events(stream, low, high), self._page_of)

    def _brief_rows(self, stream: str, low: str, high: str) -> Iterator[Event]:
        from eventsourcing_kit.brief import Rest  # which a function that only appends never loads
        from eventsourcing_kit.stores.brief_pages import BriefPages

        rest = Rest(partial(self._rows, stream), high, url=self.url)
        brief = BriefPages(stream, self._asking_events(stream, low, high), rest, url=self.url)
        return self._in_windows(stream, low, high, brief.ask, brief.page)

    def _in_windows(
        self, stream: str, low: str, high: str, ask: Ask, read: Callable[[Answer], Page]
    ) -> Iterator[Event]:
        from eventsourcing_kit.stores.windows import pages_in_windows  # as above

        def last_key(among: Range) -> str | None:
            ask = self._asking(stream, *among)
            answer = ask(None, ScanIndexForward=False, Limit=1, ProjectionExpression="sk")
            items = answer_of(answer, url=self.url, doing="reading")["Items"]
            return str(items[0]["sk"]["S"]) if items else None

        for events in pages_in_windows(ask, read, (low, high), last_key, in_flight=self.in_flight):
            yield from events

    def _page_of(self, answer: Answer) -> Page:
        return page_of(answer, url=self.url)

    def _asking(self, stream: str, low: str, high: str) -> AskWith:
        """What asks for a page of a range of keys, or of one inside of it."""

        def ask(key: Key | None, among: Range | None = None, **more: Any) -> Answer:
            first, last = (low, high) if among is None else among
            request: dict[str, Any] = {
                "TableName": self.table,
                "KeyConditionExpression": "pk = :stream AND sk BETWEEN :low AND :high",
                "ExpressionAttributeValues": {":stream": {"S": stream}, ":low": {"S": first}, ":high": {"S": last}},
                "ConsistentRead": True,
                **({} if self.page_size is None else {"Limit": self.page_size}),
                **({} if key is None else {"ExclusiveStartKey": key}),
                **more,
            }
            with self._translated("reading"):
                return asked(self._client.query, request)

        return ask

    def _asking_events(self, stream: str, low: str, high: str) -> AskWith:
        """As `_asking`. A page that ends among the markers of late events is the last with any: there may be many."""
        ask = self._asking(stream, low, high)

        def past_markers(key: Key | None, among: Range | None = None, **more: Any) -> Answer:
            if key is not None and key["sk"]["S"].startswith(LATE_KEY) and high > LATE_KEYS_END:
                return ask(None, (LATE_KEYS_END, high), **more)
            return ask(key, among, **more)

        return past_markers

    def correlations(self) -> Iterator[tuple[str, str, str]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for item in self._pages_of_index(self._client.scan, {}):
            found.setdefault(item[_INDEX]["S"], []).append((item["pk"]["S"], item["sk"]["S"]))
        for correlation_id in sorted(found):  # by code point, which is the order of bytes in UTF-8
            for stream, key in found[correlation_id]:
                yield correlation_id, stream, key

    def _correlated(self, correlation_id: str) -> Iterator[Event]:
        request = {
            "KeyConditionExpression": f"{_INDEX} = :id",
            "ExpressionAttributeValues": {":id": {"S": correlation_id}},
        }
        keys = ({"pk": item["pk"], "sk": item["sk"]} for item in self._pages_of_index(self._client.query, request))
        while batch := list(islice(keys, _KEYS_OF_A_BATCH)):
            yield from self._get(batch)

    def _pages_of_index(self, operation: Callable[..., Any], request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        request = {"TableName": self.table, "IndexName": _INDEX, **request}
        doing = "reading the index"
        with self._translated(doing):
            try:
                yield from self._items(operation, request, doing)
            except botocore.exceptions.ClientError as error:
                if self._lacks_index(_code(error)):
                    raise IndexNotFound(self.url, index=_INDEX) from error
                raise

    def _items(self, operation: Callable[..., Any], request: dict[str, Any], doing: str) -> Iterator[dict[str, Any]]:
        """The items of all pages, as DynamoDB's JSON has them."""
        while True:
            page = answer_of(asked(operation, request), url=self.url, doing=doing)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            request = {**request, "ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _lacks_index(self, code: str) -> bool:
        """Whether a request to the index, which is sound where there is one, failed for want of it. Servers differ in
        how they say so; where it sounds as if the table were not there, the table is asked."""
        if code != "ResourceNotFoundException":
            return code == "ValidationException"
        values: Any = {":stream": {"S": "-"}}
        try:
            self._client.query(
                TableName=self.table,
                KeyConditionExpression="pk = :stream",
                ExpressionAttributeValues=values,
                Limit=1,
            )
        except botocore.exceptions.ClientError:
            return False
        return True

    def _get(self, keys: list[dict[str, Any]]) -> Iterator[Event]:
        """The items of up to 100 keys. What DynamoDB leaves undone, as it answers 16 MB at most, is asked for again."""
        tries = 0
        while keys:
            with self._translated("reading"):
                answer = self._client.batch_get_item(RequestItems={self.table: {"Keys": keys, "ConsistentRead": True}})
            items: list[dict[str, Any]] = answer["Responses"].get(self.table, [])
            for item in items:
                yield decode(record_of(item, url=self.url))
            left: Any = answer.get("UnprocessedKeys", {}).get(self.table, {})
            keys = left.get("Keys", [])
            tries = 0 if items else tries + 1
            if keys and tries == _MOST_TRIES:
                raise StoreUnavailable(self.url, code=f"nothing came back in {tries} tries", doing="reading")
            if keys and not items:
                # botocore tries again what fails. Where all keys stay undone the call succeeds, so the pause is ours.
                self._sleep(min(_LONGEST_PAUSE, random.random() * 2**tries))  # noqa: S311 - no secret

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

"""Snapshots on AWS: a second table, with the same keys as the first one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import botocore.exceptions

from eventsourcing_kit.errors import StoreNotFound
from eventsourcing_kit.snapshot import SNAPSHOT_COLUMNS, Snapshot, key_range
from eventsourcing_kit.stores.dynamodb_table import let_expire, make_table
from eventsourcing_kit.stores.pages import error_code, item_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from mypy_boto3_dynamodb.client import DynamoDBClient

__all__ = ["SnapshotTable"]

_TAGS: Final = {"version": "N", "stateZ": "B", "expireRecord": "N"}
_PAGE: Final = 4  # snapshots to a page; nearly always the first one is used
_HINT: Final = "it has no table '{}' for snapshots; 'eskit create-table --snapshots' makes it"


class SnapshotTable:
    """What the store on DynamoDB does with its second table. See `stores.contract.Snapshotting`."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        *,
        url: str,
        now: Callable[[], int],
        translated: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._client = client
        self._table = table
        self._url = url
        self._now = now
        self._driver_translated = translated

    def create(self) -> None:
        with self._driver_translated("creating the table for snapshots"):
            if make_table(self._client, self._table):
                let_expire(self._client, self._table)

    def put(self, snapshots: Sequence[Snapshot]) -> None:
        with self._translated("saving a snapshot"):
            for snapshot in snapshots:
                self._client.put_item(TableName=self._table, Item=item_of(snapshot, SNAPSHOT_COLUMNS, _TAGS))

    def newest_first(self, stream: str, identity: str, before: int | None) -> Iterator[Snapshot]:
        low, high = key_range(identity, before)
        values: dict[str, Any] = {":stream": {"S": stream}, ":low": {"S": low}, ":high": {"S": high}}
        yield from self._pages("pk = :stream AND sk BETWEEN :low AND :high", values)

    def all_of(self, stream: str) -> Iterator[Snapshot]:
        yield from self._pages("pk = :stream", {":stream": {"S": stream}})

    def delete(self, snapshots: Sequence[Snapshot]) -> None:
        with self._translated("deleting snapshots"):
            for snapshot in snapshots:
                key: Any = {"pk": {"S": snapshot.pk}, "sk": {"S": snapshot.sk}}
                self._client.delete_item(TableName=self._table, Key=key)

    def _pages(self, condition: str, values: dict[str, Any]) -> Iterator[Snapshot]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
            "ScanIndexForward": False,
            "Limit": _PAGE,
        }
        while True:
            with self._translated("looking for snapshots"):
                page = self._client.query(**request)
            for item in page["Items"]:
                snapshot = _from_item(item)
                if snapshot.expireRecord is None or snapshot.expireRecord * 1_000_000_000 > self._now():
                    yield snapshot
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        with self._driver_translated(doing):
            try:
                yield
            except botocore.exceptions.ClientError as error:
                if error_code(error) == "ResourceNotFoundException":
                    raise StoreNotFound(self._url, _HINT.format(self._table)) from error
                raise


def _from_item(item: dict[str, Any]) -> Snapshot:
    """Whatever is wrong with an item, its checksum tells."""
    found: dict[str, Any] = {}
    for name in SNAPSHOT_COLUMNS:
        value = item.get(name, {}).get(_TAGS.get(name, "S"))
        found[name] = int(value) if value is not None and _TAGS.get(name) == "N" else value
    return Snapshot(**found)

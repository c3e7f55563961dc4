"""The rows of one build of a view as items of DynamoDB: where each lies, and how they come there and go again.

A row has the columns of `jobs.view.Row`. Its `pk` is `{projection}#{build}#{digit}`, with the first hex digit of the
stream's SHA-256, so that sixteen partitions share the writes; its `sk` is `s{stream}`, of a stream over 900 bytes the
beginning and the SHA-256. A state over 100 KB is compressed (`stateZ`, zlib). What still does not fit into an item is
cut in `parts`, items with `sk` = `p{the stream's SHA-256}#{number}`, which are there before the row is.
"""

from __future__ import annotations

import heapq
import random
import zlib
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import StoreUnavailable
from eventsourcing_kit.record import COMPRESS_ABOVE
from eventsourcing_kit.stores import dynamodb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from eventsourcing_kit.jobs.view import Row

__all__ = ["PartMissing", "Rows"]

Item = dict[str, Any]

_PARTITIONS: Final = "0123456789abcdef"
_LONGEST_KEY: Final = 900  # bytes of a stream that its key holds
_SORTED_BY: Final = _LONGEST_KEY - 4  # bytes by which the order of the keys is that of the streams: whole characters
_PART: Final = 350_000  # bytes of a state in one item, which beside its other attributes takes 400 KB
_BATCH: Final = 25  # items that DynamoDB takes at a time
_MOST_TRIES: Final = 8  # of a batch of which nothing at all was taken
_LONGEST_PAUSE: Final = 20.0  # seconds, as botocore's


class PartMissing(Exception):
    """A part of a state is not there, though its row was: somebody is deleting them."""


class Rows:
    """Those of one build."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        prefix: str,
        *,
        url: str,
        translated: Callable[[str], AbstractContextManager[None]],
        sleep: Callable[[float], None],
    ) -> None:
        self._client = client
        self._table = table
        self._prefix = prefix
        self._url = url
        self._translated = translated
        self._sleep = sleep

    def put(self, rows: Sequence[Row]) -> None:
        """Each is there whole, or is not there."""
        parts: list[Item] = []
        heads = [self._to_item(row, parts) for row in rows]
        for items in (parts, heads):
            self._in_batches([{"PutRequest": {"Item": item}} for item in items])

    def streams(self) -> Iterator[tuple[str, int]]:
        """The streams of which there are rows, and how many events went into each, in the order of their bytes."""
        names = {"#stream": "stream", "#events": "events"}
        for item in self._in_order(ProjectionExpression="#stream, #events", ExpressionAttributeNames=names):
            yield item["stream"]["S"], int(item["events"]["N"])

    def states(self) -> Iterator[tuple[str, bytes]]:
        """Streams and their states' JSON, in the same order. Raises PartMissing."""
        for item in self._in_order():
            yield item["stream"]["S"], self._state(item)

    def state(self, stream: str) -> bytes | None:
        """Raises PartMissing."""
        key: Any = self._key(stream)
        with self._translated("reading a view"):
            found = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return self._state(found["Item"]) if "Item" in found else None

    def delete(self) -> int:
        """Deletes all of them; says how many items these were."""
        deleted = 0
        for digit in _PARTITIONS:
            waiting: list[Item] = []
            for key in self._items(digit, "", ProjectionExpression="pk, sk"):
                waiting.append({"DeleteRequest": {"Key": key}})
                deleted += 1
                if len(waiting) == _BATCH * dynamodb.IN_FLIGHT:
                    self._in_batches(waiting)
                    waiting = []
            self._in_batches(waiting)
        return deleted

    def _key(self, stream: str) -> Item:
        name, digest = stream.encode(), sha256(stream.encode()).hexdigest()
        if len(name) > _LONGEST_KEY:
            stream = name[:_LONGEST_KEY].decode(errors="ignore") + digest
        digit = _PARTITIONS[int(digest[0], 16) % len(_PARTITIONS)]
        return {"pk": {"S": f"{self._prefix}#{digit}"}, "sk": {"S": f"s{stream}"}}

    def _to_item(self, row: Row, parts: list[Item]) -> Item:
        """The row; what has no room in it goes to `parts`."""
        texts = {name: getattr(row, name) for name in ("stream", "last_id", "last_key", "last_type", "warnings")}
        item = self._key(row.stream) | {name: {"S": text} for name, text in texts.items() if text is not None}
        item |= {"events": {"N": str(row.events)}, "complete": {"BOOL": row.complete}}
        if len(row.state) <= COMPRESS_ABOVE:
            return item | {"state": {"S": row.state.decode()}}
        packed = zlib.compress(row.state)
        if len(packed) <= _PART:
            return item | {"stateZ": {"B": packed}}
        cut = [packed[start : start + _PART] for start in range(0, len(packed), _PART)]
        parts += [
            {"pk": item["pk"], "sk": {"S": f"{_part_of(row.stream)}{number:06}"}, "stateZ": {"B": part}}
            for number, part in enumerate(cut)
        ]
        return item | {"parts": {"N": str(len(cut))}}

    def _state(self, item: Item) -> bytes:
        if "state" in item:
            text: str = item["state"]["S"]
            return text.encode()
        if "stateZ" in item:
            return zlib.decompress(item["stateZ"]["B"])
        digit = item["pk"]["S"][-1]
        parts = [part["stateZ"]["B"] for part in self._items(digit, _part_of(item["stream"]["S"]))]
        if len(parts) != int(item["parts"]["N"]):
            raise PartMissing
        return zlib.decompress(b"".join(parts))

    def _in_order(self, **more: Any) -> Iterator[Item]:
        """Keys of long streams hold their beginning only, so streams with the same beginning are put in order here."""

        def beginning(item: Item) -> bytes:
            name: str = item["stream"]["S"]
            return name.encode()[:_SORTED_BY]

        partitions = (self._items(digit, "s", **more) for digit in _PARTITIONS)
        for _, alike in groupby(heapq.merge(*partitions, key=beginning), key=beginning):
            yield from sorted(alike, key=lambda item: item["stream"]["S"].encode())

    def _items(self, digit: str, begins: str, **more: Any) -> Iterator[Item]:
        """Those of one partition whose keys begin so, page by page."""
        values = {":pk": {"S": f"{self._prefix}#{digit}"}}
        condition = "pk = :pk"
        if begins:
            values[":sk"] = {"S": begins}
            condition += " AND begins_with(sk, :sk)"
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
            **more,
        }
        while True:
            with self._translated("reading a view"):
                page: dict[str, Any] = dict(self._client.query(**request))
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _in_batches(self, requests: list[Item]) -> None:
        batches = [requests[start : start + _BATCH] for start in range(0, len(requests), _BATCH)]
        if len(batches) <= 1:
            for batch in batches:
                self._write(batch)
            return
        with ThreadPoolExecutor(dynamodb.IN_FLIGHT) as pool:
            for _ in pool.map(self._write, batches):
                pass  # raises what the first failure has raised

    def _write(self, requests: list[Any]) -> None:
        """One batch, until all of it is taken: DynamoDB leaves undone what it has no capacity for just then."""
        doing = "writing a view"
        tries = 0
        while requests:
            with self._translated(doing):
                answer = self._client.batch_write_item(RequestItems={self._table: requests})
            left: Any = answer.get("UnprocessedItems", {}).get(self._table, [])
            tries = 0 if len(left) < len(requests) else tries + 1
            if tries == _MOST_TRIES:
                raise StoreUnavailable(self._url, code=f"nothing was taken in {tries} tries", doing=doing)
            if left:
                # botocore tries again what fails. This call succeeds, whatever it leaves undone, so the pause is ours.
                self._sleep(min(_LONGEST_PAUSE, random.random() * 2**tries * 0.05))  # noqa: S311 - no secret
            requests = left


def _part_of(stream: str) -> str:
    """With what the keys of its parts begin."""
    return f"p{sha256(stream.encode()).hexdigest()}#"

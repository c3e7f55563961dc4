"""The index of a table by correlation id: keys from the index, which costs the least, events from the table."""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import botocore.exceptions

from eventsourcing_kit.errors import IndexNotFound, StoreUnavailable
from eventsourcing_kit.record import decode
from eventsourcing_kit.stores.dynamodb_table import INDEX
from eventsourcing_kit.stores.pages import error_code, items_of, record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.pages import Item

__all__ = ["CorrelationIndex"]

_KEYS_OF_A_BATCH: Final = 100
_MOST_TRIES: Final = 5  # of a batch of which nothing at all came back
_LONGEST_PAUSE: Final = 20.0  # seconds, as botocore's


class CorrelationIndex:
    """What the store on DynamoDB does with its index. See `stores.contract.Correlated`."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        *,
        url: str,
        translated: Callable[[str], AbstractContextManager[None]],
        sleep: Callable[[float], None],
    ) -> None:
        self._client = client
        self._table = table
        self._url = url
        self._translated = translated
        self._sleep = sleep

    def correlations(self) -> Iterator[tuple[str, str, str]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for item in self._items(self._client.scan, {}):
            found.setdefault(item[INDEX]["S"], []).append((item["pk"]["S"], item["sk"]["S"]))
        for correlation_id in sorted(found):  # by code point, which is the order of bytes in UTF-8
            for stream, key in found[correlation_id]:
                yield correlation_id, stream, key

    def correlated(self, correlation_id: str) -> Iterator[Event]:
        """Each row with this id, in any order; expired ones may be among them."""
        request = {
            "KeyConditionExpression": f"{INDEX} = :id",
            "ExpressionAttributeValues": {":id": {"S": correlation_id}},
        }
        keys = ({"pk": item["pk"], "sk": item["sk"]} for item in self._items(self._client.query, request))
        while batch := list(islice(keys, _KEYS_OF_A_BATCH)):
            yield from self._get(batch)

    def _items(self, operation: Callable[..., Any], request: dict[str, Any]) -> Iterator[Item]:
        request = {"TableName": self._table, "IndexName": INDEX, **request}
        doing = "reading the index"
        with self._translated(doing):
            try:
                yield from items_of(operation, request, url=self._url, doing=doing)
            except botocore.exceptions.ClientError as error:
                if self._is_missing(error_code(error)):
                    raise IndexNotFound(self._url, index=INDEX) from error
                raise

    def _is_missing(self, code: str) -> bool:
        """Whether a request to the index, which is sound where there is one, failed for want of it. Servers differ in
        how they say so; where it sounds as if the table were not there, the table is asked."""
        if code != "ResourceNotFoundException":
            return code == "ValidationException"
        values: Any = {":stream": {"S": "-"}}
        try:
            self._client.query(
                TableName=self._table,
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
                answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
            items: list[dict[str, Any]] = answer["Responses"].get(self._table, [])
            for item in items:
                yield decode(record_of(item, url=self._url))
            left: Any = answer.get("UnprocessedKeys", {}).get(self._table, {})
            keys = left.get("Keys", [])
            tries = 0 if items else tries + 1
            if keys and tries == _MOST_TRIES:
                raise StoreUnavailable(self._url, code=f"nothing came back in {tries} tries", doing="reading")
            if keys and not items:
                # botocore tries again what fails. Where all keys stay undone the call succeeds, so the pause is ours.
                self._sleep(min(_LONGEST_PAUSE, random.random() * 2**tries))  # noqa: S311 - no secret

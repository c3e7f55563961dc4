"""A table of DynamoDB in memory, as far as views ask of one, and a client of which calls go wrong."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import botocore.exceptions

from eventsourcing_kit.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["OF_BATCHES", "FaultyClient", "MemoryTable", "OneAfterTheOther", "untranslated"]

OF_BATCHES: Final = ["left undone", "all left undone"]


class MemoryTable:
    """What views ask of DynamoDB, in memory, page by page: some thousand times as fast as the servers, on which
    `test_view_builds` and `test_view_table` run."""

    class exceptions:  # noqa: N801 - botocore's name
        class ConditionalCheckFailedException(Exception):
            pass

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}

    def get_item(self, *, TableName: str, Key: Any, ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803 - botocore's
        found = self.items.get(place(Key))
        return {} if found is None else {"Item": dict(found)}

    def put_item(self, *, Item: Any, ConditionExpression: str, **more: Any) -> dict[str, Any]:  # noqa: N803
        found = self.items.get(place(Item))
        if ConditionExpression == "attribute_not_exists(pk)":
            holds = found is None
        else:
            assert ConditionExpression == "revision = :before"
            holds = found is not None and found["revision"] == more["ExpressionAttributeValues"][":before"]
        if not holds:
            raise self.exceptions.ConditionalCheckFailedException
        self.items[place(Item)] = dict(Item)
        return {}

    def batch_write_item(self, *, RequestItems: Any) -> dict[str, Any]:  # noqa: N803
        ((_, requests),) = RequestItems.items()
        assert len({place(each.get("PutRequest", {}).get("Item") or each["DeleteRequest"]["Key"]) for each in requests})
        for request in requests:
            if "PutRequest" in request:
                self.items[place(request["PutRequest"]["Item"])] = dict(request["PutRequest"]["Item"])
            else:
                self.items.pop(place(request["DeleteRequest"]["Key"]), None)
        return {"UnprocessedItems": {}}

    def query(self, *, ExpressionAttributeValues: Any, ConsistentRead: bool, **more: Any) -> dict[str, Any]:  # noqa: N803
        values = {name: value["S"] for name, value in ExpressionAttributeValues.items()}
        pk = values.get(":pk", values.get(":heads"))
        keys = sorted(
            (key for key in self.items if key[0] == pk and key[1].startswith(values.get(":sk", ""))),
            key=lambda key: key[1].encode(),
        )
        behind = more.get("ExclusiveStartKey")
        keys = [key for key in keys if behind is None or key[1].encode() > behind["sk"]["S"].encode()]
        page = {"Items": [dict(self.items[key]) for key in keys[:2]]}
        if "ProjectionExpression" in more and "pk" in more["ProjectionExpression"]:
            page["Items"] = [{"pk": item["pk"], "sk": item["sk"]} for item in page["Items"]]
        return {**page, "LastEvaluatedKey": {"pk": {"S": pk}, "sk": {"S": keys[1][1]}}} if len(keys) > 2 else page

    def scan(self, **_: Any) -> dict[str, Any]:
        return {"Items": list(self.items.values())}


def place(item: Any) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


@contextmanager
def untranslated(_: str) -> Iterator[None]:
    try:
        yield
    except botocore.exceptions.BotoCoreError as error:
        raise StoreUnavailable("dynamodb://views", code=type(error).__name__, doing="a test") from error


class FaultyClient:
    """A client of DynamoDB of which the next calls go wrong as `plan` says."""

    def __init__(self, client: Any, plan: list[str]) -> None:
        self._client = client
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        return call if name in ("exceptions", "close") else lambda **request: self._called(name, call, request)

    def _called(self, name: str, call: Any, request: dict[str, Any]) -> Any:
        strikes = bool(self._plan) and (name == "batch_write_item" or self._plan[-1] not in OF_BATCHES)
        fault = self._plan.pop() if strikes else None
        if fault == "lost before":
            raise botocore.exceptions.EndpointConnectionError(endpoint_url="http://nowhere")
        if fault == "lost after":
            call(**request)
            raise botocore.exceptions.ReadTimeoutError(endpoint_url="http://nowhere")
        if fault == "twice":  # what botocore does about a lost answer
            call(**request)
        if fault in OF_BATCHES:
            ((table, requests),) = request["RequestItems"].items()
            done = 0 if fault == "all left undone" else len(requests) // 2
            if done:
                call(RequestItems={table: requests[:done]})
            return {"UnprocessedItems": {table: requests[done:]}}
        return call(**request)


class OneAfterTheOther:
    """Threads would take faults from each other."""

    def __init__(self, count: int) -> None:
        assert count > 1

    def __enter__(self) -> OneAfterTheOther:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    map = staticmethod(map)

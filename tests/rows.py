"""Rows behind a store's back: written as an older writer or an accident would, and looked at as they lie there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import apsw

from eventsourcing_kit.record import COLUMNS, LATE_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.client import DynamoDBClient

__all__ = ["RawRows", "older"]


@dataclass(frozen=True)
class RawRows:
    """The rows of an SQLite file, or of a DynamoDB table where there is a client."""

    url: str
    client: DynamoDBClient | None = None

    def put(self, row: Mapping[str, Any]) -> None:
        """Writes one row over whatever has its key."""
        if self.client is not None:
            item: Any = {name: _tagged(value) for name, value in row.items()}
            self.client.put_item(TableName=urlsplit(self.url).netloc, Item=item)
            return
        marks = ", ".join("?" * len(row))
        self._execute(f"INSERT OR REPLACE INTO events ({', '.join(row)}) VALUES ({marks})", *row.values())  # noqa: S608

    def of(self, stream: str) -> list[dict[str, Any]]:
        """The attributes that each row of a stream has, in the order of their keys, without the markers of what was
        late: to a test with old moments and today's clock, each append is."""
        return [row for row in self.all_of(stream) if not row["sk"].startswith(LATE_KEY)]

    def all_of(self, stream: str) -> list[dict[str, Any]]:
        """The same with the markers."""
        if self.client is None:
            rows = self._execute(f"SELECT {', '.join(COLUMNS)} FROM events WHERE pk = ? ORDER BY sk", stream)  # noqa: S608
            return [
                {name: value for name, value in zip(COLUMNS, row, strict=True) if value is not None} for row in rows
            ]
        found = self.client.query(
            TableName=urlsplit(self.url).netloc,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": stream}},
            ConsistentRead=True,
        )
        return [{name: _untagged(value) for name, value in item.items()} for item in found["Items"]]

    def keys(self, stream: str) -> list[str]:
        """The keys of a stream, in order."""
        return [row["sk"] for row in self.of(stream)]

    def _execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = apsw.Connection(urlsplit(self.url).path.removeprefix("/"))
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()


def older(envelope: Mapping[str, Any], key: str, **more: Any) -> dict[str, Any]:
    """The row that an older writer made of an envelope, under `key`: without digest, recordedAt and putToken."""
    return {
        "pk": envelope["detail"]["data"]["primaryKey"],
        "sk": key,
        "primaryKey": envelope["detail"]["data"]["primaryKey"],
        "eventId": envelope["id"],
        "eventTime": envelope["time"],
        "source": envelope["source"],
        "detailType": envelope["detail-type"],
        "eventDetail": json.dumps(envelope["detail"]),
        **more,
    }


def _tagged(value: Any) -> dict[str, Any]:
    if isinstance(value, (int, float)):
        return {"N": str(value)}
    return {"B" if isinstance(value, bytes) else "S": value}


def _untagged(tagged: Mapping[str, Any]) -> Any:
    ((tag, value),) = tagged.items()
    return float(value) if tag == "N" else value

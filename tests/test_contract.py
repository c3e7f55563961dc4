"""Every engine is held to the one contract. The cases are in `eventsourcing_kit.testing.contract`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest

from eventsourcing_kit.record import COLUMNS
from eventsourcing_kit.stores.direct import Direct
from eventsourcing_kit.stores.sqlite import SQLiteStore
from eventsourcing_kit.stores.url import parse_url
from eventsourcing_kit.testing import StoreContract
from eventsourcing_kit.testing.contract.batches import Batches
from eventsourcing_kit.testing.contract.legacy import Legacy
from eventsourcing_kit.testing.contract.order import Order
from eventsourcing_kit.testing.contract.reading import Reading
from eventsourcing_kit.testing.contract.retention import Retention
from eventsourcing_kit.testing.contract.streams import Streams
from eventsourcing_kit.testing.contract.threads import Threads
from tests.transports import taught

if TYPE_CHECKING:
    from pathlib import Path

    from eventsourcing_kit.stores.contract import Store
    from eventsourcing_kit.stores.dynamodb import DynamoDBStore
    from eventsourcing_kit.testing.contract.base import Item, OpenStore


class SQLiteContract(StoreContract):
    def put_item(self, store: Store, item: Item) -> None:
        names, places = ", ".join(item), ", ".join("?" * len(item))
        connection = cast("SQLiteStore", store)._connected()
        connection.execute(f"INSERT INTO events ({names}) VALUES ({places})", tuple(item.values()))  # noqa: S608

    def items(self, store: Store, stream: str) -> list[Item]:
        query = f"SELECT {', '.join(COLUMNS)} FROM events WHERE pk = ? ORDER BY sk"  # noqa: S608 - names of columns
        rows: Any = cast("SQLiteStore", store)._connected().execute(query, (stream,))
        return [{name: value for name, value in zip(COLUMNS, row, strict=True) if value is not None} for row in rows]


class TestSQLiteInMemory(SQLiteContract):
    limits = {  # noqa: RUF012 - a constant of the class
        "absence": "memory is there from the start",
        "fractions": "expireRecord is an INTEGER of a STRICT table",
        "places": "memory is gone when its one store is closed",
    }

    @pytest.fixture
    def open_store(self) -> OpenStore:
        return lambda **options: SQLiteStore(None, url="sqlite://", **options)


class TestSQLiteOnDisk(SQLiteContract):
    limits = {"fractions": "expireRecord is an INTEGER of a STRICT table"}  # noqa: RUF012 - a constant of the class

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        path = str(tmp_path / "events.db")
        return lambda **options: SQLiteStore(path, url=f"sqlite:///{path}", **options)


class DynamoDBContract(StoreContract):
    def put_item(self, store: Store, item: Item) -> None:
        adapter = cast("DynamoDBStore", store)
        adapter._client.put_item(TableName=adapter.table, Item={name: _tagged(value) for name, value in item.items()})

    def items(self, store: Store, stream: str) -> list[Item]:
        adapter = cast("DynamoDBStore", store)
        pages = adapter._client.get_paginator("query").paginate(
            TableName=adapter.table,
            KeyConditionExpression="pk = :stream",
            ExpressionAttributeValues={":stream": {"S": stream}},
            ConsistentRead=True,
        )
        found: list[dict[str, Any]] = [item for page in pages for item in page["Items"]]
        return [{name: _untagged(value) for name, value in item.items()} for item in found]


class TestMoto(DynamoDBContract):
    limits = {  # noqa: RUF012 - a constant of the class
        "pages": "moto ends its pages at the wrong places",
        "sizes": "moto refuses items above 405,000 bytes",
        "threads": "moto loses updates when several threads put at once",
    }

    @pytest.fixture
    def open_store(self, moto_url: str) -> OpenStore:
        return opener(moto_url)


class TestDynamoDB(DynamoDBContract):
    @pytest.fixture
    def open_store(self, dynamodb_url: str) -> OpenStore:
        return opener(dynamodb_url)


class TestDirect(Batches, Order, Reading, Streams, Retention, Legacy, Threads):
    """What is read, over the direct transport."""

    put_item = DynamoDBContract.put_item
    items = DynamoDBContract.items
    learned: ClassVar[dict[str, Any]] = {}  # one store has, for all the others: else their first requests were boto3's

    @pytest.fixture
    def open_store(self, dynamodb_url: str) -> OpenStore:
        opened = opener(f"{dynamodb_url}&transport=direct")

        def open_(**options: Any) -> DynamoDBStore:
            store = cast("DynamoDBStore", opened(**options))
            reads = store._reads
            assert isinstance(reads, Direct)
            if not self.learned:
                store.create_table()
                taught(store)
                self.learned.update(reads._patterns)
            reads._patterns.update(self.learned)
            return store

        return open_

    def test_it_is_read_directly(self, open_store: OpenStore) -> None:
        with cast("DynamoDBStore", open_store()) as store:
            store.create_table()
            list(store.read("order-17"))
            assert isinstance(store._reads, Direct)
            assert store._reads._connections._idle


def opener(url: str) -> OpenStore:
    from eventsourcing_kit.stores.dynamodb import DynamoDBStore

    place = parse_url(url)
    return lambda **options: DynamoDBStore(
        place.place or "",
        url=url,
        region=place.region,
        endpoint_url=place.endpoint_url,
        transport=place.transport,
        **options,
    )


def _tagged(value: Any) -> dict[str, Any]:
    if isinstance(value, (int, float)):
        return {"N": str(value)}
    return {"B" if isinstance(value, bytes) else "S": value}


def _untagged(value: dict[str, Any]) -> Any:
    ((tag, content),) = value.items()
    if tag != "N":
        return content
    return int(content) if content.isdigit() else float(content)

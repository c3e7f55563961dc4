"""The table of events as it is made: its key, and the index that trails are found by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import StoreDamaged

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

__all__ = ["create_table"]

_KEY_SCHEMA: Final = (("pk", "HASH"), ("sk", "RANGE"))
_INDEX: Final = "correlationId"  # the index bears the name of its attribute
_INDEX_KEY_SCHEMA: Final = ((_INDEX, "HASH"), ("sk", "RANGE"))


def create_table(client: DynamoDBClient, table: str, *, url: str) -> None:
    """Makes it where it is missing, and waits until it is there. Raises StoreDamaged for one with another key, and what
    the client raises."""
    try:
        client.create_table(
            TableName=table,
            KeySchema=_schema(_KEY_SCHEMA),
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", _INDEX)],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": _INDEX,
                    "KeySchema": _schema(_INDEX_KEY_SCHEMA),
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
    except client.exceptions.ResourceInUseException:
        _check_keys(client, table, url)
        _wait(client, table)  # somebody else may have begun to make it just now
        return
    _wait(client, table)
    client.update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expireRecord"}
    )


def _wait(client: DynamoDBClient, table: str) -> None:
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})


def _check_keys(client: DynamoDBClient, table: str, url: str) -> None:
    described = client.describe_table(TableName=table)["Table"]
    found = tuple((key["AttributeName"], key["KeyType"]) for key in described["KeySchema"])
    if found != _KEY_SCHEMA:
        names = ", ".join(name for name, _ in found)
        raise StoreDamaged(url, f"the table's key is ({names}), expected (pk, sk)")


def _schema(keys: tuple[tuple[str, str], ...]) -> Any:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in keys]

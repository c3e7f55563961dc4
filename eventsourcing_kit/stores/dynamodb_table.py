"""Tables as they are made: their key, their expiry, and the index of events that trails are found by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import StoreDamaged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

__all__ = ["INDEX", "create_table", "let_expire", "make_table", "wait_for"]

_KEY_SCHEMA: Final = (("pk", "HASH"), ("sk", "RANGE"))
INDEX: Final = "correlationId"  # the index bears the name of its attribute
_INDEX_KEY_SCHEMA: Final = ((INDEX, "HASH"), ("sk", "RANGE"))


def create_table(client: DynamoDBClient, table: str, *, url: str) -> None:
    """Makes that of events where it is missing, and waits until it is there. Raises StoreDamaged for one with another
    key, and what the client raises."""
    index = {
        "IndexName": INDEX,
        "KeySchema": _schema(_INDEX_KEY_SCHEMA),
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    if make_table(client, table, attributes=("pk", "sk", INDEX), GlobalSecondaryIndexes=[index]):
        let_expire(client, table)
    else:
        _check_keys(client, table, url)
        wait_for(client, table)  # somebody else may have begun to make it just now


def make_table(client: DynamoDBClient, table: str, *, attributes: Sequence[str] = ("pk", "sk"), **more: Any) -> bool:
    """Makes a table with the key `pk` and `sk`, and waits until it is there; False where one has that name already.

    `more` is as for the client's `create_table`. Raises what the client raises.
    """
    try:
        client.create_table(
            TableName=table,
            KeySchema=_schema(_KEY_SCHEMA),
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in attributes],
            BillingMode="PAY_PER_REQUEST",
            **more,
        )
    except client.exceptions.ResourceInUseException:
        return False
    wait_for(client, table)
    return True


def let_expire(client: DynamoDBClient, table: str) -> None:
    """From here on rows are deleted some time after their `expireRecord`."""
    client.update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expireRecord"}
    )


def wait_for(client: DynamoDBClient, table: str) -> None:
    """Until a table that is being made is there."""
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})


def _check_keys(client: DynamoDBClient, table: str, url: str) -> None:
    described = client.describe_table(TableName=table)["Table"]
    found = tuple((key["AttributeName"], key["KeyType"]) for key in described["KeySchema"])
    if found != _KEY_SCHEMA:
        names = ", ".join(name for name, _ in found)
        raise StoreDamaged(url, f"the table's key is ({names}), expected (pk, sk)")


def _schema(keys: tuple[tuple[str, str], ...]) -> Any:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in keys]

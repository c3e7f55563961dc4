"""A table that the common JavaScript handler of this pattern has filled: written here as that handler writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest
from freezegun import freeze_time

from eventsourcing_kit import Event, Projection, open_store, parse, rebuild
from eventsourcing_kit.errors import ForeignKey, IncompleteStream
from eventsourcing_kit.record import LATE_KEY
from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, desk_at

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_dynamodb.client import DynamoDBClient

# Far ahead, so that no engine's own clock deletes what has expired.
EXPIRES: Final = 4073544000.123  # 2099-01-31T12:00:00.123Z: the handler adds days to the milliseconds of its clock


def sent(type_: str, time: str | None, **facts: Any) -> dict[str, Any]:
    """An envelope whose producer says its moment in a spelling of its own, or not at all."""
    made = envelope(type_, time="2026-03-01T11:03:29Z" if time is None else time, **facts)
    if time is None:
        del made["detail"]["metaData"]["time"]
    return made


PLACED: Final = sent("OrderPlaced", "2026-03-01T11:03:27.000Z", total=42, customer="Zoë")
PAID: Final = sent("OrderPaid", "2026-03-01T12:03:28+01:00", amount=42)
NOTED: Final = sent("NoteAdded", None, text="no time")
SHIPPED: Final = sent("OrderShipped", "2026-03-02T08:00:00.500Z", parcel="p-1")
CANONICAL: Final = [PLACED, SHIPPED]
ALL: Final = [PLACED, PAID, NOTED, SHIPPED]
KEYS: Final = [
    "2026-03-01T11:03:27.000Z#OrderPlaced",
    "2026-03-01T12:03:28+01:00#OrderPaid",
    "2026-03-02T08:00:00.500Z#OrderShipped",
    "undefined#NoteAdded",
]
STATE: Final = ["OrderPlaced", "OrderPaid", "NoteAdded", "OrderShipped"]

history: Projection[list[str]] = Projection("history", initial=list)


@history.on()
def happened(state: list[str], event: Event) -> list[str]:
    return [*state, event.type]


class JavaScriptHandler:
    """`PutItem` without any condition, as the handlers of this pattern do it through the document client."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def __call__(self, received: dict[str, Any], *, expires: float = EXPIRES) -> None:
        detail = received["detail"]
        key = detail["data"]["primaryKey"]
        item: dict[str, Any] = {
            "pk": {"S": key},
            "sk": {"S": f"{detail['metaData'].get('time', 'undefined')}#{received['detail-type']}"},
            "primaryKey": {"S": key},
            "eventId": {"S": received["id"]},
            "eventTime": {"S": received["time"]},
            "source": {"S": received["source"]},
            "detailType": {"S": received["detail-type"]},
            "eventDetail": {"S": json.dumps(detail, ensure_ascii=False, separators=(",", ":"))},  # JSON.stringify
            "expireRecord": {"N": repr(expires)},
        }
        self._client.put_item(TableName=self._table, Item=item)

    def keys(self, stream: str = "order-17") -> list[str]:
        found = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": stream}},
            ConsistentRead=True,
        )
        keys = [item["sk"]["S"] for item in found["Items"]]
        return [key for key in keys if not key.startswith(LATE_KEY)]


@pytest.fixture
def write(dynamodb_url: str, dynamodb_client: DynamoDBClient) -> JavaScriptHandler:
    """The handler over a table of its own, empty yet."""
    with open_store(dynamodb_url) as store:
        store.create_table()
    return JavaScriptHandler(dynamodb_client, urlsplit(dynamodb_url).netloc)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        yield desk


def legacy(url: str) -> str:
    return f"{url}&legacy=1"


def replay(url: str, envelopes: list[dict[str, Any]]) -> list[str]:
    with open_store(url) as store:
        return [store.append(parse(json.dumps(each))) for each in envelopes]


def state(url: str, **options: Any) -> list[str]:
    with open_store(url) as store:
        return rebuild(history, store, "order-17", **options).state


def amiss(desk: Desk, url: str) -> tuple[int, dict[str, list[str]]]:
    """The exit code of the doctor, and what is named by each check that found something."""
    done = desk.run("doctor", "--store", url)
    return done.code, {found["check"]: found["examples"] for found in done.records if not found["ok"]}


def test_where_all_keys_are_canonical_it_rebuilds_and_takes_a_replay_without_doubling(
    dynamodb_url: str, write: JavaScriptHandler
) -> None:
    for each in CANONICAL:
        write(each)
    assert state(dynamodb_url) == ["OrderPlaced", "OrderShipped"]
    assert replay(dynamodb_url, CANONICAL) == ["duplicate", "duplicate"]
    assert write.keys() == [KEYS[0], KEYS[2]]
    assert state(dynamodb_url) == ["OrderPlaced", "OrderShipped"]


def test_a_replay_under_other_ids_is_a_duplicate_too(dynamodb_url: str, write: JavaScriptHandler) -> None:
    write(PLACED)
    assert replay(dynamodb_url, [{**PLACED, "id": "sent-again", "time": "2026-03-05T00:00:00Z"}]) == ["duplicate"]
    assert write.keys() == [KEYS[0]]


def test_keys_in_other_spellings_are_refused_by_name_and_read_with_legacy(
    dynamodb_url: str, write: JavaScriptHandler
) -> None:
    for each in ALL:
        write(each)
    assert write.keys() == KEYS
    with pytest.raises(ForeignKey):
        state(dynamodb_url)
    assert state(legacy(dynamodb_url)) == STATE
    assert state(legacy(dynamodb_url), at="2026-03-01T11:03:28Z") == ["OrderPlaced", "OrderPaid"]


def test_with_legacy_a_replay_of_all_events_is_read_once(dynamodb_url: str, write: JavaScriptHandler) -> None:
    for each in ALL:
        write(each)
    assert replay(legacy(dynamodb_url), ALL) == ["duplicate", "stored", "stored", "duplicate"]
    assert state(legacy(dynamodb_url)) == STATE


def test_the_doctor_names_what_is_broken_in_it_and_migrate_mends_that(
    desk: Desk, dynamodb_url: str, write: JavaScriptHandler
) -> None:
    for each in ALL:
        write(each)
    assert amiss(desk, dynamodb_url) == (
        1,
        {
            "keys": [f"'{KEYS[1]}' in stream 'order-17'", f"'{KEYS[3]}' in stream 'order-17'"],
            "beginnings": ["stream 'order-17'"],
        },
    )
    assert desk.run("migrate", "--store", dynamodb_url).code == 0
    assert write.keys() == [
        "#head",
        "2026-03-01T11:03:27.000Z#OrderPlaced",
        "2026-03-01T11:03:28.000Z#OrderPaid",
        "2026-03-01T11:03:29.000Z#NoteAdded",
        "2026-03-02T08:00:00.500Z#OrderShipped",
    ]
    assert amiss(desk, dynamodb_url) == (0, {})
    assert state(dynamodb_url) == STATE
    assert replay(dynamodb_url, ALL) == ["duplicate"] * 4


def test_where_a_replay_came_before_migrate_the_old_rows_go(
    desk: Desk, dynamodb_url: str, write: JavaScriptHandler
) -> None:
    for each in ALL:
        write(each)
    replay(legacy(dynamodb_url), ALL)
    code, found = amiss(desk, dynamodb_url)
    assert (code, len(found["duplicates"])) == (1, 2)
    assert desk.run("migrate", "--store", dynamodb_url).code == 0
    assert amiss(desk, dynamodb_url) == (0, {})
    assert state(dynamodb_url) == STATE


def test_its_events_expire_to_the_fraction_of_a_second_and_the_loss_is_told(
    dynamodb_url: str, write: JavaScriptHandler
) -> None:
    write(PLACED)
    write(SHIPPED, expires=EXPIRES + 86_400)
    with freeze_time("2099-01-31T12:00:00.122Z"):
        assert state(dynamodb_url) == ["OrderPlaced", "OrderShipped"]
    with freeze_time("2099-01-31T12:00:00.124Z"):
        assert len(write.keys()) == 2
        with pytest.raises(IncompleteStream) as raised:
            state(dynamodb_url)
        assert raised.value.since == "2026-03-01T11:03:27.000000000Z"
        assert state(dynamodb_url, allow_incomplete=True) == ["OrderShipped"]


def test_after_migrate_the_loss_is_told_also_when_the_row_is_gone(
    desk: Desk, dynamodb_url: str, dynamodb_client: DynamoDBClient, write: JavaScriptHandler
) -> None:
    write(PLACED)
    write(SHIPPED, expires=EXPIRES + 86_400)
    assert desk.run("migrate", "--store", dynamodb_url).code == 0
    gone: Any = {"pk": {"S": "order-17"}, "sk": {"S": KEYS[0]}}
    dynamodb_client.delete_item(TableName=urlsplit(dynamodb_url).netloc, Key=gone)  # as DynamoDB does, days later
    with freeze_time("2099-01-31T13:00:00Z"), pytest.raises(IncompleteStream):
        state(dynamodb_url)

"""What is DynamoDB's own: how the adapter is pointed at a table, what it asks of it, and what it makes of failures."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
import pytest
from botocore.stub import Stubber

from eventsourcing_kit import open_store
from eventsourcing_kit.errors import IndexNotFound, InvalidStoreURL, StoreDamaged, StoreNotFound, StoreUnavailable
from eventsourcing_kit.stores.contract import Counts
from eventsourcing_kit.stores.dynamodb import DynamoDBStore
from eventsourcing_kit.stores.pages import OPERATIONS
from eventsourcing_kit.testing import Clock, event
from tests.servers import LossyProxy, closed_port, listening, lossy_proxy
from tests.transports import TRANSPORTS, are_direct, taught

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_dynamodb.client import DynamoDBClient

PLACED = event("OrderPlaced", id="e-1", total=42)
TWIN = event("OrderPlaced", id="e-2", total=43)
LOCAL = "region=eu-west-1&endpoint_url=http://127.0.0.1:8000"


def opened(url: str) -> DynamoDBStore:
    store = open_store(url, clock=Clock("2026-03-01T12:00:00Z"))  # at which these events are not late
    assert isinstance(store, DynamoDBStore)
    return store


def table_of(url: str) -> str:
    return urlsplit(url).netloc


@pytest.fixture
def store(dynamodb_url: str) -> Iterator[DynamoDBStore]:
    """A store with its table made."""
    with opened(dynamodb_url) as store:
        store.create_table()
        yield store


@pytest.fixture
def proxy(dynamodb_endpoint: str) -> Iterator[LossyProxy]:
    with lossy_proxy(dynamodb_endpoint) as proxy:
        yield proxy


@pytest.fixture(params=TRANSPORTS)
def proxied(
    request: pytest.FixtureRequest, store: DynamoDBStore, proxy: LossyProxy, pauses: list[float]
) -> Iterator[DynamoDBStore]:
    """A store at the same table, which asks through the proxy, and reads over each transport."""
    end = TRANSPORTS[request.param]
    with opened(f"dynamodb://{store.table}?region=eu-west-1&endpoint_url={proxy.url}{end}") as proxied:
        taught(proxied)
        proxy.asked.clear()
        proxy.agents.clear()
        yield proxied
        reads = [
            is_direct
            for (kind, _), is_direct in zip(proxy.asked, are_direct(proxy.agents), strict=True)
            if kind in OPERATIONS
        ]
        assert any(reads) == (request.param == "direct" and bool(reads))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, in seconds, that botocore would have made before it tried again."""
    pauses: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=pauses.append))
    return pauses


# Where the table is


def test_a_url_names_table_region_and_endpoint() -> None:
    with opened("dynamodb://orders?region=eu-north-1&endpoint_url=http://127.0.0.1:8000") as store:
        assert store.table == "orders"
        assert store._client.meta.region_name == "eu-north-1"
        assert store._client.meta.endpoint_url == "http://127.0.0.1:8000"


def test_without_an_endpoint_it_is_the_regions_own() -> None:
    with opened("dynamodb://orders?region=eu-north-1") as store:
        assert store._client.meta.endpoint_url == "https://dynamodb.eu-north-1.amazonaws.com"


def test_without_a_region_it_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    with opened("dynamodb://orders") as store:
        assert store._client.meta.region_name == "ap-south-1"


def test_a_profile_brings_region_and_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    config.write_text("[profile shop]\nregion = sa-east-1\n")
    credentials.write_text("[shop]\naws_access_key_id = of-the-shop\naws_secret_access_key = any\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    with opened("dynamodb://orders?profile=shop") as store:
        assert store._client.meta.region_name == "sa-east-1"
        signer: Any = store._client._request_signer  # type: ignore[attr-defined]  # nothing public tells who signs
        assert signer._credentials.access_key == "of-the-shop"


@pytest.mark.parametrize(
    ("options", "code"), [("?profile=nobody&region=eu-west-1", "ProfileNotFound"), ("", "NoRegionError")]
)
def test_a_profile_or_region_that_is_missing_is_said_at_first_use(options: str, code: str) -> None:
    with opened(f"dynamodb://orders{options}") as store, pytest.raises(StoreUnavailable) as raised:
        store.append(PLACED)
    assert raised.value.code == code


@pytest.mark.parametrize(
    "url",
    [
        "dynamodb://AKIAIOSFODNN7EXAMPLE:hunter2@orders",
        "dynamodb://hunter2@orders?region=eu-west-1",
        "dynamodb://orders?endpoint_url=http://me:hunter2@127.0.0.1:8000",
        "dynamodb://orders?endpoint_url=http%3A%2F%2Fme%3Ahunter2%40127.0.0.1%3A8000",
        "dynamodb://orders?aws_secret_access_key=hunter2",
        "dynamodb://orders?region=eu-west-1&password=hunter2",
        "AKIAIOSFODNN7EXAMPLE:hunter2@orders?password=hunter2",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidStoreURL) as refusal:
        open_store(url)
    assert "hunter2" not in str(refusal.value)
    assert "hunter2" not in refusal.value.url


@pytest.mark.parametrize(
    "url",
    [
        "dynamodb://",
        "dynamodb:///orders",
        "dynamodb://orders/2026",
        "dynamodb://orders?regoin=eu-west-1",
        "dynamodb://orders?legacy=yes",
        "dynamodb://orders?retention_days=0",
        "dynamodb://orders?endpoint_url=127.0.0.1:8000",
        "dynamodb://orders?endpoint_url=localhost:8000",
        "dynamodb://orders?endpoint_url=ftp://127.0.0.1:8000",
        "dynamodb://orders?endpoint_url=http://",
        "dynamodb://orders?endpoint_url=http://127.0.0.1:port",
        "dynamodb://orders?endpoint_url=http://127.0.0.1:99999",
        "dynamodb://orders?endpoint_url=http://[::1",
        "dynamodb://orders?transport=boto3",
        "dynamodb://orders?transport=",
    ],
)
def test_a_url_that_names_no_table_is_refused(url: str) -> None:
    with pytest.raises(InvalidStoreURL):
        open_store(url)


def test_a_file_s_name_alone_is_told_how_a_url_is_written() -> None:
    with pytest.raises(InvalidStoreURL, match=r"'events\.db' is not a store's URL: it has no '://'; a file is sqlite"):
        open_store("events.db")


def test_a_server_on_this_machine_needs_no_credentials(dynamodb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with opened(dynamodb_url) as store:
        store.create_table()
        assert store.append(PLACED) == "stored"


def test_elsewhere_missing_credentials_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with opened("dynamodb://orders?region=eu-west-1") as store, pytest.raises(StoreUnavailable) as raised:
        store.append(PLACED)
    assert raised.value.code == "NoCredentialsError"


# The client


def test_the_client_waits_a_second_to_connect_and_five_to_be_answered_and_retries_in_standard_mode() -> None:
    with opened(f"dynamodb://orders?{LOCAL}") as store:
        config: Any = store._client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (1, 5)
        assert config.retries == {"mode": "standard", "total_max_attempts": 5}


def test_nothing_is_asked_before_the_first_use(proxied: DynamoDBStore, proxy: LossyProxy) -> None:
    proxied.read("order-17")
    proxied.streams()
    assert proxy.asked == []


def test_every_reading_asks_for_consistent_reads(proxied: DynamoDBStore, proxy: LossyProxy) -> None:
    list(proxied.read("order-17"))
    list(proxied.read("order-17", start="2026-03-01", at="2026-03-02"))
    list(proxied.streams())
    assert [operation for operation, _ in proxy.asked] == ["Query", "Query", "Query", "Scan"]
    assert [request["ConsistentRead"] for _, request in proxy.asked] == [True, True, True, True]


def test_a_window_asks_for_its_own_range_of_keys_alone(proxied: DynamoDBStore, proxy: LossyProxy) -> None:
    list(proxied.read("order-17", at="2026-03-01T11:03:27.5Z"))
    ((_, request),) = proxy.asked
    assert sorted(value["S"] for value in request["ExpressionAttributeValues"].values()) == [
        "#",
        "2026-03-01T11:03:27\U0010ffff",
        "order-17",
    ]


def test_listing_streams_asks_for_keys_alone(proxied: DynamoDBStore, proxy: LossyProxy) -> None:
    list(proxied.streams())
    assert proxy.asked[0][1]["ProjectionExpression"] == "pk"


def test_a_long_stream_is_asked_for_page_by_page(
    store: DynamoDBStore, proxied: DynamoDBStore, proxy: LossyProxy
) -> None:
    store.append_many(event("Grew", text="x" * 90_000, time=f"2026-03-01T11:{n:02d}:00Z") for n in range(40))
    proxied.in_flight = 1
    reading = proxied.read("order-17")
    next(reading)
    assert len(proxy.asked) <= 3  # a page has eleven, the first block sixteen; and one more may be under way
    assert len(list(reading)) == 39
    assert len(proxy.asked) == 4


def test_a_very_long_stream_is_asked_for_in_windows_of_time(
    store: DynamoDBStore, proxied: DynamoDBStore, proxy: LossyProxy
) -> None:
    store.append_many(event("Grew", n=n, time=f"2026-03-01T11:{n // 60:02d}:{n % 60:02d}Z") for n in range(200))
    proxied.page_size = 10
    expected = list(store.read("order-17"))
    for found in (list(proxied.read("order-17")), list(proxied.read_in_brief("order-17"))):
        assert found == expected
    lows = {request["ExpressionAttributeValues"][":low"]["S"] for _, request in proxy.asked}
    assert len(lows) > 10


@pytest.mark.parametrize("reading", ["read", "read_in_brief"])
def test_many_markers_of_late_events_are_passed_over(
    dynamodb_url: str, proxied: DynamoDBStore, proxy: LossyProxy, reading: str
) -> None:
    with open_store(dynamodb_url, clock=Clock("2026-03-09T12:00:00Z")) as store:
        store.append_many(event("Grew", n=n, time=f"2026-03-01T11:{n:02d}:00Z") for n in range(50))
    proxied.page_size, proxied.in_flight = 10, 1
    found = list(getattr(proxied, reading)("order-17"))
    assert [each.data["n"] for each in found] == list(range(50))
    assert len(proxy.asked) == 1 + 5 + 1  # a page of markers, the events, and that there are no more


# The table


def test_creating_the_table_gives_it_the_two_keys_and_no_provisioned_throughput(
    store: DynamoDBStore, dynamodb_client: DynamoDBClient
) -> None:
    table = dynamodb_client.describe_table(TableName=store.table)["Table"]
    assert table["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_creating_the_table_lets_dynamodb_delete_what_has_expired(
    store: DynamoDBStore, dynamodb_client: DynamoDBClient
) -> None:
    answer = dynamodb_client.describe_time_to_live(TableName=store.table)
    assert answer["TimeToLiveDescription"]["AttributeName"] == "expireRecord"
    assert answer["TimeToLiveDescription"]["TimeToLiveStatus"] in ("ENABLED", "ENABLING")


def test_a_table_that_is_there_is_left_as_it_is(dynamodb_url: str, dynamodb_client: DynamoDBClient) -> None:
    make_table(dynamodb_client, table_of(dynamodb_url), "pk", "sk")
    with opened(dynamodb_url) as store:
        store.create_table()
    answer = dynamodb_client.describe_time_to_live(TableName=table_of(dynamodb_url))
    assert answer["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED"


def test_a_table_with_other_keys_is_told_when_it_is_to_be_made(
    dynamodb_url: str, dynamodb_client: DynamoDBClient
) -> None:
    make_table(dynamodb_client, table_of(dynamodb_url), "id", "range")
    with opened(dynamodb_url) as store, pytest.raises(StoreDamaged) as raised:
        store.create_table()
    assert raised.value.reason == "the table's key is (id, range), expected (pk, sk)"


def make_table(client: DynamoDBClient, table: str, pk: str, sk: str) -> None:
    client.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": pk, "KeyType": "HASH"}, {"AttributeName": sk, "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in (pk, sk)],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})


# Trails


def test_a_table_that_is_made_here_has_the_index_of_the_template(
    store: DynamoDBStore, dynamodb_client: DynamoDBClient
) -> None:
    (index,) = dynamodb_client.describe_table(TableName=store.table)["Table"]["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "correlationId"
    assert [(key["AttributeName"], key["KeyType"]) for key in index["KeySchema"]] == [
        ("correlationId", "HASH"),
        ("sk", "RANGE"),
    ]
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}


def test_a_table_without_the_index_is_told_with_what_to_do(dynamodb_url: str, dynamodb_client: DynamoDBClient) -> None:
    make_table(dynamodb_client, table_of(dynamodb_url), "pk", "sk")
    with opened(dynamodb_url) as store:
        store.append(event("OrderPlaced", metadata={"correlationId": "cart-5"}))
        for look in (lambda: list(store.correlated("cart-5")), lambda: list(store.correlations())):
            with pytest.raises(IndexNotFound, match="scan=True") as raised:
                look()
            assert raised.value.index == "correlationId"


def test_no_table_is_told_as_for_any_other_question(dynamodb_url: str) -> None:
    with opened(dynamodb_url) as store, pytest.raises(StoreNotFound):
        list(store.correlated("cart-5"))


def batches(*answers: list[int]) -> tuple[DynamoDBStore, Stubber, list[float]]:
    """A store whose index has ten keys, and whose table answers these of them, one list for each call."""
    pauses: list[float] = []
    store = DynamoDBStore("t", url="dynamodb://t", region="eu-west-1", sleep=pauses.append)
    keys = [{"pk": {"S": "order-17"}, "sk": {"S": f"2026-03-01T11:03:27.{n:03d}Z#Paid"}} for n in range(10)]
    stubber = Stubber(store._client)
    stubber.add_response("query", {"Items": [{"correlationId": {"S": "cart-5"}, **key} for key in keys]})
    left = list(range(10))
    for answer in answers:
        requested = {"t": {"Keys": [keys[n] for n in left], "ConsistentRead": True}}
        left = [n for n in left if n not in answer]
        undone = {"t": {"Keys": [keys[n] for n in left], "ConsistentRead": True}} if left else {}
        items = [{**keys[n], "eventId": {"S": f"e-{n}"}} for n in answer]
        found = {"Responses": {"t": items}, "UnprocessedKeys": undone}
        stubber.add_response("batch_get_item", found, {"RequestItems": requested})
    stubber.activate()
    return store, stubber, pauses


def test_keys_that_a_batch_leaves_undone_are_asked_for_again() -> None:
    store, stubber, pauses = batches([3, 1], [], [0, 2, 4, 5, 6, 7, 8], [9])
    with store:
        assert sorted(found.id for found in store.correlated("cart-5")) == [f"e-{n}" for n in range(10)]
        stubber.assert_no_pending_responses()
    assert len(pauses) == 1  # after the one answer that brought nothing: the others were full, not throttled
    assert 0 <= pauses[0] <= 2


def test_a_table_that_never_answers_a_batch_is_unavailable() -> None:
    store, stubber, pauses = batches([1], [], [], [], [], [])
    with store, pytest.raises(StoreUnavailable, match="nothing came back in 5 tries"):
        list(store.correlated("cart-5"))
    stubber.assert_no_pending_responses()
    assert [pause <= 2**tries for tries, pause in enumerate(pauses, start=1)] == [True] * 4


# Items


def test_attributes_that_nobody_here_knows_are_passed_over(
    store: DynamoDBStore, dynamodb_client: DynamoDBClient
) -> None:
    put(dynamodb_client, store.table, tags={"SS": ["a", "b"]}, nested={"M": {"a": {"NULL": True}}})
    assert [found.id for found in store.read("order-17")] == ["e-1"]


@pytest.mark.parametrize(
    ("attribute", "value", "tag", "expected"),
    [
        ("eventDetail", {"M": {"secret": {"S": "hunter2"}}}, "M", "S"),
        ("eventDetail", {"B": b"hunter2"}, "B", "S"),
        ("eventDetailZ", {"S": "hunter2"}, "S", "B"),
        ("expireRecord", {"S": "2099-01-01"}, "S", "N"),
        ("eventId", {"N": "17"}, "N", "S"),
        ("resources", {"L": [{"S": "hunter2"}]}, "L", "S"),
    ],
)
def test_an_attribute_of_another_type_is_damage_that_names_it(
    store: DynamoDBStore,
    dynamodb_client: DynamoDBClient,
    attribute: str,
    value: dict[str, Any],
    tag: str,
    expected: str,
) -> None:
    put(dynamodb_client, store.table, **{attribute: value})
    with pytest.raises(StoreDamaged) as raised:
        list(store.read("order-17"))
    assert raised.value.reason == (
        f"attribute '{attribute}' of the item '2026-03-01T11:03:27.000Z#OrderPlaced' has the type {tag}, "
        f"expected {expected}"
    )
    assert "hunter2" not in str(raised.value)


def put(client: DynamoDBClient, table: str, **attributes: Any) -> None:
    item: dict[str, Any] = {
        "pk": {"S": "order-17"},
        "sk": {"S": "2026-03-01T11:03:27.000Z#OrderPlaced"},
        "eventId": {"S": "e-1"},
        **attributes,
    }
    client.put_item(TableName=table, Item=item)


# Failures

USES: dict[str, Callable[[DynamoDBStore], object]] = {
    "append": lambda store: store.append(PLACED),
    "append_many": lambda store: store.append_many([PLACED, TWIN]),
    "append_each": lambda store: list(store.append_each([PLACED, TWIN])),
    "read": lambda store: list(store.read("order-17")),
    "read from": lambda store: list(store.read("order-17", start="2026-03-01")),
    "streams": lambda store: list(store.streams()),
}


@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_a_missing_table_is_not_found(dynamodb_url: str, use: Callable[[DynamoDBStore], object]) -> None:
    with opened(dynamodb_url) as store, pytest.raises(StoreNotFound) as raised:
        use(store)
    assert raised.value.url == dynamodb_url
    assert "eskit create-table" in raised.value.hint
    assert isinstance(raised.value.__cause__, botocore.exceptions.ClientError)


@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_where_nobody_listens_the_store_is_unavailable_after_five_attempts(
    use: Callable[[DynamoDBStore], object], pauses: list[float]
) -> None:
    url = f"dynamodb://orders?region=eu-west-1&endpoint_url=http://127.0.0.1:{closed_port()}"
    with opened(url) as store, pytest.raises(StoreUnavailable) as raised:
        use(store)
    assert raised.value.code == "EndpointConnectionError"
    assert raised.value.url == url
    assert len(pauses) == 4
    assert sum(pauses) <= 15


@pytest.mark.parametrize(
    "code",
    [
        "AccessDeniedException",
        "ExpiredTokenException",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "UnrecognizedClientException",
        "ValidationException",
    ],
)
@pytest.mark.parametrize(
    ("use", "operation", "doing"),
    [
        ("append", "put_item", "appending"),
        ("read", "query", "reading"),
        ("streams", "scan", "listing streams"),
    ],
)
def test_what_dynamodb_refuses_is_told_by_its_code(code: str, use: str, operation: str, doing: str) -> None:
    with opened(f"dynamodb://orders?{LOCAL}") as store, Stubber(store._client) as stub:
        stub.add_client_error(operation, code, "hunter2 is in the request", http_status_code=400)
        with pytest.raises(StoreUnavailable) as raised:
            USES[use](store)
    assert (raised.value.code, raised.value.doing) == (code, doing)
    assert isinstance(raised.value.__cause__, botocore.exceptions.ClientError)
    assert "hunter2" not in str(raised.value)


def test_not_being_allowed_to_make_the_table_is_told() -> None:
    with opened(f"dynamodb://orders?{LOCAL}") as store, Stubber(store._client) as stub:
        stub.add_client_error("create_table", "AccessDeniedException")
        with pytest.raises(StoreUnavailable) as raised:
            store.create_table()
    assert (raised.value.code, raised.value.doing) == ("AccessDeniedException", "creating the table")


def test_a_batch_gives_up_when_the_table_is_missing(dynamodb_url: str, proxy: LossyProxy) -> None:
    url = f"dynamodb://{table_of(dynamodb_url)}?region=eu-west-1&endpoint_url={proxy.url}"
    with opened(url) as store, pytest.raises(StoreNotFound):
        store.append_many(event("OrderPlaced", stream=f"order-{n}") for n in range(1_000))
    assert len(proxy.asked) < 500


# Lost answers


def test_a_put_whose_answer_was_lost_is_stored_once(
    proxied: DynamoDBStore, proxy: LossyProxy, pauses: list[float]
) -> None:
    proxy.lose["PutItem"] = 1
    assert proxied.append(PLACED) == "stored"
    assert [found.id for found in proxied.read("order-17")] == ["e-1"]
    puts = [request for operation, request in proxy.asked if operation == "PutItem"]
    assert len(puts) == 2
    assert puts[0] == puts[1]
    assert len(pauses) == 1


def test_a_twins_put_whose_answer_was_lost_is_stored_once(
    store: DynamoDBStore, proxied: DynamoDBStore, proxy: LossyProxy
) -> None:
    store.append(PLACED)
    proxy.lose["PutItem"] = 2  # that of the plain key, which is refused, and that of the twin's
    outcome = proxied.append(TWIN)
    assert (outcome, outcome.twin) == ("stored", True)
    assert sorted(found.id for found in store.read("order-17")) == ["e-1", "e-2"]


def test_a_duplicate_whose_answer_was_lost_is_a_duplicate(
    store: DynamoDBStore, proxied: DynamoDBStore, proxy: LossyProxy
) -> None:
    store.append(PLACED)
    proxy.lose["PutItem"] = 1
    assert proxied.append(PLACED) == "duplicate"


def test_lost_answers_of_a_batch_change_no_count(
    store: DynamoDBStore, proxied: DynamoDBStore, proxy: LossyProxy
) -> None:
    proxy.lose["PutItem"] = 4  # no more than one put can bear
    counts = proxied.append_many(
        event("ItemAdded", item=n % 2, id=f"e-{n}", time=f"2026-03-01T11:03:{n // 2:02d}Z") for n in range(20)
    )
    assert counts == Counts(stored=20, twins=10)
    assert len(list(store.read("order-17"))) == 20


def test_a_head_whose_answer_was_lost_is_written_once(
    store: DynamoDBStore, proxy: LossyProxy, pauses: list[float]
) -> None:
    url = f"dynamodb://{store.table}?region=eu-west-1&endpoint_url={proxy.url}&retention_days=30"
    with open_store(url, clock=Clock("2026-03-02T00:00:00Z")) as kept:
        proxy.lose["PutItem"] = 1
        assert kept.append(PLACED) == "stored"
        assert [found.id for found in kept.read("order-17")] == ["e-1"]
    assert len(pauses) == 1


@pytest.mark.parametrize("operation", ["Query", "Scan"])
def test_a_reading_whose_answer_was_lost_is_asked_for_again(
    store: DynamoDBStore, proxied: DynamoDBStore, proxy: LossyProxy, operation: str
) -> None:
    store.append(PLACED)
    proxy.lose[operation] = 1
    assert [found.id for found in proxied.read("order-17")] == ["e-1"]
    assert list(proxied.streams()) == ["order-17"]


def test_when_every_answer_is_lost_the_store_is_unavailable_and_the_next_try_finds_the_event(
    proxied: DynamoDBStore, proxy: LossyProxy
) -> None:
    proxy.lose["PutItem"] = 5
    with pytest.raises(StoreUnavailable) as raised:
        proxied.append(PLACED)
    assert raised.value.code == "ConnectionClosedError"
    assert proxied.append(PLACED) == "duplicate"


# The tests' own ground


def test_the_tests_server_listens_on_loopback_alone(dynamodb_endpoint: str, dynamodb_group: int) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells what a process listens on")
    assert listening(dynamodb_group) == {("127.0.0.1", urlsplit(dynamodb_endpoint).port)}


def test_the_tests_have_nobodys_credentials(dynamodb_endpoint: str) -> None:
    if (urlsplit(dynamodb_endpoint).hostname or "").endswith(".amazonaws.com"):
        pytest.skip("ESKIT_TEST_DYNAMODB names an account")
    credentials = boto3.Session().get_credentials()
    assert credentials is not None
    assert credentials.access_key == "AKIAIOSFODNN7EXAMPLE"
    assert "AWS_PROFILE" not in os.environ

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from eventsourcing_kit import open_store
from eventsourcing_kit.errors import InvalidOption, StoreUnavailable
from eventsourcing_kit.redrive import Redriven, redrive
from eventsourcing_kit.stores.base import BaseStore
from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, desk_at

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_sqs.client import SQSClient

CANARY = "tweety"
PLACED = envelope("OrderPlaced", id="placed", time="2026-03-01T11:03:27Z", total=3)
PAID = envelope("OrderPaid", id="paid", time="2026-03-01T11:03:28Z", total=3)
SHIPPED = envelope("OrderShipped", id="shipped", time="2026-03-02T08:00:00Z")
KEYLESS = {**PLACED, "id": "keyless", "detail": {"data": {"name": CANARY}}}
ON_FAILURE = {"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": SHIPPED}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[SQSClient]:
    monkeypatch.setattr("eventsourcing_kit.redrive._WAIT_SECONDS", 0)  # it is one server, who knows at once
    with mock_aws():
        client = boto3.client("sqs", region_name="eu-west-1")
        yield client
        client.close()


@pytest.fixture
def queue(client: SQSClient) -> str:
    return client.create_queue(QueueName="events-dead")["QueueUrl"]


@pytest.fixture
def store() -> Iterator[BaseStore]:
    with open_store("sqlite://") as store:
        yield store


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        yield desk


def put(client: SQSClient, queue: str, body: Any, **attributes: str) -> str:
    """Puts a message into the queue; answers its id."""
    text = body if isinstance(body, str) else json.dumps(body)
    typed: Any = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    return client.send_message(QueueUrl=queue, MessageBody=text, MessageAttributes=typed)["MessageId"]


def waiting(client: SQSClient, queue: str) -> tuple[int, int]:
    """How many messages can be received, and how many are hidden."""
    names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found: Any = client.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return int(found[names[0]]), int(found[names[1]])


def ids(store: BaseStore, stream: str = "order-17") -> list[str]:
    return [event.id for event in store.read(stream)]


def test_messages_of_all_kinds_are_stored_and_leave_the_queue(client: SQSClient, queue: str, store: BaseStore) -> None:
    later = envelope("OrderPaid", id="later", time="2026-03-03T08:00:00Z")
    expected = [
        Redriven(put(client, queue, PLACED), ("placed",), "stored", None),
        Redriven(put(client, queue, [PAID, PLACED]), ("paid", "placed"), "stored", None),
        Redriven(put(client, queue, ON_FAILURE), ("shipped",), "stored", None),
        Redriven(
            put(client, queue, later, error="EventTooLarge", reason="too large"), ("later",), "stored", "too large"
        ),
    ]
    assert list(redrive(queue, store, dry_run=False)) == expected
    assert ids(store) == ["placed", "paid", "shipped", "later"]
    assert waiting(client, queue) == (0, 0)


@pytest.mark.parametrize("name", ["reason", "ERROR_MESSAGE", "ErrorMessage"])
def test_it_tells_why_a_message_was_dead_whoever_said_so(
    client: SQSClient, queue: str, store: BaseStore, name: str
) -> None:
    put(client, queue, PLACED, RULE_ARN="arn:aws:events:eu-west-1:123456789012:rule/all", **{name: "throttled"})
    assert [message.reason for message in redrive(queue, store)] == ["throttled"]


def test_a_dry_run_changes_nothing_and_can_be_followed_by_the_real_one_at_once(
    client: SQSClient, queue: str, store: BaseStore
) -> None:
    first, second = put(client, queue, PLACED), put(client, queue, "no envelope")
    planned = list(redrive(queue, store))
    assert [(message.message_id, message.outcome) for message in planned] == [
        (first, "would be put"),
        (second, "refused"),
    ]
    assert waiting(client, queue) == (2, 0)
    assert list(store.streams()) == []
    done = list(redrive(queue, store, dry_run=False))
    assert [(message.message_id, message.outcome) for message in done] == [(first, "stored"), (second, "refused")]


def test_what_is_refused_stays_with_a_reason_that_has_nothing_of_it(
    client: SQSClient, queue: str, store: BaseStore
) -> None:
    bodies: list[Any] = [CANARY, f'{{"{CANARY}": "', f'["{CANARY}"]', [], {CANARY: CANARY}, KEYLESS]
    for body in bodies:
        put(client, queue, body)
    put(client, queue, PLACED)
    done = list(redrive(queue, store, dry_run=False))
    assert [message.outcome for message in done] == ["refused"] * 6 + ["stored"]
    assert done[5].reason == "detail.data.primaryKey: found nothing, expected text of 1 to 2,048 bytes"
    assert CANARY not in repr(done)
    assert waiting(client, queue) == (6, 0)


def test_a_message_of_several_envelopes_stays_where_one_of_them_is_refused(
    client: SQSClient, queue: str, store: BaseStore
) -> None:
    put(client, queue, [PLACED, KEYLESS])
    assert [message.outcome for message in redrive(queue, store, dry_run=False)] == ["refused"]
    assert list(store.streams()) == []
    assert waiting(client, queue) == (1, 0)


def test_a_conflict_stays_and_names_its_event(client: SQSClient, queue: str, store: BaseStore) -> None:
    put(client, queue, PLACED)
    put(client, queue, envelope("OrderPlaced", id="placed", time="2026-03-01T11:03:27Z", total=4))
    stored, refused = redrive(queue, store, dry_run=False)
    assert (stored.outcome, refused.outcome, refused.events) == ("stored", "refused", ("placed",))
    assert (refused.reason or "").startswith("event 'placed' conflicts with ")
    assert waiting(client, queue) == (1, 0)


def test_twice_is_harmless(client: SQSClient, queue: str, store: BaseStore) -> None:
    for _ in range(2):
        put(client, queue, PLACED)
    assert [message.outcome for message in redrive(queue, store, dry_run=False)] == ["stored", "duplicate"]
    assert list(redrive(queue, store, dry_run=False)) == []
    assert ids(store) == ["placed"]


def test_a_queue_of_more_messages_than_one_answer_holds_is_gone_through_whole(
    client: SQSClient, queue: str, store: BaseStore
) -> None:
    for number in range(57):
        put(client, queue, envelope("OrderPlaced", id=f"e-{number}", number=number))
    assert len({message.message_id for message in redrive(queue, store)}) == 57
    assert [message.outcome for message in redrive(queue, store, dry_run=False)] == ["stored"] * 57
    assert waiting(client, queue) == (0, 0)
    assert len(ids(store)) == 57


def test_a_reader_who_stops_leaves_the_others_in_the_queue(client: SQSClient, queue: str, store: BaseStore) -> None:
    for number in range(5):
        put(client, queue, envelope("OrderPlaced", id=f"e-{number}", number=number))
    messages = redrive(queue, store, dry_run=False)
    next(messages)
    messages.close()  # type: ignore[attr-defined]  # it is a generator
    assert waiting(client, queue) == (4, 0)
    assert ids(store) == ["e-0"]


def test_a_store_that_fails_ends_it_and_the_message_stays(
    client: SQSClient, queue: str, store: BaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(event: object) -> None:
        raise StoreUnavailable("sqlite://", code="FULL", doing="appending")

    put(client, queue, PLACED)
    monkeypatch.setattr(store, "append", fail)
    with pytest.raises(StoreUnavailable, match="FULL"):
        list(redrive(queue, store, dry_run=False))
    assert waiting(client, queue) == (1, 0)


def test_paths_and_identity_are_as_for_any_ingest(client: SQSClient, queue: str, store: BaseStore) -> None:
    for event_id in ("e-1", "e-2"):
        put(client, queue, {**PLACED, "id": event_id, "account": "123456789012"})
    paths = {"stream_path": "account", "correlation_path": "region", "causation_path": "source"}
    done = redrive(queue, store, dry_run=False, identity="id", **paths)
    assert [message.outcome for message in done] == ["stored", "stored"]
    assert [(event.correlation_id, event.causation_id) for event in store.read("123456789012")] == [
        ("eu-west-1", "shop")
    ] * 2
    assert sorted(ids(store, "123456789012")) == ["e-1", "e-2"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "events-dead",
        "arn:aws:sqs:eu-west-1:123456789012:events-dead",
        "https://sqs.eu-west-1.amazonaws.com",
        "https:///events-dead",
        f"https://key:{CANARY}@sqs.eu-west-1.amazonaws.com/123456789012/events-dead",
        f"https://sqs.eu-west-1.amazonaws.com/123456789012/events-dead?X-Amz-Signature={CANARY}",
        f"https://[{CANARY}/123456789012/events-dead",
    ],
)
def test_what_is_no_plain_url_of_a_queue_is_refused_at_once_and_not_shown(store: BaseStore, url: str) -> None:
    with pytest.raises(InvalidOption) as refusal:
        redrive(url, store)
    assert refusal.value.option == "queue_url"
    assert CANARY not in str(refusal.value)


def test_a_queue_that_is_not_there_is_unavailable(client: SQSClient, queue: str, store: BaseStore) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        list(redrive(f"{queue}-of-nobody", store))
    assert raised.value.url == f"{queue}-of-nobody"
    assert "NonExistentQueue" in raised.value.code


# The command


def test_the_command_lists_and_then_does_it(desk: Desk, client: SQSClient, queue: str) -> None:
    first, second = put(client, queue, PLACED, reason="throttled"), put(client, queue, KEYLESS)
    missing = "detail.data.primaryKey: found nothing, expected text of 1 to 2,048 bytes"
    refused = {"message_id": second, "events": [], "outcome": "refused", "reason": missing}
    planned = desk.run("redrive", queue)
    assert planned.records == [
        {"message_id": first, "events": ["placed"], "outcome": "would be put", "reason": "throttled"},
        refused,
    ]
    assert (planned.code, planned.talk) == (1, ["eskit: 2 messages: 1 would be put, 1 refused"])
    assert not (desk.folder / "events.db").exists()
    done = desk.run("redrive", queue, "--put")
    assert done.records == [
        {"message_id": first, "events": ["placed"], "outcome": "stored", "reason": "throttled"},
        refused,
    ]
    assert (done.code, done.talk) == (1, ["eskit: 2 messages: 1 stored, 0 duplicate, 1 refused"])
    assert [event["id"] for event in desk.run("events", "order-17").records] == ["placed"]


def test_the_command_ends_well_where_nothing_is_refused(desk: Desk, client: SQSClient, queue: str) -> None:
    empty = desk.run("redrive", queue, "--put")
    assert (empty.code, empty.out, empty.talk) == (0, "", ["eskit: 0 messages: 0 stored, 0 duplicate, 0 refused"])
    put(client, queue, PLACED)
    assert desk.run("redrive", queue).code == 0
    assert desk.run("redrive", queue, "--put").code == 0


def test_the_command_shows_a_table(desk: Desk, client: SQSClient, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    message = put(client, queue, [PLACED, PAID], reason="\x1b[31mred")
    done = desk.run("redrive", queue, "--format", "table")
    assert [line.split() for line in done.out.splitlines()] == [
        ["message", "events", "outcome", "reason"],
        [message, "placed", "paid", "would", "be", "put", "\\x1b[31mred"],
    ]


def test_what_is_no_queue_is_usage_and_one_that_fails_is_code_4_in_one_line(desk: Desk, client: SQSClient) -> None:
    none = desk.run("redrive", f"https://key:{CANARY}@sqs.eu-west-1.amazonaws.com/123456789012/events-dead")
    assert (none.code, none.out, len(none.talk)) == (2, "", 1)
    assert CANARY not in none.err
    gone = desk.run("redrive", "https://sqs.eu-west-1.amazonaws.com/123456789012/events-dead")
    assert (gone.code, gone.out, len(gone.talk)) == (4, "", 1)
    assert "NonExistentQueue" in gone.talk[0]


def test_a_queue_on_a_server_that_nobody_answers_at_is_code_4(desk: Desk) -> None:
    done = desk.run("redrive", "http://127.0.0.1:9/000000000000/events-dead", "--region", "eu-west-1")
    assert (done.code, done.out, len(done.talk)) == (4, "", 1)
    assert "EndpointConnectionError" in done.talk[0]

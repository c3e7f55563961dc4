"""The ingestion function on a DynamoDB server: what arrived is in the table when it answers, or it has raised."""

from __future__ import annotations

import json
import random
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from eventsourcing_kit import open_store
from eventsourcing_kit.errors import InvalidEnvelope, StoreNotFound
from tests.lambda_context import Function, batch, cold_start, envelope, settings_for
from tests.rows import RawRows, older

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_sqs.client import SQSClient

    from eventsourcing_kit import Event

ROUNDS: Final = 20  # of twins; 200 are what is promised, and take ten times as long
EVENTS: Final = 500  # that are redelivered; 10,000 are what is promised, and take twenty times as long
CANARY: Final = "tweety"


@pytest.fixture
def table(dynamodb_url: str) -> str:
    """The URL of an empty table."""
    with open_store(dynamodb_url) as store:
        store.create_table()
    return dynamodb_url


@pytest.fixture
def function(table: str) -> Iterator[Function]:
    """The function without a dead-letter queue."""
    with cold_start(settings_for(table)) as function:
        yield function


class Queue:
    """A dead-letter queue in moto's in-process SQS."""

    def __init__(self, client: SQSClient) -> None:
        self.client = client
        self.url = client.create_queue(QueueName="dead-letters")["QueueUrl"]

    def letters(self) -> list[tuple[str, str, str]]:
        """Body, error and reason of each message."""
        answer = self.client.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
        )
        return [
            (
                message["Body"],
                message["MessageAttributes"]["error"]["StringValue"],
                message["MessageAttributes"]["reason"]["StringValue"],
            )
            for message in answer.get("Messages", [])
        ]


@pytest.fixture
def dead_letters() -> Iterator[Queue]:
    with mock_aws():
        client = boto3.client("sqs", region_name="eu-west-1")
        yield Queue(client)
        client.close()


@pytest.fixture
def with_queue(table: str, dead_letters: Queue) -> Iterator[Function]:
    """The function with a dead-letter queue."""
    settings = settings_for(table, DEAD_LETTER_QUEUE_URL=dead_letters.url)
    with cold_start({**settings, "AWS_DEFAULT_REGION": "eu-west-1"}) as function:
        yield function


def stored(url: str, stream: str = "order-17") -> list[Event]:
    with open_store(url) as store:
        return list(store.read(stream))


def ids(url: str) -> list[str]:
    return sorted(event.id for event in stored(url))


class TestWhatArrives:
    def test_one_envelope_is_one_item(self, function: Function, table: str) -> None:
        assert function(envelope()) == {"stored": 1, "duplicate": 0, "refused": 0}
        (event,) = stored(table)
        assert (event.id, event.key, event.type, event.data) == (
            "e-1",
            "2026-03-01T11:03:27.000Z#OrderPlaced",
            "OrderPlaced",
            {"primaryKey": "order-17", "number": 1},
        )

    def test_the_same_envelope_again_is_a_duplicate(self, function: Function, table: str) -> None:
        function(envelope())
        assert function(envelope()) == {"stored": 0, "duplicate": 1, "refused": 0}
        assert ids(table) == ["e-1"]

    def test_an_array_is_all_of_its_envelopes(self, function: Function, table: str) -> None:
        assert function([envelope(1), envelope(2), envelope(1)]) == {"stored": 2, "duplicate": 1, "refused": 0}
        assert ids(table) == ["e-1", "e-2"]

    def test_nothing_of_an_array_with_one_bad_member_is_stored(self, function: Function, table: str) -> None:
        with pytest.raises(InvalidEnvelope, match=r"^source: found nothing, expected text$"):
            function([envelope(1), {**envelope(2), "source": None}, envelope(3)])
        assert ids(table) == []

    @pytest.mark.parametrize("failed", [envelope(1), [envelope(1)]], ids=["one envelope", "an array"])
    def test_the_record_of_an_on_failure_destination_is_what_it_wraps(
        self, function: Function, table: str, failed: Any
    ) -> None:
        record = {
            "version": "1.0",
            "timestamp": "2026-03-01T11:09:00.000Z",
            "requestContext": {"requestId": "request-0", "condition": "RetriesExhausted", "approximateInvokeCount": 3},
            "requestPayload": failed,
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": {"errorType": "StoreUnavailable"},
        }
        assert function(record)["stored"] == 1
        assert function.failed(batch([record])) == []
        assert ids(table) == ["e-1"]

    @pytest.mark.parametrize(
        "payload",
        [
            None,
            7,
            "text",
            [],
            {},
            {"Records": []},
            {"Records": [{"eventSource": "aws:s3", "s3": {}}]},
            {"requestPayload": {"key": "value"}, "requestContext": {}},
            [envelope(1), 7],
            [[envelope(1)]],
        ],
        ids=repr,
    )
    def test_anything_else_is_refused_loudly(self, function: Function, table: str, payload: Any) -> None:
        with pytest.raises(InvalidEnvelope):
            function(payload)
        assert ids(table) == []

    def test_through_a_queue_every_number_keeps_its_digits(self, function: Function, table: str) -> None:
        numbers = '{"primaryKey":"order-17","price":1234567890.12345678901234567890,"count":1e400,"zero":1.50}'
        body = json.dumps(envelope()).replace('{"primaryKey": "order-17", "number": 1}', numbers)
        assert function.failed(batch([body, f"[{body.replace('e-1', 'e-2').replace('1.50', '2.50')}]"])) == []
        assert [f'"data":{numbers}' in event.detail_json for event in stored(table) if event.id == "e-1"] == [True]
        assert ['"zero":2.50}' in event.detail_json for event in stored(table) if event.id == "e-2"] == [True]

    def test_the_path_to_the_key_is_a_setting(self, table: str) -> None:
        with cold_start(settings_for(table, STREAM_PATH="detail.data.number")) as function:
            function({**envelope(), "detail": {"data": {"number": "order-18"}}})
        assert [event.id for event in stored(table, "order-18")] == ["e-1"]

    def test_the_paths_to_what_links_events_are_settings(self, table: str) -> None:
        paths = {"CORRELATION_PATH": "detail.data.cart", "CAUSATION_PATH": "detail.data.click"}
        detail = {"data": {"primaryKey": "order-18", "cart": "cart-5", "click": "e-0"}}
        with cold_start(settings_for(table, **paths)) as function:
            function({**envelope(), "detail": detail})
        assert [(event.correlation_id, event.causation_id) for event in stored(table, "order-18")] == [
            ("cart-5", "e-0")
        ]

    def test_an_event_expires_as_many_days_behind_its_moment_as_are_set(self, table: str) -> None:
        with cold_start(settings_for(table, RETENTION_DAYS="36500")) as function:
            function(envelope(1, time="2026-03-01T11:03:27.900Z"))
        assert [event.expires for event in stored(table)] == [1772363007 + 36_500 * 86_400]


class TestAQueuesBatch:
    def test_only_the_failed_messages_come_back(self, function: Function, table: str) -> None:
        bodies = [envelope(1), {"no": "envelope"}, envelope(2), "not JSON", [envelope(3), envelope(4)], []]
        assert function.failed(batch(bodies)) == ["m-1", "m-3", "m-5"]
        assert ids(table) == ["e-1", "e-2", "e-3", "e-4"]

    def test_all_come_back_where_all_have_failed(self, function: Function) -> None:
        assert function.failed(batch(["{}", "{}"])) == ["m-0", "m-1"]

    def test_all_come_back_where_there_is_no_table(self, dynamodb_url: str) -> None:
        with cold_start(settings_for(dynamodb_url)) as function:
            assert function.failed(batch([envelope(1), envelope(2)])) == ["m-0", "m-1"]
            with pytest.raises(StoreNotFound):
                function(envelope(1))

    def test_a_put_that_is_not_done_in_time_makes_only_its_own_message_come_back(
        self, function: Function, table: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = threading.Event()
        append = function.app._store.append

        def slow(event: Event) -> Any:
            if event.id == "e-1":
                gate.wait()
            return append(event)

        monkeypatch.setattr(function.app._store, "append", slow)
        try:
            assert function.failed(batch([envelope(1), envelope(2), envelope(3)]), remaining_ms=3_000) == ["m-0"]
            assert ids(table) == ["e-2", "e-3"]
            assert [line["outcome"] for line in function.lines if line["level"] == "ERROR"] == ["TimeoutError"]
        finally:
            gate.set()
        function.app._pool.shutdown()  # waits for the put, which is applied after all
        assert ids(table) == ["e-1", "e-2", "e-3"]

    def test_an_envelope_that_is_not_done_in_time_raises(
        self, function: Function, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = threading.Event()
        monkeypatch.setattr(function.app._store, "append", lambda event: gate.wait())
        try:
            with pytest.raises(TimeoutError):
                function(envelope(1), remaining_ms=1_000)
        finally:
            gate.set()


class TestRefusals:
    def test_without_a_dead_letter_queue_a_refusal_raises(self, function: Function, table: str) -> None:
        function(envelope(1))
        changed = envelope(1, changed=True)
        with pytest.raises(Exception, match=r"^EventConflict: the same id, other content$"):
            function(changed)
        assert function.failed(batch([changed, envelope(2)])) == ["m-0"]
        assert ids(table) == ["e-1", "e-2"]

    def test_with_one_it_goes_there_with_its_reason_and_is_done_with(
        self, with_queue: Function, table: str, dead_letters: Queue
    ) -> None:
        invalid = {**envelope(1), "source": ""}
        assert with_queue(invalid) == {"stored": 0, "duplicate": 0, "refused": 1}
        ((body, error, reason),) = dead_letters.letters()
        assert json.loads(body) == invalid
        assert (error, reason) == ("InvalidEnvelope", "source: found empty text, expected text")
        assert ids(table) == []

    def test_a_refused_message_does_not_come_back_and_keeps_its_digits(
        self, with_queue: Function, table: str, dead_letters: Queue
    ) -> None:
        body = json.dumps({**envelope(1), "source": ""}).replace('"number": 1', '"number": 1.00000000000000000000')
        assert with_queue.failed(batch([body, envelope(2)])) == []
        assert [letter[0] for letter in dead_letters.letters()] == [body]
        assert ids(table) == ["e-2"]

    def test_one_refused_member_sends_its_whole_array_there(
        self, with_queue: Function, table: str, dead_letters: Queue
    ) -> None:
        array = [envelope(1), {**envelope(2), "source": ""}]
        assert with_queue(array) == {"stored": 0, "duplicate": 0, "refused": 1}
        assert [json.loads(body) for body, _, _ in dead_letters.letters()] == [array]
        assert ids(table) == []

    def test_every_kind_of_refusal_goes_there(self, table: str, dead_letters: Queue) -> None:
        noise = "".join(random.Random(17).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=800_000))  # noqa: S311
        settings = settings_for(table, RETENTION_DAYS="36500", DEAD_LETTER_QUEUE_URL=dead_letters.url)
        with cold_start({**settings, "AWS_DEFAULT_REGION": "eu-west-1"}) as function:
            function(envelope(1))
            for refused in (
                envelope(1, changed=True),
                envelope(2, time="1900-01-01T00:00:00.000Z"),
                envelope(3, time="2026-02-31T00:00:00.000Z"),
                envelope(4, noise=noise),
            ):
                assert function(refused) == {"stored": 0, "duplicate": 0, "refused": 1}
        assert sorted(error for _, error, _ in dead_letters.letters()) == [
            "EventConflict",
            "EventExpired",
            "EventTooLarge",
            "InvalidEnvelope",
        ]

    def test_a_reason_with_characters_that_sqs_does_not_take_is_escaped(
        self, with_queue: Function, dead_letters: Queue
    ) -> None:
        hostile = {**envelope(1), "id": "e\u0000\ufffe"}
        with_queue(hostile)
        with_queue({**hostile, "source": "another"})
        assert ["e\\u0000\\ufffe" in reason for _, _, reason in dead_letters.letters()] == [True]

    def test_a_refusal_that_the_queue_does_not_take_raises(self, with_queue: Function, dead_letters: Queue) -> None:
        dead_letters.client.delete_queue(QueueUrl=dead_letters.url)
        with pytest.raises(ClientError, match="NonExistentQueue"):
            with_queue({**envelope(1), "source": ""})
        assert with_queue.failed(batch([{**envelope(1), "source": ""}, envelope(2)])) == ["m-0"]

    def test_a_failure_that_a_retry_can_cure_is_never_a_dead_letter(
        self, with_queue: Function, table: str, dead_letters: Queue, dynamodb_client: DynamoDBClient
    ) -> None:
        dynamodb_client.delete_table(TableName=urlsplit(table).netloc)
        with pytest.raises(StoreNotFound):
            with_queue(envelope(1))
        assert with_queue.failed(batch([envelope(1)])) == ["m-0"]
        assert dead_letters.letters() == []

    def test_an_expired_event_is_refused(self, table: str) -> None:
        kept = r"^EventExpired: older than the table keeps \(RETENTION_DAYS=1\)$"
        with cold_start(settings_for(table, RETENTION_DAYS="1")) as function, pytest.raises(Exception, match=kept):
            function(envelope(1, time="2020-01-01T00:00:00.000Z"))


class TestWhatItSays:
    def test_a_line_names_an_event_and_what_became_of_it(self, function: Function) -> None:
        function(envelope(1))
        (line,) = function.lines
        assert {name: line[name] for name in ("level", "message", "event_id", "type", "source", "outcome", "twin")} == {
            "level": "INFO",
            "message": "ingested",
            "event_id": "e-1",
            "type": "OrderPlaced",
            "source": "shop",
            "outcome": "stored",
            "twin": False,
        }
        assert (line["moment"], line["stream_hash"]) == ("2026-03-01T11:03:27.000Z", "72a90ea3da8b5dd0")

    def test_no_line_shows_a_payload_or_whose_stream_it_is(self, with_queue: Function) -> None:
        first = envelope(1, name=CANARY)
        first["detail"]["data"]["primaryKey"] = f"{CANARY}-17"
        other = {**first, "id": "e-2"}
        changed = {**first, "detail": {**first["detail"], "more": CANARY}}
        expected = ["stored", "duplicate", "duplicate", "refused", "stored", "refused", "refused"]
        twin = {**changed, "id": "e-3"}
        deliveries = [first, first, other, changed, twin, {**first, "source": [CANARY]}, {CANARY: CANARY}]
        answers = [with_queue(delivery) for delivery in deliveries]
        with_queue.failed(batch([*deliveries, f'{{"detail": "{CANARY}']))
        assert [name for answer in answers for name, count in answer.items() if count] == expected
        assert CANARY not in with_queue.output.getvalue()
        assert len(with_queue.lines) == 15

    def test_no_line_of_a_failure_shows_a_payload(self, dynamodb_url: str) -> None:
        with cold_start(settings_for(dynamodb_url)) as function:
            assert function.failed(batch([envelope(1, name=CANARY), [envelope(2, name=CANARY)]])) == ["m-0", "m-1"]
            assert CANARY not in function.output.getvalue()
            assert "order-17" not in function.output.getvalue()

    def test_a_damaged_record_in_the_way_is_told_without_its_stream(
        self, function: Function, table: str, dynamodb_client: DynamoDBClient
    ) -> None:
        row = older(envelope(1), "2026-03-01T11:03:27.000Z#OrderPlaced", eventDetail=f"{{{CANARY}")
        RawRows(table, dynamodb_client).put(row)
        assert function.failed(batch([envelope(1)])) == ["m-0"]
        assert [line["outcome"] for line in function.lines] == ["StoreDamaged"]
        assert "order-17" not in function.output.getvalue()
        assert CANARY not in function.output.getvalue()

    def test_metrics_count_outcomes(self, function: Function) -> None:
        same_content = {**envelope(1), "id": "e-9"}
        invalid = {**envelope(3), "source": ""}
        function.failed(batch([envelope(1)]))
        function.failed(batch([envelope(1), envelope(2), same_content, envelope(1, changed=True), invalid, "{}"]))
        counts = function.metrics
        assert counts.pop("Age") > 0
        assert counts == {
            "Stored": 2,
            "Duplicates": 2,
            "DuplicatesUnderAnotherId": 1,
            "Twins": 1,
            "Conflicts": 1,
            "Refused": 2,
        }

    def test_metrics_stand_where_the_alarms_look_for_them(self, function: Function) -> None:
        function(envelope(1))
        (metrics,) = [said for said in function.said if "_aws" in said]
        (group,) = metrics["_aws"]["CloudWatchMetrics"]
        assert group["Namespace"] == "eventsourcing_kit"
        assert sorted(group["Dimensions"][0]) == ["environment", "service"]
        assert (metrics["environment"], metrics["service"]) == ("test", "ingest")

    def test_a_moment_in_the_future_is_a_skewed_clock_and_no_age(self, function: Function) -> None:
        function(envelope(1, time="2999-01-01T00:00:00.000Z"))
        assert sorted(function.metrics) == ["ClockSkew", "Stored"]
        assert function.metrics["ClockSkew"] > 0

    def test_a_failure_is_counted_too(self, dynamodb_url: str) -> None:
        with cold_start(settings_for(dynamodb_url)) as function:
            function.failed(batch([envelope(1), envelope(2)]))
            assert function.metrics == {"Failed": 2}


def test_it_asks_nothing_of_dynamodb_but_to_put_items(table: str) -> None:
    asked = []
    with cold_start(settings_for(table, RETENTION_DAYS="36500")) as function:
        events = function.app._store._client.meta.events
        events.register("before-call.dynamodb", lambda model, **_: asked.append(model.name))
        function(envelope(1))
        function.failed(batch([envelope(number) for number in range(20)]))
        function([envelope(1), envelope(1, time="2026-02-01T00:00:00.000Z", earlier=True)])
        with pytest.raises(Exception, match=r"^EventConflict: the same id, other content$"):
            function(envelope(1, changed=True))
    assert len(asked) > 22
    assert set(asked) == {"PutItem"}


def test_every_one_of_50_events_in_a_millisecond_is_stored(function: Function, table: str) -> None:
    """Eight put at once, and nobody knows in which order."""
    for number in range(ROUNDS):
        time = f"2026-03-01T11:03:27.{number:03d}Z"
        assert function.failed(batch(envelope(number * 50 + twin, time=time) for twin in range(50))) == []
    assert function.metrics["Stored"] == ROUNDS * 50
    assert function.metrics["Twins"] == ROUNDS * 49
    assert ids(table) == sorted(f"e-{number}" for number in range(ROUNDS * 50))


def test_redelivered_events_are_stored_once(function: Function, table: str) -> None:
    chance = random.Random(17)  # noqa: S311
    deliveries = [number for number in range(EVENTS) for _ in range(chance.randint(1, 5))]
    chance.shuffle(deliveries)
    for start in range(0, len(deliveries), 100):
        # Two events each fall into one millisecond, so that twins come again as well.
        events = [
            envelope(number, time=f"2026-03-01T11:{number // 2 // 1_000:02d}:27.{number // 2 % 1_000:03d}Z")
            for number in deliveries[start : start + 100]
        ]
        assert function.failed(batch(events)) == []
    assert function.metrics["Stored"] == EVENTS
    assert function.metrics["Duplicates"] == len(deliveries) - EVENTS
    assert ids(table) == sorted(f"e-{number}" for number in range(EVENTS))

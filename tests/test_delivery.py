from __future__ import annotations

import json
import traceback
from typing import Any

import pytest

from eventsourcing_kit import parse
from eventsourcing_kit.delivery import as_text, envelopes_in, is_queue_batch
from eventsourcing_kit.errors import InvalidEnvelope
from eventsourcing_kit.testing import envelope

CANARY = "tweety"
PLACED = envelope("OrderPlaced", id="e-1", total=3)
PAID = envelope("OrderPaid", id="e-2", total=3)


def on_failure(payload: Any) -> dict[str, Any]:
    """What Lambda puts into the queue of an on-failure destination."""
    return {
        "version": "1.0",
        "timestamp": "2026-03-01T11:04:00.000Z",
        "requestContext": {"requestId": "r-1", "condition": "RetriesExhausted", "approximateInvokeCount": 3},
        "requestPayload": payload,
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": {"errorType": "StoreUnavailable"},
    }


SHAPES: dict[str, tuple[Any, list[Any]]] = {
    "one envelope": (PLACED, [PLACED]),
    "an array": ([PLACED, PAID], [PLACED, PAID]),
    "an on-failure record": (on_failure(PLACED), [PLACED]),
    "an on-failure record of an array": (on_failure([PAID, PLACED]), [PAID, PLACED]),
    "an on-failure record of another one": (on_failure(on_failure(PLACED)), [PLACED]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_envelopes_of_a_parsed_delivery_come_in_their_order(shape: str) -> None:
    payload, expected = SHAPES[shape]
    assert envelopes_in(payload) == expected


@pytest.mark.parametrize("shape", SHAPES)
def test_the_envelopes_of_a_delivery_as_text_stay_text(shape: str) -> None:
    payload, expected = SHAPES[shape]
    assert envelopes_in(json.dumps(payload)) == [json.dumps(each) for each in expected]


@pytest.mark.parametrize("around", ["{}", "[{}]", '{{"requestContext":{{}},"requestPayload":[ {} ]}}'])
def test_text_keeps_every_digit_of_a_number(around: str) -> None:
    text = json.dumps(PLACED).replace('"total": 3', '"total": 1234567890123456789.10')
    (found,) = envelopes_in(around.format(text))
    assert parse(found).detail_json.endswith('"total":1234567890123456789.10}}')


@pytest.mark.parametrize("around", ["{}", "[{}]", '{{"requestContext":{{}},"requestPayload":{}}}'])
@pytest.mark.parametrize("name", ["\\ud83d", "\\uDE00", "\\ud83d\\ude00", "\\\\ud83d", "\ue000\\ud83d"])
def test_half_of_a_surrogate_pair_stays_its_escape(around: str, name: str) -> None:
    text = json.dumps(PLACED).replace('"total": 3', f'"name": "{name}"')
    assert envelopes_in(around.format(text)) == [text]


def test_text_in_text_is_a_delivery_too() -> None:
    assert envelopes_in(on_failure(json.dumps([PLACED]))) == [json.dumps(PLACED)]


def test_records_a_thousand_times_around_each_other_end_in_no_fault() -> None:
    payload: Any = PLACED
    for _ in range(5_000):
        payload = on_failure(payload)
    assert envelopes_in(payload) == [PLACED]


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        ([], "an empty array"),
        ("[]", "an empty array"),
        (on_failure([]), "an empty array"),
        (None, "a NoneType"),
        (17, "a int"),
        ({}, "an object of 0 other members"),
        ({"detail": {CANARY: 1}}, "an object of 1 other members"),
        ([PLACED, {CANARY: CANARY}], "an object of 1 other members"),
        ([PLACED, CANARY], "a str"),
        (on_failure({CANARY: CANARY}), "an object of 1 other members"),
        (on_failure(None), "a NoneType"),
    ],
)
def test_what_is_no_envelope_is_refused_without_a_word_of_it(payload: Any, found: str) -> None:
    with pytest.raises(InvalidEnvelope) as refusal:
        envelopes_in(payload)
    assert refusal.value.found == found
    assert CANARY not in "".join(traceback.format_exception(refusal.value, limit=0))


@pytest.mark.parametrize(
    "text",
    [
        "",
        CANARY,
        f'{{"detail": "{CANARY}"',
        f'"{CANARY}"',
        f'["{CANARY}"]',
        f'{{"requestContext": 1, "requestPayload": "{CANARY}"}}',
        f'{{"{CANARY}": "\\ud800"}}',
        f"\ud800{CANARY}",
        f"\ufeff{json.dumps(PLACED)}{CANARY}",
        "[" * 5_000 + CANARY,
    ],
    ids=range(10),
)
def test_text_that_is_no_envelope_is_refused_by_the_parser_without_a_word_of_it(text: str) -> None:
    with pytest.raises(InvalidEnvelope) as refusal:
        [parse(found) for found in envelopes_in(text)]
    assert CANARY not in "".join(traceback.format_exception(refusal.value, limit=0))


# A queue's batch


def test_a_batch_of_a_queue_is_known_by_where_each_record_comes_from() -> None:
    message = {"eventSource": "aws:sqs", "messageId": "m-1", "body": json.dumps(PLACED)}
    assert is_queue_batch({"Records": [message, message]})


@pytest.mark.parametrize(
    "payload",
    [
        {"Records": []},
        {"Records": [{"eventSource": "aws:s3"}]},
        {"Records": [{"eventSource": "aws:sqs"}, {"eventSource": "aws:s3"}]},
        {"Records": ["aws:sqs"]},
        {"Records": {"eventSource": "aws:sqs"}},
        PLACED,
        [{"eventSource": "aws:sqs"}],
        None,
    ],
)
def test_nothing_else_is_a_batch_of_a_queue(payload: Any) -> None:
    assert not is_queue_batch(payload)


# As a dead letter


def test_a_dead_letter_has_the_text_unchanged_and_everything_else_as_json() -> None:
    assert as_text(f" {CANARY} {{") == f" {CANARY} {{"
    assert as_text({"name": "Zoë", "numbers": [1, 2.5]}) == '{"name":"Zoë","numbers":[1,2.5]}'


def test_a_dead_letter_holds_nothing_that_a_queue_refuses() -> None:
    text = as_text({"name": "a\ud800b\uffffc\u0000d😀"})
    assert text == '{"name":"a\\ud800b\\uffffc\\u0000d😀"}'
    assert json.loads(text) == {"name": "a\ud800b\uffffc\u0000d😀"}

"""DynamoDB's answers on the fast road: the same events as on the plain one, and every fault said."""

from __future__ import annotations

import json
import threading
import zlib
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import botocore.parsers
import botocore.session
import msgspec
import pytest
from botocore.retries.standard import ExponentialBackoff
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing_kit import open_store
from eventsourcing_kit.errors import StoreDamaged, StoreUnavailable
from eventsourcing_kit.record import COLUMNS
from eventsourcing_kit.stores import pages
from eventsourcing_kit.stores.dynamodb import DynamoDBStore
from tests.canned import Answer, Canned, canned, page
from tests.transports import TRANSPORTS, are_direct, taught

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from eventsourcing_kit import Event

    Served = Callable[..., AbstractContextManager[tuple[DynamoDBStore, Canned]]]

REFUSED: Final = b'{"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}'
THROTTLED: Final = Answer(REFUSED, status=400)


def key_of(number: int) -> str:
    return f"2026-03-01T11:00:00.{number:03d}Z#Grew"


def item(number: int, **more: Any) -> dict[str, Any]:
    return {"pk": {"S": "order-17"}, "sk": {"S": key_of(number)}, "eventId": {"S": f"e-{number}"}, **more}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0)


@pytest.fixture(params=TRANSPORTS)
def served(request: pytest.FixtureRequest) -> Served:
    """A store whose server answers so: `first` at the beginning, else behind the key of that name. Over the direct
    transport the first try for each page has to be direct, and what is tried again botocore's."""

    @contextmanager
    def served(**answers: list[Answer]) -> Iterator[tuple[DynamoDBStore, Canned]]:
        with (
            canned({"": [page()]}) as server,
            open_store(
                f"dynamodb://events?region=eu-west-1&endpoint_url={server.url}{TRANSPORTS[request.param]}"
            ) as store,
        ):
            assert isinstance(store, DynamoDBStore)
            taught(store)
            server.answers = {"" if name == "first" else name: each for name, each in answers.items()}
            server.asked.clear()
            server.received.clear()
            yield store, server
            tries = are_direct(headers["user-agent"] for headers, _ in server.received)
            assert sum(tries) >= (len({*server.asked}) if request.param == "direct" else 0)
            assert request.param == "direct" or not any(tries)

    return served


def ids(events: Iterator[Event]) -> list[str]:
    return [event.id for event in events]


# The same events as on the plain road

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = {"eventDetailZ": st.binary(max_size=20), "expireRecord": st.floats(0, 4e9) | st.integers(0, 2**40)}
rows = st.fixed_dictionaries(
    {"pk": texts, "sk": texts}, optional={name: values.get(name, texts) for name in COLUMNS if name not in ("pk", "sk")}
)
others = st.dictionaries(
    st.sampled_from(["tags", "nested", "LastEvaluatedKey", "Items"]),
    st.sampled_from([{"SS": ["a"]}, {"M": {"S": {"NULL": True}}}, {"S": "x"}]),
)
keys = st.none() | st.fixed_dictionaries({"pk": texts.map(lambda text: {"S": text}), "sk": st.just({"S": "x"})})
wrong = st.sampled_from([{"S": "7"}, {"N": "7"}, {"B": "Nw=="}, {"M": {}}, {"L": []}, {"NULL": True}, {"BOOL": False}])


def tagged(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, bytes):
            found[name] = {"B": b64encode(value).decode()}
        elif isinstance(value, str):
            found[name] = {"S": value}
        else:
            found[name] = {"N": str(value)}
    return found


items = st.builds(lambda row, more: more | tagged(row), rows, others)
damaged = st.builds(
    lambda found, harm: found | {name: value for name, value in harm.items() if name in COLUMNS},
    items,
    st.dictionaries(st.sampled_from([name for name in COLUMNS if name not in ("pk", "sk")]), wrong, max_size=2),
)
PARSER: Final = botocore.parsers.create_parser("json")
SHAPE: Final[Any] = botocore.session.Session().get_service_model("dynamodb").operation_model("Query").output_shape


def told(answer: dict[str, Any]) -> tuple[list[Any], Any]:
    """All that can be told of a page: every attribute of each event, how the events end, and the next key."""
    found = pages.page_of(answer, url="dynamodb://events")
    events: list[Any] = []
    try:
        events.extend(msgspec.structs.astuple(event) for event in found.events)
    except StoreDamaged as error:
        events.append(str(error))
    return events, found.key


def both_roads(body: bytes) -> tuple[tuple[list[Any], Any], tuple[list[Any], Any]]:
    response: dict[str, Any] = {"status_code": 200, "headers": {"x-amz-crc32": str(zlib.crc32(body))}, "body": body}
    plain = PARSER.parse(response, SHAPE)
    kept: dict[str, Any] = {}

    def parsed() -> Any:  # as botocore does it
        pages._keep_body(response_dict=response, customized_response_dict=kept)
        return {**PARSER.parse(response, SHAPE), **kept}

    return told(pages.asked(parsed, {})), told(plain)


@given(st.lists(items, max_size=4), keys, st.booleans())
def test_both_roads_read_the_same_events(found: list[Any], key: Any, ascii: bool) -> None:  # noqa: A002
    last = {} if key is None else {"LastEvaluatedKey": key}
    body = json.dumps({"Count": 1, "Items": found, **last, "ScannedCount": 1}, ensure_ascii=ascii).encode()
    fast, plain = both_roads(body)
    assert fast == plain


@given(st.lists(damaged, min_size=1, max_size=4))
def test_both_roads_name_the_same_damage_behind_the_same_events(found: list[Any]) -> None:
    fast, plain = both_roads(json.dumps({"Items": found}).encode())
    assert fast == plain


@pytest.mark.parametrize("name", COLUMNS[2:])
def test_no_attribute_of_another_type_is_passed_over(name: str) -> None:
    bad = item(2, **{name: {"BOOL": True}})
    fast, plain = both_roads(json.dumps({"Items": [item(1), bad, item(3)]}).encode())
    assert fast == plain
    assert len(fast[0]) == 2
    assert f"attribute '{name}' of the item '{key_of(2)}' has the type BOOL" in fast[0][1]


def test_sound_pages_take_the_fast_road(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "record_of", None)
    with served(first=[page(item(1), behind="k1")], k1=[page(item(2))]) as (store, _):
        assert ids(store.read("order-17")) == ["e-1", "e-2"]


def test_a_botocore_without_the_event_is_read_on_the_plain_road(served: Served) -> None:
    gate = threading.Event()
    gate.set()
    with served(first=[page(item(1), behind="k1")], k1=[page(item(2), gate=gate)]) as (store, server):
        for operation in ("Query", "Scan"):
            store._client.meta.events.unregister(f"before-parse.dynamodb.{operation}", pages._keep_body)
        assert ids(store.read("order-17")) == ["e-1", "e-2"]
        assert list(store.streams()) == ["order-17"]
        assert server.asked == ["", "k1", "", "k1"]


def test_others_who_use_the_client_see_what_botocore_has_parsed(served: Served) -> None:
    with served(first=[page(item(1))]) as (store, _):
        assert ids(store.read("order-17")) == ["e-1"]
        found = store._client.scan(TableName=store.table)
    assert found["Items"] == [item(1)]


# Faults


def test_an_answer_with_a_wrong_checksum_is_asked_for_again(served: Served) -> None:
    wrong = page(item(9), checksum=1)
    with served(first=[wrong, page(item(1), behind="k1")], k1=[wrong, wrong, page(item(2))]) as (store, server):
        assert ids(store.read("order-17")) == ["e-1", "e-2"]
    assert server.asked == ["", "", "k1", "k1", "k1"]


@pytest.mark.parametrize("use", ["read", "streams"])
def test_where_every_checksum_is_wrong_no_event_is_handed_out(served: Served, use: str) -> None:
    with served(first=[page(item(9), checksum=1)]) as (store, server), pytest.raises(StoreUnavailable) as raised:
        list(store.read("order-17") if use == "read" else store.streams())
    assert raised.value.code == "an answer with a wrong checksum"
    assert len(server.asked) == 5


def test_an_answer_that_is_cut_is_asked_for_again(served: Served) -> None:
    half = replace(page(item(9)), sent=40)
    with served(first=[half, page(item(1), behind="k1")], k1=[half, page(item(2))]) as (store, server):
        assert ids(store.read("order-17")) == ["e-1", "e-2"]
    assert server.asked == ["", "", "k1", "k1"]


def test_where_every_answer_is_cut_the_store_is_unavailable(served: Served) -> None:
    with served(first=[replace(page(item(9)), sent=40)]) as (store, _), pytest.raises(StoreUnavailable):
        list(store.read("order-17"))


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"Items": [', b"[]", b"{}", b'{"Items": []} x'])
def test_a_success_that_is_not_dynamodbs_is_no_empty_stream(served: Served, body: bytes) -> None:
    with served(first=[Answer(body)]) as (store, _):
        for use in (lambda: list(store.read("order-17")), lambda: list(store.streams())):
            with pytest.raises(StoreUnavailable, match="an answer that is not DynamoDB's"):
                use()


def test_a_page_without_events_may_have_more_behind_it(served: Served) -> None:
    with served(first=[page(behind="k1")], k1=[page(behind="k2")], k2=[page(item(1))]) as (store, _):
        assert ids(store.read("order-17")) == ["e-1"]
        assert list(store.streams()) == ["order-17"]


def test_a_page_that_is_throttled_is_asked_for_again(served: Served) -> None:
    with served(first=[page(item(1), behind="k1")], k1=[THROTTLED, THROTTLED, page(item(2))]) as (store, server):
        assert ids(store.read("order-17")) == ["e-1", "e-2"]
    assert server.asked == ["", "k1", "k1", "k1"]


def test_what_goes_wrong_with_a_page_is_raised_when_its_turn_comes(served: Served) -> None:
    with served(first=[page(item(1), item(2), behind="k1")], k1=[THROTTLED]) as (store, _):
        rows = store.records("order-17")
        assert [next(rows).id, next(rows).id] == ["e-1", "e-2"]
        with pytest.raises(StoreUnavailable) as raised:
            next(rows)
    assert raised.value.code == "ProvisionedThroughputExceededException"


def test_a_bad_item_is_raised_behind_the_events_before_it(served: Served) -> None:
    with served(first=[page(item(1), item(2, source={"N": "7"}), item(3))]) as (store, _):
        rows = store.records("order-17")
        assert next(rows).id == "e-1"
        with pytest.raises(StoreDamaged, match="attribute 'source'"):
            next(rows)


# One page ahead


def test_an_attribute_that_bears_the_keys_name_leads_nowhere(served: Served) -> None:
    decoy = json.dumps({"Items": [item(1, LastEvaluatedKey={"S": "decoy"})]}).encode()
    misled = page(item(1, LastEvaluatedKey={"pk": {"S": "order-17"}, "sk": {"S": "k9"}}), behind="k1")
    last = misled.body.rindex(b', "LastEvaluatedKey"')
    first = misled.body.index(b'"Items"')
    end = misled.body.index(b', "ScannedCount"')
    moved = b"{" + misled.body[last + 2 : end] + b", " + misled.body[first:last] + b"}"  # the key stands in front
    assert json.loads(moved)["LastEvaluatedKey"]["sk"] == {"S": "k1"}
    with served(first=[Answer(moved)], k1=[Answer(decoy)], k9=[page(item(9))]) as (store, _):
        assert ids(store.records("order-17")) == ["e-1", "e-1"]


def test_the_next_page_is_on_its_way_before_this_one_is_read_and_no_other_is(served: Served) -> None:
    gate = threading.Event()
    answers = {"first": [page(item(1), item(2), behind="k1")], "k1": [page(item(3), behind="k2", gate=gate)]}
    with served(**answers, k2=[page(item(4))]) as (store, server):
        rows = store.records("order-17")
        assert next(rows).id == "e-1"
        assert next(rows).id == "e-2"  # although the next page is not there yet
        gate.set()
        assert ids(rows) == ["e-3", "e-4"]
        assert server.asked == ["", "k1", "k2"]


@pytest.mark.parametrize("taken", [0, 1])
def test_a_reading_that_is_left_leaves_no_thread_behind(served: Served, taken: int) -> None:
    with served(first=[page(item(1), item(2), behind="k1")], k1=[page(item(3))]) as (store, _):
        for _round in range(20):
            rows = store.records("order-17")
            for _ in range(taken):
                next(rows)
            rows.close()  # type: ignore[attr-defined]  # it is a generator
            assert not [thread for thread in threading.enumerate() if thread.name.startswith("eventsourcing_kit")]


def test_a_stream_of_one_page_starts_no_thread(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "ThreadPoolExecutor", None)
    with served(first=[page(item(1))]) as (store, _):
        assert ids(store.read("order-17")) == ["e-1"]

"""What is left out of a reading in brief is fetched when it is asked for, and nobody can tell the difference."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

import pytest

from eventsourcing_kit import Event, Projection, open_store, parse, rebuild
from eventsourcing_kit.brief import KEPT, Brief
from eventsourcing_kit.errors import FoldFailed, StoreDamaged, StoreUnavailable
from eventsourcing_kit.stores.dynamodb import DynamoDBStore
from tests.canned import Answer, canned, page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventsourcing_kit.stores.base import BaseStore

COUNT: Final = 300
ASKED: Final = (
    *(sorted(KEPT)),
    *("id", "source", "time", "correlation_id", "causation_id", "replay_name", "account", "region", "resources"),
)


def envelope(number: int) -> dict[str, Any]:
    """Some share their millisecond, two are twins, one is long enough to be compressed, some have no correlation."""
    time = f"2026-03-01T11:{number // 60:02}:{number % 60 - number % 7 // 6:02}.000{number % 10}Z"
    return {
        "version": "0",
        "id": f"e-{number}",
        "detail-type": "Weighed" if number % 3 else "Counted",
        "source": f"shop.{number % 2}",
        "account": "123456789012",
        "time": "2026-03-01T11:00:00Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:s3:::one"] if number % 2 else [],
        "detail": {
            "metaData": {"time": time, **({"correlationId": f"c-{number}"} if number % 4 else {})},
            "data": {"primaryKey": "order-17", "weight": number, "note": "x" * (150_000 if number == 200 else 5)},
        },
    }


@pytest.fixture
def filled(store: BaseStore) -> BaseStore:
    store.append_many(parse(envelope(number)) for number in range(COUNT))
    if isinstance(store, DynamoDBStore):
        store.page_size = 40
    return store


def told(event: Event, names: tuple[str, ...] = ASKED) -> list[Any]:
    return [getattr(event, name) for name in names]


def test_a_reading_in_brief_has_the_same_events(filled: BaseStore) -> None:
    whole = list(filled.read("order-17"))
    assert len(whole) == COUNT
    brief = list(filled.read_in_brief("order-17"))
    assert [told(event, tuple(KEPT)) for event in brief] == [told(event, tuple(KEPT)) for event in whole]
    if filled.url != "sqlite://":  # whose one connection writes, too
        assert sum(isinstance(event, Brief) for event in brief) > COUNT / 2
    assert [told(event) for event in brief] == [told(event) for event in whole]
    assert brief == whole


@pytest.mark.parametrize(
    "window",
    [
        {"at": "2026-03-01T11:03:27.0004Z"},
        {"start": "2026-03-01T11:01:01Z"},
        {"start": "2026-03-01T11:01:02.0005Z", "at": "2026-03-01T11:04:00Z"},
    ],
)
def test_so_has_a_part_of_it(filled: BaseStore, window: dict[str, str]) -> None:
    assert list(filled.read_in_brief("order-17", **window)) == list(filled.read("order-17", **window))


def test_who_asks_once_is_given_whole_events_from_then_on(filled: BaseStore) -> None:
    events = filled.read_in_brief("order-17")
    found = [(event.id, event.source) for event in events]
    assert found == [(event.id, event.source) for event in filled.read("order-17")]
    if isinstance(filled, DynamoDBStore):
        filled.in_flight = 1  # what is on its way stays as it was asked for
    kinds = [type(event) for event in _asking_after(filled, 60)]
    assert Brief not in kinds[-100:]


def _asking_after(store: BaseStore, count: int) -> list[Event]:
    events = list[Event]()
    for event in store.read_in_brief("order-17"):
        events.append(event)
        if len(events) == count:
            assert event.id
    return events


weights = Projection("weights", initial=int)


@weights.on("Weighed")
def weighed(state: int, event: Event) -> int:
    if event.data["weight"] == 250:
        raise ValueError("too heavy")
    weight: int = event.data["weight"]
    return state + weight


def test_an_answer_needs_no_store_any_more(store_url: str) -> None:
    with open_store(store_url) as store:
        store.create_table()
        store.append_many(parse(envelope(number)) for number in range(COUNT) if number != 250)
        if isinstance(store, DynamoDBStore):
            store.page_size = 40
        done = rebuild(weights, store, "order-17")
    assert weights.asks_little
    assert done.state == sum(number for number in range(COUNT) if number % 3 and number != 250)
    assert type(done.last) is Event
    assert done.last.id == "e-299"
    assert done.last.source == "shop.1"


def test_a_failure_has_the_whole_event(filled: BaseStore) -> None:
    with pytest.raises(FoldFailed) as raised:
        rebuild(weights, filled, "order-17")
    assert raised.value.event_id == "e-250"
    assert type(raised.value.event) is Event


def test_an_event_that_is_gone_is_damage_and_not_an_empty_text(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'events.db'}") as store:
        store.append_many(parse(envelope(number)) for number in range(COUNT))
        event = list(store.read_in_brief("order-17"))[100]
        store._delete("order-17", event.key)
        with pytest.raises(StoreDamaged, match=event.key):
            _ = event.id


# DynamoDB's pages behind the first one, which alone are brief


def item(number: int, **more: Any) -> dict[str, Any]:
    key = f"2026-03-01T11:00:00.{number:03d}Z#Grew"
    return {"pk": {"S": "order-17"}, "sk": {"S": key}, "eventId": {"S": f"e-{number}"}, **more}


def brief_keys(*second: Answer, whole: Answer | None = None) -> list[str]:
    answers = {"": [page(item(1), behind="k1")], "k1": [*second, *([whole] if whole else [])]}
    with (
        canned(answers) as server,
        open_store(f"dynamodb://events?region=eu-west-1&endpoint_url={server.url}") as store,
    ):
        return [event.key[-8:-5] for event in store.read_in_brief("order-17")]


def test_a_brief_page_that_is_damaged_on_its_way_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda self, context: 0)
    good = page(item(2))
    assert brief_keys(page(item(9), checksum=1), Answer(good.body, sent=40), good) == ["01Z", "02Z"]
    with pytest.raises(StoreUnavailable, match="checksum"):
        brief_keys(page(item(9), checksum=1))
    with pytest.raises(StoreUnavailable, match="not DynamoDB's"):
        brief_keys(Answer(b"{}"))


def test_a_brief_page_with_a_bad_item_is_read_on_the_plain_road() -> None:
    bad = page(item(2), item(3, digest={"N": "7"}), item(4))
    with pytest.raises(StoreDamaged, match=r"attribute 'digest' of the item '2026-03-01T11:00:00.003Z#Grew'"):
        brief_keys(bad)
    odd = page(item(2, eventDetail={"NULL": True}))
    assert brief_keys(odd, whole=page(item(2), item(3))) == ["01Z", "02Z", "03Z"]


def test_a_brief_page_without_events_may_have_more_behind_it() -> None:
    answers = {"": [page(item(1), behind="k1")], "k1": [page(behind="k2")], "k2": [page(item(2))]}
    with (
        canned(answers) as server,
        open_store(f"dynamodb://events?region=eu-west-1&endpoint_url={server.url}") as store,
    ):
        assert [event.id for event in store.read_in_brief("order-17")][:1] == ["e-1"]
        assert len(list(store.read_in_brief("order-17"))) == 2


def test_packed_details_and_expiries_are_read_from_brief_pages() -> None:
    detail = json.dumps({"data": {"weight": 3}})
    packed = {"B": b64encode(zlib.compress(detail.encode())).decode()}
    answers = {
        "": [page(item(1), behind="k1")],
        "k1": [page(item(2, eventDetailZ=packed, expireRecord={"N": "99999999999.5"}, other={"M": {}}))],
    }
    with (
        canned(answers) as server,
        open_store(f"dynamodb://events?region=eu-west-1&endpoint_url={server.url}") as store,
    ):
        _, event = store.read_in_brief("order-17")
    assert event.detail_json == detail
    assert event.expires == 99999999999.5
    assert event.type == "Grew"


# Who is read in brief


def projection_of(handler: Callable[[Any, Any], Any], **more: Any) -> Projection[Any, Any]:
    made: Projection[Any, Any] = Projection("made", initial=list, **more)
    made.on("Weighed")(handler)
    return made


def asks_of_a_key(event: Event) -> str | None:
    return event.source


def test_who_keeps_events_or_asks_for_more_is_given_whole_ones(filled: BaseStore) -> None:
    keeps = projection_of(lambda state, event: [*state, event])
    sources = projection_of(lambda state, event: [*state, event.source])
    by_key = projection_of(lambda state, event: [*state, event.data["weight"]], key=asks_of_a_key)
    assert [each.asks_little for each in (keeps, sources, by_key)] == [False] * 3
    assert {type(event) for event in rebuild(keeps, filled, "order-17").state} == {Event}
    expected = [event for event in filled.read("order-17") if event.type == "Weighed"]
    assert rebuild(sources, filled, "order-17").state == [event.source for event in expected]
    assert set(rebuild(by_key, filled, "order-17").state) == {"shop.0", "shop.1"}


def test_a_handler_that_is_added_counts() -> None:
    made = projection_of(lambda state, event: [*state, event.data])
    assert made.asks_little
    made.on("Counted")(lambda state, event: [*state, event])
    assert not made.asks_little

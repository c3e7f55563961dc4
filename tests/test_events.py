from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import jmespath
import polars as pl
import pytest
from msgspec.structs import replace

from eventsourcing_kit import open_store
from eventsourcing_kit.errors import EventNotFound, InvalidMoment, InvalidOption, StoreDamaged, StoreNotFound
from eventsourcing_kit.event import detail_line, moment_or_none
from eventsourcing_kit.frames.details import Details
from eventsourcing_kit.frames.moments import Moments
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.testing import Clock, envelope, event
from tests.rows import RawRows, older

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventsourcing_kit import Event
    from eventsourcing_kit.stores.base import BaseStore

PLACED = event("OrderPlaced", id="e-1", time="2026-03-01T10:00:00Z", total=42, items=[{"sku": "mug"}, {"sku": "pen"}])
PAID = event(
    "OrderPaid", id="e-2", time="2026-03-01T11:00:00.123456789Z", amount=4.5, metadata={"correlationId": "cart"}
)
OTHER = event("OrderPlaced", id="e-3", stream="order-18", time="2026-03-01T09:00:00Z", total=7)

EVERY = (
    *("stream", "key", "moment", "type", "id", "source", "recorded_at", "correlation_id", "causation_id"),
    *("account", "region", "replay_name", "detail"),
)


@pytest.fixture
def shop() -> Iterator[BaseStore]:
    with open_store("sqlite://", clock=Clock()) as store:
        store.append_many([PAID, PLACED, OTHER])
        yield store


def ids(events: Any) -> list[str]:
    return [each.id for each in events]


def test_events_are_one_stream_several_a_prefix_or_all_in_the_order_of_each_stream(store: BaseStore) -> None:
    store.append_many([PAID, PLACED, OTHER])
    assert ids(store.events("order-17")) == ["e-1", "e-2"]
    assert ids(store.events(["order-18", "order-17"])) == ["e-3", "e-1", "e-2"]
    assert ids(store.events(prefix="order-1")) == ids(store.events()) == ["e-1", "e-2", "e-3"]
    assert ids(store.events("order-1")) == ids(store.events([])) == ids(store.events(prefix="x")) == []
    assert store.events().to_polars()["id"].to_list() == ["e-1", "e-2", "e-3"]


def test_events_are_read_anew_each_time_and_only_when_asked_for(shop: BaseStore) -> None:
    events = shop.events("order-17")
    assert ids(events) == ["e-1", "e-2"]
    shop.append(event("OrderSent", id="e-4", time="2026-03-02T00:00:00Z"))
    assert ids(events) == ["e-1", "e-2", "e-4"]
    open_store("sqlite:///no/such/file.db").events()


def test_start_at_and_types_choose_events_as_read_does(shop: BaseStore) -> None:
    assert ids(shop.events(start="2026-03-01T10:00:00Z", at="2026-03-01 12:00", tz="Europe/Berlin")) == ["e-1"]
    assert ids(shop.events(at="2026-03-01T10:00:00Z")) == ["e-1", "e-3"]
    assert ids(shop.events(types=["OrderPaid"])) == ["e-2"]
    with pytest.raises(TypeError, match="types"):
        shop.events(types="OrderPaid")
    with pytest.raises(InvalidMoment):
        shop.events(at="once")
    with pytest.raises(TypeError, match="prefix"):
        shop.events("order-17", prefix="order-")


def test_known_at_leaves_out_what_was_recorded_later_and_keeps_what_does_not_say(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with open_store(url, clock=lambda: from_rfc3339("2026-03-02T00:00:00.5Z")) as store:
        store.append(PLACED)
    with open_store(url, clock=lambda: from_rfc3339("2026-03-03T00:00:00Z")) as store:
        store.append(PAID)
        RawRows(url).put(older(envelope("Old", id="old"), "2026-02-01T00:00:00.000Z#Old"))
        assert ids(store.events(known_at="2026-03-02T00:00:00.5Z")) == ["old", "e-1"]
        assert ids(store.events(known_at="2026-03-02")) == ["old"]
        assert ids(store.events(known_at="2026-03-03")) == ["old", "e-1", "e-2"]


def test_a_table_of_events_says_all_that_names_them_and_their_detail(shop: BaseStore) -> None:
    frame = shop.events("order-17").to_polars()
    assert tuple(frame.columns) == EVERY
    row = shop.events("order-17").to_dicts()[1]
    assert row["moment"] == PAID.moment
    assert row["detail"] == PAID.detail
    assert (row["stream"], row["type"], row["id"]) == ("order-17", "OrderPaid", "e-2")
    assert (row["correlation_id"], row["causation_id"], row["source"]) == ("cart", None, "shop")
    assert (row["account"], row["region"], row["replay_name"]) == ("123456789012", "eu-west-1", None)
    assert row["recorded_at"] == next(iter(shop.read("order-17"))).recorded_at
    assert shop.events("nothing").to_polars().schema == frame.schema
    assert "2026-03-01T11:00:00.123456789Z" in str(shop.events("order-17").to_csv())


def test_chosen_columns_have_the_values_at_their_places_and_null_elsewhere(shop: BaseStore) -> None:
    columns = {"total": "data.total", "amount": "data.amount", "skus": "data.items[].sku", "first": "data.items[0].sku"}
    frame = shop.events(columns=columns).to_polars()
    assert frame["total"].to_list() == [42, None, 7]
    assert frame.schema["total"] == pl.Int64
    assert frame["amount"].to_list() == [None, 4.5, None]
    assert frame["skus"].to_list() == ['["mug","pen"]', None, None]
    assert frame["first"].to_list() == ["mug", None, None]
    assert shop.events("order-17", columns={"items": "data.items"}).to_dicts()[0]["items"] == PLACED.data["items"]


PATHS = (
    "data.total",
    "data",
    "data.total.deep",
    "metaData.time",
    "metadata.time",
    "metaData",
    "no.such",
    "detail",
    "class",
)


@pytest.mark.parametrize(
    "detail",
    [
        '{"data":{"total":1},"metaData":{"time":"2026-03-01T10:00:00.5Z"}}',
        '{"data":{"total":{"deep":[1]}},"metadata":{"time":"2026-03-01T10:00:00+02:00"},"class":5}',
        '{"metaData":{},"metadata":{"time":"2026-03-01T10:00:00Z"}}',
        '{"metaData":null,"metadata":{"time":"2026-03-01T10:00:00Z"},"data":null}',
        '{"data":7,"metaData":[]}',
        '{"metaData":{"time":5}}',
        '{"metaData":{"time":"never"}}',
        '{"data":{"total":"\\ud800"}}',
        '{"data":{"total":1e400}}',
        '{\r\n"data":\n{"total":2}}',
        "[1]",
        "null",
        "no JSON",
        '{"data":NaN}',
        "[" * 100_000,
        "",
    ],
)
def test_one_quick_decoding_says_the_same_as_an_event_does(detail: str) -> None:
    row = replace(PLACED, packed_detail=detail, _detail=None, _data=None, _moment_ns=None)
    packed = replace(row, packed_detail=zlib.compress(detail.encode()))
    searches = [*PATHS, "data.total || data"]
    try:
        whole = row.detail
    except Exception:  # noqa: BLE001 - whatever it raises, there is nothing in it
        whole = None
    expected = [jmespath.search(path, whole) for path in searches]
    for each in (row, packed):
        known = [(moment_or_none(each),), (detail_line(each),)]
        for path, value in zip(searches, expected, strict=True):
            assert columns_of([path], each) == [*known, (value,)]
        assert columns_of(["data.total", "class"], each) == [*known, (expected[0],), (expected[8],)]
        assert columns_of([], each) == known
        other = columns_of(["data.total"], each, PLACED)
        assert other[:2] == [(*known[0], PLACED.moment_ns), (*known[1], PLACED.detail_json)]
        assert other[2] == (expected[0], 42)


def columns_of(paths: list[str], *events: Event) -> list[tuple[Any, ...]]:
    moments, *others = Details(paths).of([each.packed_detail for each in events], [each.time for each in events])
    assert isinstance(moments, Moments)
    return [tuple(column) for column in (moments.ns(), *others)]


def test_rows_of_older_writers_have_no_moment_where_it_can_not_be_read(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with open_store(url) as store:
        store.append(PLACED)
        row = older(envelope("Old", id="old"), "2026-03-01T10:30:00.000Z#Old")
        RawRows(url).put({**row, "eventDetail": "no {JSON}", "eventTime": "someday", "recordedAt": "once"})
        found = store.events(columns={"total": "data.total"}).to_dicts()[1]
        assert (found["moment"], found["recorded_at"], found["detail"]) == (None, None, "no {JSON}")
        assert found["total"] is None
        RawRows(url).put({**row, "eventDetail": None, "eventDetailZ": b"no zlib"})
        with pytest.raises(
            StoreDamaged, match=r"'2026-03-01T10:30:00[.]000Z#Old' in stream 'order-17' does not unpack"
        ):
            store.events().to_arrow()


def test_a_path_that_is_none_or_does_not_fit_is_an_error_that_quotes_no_payload(shop: BaseStore) -> None:
    with pytest.raises(InvalidOption, match="JMESPath"):
        shop.events(columns={"x": "data..x"})
    with pytest.raises(InvalidOption, match="no column of every event"):
        shop.events(columns={"detail": "data"})
    assert shop.events(columns={"skus": "length(data.items)"}).to_polars()["skus"].to_list() == [2, None, None]
    with pytest.raises(InvalidOption, match=r"gives keys\(\) a number") as caught:
        shop.events(columns={"x": "keys(data.total)"}).to_arrow()
    assert "42" not in str(caught.value)


def test_streams_whose_beginning_has_expired_are_told() -> None:
    clock = Clock("2026-03-01T12:00:00Z")
    with open_store("sqlite://?retention_days=1", clock=clock) as store:
        store.append_many([PLACED, event("OrderPaid", time="2026-03-01T11:30:00Z")])
        assert store.events().expired() == {}
        assert "expired" not in store.events("order-17")._repr_html_()
        clock.set("2026-03-02T11:00:00Z")
        assert store.events().expired() == {"order-17": "2026-03-01T10:00:00.000000000Z"}
        assert "its first event was at 2026-03-01T10:00:00" in store.events("order-17")._repr_html_()


def test_events_name_what_they_are_and_read_nothing_for_that() -> None:
    store = open_store("sqlite:///no/such/file.db")
    assert repr(store.events("order-17")) == "<Events of stream 'order-17' in 'sqlite:///no/such/file.db'>"
    assert repr(store.events(prefix="order-", at="2026-03-01", known_at="2026-03-02", types=["A", "B"])) == (
        "<Events of streams 'order-…' in 'sqlite:///no/such/file.db', up to 2026-03-01T00:00:00.000000000Z, "
        "known at 2026-03-02T00:00:00.000000000Z, only A, B>"
    )
    assert repr(store.events()) == "<Events of all streams in 'sqlite:///no/such/file.db'>"
    assert "there is no store at" in store.events()._repr_html_()
    with pytest.raises(StoreNotFound):
        store.events().to_dicts()


def test_events_may_stand_where_moments_do(tmp_path: Path) -> None:
    with open_store("sqlite://") as store:
        moments = ("2026-03-01T11:00:00Z", "2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z")
        store.append_many(event(type_, id=type_, time=time) for type_, time in zip("ABC", moments, strict=True))
        store.append(event("A", id="other", stream="order-18"))
        assert ids(store.events("order-17", at="event:1")) == ["A"]
        assert ids(store.events("order-17", start="event:B")) == ["B", "C"]
        assert ids(store.events(at="event:1")) == ["A", "other"]  # of each stream its own
        assert (
            repr(store.events("order-17", at="event:1"))
            == "<Events of stream 'order-17' in 'sqlite://', up to event:1>"
        )
        with pytest.raises(EventNotFound):
            ids(store.events(at="event:2"))

"""Reading a stream: which events, from where to where, and while others write."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit.errors import InvalidMoment
from eventsourcing_kit.testing.contract.base import Contract, ids, needs
from eventsourcing_kit.testing.samples import event

if TYPE_CHECKING:
    from eventsourcing_kit.stores.contract import Store

__all__ = ["Reading"]

TIMES = {
    "before": "2026-03-01T11:03:26.999999999Z",
    "at": "2026-03-01T11:03:27.000Z",
    "ns": "2026-03-01T11:03:27.000000001Z",
    "us": "2026-03-01T11:03:27.000001Z",
    "ms": "2026-03-01T11:03:27.001Z",
    "later": "2026-03-01T11:03:28Z",
}


class Reading(Contract):
    @pytest.fixture
    def six(self, store: Store) -> Store:
        """Six events, whose ids are the keys of `TIMES`, in their order."""
        for name, time in TIMES.items():
            store.append(event("Ticked", id=name, time=time))
        return store

    @pytest.mark.parametrize(
        ("at", "expected"),
        [
            ("2026-03-01T11:03:26.999999998Z", []),
            ("2026-03-01T11:03:26.999999999Z", ["before"]),
            ("2026-03-01T11:03:27Z", ["before", "at"]),
            ("2026-03-01T12:03:27+01:00", ["before", "at"]),
            ("2026-03-01T11:03:27.000000001Z", ["before", "at", "ns"]),
            ("2026-03-01T11:03:27.000000999Z", ["before", "at", "ns"]),
            ("2026-03-01T11:03:27.000001Z", ["before", "at", "ns", "us"]),
            ("2026-03-01T11:03:27.000999999Z", ["before", "at", "ns", "us"]),
            ("2026-03-01T11:03:27.001Z", ["before", "at", "ns", "us", "ms"]),
            ("2026-03-01T11:03:27.999Z", ["before", "at", "ns", "us", "ms"]),
            ("2026-03-01T11:03:28Z", ["before", "at", "ns", "us", "ms", "later"]),
            ("2026-03-02", ["before", "at", "ns", "us", "ms", "later"]),
            ("9999-12-31T23:59:59.999999999Z", ["before", "at", "ns", "us", "ms", "later"]),
            ("0001-01-01", []),
            (None, ["before", "at", "ns", "us", "ms", "later"]),
        ],
    )
    def test_at_includes_its_own_moment_and_nothing_behind_it(
        self, six: Store, at: str | None, expected: list[str]
    ) -> None:
        assert ids(six.read("order-17", at=at)) == expected

    @pytest.mark.parametrize(
        ("start", "expected"),
        [
            ("2026-03-01T11:03:28.000000001Z", []),
            ("2026-03-01T11:03:28Z", ["later"]),
            ("2026-03-01T11:03:27.001000001Z", ["later"]),
            ("2026-03-01T11:03:27.001Z", ["ms", "later"]),
            ("2026-03-01T11:03:27.000001Z", ["us", "ms", "later"]),
            ("2026-03-01T11:03:27.000000002Z", ["us", "ms", "later"]),
            ("2026-03-01T11:03:27.000000001Z", ["ns", "us", "ms", "later"]),
            ("2026-03-01T11:03:27Z", ["at", "ns", "us", "ms", "later"]),
            ("2026-03-01T11:03:26.999999999Z", ["before", "at", "ns", "us", "ms", "later"]),
            ("0001-01-01", ["before", "at", "ns", "us", "ms", "later"]),
            ("9999-12-31T23:59:59.999999999Z", []),
        ],
    )
    def test_start_includes_its_own_moment_and_nothing_before_it(
        self, six: Store, start: str, expected: list[str]
    ) -> None:
        assert ids(six.read("order-17", start=start)) == expected

    @pytest.mark.parametrize(
        ("start", "at", "expected"),
        [
            ("2026-03-01T11:03:27Z", "2026-03-01T11:03:27.001Z", ["at", "ns", "us", "ms"]),
            ("2026-03-01T11:03:27.000000001Z", "2026-03-01T11:03:27.000000001Z", ["ns"]),
            ("2026-03-01T11:03:27.000000002Z", "2026-03-01T11:03:27.000000999Z", []),
            ("2026-03-01T11:03:27.000001Z", "2026-03-01T11:03:27.000000001Z", []),
            ("2026-03-01T11:03:28Z", "2026-03-01T11:03:26Z", []),
            ("9999-12-31", "0001-01-01", []),
        ],
    )
    def test_start_and_at_together_are_a_window(self, six: Store, start: str, at: str, expected: list[str]) -> None:
        assert ids(six.read("order-17", start=start, at=at)) == expected

    @pytest.mark.parametrize(
        "at",
        [
            datetime(2026, 3, 1, 11, 3, 27, tzinfo=UTC),
            datetime(2026, 3, 1, 6, 3, 27, tzinfo=timezone(timedelta(hours=-5))),
        ],
        ids=["UTC", "-05:00"],
    )
    def test_at_may_be_an_aware_datetime(self, six: Store, at: datetime) -> None:
        assert ids(six.read("order-17", at=at)) == ["before", "at"]

    def test_at_takes_in_every_type_of_its_own_moment(self, store: Store) -> None:
        types = ["!", "#", "A", "z", "é", "😀", "\U0010ffff", "\U0010ffff\U0010ffff"]
        for type_ in types:
            store.append(event(type_))
        assert [each.type for each in store.read("order-17", at="2026-03-01T11:03:27Z")] == types

    @pytest.mark.parametrize("argument", ["at", "start"])
    @pytest.mark.parametrize("text", ["2026-13-01", "02/03/2026", "2026-03", "soon", ""])
    def test_what_is_no_moment_is_refused_before_anything_is_read(self, store: Store, argument: str, text: str) -> None:
        with pytest.raises(InvalidMoment):
            store.read("order-17", start=text if argument == "start" else None, at=text if argument == "at" else None)

    @pytest.mark.parametrize("argument", ["at", "start"])
    def test_a_naive_datetime_is_a_type_error_before_anything_is_read(self, store: Store, argument: str) -> None:
        naive = datetime(2026, 3, 1)  # noqa: DTZ001 - the point of the case
        with pytest.raises(TypeError):
            store.read("order-17", start=naive if argument == "start" else None, at=naive if argument == "at" else None)

    @pytest.mark.parametrize(
        ("types", "expected"),
        [
            ((), ["1", "2", "3", "4"]),
            (("OrderPlaced",), ["1", "3"]),
            (("OrderPaid", "OrderShipped"), ["2", "4"]),
            (["OrderShipped", "OrderPlaced"], ["1", "3", "4"]),
            (("orderplaced",), []),
            (("OrderPlaced##0000000000000000",), []),
            (("",), []),
        ],
    )
    def test_types_leave_the_others_out(self, store: Store, types: tuple[str, ...], expected: list[str]) -> None:
        for n, type_ in enumerate(["OrderPlaced", "OrderPaid", "OrderPlaced", "OrderShipped"], start=1):
            store.append(event(type_, id=str(n), time=f"2026-03-01T11:03:2{n}Z"))
        assert ids(store.read("order-17", types=types)) == expected

    def test_one_text_in_place_of_types_is_a_type_error(self, store: Store) -> None:
        with pytest.raises(TypeError, match="types"):
            store.read("order-17", types="OrderPlaced")  # as a list of its letters it would hide every event

    def test_types_and_a_window_go_together(self, six: Store) -> None:
        six.append(event("Tocked", id="other", time="2026-03-01T11:03:27.000000001Z"))
        reading = six.read("order-17", start="2026-03-01T11:03:27Z", at="2026-03-01T11:03:27.000001Z", types=["Tocked"])
        assert ids(reading) == ["other"]

    def test_a_stream_has_no_event_of_a_stream_whose_name_begins_like_it(self, store: Store) -> None:
        for stream in ("order-1", "order-17", "order-170"):
            store.append(event("OrderPlaced", stream=stream, id=stream))
        assert ids(store.read("order-17")) == ["order-17"]

    def test_a_reading_goes_on_while_others_append(self, store: Store) -> None:
        for n in range(5):
            store.append(event("Ticked", id=f"e-{n}", time=f"2026-03-01T11:03:2{n}Z"))
        reading = store.read("order-17")
        first = next(reading)
        outcome = store.append(event("Ticked", id="late", time="2026-03-01T11:03:10Z"))
        rest = ids(reading)
        assert (first.id, outcome) == ("e-0", "stored")
        assert [id_ for id_ in rest if id_ != "late"] == ["e-1", "e-2", "e-3", "e-4"]

    def test_a_reading_that_nobody_ends_holds_up_no_append(self, store: Store) -> None:
        for n in range(5):
            store.append(event("Ticked", time=f"2026-03-01T11:03:2{n}Z"))
        readings = [store.read("order-17") for _ in range(3)]
        for reading in readings:
            next(reading)
        assert store.append(event("Ticked", id="more", time="2026-03-01T11:04:00Z")) == "stored"
        assert ids(store.read("order-17"))[-1] == "more"

    def test_two_readings_do_not_disturb_each_other(self, six: Store) -> None:
        one, other = six.read("order-17"), six.read("order-17", start=TIMES["us"])
        seen = [next(one).id, next(other).id, next(one).id, next(other).id, *ids(one), *ids(other)]
        assert seen == ["before", "us", "at", "ms", "ns", "us", "ms", "later", "later"]

    def test_two_readings_share_nothing_that_a_reader_may_change(self, store: Store) -> None:
        store.append(event("OrderPlaced", lines=[1, 2]))
        (first,) = store.read("order-17")
        first.data["lines"].append(3)
        (second,) = store.read("order-17")
        assert second.data["lines"] == [1, 2]

    @needs("pages")
    def test_a_reading_holds_only_a_part_of_a_long_stream_in_memory(self, store: Store) -> None:
        text = "x" * 90_000
        store.append_many(event("Grew", n=n, text=text, time=f"2026-03-01T11:{n:02d}:00Z") for n in range(60))
        store.append_many(event("Grew", n=n, text=text, time=f"2026-03-01T12:{n:02d}:00Z") for n in range(60))
        tracemalloc.start()
        try:
            count = sum(1 for _ in store.read("order-17"))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert count == 120
        assert peak < 8_000_000  # the stream is 10.8 MB; a page of DynamoDB, decoded, some 3 MB

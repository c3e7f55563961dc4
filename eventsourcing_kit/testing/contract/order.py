"""The one order of a stream: moment, sequence, type, digest; the same for every order of arrival."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

import random
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit.envelope import parse
from eventsourcing_kit.testing.contract.base import Contract, ids
from eventsourcing_kit.testing.samples import event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Store

__all__ = ["Order"]

# In their order.
BY_NANOSECOND = [
    event("C", id="1", time="2026-03-01T11:03:27.000Z"),
    event("B", id="2", time="2026-03-01T11:03:27.000000001Z"),
    event("A", id="3", time="2026-03-01T11:03:27.000999999Z"),
]
BY_SEQUENCE = [
    event("C", id="none", n=0),
    event("B", id="minus one", n=1, metadata={"sequence": -1}),
    event("B", id="two", n=2, metadata={"sequence": 2}),
    event("A", id="ten", n=3, metadata={"sequence": 10}),
]
BY_TYPE = [
    event("OrderPaid", id="1"),
    event("OrderPlaced", id="2"),
    event("orderPlaced", id="3"),
    event("\uff5e", id="4"),
    event("😀", id="5"),  # behind U+FF5E as a character and in UTF-8, before it in UTF-16
]
BY_DIGEST = [event("ItemAdded", id=f"e-{n}", item=n) for n in (3, 1, 2)]  # 523a..., 951d..., ff5f...
BY_TIME = [
    event("ItemAdded", id="1", time="0001-01-01T00:00:00Z"),
    event("ItemAdded", id="2", time="0999-12-31T23:59:59.999999999Z"),
    event("ItemAdded", id="3", time="1969-12-31T23:59:59.999Z"),
    event("ItemAdded", id="4", time="1970-01-01T00:00:00Z"),
    event("ItemAdded", id="5", time="2026-03-01T11:03:27+02:00"),
    event("ItemAdded", id="6", time="2026-03-01T11:03:27Z"),
    event("ItemAdded", id="7", time="2026-03-01T11:03:27-02:00"),
    event("ItemAdded", id="8", time="9999-12-31T23:59:59.999999999Z"),
]


def append_all(store: Store, events: Iterable[Event]) -> None:
    for each in events:
        store.append(each)


def numbered(id: str, type_: str, sequence: str) -> Event:  # noqa: A002 - the envelope's own word
    return parse(
        f'{{"id": "{id}", "detail-type": "{type_}", "source": "shop", "time": "2026-03-01T11:03:27Z",'
        f' "detail": {{"primaryKey": "order-17", "metaData": {{"sequence": {sequence}}}}}}}'
    )


class Order(Contract):
    @pytest.mark.parametrize("arrival", list(permutations(range(3))), ids=str)
    def test_inside_a_millisecond_the_nanoseconds_decide(self, store: Store, arrival: tuple[int, ...]) -> None:
        append_all(store, (BY_NANOSECOND[n] for n in arrival))
        assert ids(store.read("order-17")) == ["1", "2", "3"]

    @pytest.mark.parametrize("arrival", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)], ids=str)
    def test_at_one_moment_the_sequence_decides_as_a_number_and_none_comes_first(
        self, store: Store, arrival: tuple[int, ...]
    ) -> None:
        append_all(store, (BY_SEQUENCE[n] for n in arrival))
        assert ids(store.read("order-17")) == ["none", "minus one", "two", "ten"]

    @pytest.mark.parametrize("sequence", ["1.0", "1e0", "10e-1", "1"])
    def test_a_number_that_is_whole_by_value_is_a_sequence(self, store: Store, sequence: str) -> None:
        append_all(store, [numbered("two", "A", "2"), numbered("one", "B", sequence), numbered("zero", "C", "0")])
        assert ids(store.read("order-17")) == ["zero", "one", "two"]

    @pytest.mark.parametrize("sequence", ["1.5", '"1"', "true", "null", "[1]", "{}", "1e400"])
    def test_what_is_no_whole_number_is_no_sequence(self, store: Store, sequence: str) -> None:
        append_all(store, [numbered("numbered", "A", "-7"), numbered("not numbered", "B", sequence)])
        assert ids(store.read("order-17")) == ["not numbered", "numbered"]

    def test_a_sequence_may_be_longer_than_any_machine_number(self, store: Store) -> None:
        append_all(
            store,
            [
                numbered("second", "A", "123456789012345678901234567891"),
                numbered("first", "B", "123456789012345678901234567890"),
            ],
        )
        assert ids(store.read("order-17")) == ["first", "second"]

    @pytest.mark.parametrize("arrival", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 4, 0, 3, 1)], ids=str)
    def test_then_the_type_decides_by_its_characters(self, store: Store, arrival: tuple[int, ...]) -> None:
        append_all(store, (BY_TYPE[n] for n in arrival))
        assert ids(store.read("order-17")) == ["1", "2", "3", "4", "5"]

    @pytest.mark.parametrize("arrival", list(permutations(range(3))), ids=str)
    def test_at_last_the_digest_decides(self, store: Store, arrival: tuple[int, ...]) -> None:
        append_all(store, (BY_DIGEST[n] for n in arrival))
        events = list(store.read("order-17"))
        assert ids(events) == ["e-3", "e-1", "e-2"]
        assert [each.digest for each in events] == sorted(str(each.digest) for each in events)

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_moments_of_all_years_and_offsets_stand_in_the_order_of_time(self, store: Store, seed: int) -> None:
        append_all(store, random.Random(seed).sample(BY_TIME, len(BY_TIME)))  # noqa: S311 - a seed repeats a failure
        assert ids(store.read("order-17")) == ["1", "2", "3", "4", "5", "6", "7", "8"]

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_a_long_stream_stands_in_one_order_for_every_order_of_arrival(self, store: Store, seed: int) -> None:
        # Three events of each of twenty moments, which lie 100 microseconds from each other: two milliseconds in all.
        expected: list[Any] = [
            event("T", time=f"2026-03-01T11:03:27.{n:04d}Z", id=f"{n}-{sequence}", metadata={"sequence": sequence})
            for n in range(20)
            for sequence in (1, 2, 3)
        ]
        append_all(store, random.Random(seed).sample(expected, len(expected)))  # noqa: S311 - a seed repeats a failure
        assert ids(store.read("order-17")) == ids(expected)

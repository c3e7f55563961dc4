"""Which streams there are."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit.testing.contract.base import Contract, needs
from eventsourcing_kit.testing.samples import event

if TYPE_CHECKING:
    from eventsourcing_kit.stores.contract import Store
    from eventsourcing_kit.testing.contract.base import OpenStore

__all__ = ["Streams"]

NAMES = ["Order", "order-1", "order-17", "order-2", "order_1", "payment-1", "é", "\uff5e", "😀"]


class Streams(Contract):
    def test_streams_come_once_each_in_the_order_of_their_bytes(self, store: Store) -> None:
        for stream in ["😀", "é", "payment-1", "order_1", "\uff5e", "order-2", "order-17", "order-1", "Order"]:
            for n in range(3):
                store.append(event("ItemAdded", stream=stream, item=n))
        assert list(store.streams()) == NAMES

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("order", ["order-1", "order-17", "order-2", "order_1"]),
            ("order-1", ["order-1", "order-17"]),
            ("order-17", ["order-17"]),
            ("order-170", []),
            ("ORDER", []),
            ("O", ["Order"]),
            ("order_", ["order_1"]),
            ("order%", []),
            ("order*", []),
            ("😀", ["😀"]),
            ("zzz", []),
            ("", NAMES),
        ],
    )
    def test_a_prefix_is_taken_literally(self, store: Store, prefix: str, expected: list[str]) -> None:
        for stream in NAMES:
            store.append(event("OrderPlaced", stream=stream))
        assert list(store.streams(prefix)) == expected

    def test_a_stream_of_bookkeeping_alone_is_none(self, store: Store) -> None:
        self.put_item(
            store,
            {
                "pk": "order-17",
                "sk": "#head",
                "primaryKey": "order-17",
                "eventDetail": '{"firstMoment":"2026-03-01T11:03:27.000000000Z","firstExpires":4102444800}',
            },
        )
        assert list(store.streams()) == []

    def test_with_retention_a_stream_is_listed_once(self, opened: OpenStore) -> None:
        store = opened(retention_days=365)
        store.append(event("OrderPlaced"))
        store.append(event("OrderPaid"))
        assert list(store.streams()) == ["order-17"]

    def test_streams_may_be_listed_while_others_append(self, store: Store) -> None:
        for n in range(5):
            store.append(event("OrderPlaced", stream=f"order-{n}"))
        listing = store.streams()
        first = next(listing)
        store.append(event("OrderPlaced", stream="zebra"))
        assert [first, *(stream for stream in listing if stream != "zebra")] == [f"order-{n}" for n in range(5)]

    @needs("pages")
    def test_streams_of_many_megabytes_are_all_listed(self, store: Store) -> None:
        text = "x" * 90_000
        store.append_many(event("Grew", stream=f"order-{n:02d}", text=text) for n in range(40))
        assert list(store.streams()) == [f"order-{n:02d}" for n in range(40)]

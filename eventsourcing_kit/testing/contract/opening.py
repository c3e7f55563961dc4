"""A store's own life: its table, its end, and what is left behind."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit.errors import StoreNotFound
from eventsourcing_kit.stores.contract import Readable, Store
from eventsourcing_kit.testing.contract.base import Contract, ids, needs
from eventsourcing_kit.testing.samples import event

if TYPE_CHECKING:
    from eventsourcing_kit.testing.contract.base import OpenStore

__all__ = ["Opening"]

PLACED = event("OrderPlaced", total=42)


class Opening(Contract):
    def test_it_has_all_that_a_store_has(self, store: Store) -> None:
        assert isinstance(store, Store)
        assert isinstance(store, Readable)

    def test_it_says_where_it_is(self, store: Store) -> None:
        assert "://" in store.url

    def test_an_empty_store_has_no_stream(self, store: Store) -> None:
        assert list(store.streams()) == []

    def test_a_stream_without_an_event_is_empty(self, store: Store) -> None:
        reading = store.read("order-17")
        assert list(reading) == []
        assert reading.expired_since is None

    def test_making_the_table_again_keeps_what_is_in_it(self, store: Store) -> None:
        store.append(PLACED)
        store.create_table()
        store.create_table()
        assert list(store.read("order-17")) == [PLACED]

    def test_closing_twice_is_fine(self, store: Store) -> None:
        store.append(PLACED)
        store.close()
        store.close()

    def test_closing_a_store_that_was_never_used_is_fine(self, open_store: OpenStore) -> None:
        open_store().close()

    def test_a_with_gives_the_store_and_closes_it(self, open_store: OpenStore) -> None:
        store = open_store()
        with store as inside:
            assert inside is store
        store.close()

    @needs("places")
    def test_what_was_appended_is_there_for_the_next_one_who_opens_it(
        self, open_store: OpenStore, opened: OpenStore
    ) -> None:
        with open_store() as first:
            first.create_table()
            first.append(PLACED)
        assert list(opened().read("order-17")) == [PLACED]

    @needs("places")
    def test_an_appended_event_is_there_for_others_at_once(self, opened: OpenStore) -> None:
        one, other = opened(), opened()
        one.append(PLACED)
        assert list(other.read("order-17")) == [PLACED]

    @needs("places")
    def test_two_stores_at_one_place_hold_an_event_once(self, opened: OpenStore) -> None:
        one, other = opened(), opened()
        assert [one.append(PLACED), other.append(PLACED)] == ["stored", "duplicate"]
        assert ids(one.read("order-17")) == [PLACED.id]

    @needs("absence")
    def test_reading_where_nothing_was_made_yet_says_so(self, open_store: OpenStore) -> None:
        with open_store() as store, pytest.raises(StoreNotFound) as raised:
            list(store.read("order-17"))
        assert raised.value.url == store.url

    @needs("absence")
    def test_listing_streams_where_nothing_was_made_yet_says_so(self, open_store: OpenStore) -> None:
        with open_store() as store, pytest.raises(StoreNotFound) as raised:
            list(store.streams())
        assert raised.value.url == store.url

"""Different events that would have the same key."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

import random
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit.errors import EventConflict
from eventsourcing_kit.testing.contract.base import Contract, ids
from eventsourcing_kit.testing.samples import event

if TYPE_CHECKING:
    from eventsourcing_kit.stores.contract import Store

__all__ = ["Twins"]

FIFTY = [event("ItemAdded", item=n) for n in range(50)]
THREE = [event("ItemAdded", id=f"e-{n}", item=n) for n in (1, 2, 3)]  # their digests begin with 951d, ff5f and 523a


class Twins(Contract):
    def test_fifty_events_of_one_millisecond_are_all_stored(self, store: Store) -> None:
        assert [store.append(each) for each in FIFTY] == ["stored"] * 50
        assert set(ids(store.read("order-17"))) == set(ids(FIFTY))

    def test_fifty_events_of_one_millisecond_are_all_recognised_when_they_come_again(self, store: Store) -> None:
        for each in FIFTY:
            store.append(each)
        again = random.Random(1).sample(FIFTY, 50)  # noqa: S311 - a seed that repeats a failure
        outcomes = [store.append(each) for each in again]
        assert outcomes == ["duplicate"] * 50
        assert {outcome.other_id for outcome in outcomes} == {None}
        assert len(list(store.read("order-17"))) == 50

    def test_a_twins_key_is_the_plain_one_and_the_beginning_of_its_digest(self, store: Store) -> None:
        store.append(event("ItemAdded", item=1))
        outcome = store.append(event("ItemAdded", item=2))
        assert outcome.twin
        assert [item["sk"] for item in self.items(store, "order-17")] == [
            "2026-03-01T11:03:27.000Z#ItemAdded",
            "2026-03-01T11:03:27.000Z#ItemAdded##ff5f2ee2bd0b8bff",
        ]

    def test_a_twin_is_logged_by_its_id_and_never_by_its_payload(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        store.append(event("ItemAdded", id="e-1"))
        with caplog.at_level("INFO", logger="eventsourcing_kit"):
            store.append(event("ItemAdded", id="e-2", note="canary"))
        (line,) = caplog.messages
        assert "e-2" in line
        assert "canary" not in line

    def test_a_twin_keeps_its_own_type_and_content(self, store: Store) -> None:
        store.append(event("ItemAdded", item=1))
        store.append(event("ItemAdded", item=2))
        assert [each.type for each in store.read("order-17")] == ["ItemAdded", "ItemAdded"]
        assert sorted(each.data["item"] for each in store.read("order-17")) == [1, 2]

    @pytest.mark.parametrize("arrival", list(permutations(range(3))), ids=str)
    def test_twins_stand_in_one_order_whichever_came_first(self, store: Store, arrival: tuple[int, ...]) -> None:
        for n in arrival:
            store.append(THREE[n])
        assert ids(store.read("order-17")) == ["e-3", "e-1", "e-2"]

    @pytest.mark.parametrize("arrival", list(permutations(range(3))), ids=str)
    def test_twins_that_come_again_in_any_order_are_duplicates(self, store: Store, arrival: tuple[int, ...]) -> None:
        for each in THREE:
            store.append(each)
        assert [store.append(THREE[n]) for n in arrival] == ["duplicate"] * 3

    def test_a_twin_under_another_id_is_a_duplicate_of_that_twin(self, store: Store) -> None:
        store.append(event("ItemAdded", id="e-1", item=1))
        store.append(event("ItemAdded", id="e-2", item=2))
        assert store.append(event("ItemAdded", id="e-3", item=2)).other_id == "e-2"

    def test_events_of_one_millisecond_and_several_types_are_no_twins(self, store: Store) -> None:
        outcomes = [store.append(event(type_)) for type_ in ("OrderPlaced", "OrderPaid", "OrderPlacedLate")]
        assert [outcome.twin for outcome in outcomes] == [False, False, False]

    def test_a_type_that_spells_out_a_twins_key_takes_no_event_away(self, store: Store) -> None:
        hostile = event("ItemAdded##ff5f2ee2bd0b8bff", id="hostile")
        store.append(event("ItemAdded", id="e-1", item=1))
        store.append(event("ItemAdded", id="e-2", item=2))
        assert store.append(hostile) == "stored"
        assert sorted(ids(store.read("order-17"))) == ["e-1", "e-2", "hostile"]

    def test_a_twin_whose_key_a_type_has_spelled_out_before_is_refused_not_lost(self, store: Store) -> None:
        store.append(event("ItemAdded##ff5f2ee2bd0b8bff", id="hostile"))
        store.append(event("ItemAdded", id="e-1", item=1))
        with pytest.raises(EventConflict) as refusal:
            store.append(event("ItemAdded", id="e-2", item=2))
        assert refusal.value.key == "2026-03-01T11:03:27.000Z#ItemAdded##ff5f2ee2bd0b8bff"

"""Appending many events: one outcome for each, in their order, whatever happens to their neighbours."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit.errors import EventConflict, EventTooLarge
from eventsourcing_kit.stores.contract import Counts
from eventsourcing_kit.testing.contract.base import Contract, ids, needs
from eventsourcing_kit.testing.samples import event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Store
    from eventsourcing_kit.testing.contract.base import OpenStore

__all__ = ["Batches"]

PLACED = event("OrderPlaced", id="e-1", total=42)
TOO_LONG = event("T" * 982, id="too-long")


class Batches(Contract):
    def test_no_events_are_no_outcomes(self, store: Store) -> None:
        assert store.append_many([]) == Counts()
        assert list(store.append_each([])) == []

    def test_each_outcome_is_counted(self, store: Store) -> None:
        counts = store.append_many(
            [
                PLACED,
                PLACED,
                event("OrderPlaced", id="e-2", total=42),  # a producer's retry
                event("OrderPlaced", id="e-3", total=43),  # a twin
                event("OrderPaid", id="e-4"),
            ]
        )
        assert counts == Counts(stored=3, duplicate=2, other_id=1, twins=1)

    def test_outcomes_and_refusals_come_in_the_order_of_their_events(self, store: Store) -> None:
        outcomes = list(
            store.append_each(
                [
                    PLACED,
                    TOO_LONG,
                    PLACED,
                    event("OrderPlaced", id="e-1", total=43),
                    event("OrderPlaced", id="e-2", total=44),
                    event("OrderPaid", id="e-3"),
                ]
            )
        )
        kinds = [outcome if isinstance(outcome, str) else type(outcome) for outcome in outcomes]
        assert kinds == ["stored", EventTooLarge, "duplicate", EventConflict, "stored", "stored"]

    def test_all_but_the_refused_events_are_stored(self, store: Store) -> None:
        list(store.append_each([TOO_LONG, PLACED, TOO_LONG, event("OrderPaid", id="e-2"), TOO_LONG]))
        assert ids(store.read("order-17")) == ["e-2", "e-1"]

    def test_a_refusal_names_its_event(self, store: Store) -> None:
        _, refusal = store.append_each([PLACED, TOO_LONG])
        assert isinstance(refusal, EventTooLarge)
        assert refusal.event_id == "too-long"

    def test_append_many_raises_the_first_refusal_and_keeps_what_stands_before_it(self, store: Store) -> None:
        with pytest.raises(EventTooLarge):
            store.append_many([PLACED, TOO_LONG, event("OrderPaid", id="e-2")])
        assert "e-1" in ids(store.read("order-17"))

    def test_of_two_false_brothers_in_one_batch_the_first_is_stored(self, store: Store) -> None:
        pairs = [event("ItemAdded", stream=f"s-{n}", id=f"e-{n}", item=item) for n in range(20) for item in (1, 2)]
        outcomes = list(store.append_each(pairs))
        assert outcomes[::2] == ["stored"] * 20
        assert [type(outcome) for outcome in outcomes[1::2]] == [EventConflict] * 20

    def test_of_two_equal_events_in_one_batch_the_first_is_stored(self, store: Store) -> None:
        pairs = [event("ItemAdded", stream=f"s-{n}", id=id_) for n in range(20) for id_ in ("first", "second")]
        outcomes = [outcome for outcome in store.append_each(pairs) if isinstance(outcome, str)]
        assert outcomes == ["stored", "duplicate"] * 20
        assert [outcome.other_id for outcome in outcomes[1::2]] == ["first"] * 20

    def test_a_batch_of_twins_is_stored_whole(self, store: Store) -> None:
        assert store.append_many(event("ItemAdded", item=n) for n in range(50)) == Counts(stored=50, twins=49)
        assert sorted(each.data["item"] for each in store.read("order-17")) == list(range(50))

    def test_events_are_taken_as_they_come_and_not_all_before_the_first_answer(self, store: Store) -> None:
        taken = 0

        def source() -> Iterator[Event]:
            nonlocal taken
            for taken in range(1, 1_011):
                yield event("ItemAdded", time=f"2026-03-01T11:{taken // 60:02d}:{taken % 60:02d}Z")

        outcomes = store.append_each(source())
        next(outcomes)
        assert taken <= 1_000
        assert list(outcomes) == ["stored"] * 1_009
        assert len(list(store.read("order-17"))) == 1_010

    def test_a_source_that_breaks_takes_nothing_back_that_was_answered(self, store: Store) -> None:
        def broken() -> Iterator[Event]:
            yield from (event("ItemAdded", item=n) for n in range(3))
            raise OSError("the file ends here")

        answered: list[object] = []
        with pytest.raises(OSError, match="the file ends here"):
            answered.extend(store.append_each(broken()))
        assert len(list(store.read("order-17"))) >= len(answered)
        assert store.append(event("ItemAdded", item=3)) == "stored"

    @needs("places")
    def test_what_is_answered_is_there_for_others(self, opened: OpenStore) -> None:
        one, other = opened(), opened()
        outcomes = one.append_each([PLACED, event("OrderPaid", id="e-2")])
        next(outcomes)
        assert "e-1" in ids(other.read("order-17"))

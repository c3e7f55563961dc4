"""What shares a correlation id, across streams."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit.errors import EventTooLarge
from eventsourcing_kit.testing.contract.base import Contract, ids, needs
from eventsourcing_kit.testing.samples import event

if TYPE_CHECKING:
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Store
    from eventsourcing_kit.testing.clock import Clock
    from eventsourcing_kit.testing.contract.base import OpenStore

__all__ = ["Correlated"]

KEY = "2026-03-01T11:03:27.000Z#"


def of(correlation_id: str, stream: str, type: str = "OrderPlaced", **more: Any) -> Event:  # noqa: A002 - the kit's word
    return event(type, stream=stream, metadata={"correlationId": correlation_id}, **more)


class Correlated(Contract):
    def test_the_events_of_one_correlation_id_are_found_across_streams(self, store: Store) -> None:
        store.append(of("cart-5", "order-17", id="e-1"))
        store.append(of("cart-5", "sku-mug", "StockReserved", id="e-2"))
        store.append(of("cart-6", "order-18", id="e-3"))
        store.append(event("OrderPlaced", stream="order-19", id="e-4"))
        assert sorted(ids(store.correlated("cart-5"))) == ["e-1", "e-2"]
        assert ids(store.correlated("cart-6")) == ["e-3"]
        assert ids(store.correlated("cart")) == []

    def test_an_event_comes_back_as_it_was_stored(self, store: Store) -> None:
        sent = event("OrderPlaced", metadata={"correlationId": "cart-5", "causationId": "click-1"}, total=42)
        store.append(sent)
        (found,) = store.correlated("cart-5")
        assert found == sent
        assert (found.key, found.causation_id, found.data["total"]) == (f"{KEY}OrderPlaced", "click-1", 42)
        assert found.recorded_at is not None

    def test_a_twin_is_in_the_trail_beside_the_other_event(self, store: Store) -> None:
        store.append(of("cart-5", "order-17", id="e-1", line=1))
        assert store.append(of("cart-5", "order-17", id="e-2", line=2)).twin
        assert sorted(ids(store.correlated("cart-5"))) == ["e-1", "e-2"]
        plain, twin = sorted(key for _, _, key in store.correlations())
        assert plain == f"{KEY}OrderPlaced"
        assert twin.startswith(f"{plain}##")

    def test_correlations_come_as_keys_in_the_order_of_their_ids(self, store: Store) -> None:
        for correlation_id in ("😀", "b", "\uff5e", "a", "é"):
            store.append(of(correlation_id, "order-17", f"Placed-{correlation_id}"))
        store.append(of("a", "order-18", "OrderPaid"))
        store.append(event("OrderPlaced", stream="order-19"))
        found = list(store.correlations())
        assert [correlation_id for correlation_id, _, _ in found] == ["a", "a", "b", "é", "\uff5e", "😀"]
        assert sorted(found[:2]) == [("a", "order-17", f"{KEY}Placed-a"), ("a", "order-18", f"{KEY}OrderPaid")]

    def test_an_expired_event_is_not_in_a_trail(self, opened: OpenStore, clock: Clock) -> None:
        store = opened(retention_days=7)
        store.append(of("cart-5", "order-17", id="e-1", time="2026-03-01T00:00:00Z"))
        store.append(of("cart-5", "order-17", id="e-2", time="2026-03-02T00:00:00Z"))
        clock.set("2026-03-08T12:00:00Z")
        assert ids(store.correlated("cart-5")) == ["e-2"]

    def test_an_event_whose_key_an_older_writer_spelled_in_another_way_is_in_the_trail(self, store: Store) -> None:
        store.append(of("cart-5", "order-17", id="e-1"))
        for key, number in (("2026-03-01T12:03:28+01:00#OrderPaid", 2), ("2026-03-01T11:03:27Z#OrderPlaced", 1)):
            self.put_item(
                store,
                {
                    "pk": "order-17",
                    "sk": key,
                    "primaryKey": "order-17",
                    "eventId": f"e-{number}",
                    "eventTime": "2026-03-01T11:03:27Z",
                    "source": "shop",
                    "detailType": key.partition("#")[2],
                    "eventDetail": '{"metaData":{"time":"2026-03-01T11:03:27Z","correlationId":"cart-5"},'
                    '"data":{"primaryKey":"order-17"}}',
                    "correlationId": "cart-5",
                },
            )
        # The second of these rows is the stored event once more.
        assert sorted(ids(store.correlated("cart-5"))) == ["e-1", "e-2"]

    @pytest.mark.parametrize("correlation_id", ["", "x" * 2_049, "half of a pair \ud800"])
    def test_what_no_event_can_bear_finds_none(self, store: Store, correlation_id: str) -> None:
        store.append(of("cart-5", "order-17"))
        assert list(store.correlated(correlation_id)) == []

    @pytest.mark.parametrize("correlation_id", ["'; DROP TABLE events --", "a\x00b", "x" * 2_048, "ä", "%", " "])
    def test_any_other_text_can_be_one(self, store: Store, correlation_id: str) -> None:
        store.append(of(correlation_id, "order-17", id="e-1"))
        store.append(of("cart-5", "order-17", "OrderPaid", id="e-2"))
        assert ids(store.correlated(correlation_id)) == ["e-1"]

    def test_one_that_no_index_can_hold_is_refused(self, store: Store) -> None:
        with pytest.raises(EventTooLarge, match="the correlation id") as caught:
            store.append(of("x" * 2_049, "order-17"))
        assert (caught.value.size, caught.value.limit) == (2_049, 2_048)

    def test_a_trail_of_several_batches_is_whole(self, store: Store) -> None:
        store.append_many(of("cart-5", f"order-{number % 7}", id=f"e-{number:03d}", n=number) for number in range(250))
        assert sorted(ids(store.correlated("cart-5"))) == [f"e-{number:03d}" for number in range(250)]
        assert len(list(store.correlations())) == 250

    @needs("pages")
    def test_a_trail_of_many_megabytes_is_whole(self, store: Store) -> None:
        text = "x" * 90_000
        store.append_many(of("cart-5", f"order-{number}", id=f"e-{number:03d}", text=text) for number in range(300))
        assert sorted(ids(store.correlated("cart-5"))) == [f"e-{number:03d}" for number in range(300)]
